"""A group in which a point is its own secret, behind the calls that `crypto.curve` makes.

Every equation of the BOLTs holds in it (derived keys, ECDH, shared onion keys, revocation keys),
and a signature is of one key over one digest only, so a wrong key or another digest is noticed as
with real curves, at a tenth of the time.  It is swapped in at one place: the three names by which
`wallet.base.crypto.curve` reaches libsecp256k1.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wallet.base.crypto import curve
from wallet.base.crypto.curve import ORDER
from wallet.base.crypto.hashes import sha256


class Cell:
    """What `ffi.new` gives: a place for one value."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __getitem__(self, _: int) -> Any:
        return self.value


def new(kind: str, value: Any = None) -> Any:
    """`ffi.new`; an array of pointers is the list itself."""
    return value if kind.endswith("*[]") else Cell(value)


def buffer(cell: Cell, length: int | None = None) -> bytes:
    """`ffi.buffer`."""
    data: bytes = cell.value
    return data[:length]


def _point(scalar: int) -> bytes:
    return b"\x02" + scalar.to_bytes(32, "big")


def _seal(scalar: int, digest: bytes) -> bytes:
    """The s of a signature: low, as the BOLTs want it."""
    sealed = sha256(scalar.to_bytes(32, "big") + digest)
    return bytes((sealed[0] & 0x3F | 0x01,)) + sealed[1:]


def _sign(scalar: int, digest: bytes) -> bytes:
    return scalar.to_bytes(32, "big") + _seal(scalar, digest)


def _is_by(scalar: int, digest: bytes, signature: bytes) -> bool:
    return signature == _sign(scalar, digest)


def _der_number(number: bytes) -> bytes:
    short = number.lstrip(b"\0") or b"\0"
    padded = b"\0" + short if short[0] & 0x80 else short
    return b"\x02" + bytes((len(padded),)) + padded


class ToyLibrary:
    """The functions of libsecp256k1 that `curve` calls, with their arguments and results."""

    def secp256k1_ec_pubkey_parse(self, _: Any, out: Cell, data: bytes, size: int) -> int:
        scalar = int.from_bytes(data[1:], "big")
        out.value = scalar
        return int(size == len(data) and data[0] == 2 and 0 < scalar < ORDER)

    def secp256k1_ec_pubkey_serialize(self, _: Any, out: Cell, _n: Any, of: Cell, _f: int) -> int:
        out.value = _point(of.value)
        return 1

    def secp256k1_ec_pubkey_create(self, _: Any, out: Cell, secret: bytes) -> int:
        out.value = int.from_bytes(secret, "big")
        return int(0 < out.value < ORDER)

    def secp256k1_ec_pubkey_combine(self, _: Any, out: Cell, of: Sequence[Cell], _n: int) -> int:
        out.value = sum(cell.value for cell in of) % ORDER
        return int(out.value != 0)

    def secp256k1_ec_pubkey_tweak_mul(self, _: Any, point: Cell, scalar: bytes) -> int:
        point.value = point.value * int.from_bytes(scalar, "big") % ORDER
        return int(point.value != 0)

    def secp256k1_ec_pubkey_tweak_add(self, _: Any, point: Cell, scalar: bytes) -> int:
        point.value = (point.value + int.from_bytes(scalar, "big")) % ORDER
        return int(point.value != 0)

    def secp256k1_ecdsa_sign(
        self, _: Any, out: Cell, digest: bytes, secret: bytes, _f: Any, _d: Any
    ) -> int:
        out.value = _sign(int.from_bytes(secret, "big"), digest)
        return 1

    def secp256k1_ecdsa_signature_serialize_compact(self, _: Any, out: Cell, of: Cell) -> int:
        out.value = of.value
        return 1

    def secp256k1_ecdsa_signature_parse_compact(self, _: Any, out: Cell, data: bytes) -> int:
        out.value = data
        return int(max(int.from_bytes(part, "big") for part in (data[:32], data[32:])) < ORDER)

    def secp256k1_ecdsa_verify(self, _: Any, of: Cell, digest: bytes, point: Cell) -> int:
        return int(_is_by(point.value, digest, of.value))

    def secp256k1_ecdsa_signature_normalize(self, _: Any, out: Cell, of: Cell) -> int:
        out.value = of.value
        return 0

    def secp256k1_ecdsa_signature_serialize_der(
        self, _: Any, out: Cell, length: Cell, of: Cell
    ) -> int:
        numbers = _der_number(of.value[:32]) + _der_number(of.value[32:])
        out.value = b"\x30" + bytes((len(numbers),)) + numbers
        length.value = len(out.value)
        return 1

    def secp256k1_ecdsa_signature_parse_der(self, _: Any, out: Cell, der: bytes, size: int) -> int:
        first = der[3] if size > 6 else 0
        r, rest = der[4 : 4 + first], der[4 + first :]
        s = rest[2:]
        out.value = r[-32:].rjust(32, b"\0") + s[-32:].rjust(32, b"\0")
        numbers = _der_number(out.value[:32]) + _der_number(out.value[32:])
        return int(der == b"\x30" + bytes((len(numbers),)) + numbers)

    def secp256k1_ecdsa_sign_recoverable(
        self, _: Any, out: Cell, digest: bytes, secret: bytes, _f: Any, _d: Any
    ) -> int:
        return self.secp256k1_ecdsa_sign(_, out, digest, secret, _f, _d)

    def secp256k1_ecdsa_recoverable_signature_serialize_compact(
        self, _: Any, out: Cell, recovery_id: Cell, of: Cell
    ) -> int:
        out.value, recovery_id.value = of.value, 0
        return 1

    def secp256k1_ecdsa_recoverable_signature_parse_compact(
        self, _: Any, out: Cell, data: bytes, _recovery_id: int
    ) -> int:
        return self.secp256k1_ecdsa_signature_parse_compact(_, out, data)

    def secp256k1_ecdsa_recover(self, _: Any, out: Cell, of: Cell, digest: bytes) -> int:
        out.value = int.from_bytes(of.value[:32], "big")
        return int(_is_by(out.value, digest, of.value))

    def secp256k1_keypair_create(self, _: Any, out: Cell, secret: bytes) -> int:
        return self.secp256k1_ec_pubkey_create(_, out, secret)

    def secp256k1_schnorrsig_sign32(
        self, _: Any, out: Cell, digest: bytes, pair: Cell, _aux: bytes
    ) -> int:
        out.value = _sign(pair.value, digest)
        return 1

    def secp256k1_xonly_pubkey_parse(self, _: Any, out: Cell, data: bytes) -> int:
        return self.secp256k1_ec_pubkey_parse(_, out, b"\x02" + data, 33)

    def secp256k1_schnorrsig_verify(
        self, _: Any, signature: bytes, message: bytes, _size: int, point: Cell
    ) -> int:
        return int(_is_by(point.value, message, signature))


@contextmanager
def toy_curve() -> Iterator[None]:
    """While inside, every point and signature of this process is of the toy group."""
    names = ("lib", "_new", "_buffer")
    real = {name: getattr(curve, name) for name in names}
    for name, toy in zip(names, (ToyLibrary(), new, buffer), strict=True):
        setattr(curve, name, toy)
    try:
        yield
    finally:
        for name, value in real.items():
            setattr(curve, name, value)
