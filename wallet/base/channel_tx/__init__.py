"""BOLT 3: keys, scripts, fees, commitments, closes, claims.

machines/channel and the signer enter.
Never here: ours and theirs; only broadcaster and countersigner.
Read first: commitment.py, keys.py.
"""
