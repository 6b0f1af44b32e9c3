"""Every way a channel can end with HTLCs in it, and what each side has in the end (BOLT 5).

Alice has opened with 1,000,000 sat and given Bob 400,000.  Four HTLCs are pending: Alice's of
50,000 that Bob can claim and of 60,000 that he cannot, Bob's of 70,000 that Alice can claim and of
80,000 that she cannot; and one of 300 sat each way, which no commitment shows.
"""

import itertools
from dataclasses import replace

import pytest

from tests.support.courtroom import Courtroom
from tests.support.pair import Pair, Side, offer, preimage_of, ready_pair
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import OutPoint
from wallet.machines.channel import actions, events
from wallet.machines.channel.claims import FAIL_BACK_BY, GRACE
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.deadlines import CLAIM_BLOCKS
from wallet.machines.channel.ending import ClaimKind, SpendKind
from wallet.machines.channel.htlc import Fulfilled, HtlcKey
from wallet.machines.channel.onchain import FORGET_DEPTH, RESOLVED_DEPTH
from wallet.machines.channel.state import Phase

EXPIRY = 200
DELAY = 6
START = 6 * 100_000
"""Satoshi of coins that each wallet begins with."""


def sat(amount: int) -> MilliSatoshi:
    return MilliSatoshi(amount * 1000)


def pending() -> Pair:
    """HTLCs as above, all irrevocable; two are claimable, by preimages that are not said yet."""
    pair = ready_pair()
    pair.alice.step(
        offer(1, sat(50_000), EXPIRY), offer(2, sat(60_000), EXPIRY), offer(5, sat(300), EXPIRY)
    )
    pair.settle()
    pair.bob.step(
        offer(3, sat(70_000), EXPIRY), offer(4, sat(80_000), EXPIRY), offer(6, sat(300), EXPIRY)
    )
    pair.settle()
    return pair


def know_preimages(pair: Pair) -> None:
    """Both learn theirs, too late to say it to the other."""
    pair.cut()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.alice.step(events.FulfillHtlc(0, preimage_of(3)))


def phase(side: Side) -> Phase:
    """How far the channel has come."""
    return side.state.phase


def lapsed(side: Side) -> set[int]:
    """Ids of its HTLCs that may fail upstream."""
    return {a.htlc.key.id for a in side.acts if isinstance(a, actions.HtlcLapsed)}


def paid(side: Side) -> set[int]:
    """Ids of its HTLCs whose preimage it has learnt."""
    return {a.htlc.key.id for a in side.acts if isinstance(a, actions.HtlcFulfilled)}


def finish(court: Courtroom) -> None:
    """Until both have forgotten the channel."""
    court.mine_to(EXPIRY + DELAY + 4)
    court.mine(FORGET_DEPTH)
    for party in court.parties:
        assert party.side.state.phase is Phase.CLOSED
        assert not party.side.state.htlcs


def reckon(court: Courtroom, alice: int, bob: int) -> None:
    """Each has what it should, less fees that the chain has seen; nothing is left lying about."""
    got = {p.side.name: court.holds(p) - START for p in court.parties}
    anchors = sum(o.amount.sat for o, h in court.unspent.values() if o.amount.sat == 330 and h > 1)
    assert got["alice"] + got["bob"] + court.fees() + anchors == 1_000_000
    assert alice - 8_000 < got["alice"] <= alice
    assert bob - 8_000 < got["bob"] <= bob


