"""The town: chain and nodes on one machine, the story and the money check.

cli enters.
Never here: another way to drive a node than its socket.
Read first: story.py, money.py.
"""
