"""Messages signed by a node's key, in the form that lnd invented and Core Lightning speaks.

The signature is over the double SHA-256 of a fixed prefix and the message, so that none of it can
ever be a transaction's, a gossip message's or an invoice's.  It travels as zbase32 text of 65
bytes: 31 plus the recovery id, then the compact signature; the key follows from it.
"""

from typing import Final

from wallet.base.crypto.curve import recover
from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import DecodeError
from wallet.base.values.ids import Point, Signature

PREFIX: Final = b"Lightning Signed Message:"
FIRST_HEADER: Final = 31
"""27 as Bitcoin's signed messages have it, and 4 because the key is compressed."""

_ALPHABET: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
"""zbase32's digits: those that are easy to read first."""
_VALUES: Final = {digit: value for value, digit in enumerate(_ALPHABET)}


def signed_digest(message: str) -> bytes:
    """What is signed for a message, 32 bytes."""
    return sha256d(PREFIX + message.encode())


def encode_signed(signature: Signature, recovery_id: int) -> str:
    """A recoverable signature as zbase32."""
    return zbase32(bytes((FIRST_HEADER + recovery_id,)) + signature)


def signer_of(message: str, zbase: str) -> Point:
    """Whose key signed the message. Raises `DecodeError` when no key can have.

    A signature of another message gives another key, not an error: compare it.
    """
    data = from_zbase32(zbase)
    if len(data) != 65:
        raise DecodeError("a signed message's signature has 65 bytes")
    recovery_id = data[0] - FIRST_HEADER
    if not 0 <= recovery_id <= 3:
        raise DecodeError("not a signature that a key can be recovered from")
    return recover(data[1:], recovery_id, signed_digest(message))


def zbase32(data: bytes) -> str:
    """Bytes as zbase32 without padding, five bits a digit from the left."""
    digits = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (digits * 5 - len(data) * 8)
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(digits)))


def from_zbase32(text: str) -> bytes:
    """The bytes of zbase32 text. Raises `DecodeError` for other digits and for bits left over."""
    number = 0
    for digit in text:
        if digit not in _VALUES:
            raise DecodeError(f"'{digit}' is no digit of zbase32")
        number = number << 5 | _VALUES[digit]
    spare = len(text) * 5 % 8
    if spare >= 5 or number & (1 << spare) - 1:
        raise DecodeError("zbase32 text of a length or an end that no bytes have")
    return (number >> spare).to_bytes(len(text) * 5 // 8, "big")
