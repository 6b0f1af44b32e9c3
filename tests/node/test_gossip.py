"""Gossip through kernels: who learns of which channel, when, and what makes it go again."""

import random
from dataclasses import replace

import pytest

from tests.support import kernels
from tests.support.gossip import (
    ANN,
    BEN,
    CAT,
    NOW,
    UNSIGNED,
    Signatory,
    announcement,
    node,
    update,
)
from tests.support.gossip_world import GossipWorld, Stranger, cut, gossip_of, link
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.curve import sign
from wallet.base.crypto.hashes import sha256d
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.features import Features
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.gossip import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)
from wallet.base.wire.message import Message, encode
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.routing.gossip import ANNOUNCE_DEPTH, Checked, Verdict
from wallet.node import gossip_rows
from wallet.node.events import GossipChecked, NodeEvent, PeerSaid
from wallet.node.gossip_desk import LONGEST
from wallet.node.memory import Memory

EVERYTHING = GossipTimestampFilter(REGTEST.chain_hash, 0, 0xFFFFFFFF)
DAN = Signatory("dan")


def _channels(world: GossipWorld, name: str) -> list[str]:
    [house] = [h for h in world.houses if h.name == name]
    return [str(c.scid) for c in house.kernel.board.memory.graph.channels()]


def _memory(world: GossipWorld) -> Memory:
    return world.alice.kernel.board.memory


def _gossip(messages: list[Message]) -> list[Message]:
    kinds = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement
    return [m for m in messages if isinstance(m, kinds)]


# --- of others ----------------------------------------------------------------------------------


async def test_a_third_node__learns_of_a_channel_once_it_has_asked() -> None:
    async with GossipWorld(("carol",)) as world:
        scid = await world.announced()
        link(world.carol, world.bob)
        await world.settle()
        assert _channels(world, "carol") == []
        await world.tick()
        assert _channels(world, "carol") == [str(scid)]
        channel = world.carol.kernel.board.memory.graph.channel(scid)
        assert channel is not None
        assert {channel.node_1, channel.node_2} == {world.alice.id, world.bob.id}
        assert channel.capacity_sat == 1_000_000
        assert None not in channel.policies
        assert gossip_of(world.carol) == gossip_of(world.bob) == gossip_of(world.alice)
        node_of_alice = world.carol.kernel.board.memory.graph.node(world.alice.id)
        assert node_of_alice is not None
        assert node_of_alice.alias.rstrip(b"\0") == b"alice"


async def test_nothing_of_others__before_a_filter() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        source, silent, asker = Stranger(ANN), Stranger(CAT), Stranger(DAN)
        for stranger in (source, silent, asker):
            stranger.link(world.alice)
        asker.says(world.alice, EVERYTHING)
        told: list[Message] = [announcement(ANN, BEN, at), update(ANN, BEN, at), node(ANN)]
        source.says(world.alice, *told)
        await world.settle()
        assert _gossip(asker.heard) == [*told[:2], told[2]]
        assert _gossip(silent.heard) == []
        source.says(world.alice, EVERYTHING)
        await world.settle()
        source.heard.clear()
        newer = update(ANN, BEN, at, NOW + 1)
        source.says(world.alice, newer)
        await world.settle()
        # Not to whom we have it from.
        assert _gossip(source.heard) == []
        assert _gossip(asker.heard)[-1] == newer
        told[1] = newer
        silent.says(world.alice, EVERYTHING)
        await world.settle()
        assert _gossip(silent.heard) == told


async def test_filter__restricts_what_is_relayed_and_can_be_replaced() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        source, asker = Stranger(ANN), Stranger(DAN)
        source.link(world.alice)
        asker.link(world.alice)
        asker.says(world.alice, GossipTimestampFilter(REGTEST.chain_hash, NOW + 50, 100))
        source.says(world.alice, announcement(ANN, BEN, at), update(ANN, BEN, at))
        await world.settle()
        assert _gossip(asker.heard) == []
        newer = update(ANN, BEN, at, NOW + 60)
        source.says(world.alice, newer)
        await world.settle()
        assert _gossip(asker.heard) == [newer]
        asker.heard.clear()
        asker.says(world.alice, EVERYTHING)
        await world.settle()
        assert _gossip(asker.heard) == []
        await world.tick()
        assert _gossip(asker.heard) == [announcement(ANN, BEN, at), newer]


