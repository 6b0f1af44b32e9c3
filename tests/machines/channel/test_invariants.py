"""A pair wanders at random through everything that may happen; a ledger looks after every step.

Then peace: whatever is in flight is answered, and everything settles.  Planted bugs show that the
net has teeth.  `LEYDEN_LONG=1` walks a hundred times as many seeds.
"""

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.channel_kernel import PREIMAGES
from tests.support.channel_ledger import Ledger
from tests.support.pair import Pair, Side, offer, ready_pair
from wallet.base.channel_tx.keys import Basepoints
from wallet.base.errors import Refused, WalletError
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.machines.channel import commitments, dance, events, reconnect
from wallet.machines.channel.htlc import Htlc
from wallet.machines.channel.htlc_stages import ROWS, Row, Stage
from wallet.machines.channel.limits import spendable
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Link, Phase
from wallet.node.persist import durable

SEEDS = range(4_000 if os.environ.get("LEYDEN_LONG") else 24)
STEPS = 120
AMOUNTS = (1, 999, 353_999, 354_000, 354_001, 545_999, 546_000, 1_000_000, 7_654_321, 90_000_000)
"""Below, at and above both dust limits (354 and 546 sat), and some that count."""


def two_dust_limits() -> Pair:
    """Alice trims below 354 sat, Bob below 546: their commitments differ in what they hold."""
    pair = ready_pair()
    for side, ours in ((pair.alice, False), (pair.bob, True)):
        terms = side.state.terms
        which = terms.ours if ours else terms.theirs
        limited = replace(which, dust_limit=Satoshi(546))
        changed = replace(terms, ours=limited) if ours else replace(terms, theirs=limited)
        side.channel = replace(side.state, terms=changed)
    return pair


def crash(side: Side) -> None:
    """The process dies; another one starts from what was stored."""
    stored: Channel = from_json(Channel, to_json(durable(side.state)))
    resumed = resume(stored)
    assert resume(resumed.state) == resumed
    side.channel = resumed.state


