"""What a reorganisation undoes comes back, and all ends in the same balances, however deep it was.

Two kernels on the embedded chain.  Alice has opened with 1,000,000 sat and given Bob 300,000.  At a
close by force three HTLCs are pending: Alice's of 50,000 whose preimage Bob has, Alice's of 60,000
and Bob's of 80,000 that nobody can claim.  A story without a reorganisation says how it must end.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support import faucet
from tests.support.channel_kernel import sign
from tests.support.kernels import House, cut
from tests.support.kernels_on_chain import ChainWorld
from tests.support.regtest_node import TestClock, block_at, coin, funded
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.ids import OutPoint, Txid
from wallet.base.wire.channel import UpdateFulfillHtlc
from wallet.base.wire.message import decode
from wallet.machines.channel import actions
from wallet.machines.channel.announce import ANNOUNCE_DEPTH, is_announced
from wallet.machines.channel.ending import Claim, ClaimKind, OnChain, SpendKind
from wallet.machines.channel.htlc import Fulfilled, HtlcKey
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.reconnect import disconnected
from wallet.machines.channel.state import Phase, ScidKind
from wallet.machines.channel.unilateral import broadcast_commitment
from wallet.machines.payments.records import Hop, PaymentStatus
from wallet.machines.payments.requests import PartRequest
from wallet.node.events import CloseChannel, SendPart
from wallet.node.work import Notice

DEPTHS = (1, 6, 30, 99)
LEFT = 60
"""Blocks until the HTLCs expire, unless a story needs more."""
DELAY = 6
MORE_FEES = 3_000


@asynccontextmanager
async def opened(*, announce: bool = False) -> AsyncIterator[ChainWorld]:
    """A chain of their own, a channel that both can use, and coins for both."""
    with TemporaryDirectory() as name:
        node = funded(Path(name) / "chain", TestClock(float(int(time.time()))), 103)
        try:
            async with ChainWorld(node=node) as world:
                await world.tell()
                await world.funded()
                await world.give(world.bob)
                await world.open(world.alice, world.bob, announce=announce)
                yield world
        finally:
            node.close()


# --- HTLCs ----------------------------------------------------------------------------------------


async def part(
    world: ChainWorld, payer: House, payee: House, sat: int, total: int, left: int
) -> None:
    """An HTLC, as a part of a payment: the payee waits for the rest, if there is any."""
    asked = await payee.invoice(f"{payer.name} {sat}", total * 1000)
    scid = payer.channel.scid(ScidKind.REAL)
    assert scid is not None
    expiry = BlockHeight(world.height) + CltvDelta(left)
    request = PartRequest(
        payment_hash=asked.invoice.payment_hash,
        hops=(Hop(payee.id, scid, 0, MilliSatoshi(sat * 1000), expiry),),
        total=MilliSatoshi(total * 1000),
        partid=1,
        groupid=1,
        payment_secret=asked.invoice.payment_secret,
        bolt11=asked.bolt11,
    )
    payer.kernel.inbox.put(SendPart(0, request))
    await world.settle()


async def pending(world: ChainWorld, left: int) -> None:
    """The three HTLCs, and then the link is lost."""
    await part(world, world.alice, world.bob, 60_000, 120_000, left)
    await part(world, world.bob, world.alice, 80_000, 160_000, left)
    world.bob.transport.tamper = Mute()
    await part(world, world.alice, world.bob, 50_000, 50_000, left)
    cut(world.alice, world.bob)
    await world.settle()
    assert len(world.alice.channel.htlcs) == len(world.bob.channel.htlcs) == 3


class Mute:
    """Nothing that is said from the first preimage on arrives."""

    def __init__(self) -> None:
        self.over = False

    def __call__(self, data: bytes) -> tuple[bytes, ...]:
        self.over = self.over or isinstance(decode(data), UpdateFulfillHtlc)
        return () if self.over else (data,)


# --- the end of a channel -------------------------------------------------------------------------


async def close(world: ChainWorld, how: str, left: int = LEFT) -> None:
    """The close is in the mempool."""
    house = world.alice if how in ("alice", "mutual") else world.bob
    if how == "cheat":
        await part(world, world.alice, world.bob, 60_000, 120_000, left)
        await part(world, world.bob, world.alice, 80_000, 160_000, left)
        old = world.bob.channel
        await part(world, world.alice, world.bob, 50_000, 50_000, left)
        cut(world.alice, world.bob)
        await world.settle()
        memory = world.bob.kernel.board.memory
        # He has put an old copy of his wallet in the place of the present one.
        memory.channels[old.id] = disconnected(old)
    elif how != "mutual":
        await pending(world, left)
    command = CloseChannel(0, house.channel.id, None, None, unilateral=how != "mutual")
    house.kernel.inbox.put(command)
    await world.settle()
    assert world.waiting


def ended(house: House) -> OnChain:
    end = house.channel.onchain
    assert end is not None
    return end


def resolved(house: House, kind: ClaimKind) -> bool:
    """Whether a block holds what takes those outputs."""
    claims = [c for c in ended(house).claims if c.kind is kind]
    return bool(claims) and all(c.resolved_at is not None for c in claims)


def settled(house: House) -> bool:
    """Whether nothing is left to be taken."""
    end = house.channel.onchain
    return end is not None and all(c.resolved_at is not None for c in end.claims)


async def until(world: ChainWorld, done: Callable[[], bool]) -> None:
    """Blocks, one by one."""
    for _ in range(4 * LEFT):
        if done():
            return
        await world.mine()
    raise AssertionError("it never comes")


async def finish(world: ChainWorld) -> tuple[int, int]:
    """All claims are in blocks and the channel is forgotten: what each has on chain then."""
    await until(world, lambda: all(settled(house) for house in world.houses))
    await world.pass_by(FORGET_DEPTH)
    assert not world.waiting
    assert {house.channel.phase for house in world.houses} == {Phase.CLOSED}
    return world.wealth(world.alice), world.wealth(world.bob)


UNDISTURBED: dict[str, tuple[int, int]] = {}


async def undisturbed(how: str) -> tuple[int, int]:
    """How it ends without a reorganisation; told once."""
    if how not in UNDISTURBED:
        async with opened() as world:
            await close(world, how)
            UNDISTURBED[how] = await finish(world)
    return UNDISTURBED[how]


def ended_as(got: tuple[int, int], must: tuple[int, int]) -> None:
    """The same, but for better fees that a reorganisation may have cost."""
    for mine, planned in zip(got, must, strict=True):
        assert planned - MORE_FEES <= mine <= planned + MORE_FEES, f"{got} is not {must}"


async def undo(world: ChainWorld, depth: int) -> None:
    """The last `depth` blocks are gone; what they held waits in the mempool again.

    But for what must wait until a block has its parent: a relative delay begins anew.
    """
    height = world.height
    undone = {
        tx.txid: tx
        for at in range(height - depth + 1, height + 1)
        for tx in block_at(world.node, at).transactions[1:]
    }
    await world.reorg(depth)
    assert world.height == height + 1
    assert undone
    waits = {i.outpoint for entry in world.node.mempool.entries.values() for i in entry.tx.inputs}
    for tx in undone.values():
        early = any(i.outpoint.txid in undone and i.sequence <= DELAY for i in tx.inputs)
        # Itself, or the same with a better fee.
        assert early or tx.inputs[0].outpoint in waits


CLAIMS: dict[str, dict[str, tuple[ClaimKind, ...]]] = {
    "alice": {
        "alice": (ClaimKind.HTLC_TIMEOUT, ClaimKind.TO_LOCAL),
        "bob": (ClaimKind.PREIMAGE, ClaimKind.EXPIRED),
    },
    "bob": {
        "alice": (ClaimKind.EXPIRED,),
        "bob": (ClaimKind.HTLC_SUCCESS, ClaimKind.HTLC_TIMEOUT),
    },
    "cheat": {"alice": (ClaimKind.PENALTY, ClaimKind.HTLC_PENALTY)},
}
"""Who closes, who takes outputs then, and which."""


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("how", ["alice", "bob", "mutual", "cheat"])
async def test_a_close_comes_back(how: str, depth: int) -> None:
    """Ours, theirs, agreed, revoked: with everything that was built on it."""
    must = await undisturbed(how)
    async with opened() as world:
        # So that nothing has expired when it comes back: that is another story.
        await close(world, how, LEFT + depth)
        await world.blocks(depth)
        kinds = [ended(house).kind for house in world.houses]
        await undo(world, depth)
        waits = Phase.MUTUALLY_CLOSED if how == "mutual" else Phase.FAILED
        assert [house.channel.phase for house in world.houses] == [waits, waits]
        await world.mine()
        assert [ended(house).kind for house in world.houses] == kinds
        ended_as(await finish(world), must)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("how", "who", "kind"),
    [(h, w, kind) for h, takers in CLAIMS.items() for w, kinds in takers.items() for kind in kinds],
)
async def test_what_takes_an_output_comes_back(
    how: str, who: str, kind: ClaimKind, depth: int
) -> None:
    """Claims of both sides and penalties; the close itself stays where it is."""
    must = await undisturbed(how)
    async with opened() as world:
        taker = world.alice if who == "alice" else world.bob
        await close(world, how)
        await world.mine()
        await until(world, lambda: resolved(taker, kind))
        await world.blocks(depth - 1)
        await undo(world, depth)
        assert taker.channel.phase is Phase.SPENT
        assert not resolved(taker, kind)
        await world.mine()
        ended_as(await finish(world), must)


# --- what confirms instead ------------------------------------------------------------------------


def commitment_of(house: House) -> Transaction:
    """What a house would close with by force."""
    (said,) = broadcast_commitment(house.channel)
    assert isinstance(said, actions.Broadcast)
    return sign(house.signer, said.transaction)


def funded_claim(house: House, outpoint: OutPoint) -> Transaction:
    """The HTLC transaction for that output that the house's wallet has paid for."""
    sent = house.kernel.board.memory.wallet.sent.values()
    (made,) = [s.tx for s in sent if s.tx.inputs[0].outpoint == outpoint]
    return made