async def test_an_announcement_without_an_update__is_not_passed_on() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        source, asker = Stranger(ANN), Stranger(DAN)
        source.link(world.alice)
        asker.link(world.alice)
        asker.says(world.alice, EVERYTHING)
        source.says(world.alice, announcement(ANN, BEN, at), node(BEN))
        await world.settle()
        assert _channels(world, "alice") == [str(at)]
        assert [type(m) for m in _gossip(asker.heard)] == [NodeAnnouncement]
        source.says(world.alice, update(BEN, ANN, at))
        await world.settle()
        assert _gossip(asker.heard)[1:] == [
            announcement(ANN, BEN, at),
            update(BEN, ANN, at),
            node(BEN),
        ]


async def test_a_wrong_signature__costs_the_link() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        fine = announcement(ANN, BEN, at)
        wrong = replace(fine, bitcoin_signature_2=fine.bitcoin_signature_1)
        for message in (wrong, replace(update(ANN, BEN, at), signature=fine.node_signature_1)):
            stranger = Stranger(CAT)
            stranger.link(world.alice)
            stranger.says(world.alice, message)
            await world.settle()
            assert [type(m) for m in stranger.heard] == [PeerWarning]
            assert stranger.dropped is not None
            assert "signature" in stranger.dropped
            # The next one needs the channel.
            other = Stranger(DAN)
            other.link(world.alice)
            other.says(world.alice, fine)
            await world.settle()
            cut(world.alice, world.alice.transport.linked[DAN.id])
            await world.settle()
        assert _memory(world).gossip.updates == {}


async def test_an_output_that_is_not_theirs__is_ignored_and_nobody_blamed() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        spent = await world.fund(ANN, CAT)
        await world.spend(spent)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(
            world.alice,
            announcement(ANN, CAT, at),
            announcement(ANN, CAT, spent),
            announcement(ANN, BEN, ShortChannelId(at.block, 1, 1)),
            announcement(ANN, BEN, ShortChannelId(1, 0, 0)),
        )
        await world.settle()
        assert _channels(world, "alice") == []
        assert (stranger.heard, stranger.dropped) == ([], None)
        world.ledger.down = True
        stranger.says(world.alice, announcement(ANN, BEN, at))
        await world.settle()
        assert (stranger.heard, stranger.dropped) == ([], None)
        # A backend that was away is no reason never to hear of it.
        world.ledger.down = False
        stranger.says(world.alice, announcement(ANN, BEN, at))
        await world.settle()
        assert _channels(world, "alice") == [str(at)]


async def test_words_that_come_before_their_channel__wait_for_it() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        world.checkers["alice"].held = True
        stranger.says(world.alice, announcement(ANN, BEN, at), update(ANN, BEN, at), node(ANN))
        stranger.says(world.alice, update(CAT, BEN, ShortChannelId(3, 1, 0)), node(CAT))
        await world.settle()
        assert len(world.checkers["alice"].waiting) == 1
        world.checkers["alice"].held = False
        world.checkers["alice"].go_on()
        await world.settle()
        book = _memory(world).gossip
        assert (len(book.channels), len(book.updates), set(book.nodes)) == (1, 1, {ANN.id})
        traffic = _memory(world).traffic
        assert (traffic.waiting, traffic.unchecked, traffic.under_check) == (0, {}, set())
        assert (traffic.updates, traffic.nodes, traffic.channels_under_check) == ({}, {}, {})


async def test_a_node__waits_for_its_own_channel_only() -> None:
    async with GossipWorld() as world:
        at, elsewhere = await world.fund(ANN, BEN), await world.fund(BEN, CAT)
        checker = world.checkers["alice"]
        checker.held = True
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at), announcement(BEN, CAT, elsewhere))
        stranger.says(world.alice, node(ANN))
        await world.settle()
        checker.go_on(1)
        await world.settle()
        assert [type(c.message) for c in checker.waiting] == [ChannelAnnouncement, NodeAnnouncement]


