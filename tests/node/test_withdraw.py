"""Coins sent away through a kernel: signed, stored, offered; until a block holds them, for ever."""

from collections.abc import AsyncIterator

import pytest

from tests.support import coins
from tests.support.kernels import World
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import Refused, ServiceFault
from wallet.base.values.amounts import Satoshi
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import (
    BlockConnected,
    BlockDisconnected,
    BroadcastKind,
    BroadcastResult,
)
from wallet.machines.coins.records import TxKind, TxRecord
from wallet.node import persist
from wallet.node.answers import Withdrawn
from wallet.node.events import Withdraw
from wallet.node.work import BroadcastTx

ELSEWHERE = bytes.fromhex("0014") + bytes(20)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Alice has 0.1 BTC, in a block, and nothing else."""
    async with World() as made:
        await made.give(made.alice)
        made.journal.clear()
        yield made


async def withdraw(world: World, amount: int | None = 50_000) -> Transaction:
    sat = None if amount is None else Satoshi(amount)
    done = await world.alice.kernel.command(lambda t: Withdraw(t, ELSEWHERE, sat, None, 0))
    assert isinstance(done, Withdrawn)
    assert len(done.spent) == len(done.tx.inputs)
    return done.tx


def records(world: World) -> list[TxRecord]:
    return list(world.alice.kernel.board.memory.transactions.values())


def broadcasts(world: World) -> list[str]:
    return [e.detail for e in world.journal if e.what == "broadcast"]


async def reloaded(world: World) -> list[Transaction]:
    """What a start from Alice's disk would offer to the chain."""
    kernel = world.alice.kernel
    before = records(world)
    _, wishes = await persist.load(world.alice.store, kernel.board)
    assert records(world) == before
    return [w.transaction.finish([]) for w in wishes if isinstance(w, BroadcastTx)]


# --- the order ----------------------------------------------------------------------------------


async def test_nothing_is_offered_before_it_is_stored(world: World) -> None:
    tx = await withdraw(world)
    whats = [e.what for e in world.journal if e.who == "alice"]
    assert whats.index("sign") < whats.index("commit") < whats.index("broadcast")
    assert broadcasts(world) == [str(tx.txid)]
    assert all(txin.witness for txin in tx.inputs)
    [deposit, sent] = records(world)
    assert (deposit.kind, deposit.delta_sat) == (TxKind.DEPOSIT, 10_000_000)
    assert (sent.kind, sent.height) == (TxKind.WITHDRAWAL, None)
    assert sent.fee_sat is not None
    assert sent.delta_sat == -50_000 - sent.fee_sat


async def test_a_disk_that_fails_leaves_the_coins_alone(world: World) -> None:
    world.alice.store.fail_at = 0
    with pytest.raises(Refused, match="the disk is full"):
        await withdraw(world)
    assert broadcasts(world) == []
    assert [r.kind for r in records(world)] == [TxKind.DEPOSIT]
    await withdraw(world, None)


async def test_a_start_offers_what_no_block_holds(world: World) -> None:
    tx = await withdraw(world)
    assert await reloaded(world) == [tx]
    await world.mine()
    assert await reloaded(world) == []


# --- the chain says no, or nothing --------------------------------------------------------------


async def test_what_the_chain_refuses_never_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_tx: Transaction) -> BroadcastResult:
        return BroadcastResult(BroadcastKind.REJECTED, "min relay fee not met")

    with monkeypatch.context() as patched:
        patched.setattr(world.alice.kernel._chain, "broadcast", refuse)
        with pytest.raises(Refused, match=r"min relay fee not met\. The coins are free again"):
            await withdraw(world)
    assert [r.kind for r in records(world)] == [TxKind.DEPOSIT]
    assert await reloaded(world) == []
    await withdraw(world, None)


async def test_while_the_chain_is_away_each_of_several_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_tx: Transaction) -> BroadcastResult:
        raise ServiceFault("nobody answers")

    with monkeypatch.context() as patched:
        patched.setattr(world.alice.kernel._chain, "broadcast", away)
        # The second one spends the change of the first.
        sent = [await withdraw(world), await withdraw(world, 60_000)]
    assert broadcasts(world) == []
    world.alice.kernel.chain_is_back()
    await world.settle()
    assert broadcasts(world) == [str(tx.txid) for tx in sent]


async def test_one_that_waits_is_offered_with_every_block(world: World) -> None:
    tx = await withdraw(world)
    world.mempool.clear()
    await world.mine()
    assert broadcasts(world) == [str(tx.txid)] * 2
    await world.mine()
    assert records(world)[-1].height == world.height
    await world.mine()
    assert broadcasts(world) == [str(tx.txid)] * 2


# --- reorganisations ----------------------------------------------------------------------------


async def test_a_block_that_is_taken_back(world: World) -> None:
    tx = await withdraw(world)
    parent, height = world.tip, world.height
    await world.mine()
    assert [(r.height, r.position) for r in records(world)] == [(1, 0), (2, 0)]
    kernel = world.alice.kernel
    kernel.inbox.put(BlockDisconnected(BlockHeight(world.height), world.tip))
    await world.settle()
    assert [r.height for r in records(world)] == [1, None]
    assert await reloaded(world) == [tx]
    kernel.inbox.put(BlockConnected(BlockHeight(height + 1), BlockHash(bytes(32)), parent, (tx,)))
    await world.settle()
    assert [r.height for r in records(world)] == [1, 2]


async def test_a_deposit_that_a_reorganisation_undoes_is_forgotten(world: World) -> None:
    kernel = world.alice.kernel
    kernel.inbox.put(BlockDisconnected(BlockHeight(world.height), world.tip))
    await world.settle()
    assert records(world) == []
    assert await reloaded(world) == []


async def test_a_rival_of_ours_that_is_buried_wins(world: World) -> None:
    tx = await withdraw(world)
    world.mempool.clear()
    rival = Transaction(2, tx.inputs, (coins.out(9_000_000, ELSEWHERE),), 0)
    await world.mine(rival)
    world.mempool.clear()
    kinds = [(r.kind, r.delta_sat) for r in records(world) if r.height is not None]
    assert kinds == [(TxKind.DEPOSIT, 10_000_000), (TxKind.WITHDRAWAL, -10_000_000)]
    for _ in range(101):
        await world.mine()
    assert [r.tx.txid for r in records(world)][1:] == [rival.txid]
