"""The control room of a town on this machine: its map, what moves in it, and what can be broken.

tui/app enters, when it was opened on a town.
Never here: another way to the town than the socket `town-rpc`; a process, a chain, a directory.
Read first: control.py, moves.py.
"""
