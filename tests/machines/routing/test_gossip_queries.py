"""BOLT 7: what a peer gets that asks for parts of the map, or for what is new."""

import struct
from itertools import pairwise

import pytest

from tests.support.gossip import ANN, BEN, CAT, NOW, announcement, book, found, node, scid, update
from wallet.base.bitcoin.chains import REGTEST, SIGNET
from wallet.base.errors import PeerFault
from wallet.base.wire.gossip import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    QueryChannelRange,
    QueryFlags,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    Timestamps,
)
from wallet.base.wire.message import encode
from wallet.machines.routing.gossip_book import Gossip, direction_of
from wallet.machines.routing.gossip_queries import (
    CHANNELS_LOOKED_AT,
    EVERY_BLOCK,
    MAX_IN_REPLY,
    WANTS_TIMESTAMPS,
    TimeRange,
    answer_ids,
    answer_range,
    backlog,
    checksum,
    crc32c,
    is_last,
    lacking,
    query_for,
    range_of,
)

ONE, TWO = scid(110), scid(120)
LINE = ((ANN, BEN, ONE), (BEN, CAT, TWO))
EVER = TimeRange(0, 1 << 32)


def _ids(*scids: int) -> bytes:
    return b"\0" + struct.pack(f">{len(scids)}Q", *scids)


def _query(*scids: int, flags: bytes | None = None) -> QueryShortChannelIds:
    asked = None if flags is None else QueryFlags(0, flags)
    return QueryShortChannelIds(REGTEST.chain_hash, _ids(*scids), asked)


def _answers(gossip: Gossip, query: QueryShortChannelIds) -> list[object]:
    return list(answer_ids(gossip, query, REGTEST.chain_hash))


def _range(gossip: Gossip, first: int, number: int, options: int | None = None) -> list[object]:
    query = QueryChannelRange(REGTEST.chain_hash, first, number, options)
    return list(answer_range(gossip, query, REGTEST.chain_hash))


def _replies(gossip: Gossip, first: int, number: int) -> list[ReplyChannelRange]:
    return [r for r in _range(gossip, first, number) if isinstance(r, ReplyChannelRange)]


def _listed(reply: ReplyChannelRange) -> list[int]:
    assert reply.encoded_short_ids[:1] == b"\0"
    return [n for (n,) in struct.iter_unpack(">Q", reply.encoded_short_ids[1:])]


# --- the filter ---------------------------------------------------------------------------------


def test_backlog__announcements_come_before_what_needs_them() -> None:
    told = list(backlog(book(*LINE), EVER))
    assert [type(m) for m in told] == [
        ChannelAnnouncement,
        ChannelUpdate,
        ChannelUpdate,
        ChannelAnnouncement,
        ChannelUpdate,
        ChannelUpdate,
        NodeAnnouncement,
        NodeAnnouncement,
        NodeAnnouncement,
    ]


def test_backlog__only_of_the_time_asked_for() -> None:
    gossip = book(*LINE)
    gossip.add_update(update(ANN, BEN, ONE, NOW + 10))
    gossip.add_node(node(CAT, NOW + 20))
    told = list(backlog(gossip, TimeRange(NOW + 1, NOW + 21)))
    assert told == [
        announcement(ANN, BEN, ONE),
        update(ANN, BEN, ONE, NOW + 10),
        node(CAT, NOW + 20),
    ]
    assert list(backlog(gossip, TimeRange(NOW + 1, NOW + 10))) == []


def test_backlog__neither_without_an_update_nor_once_spent() -> None:
    gossip = book((ANN, BEN, ONE))
    gossip.add_channel(announcement(BEN, CAT, TWO), found(TWO))
    assert announcement(BEN, CAT, TWO) not in list(backlog(gossip, EVER))
    gossip.spent[ONE.to_int()] = 150
    assert [m for m in backlog(gossip, EVER) if isinstance(m, ChannelAnnouncement)] == []


def test_backlog__a_channel_forgotten_on_the_way_is_left_out() -> None:
    gossip = book(*LINE)
    told = backlog(gossip, EVER)
    first = [next(told) for _ in range(3)]
    gossip.remove_channel(TWO.to_int())
    rest = list(told)
    assert first[0] == announcement(ANN, BEN, ONE)
    assert {type(m) for m in rest} == {NodeAnnouncement}


def test_filter__its_end_is_outside() -> None:
    wanted = range_of(GossipTimestampFilter(REGTEST.chain_hash, 100, 50))
    assert [100 in wanted, 149 in wanted, 150 in wanted, 99 in wanted] == [True, True, False, False]
    everything = range_of(GossipTimestampFilter(REGTEST.chain_hash, 5, 0xFFFFFFFF))
    assert 0xFFFFFFFF in everything


# --- query_short_channel_ids --------------------------------------------------------------------


