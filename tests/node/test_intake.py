"""Which peers always get a place at the door, and when it opens."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.kernels import World
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import BlockRef, ChainStatus
from wallet.machines.channel.state import Channel, Phase
from wallet.node.intake import Intake
from wallet.services.ports import Peer


def unconfirmed(channel: Channel, depth: int) -> Channel:
    """The channel before any block has its funding transaction."""
    funding = replace(channel.funding, confirmed=None)
    return replace(channel, fundings=(funding,), terms=replace(channel.terms, minimum_depth=depth))


@pytest.mark.parametrize(
    ("confirmed", "depth", "phase", "partner"),
    [
        (True, 3, Phase.READY, True),
        (True, 3, Phase.SPENT, True),
        (True, 3, Phase.CLOSED, False),
        (False, 3, Phase.AWAITING_CONFIRMATION, False),
        (False, 0, Phase.READY, True),
    ],
    ids=["open", "on chain", "closed", "a promise", "trusted"],
)
async def test_a_partner_is_who_has_paid_for_a_channel(
    confirmed: bool, depth: int, phase: Phase, partner: bool
) -> None:
    async with World() as world:
        await world.opened()
        intake = Intake()
        intake.serve(world.bob.kernel)
        channel = world.bob.channel
        changed = channel if confirmed else unconfirmed(channel, depth)
        channels = world.bob.kernel.board.memory.channels
        channels[channel.id] = replace(changed, phase=phase)
        assert intake.is_partner(world.alice.id) is partner
        assert not intake.is_partner(world.bob.id)
        channels[channel.id] = channel


async def test_what_we_opened_was_paid_for_by_us() -> None:
    async with World() as world:
        await world.opened()
        intake = Intake()
        intake.serve(world.alice.kernel)
        channel = world.alice.channel
        world.alice.kernel.board.memory.channels[channel.id] = unconfirmed(channel, 3)
        assert intake.is_partner(world.bob.id)
        world.alice.kernel.board.memory.channels[channel.id] = channel


async def test_peers_wait_until_we_have_seen_the_chain_up_to_its_tip_once() -> None:
    """An HTLC that is judged by an old height may be over: taken back while we pay for it."""
    async with World() as world:
        intake, other = Intake(), world.alice
        intake.serve(world.bob.kernel)
        peer = Peer(other.id, "127.0.0.1:9", False, OUR_INIT, OUR_INIT)
        coming = asyncio.create_task(intake.peer_connected(peer))

        def seen(followed: int, backend: int, problem: str = "") -> None:
            at = BlockRef(BlockHeight(followed), BlockHash(bytes(32)))
            intake.chain_status(
                ChainStatus(at, BlockHeight(backend), BlockHeight(backend), problem)
            )

        for status in ((10, 60), (60, 60, "it does not answer")):
            seen(*status)
            await asyncio.sleep(0)
            assert not coming.done()
            assert not await intake.at_the_tip(0.001)
        seen(60, 60)
        await asyncio.wait_for(coming, 30)
        assert await intake.at_the_tip(0.001)
        # Later a backend may stand still for a while: links stay as they are.
        seen(60, 60, "it does not answer")
        await asyncio.wait_for(intake.peer_connected(peer), 30)
