"""Amounts, identifiers, heights and features as types.

Every room may enter.
Never here: arithmetic that rounds without a name, bytes of unknown order.
Read first: amounts.py, ids.py.
"""
