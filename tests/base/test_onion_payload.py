"""wallet/base/onion/payload.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet.base.crypto.curve import point_of
from wallet.base.onion.packet import OnionError
from wallet.base.onion.payload import (
    KEYSEND,
    FinalPayload,
    ForwardPayload,
    Payload,
    PaymentData,
    as_final,
    as_forward,
    decode_payload,
)
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import Preimage, ShortChannelId
from wallet.base.wire.failures import InvalidOnionPayload

SECRET = b"\x11" * 32
AMOUNT, EXPIRY, SCID = MilliSatoshi(15_000), CltvExpiry(1500), ShortChannelId(1, 2, 3)

FULL = Payload(
    amt_to_forward=AMOUNT,
    outgoing_cltv_value=EXPIRY,
    short_channel_id=SCID,
    payment_data=PaymentData(SECRET, MilliSatoshi(30_000)),
    encrypted_recipient_data=b"blind",
    current_path_key=point_of(b"\x01" * 32),
    payment_metadata=b"\x01\xfa",
    total_amount_msat=MilliSatoshi(30_000),
    keysend_preimage=Preimage(b"\x22" * 32),
    unknown=((7, b""), (65_537, b"custom"), (KEYSEND + 1, b"z")),
)

amounts = st.integers(0, (1 << 64) - 1).map(MilliSatoshi)
secrets = st.binary(min_size=32, max_size=32)


def _fault(data: bytes) -> tuple[int, int]:
    with pytest.raises(OnionError) as caught:
        decode_payload(data)
    failure = caught.value.failure
    assert isinstance(failure, InvalidOnionPayload)
    return failure.type, failure.offset


def test_every_record__round_trip() -> None:
    assert decode_payload(FULL.encode()) == FULL


def test_forward__bytes() -> None:
    payload = Payload(AMOUNT, EXPIRY, SCID)
    assert payload.encode().hex() == "02023a98040205dc06080000010000020003"
    assert as_forward(decode_payload(payload.encode())) == ForwardPayload(AMOUNT, EXPIRY, SCID)


@given(amounts, st.integers(0, (1 << 32) - 1).map(CltvExpiry), amounts, secrets, st.binary())
def test_final__round_trip(
    amount: MilliSatoshi, expiry: CltvExpiry, total: MilliSatoshi, secret: bytes, metadata: bytes
) -> None:
    payload = Payload(
        amount, expiry, payment_data=PaymentData(secret, total), payment_metadata=metadata
    )
    final = as_final(decode_payload(payload.encode()))
    assert final == FinalPayload(amount, expiry, total, secret, metadata, None)


def test_final__without_payment_data_the_total_is_the_amount() -> None:
    final = as_final(Payload(AMOUNT, EXPIRY, keysend_preimage=Preimage(b"\x22" * 32)))
    assert final == FinalPayload(AMOUNT, EXPIRY, AMOUNT, None, None, Preimage(b"\x22" * 32))


@pytest.mark.parametrize(
    ("data", "kind", "offset"),
    [
        ("02023a98 1400", 0x14, 5),  # unknown even
        ("02023a98 fe00010000 00", 65_536, 5),
        ("02023a98 020100", 2, 5),  # twice
        ("040205dc 02023a98", 2, 5),  # descending
        ("02020098", 2, 1),  # not minimal
        ("0209 010203040506070809", 2, 1),
        ("0405 0102030405", 4, 1),
        ("06070102030405 0607", 6, 1),
        ("0804 01020304", 8, 1),
        ("0c21 02" + "00" * 31 + "07", 12, 1),  # not on the curve
        ("0205 01", 2, 1),  # value cut off
        ("02023a98 04", 4, 5),  # length cut off
        ("02023a98 fd01", 0, 5),  # type cut off
        ("02023a98 fd0004 00", 0, 5),  # type not minimal
    ],
)
def test_invalid__type_and_offset(data: str, kind: int, offset: int) -> None:
    assert _fault(bytes.fromhex(data)) == (kind, offset)


def test_invalid__offset_counts_a_long_length() -> None:
    data = Payload(AMOUNT, EXPIRY, payment_metadata=b"m" * 260).encode() + b"\x14\x00"
    assert _fault(data) == (0x14, 3 + len(data) - 2)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (Payload(None, EXPIRY, SCID), 2),
        (Payload(AMOUNT, None, SCID), 4),
        (Payload(AMOUNT, EXPIRY, SCID, encrypted_recipient_data=b"x"), 10),
        (Payload(AMOUNT, EXPIRY, SCID, current_path_key=point_of(b"\x01" * 32)), 12),
    ],
)
def test_missing_or_blinded(payload: Payload, kind: int) -> None:
    for reader in (as_forward, as_final):
        with pytest.raises(OnionError) as caught:
            reader(payload)
        assert caught.value.failure == InvalidOnionPayload(kind, 0)


def test_forward__without_channel() -> None:
    with pytest.raises(OnionError) as caught:
        as_forward(Payload(AMOUNT, EXPIRY))
    assert caught.value.failure == InvalidOnionPayload(6, 0)


@given(st.binary(max_size=120))
def test_arbitrary_bytes__decode_or_raise(data: bytes) -> None:
    try:
        payload = decode_payload(data)
    except OnionError as refused:
        assert isinstance(refused.failure, InvalidOnionPayload)
        return
    assert payload.encode() == data
