"""The terminal app: balances, payments and channels on one screen, for a person at a keyboard.

cli/main enters, for `leyden` and `leyden tui`.
Never here: keys, database, any way to a core but its socket; text from outside that is not `safe`.
Read first: app.py, watch.py.
"""
