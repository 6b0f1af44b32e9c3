"""Where others have lost money on chain: fees that run away, claims taken for one another.

The channel and its HTLCs are those of test_court.py.
"""

import itertools
from dataclasses import replace

import pytest

from tests.support.court_stories import (
    DELAY,
    EXPIRY,
    cheated,
    finish,
    know_preimages,
    lapsed,
    paid,
    pending,
    phase,
    reckon,
    sat,
)
from tests.support.courtroom import Courtroom
from tests.support.pair import offer, preimage_of, ready_pair
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import OutPoint
from wallet.machines.channel import events
from wallet.machines.channel.ending import Claim, ClaimKind
from wallet.machines.channel.htlc import HtlcKey
from wallet.machines.channel.onchain import RESOLVED_DEPTH
from wallet.machines.channel.state import Phase
from wallet.machines.channel.unilateral import CHILD_WEIGHT

# --- fees -----------------------------------------------------------------------------------------


def dear(court: Courtroom, per_kw: int) -> None:
    """The market asks more, and miners take nothing that pays less than half of it."""
    for party in court.parties:
        party.side.feerate = FeeratePerKw(per_kw)
    court.least = per_kw / 2 / 1000


def test_fees__an_unbumped_commitment_stays_out_a_bumped_one_confirms_in_time() -> None:
    pair = pending()
    know_preimages(pair)
    poor = Courtroom(pair, coins=0)
    dear(poor, 8_000)
    pair.alice.step(events.CloseUnilaterally("test"))
    poor.mine(20)
    assert phase(pair.alice) is Phase.FAILED, "nobody can pay, so nothing gets in"
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    dear(court, 8_000)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY)
    assert pair.alice.state.onchain is not None
    assert pair.alice.state.onchain.height < EXPIRY
    finish(court)


def test_fees__never_lower_never_above_the_value_and_an_end() -> None:
    """Nothing gets mined for 300 blocks: the fee climbs to its ceiling and stays there.

    The trap of replacements without end, or with a lower fee (CLN #7788); here for claims.
    """
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine()
    court.refuses = lambda _: True
    feerates: dict[tuple[str, Claim], list[int]] = {}
    for _ in range(300):
        court.mine()
        for side in (pair.alice, pair.bob):
            for claim in side.state.onchain.claims:  # type: ignore[union-attr]
                if claim.sweep is not None:
                    known = (side.name, replace(claim, sweep=None))
                    feerates.setdefault(known, []).append(claim.sweep.feerate.per_kw)
    kinds = {claim.kind for _, claim in feerates}
    assert {ClaimKind.HTLC_TIMEOUT, ClaimKind.HTLC_SUCCESS, ClaimKind.PREIMAGE} < kinds
    for (_, claim), rates in feerates.items():
        assert rates == sorted(rates), "a fee was lowered"
        assert rates[-1] == rates[-20], "a fee that never stops to rise"
        assert rates[-1] * 480 // 1000 < claim.amount.sat
        steps = [b - a for a, b in itertools.pairwise(rates) if b != a]
        assert all(step >= 253 for step in steps), "a replacement that no mempool takes"


def test_fees__the_child_of_a_commitment_pays_never_less_never_too_much_and_not_for_ever() -> None:
    """The trap of replacements without end, or with a lower fee; here for a close by force."""
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    court.refuses = lambda _: True
    pair.alice.step(events.CloseUnilaterally("test"))
    dear(court, 4_000)
    feerates = []
    for _ in range(EXPIRY + 60 - court.height):
        court.mine()
        bump = pair.alice.state.bump
        assert bump is not None
        feerates.append(bump.feerate.per_kw)
        (child,) = court.alice.funded.values()
        assert {i.outpoint.txid for i in child.inputs} > {court.alice.side.broadcasts[-1][1].txid}
    assert feerates == sorted(feerates), "a fee was lowered"
    assert 4_000 < feerates[-1] == feerates[-20], "a fee that never stops to rise"
    at_risk = 50_000 + 60_000 + 70_000
    assert feerates[-1] * (pair.alice.broadcasts[-1][1].weight + CHILD_WEIGHT) // 1000 <= at_risk


