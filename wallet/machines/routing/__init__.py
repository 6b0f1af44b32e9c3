"""The map of the network: gossip that is true, and ways through it (BOLT 7, BOLT 4).

node/switchboard and the route worker enter.
Never here: a signature checked, the chain asked; machines wish for both and hear the answer.
Read first: graph.py, pathfinding.py.
"""
