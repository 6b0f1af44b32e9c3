"""BIP 32: trees of keys, private and public, and their text form (xprv, xpub)."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from wallet.base.crypto.base58 import decode_base58check, encode_base58check
from wallet.base.crypto.curve import (
    ORDER,
    add_secrets,
    check_point,
    check_secret,
    point_of,
    tweak_point,
)
from wallet.base.crypto.ripemd160 import hash160
from wallet.base.errors import DecodeError
from wallet.base.values.ids import Point, Secret

HARDENED: Final = 0x80000000
"""Added to an index: only the private parent can derive that child."""

XPRV: Final = 0x0488ADE4
XPUB: Final = 0x0488B21E
TPRV: Final = 0x04358394
TPUB: Final = 0x043587CF

_NO_PARENT: Final = bytes(4)
_SERIALIZED_SIZE: Final = 78


def parse_path(text: str) -> tuple[int, ...]:
    """Indexes of a path such as `m/84'/1'/0'/0/5` (`h` and `H` also harden)."""
    steps = text.split("/")
    if steps[0] != "m":
        raise DecodeError("a key path begins with m")
    path: list[int] = []
    for step in steps[1:]:
        digits = step[:-1] if step[-1:] in ("'", "h", "H") else step
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            raise DecodeError(f"not a step of a key path: {step[:20]!r}")
        index = int(digits)
        if index >= HARDENED:
            raise DecodeError(f"a step of a key path is too large: {index}")
        path.append(index if digits == step else index | HARDENED)
    return tuple(path)


def _split(chain_code: bytes, data: bytes) -> tuple[bytes, bytes]:
    """The two halves of BIP 32's HMAC; the left one is checked to be below the order."""
    digest = hmac.digest(chain_code, data, "sha512")
    if int.from_bytes(digest[:32], "big") >= ORDER:
        raise DecodeError("BIP 32 has no key at this index")  # less than once in 2**127
    return digest[:32], digest[32:]


@dataclass(frozen=True, slots=True)
class _Position:
    """Where in its tree an extended key stands. `fingerprint` is the parent's, 4 bytes."""

    depth: int = 0
    fingerprint: bytes = _NO_PARENT
    index: int = 0

    def below(self, parent: Point, index: int) -> "_Position":
        if not 0 <= index < 1 << 32:
            raise DecodeError(f"a key index has 32 bits, {index} has more")
        if self.depth == 0xFF:
            raise DecodeError("a key path has at most 255 steps")
        return _Position(self.depth + 1, hash160(parent)[:4], index)

    def encode(self, version: int) -> bytes:
        return b"".join(
            (
                version.to_bytes(4, "big"),
                bytes((self.depth,)),
                self.fingerprint,
                self.index.to_bytes(4, "big"),
            )
        )


@dataclass(frozen=True, slots=True)
class ExtendedPublicKey:
    """A point and its chain code: derives the points below it, hardened ones excepted."""

    point: Point
    chain_code: bytes
    position: _Position = _Position()

    def child(self, index: int) -> Self:
        """Child `index` (not hardened); raises `DecodeError`."""
        if index >= HARDENED:
            raise DecodeError("a hardened child cannot be derived from a public key")
        left, right = _split(self.chain_code, self.point + index.to_bytes(4, "big"))
        position = self.position.below(self.point, index)
        return type(self)(tweak_point(self.point, left), right, position)

    def derive(self, path: Sequence[int]) -> Self:
        """The descendant at a path of indexes."""
        key = self
        for index in path:
            key = key.child(index)
        return key

    def encode(self, version: int = XPUB) -> str:
        """Base58Check text."""
        return encode_base58check(self.position.encode(version) + self.chain_code + self.point)


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """A secret and its chain code: derives everything below it."""

    secret: Secret = field(repr=False)
    chain_code: bytes = field(repr=False)
    position: _Position = _Position()

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The root of the tree of a seed (16 to 64 bytes)."""
        if not 16 <= len(seed) <= 64:
            raise DecodeError(f"a BIP 32 seed has 16 to 64 bytes, not {len(seed)}")
        left, right = _split(b"Bitcoin seed", seed)
        return cls(check_secret(left), right)

    @property
    def point(self) -> Point:
        """The public point (one point multiplication)."""
        return point_of(self.secret)

    @property
    def fingerprint(self) -> bytes:
        """The first 4 bytes of HASH160 of the point."""
        return hash160(self.point)[:4]

    def child(self, index: int) -> Self:
        """Child `index`; add `HARDENED` for a hardened one."""
        point = self.point
        position = self.position.below(point, index)
        parent = b"\x00" + self.secret if index >= HARDENED else point
        left, right = _split(self.chain_code, parent + index.to_bytes(4, "big"))
        return type(self)(add_secrets(left, self.secret), right, position)

    def derive(self, path: Sequence[int]) -> Self:
        """The descendant at a path of indexes."""
        key = self
        for index in path:
            key = key.child(index)
        return key

    def neuter(self) -> ExtendedPublicKey:
        """The public half."""
        return ExtendedPublicKey(self.point, self.chain_code, self.position)

    def encode(self, version: int = XPRV) -> str:
        """Base58Check text: a secret."""
        head = self.position.encode(version) + self.chain_code
        return encode_base58check(head + b"\x00" + self.secret)


def decode_extended_key(text: str) -> ExtendedKey | ExtendedPublicKey:
    """Parse xprv, xpub, tprv or tpub; raises `DecodeError` for all that BIP 32 calls invalid."""
    data = decode_base58check(text)
    if len(data) != _SERIALIZED_SIZE:
        raise DecodeError(f"an extended key has {_SERIALIZED_SIZE} bytes, not {len(data)}")
    version = int.from_bytes(data[:4], "big")
    position = _Position(data[4], data[5:9], int.from_bytes(data[9:13], "big"))
    chain_code, key = data[13:45], data[45:]
    if position.depth == 0 and position != _Position():
        raise DecodeError("a key without a parent has a parent's fingerprint or an index")
    if version in (XPUB, TPUB):
        return ExtendedPublicKey(check_point(key), chain_code, position)
    if version not in (XPRV, TPRV):
        raise DecodeError(f"an extended key of unknown version {version:08x}")
    if key[0] != 0:
        raise DecodeError("a private extended key holds something else than a secret")
    return ExtendedKey(check_secret(key[1:]), chain_code, position)
