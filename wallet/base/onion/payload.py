"""Hop payloads of payment onions (BOLT 4 "`payload` format").

`Payload` is the TLV stream as it stands.  `as_forward` and `as_final` give it a meaning for one
kind of hop, and refuse one that lacks what that hop needs.  Every refusal is an `OnionError` with
the `invalid_onion_payload` to answer: TLV type, and its offset in the decrypted stream.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Final

from wallet.base.errors import DecodeError
from wallet.base.onion.packet import OnionError
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import Point, Preimage, ShortChannelId
from wallet.base.wire.codec import (
    composite,
    fixed,
    mapped,
    point,
    read_bigsize,
    rest,
    scid,
    tu32,
    tu64,
    write_bigsize,
)
from wallet.base.wire.failures import InvalidOnionPayload
from wallet.base.wire.tlv import Namespace, Tlv, UnknownTlvs

KEYSEND: Final = 5_482_373_484
"""TLV type of the preimage in a spontaneous payment (BLIP 3)."""

_msat = mapped(tu64, MilliSatoshi, attrgetter("msat"))
_expiry = mapped(tu32, CltvExpiry, attrgetter("height"))


@dataclass(frozen=True, slots=True)
class PaymentData:
    """TLV 8: what ties the parts of one payment together; the secret is 32 bytes."""

    payment_secret: Annotated[bytes, fixed(32)]
    total_msat: Annotated[MilliSatoshi, _msat]


_RECORDS: Final = Namespace(
    {
        "amt_to_forward": Tlv(2, _msat),
        "outgoing_cltv_value": Tlv(4, _expiry),
        "short_channel_id": Tlv(6, scid),
        "payment_data": Tlv(8, composite(PaymentData)),
        "encrypted_recipient_data": Tlv(10, rest),
        "current_path_key": Tlv(12, point),
        "payment_metadata": Tlv(16, rest),
        "total_amount_msat": Tlv(18, _msat),
        "keysend_preimage": Tlv(KEYSEND, fixed(32)),
    }
)
_BY_TYPE: Final = {tlv.type: (name, tlv.codec) for name, tlv in _RECORDS.records.items()}


@dataclass(frozen=True, slots=True)
class Payload:
    """The records of one hop's payload; an absent record is None."""

    amt_to_forward: MilliSatoshi | None = None
    outgoing_cltv_value: CltvExpiry | None = None
    short_channel_id: ShortChannelId | None = None
    payment_data: PaymentData | None = None
    encrypted_recipient_data: bytes | None = None
    current_path_key: Point | None = None
    payment_metadata: bytes | None = None
    total_amount_msat: MilliSatoshi | None = None
    keysend_preimage: Preimage | None = None
    unknown: UnknownTlvs = ()

    def encode(self) -> bytes:
        """The TLV stream, without the length that `create_packet` writes in front of it."""
        return _RECORDS.write(self, self.unknown)


@dataclass(frozen=True, slots=True)
class ForwardPayload:
    """What a hop that is not the last is told."""

    amt_to_forward: MilliSatoshi
    outgoing_cltv_value: CltvExpiry
    short_channel_id: ShortChannelId


@dataclass(frozen=True, slots=True)
class FinalPayload:
    """What the last hop is told. `total_msat` is the sum of all parts of the payment."""

    amt_to_forward: MilliSatoshi
    outgoing_cltv_value: CltvExpiry
    total_msat: MilliSatoshi
    payment_secret: bytes | None
    payment_metadata: bytes | None
    keysend_preimage: Preimage | None
    unknown: UnknownTlvs = ()


def _invalid(kind: int, offset: int, reason: str) -> OnionError:
    return OnionError(reason, InvalidOnionPayload(kind, offset))


def decode_payload(data: bytes) -> Payload:
    """Parse one hop's TLV stream; raises `OnionError` with the type and offset at fault.

    The offset counts from the start of the decrypted stream, the payload's own length included.
    """
    known: dict[str, Any] = {}
    unknown: list[tuple[int, bytes]] = []
    base = len(write_bigsize(len(data)))
    at, last = 0, -1
    while at < len(data):
        start, kind = base + at, 0
        try:
            kind, at = read_bigsize(data, at)
            size, at = read_bigsize(data, at)
        except DecodeError as fault:
            raise _invalid(kind, start, f"the hop payload is malformed: {fault}") from None
        value = data[at : at + size]
        at += size
        if kind <= last or len(value) != size:
            raise _invalid(kind, start, f"record {kind} of the hop payload is out of place")
        last = kind
        if kind in _BY_TYPE:
            name, codec = _BY_TYPE[kind]
            try:
                known[name] = codec.read_all(value)
            except DecodeError as fault:
                raise _invalid(kind, start, f"{name} in the hop payload: {fault}") from None
        elif kind % 2:
            unknown.append((kind, value))
        else:
            raise _invalid(kind, start, f"the hop payload needs record {kind}, not known here")
    return Payload(**known, unknown=tuple(unknown))


def _amount_and_expiry(payload: Payload) -> tuple[MilliSatoshi, CltvExpiry]:
    # Blinded routes are not offered by us, so a payload for one cannot be meant for us.
    if payload.encrypted_recipient_data is not None:
        raise _invalid(10, 0, "the hop payload is for a blinded route")
    if payload.current_path_key is not None:
        raise _invalid(12, 0, "the hop payload has a path key outside of a blinded route")
    if payload.amt_to_forward is None:
        raise _invalid(2, 0, "the hop payload lacks amt_to_forward")
    if payload.outgoing_cltv_value is None:
        raise _invalid(4, 0, "the hop payload lacks outgoing_cltv_value")
    return payload.amt_to_forward, payload.outgoing_cltv_value


def as_forward(payload: Payload) -> ForwardPayload:
    """BOLT 4, reader, "if it is not the final node"; raises `OnionError`."""
    amount, expiry = _amount_and_expiry(payload)
    if payload.short_channel_id is None:
        raise _invalid(6, 0, "the hop payload does not say where to forward to")
    return ForwardPayload(amount, expiry, payload.short_channel_id)


def as_final(payload: Payload) -> FinalPayload:
    """BOLT 4, reader, "if it is the final node"; raises `OnionError`."""
    amount, expiry = _amount_and_expiry(payload)
    data = payload.payment_data
    return FinalPayload(
        amount,
        expiry,
        # BOLT 4: MUST treat `total_msat` as if it were equal to `amt_to_forward` if not present.
        amount if data is None else data.total_msat,
        None if data is None else data.payment_secret,
        payload.payment_metadata,
        payload.keysend_preimage,
        payload.unknown,
    )
