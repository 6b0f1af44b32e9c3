"""What a node says of itself: its channels, its terms for each, and its own name."""

import asyncio
from dataclasses import replace

import pytest

from tests.support import kernels
from tests.support.gossip import ANN, DAN
from tests.support.gossip_world import GossipWorld, Stranger, cut, link
from tests.support.kernels import House
from wallet.base.bitcoin.chains import REGTEST, SIGNET
from wallet.base.crypto.curve import verify
from wallet.base.crypto.hashes import sha256d
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.ids import Signature
from wallet.base.wire.gossip import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    signed_bytes,
)
from wallet.base.wire.message import Message, decode, encode
from wallet.machines.channel.state import ScidKind
from wallet.machines.payments.forwarding import TermsChange
from wallet.machines.signing import NodeKey, SignDigest
from wallet.node.config import Config, address_descriptors, card_for
from wallet.node.events import CloseChannel, NewAddress, SetTerms, Tick
from wallet.node.gossip_own import AWAY_SECONDS, LOOK_SECONDS, REFRESH_SECONDS
from wallet.node.gossip_traffic import Traffic

EVERYTHING = GossipTimestampFilter(REGTEST.chain_hash, 0, 0xFFFFFFFF)
DISABLED, PRIVATE = 2, 2


def _ours(house: House) -> ChannelUpdate:
    return house.kernel.board.memory.channel_updates[house.channel.id, True]


def _theirs(house: House) -> ChannelUpdate:
    return house.kernel.board.memory.channel_updates[house.channel.id, False]


def _updates(house: House) -> list[ChannelUpdate]:
    """Every update that a house has sent, in order."""
    said = [decode(data) for data in house.transport.wire]
    return [m for m in said if isinstance(m, ChannelUpdate)]


def _kinds(messages: list[Message]) -> list[type]:
    return [type(m) for m in messages if not isinstance(m, GossipTimestampFilter)]


def _signed_by(house: House, message: ChannelUpdate) -> ChannelUpdate:
    digest = sha256d(signed_bytes(message))
    [signature] = house.signer.answer([SignDigest(NodeKey(), digest)])
    assert isinstance(signature, bytes)
    return replace(message, signature=Signature(signature))


def _say(house: House, other: House, message: ChannelUpdate) -> None:
    house.transport.send(other.id, encode(message))


async def _change(house: House, fee_base: int) -> None:
    """What `setchannel` asks for."""
    change, channel_id = TermsChange(fee_base=MilliSatoshi(fee_base)), house.channel.id
    await house.kernel.command(lambda t: SetTerms(t, (channel_id,), change, 0))


async def _listener(world: GossipWorld, house: House) -> Stranger:
    stranger = Stranger(DAN)
    stranger.link(house)
    stranger.says(house, EVERYTHING)
    await world.settle()
    stranger.heard.clear()
    return stranger


# --- private channels ---------------------------------------------------------------------------


async def test_private__each_tells_the_other_by_the_others_alias() -> None:
    async with GossipWorld() as world:
        listener = await _listener(world, world.bob)
        await world.opened()
        for here, there in ((world.alice, world.bob), (world.bob, world.alice)):
            told = _ours(here)
            assert told == _theirs(there)
            # BOLT 7: the alias that was received from the peer; hints will name it so too.
            assert told.short_channel_id == here.channel.scid(ScidKind.THEIRS)
            assert told.short_channel_id == there.channel.scid(ScidKind.OURS)
            assert told.message_flags & PRIVATE
            assert not told.channel_flags & DISABLED
            assert told.channel_flags & 1 == (0 if here.id < there.id else 1)
            assert verify(here.id, sha256d(signed_bytes(told)), told.signature)
        await world.bury(10)
        assert _kinds(listener.heard) == []
        assert world.alice.kernel.board.memory.gossip.channels == {}


async def test_private__said_once_and_again_after_a_reconnect() -> None:
    async with GossipWorld() as world:
        await world.opened()
        assert len(_updates(world.alice)) == 1
        await world.bury(3)
        await world.tick()
        assert len(_updates(world.alice)) == 1
        await world.relink()
        assert _updates(world.alice) == [_ours(world.alice)] * 2


async def test_private__only_the_peer_may_speak_of_it() -> None:
    async with GossipWorld() as world:
        await world.opened()
        before, told = _theirs(world.alice), _ours(world.bob)
        stranger = Stranger(ANN)
        stranger.link(world.alice)
        newer = replace(told, timestamp=told.timestamp + 5)
        stranger.says(world.alice, newer)
        stranger.says(world.alice, ANN.signs(newer))
        await world.settle()
        assert _theirs(world.alice) == before
        assert (stranger.heard, stranger.dropped) == ([], None)


