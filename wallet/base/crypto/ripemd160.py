"""RIPEMD-160 and HASH160, also where OpenSSL was built without the legacy digests.

The pure-Python compression follows Dobbertin, Bosselaers and Preneel, "RIPEMD-160: a strengthened
version of RIPEMD" (1996), appendix A.  It runs for public keys and scripts only, never for secrets.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Final

from wallet.base.crypto.hashes import sha256

_MASK: Final = 0xFFFFFFFF
_INITIAL: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_CONSTANTS: Final = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_CONSTANTS_PRIME: Final = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)

# Which word of the block each of the 80 steps takes (r and r'), and by how much it rotates (s, s').
_WORDS: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8),
    (3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12),
    (1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2),
    (4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13),
)
_WORDS_PRIME: Final = (
    (5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12),
    (6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2),
    (15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13),
    (8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14),
    (12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11),
)
_TURNS: Final = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12),
    (11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5),
    (11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12),
    (9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6),
)
_TURNS_PRIME: Final = (
    (8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6),
    (9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11),
    (9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5),
    (15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8),
    (8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11),
)
_MIXES: Final[tuple[Callable[[int, int, int], int], ...]] = (
    lambda x, y, z: x ^ y ^ z,
    lambda x, y, z: (x & y) | (~x & z),
    lambda x, y, z: (x | ~y) ^ z,
    lambda x, y, z: (x & z) | (y & ~z),
    lambda x, y, z: x ^ (y | ~z),
)

_State = tuple[int, int, int, int, int]


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return (value << by | value >> (32 - by)) & _MASK


def _line(state: _State, words: tuple[int, ...], *, prime: bool) -> _State:
    """One of the two parallel lines: five rounds of sixteen steps."""
    constants = _CONSTANTS_PRIME if prime else _CONSTANTS
    order = _WORDS_PRIME if prime else _WORDS
    turns = _TURNS_PRIME if prime else _TURNS
    a, b, c, d, e = state
    for number in range(5):
        mix = _MIXES[4 - number if prime else number]
        for word, turn in zip(order[number], turns[number], strict=True):
            t = _rotate(a + mix(b, c, d) + words[word] + constants[number], turn) + e
            a, b, c, d, e = e, t & _MASK, b, _rotate(c, 10), d
    return a, b, c, d, e


def ripemd160_pure(data: bytes) -> bytes:
    """RIPEMD-160 without OpenSSL, 20 bytes (about 100 µs per 64-byte block)."""
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", len(data) * 8)
    h0, h1, h2, h3, h4 = _INITIAL
    for at in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, at)
        a, b, c, d, e = _line((h0, h1, h2, h3, h4), words, prime=False)
        aa, bb, cc, dd, ee = _line((h0, h1, h2, h3, h4), words, prime=True)
        h0, h1, h2, h3, h4 = (
            (h1 + c + dd) & _MASK,
            (h2 + d + ee) & _MASK,
            (h3 + e + aa) & _MASK,
            (h4 + a + bb) & _MASK,
            (h0 + b + cc) & _MASK,
        )
    return struct.pack("<5I", h0, h1, h2, h3, h4)


def ripemd160(data: bytes) -> bytes:
    """RIPEMD-160, 20 bytes: OpenSSL's where it is enabled, ours where it is not."""
    try:
        return hashlib.new("ripemd160", data).digest()
    except ValueError:  # OpenSSL 3 without the legacy provider
        return ripemd160_pure(data)


def hash160(data: bytes) -> bytes:
    """Bitcoin's HASH160: RIPEMD-160 of SHA-256, 20 bytes."""
    return ripemd160(sha256(data))
