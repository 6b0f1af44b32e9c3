"""What opens over a screen: forms, reviews and their outcomes; everything that moves money.

tui/app and tui/screens enter, when the sheet is wanted and not before.
Never here: money moved by a paste, a line end or a key that was pressed before the review was seen.
Read first: sheet.py, send.py.
"""
