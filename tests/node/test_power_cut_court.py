"""A power cut at any moment of a close by force: what went to the chain, the disk knows.

As in test_power_cut.py, with HTLCs pending both ways: claims by preimage and by expiry, and the
children that pay for them.  How a house goes on from there is tests/simulation/test_power_cut.py.
"""

import os
from pathlib import Path

import pytest

from tests.support.cores import Cores, channel_of, two_cores, until
from tests.support.ear import Ear
from tests.support.power_cut import cut, truncations, wal_of
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import NodeId
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.ending import ClaimKind, OnChain
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import Hop, InvoiceRecord, InvoiceStatus
from wallet.machines.payments.requests import PartRequest
from wallet.node import persist
from wallet.node.api import Api
from wallet.node.build import make_board
from wallet.node.forward_desk import name_of
from wallet.node.memory import Memory
from wallet.services.store.sqlite import SqliteStore

HALF = MilliSatoshi(50_000_000)
FINAL_BLOCKS = 27
STRIDE = 1 if "LEYDEN_LONG" in os.environ else 3
"""Every third length: ends of frames and places inside them by turns."""


async def test_nothing_that_went_to_the_chain_is_missing_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_cores(tmp_path) as cores:
        await cores.open()
        ears = Ear(cores.alice), Ear(cores.bob)
        await four_htlcs(cores, monkeypatch)
        starts = [wal_of(ear.database).stat().st_size for ear in ears]
        for ear in ears:
            ear.listen(monkeypatch)
        await cores.alice.close_channel(channel_of(cores.alice).id, None, None, 0)
        await to_the_end(cores)
        assert_all_kinds(cores)
        kept = [ear.keep(tmp_path) for ear in ears]
        signers = [ear.api.core.signer for ear in ears]
    lengths = 0
    for ear, database, start, signer in zip(ears, kept, starts, signers, strict=True):
        sent = [(said.synced, said.word) for said in ear.said]
        assert sum(isinstance(word, Transaction) for _, word in sent) > 3
        for length in truncations(wal_of(database), start)[::STRIDE]:
            store = SqliteStore(cut(database, tmp_path / "cut", length))
            await store.open()
            try:
                memory, _ = await persist.load(store, make_board(ear.api.config, signer))
            finally:
                await store.close()
            for synced, word in sent:
                if synced <= length and isinstance(word, Transaction):
                    assert_known(word, memory)
            lengths += 1
    print(f"{lengths} lengths of two logs")
    assert lengths > 60


# --- the story ----------------------------------------------------------------------------------


async def four_htlcs(cores: Cores, patch: pytest.MonkeyPatch) -> None:
    """Each holds two of the other's; Bob has taken what one of them and another pay, unheard."""
    whole = await invoice(cores.bob, "whole")
    await half(cores, cores.alice, whole, 1)
    await half(cores, cores.alice, await invoice(cores.bob, "half"), 1)
    for label in ("one", "two"):
        await half(cores, cores.bob, await invoice(cores.alice, label), 1)
    await until(lambda: all(is_still(api, 4) for api in (cores.alice, cores.bob)), "four HTLCs")
    transport = cores.bob.core.transport
    send = transport.send

    def is_paid() -> bool:
        record = cores.bob.core.kernel.board.memory.invoices[whole.payment_hash]
        return record.status is InvoiceStatus.PAID

    def send_or_not(node_id: NodeId, data: bytes) -> bool:
        return True if is_paid() else send(node_id, data)

    patch.setattr(transport, "send", send_or_not)
    await half(cores, cores.alice, whole, 2)
    await until(is_paid, "Bob to take the payment")


async def invoice(payee: Api, label: str) -> InvoiceRecord:
    request = InvoiceRequest(label=label, amount=HALF + HALF, description=label)
    return await payee.create_invoice(request, None)


async def half(cores: Cores, payer: Api, asked: InvoiceRecord, part: int) -> None:
    """Half of what an invoice of the other's asks for."""
    payee = cores.bob if payer is cores.alice else cores.alice
    name = name_of(channel_of(payer))
    assert name is not None
    expiry = payer.core.kernel.board.memory.height + CltvDelta(FINAL_BLOCKS)
    request = PartRequest(
        payment_hash=asked.payment_hash,
        hops=(Hop(payee.node_id, name, 0, HALF, expiry),),
        total=HALF + HALF,
        partid=part,
        groupid=1,
        payment_secret=asked.payment_secret,
    )
    await payer.send_part(request)


def is_still(api: Api, count: int) -> bool:
    """Whether that many HTLCs stand in both commitments, and nothing moves."""
    channel = channel_of(api)
    return len(channel.htlcs) == count and all(
        htlc.stage.name.endswith("ADD_ACK_REVOCATION") for htlc in channel.htlcs.values()
    )


async def to_the_end(cores: Cores) -> None:
    """Blocks until everything has been taken by whom it belongs to."""
    kernels = [api.core.kernel for api in (cores.alice, cores.bob)]
    for _ in range(3 * FINAL_BLOCKS):
        # Whatever the last block has made ripe is in the next one.
        await until(lambda: not any(k._broadcasts or k.busy for k in kernels), "broadcasts")
        await cores.mine()
        if all(is_over(channel_of(api)) for api in (cores.alice, cores.bob)):
            return
    raise AssertionError("the channel never ends")


def is_over(channel: Channel) -> bool:
    """Whether a block has ended every claim."""
    end = channel.onchain
    return end is not None and all(claim.resolved_at is not None for claim in end.claims)


def assert_all_kinds(cores: Cores) -> None:
    """Every way in which an honest end is taken (BOLT 5) was taken by one of the two."""
    taken = {
        claim.kind
        for api in (cores.alice, cores.bob)
        for claim in ended(channel_of(api)).claims
        if claim.sweep is not None and claim.resolved_by == claim.sweep.txid
    }
    assert taken == {
        ClaimKind.TO_LOCAL,
        ClaimKind.TO_REMOTE,
        ClaimKind.HTLC_TIMEOUT,
        ClaimKind.PREIMAGE,
        ClaimKind.EXPIRED,
    }


def ended(channel: Channel) -> OnChain:
    assert channel.onchain is not None
    return channel.onchain


# --- what the disk must know --------------------------------------------------------------------


def assert_known(tx: Transaction, memory: Memory) -> None:
    """The channel explains every transaction that was given to the chain."""
    [channel] = memory.channels.values()
    if any(i.outpoint == channel.funding.outpoint for i in tx.inputs):
        assert channel.phase in (Phase.FAILED, Phase.SPENT, Phase.CLOSED)
        assert our_commitment(channel, channel.funding).commitment.tx.txid == tx.txid
        return
    promised = {channel.bump.txid} if channel.bump is not None else set()
    if channel.onchain is not None:
        promised |= {c.sweep.txid for c in channel.onchain.claims if c.sweep is not None}
    assert tx.txid in promised
