"""wallet/node/receive_desk.py: parts of a payment and keysends, and a payee that dies on the way.

Alice has two channels with Bob and sends him parts along them.  Whatever happens to Bob: what is
paid on his disk is complete on hers, and nothing of a payment is taken unless all of it is.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from tests.support.kernels import NOW, House, World, cut, link
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused, ServiceFault
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.ids import ChannelId, PaymentHash
from wallet.machines.channel.actions import Action
from wallet.machines.channel.events import Event, FulfillHtlc
from wallet.machines.channel.htlc import Failed, Fulfilled
from wallet.machines.channel.state import Channel
from wallet.machines.payments.incoming import MIN_FINAL_CLTV
from wallet.machines.payments.records import Hop, InvoiceRecord, InvoiceStatus, PaymentStatus
from wallet.machines.payments.requests import KeysendRequest, PartRequest, PayRequest
from wallet.node.answers import InvoiceDeleted, PartSent, PaymentDone
from wallet.node.board import Board
from wallet.node.events import DeleteInvoice, Keysend, SendPart, Tick
from wallet.node.forward_desk import name_of
from wallet.node.htlc_rows import read as read_htlc
from wallet.services.store import tables
from wallet.services.store.tables import Write

TOTAL = 9_000_000
PARTS = ((0, 4_000_000), (1, 3_000_000), (0, 2_000_000))
"""Which of the two channels, and how much."""


class LaterClock:
    """Stands still at another time."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def now(self) -> float:
        """Unix time."""
        return NOW + self._seconds


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Alice and Bob with two channels that both can use."""
    async with World() as made:
        await made.opened()
        await made.start_open()
        await made.mine()
        yield made


def channels(house: House) -> list[Channel]:
    """Oldest first."""
    return list(house.kernel.board.memory.channels.values())


def part_of(
    world: World, payer: House, asked: PayRequest, partid: int, msat: int, which: int = 0
) -> SendPart:
    """A part of `TOTAL`, along the payer's channel of that number, as by `sendpay`."""
    scid = name_of(channels(payer)[which])
    assert scid is not None
    expiry = BlockHeight(world.height) + (MIN_FINAL_CLTV + CltvDelta(3))
    request = PartRequest(
        payment_hash=asked.invoice.payment_hash,
        hops=(Hop(world.bob.id, scid, 0, MilliSatoshi(msat), expiry),),
        total=asked.invoice.amount or MilliSatoshi(msat),
        partid=partid,
        groupid=1,
        payment_secret=asked.invoice.payment_secret,
        bolt11=asked.bolt11,
    )
    return SendPart(0, request)


async def send(world: World, asked: PayRequest, numbers: Sequence[int]) -> None:
    """Some of the `PARTS`, and time for them to arrive."""
    for number in numbers:
        which, msat = PARTS[number]
        command = part_of(world, world.alice, asked, number + 1, msat, which)
        world.alice.kernel.inbox.put(command)
    await world.settle()


def invoice_of(house: House, asked: PayRequest) -> InvoiceRecord:
    """As the payee remembers it."""
    return house.kernel.board.memory.invoices[asked.invoice.payment_hash]


async def removals(house: House, payment_hash: PaymentHash) -> list[object]:
    """What became of the parts that a payer offered, from its disk."""
    rows = [read_htlc(row)[1] for row in await house.store.load(tables.HTLCS)]
    ours = [h for h in rows if h.payment_hash == payment_hash and h.key.offered_by_us]
    return [h.removal for h in ours]


def waiting(house: House) -> int:
    """How many parts wait."""
    return sum(len(s.parts) for s in house.kernel.board.memory.waiting_parts.values())


def clock(house: House, seconds: int) -> None:
    """The house's time from now on."""
    house.kernel._clock = LaterClock(seconds)


# --- parts --------------------------------------------------------------------------------------


