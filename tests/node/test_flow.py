"""What was sent about HTLCs: noted after its commit, and without secrets."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

import pytest

from tests.support.kernels import House, World, cut, link
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.ids import ChannelId, NodeId, PaymentHash, Point, Secret
from wallet.base.wire.channel import RevokeAndAck, UpdateFailMalformedHtlc
from wallet.machines.payments.records import PaymentStatus
from wallet.node.flow import Flow, Sent

PEER = NodeId(Point(b"\2" * 33))
CHANNEL = ChannelId(bytes(32))
FAIL = UpdateFailMalformedHtlc(CHANNEL, 7, bytes(32), 0)


@dataclass
class Clock:
    """Seconds since 1970, as the test says."""

    at: float

    def now(self) -> float:
        return self.at


def watched(house: House) -> Flow:
    house.kernel.flow = Flow(Clock(100.0))
    return house.kernel.flow


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as made:
        await made.opened()
        yield made


def messages(flow: Flow) -> list[Sent]:
    return [sent for _, sent in flow.sent.page(0, 100).items]


def said(flow: Flow) -> list[tuple[str, int, MilliSatoshi | None, PaymentHash | None]]:
    return [(s.type, s.id, s.amount, s.payment_hash) for s in messages(flow)]


async def test_a_payment__as_both_ends_said_it(world: World) -> None:
    alice, bob = watched(world.alice), watched(world.bob)
    request = await world.bob.invoice("a", 5_000_000)
    done = await world.alice.pay(request)
    await world.settle()
    wanted = request.invoice.payment_hash
    amount = MilliSatoshi(5_000_000)
    assert said(alice) == [("add", 0, amount, wanted)]
    assert said(bob) == [("fulfill", 0, amount, wanted)]
    [add], [fulfill] = messages(alice), messages(bob)
    assert (add.peer, fulfill.peer) == (world.bob.id, world.alice.id)
    assert add.channel_id == fulfill.channel_id == world.alice.channel.id
    assert add.expiry == fulfill.expiry
    assert done.payment.preimage is not None
    assert done.payment.preimage not in asdict(fulfill).values()


async def test_nothing_is_noted_before_it_is_on_disk(world: World) -> None:
    alice = watched(world.alice)
    request = await world.bob.invoice("slow")
    world.alice.store.gate.clear()
    paying = world.alice.pay(request)
    await world.settle()
    assert said(alice) == []
    world.alice.store.gate.set()
    assert (await paying).payment.status is PaymentStatus.COMPLETE
    assert [kind for kind, *_ in said(alice)] == ["add"]
    world.alice.store.fail_at = 0
    with pytest.raises(Refused):
        await world.alice.pay(await world.bob.invoice("unlucky"))
    assert len(said(alice)) == 1


async def test_what_was_sent_again_is_told_again(world: World) -> None:
    alice = watched(world.alice)
    # Bob never hears of it, so Alice has to say it once more.
    world.alice.transport.tamper = lambda _: ()
    paying = world.alice.pay(await world.bob.invoice("lost"))
    await world.settle()
    world.alice.transport.tamper = lambda data: (data,)
    cut(world.alice, world.bob)
    await world.settle()
    link(world.alice, world.bob)
    assert (await paying).payment.status is PaymentStatus.COMPLETE
    first, again = messages(alice)
    assert first == again


def test_what_is_no_htlc__and_one_that_the_channel_has_forgotten() -> None:
    flow = Flow(Clock(5.5))
    flow.note(PEER, FAIL, {})
    flow.note(PEER, RevokeAndAck(CHANNEL, Secret(bytes(32)), PEER), {})
    assert messages(flow) == [Sent(5.5, PEER, CHANNEL, "fail", 7, None, None, None)]
