"""BOLT 7: what we send of our book to a peer that asks for it, and what we ask of a peer's.

Every answer is an iterator: its owner takes a slice at a time, so that a map of the whole network
never stands in a link's queue at once.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from wallet.base.errors import DecodeError, PeerFault, Severity
from wallet.base.values.ids import ChainHash, NodeId
from wallet.base.wire.codec import read_bigsize
from wallet.base.wire.gossip import (
    ChannelUpdateChecksums,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryFlags,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    Timestamps,
)
from wallet.base.wire.message import Message
from wallet.machines.routing.gossip_book import Gossip
from wallet.machines.routing.graph import edge_key

EVERY_BLOCK: Final = 0xFFFFFFFF
"""`number_of_blocks` of a query for all channels."""
UNCOMPRESSED: Final = b"\0"
"""BOLT 7: the only encoding that is left."""
MAX_IN_REPLY: Final = 500
"""Channels in one `reply_channel_range`: at most 24 bytes each, and few checksums at a time."""

CHANNELS_LOOKED_AT: Final = 1_000

WANTS_TIMESTAMPS: Final = 1
"""BOLT 7 `query_option`."""
_WANTS_CHECKSUMS: Final = 2
_ANNOUNCEMENT: Final = 1
_UPDATES: Final = (2, 4)
_NODES: Final = (8, 16)
_EVERYTHING: Final = 31


@dataclass(frozen=True, slots=True)
class TimeRange:
    """What a peer wants to hear of: timestamps from `first` to before `end`."""

    first: int
    end: int

    def __contains__(self, timestamp: int) -> bool:
        return self.first <= timestamp < self.end


def range_of(message: GossipTimestampFilter) -> TimeRange:
    """The range of a filter."""
    return TimeRange(message.first_timestamp, message.first_timestamp + message.timestamp_range)


def backlog(gossip: Gossip, wanted: TimeRange) -> Iterator[Message | None]:
    """Everything we know within a range of time, announcements before what needs them.

    None stands for `CHANNELS_LOOKED_AT` that were looked at: they cost time even if none fits.
    """
    for number, scid in enumerate(list(gossip.channels)):
        if number % CHANNELS_LOOKED_AT == CHANNELS_LOOKED_AT - 1:
            yield None
        # BOLT 7: "If a `channel_announcement` has no corresponding `channel_update`s: MUST NOT
        # send", and SHOULD NOT once its output is spent.
        times = [gossip.update_time(scid, direction) for direction in (0, 1)]
        fresh = [direction for direction in (0, 1) if times[direction] in wanted]
        if scid not in gossip.channels or scid in gossip.spent or not any(times) or not fresh:
            continue
        yield gossip.announcement(scid)
        for direction in fresh:
            yield from _one(gossip.update(scid, direction))
    for node_id in list(gossip.nodes):
        if gossip.node_time(node_id) in wanted:
            yield from _one(gossip.node(node_id))


def _one(message: Message | None) -> Iterator[Message]:
    if message is not None:
        yield message


# --- query_short_channel_ids --------------------------------------------------------------------


def answer_ids(
    gossip: Gossip, query: QueryShortChannelIds, chain_hash: ChainHash
) -> Iterator[Message]:
    """BOLT 7 `query_short_channel_ids`: what is asked of each channel, then the end.

    Raises `PeerFault` at once when the query cannot be read.
    """
    scids = _scids_in(query.encoded_short_ids, query.name)
    flags = _flags_in(query.query_flags, len(scids))
    ours = query.chain_hash == chain_hash
    asked = list(zip(scids, flags, strict=True)) if ours else []
    return _answer_ids(gossip, asked, query.chain_hash, full=ours)


def _answer_ids(
    gossip: Gossip, asked: Sequence[tuple[int, int]], chain_hash: ChainHash, *, full: bool
) -> Iterator[Message]:
    told: set[NodeId] = set()
    for scid, flags in asked:
        if scid not in gossip.channels:
            continue
        if flags & _ANNOUNCEMENT:
            yield gossip.announcement(scid)
        for direction, bit in enumerate(_UPDATES):
            if flags & bit:
                yield from _one(gossip.update(scid, direction))
        for direction, bit in enumerate(_NODES):
            node_id = gossip.owner(scid, direction)
            # BOLT 7: SHOULD avoid sending duplicate `node_announcement`s.
            if flags & bit and node_id is not None and node_id not in told:
                told.add(node_id)
                yield from _one(gossip.node(node_id))
    yield ReplyShortChannelIdsEnd(chain_hash, int(full))


def _scids_in(encoded: bytes, name: str) -> list[int]:
    if encoded[:1] != UNCOMPRESSED:
        raise PeerFault(Severity.WARN, f"{name}: unknown encoding")
    if len(encoded) % 8 != 1:
        raise PeerFault(Severity.WARN, f"{name}: not a whole number of ids")
    return list(struct.unpack(f">{len(encoded) // 8}Q", encoded[1:]))


def _flags_in(flags: QueryFlags | None, count: int) -> list[int]:
    if flags is None:
        return [_EVERYTHING] * count
    if flags.encoding_type != UNCOMPRESSED[0]:
        raise PeerFault(Severity.WARN, "query_flags: unknown encoding")
    values: list[int] = []
    at, data = 0, flags.encoded_query_flags
    try:
        while at < len(data):
            value, at = read_bigsize(data, at)
            values.append(value)
    except DecodeError as error:
        raise PeerFault(Severity.WARN, f"query_flags: {error}") from None
    if len(values) != count:
        raise PeerFault(Severity.WARN, f"query_flags: {len(values)} flags for {count} channels")
    return values


# --- query_channel_range ------------------------------------------------------------------------


def answer_range(
    gossip: Gossip, query: QueryChannelRange, chain_hash: ChainHash
) -> Iterator[Message]:
    """BOLT 7 `query_channel_range`: the channels of some blocks, in one or more replies."""
    first, end = query.first_blocknum, query.first_blocknum + query.number_of_blocks
    found: list[int] = []
    if query.chain_hash == chain_hash:
        found = sorted(s for s in gossip.channels if first <= s >> 40 < end)
    parts = [found[at : at + MAX_IN_REPLY] for at in range(0, len(found), MAX_IN_REPLY)] or [[]]
    begins = first
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        # A block may be split: then the next reply begins with it again.
        ends = end if last else (part[-1] >> 40) + 1
        if number and part and part[0] >> 40 < begins:
            begins = part[0] >> 40
        yield _reply(gossip, query, part, begins, ends - begins, last)
        begins = ends


def _reply(
    gossip: Gossip, query: QueryChannelRange, part: list[int], begins: int, blocks: int, last: bool
) -> ReplyChannelRange:
    options = query.query_option or 0
    # A peer may ask to the end of u32, and a sum would not fit where a difference does.
    number_of_blocks = min(blocks, 0xFFFFFFFF)
    return ReplyChannelRange(
        query.chain_hash,
        begins,
        number_of_blocks,
        int(last),
        UNCOMPRESSED + struct.pack(f">{len(part)}Q", *part),
        _timestamps(gossip, part) if options & WANTS_TIMESTAMPS else None,
        _checksums(gossip, part) if options & _WANTS_CHECKSUMS else None,
    )


def _timestamps(gossip: Gossip, part: list[int]) -> Timestamps:
    times = [gossip.update_time(scid, direction) for scid in part for direction in (0, 1)]
    return Timestamps(UNCOMPRESSED[0], struct.pack(f">{len(times)}I", *times))


def _checksums(gossip: Gossip, part: list[int]) -> tuple[ChannelUpdateChecksums, ...]:
    def of(scid: int, direction: int) -> int:
        raw = gossip.updates.get(edge_key(scid, direction))
        return 0 if raw is None else checksum(raw)

    return tuple(ChannelUpdateChecksums(of(scid, 0), of(scid, 1)) for scid in part)


def checksum(update: bytes) -> int:
    """BOLT 7: CRC32C of an encoded `channel_update` without its signature and timestamp."""
    return crc32c(update[66:106] + update[110:])


def _crc_table() -> tuple[int, ...]:
    reversed_polynomial = 0x82F63B78
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (reversed_polynomial if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE: Final = _crc_table()


def crc32c(data: bytes) -> int:
    """RFC 3720 appendix B.4: the Castagnoli CRC."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


