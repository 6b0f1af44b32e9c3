"""Openings in a core: patience with the silent, trust by name, what a person may ask for."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.kernels import House, World, link
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.ids import ALL_CHANNELS, ChannelId, NodeId
from wallet.base.wire.message import encode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel.announce import ANNOUNCE_DEPTH, is_announced
from wallet.machines.channel.state import Phase
from wallet.node import opening_desk, persist
from wallet.node.answers import PeerTrusted
from wallet.node.board import Board
from wallet.node.events import ChannelWish, OpenChannelTo, PeerSaid, Tick, TrustPeer

AT_ONCE = ChannelWish(min_depth=0)


def ask(one: House, other: House, wish: ChannelWish) -> "asyncio.Task[object]":
    amount, push = Satoshi(1_000_000), MilliSatoshi(300_000_000)
    return asyncio.create_task(
        one.kernel.command(lambda t: OpenChannelTo(t, other.id, amount, push, None, False, 0, wish))
    )


async def trust(house: House, peer: NodeId, trusted: bool) -> None:
    said = await house.kernel.command(lambda t: TrustPeer(t, peer, trusted))
    assert said == PeerTrusted(peer, trusted)


async def later(house: House, seconds: int) -> None:
    """The clock of that house goes on, and ticks."""
    now = house.kernel._clock.now()
    house.kernel._clock = Standing(now + seconds)
    house.kernel.inbox.put(Tick())


class Standing:
    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return self._at


async def test_zeroconf__is_used_at_once_with_a_peer_that_trusts_us() -> None:
    async with World() as world:
        await world.funded()
        await trust(world.bob, world.alice.id, True)
        await ask(world.alice, world.bob, AT_ONCE)
        await world.settle()
        for house in (world.alice, world.bob):
            assert house.channel.phase is Phase.READY
            assert house.channel.funding.confirmed is None
        paid = await world.alice.pay(await world.bob.invoice("at once"))
        assert paid.payment.status.value == "complete"
        await world.mine()
        assert world.bob.channel.funding.confirmed is not None


async def test_zeroconf__is_refused_by_a_peer_that_does_not_or_no_longer() -> None:
    async with World() as world:
        await world.funded()
        for known in (False, True):
            if known:
                await trust(world.bob, world.alice.id, True)
                await trust(world.bob, world.alice.id, False)
            with pytest.raises(Refused, match="has not been told to trust you"):
                await ask(world.alice, world.bob, AT_ONCE)
        assert not world.bob.kernel.board.memory.channels


async def test_trust__outlives_a_restart_and_a_channel() -> None:
    async with World() as world:
        await world.funded()
        await trust(world.bob, world.alice.id, True)
        await world.open(world.alice, world.bob)
        board = world.bob.kernel.board
        kept = board.memory.known_peers[world.alice.id]
        assert kept.trusted
        assert kept.features
        memory, _ = await persist.load(world.bob.store, as_a_start_has_it(world.bob))
        assert memory.known_peers[world.alice.id] == kept


def as_a_start_has_it(house: House) -> Board:
    """The board of a house, empty of work."""
    return replace(house.kernel.board)


async def test_trust__by_the_command_line() -> None:
    async with World() as world:
        await world.funded()
        world.bob.kernel.board.trusted = frozenset({world.alice.id})
        await ask(world.alice, world.bob, AT_ONCE)
        await world.settle()
        assert world.bob.channel.phase is Phase.READY


@pytest.mark.parametrize("waits", [0, 60])
async def test_silence__is_borne_for_a_minute(waits: int) -> None:
    async with World() as world:
        await world.funded()
        world.bob.transport.tamper = lambda data: ()
        opening = ask(world.alice, world.bob, ChannelWish())
        await world.settle()
        await later(world.alice, waits)
        await world.settle()
        assert not opening.done()
        assert world.alice.kernel.board.memory.openings
        await later(world.alice, 61)
        with pytest.raises(Refused, match=r"said nothing for 60 seconds.*coins are free again"):
            await opening
        memory = world.alice.kernel.board.memory
        assert not memory.openings
        assert not [c for c in memory.wallet.coins.values() if c.reserved_by is not None]


async def test_silence__of_a_peer_that_opens_is_borne_longer() -> None:
    async with World() as world:
        await world.funded()
        world.alice.transport.tamper = lambda data: (data,) if data[:2] == b"\0\x20" else ()
        opening = ask(world.alice, world.bob, ChannelWish())
        await world.settle()
        bobs = world.bob.kernel.board.memory
        assert bobs.openings
        await later(world.bob, opening_desk.THEIR_PATIENCE)
        await world.settle()
        assert bobs.openings
        await later(world.bob, 1)
        await world.settle()
        assert not bobs.openings
        with pytest.raises(Refused, match="the opening took too long"):
            await opening


async def test_a_tick_with_nothing_to_do_commits_nothing() -> None:
    async with World() as world:
        await world.funded()
        before = world.alice.kernel.commits
        await later(world.alice, 1_000)
        await world.settle()
        assert world.alice.kernel.commits == before


async def test_depth__is_noticed_with_each_block_though_nobody_speaks() -> None:
    async with World() as world:
        await world.funded()
        await ask(world.alice, world.bob, ChannelWish(min_depth=3))
        await world.settle()
        for _ in range(2):
            await world.mine()
            assert world.alice.channel.phase is Phase.AWAITING_CONFIRMATION
        await world.mine()
        assert world.alice.channel.phase is Phase.READY


async def test_announcement__at_six_blocks_though_nobody_speaks() -> None:
    async with World() as world:
        await world.funded()
        await world.open(world.alice, world.bob, announce=True)
        for _ in range(ANNOUNCE_DEPTH - 2):
            await world.mine()
            assert world.alice.channel.announcement.sent is None
        await world.mine()
        for house in (world.alice, world.bob):
            assert is_announced(house.channel)


async def test_a_stranger_with_our_temporary_id_does_not_free_our_coins() -> None:
    async with World(others=("carol",)) as world:
        await world.funded()
        carol = world.houses[2]
        link(world.alice, carol)
        world.bob.transport.tamper = lambda data: ()
        opening = ask(world.alice, world.bob, ChannelWish())
        await world.settle()
        wallet = world.alice.kernel.board.memory.wallet
        assert any(coin.reserved_by for coin in wallet.coins.values())
        # Bob tells Carol the id; she opens under it, and gives up.
        [begun] = [data for data in world.alice.transport.wire if data[:2] == b"\0\x20"]
        temporary = ChannelId(begun[34:66])
        for said in (begun, encode(Error(temporary, b"no"))):
            world.alice.kernel.inbox.put_peer(carol.id, PeerSaid(carol.id, said))
            await world.settle()
        memory = world.alice.kernel.board.memory
        assert list(memory.openings) == [(world.bob.id, temporary)]
        assert any(coin.reserved_by for coin in memory.wallet.coins.values())
        await later(world.alice, 61)
        with pytest.raises(Refused, match="said nothing"):
            await opening


@pytest.mark.parametrize("kind", [PeerWarning, Error])
async def test_a_word_about_no_channel__a_warning_ends_no_opening(
    kind: type[PeerWarning | Error],
) -> None:
    """Core Lightning, eclair and LDK warn of gossip in mid-opening, with a channel_id of zeros."""
    async with World() as world:
        await world.funded()
        opening = ask(world.alice, world.bob, ChannelWish())
        async with asyncio.timeout(5):
            while not world.alice.kernel.board.memory.openings:
                await asyncio.sleep(0)
        said = encode(kind(ALL_CHANNELS, b"channel_announcement: no unspent txout"))
        world.alice.kernel.inbox.put_peer(world.bob.id, PeerSaid(world.bob.id, said))
        await world.settle()
        if kind is PeerWarning:
            await opening
            assert world.alice.channel.phase is Phase.AWAITING_CONFIRMATION
        else:
            with pytest.raises(Refused, match="no unspent txout"):
                await opening


async def test_a_warning_about_the_opening_ends_it() -> None:
    """Core Lightning's way to refuse one (openingd)."""
    async with World() as world:
        await world.funded()
        world.bob.transport.tamper = lambda data: ()
        opening = ask(world.alice, world.bob, ChannelWish())
        await world.settle()
        [(_, temporary)] = world.alice.kernel.board.memory.openings
        said = encode(PeerWarning(temporary, b"You gave bad parameters: too small"))
        world.alice.kernel.inbox.put_peer(world.bob.id, PeerSaid(world.bob.id, said))
        with pytest.raises(Refused, match=r"the peer refused the channel: You gave bad parameters"):
            await opening