async def test_a_wrong_signature__of_a_channel_that_went_away_is_nobodys_fault() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at))
        await world.settle()
        checker = world.checkers["alice"]
        checker.held = True
        fine = update(ANN, BEN, at)
        stranger.says(world.alice, replace(fine, timestamp=fine.timestamp + 1))
        await world.settle()
        assert len(checker.waiting) == 1
        for _ in range(ANNOUNCE_DEPTH):
            await world.unmine()
        checker.go_on()
        await world.settle()
        assert (stranger.heard, stranger.dropped) == ([], None)


async def test_a_young_channel__waits_for_its_blocks() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        await world.unmine()
        await world.unmine()
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at), update(ANN, BEN, at))
        await world.settle()
        await world.mine()
        assert _channels(world, "alice") == []
        await world.mine()
        assert _channels(world, "alice") == [str(at)]
        assert len(_memory(world).gossip.updates) == 1
        assert _memory(world).traffic.waiting == 0


async def test_a_flood__is_bounded_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wallet.node.gossip_traffic.PER_PEER", 20)
    async with GossipWorld() as world:
        checker = world.checkers["alice"]
        checker.held = True
        await world.bury(10)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        await world.settle()
        await world.tick()
        assert stranger.heard == [EVERYTHING]
        flood = [announcement(ANN, BEN, ShortChannelId(1, n, 0)) for n in range(1, 31)]
        stranger.says(world.alice, *flood[:10], *flood[:10])
        await world.settle()
        # The same words are checked once.
        assert len(checker.waiting) == 10
        stranger.says(world.alice, *flood)
        await world.settle()
        assert len(checker.waiting) == 20
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + 61)
        await world.tick()
        # There is no room yet.
        assert stranger.heard == [EVERYTHING]
        checker.held = False
        checker.go_on()
        await world.settle()
        await world.tick()
        assert stranger.heard == [EVERYTHING, EVERYTHING]
        await world.tick()
        assert len(stranger.heard) == 2


async def test_channels_beyond_our_tip__are_asked_for_again_once_we_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with GossipWorld() as world:
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        await world.settle()
        await world.tick()
        assert stranger.heard == [EVERYTHING]
        # Our chain backend has a day to catch up: the peer speaks of blocks that we have not seen.
        stranger.says(world.alice, announcement(ANN, BEN, ShortChannelId(world.height + 20, 1, 0)))
        await world.settle()
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + 61)
        await world.bury(19)
        await world.tick()
        assert stranger.heard == [EVERYTHING]
        await world.mine()
        await world.tick()
        await world.tick()
        assert stranger.heard == [EVERYTHING, EVERYTHING]


# --- the filter that we send --------------------------------------------------------------------


async def test_our_filter__by_what_the_peer_offers_and_what_we_know() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        first = Stranger(DAN)
        first.link(world.alice)
        await world.settle()
        await world.tick()
        assert first.heard == [EVERYTHING]
        await world.tick()
        assert first.heard == [EVERYTHING]
        first.says(world.alice, announcement(ANN, BEN, at))
        await world.settle()
        second = Stranger(CAT)
        second.link(world.alice)
        await world.settle()
        await world.tick()
        [asked] = second.heard
        assert isinstance(asked, GossipTimestampFilter)
        assert asked.first_timestamp == NOW - 14 * 86_400
        poor = Stranger(BEN, Features().to_bytes())
        poor.link(world.alice)
        await world.settle()
        await world.tick()
        assert poor.heard == [GossipTimestampFilter(REGTEST.chain_hash, 0xFFFFFFFF, 0)]


# --- queries ------------------------------------------------------------------------------------


async def test_queries__are_answered_over_the_wire() -> None:
    async with GossipWorld() as world:
        scid = await world.announced()
        stranger = Stranger(DAN)
        stranger.link(world.bob)
        stranger.says(world.bob, QueryChannelRange(REGTEST.chain_hash, 0, 1_000, 3))
        await world.settle()
        [reply] = stranger.heard
        assert isinstance(reply, ReplyChannelRange)
        assert reply.encoded_short_ids == b"\0" + scid.to_int().to_bytes(8, "big")
        stranger.says(world.bob, QueryShortChannelIds(REGTEST.chain_hash, reply.encoded_short_ids))
        await world.settle()
        answers = stranger.heard[1:]
        assert isinstance(answers[-1], ReplyShortChannelIdsEnd)
        kinds = [ChannelAnnouncement, ChannelUpdate, ChannelUpdate]
        assert [type(m) for m in answers[:3]] == kinds
        assert len(answers) == 6
        stranger.says(world.bob, QueryShortChannelIds(REGTEST.chain_hash, b"\x01"))
        await world.settle()
        assert isinstance(stranger.heard[-1], PeerWarning)
        assert stranger.dropped is None
        # Replies that nobody asked for are nothing.
        stranger.says(world.bob, reply, ReplyShortChannelIdsEnd(REGTEST.chain_hash, 1))
        await world.settle()
        assert isinstance(stranger.heard[-1], PeerWarning)