async def test_parts_over_two_channels_are_taken_in_one_commit(world: World) -> None:
    asked = await world.bob.invoice("parts", TOTAL)
    await send(world, asked, (0, 1))
    assert waiting(world.bob) == 2
    assert invoice_of(world.bob, asked).status is InvoiceStatus.UNPAID
    assert "update_fulfill_htlc" not in world.sent(world.bob)
    world.journal.clear()
    await send(world, asked, (2,))
    batches = _batches(world, world.bob)
    fulfilling = [batch for batch in batches if "update_fulfill_htlc" in batch]
    assert [batch.count("update_fulfill_htlc") for batch in fulfilling] == [3]
    assert fulfilling[0].count("stored") == 1
    invoice = invoice_of(world.bob, asked)
    assert (invoice.status, invoice.amount_received.msat) == (InvoiceStatus.PAID, TOTAL)
    assert {p.amount.msat for p in invoice.parts} == {msat for _, msat in PARTS}
    assert waiting(world.bob) == 0
    memory = world.alice.kernel.board.memory
    [payment] = [p for k, p in memory.payments.items() if k[0] == asked.invoice.payment_hash]
    assert payment.status is PaymentStatus.COMPLETE


def _batches(world: World, house: House) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for entry in world.journal:
        if entry.who == house.name:
            if entry.what == "batch":
                found.append([])
            found[-1].append(entry.detail if entry.what == "send" else entry.what)
    return found


async def test_a_part_of_a_payer_who_is_away_is_taken_and_he_hears_of_it_later() -> None:
    """BOLT 4 "friends splitting a bill": what is irrevocable counts, whoever is connected."""
    async with World(others=("carol",)) as world:
        await world.opened()
        carol = world.houses[2]
        await world.give(carol)
        link(carol, world.bob)
        await world.settle()
        await world.open(carol, world.bob)
        asked = await world.bob.invoice("shared", TOTAL)
        carol.kernel.inbox.put(part_of(world, carol, asked, 1, 5_000_000))
        await world.settle()
        assert waiting(world.bob) == 1
        cut(carol, world.bob)
        await world.settle()
        world.alice.kernel.inbox.put(part_of(world, world.alice, asked, 2, 4_000_000))
        await world.settle()
        assert invoice_of(world.bob, asked).status is InvoiceStatus.PAID
        payment_hash = asked.invoice.payment_hash
        assert await removals(carol, payment_hash) == [None]
        link(carol, world.bob)
        await world.settle()
        for payer in (world.alice, carol):
            assert [type(r) for r in await removals(payer, payment_hash)] == [Fulfilled]


async def test_after_a_minute_all_parts_go_back(world: World) -> None:
    asked = await world.bob.invoice("half", TOTAL)
    await send(world, asked, (0, 1))
    clock(world.bob, 60)
    world.bob.kernel.inbox.put(Tick())
    await world.settle()
    assert waiting(world.bob) == 2
    clock(world.bob, 61)
    world.bob.kernel.inbox.put(Tick())
    await world.settle()
    assert waiting(world.bob) == 0
    assert [type(r) for r in await removals(world.alice, asked.invoice.payment_hash)] == [
        Failed,
        Failed,
    ]
    assert invoice_of(world.bob, asked).status is InvoiceStatus.UNPAID
    # The invoice can be paid all the same.
    done = await world.alice.pay(asked)
    assert done.payment.status is PaymentStatus.COMPLETE


async def test_parts_near_their_end_go_back_before_the_minute_is_over(world: World) -> None:
    asked = await world.bob.invoice("late", TOTAL)
    await send(world, asked, (0, 1))
    for _ in range(9):
        await world.mine()
    world.bob.kernel.inbox.put(Tick())
    await world.settle()
    assert waiting(world.bob) == 2
    await world.mine()
    world.bob.kernel.inbox.put(Tick())
    await world.settle()
    assert waiting(world.bob) == 0
    assert len(await removals(world.alice, asked.invoice.payment_hash)) == 2


async def test_parts_that_promise_different_wholes_all_go_back(world: World) -> None:
    asked = await world.bob.invoice("unlike", TOTAL)
    await send(world, asked, (0,))
    [(payment_hash, held)] = world.bob.kernel.board.memory.waiting_parts.items()
    other = replace(held, total_msat=MilliSatoshi(TOTAL + 1))
    world.bob.kernel.board.memory.waiting_parts[payment_hash] = other
    await send(world, asked, (1,))
    assert waiting(world.bob) == 0
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert [type(r) for r in found] == [Failed, Failed]


