"""Hashes, curve, AEAD, seed words, key paths, shachain.

Rooms above and the rest of base may enter.
Never here: randomness, secrets kept in module state, own primitives.
Read first: curve.py, hd.py.
"""
