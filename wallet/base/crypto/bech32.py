"""Bech32 (BIP 173) and bech32m (BIP 350) as text and 5-bit words.

Characters, checksum polynomial and regrouping of bits come from the `bech32` package; what it lacks
is bech32m's constant, BOLT 11's length, and errors that say what is wrong.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from bech32 import CHARSET, bech32_hrp_expand, bech32_polymod, convertbits

from wallet.base.errors import DecodeError

MAX_LENGTH: Final = 90
"""BIP 173: a bech32 string has at most 90 characters (BOLT 11 drops this limit)."""

_CHECKSUM_WORDS: Final = 6
_WORDS: Final[dict[str, int]] = {character: value for value, character in enumerate(CHARSET)}


class Bech32(IntEnum):
    """The two checksums, by the constant that the polynomial must leave."""

    BECH32 = 1
    BECH32M = 0x2BC830A3


def encode_bech32(hrp: str, words: Sequence[int], variant: Bech32) -> str:
    """Text, in lower case, of a human-readable part and 5-bit words."""
    values = [*bech32_hrp_expand(hrp), *words]
    check = bech32_polymod([*values, *[0] * _CHECKSUM_WORDS]) ^ variant
    checksum = [check >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_WORDS)]
    return hrp + "1" + "".join(CHARSET[word] for word in (*words, *checksum))


def decode_bech32(text: str, max_length: int = MAX_LENGTH) -> tuple[str, list[int], Bech32]:
    """Human-readable part, words without the checksum, and variant; raises `DecodeError`."""
    if len(text) > max_length:
        raise DecodeError(f"{len(text)} characters are too many for bech32")
    if any(not 33 <= ord(character) <= 126 for character in text):
        raise DecodeError("a character that bech32 does not allow")
    if text.lower() != text and text.upper() != text:
        raise DecodeError("upper and lower case are mixed")
    text = text.lower()
    hrp, separator, data = text.rpartition("1")
    if not separator or not 1 <= len(hrp) <= 83:
        raise DecodeError("no human-readable part with a 1 behind it")
    if len(data) < _CHECKSUM_WORDS:
        raise DecodeError("too short for a bech32 checksum")
    try:
        words = [_WORDS[character] for character in data]
    except KeyError as unknown:
        raise DecodeError(f"the character {unknown} does not exist in bech32") from None
    try:
        variant = Bech32(bech32_polymod([*bech32_hrp_expand(hrp), *words]))
    except ValueError:
        raise DecodeError("the checksum does not match: a character was mistyped") from None
    return hrp, words[:-_CHECKSUM_WORDS], variant


def bytes_to_words(data: bytes) -> list[int]:
    """Bytes as 5-bit words, the last one padded with zero bits."""
    return convertbits(data, 8, 5) or []


def words_to_bytes(words: Sequence[int]) -> bytes:
    """5-bit words as bytes; raises `DecodeError` unless the padding is under five bits, all 0."""
    data = convertbits(words, 5, 8, False)
    if data is None:
        raise DecodeError("the padding of the last character is wrong")
    return bytes(data)
