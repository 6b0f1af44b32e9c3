"""Base58Check: the text form of legacy addresses and BIP 32 keys."""

from typing import Final

from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import DecodeError

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_CHECKSUM_SIZE: Final = 4
# The longest thing we read is a BIP 32 key; quadratic arithmetic stays far from a stranger's text.
_MAX_TEXT: Final = 128


def encode_base58check(payload: bytes) -> str:
    """Text of `payload` with a checksum of four bytes behind it."""
    data = payload + sha256d(payload)[:_CHECKSUM_SIZE]
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _ALPHABET[0] * zeros + text


def decode_base58check(text: str) -> bytes:
    """The payload without its checksum; raises `DecodeError`."""
    if len(text) > _MAX_TEXT:
        raise DecodeError("too long for base58")
    number = 0
    for position, character in enumerate(text):
        value = _VALUES.get(character)
        if value is None:
            raise DecodeError(f"character {position + 1} does not exist in base58")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, checksum = data[:-_CHECKSUM_SIZE], data[-_CHECKSUM_SIZE:]
    if len(data) < _CHECKSUM_SIZE or sha256d(payload)[:_CHECKSUM_SIZE] != checksum:
        raise DecodeError("the base58 checksum does not match")
    return payload
