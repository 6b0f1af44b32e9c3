"""wallet/base/onion/returns.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.base.crypto.hashes import hmac_sha256
from wallet.base.onion.packet import derive_key
from wallet.base.onion.returns import Returned, create_failure, seal_message, unwrap, wrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight
from wallet.base.wire.failures import (
    Failure,
    FeeInsufficient,
    IncorrectOrUnknownPaymentDetails,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UnknownFailure,
)

SECRETS = [bytes([i]) * 32 for i in range(1, 21)]


def _return(packet: bytes, hop: int) -> bytes:
    for secret in reversed(SECRETS[:hop]):
        packet = wrap(secret, packet)
    return packet


@pytest.mark.parametrize("hop", range(20))
def test_every_hop_is_found(hop: int) -> None:
    failure = IncorrectOrUnknownPaymentDetails(MilliSatoshi(5), BlockHeight(hop))
    packet = _return(create_failure(SECRETS[hop], failure), hop)
    assert len(packet) == 292
    assert unwrap(SECRETS, packet) == Returned(hop, failure)


@pytest.mark.parametrize(
    ("failure", "size"),
    [
        (TemporaryNodeFailure(), 292),
        (TemporaryChannelFailure(b"u" * 252), 292),
        (TemporaryChannelFailure(b"u" * 253), 293),
        (FeeInsufficient(MilliSatoshi(1), b"u" * 2000), 2048),
    ],
)
def test_padded_to_256(failure: Failure, size: int) -> None:
    packet = create_failure(SECRETS[0], failure)
    assert len(packet) == size
    assert unwrap(SECRETS, packet) == Returned(0, failure)


def test_altered_on_the_way__nobody_is_blamed() -> None:
    packet = bytearray(_return(create_failure(SECRETS[3], TemporaryNodeFailure()), 3))
    packet[100] ^= 1
    assert unwrap(SECRETS, bytes(packet)) is None


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 34, 35, 291, 65_535])
def test_trap_3__short_and_oversized_failure_onions(size: int) -> None:
    assert unwrap(SECRETS, bytes(size)) is None
    assert len(wrap(SECRETS[0], bytes(size))) == size


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ("", UnknownFailure(0, b"")),
        ("00", UnknownFailure(0, b"")),
        ("0000", UnknownFailure(0, b"")),
        ("000120", UnknownFailure(0x20, b"")),
        ("0002 2002", TemporaryNodeFailure()),  # no padding at all
        ("ffff 2002", UnknownFailure(0x2002, b"")),  # longer than the packet
        ("0003 100700", UnknownFailure(0x1007, b"\x00")),  # data cut off
        ("0004 50ff 0102", UnknownFailure(0x50FF, b"\x01\x02")),
    ],
)
def test_authentic_but_malformed__the_hop_is_known(body: str, failure: Failure) -> None:
    raw = bytes.fromhex(body)
    sealed = wrap(SECRETS[2], hmac_sha256(derive_key(b"um", SECRETS[2]), raw) + raw)
    assert unwrap(SECRETS, _return(sealed, 2)) == Returned(2, failure)


def test_a_dummy_round_is_never_a_source() -> None:
    # The rounds after the route use a fixed key, which anybody could know.
    packet = seal_message(bytes(32), b"\x20\x02")
    for secret in reversed(SECRETS):
        packet = wrap(secret, packet)
    assert unwrap(SECRETS, packet) is None


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=600))
def test_arbitrary_bytes(packet: bytes) -> None:
    assert unwrap(SECRETS[:3], packet) is None
