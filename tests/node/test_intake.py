"""Which peers always get a place at the door."""

from dataclasses import replace

import pytest

from tests.support.kernels import World
from wallet.machines.channel.state import Channel, Phase
from wallet.node.intake import Intake


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
