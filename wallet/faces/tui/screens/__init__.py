"""The bodies of the tabs: one file a screen, each rows made from the state.

tui/app enters; a screen may open sheets.
Never here: a question to the core while drawing; a row that is not made of safe text.
Read first: home.py, channels.py.
"""
