"""A whole Lightning network inside one test: real kernels, one seed, every fault we can think of.

Who may enter: tests, and `python -m tests.simulation`.  What never happens here: sleeping, real
time, a socket, a dice without a seed.  Read `world.py` first, then `invariants.py`.
"""
