"""What a thief would try on chain: many small HTLCs, fee spikes, the last block, a changed mind."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.court_stories import (
    DELAY,
    EXPIRY,
    finish,
    know_preimages,
    lapsed,
    paid,
    pending,
    phase,
    sat,
)
from tests.support.courtroom import Courtroom
from tests.support.pair import offer, policy, preimage_of, ready_pair
from wallet.base.channel_tx.commitment import Commitment, build_commitment
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.machines.channel import actions, commitments, events
from wallet.machines.channel.claims import FAIL_BACK_BY, GRACE
from wallet.machines.channel.deadlines import forecast
from wallet.machines.channel.ending import ClaimKind
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.state import Phase


def test_many_htlcs_that_are_small_each_are_worth_a_close_together() -> None:
    """Else a peer sits on 30 of 10,000 sat, which fail upstream, and then claims them all."""
    pair = ready_pair()
    for _ in range(30):
        pair.alice.step(offer(1, sat(10_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    for party in court.parties:
        party.side.feerate = FeeratePerKw(5_000)
    court.mine_to(EXPIRY + GRACE)
    assert phase(pair.alice) is Phase.FAILED
    assert not [a for a in pair.alice.acts if isinstance(a, actions.LossAccepted)]


def test_small_htlcs_one_after_the_other_are_let_go_until_together_they_are_worth_a_close() -> None:
    """A patient peer sits on one at a time; what it may take so has an end."""
    pair = ready_pair()
    court = Courtroom(pair)
    for party in court.parties:
        party.side.feerate = FeeratePerKw(5_000)
    cost = forecast(FeeratePerKw(5_000))
    offered = 0
    while phase(pair.alice) is Phase.READY:
        assert offered <= cost.sat, "the thief has taken more than an end would have cost"
        pair.alice.step(offer(1, sat(3_000), court.height + 5))
        pair.settle()
        offered += 3_000
        court.mine(5 + FAIL_BACK_BY)
    let_go = pair.alice.state.let_go.total
    assert cost.sat - 3_000 <= let_go.sat < cost.sat


def test_a_preimage_that_comes_late_is_on_its_way_at_once() -> None:
    """The peer's timeout may be in the block after the next: waiting for a block loses the race."""
    pair = pending()
    court = Courtroom(pair)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY - 1)
    for side in (pair.alice, pair.bob):
        number = 1 if side is pair.bob else 3
        side.broadcasts.clear()
        court.party(side).heard = 0
        side.step(events.FulfillHtlc(0, preimage_of(number)))
    court.mine()
    shown = {item for tx in court.blocks[-1].transactions for i in tx.inputs for item in i.witness}
    assert {preimage_of(1), preimage_of(3)} <= shown


def test_a_fee_spike_forgets_no_output() -> None:
    """In the very block that could forget the channel, nothing small seems worth taking."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(20_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine()
    closed = court.height
    for party in court.parties:
        party.side.feerate = FeeratePerKw(60_000)
    court.mine_to(closed + FORGET_DEPTH + 2)
    assert phase(pair.alice) is not Phase.CLOSED
    for party in court.parties:
        party.side.feerate = FeeratePerKw(500)
    court.mine(4)
    (claim,) = [c for c in pair.alice.state.onchain.claims if c.htlc is not None]  # type: ignore[union-attr]
    assert claim.resolved_at is not None
    court.mine(DELAY)
    finish(court)


def test_a_dear_market_keeps_no_contested_claim_at_home() -> None:
    """What cannot pay the going rate is offered at what it can pay: blocks are not always full."""
    pair = pending()
    court = Courtroom(pair)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine()
    for party in court.parties:
        party.side.feerate = FeeratePerKw(200_000)
    court.mine_to(EXPIRY + 3)
    kinds = {c.kind for c in pair.alice.state.onchain.claims if c.sweep is not None}  # type: ignore[union-attr]
    assert ClaimKind.EXPIRED in kinds
    assert lapsed(pair.alice) >= {2}


def test_a_block_that_spends_many_outputs_rebuilds_the_commitment_a_few_times_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """483 HTLCs each way held a core for over a minute, once for each output that was spent."""
    pair = ready_pair()
    for number in range(20):
        pair.alice.step(offer(number, sat(3_000), EXPIRY))
    pair.settle()
    pair.cut()
    pair.bob.step(*(events.FulfillHtlc(number, preimage_of(number)) for number in range(20)))
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine()
    built: list[int] = []

    def counting(*args: Any) -> Commitment:
        built.append(1)
        return build_commitment(*args)

    monkeypatch.setattr(commitments, "build_commitment", counting)
    court.mine()
    assert len(court.blocks[-1].transactions) == 21
    assert len(built) <= 4, "once for each side's tip, and for what that does"


def test_a_small_htlc_is_claimed_at_the_floor_and_not_only_as_it_runs_out() -> None:
    """A twentieth of 1,000 sat relays nowhere; waiting for a larger share helps the peer alone."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(1_000), EXPIRY))
    pair.settle()
    pair.cut()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    court = Courtroom(pair)
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine(3)
    assert paid(pair.alice) == {0}
    finish(court)


