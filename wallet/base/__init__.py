"""Facts: values, keys, scripts, messages, transactions. Pure.

Everyone above may enter; it enters nobody.
Never here: await, clock, randomness, logging, disk, decisions.
Read first: values/amounts.py, errors.py.
"""
