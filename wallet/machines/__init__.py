"""Decisions: a state and an event in, a new state and wishes out. Pure.

node enters; machines see base only.
Never here: await, clock, randomness, logging, disk, secrets.
Read first: step.py, channel/events.py.
"""