@pytest.mark.parametrize("closer", ["alice", "bob"])
def test_close_by_force__each_htlc_goes_to_whom_it_belongs(closer: str) -> None:
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    side, other = (pair.alice, pair.bob) if closer == "alice" else (pair.bob, pair.alice)
    side.step(events.CloseUnilaterally("test"))
    court.mine()
    assert (side.state.onchain.kind, other.state.onchain.kind) == (SpendKind.OURS, SpendKind.THEIRS)  # type: ignore[union-attr]
    court.mine(2)
    # Preimages seen on chain settle the incoming side at once.
    assert paid(pair.alice) == paid(pair.bob) == {0}
    court.mine_to(EXPIRY + RESOLVED_DEPTH - 1)
    assert lapsed(pair.alice) == lapsed(pair.bob) == {2}, "dust goes with the commitment"
    court.mine(2)
    assert lapsed(pair.alice) == lapsed(pair.bob) == {1, 2}
    finish(court)
    # Dust goes to the miner, whoever offered it.
    reckon(court, 600_000 - 50_000 + 70_000, 400_000 + 50_000 - 70_000)


# --- cheats ---------------------------------------------------------------------------------------


def cheated(cheat: str) -> tuple[Courtroom, Side, Side]:
    """The HTLCs are long settled when one side broadcasts the commitment that held them."""
    pair = pending()
    side, honest = (pair.alice, pair.bob) if cheat == "alice" else (pair.bob, pair.alice)
    old = side.state
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)), events.FailHtlc(1, b"no"))
    pair.alice.step(events.FulfillHtlc(0, preimage_of(3)), events.FailHtlc(1, b"no"))
    pair.settle()
    pair.alice.step(offer(7, sat(1_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    pair.cut()
    side.judging = False
    court.swap_for(side, old)
    # The cheat has come to know both preimages, of course.
    side.step(events.FulfillHtlc(0, preimage_of(3 if cheat == "alice" else 1)))
    side.step(events.CloseUnilaterally("I was richer then"))
    court.mine()
    assert honest.state.onchain is not None
    assert honest.state.onchain.kind is SpendKind.REVOKED
    return court, side, honest


def won(court: Courtroom, honest: Side) -> None:
    """All of the channel is the honest side's, but fees, anchors and dust that the miner has."""
    for party in court.parties:
        party.side.judging = False
    court.mine_to(EXPIRY + DELAY + 4)
    court.mine(FORGET_DEPTH)
    assert honest.state.phase is Phase.CLOSED
    party = court.party(honest)
    other = next(p for p in court.parties if p is not party)
    assert court.holds(other) <= START, "the cheat has gained something"
    # 660 of anchors, 600 of dust, and the fees.
    assert court.holds(party) - START > 1_000_000 - 12_000
    assert not court.unspent.keys() & {c.outpoint for c in honest.state.onchain.claims}  # type: ignore[union-attr]


@pytest.mark.parametrize("cheat", ["alice", "bob"])
@pytest.mark.parametrize("late", [0, 2, 4])
def test_a_cheat_loses_everything_however_far_he_has_come(cheat: str, late: int) -> None:
    """`late`: blocks in which the honest side gets nothing mined: HTLC transactions come first."""
    court, side, honest = cheated(cheat)
    court.silent = {honest.name}
    court.mine(late)
    second = {c.outpoint.txid for c in honest.state.onchain.claims} - {honest.state.onchain.txid}  # type: ignore[union-attr]
    assert bool(second) is (late > 0), "the cheat's own transaction is in a block"
    court.silent = set()
    won(court, honest)
    assert side.state.phase is not Phase.READY


@pytest.mark.parametrize("cheat", ["alice", "bob"])
def test_a_cheat_whose_timeouts_come_first_loses_them_too(cheat: str) -> None:
    court, _, honest = cheated(cheat)
    # `to_local` would be his after six blocks: that penalty gets in, those of the HTLCs do not.
    kept = court.party(honest)
    claims = honest.state.onchain.claims  # type: ignore[union-attr]
    contested = {c.outpoint for c in claims if c.htlc is not None}
    court.refuses = lambda tx: (
        court.height < EXPIRY + 2
        and any(i.outpoint in contested for i in tx.inputs)
        and tx.outputs[0].script_pubkey == kept.script
        and len(tx.inputs) == 1
    )
    court.mine_to(EXPIRY + 2)
    court.refuses = lambda _: False
    assert len({c.outpoint.txid for c in honest.state.onchain.claims}) > 2  # type: ignore[union-attr]
    won(court, honest)


# --- reorganisations ------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 9])
def test_reorg__a_close_by_force_ends_the_same_whatever_was_undone(depth: int) -> None:
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine(9)
    court.reorg(depth)
    court.mine(3)
    finish(court)
    reckon(court, 620_000, 380_000)


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_reorg__a_cheat_is_punished_again(depth: int) -> None:
    court, _, honest = cheated("alice")
    court.mine(8)
    court.reorg(depth)
    court.mine(3)
    won(court, honest)


def test_reorg__the_cheat_itself_undone__what_confirms_instead_counts() -> None:
    """Bob offers his latest commitment once hers has left the chain: 620,000 less fees is hers."""
    court, cheat, honest = cheated("alice")
    court.silent = {cheat.name}
    court.mine(8)
    court.reorg(9)
    court.mine(3)
    assert honest.state.onchain is not None
    assert honest.state.onchain.kind is SpendKind.OURS
    court.silent = set()
    court.mine_to(EXPIRY + 10)
    assert court.holds(court.party(honest)) - START > 380_000 - 5_000


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
    """Nothing gets mined for 300 blocks: the fee climbs to its ceiling and stays there."""
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine(2)
    court.refuses = lambda _: True
    feerates: dict[OutPoint, list[int]] = {}
    for _ in range(300):
        court.mine()
        for claim in pair.bob.state.onchain.claims:  # type: ignore[union-attr]
            if claim.sweep is not None and claim.resolved_by is None:
                feerates.setdefault(claim.outpoint, []).append(claim.sweep.feerate.per_kw)
    assert feerates
    for outpoint, rates in feerates.items():
        assert rates == sorted(rates), "a fee was lowered"
        assert rates[-1] == rates[-20], "a fee that never stops to rise"
        (claim,) = [c for c in pair.bob.state.onchain.claims if c.outpoint == outpoint]  # type: ignore[union-attr]
        assert rates[-1] * 480 // 1000 < claim.amount.sat
        steps = [b - a for a, b in itertools.pairwise(rates) if b != a]
        assert all(step >= 253 for step in steps), "a replacement that no mempool takes"


# --- deadlines ------------------------------------------------------------------------------------


def test_deadline__an_htlc_that_the_peer_sits_on_is_taken_back_on_chain() -> None:
    pair = pending()
    court = Courtroom(pair)
    court.mine_to(EXPIRY + GRACE - 1)
    assert phase(pair.alice) is Phase.READY
    court.mine()
    assert phase(pair.alice) is not Phase.READY
    assert "expired at block 200" in str(pair.alice.state.error)
    finish(court)
    reckon(court, 600_000, 400_000)


def test_deadline__a_withheld_revocation_steals_nothing() -> None:
    """Alice adds an HTLC; Bob signs for nothing and revokes nothing: it is in his commitment."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(50_000), EXPIRY))
    assert pair.deliver(pair.alice)
    assert pair.deliver(pair.alice)
    pair.bob.sent.clear()
    court = Courtroom(pair)
    court.mine_to(EXPIRY + GRACE)
    assert phase(pair.alice) is not Phase.READY
    finish(court)
    reckon(court, 600_000, 400_000)


def test_deadline__a_preimage_that_the_peer_does_not_take_is_shown_on_chain_in_time() -> None:
    pair = pending()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.bob.sent.clear()
    court = Courtroom(pair)
    court.mine_to(EXPIRY - CLAIM_BLOCKS - 1)
    assert phase(pair.bob) is Phase.READY
    court.mine()
    assert phase(pair.bob) is not Phase.READY
    court.mine(4)
    assert paid(pair.alice) == {0}
    finish(court)
    reckon(court, 550_000, 450_000)


def test_deadline__an_htlc_that_is_not_worth_it_closes_nothing_and_is_told() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1, sat(2_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    for party in court.parties:
        party.side.feerate = FeeratePerKw(5_000)
    court.mine_to(EXPIRY + FAIL_BACK_BY - 1)
    assert not lapsed(pair.alice)
    court.mine()
    assert phase(pair.alice) is Phase.READY
    assert lapsed(pair.alice) == {0}
    (told,) = [a for a in pair.alice.acts if isinstance(a, actions.LossAccepted)]
    assert told.cost.sat > 2_000


# --- traps ----------------------------------------------------------------------------------------


def test_trap_1__two_htlcs_with_the_same_hash_and_amount_are_not_confused() -> None:
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


def test_trap_14__a_foreign_transaction_is_not_taken_for_our_own() -> None:
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


def test_trap_22__no_preimage_is_shown_that_the_wallet_has_not_decided_to_show() -> None:
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


def test_a_claim_that_comes_too_late_is_told() -> None:
    """No block takes Bob's claim by preimage until Alice has her timeout in."""
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine()
    court.silent = {"bob"}
    court.mine_to(EXPIRY + 3)
    (lost,) = [a for a in pair.bob.acts if isinstance(a, actions.HtlcLost)]
    assert lost.htlc.key == HtlcKey(False, 0)
    court.silent = set()
    finish(court)


def test_an_htlc_is_taken_back_though_the_peer_has_said_its_preimage() -> None:
    """Bob says it and does not claim it; or a reorganisation undoes his claim until it expires."""
    pair = pending()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    assert pair.deliver(pair.bob)
    assert paid(pair.alice) == {0}
    court = Courtroom(pair)
    court.silent = {"bob"}
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY + 2)
    assert 0 not in lapsed(pair.alice)
    court.silent = set()
    finish(court)
    reckon(court, 600_000, 400_000)


def test_a_preimage_counts_though_the_peer_had_failed_the_htlc() -> None:
    """Bob fails it, Alice's commitment is without it; then he closes with his own, that has it."""
    pair = pending()
    pair.bob.step(events.FailHtlc(0, b"no"))
    assert pair.deliver(pair.bob)
    assert pair.deliver(pair.bob)
    ours = our_commitment(pair.alice.state, pair.alice.state.funding).commitment.tx.txid
    pair.alice.sent.clear()
    pair.cut()
    bob = pair.bob.state
    failed = bob.htlcs[HtlcKey(False, 0)]
    pair.bob.channel = bob.with_htlc(replace(failed, removal=Fulfilled(preimage_of(1))))
    pair.bob.judging = False
    court = Courtroom(pair)
    court.swap_for(pair.bob, pair.bob.state)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine(3)
    assert paid(pair.alice) == {0}
    built = our_commitment(pair.alice.state, pair.alice.state.funding)
    assert built.commitment.tx.txid == ours, "what we could broadcast after a reorganisation"
    court.mine_to(EXPIRY + RESOLVED_DEPTH + 4)
    assert 0 not in lapsed(pair.alice)
    finish(court)


@pytest.mark.parametrize("closer", ["alice", "bob"])
def test_their_next_commitment__signed_and_not_yet_acknowledged(closer: str) -> None:
    """The other has signed a newest commitment, and its revoke_and_ack never came back."""
    pair = pending()
    side, other = (pair.alice, pair.bob) if closer == "alice" else (pair.bob, pair.alice)
    other.step(offer(8, sat(90_000), EXPIRY))
    assert pair.deliver(other)
    assert pair.deliver(other)
    side.sent.clear()
    know_preimages(pair)
    court = Courtroom(pair)
    side.step(events.CloseUnilaterally("test"))
    court.mine()
    assert other.state.onchain is not None
    assert other.state.onchain.kind is SpendKind.THEIR_NEXT
    assert len([c for c in other.state.onchain.claims if c.htlc is not None]) == 5
    court.mine(2)
    assert paid(pair.alice) == paid(pair.bob) == {0}
    finish(court)
    reckon(court, 600_000 - 50_000 + 70_000, 400_000 + 50_000 - 70_000)