@pytest.mark.parametrize("cheat", ["alice", "bob"])
def test_fees__blocks_that_come_all_at_once_raise_a_fee_once(cheat: str) -> None:
    """A reorganisation, or a core that was away: each block that is passed by was no chance."""
    court, _, honest = cheated(cheat)
    court.refuses = lambda _: True
    court.mine()

    def feerates() -> dict[OutPoint, int]:
        end = honest.state.onchain
        assert end is not None
        return {c.outpoint: c.sweep.feerate.per_kw for c in end.claims if c.sweep is not None}

    before = feerates()
    broadcasts = len(honest.broadcasts)
    script = court.party(honest).script
    for _ in range(30):
        honest.height += 1
        honest.step(events.NewTip(script, latest=False))
    assert feerates() == before
    assert len(honest.broadcasts) == broadcasts
    honest.height += 1
    honest.step(events.NewTip(script))
    assert all(feerates()[o] <= rate * 2 + 253 for o, rate in before.items())
    assert any(feerates()[o] > rate for o, rate in before.items())


# --- traps ----------------------------------------------------------------------------------------


def test_trap__two_htlcs_with_the_same_hash_and_amount_are_not_confused() -> None:
    """LDK #4854: the one that expires first times out, the other one is paid for."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(50_000), EXPIRY), offer(1, sat(50_000), EXPIRY + 30))
    pair.settle()
    pair.cut()
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY + 2)
    # Alice has taken back the first; only now does Bob learn the preimage.
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)), events.FulfillHtlc(1, preimage_of(1)))
    court.mine(2)
    assert paid(pair.alice) == {1}
    court.mine(RESOLVED_DEPTH)
    assert lapsed(pair.alice) == {0}
    court.mine_to(EXPIRY + 40)
    finish(court)
    reckon(court, 550_000, 450_000)


@pytest.mark.parametrize("depth", [1, 2, 4, 6])
@pytest.mark.parametrize("closer", ["alice", "bob"])
def test_trap__a_reorg_does_not_put_claims_with_different_expiries_together(
    closer: str, depth: int
) -> None:
    """LDK #4849: one that is not due would hold up one that is. Each stays alone, as it was."""
    pair = ready_pair()
    expiries = (EXPIRY, EXPIRY + 2, EXPIRY + 4)
    pair.alice.step(*(offer(n, sat(30_000 + n), expiry) for n, expiry in enumerate(expiries)))
    pair.settle()
    pair.cut()
    court = Courtroom(pair)
    (pair.alice if closer == "alice" else pair.bob).step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY + 5)
    assert _taken_back(court) == list(expiries)
    court.reorg(depth)
    court.mine(depth + 1)
    assert _taken_back(court) == list(expiries)
    court.mine(DELAY)
    finish(court)
    reckon(court, 600_000, 400_000)


def _taken_back(court: Courtroom) -> list[int]:
    """When each HTLC of Alice's was first due to come back: nLockTime of what took it, alone."""
    end = court.alice.side.state.onchain
    assert end is not None
    outputs = {c.outpoint for c in end.claims if c.htlc is not None and c.outpoint.txid == end.txid}
    spends = [
        [tx.locktime for txin in tx.inputs if txin.outpoint in outputs]
        for block in court.blocks
        for tx in block.transactions
    ]
    assert max(len(taken) for taken in spends) == 1, "one transaction for several HTLCs"
    return sorted(locktime for taken in spends for locktime in taken)


def test_trap__a_foreign_transaction_is_not_taken_for_our_own() -> None:
    """LND #10869: Bob's claim by preimage spends the output of Alice's HTLC-timeout."""
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    court.silent = {"bob"}
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY)
    court.silent = {"alice"}
    court.mine(2)
    claims = [c for c in pair.alice.state.onchain.claims if c.htlc == HtlcKey(True, 0)]  # type: ignore[union-attr]
    assert [c.kind for c in claims] == [ClaimKind.HTLC_TIMEOUT], "no delayed output of ours"
    assert paid(pair.alice) == {0}
    court.silent = set()
    finish(court)


def test_trap__no_preimage_is_shown_that_the_wallet_has_not_decided_to_show() -> None:
    """Electrum #10442: an HTLC that is not answered with its preimage is left alone on chain."""
    pair = pending()
    court = Courtroom(pair)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY + 20)
    shown = [
        item
        for block in court.blocks
        for tx in block.transactions
        for txin in tx.inputs
        for item in txin.witness
        if len(item) == 32
    ]
    assert shown == []
    finish(court)
    reckon(court, 600_000, 400_000)
