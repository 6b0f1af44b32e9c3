"""A store that takes a batch and says that it failed: nobody may be told to ask once more."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.support.kernels import House, World
from wallet.base.errors import ServiceFault
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.machines.payments.records import PaymentStatus
from wallet.machines.payments.requests import KeysendRequest
from wallet.node.answers import ChannelOpened, PaymentDone, Withdrawn
from wallet.node.events import Keysend, Withdraw
from wallet.services.store.tables import Write


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Alice and Bob with a channel that both can use."""
    async with World() as made:
        await made.opened()
        yield made


def fails_after_commit(house: House) -> None:
    """Its next commit is on disk, and the store says that it failed."""
    store, stored = house.store, house.store.commit

    async def commit(writes: Sequence[Write]) -> None:
        store.commit = stored  # type: ignore[method-assign]
        await stored(writes)
        raise ServiceFault("nobody knows what the disk has")

    store.commit = commit  # type: ignore[method-assign]


async def test_a_keysend_that_the_disk_has_all_the_same_is_not_refused(world: World) -> None:
    """Told that nothing was sent, a person would send it again."""
    alice = world.alice
    request = KeysendRequest(
        destination=world.bob.id, amount=MilliSatoshi(5_000_000), max_fee=MilliSatoshi(0)
    )
    fails_after_commit(alice)
    sending = asyncio.create_task(alice.kernel.command(lambda t: Keysend(t, request)))
    await world.settle()
    await world.relink()
    done = await sending
    assert isinstance(done, PaymentDone)
    assert done.payment.status is PaymentStatus.COMPLETE


async def test_a_withdrawal_that_the_disk_has_all_the_same_is_not_refused(world: World) -> None:
    alice = world.alice
    script = bytes.fromhex("0014") + bytes(20)
    fails_after_commit(alice)
    sending = asyncio.create_task(
        alice.kernel.command(lambda t: Withdraw(t, script, Satoshi(50_000), None, 0))
    )
    await world.settle()
    done = await sending
    assert isinstance(done, Withdrawn)
    assert done.tx in [record.tx for record in alice.kernel.board.memory.transactions.values()]


async def test_an_opening_that_the_disk_has_all_the_same_is_not_refused() -> None:
    async with World() as world:
        await world.funded()
        opening = world.start_open()
        # The first commit after this is Alice's, once Bob has signed.
        fails_after_commit(world.alice)
        await world.settle()
        opened = await opening
        assert isinstance(opened, ChannelOpened)
        assert opened.channel.id in world.alice.kernel.board.memory.channels
