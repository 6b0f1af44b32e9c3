"""BOLT 8: handshake and transport encryption, sans-IO.

services/peers enters.
Never here: sockets; bytes in, messages out.
Read first: handshake.py, session.py.
"""
