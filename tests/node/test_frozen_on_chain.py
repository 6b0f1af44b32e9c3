"""A channel that a bug of ours has frozen says nothing more, but the chain still decides on it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.kernels import House, World
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import Signature
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.channel.unilateral import signed_by_both


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as opened:
        await opened.opened()
        yield opened


def broadcast(house: House, channel: Channel) -> Transaction:
    """The commitment of that state of the house's channel."""
    unsigned = signed_by_both(channel, our_commitment(channel, channel.funding))
    answers = house.signer.answer(unsigned.requests())
    return unsigned.finish([Signature(a) for a in answers if isinstance(a, bytes)])


async def test_a_cheat_is_punished_although_the_channel_is_frozen(world: World) -> None:
    alice, bob = world.alice, world.bob
    rich = alice.channel
    done = await alice.pay(await bob.invoice("a"))
    assert done.payment.preimage is not None
    await world.settle()
    bob.kernel.board.memory.frozen[bob.channel.id] = "a bug"
    await world.mine(broadcast(alice, rich))
    end = bob.channel.onchain
    assert end is not None
    assert end.kind is SpendKind.REVOKED
    await world.mine()
    assert [c.kind for c in bob.channel.onchain.claims if c.resolved_at is None] == []  # type: ignore[union-attr]
    assert bob.channel.phase is Phase.SPENT
    assert bob.channel.id in bob.kernel.board.memory.frozen
