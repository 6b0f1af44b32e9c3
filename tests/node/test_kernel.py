"""The kernel's promise: step, sign, commit, act, in this order; a batch that fails never was."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from tests.support.kernels import House, World, cut, link
from wallet.base.crypto.curve import point_of
from wallet.base.errors import Refused, ServiceFault
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash, ChannelId, NodeId, Secret
from wallet.machines.chain_events import BlockDisconnected
from wallet.machines.payments.records import InvoiceStatus, PaymentStatus
from wallet.node.answers import ChannelOpened
from wallet.node.events import CloseChannel, PeerDown, PeerSaid
from wallet.node.inbox import BATCH, PER_PEER, Inbox
from wallet.node.tap import state_hash

BINDING = {"commitment_signed", "revoke_and_ack", "update_fulfill_htlc", "funding_signed"}
"""Messages that give something away: a signature, a secret, a preimage."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Alice and Bob with a channel that both can use."""
    async with World() as made:
        await made.opened()
        yield made


def batches(world: World, house: House) -> list[list[str]]:
    """What a house did, batch by batch: `sign`, `commit`, `stored`, `send`, …"""
    found: list[list[str]] = []
    for entry in world.journal:
        if entry.who == house.name:
            if entry.what == "batch":
                found.append([])
            elif found:
                found[-1].append(entry.detail if entry.what == "send" else entry.what)
    return found


async def paid(world: World, label: str, payer: House, payee: House) -> None:
    done = await payer.pay(await payee.invoice(label))
    assert done.payment.status is PaymentStatus.COMPLETE


# --- the order ----------------------------------------------------------------------------------


async def test_signing_then_storing_then_sending(world: World) -> None:
    await paid(world, "a", world.alice, world.bob)
    await paid(world, "b", world.bob, world.alice)
    await world.settle()
    binding = 0
    for house in (world.alice, world.bob):
        for batch in batches(world, house):
            beats = "".join({"sign": "s", "commit": "c", "stored": "d"}.get(w, "a") for w in batch)
            assert re.fullmatch("s*(cd)?a*", beats), batch
            if BINDING & set(batch):
                binding += 1
                assert "stored" in batch, batch
    assert binding >= 8


async def test_while_a_commit_waits_nothing_is_sent_or_answered(world: World) -> None:
    request = await world.bob.invoice("slow")
    world.alice.store.gate.clear()
    world.journal.clear()
    paying = world.alice.pay(request)
    await world.settle()
    assert world.sent(world.alice) == []
    assert world.alice.kernel.busy
    world.alice.store.gate.set()
    assert (await paying).payment.status is PaymentStatus.COMPLETE
    assert world.sent(world.alice)[:2] == ["update_add_htlc", "commitment_signed"]


async def test_a_batch_that_changes_nothing_durable_is_not_stored(world: World) -> None:
    with pytest.raises(Refused):
        await world.alice.kernel.command(
            lambda t: CloseChannel(t, ChannelId(bytes(32)), None, None, False)
        )
    assert [e.what for e in world.journal] == ["batch"]


# --- a batch that fails -------------------------------------------------------------------------


async def test_a_failed_commit_sends_nothing_and_changes_nothing(world: World) -> None:
    alice = world.alice
    request = await world.bob.invoice("unlucky")
    before = state_hash(alice.kernel.board.memory)
    world.journal.clear()
    alice.store.fail_at = 0
    with pytest.raises(Refused, match=r"disk is full.*Nothing was sent or changed"):
        await alice.pay(request)
    assert world.sent(alice) == []
    assert state_hash(alice.kernel.board.memory) == before
    assert alice.kernel.board.memory.payments == {}
    # The peer may know more than the links of this batch: they are closed, and made anew.
    assert [e.detail for e in world.journal if e.what == "drop"] == ["internal error"]
    await world.relink()
    assert (await alice.pay(request)).payment.status is PaymentStatus.COMPLETE