async def test_a_part_whose_channel_went_to_the_chain_is_not_counted(world: World) -> None:
    """Its money can no longer come this way: the rest must not be bought with the preimage."""
    asked = await world.bob.invoice("lost", TOTAL)
    await send(world, asked, (0, 1))
    world.bob.kernel.board.memory.frozen[channels(world.bob)[1].id] = "broken for this test"
    world.journal.clear()
    await send(world, asked, (2,))
    assert invoice_of(world.bob, asked).status is InvoiceStatus.UNPAID
    assert waiting(world.bob) == 2
    assert "drop" not in {entry.what for entry in world.journal}, "a batch of bob's has failed"


async def test_parts_for_an_invoice_that_is_deleted_go_back_at_once(world: World) -> None:
    asked = await world.bob.invoice("regretted", TOTAL)
    await send(world, asked, (0, 1))
    gone = await world.bob.kernel.command(
        lambda t: DeleteInvoice(t, "regretted", InvoiceStatus.UNPAID, False)
    )
    assert isinstance(gone, InvoiceDeleted)
    await world.settle()
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert [type(r) for r in found] == [Failed, Failed]
    assert waiting(world.bob) == 0


# --- a payee that dies --------------------------------------------------------------------------


class Dying:
    """Bob's store: at one of its commits he dies, before or after it reached the disk."""

    def __init__(self, house: House, commit: int, *, stored: bool) -> None:
        self._commit = house.store.commit
        self._left = commit
        self._stored = stored
        self.died = False

    async def commit(self, writes: Sequence[Write]) -> None:
        """As the disk, but once."""
        self._left -= 1
        dies = self._left < 0 and not self.died
        if dies and not self._stored:
            self.died = True
            raise ServiceFault("killed before the disk")
        await self._commit(writes)
        if dies:
            self.died = True
            raise ServiceFault("killed after the disk")


@pytest.mark.parametrize("stored", [False, True], ids=["before the disk", "after the disk"])
@pytest.mark.parametrize("commit", range(7))
async def test_dead_at_any_commit__complete_is_paid(
    world: World, monkeypatch: pytest.MonkeyPatch, commit: int, stored: bool
) -> None:
    asked = await world.bob.invoice("mortal", TOTAL)
    dying = Dying(world.bob, commit, stored=stored)
    monkeypatch.setattr(world.bob.store, "commit", dying.commit)
    for number in range(3):
        await send(world, asked, (number,))
        # Links end with a life: what is said on new ones follows from what the disks hold.
        if not world.bob.transport.linked:
            await world.relink()
    await world.relink()
    assert dying.died, f"bob never came to commit {commit}: ask for fewer"
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert [type(r) for r in found] == [Fulfilled] * 3
    invoice = invoice_of(world.bob, asked)
    assert (invoice.status, len(invoice.parts)) == (InvoiceStatus.PAID, 3)
    assert invoice.amount_received.msat == TOTAL


@pytest.mark.parametrize("arrived", [1, 2])
async def test_dead_with_some_parts__the_rest_still_completes_them(
    world: World, arrived: int
) -> None:
    asked = await world.bob.invoice("early", TOTAL)
    await send(world, asked, range(arrived))
    assert waiting(world.bob) == arrived
    clock(world.bob, 50)
    await die(world)
    assert waiting(world.bob) == arrived
    [held] = world.bob.kernel.board.memory.waiting_parts.values()
    assert held.begun_at == NOW + 50
    await send(world, asked, range(arrived, 3))
    assert invoice_of(world.bob, asked).status is InvoiceStatus.PAID
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert [type(r) for r in found] == [Fulfilled] * 3


async def test_dead_after_the_whole__each_of_its_parts_is_fulfilled_again(world: World) -> None:
    asked = await world.bob.invoice("whole", TOTAL)
    await send(world, asked, (0, 1))
    # The last commit of the payment is on disk, and not one of its words has left.
    bob, sent = world.bob, len(world.bob.transport.wire)
    bob.transport.linked.clear()
    await send(world, asked, (2,))
    assert len(bob.transport.wire) == sent
    await world.relink()
    await world.relink()
    assert invoice_of(bob, asked).status is InvoiceStatus.PAID
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert [type(r) for r in found] == [Fulfilled] * 3