# --- what we ask --------------------------------------------------------------------------------

Lacking: TypeAlias = tuple[int, int]
"""A channel, and the `query_flags` for what of it we do not have."""


def lacking(gossip: Gossip, reply: ReplyChannelRange, oldest: int) -> list[Lacking]:
    """What the peer has beyond our book, as far as the reply tells. Raises `PeerFault`.

    `oldest`: what was said before that would be pruned (Unix time).
    """
    scids = _scids_in(reply.encoded_short_ids, reply.name)
    if reply.timestamps_tlv is None:
        return [(scid, _EVERYTHING) for scid in scids if scid not in gossip.channels]
    times = reply.timestamps_tlv
    if times.encoding_type != UNCOMPRESSED[0] or len(times.encoded_timestamps) != 8 * len(scids):
        raise PeerFault(Severity.WARN, "timestamps_tlv: not two for each channel")
    pairs = struct.iter_unpack(">II", times.encoded_timestamps)
    known = zip(scids, pairs, strict=True)
    flagged = ((scid, _flags(gossip, scid, pair, oldest)) for scid, pair in known)
    return [(scid, flags) for scid, flags in flagged if flags]


def _flags(gossip: Gossip, scid: int, times: tuple[int, int], oldest: int) -> int:
    fresh = [
        bit
        for direction, bit in enumerate(_UPDATES)
        if times[direction] > max(oldest, gossip.update_time(scid, direction))
    ]
    if not fresh:
        return 0
    return sum(fresh) if scid in gossip.channels else _EVERYTHING


def is_last(reply: ReplyChannelRange) -> bool:
    """Whether no other reply to a query for all channels follows."""
    return bool(reply.sync_complete) or reply.first_blocknum + reply.number_of_blocks >= EVERY_BLOCK


def query_for(
    chain_hash: ChainHash, part: Sequence[Lacking], *, with_flags: bool
) -> QueryShortChannelIds:
    """BOLT 7 `query_short_channel_ids`; without flags everything of the channels is asked for."""
    # LND reads none whose names are not in ascending order.
    part = sorted(part)
    ids = UNCOMPRESSED + struct.pack(f">{len(part)}Q", *(scid for scid, _ in part))
    flags = QueryFlags(UNCOMPRESSED[0], bytes(flags for _, flags in part)) if with_flags else None
    return QueryShortChannelIds(chain_hash, ids, flags)
