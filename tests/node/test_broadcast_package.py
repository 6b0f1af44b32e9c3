"""Transactions with parents: signed together, offered as one package, each one's outcome told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import coins, faucet
from tests.support.chain_server import ChainServer
from tests.support.cores import start
from tests.support.kernels import World
from wallet.base.bitcoin.block import Block
from wallet.base.errors import ServiceFault
from wallet.base.values.ids import ChannelId, OutPoint, Txid
from wallet.machines.chain_events import BroadcastKind, BroadcastResult
from wallet.machines.signing import InputToSign, SignDigest, Slot, UnsignedTx, WalletKey
from wallet.node.answers import ChannelClosed
from wallet.node.events import BroadcastDone, NodeEvent, Tick, Ticket
from wallet.node.filling import filled, requests_of
from wallet.node.memory import CloseWaiter
from wallet.node.work import BroadcastTx


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Alice and Bob with a channel that both can use."""
    async with World() as made:
        await made.opened()
        yield made


def complete(*spent: OutPoint, sat: int = 1_000) -> UnsignedTx:
    """A transaction that waits for nobody."""
    return UnsignedTx(coins.payment(coins.out(sat), spending=spent), ())


def open_(number: int, count: int) -> UnsignedTx:
    """A transaction with inputs that wait for different keys of ours."""
    return UnsignedTx(
        coins.payment(
            coins.out(1_000),
            spending=[OutPoint(Txid(bytes([number]) * 32), n) for n in range(count)],
        ),
        tuple(
            InputToSign(
                n, SignDigest(WalletKey(84, 0, n), bytes([number, n]) * 16), (Slot.DER_ALL, b"key")
            )
            for n in range(count)
        ),
    )


def test_each_transaction_gets_its_own_signatures() -> None:
    parents, child = (open_(1, 2), complete(), open_(2, 1)), open_(3, 3)
    action = BroadcastTx(ChannelId(bytes(32)), "anchor", child, parents)
    ready = filled(action, coins.SIGNER.answer(requests_of(action)))
    assert ready.transactions == tuple(coins.signed(tx) for tx in (*parents, child))
    assert len({txin.witness for tx in ready.transactions for txin in tx.inputs}) == 7


def outcomes(world: World, monkeypatch: pytest.MonkeyPatch) -> list[BroadcastDone]:
    """What Alice's kernel is told from now on, as it comes."""
    told: list[BroadcastDone] = []
    inbox = world.alice.kernel.inbox
    put = inbox.put

    def hear(event: NodeEvent) -> None:
        if isinstance(event, BroadcastDone):
            told.append(event)
        put(event)

    monkeypatch.setattr(inbox, "put", hear)
    return told


async def test_parents_are_offered_with_their_child_and_told_of_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = outcomes(world, monkeypatch)
    one, other = complete(OutPoint(Txid(bytes(32)), 0)), complete(OutPoint(Txid(bytes(32)), 1))
    child = complete(one.tx.outpoint(0), other.tx.outpoint(0))
    channel_id = world.alice.channel.id
    world.alice.kernel.resume([BroadcastTx(channel_id, "anchor", child, (one, other))])
    await world.settle()
    [package] = [e.detail for e in world.journal if e.what == "package"]
    assert package == f"{one.tx.txid} {other.tx.txid} {child.tx.txid}"
    accepted = BroadcastResult(BroadcastKind.ACCEPTED)
    assert told == [
        BroadcastDone(channel_id, "commitment", one.tx, accepted),
        BroadcastDone(channel_id, "commitment", other.tx, accepted),
        BroadcastDone(channel_id, "anchor", child.tx, accepted),
    ]


async def test_who_waits_for_a_close_is_answered_by_the_parent(world: World) -> None:
    """Nothing but the package tells of the commitment."""
    kernel, channel_id = world.alice.kernel, world.alice.channel.id
    commitment = complete(OutPoint(Txid(bytes(32)), 0))

    def wait_for_close(ticket: Ticket) -> Tick:
        kernel.board.memory.awaiting_close[channel_id] = [CloseWaiter(ticket)]
        return Tick()

    closing = asyncio.create_task(kernel.command(wait_for_close))
    await world.settle()
    assert not closing.done()
    child = complete(commitment.tx.outpoint(0))
    kernel.resume([BroadcastTx(channel_id, "anchor", child, (commitment,))])
    assert await closing == ChannelClosed(channel_id, commitment.tx, "unilateral")


async def test_while_the_chain_is_away_each_claim_of_a_channel_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that pays more takes the place of the claim of the same output, and of no other."""

    async def away(_: object) -> None:
        raise ServiceFault("nobody answers")

    told = outcomes(world, monkeypatch)
    kernel, channel_id = world.alice.kernel, world.alice.channel.id
    commitment = complete(OutPoint(Txid(bytes(32)), 0))
    child = complete(commitment.tx.outpoint(0))
    first, second = (OutPoint(Txid(bytes([1]) * 32), n) for n in range(2))
    cheap, dear, other = complete(first), complete(first, sat=900), complete(second)
    with monkeypatch.context() as patched:
        for method in ("broadcast", "broadcast_package"):
            patched.setattr(kernel._chain, method, away)
        for action in (
            BroadcastTx(channel_id, "anchor", child, (commitment,)),
            *(BroadcastTx(channel_id, "htlc", claim) for claim in (cheap, other, dear)),
        ):
            kernel.resume([action])
        await world.settle()
    assert [(done.kind, done.tx, done.result) for done in told] == [
        ("commitment", commitment.tx, None),
        ("anchor", child.tx, None),
        ("htlc", cheap.tx, None),
        ("htlc", other.tx, None),
        ("htlc", dear.tx, None),
    ]
    kernel.chain_is_back()
    await world.settle()
    offered = {e.detail for e in world.journal if e.what == "broadcast"}
    assert offered == {str(tx.tx.txid) for tx in (commitment, child, other, dear)}
    world.journal.clear()
    kernel.chain_is_back()
    await world.settle()
    assert world.journal == []


async def test_on_a_chain_that_asks_more_than_the_parent_pays(tmp_path: Path) -> None:
    """Alone it stays out of every block; with the child that pays for it, it is mined."""
    with ChainServer(tmp_path / "chain") as chain:
        blocks = chain.call("generatetoaddress", 102, faucet.ADDRESS)
        coin, purse = (
            faucet.coinbase_of(Block.decode(bytes.fromhex(chain.call("getblock", block, 0))))
            for block in blocks[:2]
        )
        chain.call("setminrelayfee", 0.0005)
        chain.call("setmempoolminfee", 0.001)
        anchor = coins.out(330, faucet.SCRIPT)
        parent = faucet.spend([coin], 1_000, outputs=[anchor])
        child = faucet.spend([faucet.output_of(parent, 0), purse], 60_000)

        async def offered_and_mined(action: BroadcastTx) -> set[str]:
            """The block after the core has offered it, without the coinbase."""
            kernel.resume([action])
            await asyncio.gather(*kernel._broadcasts)
            [block] = await asyncio.to_thread(chain.call, "generatetoaddress", 1, faucet.ADDRESS)
            return set((await asyncio.to_thread(chain.call, "getblock", block))["tx"][1:])

        alice = await start(tmp_path / "alice", chain)
        kernel = alice.core.kernel
        try:
            alone, paying = UnsignedTx(parent, ()), UnsignedTx(child, ())
            assert await offered_and_mined(BroadcastTx(None, "bump", alone)) == set()
            mined = await offered_and_mined(BroadcastTx(None, "bump", paying, (alone,)))
            assert mined == {str(parent.txid), str(child.txid)}
        finally:
            await alice.close()
