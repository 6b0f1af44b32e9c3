"""secp256k1 in the shapes the BOLTs use: 33-byte points, 32-byte secrets, 64-byte signatures.

Thin over coincurve's low-level calls: its own ECDSA API is DER only, hashes by default, and every
`PrivateKey` object costs a point multiplication.  Secrets are tweaked as Python integers, which is
a hundred times cheaper than through the library.  Nothing here draws randomness.
"""

from collections.abc import Sequence
from typing import Any, Final

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError
from wallet.base.values.ids import Point, Secret, Signature

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_CTX: Final = GLOBAL_CONTEXT.ctx
_COMPRESSED: Final = 258
_new: Final = ffi.new
_buffer: Final = ffi.buffer


def _parse(point: bytes) -> Any:
    parsed = _new("secp256k1_pubkey *")
    if len(point) != 33 or not lib.secp256k1_ec_pubkey_parse(_CTX, parsed, point, 33):
        raise DecodeError(f"not a point on the curve: {point.hex()[:70]}")
    return parsed


def _serialize(parsed: Any) -> Point:
    out = _new("unsigned char[33]")
    lib.secp256k1_ec_pubkey_serialize(_CTX, out, _new("size_t *", 33), parsed, _COMPRESSED)
    return Point(bytes(_buffer(out)))


def check_point(data: bytes) -> Point:
    """`data` as a point; raises `DecodeError` unless it is 33 bytes and on the curve."""
    _parse(data)
    return Point(data)


def is_secret(data: bytes) -> bool:
    """Whether 32 bytes are a secret key: neither zero nor the group order or more."""
    return len(data) == 32 and 0 < int.from_bytes(data, "big") < ORDER


def check_secret(data: bytes) -> Secret:
    """`data` as a secret key; raises `DecodeError` if it is zero or not below the group order."""
    if not is_secret(data):
        raise DecodeError("not a secret key: zero, or not below the order of the curve")
    return Secret(data)


def point_of(secret: bytes) -> Point:
    """The public point of a secret key (one point multiplication)."""
    parsed = _new("secp256k1_pubkey *")
    if len(secret) != 32 or not lib.secp256k1_ec_pubkey_create(_CTX, parsed, secret):
        raise DecodeError("not a secret key: zero, or not below the order of the curve")
    return _serialize(parsed)


def add_points(points: Sequence[bytes]) -> Point:
    """Sum of points; raises `DecodeError` when the sum is the point at infinity."""
    parsed = [_parse(p) for p in points]
    total = _new("secp256k1_pubkey *")
    if not lib.secp256k1_ec_pubkey_combine(
        _CTX, total, _new("secp256k1_pubkey *[]", parsed), len(parsed)
    ):
        raise DecodeError("these points add up to infinity")
    return _serialize(total)


def multiply(point: bytes, scalar: bytes) -> Point:
    """`scalar * point`; `scalar` is 32 bytes."""
    parsed = _parse(point)
    if not lib.secp256k1_ec_pubkey_tweak_mul(_CTX, parsed, scalar):
        raise DecodeError("cannot multiply a point by zero or by more than the order of the curve")
    return _serialize(parsed)


def tweak_point(point: bytes, tweak: bytes) -> Point:
    """`point + tweak * G`; `tweak` is 32 bytes."""
    parsed = _parse(point)
    if not lib.secp256k1_ec_pubkey_tweak_add(_CTX, parsed, tweak):
        raise DecodeError("this tweak leads to the point at infinity")
    return _serialize(parsed)


def add_secrets(*secrets: bytes) -> Secret:
    """Sum of secrets modulo the order."""
    total = sum(int.from_bytes(s, "big") for s in secrets) % ORDER
    return check_secret(total.to_bytes(32, "big"))


def multiply_secrets(*secrets: bytes) -> Secret:
    """Product of secrets modulo the order."""
    product = 1
    for s in secrets:
        product = product * int.from_bytes(s, "big") % ORDER
    return check_secret(product.to_bytes(32, "big"))


def negate_secret(secret: bytes) -> Secret:
    """The secret of the negated point."""
    return check_secret(((ORDER - int.from_bytes(secret, "big")) % ORDER).to_bytes(32, "big"))


def ecdh(point: bytes, secret: bytes) -> bytes:
    """BOLT 4 / BOLT 8 ECDH: SHA-256 of the compressed product, 32 bytes."""
    return sha256(multiply(point, secret))


def sign(secret: bytes, digest: bytes) -> Signature:
    """ECDSA over a 32-byte digest: RFC 6979 nonce, low S, 64 bytes."""
    if len(digest) != 32:
        raise DecodeError("a digest to sign has 32 bytes")
    signature = _new("secp256k1_ecdsa_signature *")
    if not lib.secp256k1_ecdsa_sign(_CTX, signature, digest, secret, ffi.NULL, ffi.NULL):
        raise DecodeError("not a secret key: zero, or not below the order of the curve")
    out = _new("unsigned char[64]")
    lib.secp256k1_ecdsa_signature_serialize_compact(_CTX, out, signature)
    return Signature(bytes(_buffer(out)))


