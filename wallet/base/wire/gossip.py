"""Messages of BOLT 7: who has channels with whom, on what terms, and how to ask for more.

A signature covers a message's bytes from a place on, unknown records included; `signed_bytes`
gives them.  They need no copy of what was received, because a message that decodes encodes back to
the same bytes.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from wallet.base.wire.codec import (
    U32,
    Byte,
    ChainHashField,
    ChannelIdField,
    Delta,
    Msat,
    Msat32,
    NodeIdField,
    PointField,
    Scid,
    SignatureField,
    Var,
    bigsize,
    composite,
    fixed,
    repeated,
    rest,
)
from wallet.base.wire.message import Message, encode, message
from wallet.base.wire.tlv import Tlv

# --- records of several values ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueryFlags:
    """BOLT 7 `query_flags`: one bigsize for each queried channel; encoding 0 is uncompressed."""

    encoding_type: Byte
    encoded_query_flags: Annotated[bytes, rest]


@dataclass(frozen=True, slots=True)
class Timestamps:
    """BOLT 7 `timestamps_tlv`: two u32 for each channel; encoding 0 is uncompressed."""

    encoding_type: Byte
    encoded_timestamps: Annotated[bytes, rest]


@dataclass(frozen=True, slots=True)
class ChannelUpdateChecksums:
    """BOLT 7 `channel_update_checksums`: CRC32C of both sides' updates, 0 where there is none."""

    checksum_node_id_1: U32
    checksum_node_id_2: U32


# --- announcements ------------------------------------------------------------------------------


@message(259)
class AnnouncementSignatures(Message):
    """BOLT 7 `announcement_signatures`: our half of the proof, to the channel's peer."""

    channel_id: ChannelIdField
    short_channel_id: Scid
    node_signature: SignatureField
    bitcoin_signature: SignatureField


@message(256, relayed=True)
class ChannelAnnouncement(Message):
    """BOLT 7 `channel_announcement`: two nodes own the output that `short_channel_id` names."""

    node_signature_1: SignatureField
    node_signature_2: SignatureField
    bitcoin_signature_1: SignatureField
    bitcoin_signature_2: SignatureField
    features: Var
    chain_hash: ChainHashField
    short_channel_id: Scid
    node_id_1: NodeIdField
    node_id_2: NodeIdField
    bitcoin_key_1: PointField
    bitcoin_key_2: PointField


@message(257, relayed=True)
class NodeAnnouncement(Message):
    """BOLT 7 `node_announcement`. `alias` is any 32 bytes: make it safe before showing it."""

    signature: SignatureField
    features: Var
    timestamp: U32
    node_id: NodeIdField
    rgb_color: Annotated[bytes, fixed(3)]
    alias: Annotated[bytes, fixed(32)]
    addresses: Var


@message(258, relayed=True)
class ChannelUpdate(Message):
    """BOLT 7 `channel_update`: the terms of one direction; bit 0 of `channel_flags` says which."""

    signature: SignatureField
    chain_hash: ChainHashField
    short_channel_id: Scid
    timestamp: U32
    message_flags: Byte
    channel_flags: Byte
    cltv_expiry_delta: Delta
    htlc_minimum_msat: Msat
    fee_base_msat: Msat32
    fee_proportional_millionths: U32
    htlc_maximum_msat: Msat


# --- queries ------------------------------------------------------------------------------------


@message(261)
class QueryShortChannelIds(Message):
    """BOLT 7 `query_short_channel_ids`: first byte of `encoded_short_ids` is the encoding, 0."""

    chain_hash: ChainHashField
    encoded_short_ids: Var
    query_flags: Annotated[QueryFlags | None, Tlv(1, composite(QueryFlags))] = None


@message(262)
class ReplyShortChannelIdsEnd(Message):
    """BOLT 7 `reply_short_channel_ids_end`."""

    chain_hash: ChainHashField
    full_information: Byte


@message(263)
class QueryChannelRange(Message):
    """BOLT 7 `query_channel_range`; bits of `query_option`: 0 timestamps, 1 checksums."""

    chain_hash: ChainHashField
    first_blocknum: U32
    number_of_blocks: U32
    query_option: Annotated[int | None, Tlv(1, bigsize)] = None


@message(264)
class ReplyChannelRange(Message):
    """BOLT 7 `reply_channel_range`: first byte of `encoded_short_ids` is the encoding, 0."""

    chain_hash: ChainHashField
    first_blocknum: U32
    number_of_blocks: U32
    sync_complete: Byte
    encoded_short_ids: Var
    timestamps_tlv: Annotated[Timestamps | None, Tlv(1, composite(Timestamps))] = None
    checksums_tlv: Annotated[
        tuple[ChannelUpdateChecksums, ...] | None,
        Tlv(3, repeated(composite(ChannelUpdateChecksums))),
    ] = None


@message(265)
class GossipTimestampFilter(Message):
    """BOLT 7 `gossip_timestamp_filter`: relay gossip of these times to us."""

    chain_hash: ChainHashField
    first_timestamp: U32
    timestamp_range: U32


# --- what signatures cover ----------------------------------------------------------------------

_TYPE_SIZE: Final = 2
_SIGNATURE_SIZE: Final = 64


def signed_bytes(signed: ChannelAnnouncement | NodeAnnouncement | ChannelUpdate) -> bytes:
    """BOLT 7: what the double-SHA256 of a gossip signature is taken over.

    Everything after the signatures, extension included, without the message type.
    """
    signatures = 4 if isinstance(signed, ChannelAnnouncement) else 1
    return encode(signed)[_TYPE_SIZE + signatures * _SIGNATURE_SIZE :]
