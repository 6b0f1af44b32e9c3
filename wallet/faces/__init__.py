"""What people and scripts see.

Nobody enters.
Never here: keys, database, channel state.
Read first: cli/main.py, rpc/server.py.
"""