def verify(point: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether a 64-byte, low-S ECDSA signature over a 32-byte digest is by `point`."""
    parsed = _new("secp256k1_ecdsa_signature *")
    if len(signature) != 64 or len(digest) != 32:
        return False
    if not lib.secp256k1_ecdsa_signature_parse_compact(_CTX, parsed, signature):
        return False
    return bool(lib.secp256k1_ecdsa_verify(_CTX, parsed, digest, _parse(point)))


def normalize(signature: bytes) -> Signature:
    """The same ECDSA signature with low S; raises `DecodeError` if R or S overflow."""
    parsed = _parse_compact(signature)
    lib.secp256k1_ecdsa_signature_normalize(_CTX, parsed, parsed)
    out = _new("unsigned char[64]")
    lib.secp256k1_ecdsa_signature_serialize_compact(_CTX, out, parsed)
    return Signature(bytes(_buffer(out)))


def _parse_compact(signature: bytes) -> Any:
    parsed = _new("secp256k1_ecdsa_signature *")
    if len(signature) != 64 or not lib.secp256k1_ecdsa_signature_parse_compact(
        _CTX, parsed, signature
    ):
        raise DecodeError("not an ECDSA signature")
    return parsed


def to_der(signature: bytes) -> bytes:
    """The DER form that Bitcoin's script wants, without the sighash byte."""
    out = _new("unsigned char[72]")
    length = _new("size_t *", 72)
    lib.secp256k1_ecdsa_signature_serialize_der(_CTX, out, length, _parse_compact(signature))
    return bytes(_buffer(out, length[0]))


def from_der(der: bytes) -> Signature:
    """Parse strict DER (without the sighash byte); raises `DecodeError`."""
    parsed = _new("secp256k1_ecdsa_signature *")
    if not lib.secp256k1_ecdsa_signature_parse_der(_CTX, parsed, der, len(der)):
        raise DecodeError("not a DER signature")
    out = _new("unsigned char[64]")
    lib.secp256k1_ecdsa_signature_serialize_compact(_CTX, out, parsed)
    return Signature(bytes(_buffer(out)))


def sign_recoverable(secret: bytes, digest: bytes) -> tuple[Signature, int]:
    """ECDSA signature and recovery id 0..3 (BOLT 11)."""
    if len(digest) != 32:
        raise DecodeError("a digest to sign has 32 bytes")
    signature = _new("secp256k1_ecdsa_recoverable_signature *")
    if not lib.secp256k1_ecdsa_sign_recoverable(
        _CTX, signature, digest, secret, ffi.NULL, ffi.NULL
    ):
        raise DecodeError("not a secret key: zero, or not below the order of the curve")
    out = _new("unsigned char[64]")
    recovery_id = _new("int *")
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(_CTX, out, recovery_id, signature)
    return Signature(bytes(_buffer(out))), recovery_id[0]


def recover(signature: bytes, recovery_id: int, digest: bytes) -> Point:
    """The point that made a recoverable signature; raises `DecodeError` when there is none."""
    parsed = _new("secp256k1_ecdsa_recoverable_signature *")
    if (
        len(signature) != 64
        or len(digest) != 32
        or not 0 <= recovery_id <= 3
        or not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(
            _CTX, parsed, signature, recovery_id
        )
    ):
        raise DecodeError("not a recoverable signature")
    point = _new("secp256k1_pubkey *")
    if not lib.secp256k1_ecdsa_recover(_CTX, point, parsed, digest):
        raise DecodeError("no key can have made this signature")
    return _serialize(point)


def sign_schnorr(secret: bytes, digest: bytes, aux: bytes = bytes(32)) -> bytes:
    """BIP 340 signature over 32 bytes; `aux` is 32 bytes of auxiliary randomness."""
    if len(digest) != 32 or len(aux) != 32:
        raise DecodeError("BIP 340 signs 32 bytes with 32 bytes of auxiliary randomness")
    pair = _new("secp256k1_keypair *")
    if not lib.secp256k1_keypair_create(_CTX, pair, secret):
        raise DecodeError("not a secret key: zero, or not below the order of the curve")
    out = _new("unsigned char[64]")
    lib.secp256k1_schnorrsig_sign32(_CTX, out, digest, pair, aux)
    return bytes(_buffer(out))


def verify_schnorr(x_only: bytes, message: bytes, signature: bytes) -> bool:
    """BIP 340 verification; `x_only` is 32 bytes, `message` of any length."""
    key = _new("secp256k1_xonly_pubkey *")
    if len(x_only) != 32 or len(signature) != 64:
        return False
    if not lib.secp256k1_xonly_pubkey_parse(_CTX, key, x_only):
        return False
    return bool(lib.secp256k1_schnorrsig_verify(_CTX, signature, message, len(message), key))