@pytest.mark.parametrize("fault", [ServiceFault("the signer is away"), ZeroDivisionError("a bug")])
async def test_a_failing_signer_stops_the_batch_before_the_store(
    world: World, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    alice = world.alice
    request = await world.bob.invoice("unsigned")
    world.journal.clear()
    alice.signer.fail_with = fault
    with pytest.raises(Refused, match="Nothing was sent or changed"):
        await alice.pay(request)
    assert [e.what for e in world.journal if e.who == "alice"][:2] == ["batch", "sign"]
    assert not {"commit", "send"} & {e.what for e in world.journal if e.who == "alice"}
    assert "nothing of a batch" in caplog.text
    await world.relink()
    assert (await alice.pay(request)).payment.status is PaymentStatus.COMPLETE


@pytest.mark.parametrize("commit", range(8))
async def test_who_waits_since_an_earlier_batch_gets_an_answer(world: World, commit: int) -> None:
    """Whichever commit of a payment fails on either side, its caller is told how it ended."""
    for house, label in ((world.alice, "payer"), (world.bob, "payee")):
        request = await world.bob.invoice(f"{label} {commit}")
        house.store.fail_at = commit
        paying = world.alice.pay(request)
        await world.settle()
        house.store.fail_at = None
        await world.relink()
        assert paying.done(), f"nobody told the caller ({label})"
        hash_ = request.invoice.payment_hash
        invoice = world.bob.kernel.board.memory.invoices[hash_]
        if isinstance(paying.exception(), Refused):
            assert invoice.status is InvoiceStatus.UNPAID
            assert (hash_, 1) not in world.alice.kernel.board.memory.payments
        else:
            assert paying.result().payment.status is PaymentStatus.COMPLETE
            assert invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize("commit", range(4))
@pytest.mark.parametrize("name", ["alice", "bob"])
async def test_who_opens_a_channel_gets_an_answer(name: str, commit: int) -> None:
    async with World() as world:
        await world.funded()
        house = world.alice if name == "alice" else world.bob
        house.store.fail_at = commit
        opening = world.start_open()
        await world.settle()
        house.store.fail_at = None
        await world.relink()
        assert opening.done(), "nobody told the caller"
        memory = world.alice.kernel.board.memory
        assert memory.openings == {}
        if isinstance(opening.exception(), Refused):
            assert memory.channels == {}
            assert all(c.reserved_by is None for c in memory.wallet.coins.values())
            assert isinstance(await world.start_open(), ChannelOpened)
        else:
            assert isinstance(opening.result(), ChannelOpened)
        await world.mine()
        await paid(world, "first", world.alice, world.bob)


async def test_callers_of_the_failed_batch_are_refused_and_others_go_on(world: World) -> None:
    alice, bob = world.alice, world.bob
    request = await bob.invoice("in flight")
    bob.store.gate.clear()
    waiting = alice.pay(request)
    await world.settle()
    alice.store.fail_at = 0
    with pytest.raises(Refused, match="disk is full"):
        await alice.invoice("of the failed batch")
    assert not waiting.done()
    bob.store.gate.set()
    await world.settle()
    await world.relink()
    assert (await waiting).payment.status is PaymentStatus.COMPLETE
    await alice.invoice("of the failed batch")


# --- links --------------------------------------------------------------------------------------


async def test_what_was_meant_for_an_old_link_is_not_said_on_the_new_one(world: World) -> None:
    """One batch holds a payment, the end of the link and a new link (trap: messages crossing)."""
    alice, bob = world.alice, world.bob
    request = await bob.invoice("across")
    world.journal.clear()
    paying = alice.pay(request)
    await asyncio.sleep(0)  # its command is in the inbox, no batch has begun
    cut(alice, bob)
    link(alice, bob)
    await world.settle()
    assert world.sent(alice)[0] == "channel_reestablish"
    assert (await paying).payment.status is PaymentStatus.COMPLETE


async def test_nothing_is_said_on_a_link_before_its_event_is_absorbed(world: World) -> None:
    alice, bob = world.alice, world.bob
    request = await bob.invoice("held")
    alice.store.gate.clear()
    world.journal.clear()
    paying = alice.pay(request)
    await world.settle()
    # While the batch waits for the disk, the link is replaced; its messages were for the old one.
    cut(alice, bob)
    link(alice, bob)
    alice.store.gate.set()
    await world.settle()
    assert world.sent(alice)[0] == "channel_reestablish"
    assert (await paying).payment.status is PaymentStatus.COMPLETE


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_link_that_comes_up_in_a_failing_batch_is_not_mute(
    world: World, place: str
) -> None:
    """Whether the fault strikes before or after its event, the link ends and the next one works."""
    alice, bob = world.alice, world.bob
    cut(alice, bob)
    await world.settle()
    world.journal.clear()
    # Commands are absorbed before any peer's word.
    making = asyncio.create_task(alice.invoice("in the same batch"))
    if place == "before":
        alice.signer.fail_with = ServiceFault("the signer is away")
    else:
        alice.store.fail_at = 0
    await asyncio.sleep(0)
    link(alice, bob)
    with pytest.raises(Refused):
        await making
    await world.settle()
    assert bob.id not in alice.transport.linked, "the link stays, and nobody knows of it"
    await world.relink()
    await paid(world, "afterwards", alice, bob)


async def test_a_frozen_channel_stays_frozen_when_another_batch_fails(world: World) -> None:
    alice = world.alice
    memory = alice.kernel.board.memory
    memory.frozen[alice.channel.id] = "a bug"
    alice.store.fail_at = 0
    with pytest.raises(Refused, match="disk is full"):
        await alice.invoice("unlucky")
    assert alice.kernel.board.memory is not memory
    assert alice.kernel.board.memory.frozen == {alice.channel.id: "a bug"}


# --- the inbox ----------------------------------------------------------------------------------

ONE, OTHER = (NodeId(point_of(Secret(bytes([n]) * 32))) for n in (1, 2))


def said(peer: NodeId, number: int) -> PeerSaid:
    return PeerSaid(peer, number.to_bytes(2, "big"))


async def test_one_loud_peer_does_not_silence_another() -> None:
    inbox = Inbox()
    for number in range(PER_PEER):
        await inbox.put_message(ONE, said(ONE, number))
    await inbox.put_message(OTHER, said(OTHER, 0))
    batch = await inbox.take_batch()
    assert batch.index(said(OTHER, 0)) == 1
    assert [e for e in batch if e != said(OTHER, 0)] == [said(ONE, n) for n in range(PER_PEER)]


async def test_a_peer_with_many_messages_waiting_is_read_no_further() -> None:
    inbox = Inbox()
    for number in range(PER_PEER):
        await inbox.put_message(ONE, said(ONE, number))
    held = asyncio.create_task(inbox.put_message(ONE, said(ONE, PER_PEER)))
    await asyncio.sleep(0)
    assert not held.done()
    # That it went away is always heard, after what it said.
    inbox.put_peer(ONE, PeerDown(ONE, "gone"))
    assert (await inbox.take_batch())[-1] == PeerDown(ONE, "gone")
    await held
    assert await inbox.take_batch() == [said(ONE, PER_PEER)]


async def test_blocks_and_commands_come_first_and_are_never_dropped() -> None:
    inbox = Inbox()
    await inbox.put_message(ONE, said(ONE, 0))
    blocks = [
        BlockDisconnected(BlockHeight(n), BlockHash(bytes(32))) for n in range(BATCH + 10, 0, -1)
    ]
    inbox.put_all(blocks)
    first, second = await inbox.take_batch(), await inbox.take_batch()
    assert first == blocks[:BATCH]
    assert second == [*blocks[BATCH:], said(ONE, 0)]


async def test_a_closed_inbox_gives_what_it_holds_and_then_ends() -> None:
    inbox = Inbox()
    inbox.put_peer(ONE, said(ONE, 0))
    inbox.close()
    assert await inbox.take_batch() == [said(ONE, 0)]
    assert await inbox.take_batch() == []
