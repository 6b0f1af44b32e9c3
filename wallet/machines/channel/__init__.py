"""The life of one channel, BOLT 2, as a function.

node/switchboard enters.
Never here: secrets, sockets, other channels, payments.
Read first: events.py, actions.py.
"""