def test_ids__everything_of_a_channel_then_the_end() -> None:
    answers = _answers(book(*LINE), _query(TWO.to_int()))
    nodes = {BEN.id: node(BEN), CAT.id: node(CAT)}
    assert answers[0] == announcement(BEN, CAT, TWO)
    assert {encode(m) for m in answers[1:3] if isinstance(m, ChannelUpdate)} == {
        encode(update(BEN, CAT, TWO)),
        encode(update(CAT, BEN, TWO)),
    }
    assert answers[3:5] == [nodes[n] for n in sorted(nodes)]
    assert answers[5:] == [ReplyShortChannelIdsEnd(REGTEST.chain_hash, 1)]


@pytest.mark.parametrize(
    ("flag", "kinds"),
    [
        (1, [ChannelAnnouncement]),
        (2, [ChannelUpdate]),
        (4, [ChannelUpdate]),
        (8, [NodeAnnouncement]),
        (16, [NodeAnnouncement]),
        (0, []),
        (6, [ChannelUpdate, ChannelUpdate]),
    ],
)
def test_ids__each_flag_asks_for_one_thing(flag: int, kinds: list[type]) -> None:
    answers = _answers(book(*LINE), _query(ONE.to_int(), flags=bytes([flag])))
    assert [type(m) for m in answers[:-1]] == kinds
    owners = {2: 0, 4: 1}
    if flag in owners:
        (told, _) = answers
        assert isinstance(told, ChannelUpdate)
        assert told.channel_flags & 1 == owners[flag]


def test_ids__no_node_is_told_twice() -> None:
    answers = _answers(book(*LINE), _query(ONE.to_int(), TWO.to_int()))
    told = [m.node_id for m in answers if isinstance(m, NodeAnnouncement)]
    assert sorted(told) == sorted({ANN.id, BEN.id, CAT.id})


def test_ids__unknown_channel_and_unknown_chain() -> None:
    end = ReplyShortChannelIdsEnd(REGTEST.chain_hash, 1)
    assert _answers(book(*LINE), _query(scid(1).to_int())) == [end]
    elsewhere = QueryShortChannelIds(SIGNET.chain_hash, _ids(ONE.to_int()))
    answers = list(answer_ids(book(*LINE), elsewhere, REGTEST.chain_hash))
    assert answers == [ReplyShortChannelIdsEnd(SIGNET.chain_hash, 0)]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (QueryShortChannelIds(REGTEST.chain_hash, b""), "unknown encoding"),
        (QueryShortChannelIds(REGTEST.chain_hash, b"\x01" + bytes(8)), "unknown encoding"),
        (QueryShortChannelIds(REGTEST.chain_hash, bytes(8)), "whole number"),
        (_query(1, 2, flags=b"\x01"), "1 flags for 2"),
        (_query(1, flags=b"\xfd\x00"), "query_flags"),
        (QueryShortChannelIds(REGTEST.chain_hash, _ids(1), QueryFlags(1, b"\x01")), "encoding"),
    ],
)
def test_ids__a_query_that_cannot_be_read(query: QueryShortChannelIds, why: str) -> None:
    with pytest.raises(PeerFault, match=why):
        answer_ids(book(), query, REGTEST.chain_hash)


# --- query_channel_range ------------------------------------------------------------------------


def test_range__channels_of_these_blocks() -> None:
    gossip = book(*LINE)
    (reply,) = _replies(gossip, 110, 10)
    assert _listed(reply) == [ONE.to_int()]
    assert (reply.first_blocknum, reply.number_of_blocks, reply.sync_complete) == (110, 10, 1)
    (reply,) = _replies(gossip, 110, 11)
    assert _listed(reply) == [ONE.to_int(), TWO.to_int()]
    (reply,) = _replies(gossip, 0, 110)
    assert _listed(reply) == []


def test_range__another_chain_is_empty() -> None:
    query = QueryChannelRange(SIGNET.chain_hash, 0, 1000)
    (reply,) = answer_range(book(*LINE), query, REGTEST.chain_hash)
    assert isinstance(reply, ReplyChannelRange)
    assert (reply.chain_hash, _listed(reply), reply.sync_complete) == (SIGNET.chain_hash, [], 1)


def test_range__timestamps_and_checksums_as_asked() -> None:
    gossip = book((ANN, BEN, ONE))
    newer = update(ANN, BEN, ONE, NOW + 7)
    gossip.add_update(newer)
    direction = newer.channel_flags & 1
    (reply,) = _range(gossip, 0, 1000, 3)
    assert isinstance(reply, ReplyChannelRange)
    assert reply.timestamps_tlv is not None
    assert reply.checksums_tlv is not None
    times = struct.unpack(">2I", reply.timestamps_tlv.encoded_timestamps)
    assert (times[direction], times[1 - direction]) == (NOW + 7, NOW)
    (sums,) = reply.checksums_tlv
    ours = (sums.checksum_node_id_1, sums.checksum_node_id_2)[direction]
    # Neither the signature nor the time is in it: the same terms have the same checksum.
    assert ours == checksum(encode(update(ANN, BEN, ONE, NOW)))
    assert ours != checksum(encode(update(ANN, BEN, ONE, NOW, fee_base=1)))
    (plain,) = _replies(gossip, 0, 1000)
    assert (plain.timestamps_tlv, plain.checksums_tlv) == (None, None)