class Walk:
    """One seed: it draws its own mix of what happens."""

    def __init__(self, seed: int, pair: Pair) -> None:
        self.dice = random.Random(seed)
        self.pair = pair
        self.ledger = Ledger(pair)
        self.number = 0
        self.connected = True
        doings: list[Callable[[Side], None]] = [
            self.offer,
            self.answer,
            self.change_fee,
            self.lose_link,
            self.crash,
            self.deliver,
        ]
        weights = [self.dice.randrange(1, 9) for _ in doings[:2]]
        weights += [self.dice.randrange(3) for _ in doings[2:5]]
        self.deck = [d for d, w in zip(doings, [*weights, 12], strict=True) for _ in range(w)]

    def run(self, steps: int = STEPS) -> None:
        """Trouble, then peace."""
        for _ in range(steps):
            doing = self.dice.choice(self.deck)
            try:
                doing(self.dice.choice((self.pair.alice, self.pair.bob)))
            except Refused:
                continue
            self.ledger.look()
        self.make_peace()

    def offer(self, side: Side) -> None:
        self.number += 1
        amount = MilliSatoshi(self.dice.choice(AMOUNTS))
        if self.dice.random() < 0.2:
            amount = spendable(side.state)
        # Twins of equal amount and expiry are told apart by nothing but their place.
        side.step(offer(self.number // 2, amount, expiry=400 + self.dice.randrange(2)))

    def answer(self, side: Side) -> None:
        waiting = [h for h in side.state.htlcs.values() if h.stage is Stage.RCVD_ADD_ACK_REVOCATION]
        if waiting:
            side.step(self._answer_to(self.dice.choice(waiting)))

    def _answer_to(self, htlc: Htlc) -> events.Event:
        match self.dice.randrange(4):
            case 0:
                return events.FailHtlc(htlc.key.id, b"no")
            case 1:
                return events.FailMalformedHtlc(htlc.key.id, bytes(32), 0xC005)
            case _:
                return events.FulfillHtlc(htlc.key.id, PREIMAGES[htlc.payment_hash])

    def change_fee(self, _: Side) -> None:
        self.pair.alice.step(
            events.ChangeFeerate(
                FeeratePerKw(self.dice.choice((253, 1_000, 3_000, 20_000, 90_000)))
            )
        )

    def deliver(self, side: Side) -> None:
        self.pair.deliver(side)

    def lose_link(self, _: Side) -> None:
        self.pair.cut()
        self.ledger.look()
        if self.dice.random() < 0.3:
            self.answer(self.pair.alice)
            self.answer(self.pair.bob)
        self.pair.reconnect()

    def crash(self, side: Side) -> None:
        self.pair.cut()
        crash(side)
        if self.dice.random() < 0.3:
            crash(self.pair.other(side))
        self.ledger.look()
        self.pair.reconnect()

    def settle(self) -> None:
        while True:
            side = self.dice.choice((self.pair.alice, self.pair.bob))
            if not (self.pair.deliver(side) or self.pair.deliver(self.pair.other(side))):
                return
            self.ledger.look()

    def make_peace(self) -> None:
        sides = (self.pair.alice, self.pair.bob)
        self.settle()
        while any(side.state.htlcs for side in sides):
            for side in sides:
                for htlc in list(side.state.htlcs.values()):
                    assert htlc.stage in {
                        Stage.RCVD_ADD_ACK_REVOCATION,
                        Stage.SENT_ADD_ACK_REVOCATION,
                    }
                    if not htlc.key.offered_by_us:
                        side.step(self._answer_to(htlc))
            self.settle()
        self.ledger.both_ends()
        one, other = (side.state for side in sides)
        assert (one.phase, other.phase) == (Phase.READY, Phase.READY)
        assert (one.link, other.link) == (Link.LIVE, Link.LIVE)
        assert one.funding.to_us == other.funding.to_them
        assert (one.our_number, one.their_number) == (other.their_number, other.our_number)
        assert one.fees[-1].feerate == other.fees[-1].feerate
        assert len(one.fees) == len(other.fees) == 1
        assert (one.in_tally, one.out_tally) == (other.out_tally, other.in_tally)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_peers_wander_and_settle(seed: int) -> None:
    pair = two_dust_limits() if seed % 2 else ready_pair()
    walk = Walk(seed, pair)
    walk.run()
    assert len(walk.ledger.held) > 10


# --- planted bugs -------------------------------------------------------------------------------


def noticed(seeds: int = 12) -> bool:
    """Whether some walk ends in an assertion, a guard of ours, or a failed channel."""
    for seed in range(seeds):
        try:
            Walk(seed, two_dust_limits()).run()
        except (AssertionError, WalletError, KeyError, ValueError):
            return True
    return False


def test_planted__a_wrong_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """One cell of the table: a removal leaves their commitment when we revoke, not when we sign."""
    row = ROWS[Stage.SENT_REMOVE_REVOCATION]
    monkeypatch.setitem(ROWS, Stage.SENT_REMOVE_REVOCATION, replace(row, in_theirs=False))
    assert noticed()


def test_planted__their_previous_column_for_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(row: Row) -> bool:
        return row.in_their_previous

    monkeypatch.setattr(dance, "in_theirs", other)
    monkeypatch.setattr(commitments, "in_theirs", other)
    assert noticed()


def test_planted__dust_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 11: at equality one side keeps the output and the other trims it."""
    real = commitments._terms

    def terms(*given: object, ours: bool) -> object:
        built = real(*given, ours=ours)  # type: ignore[arg-type]
        return replace(built, dust_limit=built.dust_limit + Satoshi(int(ours)))

    monkeypatch.setattr(commitments, "_terms", terms)
    assert noticed()


def test_planted__money_moves_with_every_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed HTLC is counted as paid."""
    monkeypatch.setattr(dance, "Fulfilled", object)
    assert noticed()


def test_planted__a_fee_change_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a reconnect the opener drops its own fee change that the peer has already."""
    real = reconnect.disconnected

    def forgetful(channel: Channel) -> Channel:
        return replace(real(channel), fees=channel.fees[:1])

    monkeypatch.setattr("tests.support.pair.step", _with_disconnect(forgetful))
    assert noticed()


def _with_disconnect(disconnected: Callable[[Channel], Channel]) -> Callable[..., object]:
    from wallet.machines.channel.step import step
    from wallet.machines.step import Step

    def stepping(channel: Channel, event: events.Event, ctx: object) -> object:
        if isinstance(event, events.PeerDisconnected):
            return Step(disconnected(channel))
        return step(channel, event, ctx)  # type: ignore[arg-type]

    return stepping


def test_planted__basepoints_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides would agree on it; Core's engine, or a signature, does not."""
    real = commitments._basepoints

    def swapped(terms: object, *, ours: bool) -> tuple[Basepoints, Basepoints]:
        one, other = real(terms, ours=ours)  # type: ignore[arg-type]
        return replace(one, htlc=other.htlc), replace(other, htlc=one.htlc)

    monkeypatch.setattr(commitments, "_basepoints", swapped)
    assert noticed(3)


def test_the_walks_without_a_bug_are_not_noticed() -> None:
    """The control of the controls."""
    assert not noticed(3)