def claim_on(house: House, key: HtlcKey) -> Claim:
    """Of the house, for that HTLC."""
    (claim,) = [c for c in ended(house).claims if c.htlc == key]
    return claim


@pytest.mark.parametrize("depth", [1, 30])
async def test_theirs_confirms_instead_of_ours__it_ends_as_if_they_had_closed(depth: int) -> None:
    must = await undisturbed("bob")
    async with opened() as world:
        await close(world, "alice", LEFT + depth)
        await world.blocks(depth)
        await undo(world, depth)
        await world.mine(commitment_of(world.bob))
        kinds = [ended(house).kind for house in world.houses]
        assert kinds == [SpendKind.THEIRS, SpendKind.OURS]
        ended_as(await finish(world), must)


@pytest.mark.parametrize("depth", [1, 30])
async def test_the_cheats_second_stage_confirms_instead_of_our_penalty__all_is_still_ours(
    depth: int,
) -> None:
    """Bob shows the preimage of Alice's 60,000 first; the output of that is hers to take, too."""
    must = await undisturbed("cheat")
    async with opened() as world:
        alice, bob = world.alice, world.bob
        await close(world, "cheat")
        await world.mine()
        await until(world, lambda: resolved(alice, ClaimKind.HTLC_PENALTY))
        await world.blocks(depth - 1)
        (theirs,) = [h for h in bob.channel.htlcs.values() if not h.key.offered_by_us]
        preimage = bob.kernel.board.memory.invoices[theirs.payment_hash].preimage
        known = bob.channel.with_htlc(replace(theirs, removal=Fulfilled(preimage)))
        bob.kernel.board.memory.channels[known.id] = known
        await undo(world, depth)
        cheats = funded_claim(bob, claim_on(bob, theirs.key).outpoint)
        await world.mine(cheats)
        second = [c for c in ended(alice).claims if c.outpoint.txid == cheats.txid]
        assert [c.kind for c in second] == [ClaimKind.PENALTY]
        assert second[0].amount == Satoshi(60_000)
        ended_as(await finish(world), must)