async def test_a_part_that_was_paid_but_not_fulfilled_is_fulfilled_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when one of the channels freezes in the very batch: the invoice is paid only once."""
    asked = await world.bob.invoice("stuck", TOTAL)
    await send(world, asked, (0, 1))
    stuck, run = channels(world.bob)[1].id, Board.run

    def freezing(board: Board, channel_id: ChannelId, event: Event) -> tuple[Action, ...]:
        if channel_id == stuck and isinstance(event, FulfillHtlc):
            return ()
        return run(board, channel_id, event)

    with monkeypatch.context() as patch:
        patch.setattr(Board, "run", freezing)
        await send(world, asked, (2,))
    paid = invoice_of(world.bob, asked)
    assert paid.status is InvoiceStatus.PAID
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert {type(r) for r in found} == {Fulfilled, type(None)}
    await die(world)
    found = await removals(world.alice, asked.invoice.payment_hash)
    assert [type(r) for r in found] == [Fulfilled] * 3
    assert invoice_of(world.bob, asked) == paid


async def die(world: World) -> None:
    """Bob forgets all that is not on his disk, and comes back."""
    world.bob.store.fail_at = 0
    with pytest.raises(Refused, match="disk is full"):
        await world.bob.invoice("never stored")
    cut(world.alice, world.bob)
    await world.settle()
    link(world.alice, world.bob)
    await world.settle()


# --- keysend ------------------------------------------------------------------------------------


async def test_keysend_pays_an_invoice_that_nobody_made(world: World) -> None:
    request = KeysendRequest(
        destination=world.bob.id,
        amount=MilliSatoshi(1_234_567),
        max_fee=MilliSatoshi(0),
        extra_tlvs=((7_629_169, b"for you"),),
    )
    world.journal.clear()
    done = await world.alice.kernel.command(lambda t: Keysend(t, request))
    assert isinstance(done, PaymentDone)
    payment = done.payment
    assert payment.status is PaymentStatus.COMPLETE
    assert payment.preimage is not None
    assert sha256(payment.preimage) == payment.payment_hash
    invoice = world.bob.kernel.board.memory.invoices[payment.payment_hash]
    assert (invoice.status, invoice.label) == (
        InvoiceStatus.PAID,
        f"keysend-{payment.payment_hash.hex()}",
    )
    assert (invoice.amount, invoice.amount_received.msat) == (None, 1_234_567)
    assert (invoice.description, invoice.preimage) == ("keysend: for you", payment.preimage)
    assert decode_invoice(invoice.bolt11).payment_hash == payment.payment_hash
    stored = [b for b in _batches(world, world.bob) if "update_fulfill_htlc" in b]
    assert [b.count("stored") for b in stored] == [1]


@pytest.mark.parametrize("stored", [False, True], ids=["before the disk", "after the disk"])
@pytest.mark.parametrize("commit", range(2))
async def test_keysend__dead_at_any_commit(
    world: World, monkeypatch: pytest.MonkeyPatch, commit: int, stored: bool
) -> None:
    dying = Dying(world.bob, commit, stored=stored)
    monkeypatch.setattr(world.bob.store, "commit", dying.commit)
    amount = MilliSatoshi(1_000_000)
    request = KeysendRequest(destination=world.bob.id, amount=amount, max_fee=MilliSatoshi(0))
    world.alice.kernel.inbox.put(Keysend(0, request))
    await world.settle()
    assert dying.died
    for _ in range(2):
        await world.relink()
    paid = [i.payment_hash for i in world.bob.kernel.board.memory.invoices.values()]
    complete = [
        p.payment_hash
        for p in world.alice.kernel.board.memory.payments.values()
        if p.status is PaymentStatus.COMPLETE
    ]
    assert paid == complete
    assert len(paid) == 1


async def test_a_single_part_by_sendpay_is_taken(world: World) -> None:
    asked = await world.bob.invoice("single", PARTS[0][1])
    command = part_of(world, world.alice, asked, 1, PARTS[0][1])
    sent = await world.alice.kernel.command(lambda t: SendPart(t, command.request))
    assert isinstance(sent, PartSent)
    await world.settle()
    assert invoice_of(world.bob, asked).status is InvoiceStatus.PAID
