"""BOLT 4: packets, payloads, returned failures.

payments enters.
Never here: decisions about a payment.
Read first: packet.py, returns.py.
"""
