"""The first run: a wallet made or restored by a person who has none, step by step.

cli/launcher enters, with something that can make wallets (port.py).
Never here: a key, a file, a word on a clipboard or in a log; a wallet before the last step.
Read first: app.py, port.py.
"""
