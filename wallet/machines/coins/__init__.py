"""The on-chain wallet: which outputs are ours, which to spend.

node/switchboard enters.
Never here: keys, broadcasts.
Read first: wallet.py, selection.py.
"""
