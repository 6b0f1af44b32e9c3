"""The thin layer over libsecp256k1: arithmetic agrees with itself, and bad input is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.base.crypto import curve
from wallet.base.errors import DecodeError

secrets = st.integers(1, curve.ORDER - 1).map(lambda n: n.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)
G = curve.point_of((1).to_bytes(32, "big"))
LATE = settings(deadline=None, max_examples=30)
ORDER = curve.ORDER.to_bytes(32, "big")
NOT_A_POINT = b"\x02" + bytes(31) + b"\x07"  # BIP 32, vector 5


@LATE
@given(secrets, secrets)
def test_arithmetic_of_secrets_mirrors_points(a: bytes, b: bytes) -> None:
    point_a, point_b = curve.point_of(a), curve.point_of(b)
    assert curve.multiply(point_a, b) == curve.point_of(curve.multiply_secrets(a, b))
    assert curve.ecdh(point_a, b) == curve.ecdh(point_b, a)
    if curve.negate_secret(a) != b:
        total = curve.point_of(curve.add_secrets(a, b))
        assert curve.add_points([point_a, point_b]) == total
        assert curve.tweak_point(point_a, b) == total


@LATE
@given(secrets, digests)
def test_ecdsa(secret: bytes, digest: bytes) -> None:
    point = curve.point_of(secret)
    signature = curve.sign(secret, digest)
    assert curve.verify(point, digest, signature)
    assert not curve.verify(point, digest[:-1] + bytes([digest[-1] ^ 1]), signature)
    assert curve.from_der(curve.to_der(signature)) == signature
    assert curve.normalize(signature) == signature
    again, recovery_id = curve.sign_recoverable(secret, digest)
    assert again == signature
    assert curve.recover(signature, recovery_id, digest) == point


@LATE
@given(secrets, digests)
def test_high_s_is_refused_until_normalized(secret: bytes, digest: bytes) -> None:
    signature = curve.sign(secret, digest)
    high = curve.ORDER - int.from_bytes(signature[32:], "big")
    other = signature[:32] + high.to_bytes(32, "big")
    assert not curve.verify(curve.point_of(secret), digest, other)
    assert curve.normalize(other) == signature


@LATE
@given(secrets, digests)
def test_schnorr(secret: bytes, digest: bytes) -> None:
    signature = curve.sign_schnorr(secret, digest)
    assert curve.verify_schnorr(curve.point_of(secret)[1:], digest, signature)
    assert not curve.verify_schnorr(curve.point_of(secret)[1:], digest + b"x", signature)


REFUSED: tuple[Callable[[], object], ...] = (
    lambda: curve.check_point(b""),
    lambda: curve.check_point(G + b"\0"),
    lambda: curve.check_point(NOT_A_POINT),
    lambda: curve.check_point(b"\x04" + G[1:]),
    lambda: curve.check_secret(bytes(32)),
    lambda: curve.check_secret(ORDER),
    lambda: curve.check_secret(b"\1" * 31),
    lambda: curve.point_of(bytes(32)),
    lambda: curve.point_of(ORDER),
    lambda: curve.add_points([G, curve.point_of(curve.negate_secret((1).to_bytes(32, "big")))]),
    lambda: curve.multiply(G, bytes(32)),
    lambda: curve.multiply(G, ORDER),
    lambda: curve.tweak_point(G, ORDER),
    lambda: curve.add_secrets(b"\1" * 32, curve.negate_secret(b"\1" * 32)),
    lambda: curve.negate_secret(bytes(32)),
    lambda: curve.sign(b"\1" * 32, b"short"),
    lambda: curve.sign(bytes(32), bytes(32)),
    lambda: curve.sign_recoverable(bytes(32), bytes(32)),
    lambda: curve.sign_schnorr(bytes(32), bytes(32)),
    lambda: curve.sign_schnorr(b"\1" * 32, bytes(32), b""),
    lambda: curve.verify(NOT_A_POINT, bytes(32), b"\1" * 64),
    lambda: curve.to_der(b"\xff" * 64),
    lambda: curve.to_der(b""),
    lambda: curve.from_der(b"0"),
    lambda: curve.normalize(b"\xff" * 64),
    lambda: curve.recover(b"\1" * 64, 4, bytes(32)),
    lambda: curve.recover(bytes(64), 0, bytes(32)),
)


@pytest.mark.parametrize("call", REFUSED, ids=range(len(REFUSED)))
def test_nonsense_raises_decode_error(call: Callable[[], object]) -> None:
    with pytest.raises(DecodeError):
        call()


@pytest.mark.parametrize("signature", [b"", b"\xff" * 64, bytes(64), b"\1" * 65])
def test_verify__nonsense_is_false(signature: bytes) -> None:
    assert not curve.verify(G, bytes(32), signature)
    assert not curve.verify_schnorr(G[1:], bytes(32), signature)
    assert not curve.verify_schnorr(b"\xff" * 32, bytes(32), b"\1" * 64)