async def test_private__the_peers_terms_are_checked_like_anybodys() -> None:
    async with GossipWorld() as world:
        await world.opened()
        before = _theirs(world.alice)
        for changes in (
            {"timestamp": before.timestamp - 1},
            {"timestamp": before.timestamp + 2 * 86_400},
            {"timestamp": before.timestamp + 1, "chain_hash": SIGNET.chain_hash},
            {"timestamp": before.timestamp + 1, "channel_flags": before.channel_flags ^ 1},
        ):
            message = replace(before, **changes)
            signed = _signed_by(world.bob, message)
            _say(world.bob, world.alice, signed)
            await world.settle()
            assert _theirs(world.alice) == before
        fine = _signed_by(world.bob, replace(before, timestamp=before.timestamp + 1))
        _say(world.bob, world.alice, fine)
        await world.settle()
        assert _theirs(world.alice) == fine
        _say(world.bob, world.alice, replace(fine, timestamp=fine.timestamp + 1))
        await world.settle()
        assert _theirs(world.alice) == fine
        drops = [e.detail for e in world.journal if e.what == "drop"]
        assert ["signature" in reason for reason in drops] == [True]


# --- announced channels -------------------------------------------------------------------------


async def test_announced__after_six_confirmations_and_not_before() -> None:
    async with GossipWorld() as world:
        await world.funded()
        await world.tick()
        listener = await _listener(world, world.bob)
        await world.open(world.alice, world.bob, announce=True)
        await world.bury(4)
        assert listener.heard == []
        await world.mine()
        scid = world.alice.channel.scid(ScidKind.REAL)
        said = [m for m in listener.heard if not isinstance(m, GossipTimestampFilter)]
        assert isinstance(said[0], ChannelAnnouncement)
        assert said[0].short_channel_id == scid
        updates = [m for m in said if isinstance(m, ChannelUpdate)]
        assert {u.channel_flags & 1 for u in updates} == {0, 1}
        assert not any(u.message_flags & PRIVATE or u.channel_flags & DISABLED for u in updates)
        names = {m.node_id for m in said if isinstance(m, NodeAnnouncement)}
        assert names == {world.alice.id, world.bob.id}
        digest = sha256d(signed_bytes(said[0]))
        for key, signature in (
            (said[0].node_id_1, said[0].node_signature_1),
            (said[0].node_id_2, said[0].node_signature_2),
            (said[0].bitcoin_key_1, said[0].bitcoin_signature_1),
            (said[0].bitcoin_key_2, said[0].bitcoin_signature_2),
        ):
            assert verify(key, digest, signature)


async def test_announced__one_announcement_each_even_after_reconnects() -> None:
    async with GossipWorld() as world:
        await world.announced()
        listener = await _listener(world, world.bob)
        await world.relink()
        await world.bury(2)
        assert _kinds(listener.heard) == []


async def test_announced__a_partner_that_asks_for_nothing_hears_what_is_ours() -> None:
    async with GossipWorld() as world:
        await world.funded()
        # No tick: nobody has sent a filter.
        await world.open(world.alice, world.bob, announce=True)
        await world.bury()
        said = [decode(data) for data in world.alice.transport.wire]
        [name] = [m for m in said if isinstance(m, NodeAnnouncement)]
        assert name.node_id == world.alice.id
        assert len([m for m in said if isinstance(m, ChannelAnnouncement)]) == 1
        ours = world.alice.kernel.board.memory.channel_updates[world.alice.channel.id, True]
        public = [u for u in _updates(world.alice) if not u.message_flags & PRIVATE]
        # BOLT 7: MUST not send gossip it did not generate itself, until it receives a filter.
        assert public == [ours]
        assert world.bob.kernel.board.memory.gossip.node(world.alice.id) == name


async def test_announced__all_in_one_batch() -> None:
    async with GossipWorld() as world:
        await world.funded()
        await world.tick()
        await world.open(world.alice, world.bob, announce=True)
        await world.bury(4)
        # Bob's half waits for his disk, then everything he says for Alice's.
        world.bob.store.gate.clear()
        await world.mine()
        world.alice.store.gate.clear()
        busy = asyncio.create_task(world.alice.kernel.command(lambda t: NewAddress(t, 84)))
        await world.settle()
        world.bob.store.gate.set()
        await world.settle()
        assert world.alice.kernel.board.memory.gossip.channels == {}
        world.alice.store.gate.set()
        await world.settle()
        await busy
        book = world.alice.kernel.board.memory.gossip
        assert (len(book.channels), len(book.updates), len(book.nodes)) == (1, 2, 2)


