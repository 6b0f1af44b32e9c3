"""Peers that send nothing old for a filter: they are asked, one at a time, for what we lack.

Each `Stranger` is a node as it was read: eclair answers queries and no filter, LDK the other way
round.
"""

import struct

import pytest

from tests.support import kernels
from tests.support.gossip import ANN, BEN, CAT, NOW, Signatory, announcement, node, update
from tests.support.gossip_world import GossipWorld, Stranger, cut
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.gossip import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    Timestamps,
)
from wallet.base.wire.message import Message
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.routing.gossip import TWO_WEEKS
from wallet.node.gossip_sync import LONGEST, PATIENCE, QUIET_SECONDS

CHAIN = REGTEST.chain_hash
EXTENDED = Features(OUR_INIT.bits | {Feature.GOSSIP_QUERIES_EX + 1}).to_bytes()
ALL = 0xFFFFFFFF
DONE = ReplyShortChannelIdsEnd(CHAIN, 1)


class Clock:
    """The time of all houses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    async def wait(self, world: GossipWorld, seconds: int) -> None:
        """So many seconds later there is a tick."""
        self._patch.setattr(kernels, "NOW", kernels.NOW + seconds)
        await world.tick()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def listed(
    *scids: ShortChannelId, times: tuple[tuple[int, int], ...] = (), last: int = 1
) -> ReplyChannelRange:
    """As eclair says it: all blocks in one reply."""
    ids = b"\0" + b"".join(struct.pack(">Q", scid.to_int()) for scid in scids)
    packed = b"".join(struct.pack(">II", *pair) for pair in times)
    stamps = Timestamps(0, packed) if times else None
    return ReplyChannelRange(CHAIN, 0, ALL if last else 100, last, ids, stamps)


def questions(stranger: Stranger) -> list[Message]:
    """What it was asked, beside the filter."""
    kinds = QueryChannelRange | QueryShortChannelIds
    return [m for m in stranger.heard if isinstance(m, kinds)]


def asked_for(message: Message) -> list[tuple[int, int | None]]:
    """Channels of a query, with their flags."""
    assert isinstance(message, QueryShortChannelIds)
    raw = message.encoded_short_ids
    assert raw[:1] == b"\0"
    scids = struct.unpack(f">{len(raw) // 8}Q", raw[1:])
    if message.query_flags is None:
        return [(scid, None) for scid in scids]
    return list(zip(scids, message.query_flags.encoded_query_flags, strict=True))


async def linked(world: GossipWorld, clock: Clock, *strangers: Stranger) -> None:
    """They are there, and have had their time to answer our filter."""
    for stranger in strangers:
        stranger.link(world.alice)
    await world.settle()
    await clock.wait(world, 1)
    await clock.wait(world, QUIET_SECONDS)


async def greeted(world: GossipWorld, clock: Clock, stranger: Stranger) -> None:
    """It is there, has our filter, and sends nothing for it."""
    stranger.link(world.alice)
    await world.settle()
    await clock.wait(world, 1)
    assert [type(m) for m in stranger.heard] == [GossipTimestampFilter]
    await clock.wait(world, QUIET_SECONDS - 1)
    assert questions(stranger) == []
    await clock.wait(world, 1)


async def test_eclair_sends_nothing_old__what_it_lists_is_asked_for(clock: Clock) -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        eclair = Stranger(CAT, EXTENDED)
        await greeted(world, clock, eclair)
        assert questions(eclair) == [QueryChannelRange(CHAIN, 0, ALL, 1)]
        eclair.says(world.alice, listed(at, times=((NOW, NOW - 5),)))
        await world.settle()
        assert asked_for(eclair.heard[-1]) == [(at.to_int(), 31)]
        told = [announcement(ANN, BEN, at), update(ANN, BEN, at), update(BEN, ANN, at), node(ANN)]
        eclair.says(world.alice, *told, DONE)
        await world.settle()
        book = world.alice.kernel.board.memory.gossip
        assert (len(book.channels), len(book.updates), set(book.nodes)) == (1, 2, {ANN.id})
        assert world.alice.kernel.board.memory.traffic.sync is None
        await clock.wait(world, 10 * LONGEST)
        assert len(questions(eclair)) == 2, "once on each connection"


async def test_a_channel_that_is_known__only_newer_terms_are_asked_for(clock: Clock) -> None:
    async with GossipWorld() as world:
        at, other = await world.fund(ANN, BEN), await world.fund(ANN, CAT)
        eclair = Stranger(CAT, EXTENDED)
        eclair.link(world.alice)
        eclair.says(world.alice, announcement(ANN, BEN, at), update(ANN, BEN, at))
        await world.settle()
        direction = update(ANN, BEN, at).channel_flags & 1
        for stamp in (NOW, NOW + 9):
            eclair.heard.clear()
            cut(world.alice, world.alice.transport.linked[CAT.id])
            await world.settle()
            await greeted(world, clock, eclair)
            ours, stale = (stamp, 0), (NOW - TWO_WEEKS - 9, 0)
            pair = ours if direction == 0 else ours[::-1]
            eclair.says(world.alice, listed(at, other, times=(pair, stale)))
            await world.settle()
            wanted = questions(eclair)[1:]
            if stamp == NOW:
                assert wanted == []
            else:
                assert [asked_for(m) for m in wanted] == [[(at.to_int(), 2 << direction)]]


async def test_a_peer_without_extended_queries__is_asked_for_what_is_unknown(clock: Clock) -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        known = await world.fund(ANN, CAT)
        peer = Stranger(CAT)
        source = Stranger(Signatory("dan"), b"")
        source.link(world.alice)
        source.says(world.alice, announcement(ANN, CAT, known))
        await world.settle()
        await linked(world, clock, peer)
        assert questions(peer) == [QueryChannelRange(CHAIN, 0, ALL)]
        peer.says(world.alice, listed(known, at))
        await world.settle()
        assert asked_for(peer.heard[-1]) == [(at.to_int(), None)]
        # What does not speak of gossip queries is not asked.
        assert questions(source) == []


async def test_many_channels__are_asked_for_in_parts(clock: Clock) -> None:
    async with GossipWorld() as world:
        peer = Stranger(CAT)
        await greeted(world, clock, peer)
        names = [ShortChannelId(500, n, 0) for n in range(230)]
        peer.says(world.alice, listed(*names[:150], last=0), listed(*names[150:]))
        await world.settle()
        sizes = []
        for _ in range(3):
            sizes.append(len(asked_for(peer.heard[-1])))
            peer.says(world.alice, DONE)
            await world.settle()
        assert sizes == [100, 100, 30]
        assert world.alice.kernel.board.memory.traffic.sync is None
        assert len(questions(peer)) == 4


async def test_no_more_is_asked_for_than_can_be_checked(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wallet.node.gossip_traffic.PER_PEER", 4)
    async with GossipWorld() as world:
        peer = Stranger(CAT)
        await greeted(world, clock, peer)
        checker = world.checkers["alice"]
        checker.held = True
        await world.bury(10)
        names = [ShortChannelId(1, n, 0) for n in range(1, 140)]
        peer.says(world.alice, *(announcement(ANN, BEN, at) for at in names[:3]))
        peer.says(world.alice, listed(*names))
        await clock.wait(world, 1)
        assert len(questions(peer)) == 1
        checker.held = False
        checker.go_on()
        await world.settle()
        await clock.wait(world, 1)
        assert len(questions(peer)) == 2


async def test_ldk_does_not_answer__and_the_next_one_is_asked(clock: Clock) -> None:
    async with GossipWorld() as world:
        ldk, eclair = Stranger(ANN), Stranger(BEN)
        await linked(world, clock, ldk, eclair)
        ldk.says(world.alice, listed(ShortChannelId(500, 1, 0)))
        await world.settle()
        assert (len(questions(ldk)), len(questions(eclair))) == (2, 0)
        await clock.wait(world, PATIENCE + 1)
        assert (len(questions(ldk)), len(questions(eclair))) == (2, 1)


async def test_one_that_answers_without_end__has_its_hour(clock: Clock) -> None:
    async with GossipWorld() as world:
        endless, other = Stranger(ANN), Stranger(BEN)
        await linked(world, clock, endless, other)
        for _ in range(LONGEST // PATIENCE + 1):
            endless.says(world.alice, listed(last=0))
            await clock.wait(world, PATIENCE)
        assert len(questions(other)) == 1


async def test_replies_that_nobody_asked_for_or_that_cannot_be_read(clock: Clock) -> None:
    async with GossipWorld() as world:
        at = ShortChannelId(500, 1, 0)
        peer, other = Stranger(CAT, EXTENDED), Stranger(ANN, EXTENDED)
        peer.link(world.alice)
        peer.says(world.alice, listed(at), DONE)
        await world.settle()
        assert peer.heard == []
        await greeted(world, clock, peer)
        other.link(world.alice)
        other.says(world.alice, listed(at), DONE)
        peer.says(world.alice, DONE)
        await world.settle()
        assert (questions(other), len(questions(peer))) == ([], 1)
        peer.says(world.alice, listed(at, times=((1, 2), (3, 4))))
        await world.settle()
        assert [type(m) for m in peer.heard[-1:]] == [PeerWarning]
        assert world.alice.kernel.board.memory.traffic.sync is None
        assert peer.dropped is None
