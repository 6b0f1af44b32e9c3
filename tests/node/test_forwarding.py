"""Money through a node: Alice pays Carol by way of Bob, whatever dies on the way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.kernels import House, World, cut, link
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.encode import from_json
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.failures import TemporaryChannelFailure, UnknownNextPeer
from wallet.machines.channel.state import Channel, ScidKind
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.machines.payments.records import Hop, Payment, PaymentStatus
from wallet.machines.payments.requests import PartRequest
from wallet.node import persist
from wallet.node.answers import PartSent
from wallet.node.events import ChannelWish, OpenChannelTo, SendPart
from wallet.node.forward_desk import name_of
from wallet.services.store import tables

AMOUNT = MilliSatoshi(10_000_000)
FEE = MilliSatoshi(101)
"""Bob's: 1 msat and 10 millionths."""


@dataclass
class Line:
    """Alice – Bob – Carol."""

    world: World
    alice: House
    bob: House
    carol: House

    @property
    def houses(self) -> tuple[House, House, House]:
        return self.alice, self.bob, self.carol

    def channel(self, one: House, other: House) -> Channel:
        [channel] = one.kernel.board.memory.channels_with(other.id)
        return channel

    async def send(
        self,
        label: str,
        fee: MilliSatoshi = FEE,
        delta: int = 34,
        name: ShortChannelId | None = None,
    ) -> PartRequest:
        """Alice's part is under way by a route that asks Bob to pass it on for `fee`."""
        asked = (await self.carol.invoice(label)).invoice
        first, second = self.channel(self.alice, self.bob), self.channel(self.bob, self.carol)
        height = self.alice.kernel.board.memory.height
        expiry = height + CltvDelta(27)
        names = [name_of(first), name or name_of(second)]
        assert names[0] is not None and names[1] is not None
        hops = (
            Hop(self.bob.id, names[0], 0, AMOUNT + fee, height + CltvDelta(27 + delta)),
            Hop(self.carol.id, names[1], 0, AMOUNT, expiry),
        )
        request = PartRequest(
            payment_hash=asked.payment_hash,
            hops=hops,
            total=AMOUNT,
            payment_secret=asked.payment_secret,
        )
        sent = await self.alice.kernel.command(lambda t: SendPart(t, request))
        assert isinstance(sent, PartSent)
        return request

    def payment(self, request: PartRequest) -> Payment:
        return self.alice.kernel.board.memory.payments[request.payment_hash, 1]

    async def forwards(self) -> list[ForwardRecord]:
        """Bob's, as the disk has them."""
        rows = await self.bob.store.load(tables.FORWARDS)
        return [from_json(ForwardRecord, str(row[-1])) for row in rows]

    def balances(self) -> list[MilliSatoshi]:
        """Alice's with Bob, Bob's with Alice, Bob's with Carol, Carol's with Bob."""
        pairs = [
            (self.alice, self.bob),
            (self.bob, self.alice),
            (self.bob, self.carol),
            (self.carol, self.bob),
        ]
        return [self.channel(*pair).funding.to_us for pair in pairs]

    async def restart(self, house: House) -> None:
        """Memory is gone and read back from disk; the links are new."""
        for other in self.houses:
            if other is not house:
                cut(house, other)
        await self.world.settle()
        house.kernel.board.reset()
        _, wishes = await persist.load(house.store, house.kernel.board)
        house.kernel.resume(wishes)
        for other in self.houses:
            if (house is self.bob or other is self.bob) and other is not house:
                link(house, other)
        await self.world.settle()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Both channels can be used either way."""
    async with World(others=("carol",)) as world:
        alice, bob, carol = world.houses
        await world.give(alice)
        await world.give(bob)
        link(alice, bob)
        link(bob, carol)
        await world.settle()
        await world.open(alice, bob)
        await world.open(bob, carol)
        yield Line(world, alice, bob, carol)


async def test_passed_on_for_a_fee(line: Line) -> None:
    before = line.balances()
    request = await line.send("a")
    await line.world.settle()
    assert line.payment(request).status is PaymentStatus.COMPLETE
    [forward] = await line.forwards()
    assert (forward.status, forward.fee, forward.failure_code) == (ForwardStatus.SETTLED, FEE, None)
    moved = [now.msat - then.msat for now, then in zip(line.balances(), before, strict=True)]
    assert moved == [-10_000_101, 10_000_101, -10_000_000, 10_000_000]
    memory = line.bob.kernel.board.memory
    assert (memory.forwards, memory.forwarded, memory.fees_collected_msat) == ({}, {}, 101)


@pytest.mark.parametrize(
    ("fee", "delta", "failure"),
    [(MilliSatoshi(100), 34, "fee_insufficient"), (FEE, 33, "incorrect_cltv_expiry")],
)
async def test_not_for_less(line: Line, fee: MilliSatoshi, delta: int, failure: str) -> None:
    before = line.balances()
    request = await line.send("a", fee, delta)
    await line.world.settle()
    [part] = line.payment(request).parts
    assert part.status is PaymentStatus.FAILED
    assert part.failure is not None
    assert (part.failure.name, part.failure.hop) == (failure, 0)
    [forward] = await line.forwards()
    assert (forward.status, forward.failure_name) == (ForwardStatus.LOCAL_FAILED, failure)
    assert line.balances() == before


async def test_a_hash_is_paid_once(line: Line) -> None:
    before = line.balances()
    request = await line.send("a")
    await line.world.settle()
    again = PartRequest(
        payment_hash=request.payment_hash,
        hops=request.hops,
        total=AMOUNT,
        payment_secret=bytes(32),
        groupid=2,
    )
    first = line.payment(request)
    sent = await line.alice.kernel.command(lambda t: SendPart(t, again))
    assert sent == PartSent(first, 0), "a hash that was paid is not paid again"
    other = await line.send("b")
    wrong = PartRequest(
        payment_hash=other.payment_hash, hops=other.hops, total=AMOUNT, payment_secret=bytes(32)
    )
    with pytest.raises(Refused, match="under way"):
        await line.alice.kernel.command(lambda t: SendPart(t, wrong))
    await line.world.settle()
    assert line.balances()[0].msat == before[0].msat - 2 * 10_000_101


async def test_a_wrong_secret_is_refused_by_the_payee(line: Line) -> None:
    before = line.balances()
    invoice = (await line.carol.invoice("a")).invoice
    request = await line.send("b")
    await line.world.settle()
    wrong = PartRequest(
        payment_hash=invoice.payment_hash,
        hops=request.hops,
        total=AMOUNT,
        payment_secret=bytes(32),
    )
    await line.alice.kernel.command(lambda t: SendPart(t, wrong))
    await line.world.settle()
    [part] = line.payment(wrong).parts
    assert part.failure is not None
    assert (part.failure.name, part.failure.hop) == ("incorrect_or_unknown_payment_details", 1)
    assert [f.status for f in await line.forwards()] == [
        ForwardStatus.SETTLED,
        ForwardStatus.FAILED,
    ]
    assert line.balances()[0].msat == before[0].msat - 10_000_101


async def test_carol_is_away(line: Line) -> None:
    cut(line.bob, line.carol)
    await line.world.settle()
    request = await line.send("a")
    await line.world.settle()
    [part] = line.payment(request).parts
    assert part.failure is not None
    assert (part.failure.code, part.failure.hop) == (TemporaryChannelFailure.CODE, 0)


async def test_nobody_has_that_name(line: Line) -> None:
    asked = (await line.carol.invoice("a")).invoice
    request = await line.send("b")
    strange = type(request.hops[1].scid)(9, 9, 9)
    hops = (
        request.hops[0],
        Hop(line.carol.id, strange, 0, AMOUNT, request.hops[1].cltv_expiry),
    )
    await line.world.settle()
    part = PartRequest(
        payment_hash=asked.payment_hash, hops=hops, total=AMOUNT, payment_secret=None
    )
    await line.alice.kernel.command(lambda t: SendPart(t, part))
    await line.world.settle()
    [tried] = line.payment(part).parts
    assert tried.failure is not None
    assert tried.failure.code == UnknownNextPeer.CODE


@pytest.mark.parametrize("who", ["alice", "bob", "carol"])
@pytest.mark.parametrize("commits", range(7))
async def test_whoever_dies_at_whichever_commit(line: Line, who: str, commits: int) -> None:
    """The n-th commit from the offer on fails: as a crash, its batch never was."""
    before = sum(b.msat for b in line.balances())
    house = {"alice": line.alice, "bob": line.bob, "carol": line.carol}[who]
    house.store.fail_at = commits + (who == "carol")
    try:
        request = await line.send("a")
    except Refused as refused:
        assert "Nothing was sent" in refused.message
        return
    await line.world.settle()
    house.store.fail_at = None
    for other in line.houses:
        if other is not line.bob:
            cut(other, line.bob)
            await line.world.settle()
            link(other, line.bob)
            await line.world.settle()
    payment = line.payment(request)
    [forward] = await line.forwards()
    invoice = line.carol.kernel.board.memory.invoices[request.payment_hash]
    # If Bob dies before he has passed it on, Alice is back before Carol: he has to send it back.
    paid = payment.status is PaymentStatus.COMPLETE
    assert paid or (who == "bob" and commits < 2)
    assert (invoice.status == "paid") is paid
    assert forward.status is (ForwardStatus.SETTLED if paid else ForwardStatus.LOCAL_FAILED)
    assert line.bob.kernel.board.memory.forwards == {}
    assert sum(b.msat for b in line.balances()) == before


@pytest.mark.parametrize("who", ["alice", "bob", "carol"])
async def test_a_restart_while_carol_holds_it(line: Line, who: str) -> None:
    """The HTLC is with Carol, whose commit waits; somebody restarts; then it settles."""
    line.world.journal.clear()
    asked = await line.send("a")
    line.carol.store.gate.clear()
    await line.world.settle()
    assert line.payment(asked).status is PaymentStatus.PENDING
    house = {"alice": line.alice, "bob": line.bob, "carol": line.carol}[who]
    line.carol.store.gate.set()
    await line.restart(house)
    for _ in range(3):
        await line.world.settle()
    payment = line.payment(asked)
    assert payment.status is PaymentStatus.COMPLETE
    [forward] = await line.forwards()
    assert forward.status is ForwardStatus.SETTLED
    assert line.bob.kernel.board.memory.forwards == {}


async def test_a_hidden_channel_goes_by_its_alias_alone() -> None:
    """BOLT 2: with `option_scid_alias` in its type, MUST NOT take HTLCs by the real name."""
    async with World(others=("carol",)) as world:
        alice, bob, carol = world.houses
        for house in (alice, bob):
            await world.give(house)
        link(alice, bob)
        link(bob, carol)
        await world.settle()
        await world.open(alice, bob)
        wish = ChannelWish(channel_type=(12, 22, 46))
        amount, push = Satoshi(1_000_000), MilliSatoshi(300_000_000)
        await bob.kernel.command(
            lambda t: OpenChannelTo(t, carol.id, amount, push, None, False, 0, wish)
        )
        await world.mine()
        line = Line(world, alice, bob, carol)
        channel = line.channel(bob, carol)
        real, alias = channel.scid(ScidKind.REAL), channel.scid(ScidKind.OURS)
        assert real is not None
        assert alias is not None
        for name, status in ((real, PaymentStatus.FAILED), (alias, PaymentStatus.COMPLETE)):
            request = await line.send(str(name), name=name)
            await world.settle()
            assert line.payment(request).status is status


async def test_a_part_by_route_while_pay_looks_for_one(line: Line) -> None:
    """`pay` has no record before its first HTLC; its group is taken, or both would be sent."""
    request = await line.carol.invoice("a")
    memory = line.alice.kernel.board.memory
    name = name_of(line.channel(line.alice, line.bob))
    assert name is not None
    part = PartRequest(
        payment_hash=request.invoice.payment_hash,
        hops=(Hop(line.bob.id, name, 0, AMOUNT, memory.height + CltvDelta(40)),),
        total=AMOUNT,
        groupid=1,
    )
    paying = line.alice.pay(request)
    sending = asyncio.create_task(line.alice.kernel.command(lambda t: SendPart(t, part)))
    with pytest.raises(Refused, match="under way"):
        await sending
    with pytest.raises(Refused, match="map"):
        await paying
    assert memory.payments == {}


async def test_who_waits_for_parts_is_not_told_of_the_first_that_fails(line: Line) -> None:
    request = await line.carol.invoice("a", AMOUNT.msat)
    asked, height = request.invoice, line.alice.kernel.board.memory.height
    first, second = (name_of(line.channel(line.bob, o)) for o in (line.alice, line.carol))
    assert first is not None
    assert second is not None

    async def send(partid: int, name: ShortChannelId) -> None:
        half = MilliSatoshi(AMOUNT.msat // 2)
        hops = (
            Hop(line.bob.id, first, 0, half + FEE, height + CltvDelta(61)),
            Hop(line.carol.id, name, 0, half, height + CltvDelta(27)),
        )
        part = PartRequest(
            payment_hash=asked.payment_hash,
            hops=hops,
            total=AMOUNT,
            partid=partid,
            groupid=1,
            payment_secret=asked.payment_secret,
        )
        await line.alice.kernel.command(lambda t: SendPart(t, part))
        await line.world.settle()

    await send(1, second)
    paying = line.alice.pay(request)
    await line.world.settle()
    await send(2, ShortChannelId(9, 9, 9))
    assert not paying.done(), "the first part is still with Carol"
    await send(3, second)
    assert (await paying).payment.status is PaymentStatus.COMPLETE


@pytest.mark.parametrize("paid", [True, False])
async def test_an_outcome_that_a_frozen_channel_cannot_hear_waits_for_a_restart(
    line: Line, *, paid: bool
) -> None:
    """Bob must not forget it, or a restart would send the same HTLC on once more."""
    before = line.balances()
    request = await line.send("a")
    line.carol.store.gate.clear()
    await line.world.settle()
    memory = line.bob.kernel.board.memory
    [forward] = memory.forwards.values()
    if not paid:
        del line.carol.kernel.board.memory.invoices[request.payment_hash]
    memory.frozen[forward.in_channel] = "a bug"
    line.carol.store.gate.set()
    await line.world.settle()
    assert line.channel(line.bob, line.carol).htlcs == {}
    await line.restart(line.bob)
    [forward] = await line.forwards()
    assert forward.status is (ForwardStatus.SETTLED if paid else ForwardStatus.FAILED)
    wanted = PaymentStatus.COMPLETE if paid else PaymentStatus.FAILED
    assert line.payment(request).status is wanted
    gained = line.balances()[3].msat - before[3].msat
    assert gained == (AMOUNT.msat if paid else 0)
