"""Wiring: the one loop, the switchboard, the facade.

faces enter, through api.py.
Never here: protocol rules; those are machines.
Read first: kernel.py, switchboard.py.
"""
