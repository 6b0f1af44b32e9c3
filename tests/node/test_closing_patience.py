"""A close over which the peer falls silent, and one that is asked to pay more."""

import asyncio

import pytest

from tests.support.kernels import World, cut, link
from tests.support.pair import LEGACY
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import ChannelId
from wallet.base.wire.channel import ClosingComplete, ClosingSig, ClosingSigned
from wallet.base.wire.message import decode
from wallet.machines.channel import shutdown
from wallet.machines.channel.shutdown import CLOSING_PATIENCE
from wallet.machines.channel.state import Phase
from wallet.node.answers import ChannelClosed
from wallet.node.events import CloseChannel, Tick, Ticket
from wallet.node.work import Notice


class Standing:
    """A clock that stands at another time."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return self._at


def close(
    ticket: Ticket,
    channel_id: ChannelId,
    feerates: tuple[FeeratePerKw, FeeratePerKw] | None = None,
) -> CloseChannel:
    """Together."""
    return CloseChannel(ticket, channel_id, None, feerates, False)


async def test_a_peer_that_names_no_closing_fee_costs_the_channel() -> None:
    async with World() as world:
        for house in world.houses:
            house.features = LEGACY
        await world.opened()
        alice = world.alice
        world.bob.transport.tamper = lambda data: (
            () if isinstance(decode(data), ClosingSigned) else (data,)
        )
        channel_id = alice.channel.id
        closing = asyncio.create_task(alice.kernel.command(lambda t: close(t, channel_id)))
        await world.settle()
        assert alice.channel.phase is Phase.NEGOTIATING
        start = alice.kernel._clock.now()
        for seconds, phase in (
            (CLOSING_PATIENCE, Phase.NEGOTIATING),
            (CLOSING_PATIENCE + 1, Phase.FAILED),
        ):
            alice.kernel._clock = Standing(start + seconds)
            alice.kernel.inbox.put(Tick())
            await world.settle()
            assert alice.channel.phase is phase
        closed = await closing
        assert isinstance(closed, ChannelClosed)
        assert closed.kind == "unilateral"
        assert "no closing fee was agreed in 600 seconds" in (alice.channel.error or "")


async def test_a_peer_that_does_not_sign_a_simple_close_loses_the_connection_only() -> None:
    """BOLT 2: SHOULD close the connection if it doesn't receive `closing_sig`."""
    async with World() as world:
        await world.opened()
        alice = world.alice
        world.bob.transport.tamper = lambda data: (
            () if isinstance(decode(data), ClosingComplete | ClosingSig) else (data,)
        )
        channel_id = alice.channel.id
        closing = asyncio.create_task(alice.kernel.command(lambda t: close(t, channel_id)))
        await world.settle()
        alice.kernel._clock = Standing(alice.kernel._clock.now() + CLOSING_PATIENCE + 1)
        alice.kernel.inbox.put(Tick())
        await world.settle()
        [why] = [e.detail for e in world.journal if (e.who, e.what) == ("alice", "drop")]
        assert "no closing fee was agreed in 600 seconds" in why
        assert alice.channel.phase is Phase.NEGOTIATING
        # It comes back in its senses: the same offer is made again.
        world.bob.transport.tamper = lambda data: (data,)
        link(world.alice, world.bob)
        await world.settle()
        assert {alice.channel.phase, world.bob.channel.phase} == {Phase.MUTUALLY_CLOSED}
        closed = await closing
        assert isinstance(closed, ChannelClosed)
        assert closed.kind == "mutual"


async def test_a_higher_fee__is_answered_by_its_own_transaction() -> None:
    """The older one goes to the chain again with every block, and is no answer."""
    async with World() as world:
        await world.opened()
        alice, told = world.alice, list[Notice]()
        alice.kernel.listen(told.append)
        channel_id = alice.channel.id
        first = await alice.kernel.command(lambda t: close(t, channel_id))
        await world.settle()
        assert isinstance(first, ChannelClosed)
        cut(world.alice, world.bob)
        await world.settle()
        rate = FeeratePerKw(3_000)
        raising = asyncio.create_task(
            alice.kernel.command(lambda t: close(t, channel_id, (rate, rate)))
        )
        await world.settle()
        world.mempool.clear()
        await world.mine()
        assert first.tx in world.mempool
        assert not raising.done()
        link(world.alice, world.bob)
        await world.settle()
        second = await raising
        assert isinstance(second, ChannelClosed)
        ours = alice.channel.simple_close.ours
        assert ours is not None
        assert second.kind == "mutual"
        assert second.tx.txid == shutdown.broadcast_close(alice.channel)[-1].transaction.tx.txid
        assert ours.fee == rate.fee_ceil(closing_weight(ours.closer_script, ours.closee_script))
        signed = [n.payload for n in told if n.topic == "close_signed"]
        assert [s["txid"] for s in signed][-1] == str(second.tx.txid)
        assert (signed[-1]["fee_msat"], signed[-1]["fee_payer"]) == (ours.fee.sat * 1000, "local")
        with pytest.raises(Refused, match="fee rate of at least"):
            await alice.kernel.command(lambda t: close(t, channel_id, (rate, rate)))


async def test_a_higher_fee__a_block_may_come_first() -> None:
    async with World() as world:
        await world.opened()
        channel_id = world.alice.channel.id
        first = await world.alice.kernel.command(lambda t: close(t, channel_id))
        await world.settle()
        cut(world.alice, world.bob)
        rate = FeeratePerKw(3_000)
        raising = asyncio.create_task(
            world.alice.kernel.command(lambda t: close(t, channel_id, (rate, rate)))
        )
        await world.settle()
        assert isinstance(first, ChannelClosed)
        world.mempool.clear()
        await world.mine(first.tx)
        assert await raising == ChannelClosed(channel_id, first.tx, "mutual")