def test_range__no_update_is_a_zero() -> None:
    gossip = book()
    gossip.add_channel(announcement(ANN, BEN, ONE), found(ONE))
    (reply,) = _range(gossip, 0, 1000, 3)
    assert isinstance(reply, ReplyChannelRange)
    assert reply.timestamps_tlv is not None
    assert reply.timestamps_tlv.encoded_timestamps == bytes(8)
    assert reply.checksums_tlv is not None
    assert [(s.checksum_node_id_1, s.checksum_node_id_2) for s in reply.checksums_tlv] == [(0, 0)]


@pytest.mark.parametrize("per_block", [1, 7, MAX_IN_REPLY + 3])
def test_range__many_channels_take_several_replies(per_block: int) -> None:
    gossip = book()
    total = 2 * MAX_IN_REPLY + 11
    expected = [scid(100 + n // per_block, n % per_block).to_int() for n in range(total)]
    gossip.channels.update(dict.fromkeys(expected))  # type: ignore[arg-type]
    replies = _replies(gossip, 50, 1_000_000)
    assert [s for r in replies for s in _listed(r)] == expected
    assert [r.sync_complete for r in replies] == [0, 0, 1]
    assert replies[0].first_blocknum == 50
    last = replies[-1]
    assert last.first_blocknum + last.number_of_blocks == 1_000_050
    for before, after in pairwise(replies):
        end = before.first_blocknum + before.number_of_blocks
        # No gap; a block that was split is named by both.
        assert after.first_blocknum in (end, end - 1)
        assert after.first_blocknum >= before.first_blocknum
    for reply in replies:
        blocks = range(reply.first_blocknum, reply.first_blocknum + reply.number_of_blocks)
        assert all(s >> 40 in blocks for s in _listed(reply))


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        # RFC 3720 appendix B.4.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_crc32c__vectors(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


def test_backlog__many_that_do_not_fit_are_looked_at_in_parts() -> None:
    gossip = book((ANN, BEN, ONE))
    others = [scid(200 + n).to_int() for n in range(2 * CHANNELS_LOOKED_AT)]
    gossip.channels.update(dict.fromkeys(others, gossip.channels[ONE.to_int()]))
    assert list(backlog(gossip, TimeRange(1, 2))) == [None, None]


# --- asking -------------------------------------------------------------------------------------


@pytest.mark.parametrize("extended", [True, False])
def test_what_we_ask_is_what_we_answer(extended: bool) -> None:
    """One book learns all of another by its two questions, and then lacks nothing."""
    theirs, ours = book(*LINE), book((ANN, BEN, ONE))
    theirs.add_update(update(ANN, BEN, ONE, NOW + 10))
    replies = _range(theirs, 0, EVERY_BLOCK, WANTS_TIMESTAMPS if extended else None)
    (reply,) = [r for r in replies if isinstance(r, ReplyChannelRange)]
    assert is_last(reply)
    wanted = lacking(ours, reply, NOW - 100)
    # Without timestamps nobody can say that an update is newer.
    newer = [(ONE.to_int(), 2 << direction_of(update(ANN, BEN, ONE)))] if extended else []
    assert wanted == [*newer, (TWO.to_int(), 31)]
    told = _answers(theirs, query_for(REGTEST.chain_hash, wanted, with_flags=extended))
    assert (update(ANN, BEN, ONE, NOW + 10) in told) is extended
    assert announcement(BEN, CAT, TWO) in told
    assert node(CAT) in told
    assert lacking(theirs, reply, NOW - 100) == []
    if extended:
        assert lacking(ours, reply, NOW + 100) == [], "what would be pruned is not asked for"


def test_what_we_ask__names_are_in_order() -> None:
    query = query_for(REGTEST.chain_hash, [(TWO.to_int(), 2), (ONE.to_int(), 31)], with_flags=True)
    assert query == _query(ONE.to_int(), TWO.to_int(), flags=bytes((31, 2)))


@pytest.mark.parametrize(
    "reply",
    [
        ReplyChannelRange(REGTEST.chain_hash, 0, 1, 1, b""),
        ReplyChannelRange(REGTEST.chain_hash, 0, 1, 1, b"\1\0"),
        ReplyChannelRange(REGTEST.chain_hash, 0, 1, 1, b"\0" + bytes(9)),
        ReplyChannelRange(REGTEST.chain_hash, 0, 1, 1, b"\0" + bytes(8), Timestamps(0, bytes(4))),
        ReplyChannelRange(REGTEST.chain_hash, 0, 1, 1, b"\0" + bytes(8), Timestamps(1, bytes(8))),
    ],
)
def test_a_reply_that_cannot_be_read(reply: ReplyChannelRange) -> None:
    with pytest.raises(PeerFault):
        lacking(book(), reply, 0)