def test_what_was_never_signed_for_goes_back_when_it_expires_and_the_peer_is_away() -> None:
    """No commitment holds it: a payment over a peer that never returns would pend for ever."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(50_000), EXPIRY))
    pair.settle()
    pair.alice.step(offer(2, sat(60_000), EXPIRY + 30))
    # She has signed for that one, and signs for these when Bob has answered: he does not.
    pair.alice.step(offer(3, sat(7_000), EXPIRY - 10), offer(4, sat(8_000), EXPIRY + 30))
    pair.cut()
    before = pair.alice.state
    court = Courtroom(pair)
    court.mine_to(EXPIRY - 11)
    assert pair.alice.state.htlcs == before.htlcs
    pair.alice.acts.clear()
    court.mine()
    gone = [a.htlc.key.id for a in pair.alice.acts if isinstance(a, actions.HtlcGone)]
    assert gone == [2, 3]
    assert pair.alice.state.our_next_htlc_id == 2
    # Bob comes back, and the ids are used again.
    pair.reconnect()
    pair.settle()
    pair.alice.step(offer(5, sat(9_000), EXPIRY + 50))
    pair.settle()
    assert {key.id for key in pair.bob.state.htlcs} == {0, 1, 2}
    assert pair.bob.state.phase is Phase.READY


def test_what_was_never_signed_for_goes_back_too_when_the_same_block_fails_the_channel() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1, sat(90_000), EXPIRY))
    pair.settle()
    pair.alice.step(offer(2, sat(60_000), EXPIRY + 30))
    pair.alice.step(offer(3, sat(7_000), EXPIRY + GRACE))
    pair.cut()
    court = Courtroom(pair)
    pair.alice.acts.clear()
    court.mine_to(EXPIRY + GRACE)
    assert phase(pair.alice) is Phase.FAILED
    gone = [a.htlc.key.id for a in pair.alice.acts if isinstance(a, actions.HtlcGone)]
    assert gone == [2], "nobody else will ever say what became of it"


def test_what_is_let_go_counts_once_whatever_a_reorganisation_repeats() -> None:
    pair = ready_pair()
    court = Courtroom(pair)
    for party in court.parties:
        party.side.feerate = FeeratePerKw(5_000)
    pair.alice.step(offer(1, sat(8_000), EXPIRY))
    pair.settle()
    court.mine_to(EXPIRY + FAIL_BACK_BY)
    for _ in range(2):
        court.reorg(2)
        court.mine(2)
    assert phase(pair.alice) is Phase.READY
    told = [a for a in pair.alice.acts if isinstance(a, actions.LossAccepted)]
    assert len(told) == 1
    assert pair.alice.state.let_go.total.sat == 8_000


def test_an_output_that_is_worth_no_transaction_keeps_nobody_upstream_waiting() -> None:
    """Its HTLC is given back before the one that came in expires, and the risk is told."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(400), EXPIRY), offer(2, sat(90_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine_to(EXPIRY + FAIL_BACK_BY - 1)
    assert lapsed(pair.alice) == {1}, "the large one was taken back"
    court.mine(2)
    assert lapsed(pair.alice) == {0, 1}
    told = [a.htlc.amount for a in pair.alice.acts if isinstance(a, actions.LossAccepted)]
    assert told == [sat(400)]


def test_reorg__coins_that_paid_for_a_commitment_that_may_never_come_back_are_free() -> None:
    """What spends an output of it would hold them for ever once another commitment confirms."""
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    court.refuses = lambda tx: len(tx.inputs) > 1
    pair.alice.step(events.CloseUnilaterally("test"))
    court.mine(3)
    made = {c.sweep.txid for c in pair.alice.state.onchain.claims if c.kind.is_funded and c.sweep}  # type: ignore[union-attr]
    assert made
    pair.alice.acts.clear()
    court.reorg(3)
    assert {a.txid for a in pair.alice.acts if isinstance(a, actions.ForgetBump)} == made


def test_reorg__of_a_funding__the_child_of_a_commitment_that_may_never_be_frees_its_coins() -> None:
    """Its opener may never bring the funding back: a coin of ours would wait for it for ever."""
    pair = ready_pair()
    pair.alice.step(offer(1, sat(90_000), EXPIRY))
    pair.settle()
    Courtroom(pair)  # with coins for both
    pair.bob.feerate = FeeratePerKw(4_000)
    pair.bob.step(events.CloseUnilaterally("test"))
    bump = pair.bob.state.bump
    assert bump is not None
    pair.bob.step(events.FundingUnconfirmed())
    assert pair.bob.state.bump is None
    assert actions.ForgetBump(bump.txid) in pair.bob.acts


def test_fees__an_estimate_that_is_far_too_low_loses_no_htlc() -> None:
    """The backend knows only the floor while miners ask 40 times as much, a tenth of the HTLC."""
    pair = pending()
    for side in (pair.alice, pair.bob):
        side.feerate = FeeratePerKw(253)
    court = Courtroom(pair)
    pair.bob.step(events.CloseUnilaterally("test"))
    court.mine()
    court.least = 10.0
    court.mine_to(EXPIRY + FAIL_BACK_BY)
    ours = [c for c in pair.alice.state.onchain.claims if c.kind is ClaimKind.EXPIRED]  # type: ignore[union-attr]
    assert [c.resolved_at is not None for c in ours] == [True, True]


def test_one_coin_pays_for_many_claims_before_they_expire() -> None:
    """Alice sits on the fulfils of 40 HTLCs; each claim of Bob's wants a coin of its own."""
    slow = replace(policy(), to_self_delay=144)
    pair = ready_pair(alices=slow, amount=Satoshi(15_000_000))
    for number in range(40):
        pair.alice.step(offer(number, sat(100_000), EXPIRY))
    pair.settle()
    pair.bob.step(*(events.FulfillHtlc(number, preimage_of(number)) for number in range(40)))
    pair.bob.sent.clear()
    court = Courtroom(pair, coins=1)
    court.mine_to(EXPIRY + 3)
    assert len(paid(pair.alice)) == 40
    assert not [a for a in pair.bob.acts if isinstance(a, actions.HtlcLost)]