async def test_an_htlc_expires_while_its_claim_is_undone__its_amount_goes_back() -> None:
    """50,000: what a reorganisation that deep can cost who had been paid. It is told."""
    must = await undisturbed("alice")
    async with opened() as world:
        alice, bob = world.alice, world.bob
        told: list[Notice] = []
        bob.kernel.listen(told.append)
        await close(world, "alice")
        paid = next(h for h in alice.channel.htlcs.values() if h.amount.msat == 50_000_000)
        await world.mine()
        disputed = claim_on(alice, paid.key).outpoint
        await until(world, lambda: claim_on(alice, paid.key).resolved_at is not None)
        claimed_at = world.height
        await world.mine_to(paid.cltv_expiry.height)
        await undo(world, world.height - claimed_at + 1)
        await world.mine(funded_claim(alice, disputed))
        (lost,) = [notice for notice in told if notice.topic == "htlc_lost"]
        assert lost.payload["amount_msat"] == 50_000_000
        ended_as(await finish(world), (must[0] + 50_000, must[1] - 50_000))


# --- the funding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", DEPTHS)
async def test_a_funding_comes_back_elsewhere__the_channel_has_another_name(depth: int) -> None:
    """It is used all the time, and announced anew once its new place is deep."""
    async with opened(announce=True) as world:
        alice, bob = world.alice, world.bob
        await world.blocks(depth - 1)
        old = alice.channel.scid(ScidKind.REAL)
        funding = alice.channel.funding.outpoint.txid
        assert is_announced(alice.channel) is (depth >= ANNOUNCE_DEPTH)
        await undo(world, depth)
        assert funding in world.waiting
        for house in (alice, bob):
            assert house.channel.funding.confirmed is None
            assert house.channel.phase is Phase.READY
            assert not is_announced(house.channel)
        paid = await alice.pay(await bob.invoice("meanwhile"))
        assert paid.payment.status is PaymentStatus.COMPLETE
        # Another place in the block, too.
        waiting = [entry.tx for entry in world.node.mempool.entries.values()]
        other = faucet.spend([coin(world.node, 3)], 1_000)
        await world.mine(other, *waiting)
        new = alice.channel.scid(ScidKind.REAL)
        assert new is not None
        assert new == bob.channel.scid(ScidKind.REAL)
        assert (new.block, new.tx_index) == (world.height, 2 + waiting.index(_by(waiting, funding)))
        await world.blocks(ANNOUNCE_DEPTH - 1)
        for house in (alice, bob):
            assert is_announced(house.channel)
            assert list(house.kernel.board.memory.gossip.channels) == [new.to_int()]
            names = [s.scid for s in house.channel.scids if s.kind is ScidKind.REAL]
            assert names == [old, new], "the old name keeps working"
        shares = [house.channel.funding.to_us.msat for house in (alice, bob)]
        assert shares == [690_000_000, 310_000_000]


def _by(transactions: list[Transaction], txid: Txid) -> Transaction:
    return next(tx for tx in transactions if tx.txid == txid)
