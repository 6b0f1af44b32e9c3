"""Core's JSON-RPC as a client, and the blocks as they come.

node enters.
Never here: methods that Bitcoin Core does not have.
Read first: bitcoind.py, follower.py.
"""
