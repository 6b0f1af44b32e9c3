"""BOLT 8 over TCP: listening, dialling, framing.

node enters.
Never here: what a message means beyond BOLT 1.
Read first: link.py, transport.py.
"""
