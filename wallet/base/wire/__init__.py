"""Every message of the BOLTs, declared once in spec order and spec words.

noise, channel, peers enter.
Never here: meaning; a field either parses or raises DecodeError.
Read first: codec.py, channel.py.
"""

from wallet.base.wire import channel, gossip, setup
from wallet.base.wire.message import LAYOUTS, MAX_MESSAGE, Message, UnknownMessage, decode, encode

# The modules are imported for what they declare: whoever can call `decode` knows every message.
__all__ = [
    "LAYOUTS",
    "MAX_MESSAGE",
    "Message",
    "UnknownMessage",
    "channel",
    "decode",
    "encode",
    "gossip",
    "setup",
]