async def test_terms__within_what_the_channel_can_carry() -> None:
    async with GossipWorld() as world:
        await world.announced()
        for house in (world.alice, world.bob):
            terms, told = house.channel.terms, _ours(house)
            capacity = house.channel.funding.amount.to_msat()
            assert told.htlc_maximum_msat <= terms.theirs.max_htlc_value_in_flight
            assert told.htlc_maximum_msat < capacity
            assert told.htlc_minimum_msat >= terms.theirs.htlc_minimum


async def test_new_settings__are_said_with_a_later_timestamp() -> None:
    async with GossipWorld() as world:
        await world.announced()
        listener = await _listener(world, world.alice)
        times = [_ours(world.alice).timestamp]
        for fee in (5, 6, 7):
            await _change(world.alice, fee)
            await world.settle()
            assert _ours(world.alice).fee_base_msat == MilliSatoshi(fee)
            times.append(_ours(world.alice).timestamp)
        # The clock stands still in these tests.
        assert times == sorted(set(times))
        assert [m.fee_base_msat.msat for m in listener.heard if isinstance(m, ChannelUpdate)] == [
            5,
            6,
            7,
        ]
        assert _theirs(world.bob) == _ours(world.alice)
        # Once to the listener, once to Bob.
        said = [m.fee_base_msat.msat for m in _updates(world.alice)]
        assert [said.count(fee) for fee in (5, 6, 7)] == [2, 2, 2]


async def test_a_close__disables_first() -> None:
    async with GossipWorld() as world:
        await world.announced()
        listener = await _listener(world, world.bob)
        channel_id = world.alice.channel.id
        await world.alice.kernel.command(lambda t: CloseChannel(t, channel_id, None, None, False))
        await world.settle()
        updates = [m for m in listener.heard if isinstance(m, ChannelUpdate)]
        assert updates
        assert all(u.channel_flags & DISABLED for u in updates)
        await world.mine()
        await world.bury(72)
        assert world.bob.kernel.board.memory.gossip.channels == {}
        assert world.bob.kernel.board.memory.gossip.nodes == {}


async def test_a_close__disables_although_the_peer_is_away() -> None:
    async with GossipWorld() as world:
        await world.announced()
        cut(world.alice, world.bob)
        await world.settle()
        channel_id = world.alice.channel.id
        command = asyncio.create_task(
            world.alice.kernel.command(lambda t: CloseChannel(t, channel_id, None, None, False))
        )
        await world.settle()
        assert _ours(world.alice).channel_flags & DISABLED
        link(world.alice, world.bob)
        await world.settle()
        await command


async def test_a_peer_that_stays_away__disables_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with GossipWorld() as world:
        await world.announced()
        cut(world.alice, world.bob)
        await world.settle()
        await world.tick()
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + AWAY_SECONDS - 1)
        await world.tick()
        assert not _ours(world.alice).channel_flags & DISABLED
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + LOOK_SECONDS + 1)
        await world.tick()
        assert _ours(world.alice).channel_flags & DISABLED
        # A restart of ours does not bring the peer back.
        world.alice.kernel.board.memory.traffic = Traffic()
        await world.tick()
        assert _ours(world.alice).channel_flags & DISABLED
        link(world.alice, world.bob)
        await world.settle()
        assert not _ours(world.alice).channel_flags & DISABLED
        assert _theirs(world.bob) == _ours(world.alice)


async def test_terms_that_grow_old__are_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with GossipWorld() as world:
        await world.announced()
        before = _ours(world.alice)
        monkeypatch.setattr(kernels, "NOW", float(before.timestamp + REFRESH_SECONDS))
        await world.tick()
        after = _ours(world.alice)
        assert after.timestamp == before.timestamp + REFRESH_SECONDS
        assert replace(after, timestamp=before.timestamp, signature=before.signature) == before


async def test_our_own_channel__is_not_forgotten_because_the_peer_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with GossipWorld() as world:
        scid = await world.announced()
        cut(world.alice, world.bob)
        await world.settle()
        monkeypatch.setattr(kernels, "NOW", kernels.NOW + 15 * 86_400)
        await world.mine()
        assert list(world.alice.kernel.board.memory.gossip.channels) == [scid.to_int()]


