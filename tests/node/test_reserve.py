"""The trap of a reserve that is underestimated (LDK #4592): here it has to do what it is kept for.

Alice's wallet has the emergency reserve and nothing else when the market asks for the fee rate that
the reserve was made for.  Her peer vanishes with six HTLCs of hers.
"""

import time
from pathlib import Path

from tests.support import faucet
from tests.support.kernels import House, cut
from tests.support.kernels_on_chain import ChainWorld
from tests.support.regtest_node import TestClock, block_at, coin, funded
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.machines.channel.claims import FAIL_BACK_BY, GRACE
from wallet.machines.channel.ending import ClaimKind, SpendKind
from wallet.machines.channel.state import Phase, ScidKind
from wallet.machines.coins.selection import EMERGENCY_RESERVE, RESERVE_FEERATE
from wallet.machines.payments.records import Hop
from wallet.machines.payments.requests import PartRequest
from wallet.node.answers import ChannelOpened, NewAddressGiven
from wallet.node.events import CloseChannel, FeerateChanged, NewAddress, OpenChannelTo, SendPart

HTLCS = 6
HTLC_SAT = 30_000
EXPIRY_IN = 40
PUSH = MilliSatoshi(280_000_000)
"""Hardly more is left than the HTLCs: nothing else comes back that could pay for them."""


async def give(world: ChainWorld, house: House, sat: int) -> None:
    given = await house.kernel.command(lambda t: NewAddress(t, 84))
    assert isinstance(given, NewAddressGiven)
    output = TxOut(Satoshi(sat), given.script_pubkey)
    await world.mine(faucet.spend([coin(world.node, 1)], 10_000, outputs=[output]))


async def offer_six(world: ChainWorld) -> int:
    """Parts of one payment that will never be whole: the height at which they expire."""
    asked = await world.bob.invoice("more than ever comes", 1_000_000_000)
    scid = world.alice.channel.scid(ScidKind.REAL)
    assert scid is not None
    expiry = BlockHeight(world.height) + CltvDelta(EXPIRY_IN)
    for number in range(1, HTLCS + 1):
        amount = MilliSatoshi(HTLC_SAT * 1000)
        request = PartRequest(
            payment_hash=asked.invoice.payment_hash,
            hops=(Hop(world.bob.id, scid, 0, amount, expiry),),
            total=MilliSatoshi(1_000_000_000),
            partid=number,
            groupid=1,
            payment_secret=asked.invoice.payment_secret,
            bolt11=asked.bolt11,
        )
        world.alice.kernel.inbox.put(SendPart(0, request))
    await world.settle()
    assert len(world.alice.channel.htlcs) == HTLCS
    return expiry.height


async def test_trap__the_reserve_alone_takes_six_htlcs_back_at_the_fee_rate_it_is_made_for(
    tmp_path: Path,
) -> None:
    node = funded(tmp_path / "chain", TestClock(float(int(time.time()))), 103)
    try:
        async with ChainWorld(node=node) as world:
            await world.tell()
            alice = world.alice
            await give(world, alice, 500_000)
            await world.relink()
            opened = await alice.kernel.command(
                lambda t: OpenChannelTo(t, world.bob.id, None, PUSH, None, False)
            )
            assert isinstance(opened, ChannelOpened)
            await world.mine()
            assert world.wealth(alice) == EMERGENCY_RESERVE.sat
            expiry = await offer_six(world)
            cut(alice, world.bob)
            await world.settle()
            # No more than the peer's grace: all that is due is due at once.
            await world.mine_to(expiry + GRACE - 1)
            world.houses.remove(world.bob)
            closed_at = world.height
            dear(world, RESERVE_FEERATE)
            alice.kernel.inbox.put(CloseChannel(0, alice.channel.id, None, None, unilateral=True))
            await world.settle()
            await world.blocks(2)
            end = alice.channel.onchain
            assert end is not None
            assert end.kind is SpendKind.OURS
            await world.mine_to(expiry + FAIL_BACK_BY)
            end = alice.channel.onchain
            assert end is not None
            taken = [c for c in end.claims if c.kind is ClaimKind.HTLC_TIMEOUT]
            assert len(taken) == HTLCS
            assert all(c.resolved_at is not None for c in taken), "the reserve is used up"
            assert alice.channel.phase is Phase.SPENT
            # What takes to_local and its like pays for itself.
            outputs = {c.outpoint for c in end.claims if c.kind is not ClaimKind.HTLC_TIMEOUT}
            paid = [
                fee(world, tx)
                for tx in mined_after(world, closed_at)
                if not any(txin.outpoint in outputs for txin in tx.inputs)
            ]
            assert len(paid) == 2 + HTLCS, "the commitment, its child, and one for each"
            assert 20_000 < sum(paid) <= EMERGENCY_RESERVE.sat
            world.houses.append(world.bob)
    finally:
        node.close()


def dear(world: ChainWorld, feerate: FeeratePerKw) -> None:
    """The backend estimates that fee rate, and no mempool takes less."""
    world.alice.kernel.inbox.put(FeerateChanged(feerate))
    world.node.mempool.min_fee = feerate.per_kw * 4 * 95 // 100


def mined_after(world: ChainWorld, height: int) -> list[Transaction]:
    """What the blocks hold since then, but for what they pay to miners."""
    heights = range(height + 1, world.height + 1)
    return [tx for at in heights for tx in block_at(world.node, at).transactions[1:]]


def fee(world: ChainWorld, tx: Transaction) -> int:
    """Satoshi."""
    spent = [world.node.mempool.any_coin(txin.outpoint) for txin in tx.inputs]
    known = sum(found.output.amount.sat for found in spent if found is not None)
    return known - sum(output.amount.sat for output in tx.outputs)
