"""Two channels with one peer: payments over both at once, and the end of one is not the other's."""

import asyncio

from tests.support.kernels import House, World, cut, link
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.ids import ChannelId
from wallet.base.wire.channel import UpdateFee
from wallet.base.wire.message import encode
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.payments.records import PaymentStatus
from wallet.node.answers import PaymentDone
from wallet.node.events import CloseChannel, PeerSaid

LARGE = 400_000_000
SMALL = 1_000_000


async def two_channels(world: World) -> tuple[ChannelId, ChannelId]:
    """Alice has 700,000 sat in each, Bob 300,000; the first opened is first."""
    await world.funded()
    first = await world.open(world.alice, world.bob)
    second = await world.open(world.alice, world.bob)
    return first.channel.id, second.channel.id


def channel(house: House, channel_id: ChannelId) -> Channel:
    return house.kernel.board.memory.channels[channel_id]


def to_us(house: House) -> MilliSatoshi:
    total = MilliSatoshi(0)
    for each in house.kernel.board.memory.channels.values():
        total = total + each.funding.to_us
    return total


async def pay(payer: House, payee: House, label: str, amount: int) -> PaymentDone:
    return await payer.pay(await payee.invoice(label, amount))


async def test_payments_both_ways_at_once_over_both() -> None:
    async with World() as world:
        first, second = await two_channels(world)
        # Neither channel can carry both of the large ones.
        asked = [(world.alice, world.bob, f"large {n}", LARGE) for n in range(2)]
        asked += [(world.bob, world.alice, f"back {n}", SMALL) for n in range(10)]
        asked += [(world.alice, world.bob, f"small {n}", SMALL) for n in range(10)]
        done = await asyncio.gather(*(pay(*each) for each in asked))
        assert {d.payment.status for d in done} == {PaymentStatus.COMPLETE}
        await world.settle()
        assert to_us(world.bob) == MilliSatoshi(600_000_000 + 2 * LARGE)
        for house in (world.alice, world.bob):
            for each in (first, second):
                assert not channel(house, each).htlcs
                assert channel(house, each).our_number > 0, "both have carried something"


async def test_an_error_on_one_leaves_the_other() -> None:
    async with World() as world:
        first, second = await two_channels(world)
        # Only the opener may say this: Bob breaks a rule of the first channel.
        breach = encode(UpdateFee(first, channel(world.alice, first).feerate))
        world.alice.kernel.inbox.put_peer(world.bob.id, PeerSaid(world.bob.id, breach))
        await world.settle()
        for house in (world.alice, world.bob):
            assert channel(house, first).phase is Phase.FAILED
            assert channel(house, second).phase is Phase.READY
        done = await pay(world.alice, world.bob, "on the other", SMALL)
        assert done.payment.status is PaymentStatus.COMPLETE
        [part] = done.payment.parts
        assert part.channel_id == second


async def test_closing_one_leaves_the_other() -> None:
    async with World() as world:
        first, second = await two_channels(world)
        await world.alice.kernel.command(lambda t: CloseChannel(t, second, None, None, False))
        await world.settle()
        assert channel(world.bob, second).phase is Phase.MUTUALLY_CLOSED
        done = await pay(world.bob, world.alice, "on the first", SMALL)
        assert done.payment.status is PaymentStatus.COMPLETE
        assert [part.channel_id for part in done.payment.parts] == [first]


async def test_a_cut_link_comes_back_for_both() -> None:
    async with World() as world:
        first, second = await two_channels(world)
        for turn in range(3):
            paying = [
                asyncio.create_task(pay(world.alice, world.bob, f"{turn} {n}", SMALL))
                for n in range(6)
            ]
            for _ in range(20 * turn):
                await asyncio.sleep(0)
            cut(world.alice, world.bob)
            await world.settle()
            link(world.alice, world.bob)
            await world.settle()
            ended = await asyncio.gather(*paying, return_exceptions=True)
            assert len(ended) == 6
        for house in (world.alice, world.bob):
            for each in (first, second):
                assert channel(house, each).phase is Phase.READY
                assert not channel(house, each).htlcs
        received = sum(
            record.amount.msat if record.amount is not None else 0
            for record in world.bob.kernel.board.memory.invoices.values()
            if record.status.value == "paid"
        )
        assert to_us(world.bob) == MilliSatoshi(600_000_000 + received)
