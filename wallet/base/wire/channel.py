"""Messages of BOLT 2: open (v1), operate, close and re-establish a channel."""

from dataclasses import dataclass
from typing import Annotated

from wallet.base.values.ids import Point, ShortChannelId, Signature, Txid
from wallet.base.wire.codec import (
    U16,
    U32,
    U64,
    Byte,
    ChainHashField,
    ChannelIdField,
    Expiry,
    Feerate,
    Msat,
    PaymentHashField,
    PointField,
    PreimageField,
    Sat,
    SecretField,
    Sha256,
    SignatureField,
    TemporaryId,
    TxidField,
    Var,
    composite,
    counted,
    fixed,
    point,
    rest,
    scid,
    signature,
    txid,
)
from wallet.base.wire.message import Message, message
from wallet.base.wire.tlv import Tlv

# --- records of several values ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FeeRange:
    """BOLT 2 `fee_range` of `closing_signed`."""

    min_fee_satoshis: Sat
    max_fee_satoshis: Sat


@dataclass(frozen=True, slots=True)
class NextFunding:
    """BOLT 2 `next_funding` of `channel_reestablish`: a funding that awaits signatures."""

    next_funding_txid: TxidField
    retransmit_flags: Byte


@dataclass(frozen=True, slots=True)
class MyCurrentFundingLocked:
    """BOLT 2 `my_current_funding_locked` of `channel_reestablish`: the last funding we locked."""

    my_current_funding_locked_txid: TxidField
    retransmit_flags: Byte


@dataclass(frozen=True, slots=True)
class AttributionData:
    """BOLT 4 `attribution_data`: 20 hold times (u32 each) and 210 HMACs of 4 bytes."""

    htlc_hold_times: Annotated[bytes, fixed(80, "20*u32")]
    truncated_hmacs: Annotated[bytes, fixed(840, "210*sha256[..4]")]


AttributionField = Annotated[AttributionData | None, Tlv(1, composite(AttributionData))]
UpfrontShutdownScript = Annotated[bytes | None, Tlv(0, rest)]
ChannelTypeField = Annotated[bytes | None, Tlv(1, rest)]

# --- opening ------------------------------------------------------------------------------------


@message(32)
class OpenChannel(Message):
    """BOLT 2 `open_channel`: the opener's proposal (channel establishment v1)."""

    chain_hash: ChainHashField
    temporary_channel_id: TemporaryId
    funding_satoshis: Sat
    push_msat: Msat
    dust_limit_satoshis: Sat
    max_htlc_value_in_flight_msat: Msat
    channel_reserve_satoshis: Sat
    htlc_minimum_msat: Msat
    feerate_per_kw: Feerate
    to_self_delay: U16
    max_accepted_htlcs: U16
    funding_pubkey: PointField
    revocation_basepoint: PointField
    payment_basepoint: PointField
    delayed_payment_basepoint: PointField
    htlc_basepoint: PointField
    first_per_commitment_point: PointField
    channel_flags: Byte
    upfront_shutdown_script: UpfrontShutdownScript = None
    channel_type: ChannelTypeField = None


@message(33)
class AcceptChannel(Message):
    """BOLT 2 `accept_channel`: the accepter's terms."""

    temporary_channel_id: TemporaryId
    dust_limit_satoshis: Sat
    max_htlc_value_in_flight_msat: Msat
    channel_reserve_satoshis: Sat
    htlc_minimum_msat: Msat
    minimum_depth: U32
    to_self_delay: U16
    max_accepted_htlcs: U16
    funding_pubkey: PointField
    revocation_basepoint: PointField
    payment_basepoint: PointField
    delayed_payment_basepoint: PointField
    htlc_basepoint: PointField
    first_per_commitment_point: PointField
    upfront_shutdown_script: UpfrontShutdownScript = None
    channel_type: ChannelTypeField = None


@message(34)
class FundingCreated(Message):
    """BOLT 2 `funding_created`: outpoint, and signature for the accepter's commitment."""

    temporary_channel_id: TemporaryId
    funding_txid: TxidField
    funding_output_index: U16
    signature: SignatureField


@message(35)
class FundingSigned(Message):
    """BOLT 2 `funding_signed`: a signature for the opener's first commitment."""

    channel_id: ChannelIdField
    signature: SignatureField


@message(36)
class ChannelReady(Message):
    """BOLT 2 `channel_ready`; `short_channel_id` is the alias by which the sender is reached."""

    channel_id: ChannelIdField
    second_per_commitment_point: PointField
    short_channel_id: Annotated[ShortChannelId | None, Tlv(1, scid)] = None


