"""What a channel partner can do within the rules, or just beyond them, to wear us out."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from tests.support.kernels import House, World, cut, link
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import PaymentHash, Secret, Signature
from wallet.base.wire.channel import (
    ChannelReestablish,
    CommitmentSigned,
    RevokeAndAck,
    UpdateAddHtlc,
    UpdateFee,
)
from wallet.base.wire.message import Message, decode, encode
from wallet.machines.channel.state import Phase
from wallet.machines.payments.records import PaymentStatus
from wallet.node.events import FeerateChanged, NodeEvent, PeerSaid
from wallet.node.kernel import Kernel

BATCH_SECONDS = 1.0
"""Longest that the loop may be held: within it `getinfo` must be answered."""


@pytest.fixture
async def world(caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    """Alice opened a channel to Bob; nobody's log may hold a fault of ours."""
    async with World() as made:
        await made.opened()
        yield made
        await made.settle()
        for house in made.houses:
            assert house.kernel.board.memory.frozen == {}
    faults = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert not faults, faults


def instead(kind: type[Message], *said: Message) -> Callable[[bytes], Sequence[bytes]]:
    """A `tamper` that puts other messages in place of every one of a kind."""
    others = tuple(map(encode, said))
    return lambda data: others if isinstance(decode(data), kind) else (data,)


def say(world: World, *messages: Message) -> None:
    """Bob hears these as if Alice had said them."""
    for message in messages:
        said = PeerSaid(world.alice.id, encode(message))
        world.bob.kernel.inbox.put_peer(world.alice.id, said)


def addition(world: World, number: int, amount: int = 1_000) -> UpdateAddHtlc:
    """HTLC `number` of Alice, for a hash that nobody knows."""
    unknown = PaymentHash(sha256(number.to_bytes(4, "big")))
    return UpdateAddHtlc(
        world.bob.channel.id, number, MilliSatoshi(amount), unknown, CltvExpiry(150), bytes(1366)
    )


async def still_pays(world: World, payer: House, payee: House) -> None:
    """Once more, as if nothing had been."""
    async with asyncio.timeout(20):
        done = await payer.pay(await payee.invoice(f"{payer.name} {len(world.journal)}"))
    assert done.payment.status is PaymentStatus.COMPLETE


class Stopwatch:
    """The longest batch of a kernel, in seconds of work: a busy machine is no fault of ours."""

    def __init__(self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.longest = 0.0
        process = kernel.process

        async def timed(batch: list[NodeEvent]) -> None:
            begun = time.thread_time()
            await process(batch)
            self.longest = max(self.longest, time.thread_time() - begun)

        monkeypatch.setattr(kernel, "process", timed)


async def test_fee_rates_that_are_never_revoked_do_not_pile_up(world: World) -> None:
    """BOLT 2 lets a peer sign again and again before it revokes what we signed."""
    honest = world.alice.transport.tamper
    world.alice.transport.tamper = instead(RevokeAndAck)
    for number in range(30):
        feerate = FeeratePerKw(1_000 if number % 2 else 253)
        world.alice.kernel.inbox.put(FeerateChanged(feerate))
        await world.settle()
    assert world.bob.channel.our_number >= 28
    assert len(world.bob.channel.fees) <= 4
    assert len(world.alice.channel.fees) <= 4
    world.alice.transport.tamper = honest
    await world.relink()
    await still_pays(world, world.alice, world.bob)
    await still_pays(world, world.bob, world.alice)
    await world.settle()
    assert world.alice.channel.feerate == world.bob.channel.feerate == FeeratePerKw(1_000)


async def test_additions_that_are_never_committed_are_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Stopwatch(world.bob.kernel, monkeypatch)
    for _ in range(3):
        say(world, *(addition(world, number) for number in range(483)))
        await world.settle()
        assert len(world.bob.channel.htlcs) == 483
        await world.relink()
        assert world.bob.channel.htlcs == {}
    assert watch.longest < BATCH_SECONDS
    await still_pays(world, world.alice, world.bob)


async def test_one_addition_too_many_fails_the_channel(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Stopwatch(world.bob.kernel, monkeypatch)
    say(world, *(addition(world, number) for number in range(600)))
    await world.settle()
    assert world.bob.channel.phase is Phase.FAILED
    assert "max_accepted_htlcs" in str(world.bob.channel.error)
    assert watch.longest < BATCH_SECONDS


async def test_additions_and_then_a_wrong_signature(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Stopwatch(world.bob.kernel, monkeypatch)
    wrong = Signature(b"\1" * 64)
    say(
        world,
        *(addition(world, number) for number in range(483)),
        CommitmentSigned(world.bob.channel.id, wrong, (wrong,) * 483),
    )
    await world.settle()
    assert world.bob.channel.phase is Phase.FAILED
    assert world.bob.channel.our_number == 0
    assert watch.longest < BATCH_SECONDS


async def test_words_that_cost_us_more_than_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a full table every fee rate is checked against all of it."""
    watch = Stopwatch(world.bob.kernel, monkeypatch)
    say(world, *(addition(world, number) for number in range(483)))
    channel_id = world.bob.channel.id
    say(world, *(UpdateFee(channel_id, FeeratePerKw(253 + n)) for n in range(1_000)))
    await world.settle()
    assert watch.longest < BATCH_SECONDS
    assert len(world.bob.channel.fees) == 2
    await world.relink()
    await still_pays(world, world.bob, world.alice)


NUMBERS = (0, 1, 2, 5, 2**48 - 1, 2**48, 2**64 - 1)


@pytest.mark.parametrize("commitment", NUMBERS)
async def test_reestablish_with_any_numbers(world: World, commitment: int) -> None:
    """Whatever is claimed, nothing of ours is released: a failed channel is the worst."""
    await still_pays(world, world.alice, world.bob)
    await world.settle()
    before = world.bob.channel
    for revocation in NUMBERS:
        cut(world.alice, world.bob)
        await world.settle()
        world.bob.transport.wire.clear()
        claim = ChannelReestablish(
            before.id, commitment, revocation, Secret(sha256(b"no secret")), before.their_points[0]
        )
        world.alice.transport.tamper = instead(ChannelReestablish, claim)
        link(world.alice, world.bob)
        await world.settle()
        released = [m for m in map(decode, world.bob.transport.wire) if isinstance(m, RevokeAndAck)]
        assert not released or revocation == before.our_number - 1
    after = world.bob.channel
    assert after.phase in {Phase.READY, Phase.FAILED}
    assert not after.fell_behind
    assert after.our_number == before.our_number