async def test_a_large_answer__comes_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wallet.node.gossip_relay.ANSWERS", 3)
    async with GossipWorld() as world:
        scid = await world.announced()
        stranger = Stranger(DAN)
        stranger.link(world.bob)
        query = QueryShortChannelIds(REGTEST.chain_hash, b"\0" + scid.to_int().to_bytes(8, "big"))
        stranger.says(world.bob, query, query)
        await world.settle()
        # BOLT 7: one question at a time.
        assert [type(m) for m in stranger.heard[:3]] == [
            ChannelAnnouncement,
            ChannelUpdate,
            ChannelUpdate,
        ]
        assert isinstance(stranger.heard[3], PeerWarning)
        await world.tick()
        rest = [m for m in stranger.heard[4:] if not isinstance(m, GossipTimestampFilter)]
        assert [type(m) for m in rest] == [
            NodeAnnouncement,
            NodeAnnouncement,
            ReplyShortChannelIdsEnd,
        ]


async def test_a_range__may_be_asked_while_channels_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wallet.node.gossip_relay.ANSWERS", 3)
    async with GossipWorld() as world:
        scid = await world.announced()
        stranger = Stranger(DAN)
        stranger.link(world.bob)
        ids = QueryShortChannelIds(REGTEST.chain_hash, b"\0" + scid.to_int().to_bytes(8, "big"))
        # BOLT 7: one question at a time, of each kind.
        stranger.says(world.bob, ids, QueryChannelRange(REGTEST.chain_hash, 0, 1_000))
        await world.settle()
        await world.tick()
        kinds = [type(m) for m in stranger.heard]
        assert PeerWarning not in kinds
        assert kinds.count(ReplyChannelRange) == 1
        assert kinds.count(ReplyShortChannelIdsEnd) == 1


# --- the chain ----------------------------------------------------------------------------------


async def test_a_spent_channel__is_forgotten_after_72_blocks() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        stranger, asker = Stranger(DAN), Stranger(CAT)
        stranger.link(world.alice)
        told: list[Message] = [announcement(ANN, BEN, at), update(ANN, BEN, at), node(ANN)]
        stranger.says(world.alice, *told)
        await world.settle()
        await world.spend(at)
        assert _channels(world, "alice") == [str(at)]
        asker.link(world.alice)
        asker.says(world.alice, EVERYTHING)
        await world.settle()
        assert [m for m in asker.heard if isinstance(m, ChannelAnnouncement)] == []
        await world.bury(71)
        assert _channels(world, "alice") == [str(at)]
        await world.mine()
        assert _channels(world, "alice") == []
        assert gossip_of(world.alice) == set()
        assert await _reloaded(world) == set()


async def test_a_reorganisation__takes_the_spend_back() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at), update(ANN, BEN, at))
        await world.settle()
        await world.spend(at)
        assert _memory(world).gossip.spent == {at.to_int(): world.height}
        await world.unmine()
        assert _memory(world).gossip.spent == {}
        await world.bury(80)
        assert _channels(world, "alice") == [str(at)]
        for _ in range(world.height - at.block + 1):
            await world.unmine()
        assert _channels(world, "alice") == []


async def test_stale_channels__are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at))
        stranger.says(world.alice, update(ANN, BEN, at, NOW - 86_400), update(BEN, ANN, at))
        await world.settle()
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + 13 * 86_400 - 10)
        await world.mine()
        assert _channels(world, "alice") == [str(at)]
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + 3_600)
        await world.mine()
        assert _channels(world, "alice") == []


# --- the disk -----------------------------------------------------------------------------------