# --- closing ------------------------------------------------------------------------------------


@message(38)
class Shutdown(Message):
    """BOLT 2 `shutdown`: no new HTLCs from now on; where the sender's money shall go."""

    channel_id: ChannelIdField
    scriptpubkey: Var


@message(39)
class ClosingSigned(Message):
    """BOLT 2 `closing_signed`: an offer of a closing fee, signed."""

    channel_id: ChannelIdField
    fee_satoshis: Sat
    signature: SignatureField
    fee_range: Annotated[FeeRange | None, Tlv(1, composite(FeeRange))] = None


@message(40)
class ClosingComplete(Message):
    """BOLT 2 `closing_complete` (option_simple_close): signatures for one to three variants."""

    channel_id: ChannelIdField
    closer_scriptpubkey: Var
    closee_scriptpubkey: Var
    fee_satoshis: Sat
    locktime: U32
    closer_output_only: Annotated[Signature | None, Tlv(1, signature)] = None
    closee_output_only: Annotated[Signature | None, Tlv(2, signature)] = None
    closer_and_closee_outputs: Annotated[Signature | None, Tlv(3, signature)] = None


@message(41)
class ClosingSig(Message):
    """BOLT 2 `closing_sig` (option_simple_close): the closee's signature for the chosen variant."""

    channel_id: ChannelIdField
    closer_scriptpubkey: Var
    closee_scriptpubkey: Var
    fee_satoshis: Sat
    locktime: U32
    closer_output_only: Annotated[Signature | None, Tlv(1, signature)] = None
    closee_output_only: Annotated[Signature | None, Tlv(2, signature)] = None
    closer_and_closee_outputs: Annotated[Signature | None, Tlv(3, signature)] = None


# --- operating ----------------------------------------------------------------------------------


@message(128)
class UpdateAddHtlc(Message):
    """BOLT 2 `update_add_htlc`."""

    channel_id: ChannelIdField
    id: U64
    amount_msat: Msat
    payment_hash: PaymentHashField
    cltv_expiry: Expiry
    onion_routing_packet: Annotated[bytes, fixed(1366)]
    path_key: Annotated[Point | None, Tlv(0, point, record="blinded_path")] = None


@message(130)
class UpdateFulfillHtlc(Message):
    """BOLT 2 `update_fulfill_htlc`."""

    channel_id: ChannelIdField
    id: U64
    payment_preimage: PreimageField
    attribution_data: AttributionField = None


@message(131)
class UpdateFailHtlc(Message):
    """BOLT 2 `update_fail_htlc`; `reason` is an encrypted BOLT 4 return packet."""

    channel_id: ChannelIdField
    id: U64
    reason: Var
    attribution_data: AttributionField = None


@message(135)
class UpdateFailMalformedHtlc(Message):
    """BOLT 2 `update_fail_malformed_htlc`: the onion could not be parsed."""

    channel_id: ChannelIdField
    id: U64
    sha256_of_onion: Sha256
    failure_code: U16


@message(132)
class CommitmentSigned(Message):
    """BOLT 2 `commitment_signed`; `htlc_signatures` is the BOLT's repeated `htlc_signature`."""

    channel_id: ChannelIdField
    signature: SignatureField
    htlc_signatures: Annotated[tuple[Signature, ...], counted(signature)]
    funding_txid: Annotated[Txid | None, Tlv(1, txid)] = None


@message(133)
class RevokeAndAck(Message):
    """BOLT 2 `revoke_and_ack`."""

    channel_id: ChannelIdField
    per_commitment_secret: SecretField
    next_per_commitment_point: PointField


@message(134)
class UpdateFee(Message):
    """BOLT 2 `update_fee`."""

    channel_id: ChannelIdField
    feerate_per_kw: Feerate


@message(136)
class ChannelReestablish(Message):
    """BOLT 2 `channel_reestablish`: the first word about a channel after a reconnect."""

    channel_id: ChannelIdField
    next_commitment_number: U64
    next_revocation_number: U64
    your_last_per_commitment_secret: SecretField
    my_current_per_commitment_point: PointField
    next_funding: Annotated[NextFunding | None, Tlv(1, composite(NextFunding))] = None
    my_current_funding_locked: Annotated[
        MyCurrentFundingLocked | None, Tlv(5, composite(MyCurrentFundingLocked))
    ] = None
