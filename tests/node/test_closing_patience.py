"""A close over which the peer falls silent, and one that is asked to pay more."""

import asyncio

from tests.support.kernels import World
from tests.support.pair import LEGACY
from wallet.base.wire.channel import ClosingSigned
from wallet.base.wire.message import decode
from wallet.machines.channel.shutdown import CLOSING_PATIENCE
from wallet.machines.channel.state import Phase
from wallet.node.answers import ChannelClosed
from wallet.node.events import CloseChannel, Tick


class Standing:
    """A clock that stands at another time."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return self._at


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
        closing = asyncio.create_task(
            alice.kernel.command(lambda t: CloseChannel(t, channel_id, None, None, False))
        )
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
