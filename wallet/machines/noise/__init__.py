"""BOLT 8: handshake and transport encryption, sans-IO.

services/peers enters.
Never here: sockets; bytes in, messages out.
Read first: handshake.py, session.py.
"""

from wallet.machines.noise.handshake import (
    ACT_ONE_SIZE,
    ACT_THREE_SIZE,
    ACT_TWO_SIZE,
    Initiator,
    Responder,
    StaticEcdh,
)
from wallet.machines.noise.session import Decryptor, Encryptor, Session

__all__ = [
    "ACT_ONE_SIZE",
    "ACT_THREE_SIZE",
    "ACT_TWO_SIZE",
    "Decryptor",
    "Encryptor",
    "Initiator",
    "Responder",
    "Session",
    "StaticEcdh",
]