async def test_a_reorganisation__gives_the_channel_another_name() -> None:
    async with GossipWorld() as world:
        scid = await world.announced()
        [funding] = world.ledger.blocks[scid.block - 1].transactions[1:]
        while world.height >= scid.block:
            await world.unmine()
        assert world.alice.kernel.board.memory.gossip.channels == {}
        # The opener offers its funding again; this time it has to wait for a block.
        world.mempool.clear()
        await world.mine()
        world.mempool.clear()
        await world.mine(funding)
        await world.bury(6)
        for house in (world.alice, world.bob):
            book = house.kernel.board.memory.gossip
            real = house.channel.scid(ScidKind.REAL)
            assert real is not None
            assert real != scid
            assert list(book.channels) == [real.to_int()]
            assert len(book.updates) == 2


# --- our node -----------------------------------------------------------------------------------


async def test_our_node__is_announced_again_when_it_changes() -> None:
    async with GossipWorld() as world:
        await world.announced()
        board = world.alice.kernel.board
        before = board.memory.gossip.node(world.alice.id)
        assert before is not None
        listener = await _listener(world, world.alice)
        place = address_descriptors(REGTEST, "127.0.0.1", 9735)
        board.card = replace(board.card, addresses=place)
        board.memory.traffic.own_looked_at = 0
        await world.tick()
        [said] = [m for m in listener.heard if isinstance(m, NodeAnnouncement)]
        assert said.addresses == bytes([1, 127, 0, 0, 1]) + (9735).to_bytes(2, "big")
        assert said.timestamp > before.timestamp
        assert verify(world.alice.id, sha256d(signed_bytes(said)), said.signature)
        seen = world.bob.kernel.board.memory.graph.node(world.alice.id)
        assert seen is not None
        assert seen.addresses == place


async def test_our_node__is_named_to_a_partner_that_comes_back_and_asks_for_nothing() -> None:
    async with GossipWorld() as world:
        await world.announced()
        cut(world.alice, world.bob)
        await world.settle()
        board = world.alice.kernel.board
        board.card = replace(board.card, addresses=address_descriptors(REGTEST, "127.0.0.1", 9735))
        board.memory.traffic.own_looked_at = 0
        await world.tick()
        named = board.memory.gossip.node(world.alice.id)
        stranger, begun = Stranger(DAN), len(world.alice.transport.wire)
        stranger.link(world.alice)
        link(world.alice, world.bob)
        await world.settle()
        world.alice.kernel.inbox.put(Tick())
        await world.settle()
        said = [decode(data) for data in world.alice.transport.wire[begun:]]
        assert [m for m in said if isinstance(m, NodeAnnouncement)] == [named]
        assert world.bob.kernel.board.memory.gossip.node(world.alice.id) == named
        assert _kinds(stranger.heard) == []


@pytest.mark.parametrize(
    ("chain", "host", "port", "wanted"),
    [
        (REGTEST, "127.0.0.1", 1, b"\x01\x7f\x00\x00\x01\x00\x01"),
        (REGTEST, "::1", 258, b"\x02" + bytes(15) + b"\x01\x01\x02"),
        (SIGNET, "8.8.8.8", 1, b"\x01\x08\x08\x08\x08\x00\x01"),
        # Nobody could reach us there, or nobody knows where that is.
        (REGTEST, "0.0.0.0", 1, b""),
        (REGTEST, "::", 1, b""),
        (REGTEST, "127.0.0.1", 0, b""),
        (SIGNET, "127.0.0.1", 1, b""),
        (SIGNET, "192.168.1.7", 1, b""),
        (REGTEST, "localhost", 1, b""),
    ],
)
def test_address__as_others_could_use_it(
    chain: object, host: str, port: int, wanted: bytes
) -> None:
    assert address_descriptors(chain, host, port) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("alias", "wanted"),
    [("alice", b"alice"), ("x" * 40, b"x" * 32), ("a" * 31 + "é", b"a" * 31), ("", b"")],
)
def test_card__an_alias_of_32_bytes(tmp_path: object, alias: str, wanted: bytes) -> None:
    config = Config(tmp_path, REGTEST, "", None, "", alias)  # type: ignore[arg-type]
    card = card_for(config, ANN.id)
    assert card.alias == wanted.ljust(32, b"\0")
    assert card.rgb_color == ANN.id[:3]
