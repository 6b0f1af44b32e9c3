"""Friendly verbs: what people and scripts ask for, made of the daemon's methods.

cli/main enters, by names.py; each verb is imported when it is called.
Never here: a payment without a yes; a method's name with other parameters; heavy imports.
Read first: names.py, desk.py.
"""
