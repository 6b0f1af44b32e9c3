"""Every message of the BOLTs, declared once in spec order and spec words.

noise, channel, peers enter.
Never here: meaning; a field either parses or raises DecodeError.
Read first: codec.py, channel.py.
"""
