"""wallet/base/wire/failures.py: every failure of BOLT 4 is declared, written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.errors import DecodeError
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvExpiry
from wallet.base.wire import failures as f

HASH = b"\x07" * 32
UPDATE = b"\x01\x02" + b"u" * 136

# BOLT 4, "Failure Messages": code with flags, name, and one message with all its data.
TABLE: list[tuple[int, str, f.Failure, str]] = [
    (0x2002, "temporary_node_failure", f.TemporaryNodeFailure(), ""),
    (0x6002, "permanent_node_failure", f.PermanentNodeFailure(), ""),
    (0x6003, "required_node_feature_missing", f.RequiredNodeFeatureMissing(), ""),
    (0xC004, "invalid_onion_version", f.InvalidOnionVersion(HASH), HASH.hex()),
    (0xC005, "invalid_onion_hmac", f.InvalidOnionHmac(HASH), HASH.hex()),
    (0xC006, "invalid_onion_key", f.InvalidOnionKey(HASH), HASH.hex()),
    (0x1007, "temporary_channel_failure", f.TemporaryChannelFailure(b""), "0000"),
    (0x4008, "permanent_channel_failure", f.PermanentChannelFailure(), ""),
    (0x4009, "required_channel_feature_missing", f.RequiredChannelFeatureMissing(), ""),
    (0x400A, "unknown_next_peer", f.UnknownNextPeer(), ""),
    (
        0x100B,
        "amount_below_minimum",
        f.AmountBelowMinimum(MilliSatoshi(7), UPDATE),
        f"0000000000000007008a{UPDATE.hex()}",
    ),
    (
        0x100C,
        "fee_insufficient",
        f.FeeInsufficient(MilliSatoshi(1 << 40), UPDATE),
        f"0000010000000000008a{UPDATE.hex()}",
    ),
    (
        0x100D,
        "incorrect_cltv_expiry",
        f.IncorrectCltvExpiry(CltvExpiry(500_000), UPDATE),
        f"0007a120008a{UPDATE.hex()}",
    ),
    (0x100E, "expiry_too_soon", f.ExpiryTooSoon(UPDATE), f"008a{UPDATE.hex()}"),
    (
        0x400F,
        "incorrect_or_unknown_payment_details",
        f.IncorrectOrUnknownPaymentDetails(MilliSatoshi(100), BlockHeight(800_000)),
        "0000000000000064000c3500",
    ),
    (18, "final_incorrect_cltv_expiry", f.FinalIncorrectCltvExpiry(CltvExpiry(1)), "00000001"),
    (
        19,
        "final_incorrect_htlc_amount",
        f.FinalIncorrectHtlcAmount(MilliSatoshi(1)),
        "0000000000000001",
    ),
    (0x1014, "channel_disabled", f.ChannelDisabled(0, UPDATE), f"0000008a{UPDATE.hex()}"),
    (21, "expiry_too_far", f.ExpiryTooFar(), ""),
    (0x4016, "invalid_onion_payload", f.InvalidOnionPayload(0x10000, 9), "fe000100000009"),
    (23, "mpp_timeout", f.MppTimeout(), ""),
    (0xC018, "invalid_onion_blinding", f.InvalidOnionBlinding(HASH), HASH.hex()),
]


def test_every_failure_is_in_the_table() -> None:
    assert [type(row[2]) for row in TABLE] == list(f.FAILURES)
    assert len(TABLE) == 22
    print(f"\nBOLT 4 failure codes: {len(TABLE)}/22")


@pytest.mark.parametrize(("code", "name", "failure", "data"), TABLE, ids=[r[1] for r in TABLE])
def test_encode_and_decode(code: int, name: str, failure: f.Failure, data: str) -> None:
    wire = code.to_bytes(2, "big") + bytes.fromhex(data)
    assert (failure.code, failure.name) == (code, name)
    assert f.encode_failure(failure) == wire
    assert f.decode_failure(wire) == failure
    # BOLT 4: the origin MUST ignore any extra bytes in `failuremsg`.
    assert f.decode_failure(wire + b"\xfd\x84\xd1\x00") == failure
    for short in range(2, len(wire)):
        with pytest.raises(DecodeError):
            f.decode_failure(wire[:short])


@pytest.mark.parametrize("row", TABLE, ids=[row[1] for row in TABLE])
def test_flags(row: tuple[int, str, f.Failure, str]) -> None:
    code, _, failure, _ = row
    flags = (failure.is_bad_onion, failure.is_permanent, failure.is_node, failure.is_update)
    assert flags == tuple(bool(code & bit) for bit in (0x8000, 0x4000, 0x2000, 0x1000))


def test_unknown_code__is_kept() -> None:
    failure = f.decode_failure(b"\x40\xff\x01\x02")
    assert failure == f.UnknownFailure(0x40FF, b"\x01\x02")
    assert failure.is_permanent
    assert not failure.is_node
    assert f.encode_failure(failure) == b"\x40\xff\x01\x02"


def test_malformed_htlc__code_and_hash_become_a_failure() -> None:
    assert f.bad_onion(0xC005, HASH) == f.InvalidOnionHmac(HASH)
    assert f.bad_onion(0x8001, HASH) == f.UnknownFailure(0x8001, HASH)


@given(st.binary(max_size=80))
def test_arbitrary_bytes__decode_or_raise(data: bytes) -> None:
    try:
        failure = f.decode_failure(data)
    except DecodeError:
        return
    assert data.startswith(f.encode_failure(failure))


@pytest.mark.parametrize("failure", f.FAILURES, ids=[c.name for c in f.FAILURES])
@given(data=st.binary(max_size=60))
def test_arbitrary_data__decode_or_raise(failure: type[f.Failure], data: bytes) -> None:
    try:
        decoded = f.decode_failure(failure.CODE.to_bytes(2, "big") + data)
    except DecodeError:
        return
    assert isinstance(decoded, failure)
