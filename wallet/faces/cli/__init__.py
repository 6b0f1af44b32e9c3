"""The command line: every method a command, exit codes scripts can trust.

wallet.__main__ enters.
Never here: heavy imports at start; a call must stay quick.
Read first: main.py.
"""
