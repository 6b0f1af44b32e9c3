"""A trusted zero-conf channel whose funding is double-spent: seen, said, and survived.

Two kernels on the embedded chain.  Alice has opened with 1,000,000 sat, given Bob 300,000, and the
channel is used at once.  Then a transaction that spends the same coins is mined.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support import faucet
from tests.support.kernels import House
from tests.support.kernels_on_chain import ChainWorld
from tests.support.regtest_node import TestClock, funded
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.ids import Signature
from wallet.faces.rpc.shapes import peer_channel
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.state import Phase, ScidKind, is_lost
from wallet.machines.coins.building import to_sign
from wallet.machines.payments.records import Hop, InvoiceStatus, PaymentStatus
from wallet.machines.payments.requests import PartRequest
from wallet.machines.signing import UnsignedTx
from wallet.node.events import ChannelWish, OpenChannelTo, SendPart, TrustPeer
from wallet.node.inbound import inbound_channels
from wallet.node.work import Notice


class LostWorld(ChainWorld):
    """Both houses write down what they are told."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.told: dict[str, list[Notice]] = {house.name: [] for house in self.houses}
        for house in self.houses:
            house.kernel.listen(self.told[house.name].append)

    def topics(self, house: House) -> list[str]:
        """What it was told of fundings."""
        said = [notice.topic for notice in self.told[house.name]]
        return [topic for topic in said if topic.startswith("funding_")]


@asynccontextmanager
async def at_once() -> AsyncIterator[LostWorld]:
    """A channel that is used before its funding is mined, and one payment over it."""
    with TemporaryDirectory() as name:
        node = funded(Path(name) / "chain", TestClock(float(int(time.time()))), 103)
        try:
            async with LostWorld(node=node) as world:
                await world.tell()
                await world.funded()
                alice, bob = world.alice, world.bob
                await bob.kernel.command(lambda t: TrustPeer(t, alice.id, True))
                amount, push = Satoshi(1_000_000), MilliSatoshi(300_000_000)
                wish = ChannelWish(min_depth=0)
                await alice.kernel.command(
                    lambda t: OpenChannelTo(t, bob.id, amount, push, None, False, 0, wish)
                )
                await world.settle()
                paid = await alice.pay(await bob.invoice("before"))
                assert paid.payment.status is PaymentStatus.COMPLETE
                yield world
        finally:
            node.close()


def rival_of_funding(house: House) -> Transaction:
    """Signed by the opener: the coins of the funding go elsewhere."""
    transaction = house.channel.funding.transaction
    assert transaction is not None
    known = house.kernel.board.memory.wallet.coins
    coins = [known[spent.outpoint] for spent in transaction.tx.inputs]
    prevouts = [coin.output for coin in coins]
    left = sum(coin.amount.sat for coin in coins) - 50_000
    inputs = tuple(TxIn(coin.outpoint) for coin in coins)
    tx = Transaction(2, inputs, (TxOut(Satoshi(left), faucet.SCRIPT),))
    signing = UnsignedTx(tx, tuple(to_sign(tx, i, c, prevouts) for i, c in enumerate(coins)))
    answers = house.signer.answer(signing.requests())
    return signing.finish([Signature(a) for a in answers if isinstance(a, bytes)])


async def half(world: LostWorld, payer: House, payee: House) -> None:
    """A part of a payment: the payee waits for the rest."""
    asked = await payee.invoice(f"{payer.name} half", 100_000_000)
    scid = payer.channel.scid(ScidKind.OURS)
    assert scid is not None
    expiry = BlockHeight(world.height) + CltvDelta(60)
    request = PartRequest(
        payment_hash=asked.invoice.payment_hash,
        hops=(Hop(payee.id, scid, 0, MilliSatoshi(50_000_000), expiry),),
        total=MilliSatoshi(100_000_000),
        partid=1,
        groupid=1,
        payment_secret=asked.invoice.payment_secret,
        bolt11=asked.bolt11,
    )
    payer.kernel.inbox.put(SendPart(0, request))
    await world.settle()
    assert len(payer.channel.htlcs) == len(payee.channel.htlcs) == 1


def phase(house: House) -> Phase:
    return house.channel.phase


def shown(house: House) -> dict[str, object]:
    return peer_channel(house.channel, REGTEST, house.id, None, connected=True)


