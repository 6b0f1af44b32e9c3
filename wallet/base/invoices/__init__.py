"""BOLT 11 and payment URIs.

payments, node and rpc enter.
Never here: what an invoice means for our balance.
Read first: bolt11.py.
"""
