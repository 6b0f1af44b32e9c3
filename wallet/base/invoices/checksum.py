"""Bech32 for strings of any length, quick enough for invoices (BOLT 11 drops BIP 173's limit).

The data part is handled as digits of a number in base 32, because Python turns such text into an
integer and back in C; bit fields are then slices of digits.  The checksum is BIP 173's polynomial,
taken two characters at a time from a table; `crypto.bech32` is the plain form of the same.
"""

from base64 import b32encode
from typing import Final

from bech32 import CHARSET

from wallet.base.errors import DecodeError

CHECKSUM_SIZE: Final = 6
DIGITS: Final = b"0123456789abcdefghijklmnopqrstuv"
"""Python's digits in base 32, in the order of their value."""

_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_LETTERS: Final = CHARSET.encode()
_RFC4648: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BAD: Final = 0xFF


def _table(values: bytes) -> bytes:
    # bytes.translate table from bech32 letters; whatever is none becomes _BAD.
    table = bytearray([_BAD] * 256)
    for letter, value in zip(_LETTERS, values, strict=True):
        table[letter] = value
    return bytes(table)


_TO_WORDS: Final = _table(bytes(range(32)))
_TO_DIGITS: Final = _table(DIGITS)
_TO_LETTERS: Final = bytes.maketrans(_RFC4648, _LETTERS)


def _after_two_zeros(state: int) -> int:
    for _ in range(2):
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5
        for i, generator in enumerate(_GENERATOR):
            if top >> i & 1:
                state ^= generator
    return state


def _pairs() -> tuple[int, ...]:
    # What the ten bits that leave the state add to it. XOR is linear: ten values give all 1024.
    table = [0]
    for bit in range(10):
        added = _after_two_zeros(1 << 20 + bit)
        table += [entry ^ added for entry in table]
    return tuple(table)


_PAIRS: Final = _pairs()


def polymod(words: bytes) -> int:
    """BIP 173's checksum polynomial over 5-bit words, from its starting state 1."""
    state = 1
    pairs = _PAIRS
    if len(words) % 2:
        state = 1 << 5 ^ words[0]
        words = words[1:]
    for first, second in zip(words[::2], words[1::2], strict=True):
        state = (state & 0xFFFFF) << 10 ^ first << 5 ^ second ^ pairs[state >> 20]
    return state


def _expand(hrp: str) -> bytes:
    raw = hrp.encode("ascii")
    return bytes([c >> 5 for c in raw]) + b"\0" + bytes([c & 31 for c in raw])


def read_digits(text: str) -> tuple[str, bytes]:
    """The human-readable part in lower case, and the data without checksum as base-32 digits.

    Raises `DecodeError` with a sentence.
    """
    lower = text.lower()
    if lower != text and text.upper() != text:
        raise DecodeError("upper and lower case are mixed")
    hrp, separator, data = lower.rpartition("1")
    if not separator or not hrp or not hrp.isascii() or not hrp.isprintable():
        raise DecodeError("this is no invoice: no 1 stands between a prefix and the data")
    letters = data.encode("utf-8")
    words = letters.translate(_TO_WORDS)
    if (place := words.find(_BAD)) >= 0:
        raise DecodeError(f"the character {letters[place : place + 1]!r} does not exist in bech32")
    if len(words) < CHECKSUM_SIZE:
        raise DecodeError("it is too short for a checksum")
    if polymod(_expand(hrp) + words) != 1:
        raise DecodeError("the checksum does not match: a character was mistyped or lost")
    return hrp, letters[:-CHECKSUM_SIZE].translate(_TO_DIGITS)


def write_number(hrp: str, number: int, count: int) -> str:
    """Bech32 text, in lower case, of a number of `count` base-32 digits."""
    letters = _letters(number, count)
    words = _expand(hrp) + letters.translate(_TO_WORDS) + bytes(CHECKSUM_SIZE)
    check = _letters(polymod(words) ^ 1, CHECKSUM_SIZE)
    return f"{hrp}1{letters.decode()}{check.decode()}"


def _letters(number: int, count: int) -> bytes:
    # b32encode works on groups of 8 digits, which are 5 bytes.
    groups = -(-count // 8)
    raw = (number << 5 * (8 * groups - count)).to_bytes(5 * groups, "big")
    return b32encode(raw).translate(_TO_LETTERS)[:count]
