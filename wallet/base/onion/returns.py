"""Failures on their way back to the origin (BOLT 4 "Returning Errors").

The erring node seals a message, every node before it adds a layer, the origin takes the layers off
until one authenticates.  What comes in is other people's bytes: any length, any content.
"""

import hmac as _hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wallet.base.crypto.hashes import hmac_sha256
from wallet.base.errors import DecodeError
from wallet.base.onion.packet import HMAC_SIZE, apply_keystream, derive_key
from wallet.base.wire.failures import Failure, UnknownFailure, decode_failure, encode_failure

MESSAGE_SIZE: Final = 256
"""BOLT 4: `failure_len` plus `pad_len` is this, so that all failures look alike."""
UNWRAP_ROUNDS: Final = 27
"""BOLT 4: the longest possible route; the origin always does this many, so timing tells nothing."""
_DUMMY_SECRET: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Returned:
    """A failure whose sender is known: `hop` counts from 0 for the first node of the route."""

    hop: int
    failure: Failure


def create_failure(shared_secret: bytes, failure: Failure) -> bytes:
    """The erring node's return packet, 292 bytes for every message of up to 256 bytes."""
    return seal_message(shared_secret, encode_failure(failure))


def seal_message(shared_secret: bytes, message: bytes, size: int = MESSAGE_SIZE) -> bytes:
    """As `create_failure`, for an encoded `failuremsg`, padded to `size` bytes."""
    pad = bytes(max(0, size - len(message)))
    body = len(message).to_bytes(2, "big") + message + len(pad).to_bytes(2, "big") + pad
    return wrap(shared_secret, hmac_sha256(derive_key(b"um", shared_secret), body) + body)


def wrap(shared_secret: bytes, packet: bytes) -> bytes:
    """Add (or take off) one node's layer; `packet` may have any length."""
    return apply_keystream(derive_key(b"ammag", shared_secret), packet)


def unwrap(shared_secrets: Sequence[bytes], packet: bytes) -> Returned | None:
    """The origin's side: who failed and why; None when no hop of the route can be held to it.

    `shared_secrets` are those of `create_packet`, first hop first.  A message that authenticates
    but does not parse is an `UnknownFailure` of that hop.
    """
    source: int | None = None
    body = b""
    for round_ in range(max(UNWRAP_ROUNDS, len(shared_secrets))):
        real = round_ < len(shared_secrets)
        secret = shared_secrets[round_] if real else _DUMMY_SECRET
        packet = wrap(secret, packet)
        expected = hmac_sha256(derive_key(b"um", secret), packet[HMAC_SIZE:])
        authentic = _hmac.compare_digest(expected, packet[:HMAC_SIZE])
        if authentic and real and source is None:
            source, body = round_, packet[HMAC_SIZE:]
    return None if source is None else Returned(source, _read(body))


def _read(body: bytes) -> Failure:
    length = int.from_bytes(body[:2], "big")
    message = body[2 : 2 + length]
    try:
        if len(message) == length:
            return decode_failure(message)
    except DecodeError:
        pass
    return UnknownFailure(int.from_bytes(message[:2], "big"), message[2:])