async def test_a_rival_is_mined__both_notice_and_nothing_is_paid_over_it() -> None:
    async with at_once() as world:
        alice, bob = world.alice, world.bob
        for house in (alice, bob):
            assert len(inbound_channels(house.kernel.board.memory)) == 1
        await half(world, alice, bob)
        funding = alice.channel.funding.outpoint.txid
        await world.mine(rival_of_funding(alice))
        assert funding not in world.waiting
        # The opener sees it in the block; who only knows a txid waits for a second tip.
        assert world.topics(alice) == ["funding_lost"]
        assert world.topics(bob) == []
        assert bob.channel.htlcs
        await world.blocks(1)
        assert world.topics(alice) == world.topics(bob) == ["funding_lost"]
        # What waited for the rest of its payment has gone back.
        assert not alice.channel.htlcs
        assert not bob.channel.htlcs
        for payer, payee in ((alice, bob), (bob, alice)):
            assert payer.channel.phase is Phase.READY
            asked = await payee.invoice(f"from {payer.name}")
            with pytest.raises(Refused, match=r"funding transaction .* double-spent"):
                await payer.pay(asked)
            answer = shown(payer)
            assert answer["spendable_msat"] == answer["receivable_msat"] == 0
            status = answer["status"]
            assert isinstance(status, list)
            assert status[-1].startswith("Funding lost: the funding transaction")
            assert inbound_channels(payer.kernel.board.memory) == []


async def test_a_thief_goes_on_paying__the_payee_takes_nothing() -> None:
    async with at_once() as world:
        alice, bob = world.alice, world.bob
        await world.mine(rival_of_funding(alice))
        await world.blocks(1)
        asked = await bob.invoice("from a thief")
        # Alice's node looks away.
        channels = alice.kernel.board.memory.channels
        channels[alice.channel.id] = replace(alice.channel, missing=None)
        done = await alice.pay(asked)
        assert done.payment.status is PaymentStatus.FAILED
        invoice = bob.kernel.board.memory.invoices[asked.invoice.payment_hash]
        assert invoice.status is InvoiceStatus.UNPAID
        assert bob.channel.funding.to_us.msat == 310_000_000


async def test_a_reorganisation_brings_the_funding_back__payments_go_on() -> None:
    async with at_once() as world:
        alice, bob = world.alice, world.bob
        transaction = alice.channel.funding.transaction
        assert transaction is not None
        answers = alice.signer.answer(transaction.requests())
        funding = transaction.finish([Signature(a) for a in answers if isinstance(a, bytes)])
        await world.mine(rival_of_funding(alice))
        await world.blocks(2)
        await world.reorg(3)
        # The rival waits in the mempool again: only a block can decide.
        assert is_lost(alice.channel)
        assert is_lost(bob.channel)
        await world.mine(funding)
        for house in (alice, bob):
            assert world.topics(house) == ["funding_lost", "funding_back"]
            assert house.channel.funding.confirmed is not None
        for payer, payee in ((alice, bob), (bob, alice)):
            paid = await payer.pay(await payee.invoice(f"again from {payer.name}"))
            assert paid.payment.status is PaymentStatus.COMPLETE


async def test_the_rival_leaves_the_mempool__the_funding_is_found_there() -> None:
    async with at_once() as world:
        alice, bob = world.alice, world.bob
        rival = rival_of_funding(alice)
        await world.mine(rival)
        await world.blocks(1)
        await world.reorg(2)
        world.node.mempool.remove(rival.txid)
        # The opener offers its funding again with each tip, and each tip is asked for it.
        await world.pass_by(1)
        assert alice.channel.funding.outpoint.txid in world.waiting
        world.node.generate_block(faucet.SCRIPT, ())
        await world.tell()
        for house in (alice, bob):
            assert world.topics(house) == ["funding_lost", "funding_back"]
            assert house.channel.funding.confirmed is None
        paid = await bob.pay(await alice.invoice("still unconfirmed"))
        assert paid.payment.status is PaymentStatus.COMPLETE


async def test_a_backend_that_fails_changes_nothing() -> None:
    async with at_once() as world:
        alice, bob = world.alice, world.bob
        world.seeker.fails = True
        await world.mine(rival_of_funding(alice))
        asked = world.seeker.asked
        await world.blocks(3)
        assert world.seeker.asked >= asked + 3
        assert world.topics(bob) == []
        assert bob.channel.missing is None
        # What a block says needs no answer.
        assert world.topics(alice) == ["funding_lost"]


async def test_a_rival_too_deep_to_change__the_opener_forgets_the_channel() -> None:
    async with at_once() as world:
        alice, bob = world.alice, world.bob
        await world.mine(rival_of_funding(alice))
        await world.pass_by(FORGET_DEPTH - 1)
        assert phase(alice) is Phase.READY
        await world.blocks(1)
        assert phase(alice) is Phase.CLOSED
        assert "double-spent" in alice.channel.changes[-1].message
        # Its error tells the peer, which cannot know the rival: its own side fails, and waits.
        assert phase(bob) is Phase.FAILED
        assert bob.channel.missing is not None