async def _reloaded(world: GossipWorld) -> set[bytes]:
    memory = Memory(wallet=_memory(world).wallet, tip=_memory(world).tip)
    await gossip_rows.load(world.alice.store, memory)
    book = memory.gossip
    assert book.spent == _memory(world).gossip.spent
    assert memory.channel_updates == _memory(world).channel_updates
    assert set(memory.graph.channels()) == set(_memory(world).graph.channels())
    assert set(memory.graph.nodes()) == set(_memory(world).graph.nodes())
    channels = {channel.raw for channel in book.channels.values()}
    return channels | set(book.updates.values()) | set(book.nodes.values())


async def test_a_restart__finds_what_was_known() -> None:
    async with GossipWorld() as world:
        await world.announced()
        at = await world.fund(ANN, BEN)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at))
        stranger.says(world.alice, update(ANN, BEN, at), update(BEN, ANN, at), node(ANN))
        await world.settle()
        stranger.says(world.alice, update(ANN, BEN, at, NOW + 9))
        await world.settle()
        await world.spend(at)
        assert len(gossip_of(world.alice)) == 9
        assert await _reloaded(world) == gossip_of(world.alice)


def test_verdicts__can_be_recorded_and_replayed() -> None:
    message = announcement(ANN, BEN, ShortChannelId(7, 1, 0))
    event = GossipChecked(
        (Checked(ANN.id, message, Verdict.VALID), Checked(ANN.id, node(ANN), Verdict.UNKNOWN))
    )
    assert from_json(NodeEvent, to_json(event)) == event


async def test_any_words__cost_a_stranger_at_most_its_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dice = random.Random(7)
    async with GossipWorld() as world:
        scid = await world.announced()
        book = _memory(world).gossip
        known = [book.announcement(scid.to_int()), book.update(scid.to_int(), 0)]
        ids = b"\0" + scid.to_int().to_bytes(8, "big")
        samples = [encode(m) for m in known if m is not None] + [
            encode(node(ANN)),
            encode(announcement(ANN, BEN, ShortChannelId(2, 1, 0))),
            encode(QueryShortChannelIds(REGTEST.chain_hash, ids)),
            encode(QueryChannelRange(REGTEST.chain_hash, 0, 0xFFFFFFFF, 3)),
            encode(EVERYTHING),
        ]
        before = gossip_of(world.alice)
        for number in range(40):
            stranger = Stranger(Signatory(f"stranger {number}"))
            stranger.link(world.alice)
            for _ in range(10):
                data = bytearray(dice.choice(samples))
                for _ in range(dice.randrange(4)):
                    data[dice.randrange(2, len(data))] = dice.randrange(256)
                if dice.random() < 0.2:
                    data = data[: dice.randrange(2, len(data))]
                said = PeerSaid(stranger.id, bytes(data))
                world.alice.kernel.inbox.put_peer(stranger.id, said)
            await world.settle()
            await world.tick()
        assert gossip_of(world.alice) == before
        traffic = _memory(world).traffic
        assert (traffic.unchecked, traffic.under_check, traffic.waiting) == ({}, set(), 0)
    assert [r.message for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


async def test_strange_words_behind_an_update__are_passed_on_and_nobody_blamed() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        source, asker = Stranger(CAT), Stranger(DAN)
        for stranger in (source, asker):
            stranger.link(world.alice)
        asker.says(world.alice, EVERYTHING)
        plain, tail = encode(replace(update(ANN, BEN, at), signature=UNSIGNED)), b"\x02\x01\x00"
        signature = sign(ANN.secret, sha256d(plain[66:] + tail))
        strange = plain[:2] + signature + plain[66:] + tail
        source.says(world.alice, announcement(ANN, BEN, at))
        world.alice.kernel.inbox.put_peer(source.id, PeerSaid(source.id, strange))
        await world.settle()
        assert source.dropped is None
        assert [encode(m) for m in _gossip(asker.heard)][1:] == [strange]


async def test_an_overlong_announcement__is_not_kept() -> None:
    async with GossipWorld() as world:
        at = await world.fund(ANN, BEN)
        stranger = Stranger(DAN)
        stranger.link(world.alice)
        stranger.says(world.alice, announcement(ANN, BEN, at), node(ANN, NOW, b"\x77" * LONGEST))
        stranger.says(world.alice, node(BEN, NOW, b"\x77" * 1_000))
        await world.settle()
        assert set(_memory(world).gossip.nodes) == {BEN.id}
        assert stranger.dropped is None
