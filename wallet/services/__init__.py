"""How to talk to the world: sockets, disk, chain, clock, randomness.

node enters, through ports.py.
Never here: why; decisions belong to machines.
Read first: ports.py, store/sqlite.py.
"""
