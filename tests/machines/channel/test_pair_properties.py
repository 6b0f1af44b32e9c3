"""Hypothesis plays two channels: it looks for the shortest story in which they disagree.

`test_invariants.py` walks far with plain dice; here a story that fails is shrunk until every step
of it matters.  `LEYDEN_LONG=1` tells many more and longer stories, different ones each time.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.support import kernel_engine
from tests.support.channel_kernel import PREIMAGES
from tests.support.channel_ledger import Ledger
from tests.support.pair import (
    CLOSE_SCRIPT,
    FUNDING,
    LEGACY,
    START_HEIGHT,
    Pair,
    Side,
    offer,
    policy,
    ready_pair,
    replace,
)
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import Txid
from wallet.machines.channel import events
from wallet.machines.channel.announce import is_announced
from wallet.machines.channel.clearing import is_simple
from wallet.machines.channel.dance import has_news
from wallet.machines.channel.htlc import Htlc
from wallet.machines.channel.htlc_stages import SETTLED
from wallet.machines.channel.limits import spendable
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Link, Phase
from wallet.node.persist import durable

LONG = "LEYDEN_LONG" in os.environ
MOST_BLOCKS = START_HEIGHT + 40
NAMES = st.sampled_from(["alice", "bob"])
LIMITS = st.sampled_from([354, 546])
AMOUNTS = st.one_of(
    st.sampled_from([1, 999, 353_999, 354_000, 354_001, 545_999, 546_000, 546_001]),
    st.integers(1_000_000, 90_000_000),
    st.just(None),
)
"""Around both dust limits, what counts, and (None) all that may be sent."""


class TwoChannels(RuleBasedStateMachine):
    """Alice, who opened, and Bob; messages wait on the wire until a rule delivers them."""

    pair: Pair
    ledger: Ledger

    @initialize(
        alices=LIMITS,
        bobs=LIMITS,
        push=st.sampled_from([400_000_000, 0, 353_999, 546_000]),
        announce=st.booleans(),
        simple=st.booleans(),
    )
    def open(self, alices: int, bobs: int, push: int, announce: bool, simple: bool) -> None:
        limited = [replace(policy(), dust_limit=Satoshi(limit)) for limit in (alices, bobs)]
        features = OUR_INIT if simple else LEGACY
        self.pair = ready_pair(MilliSatoshi(push), *limited, features=features, announce=announce)
        self.announce = announce
        self.ledger = Ledger(self.pair)
        self.offered = 0
        self.connected = True

    def side(self, name: str) -> Side:
        return self.pair.alice if name == "alice" else self.pair.bob

    def wish(self, side: Side, event: events.Event) -> bool:
        """Ask; what is refused has changed nothing."""
        before = side.state
        try:
            side.step(event)
        except Refused:
            assert side.state is before
            return False
        return True

    # --- wishes -----------------------------------------------------------------------------------

    @rule(name=NAMES, amount=AMOUNTS)
    def offer(self, name: str, amount: int | None) -> None:
        side = self.side(name)
        sent = spendable(side.state) if amount is None else MilliSatoshi(amount)
        live = side.state.link is Link.LIVE
        expected = live and MilliSatoshi(0) < sent <= spendable(side.state)
        self.offered += 1
        expiry = 400 + self.offered % 7
        assert self.wish(side, offer(self.offered, sent, expiry)) is expected

    @rule(name=NAMES, which=st.integers(0, 9), how=st.sampled_from(["pay", "fail", "malformed"]))
    def answer(self, name: str, which: int, how: str) -> None:
        side = self.side(name)
        waiting = answerable(side)
        if waiting:
            htlc = waiting[which % len(waiting)]
            self.wish(side, answer_to(htlc, how))

    @rule(feerate=st.sampled_from([253, 254, 1_000, 2_500, 9_000, 30_000]))
    def change_feerate(self, feerate: int) -> None:
        self.wish(self.pair.alice, events.ChangeFeerate(FeeratePerKw(feerate)))

    # --- the chain --------------------------------------------------------------------------------

    @rule(name=NAMES, count=st.integers(1, 4))
    def blocks(self, name: str, count: int) -> None:
        """One side may see them long before the other."""
        side = self.side(name)
        if side.height < MOST_BLOCKS:
            side.height += count
            side.step(events.NewTip(CLOSE_SCRIPT[name]))

    # --- the wire ---------------------------------------------------------------------------------

    @rule(name=NAMES, count=st.integers(1, 4))
    def say(self, name: str, count: int) -> None:
        self.deliver(name, count)

    def deliver(self, name: str, count: int) -> None:
        for _ in range(count):
            self.pair.deliver(self.side(name))

    @rule(count=st.integers(4, 16))
    def converse(self, count: int) -> None:
        for _ in range(count):
            self.pair.deliver(self.pair.alice)
            self.pair.deliver(self.pair.bob)

    @precondition(lambda self: self.connected)
    @rule(alices=st.integers(0, 3), bobs=st.integers(0, 3))
    def cut(self, alices: int, bobs: int) -> None:
        """The last that arrives may be an update whose commitment_signed is lost."""
        self.deliver("alice", alices)
        self.deliver("bob", bobs)
        self.pair.cut()
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule()
    def reconnect(self) -> None:
        self.pair.reconnect()
        self.connected = True

    @rule(name=NAMES)
    def crash(self, name: str) -> None:
        side = self.side(name)
        if self.connected:
            side.sent.clear()
            other = self.pair.other(side)
            other.sent.clear()
            other.step(events.PeerDisconnected())
            self.connected = False
        stored: Channel = from_json(Channel, to_json(durable(side.state)))
        resumed = resume(stored)
        assert resume(resumed.state) == resumed
        side.channel = resumed.state
        side.perform(resumed.actions)

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def the_ledger_holds(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.look()

    def teardown(self) -> None:
        """Peace: all is answered and settled, and the channel closes for what each has."""
        if not hasattr(self, "pair"):
            return
        pair = self.pair
        if not self.connected:
            pair.reconnect()
        pair.settle()
        for side in (pair.alice, pair.bob):
            for htlc in answerable(side):
                assert self.wish(side, answer_to(htlc, "pay" if htlc.key.id % 2 else "fail"))
        pair.settle()
        for side in (pair.alice, pair.bob):
            side.height = MOST_BLOCKS
            side.step(events.NewTip(CLOSE_SCRIPT[side.name]))
        pair.settle()
        self.ledger.look()
        self.ledger.both_ends()
        alice, bob = pair.alice.state, pair.bob.state
        for channel in (alice, bob):
            assert is_announced(channel) is self.announce
            assert not channel.htlcs
            assert not has_news(channel)
            assert len(channel.fees) == 1
        assert (alice.funding.to_us, alice.feerate) == (bob.funding.to_them, bob.feerate)
        self.close(pair.alice if self.offered % 2 else pair.bob)

    def close(self, side: Side) -> None:
        simple = is_simple(side.state)
        side.step(events.CloseMutually(None, None))
        self.pair.settle()
        closes: dict[Txid, Transaction] = {}
        for each in (self.pair.alice, self.pair.bob):
            assert each.state.phase is Phase.MUTUALLY_CLOSED
            closes |= {tx.txid: tx for kind, tx in each.broadcasts if kind == "mutual close"}
        assert self.pair.alice.closes == self.pair.bob.closes == set(closes) or not simple
        # BOLT 3, legacy: each signs without what is below its own dust limit.  A balance between
        # the two limits makes two transactions, of which one will be mined.
        between = any(
            Satoshi(354) <= each.state.funding.to_us.floor_to_sat() < Satoshi(546)
            for each in (self.pair.alice, self.pair.bob)
        )
        assert len(closes) == 1 or ((simple or between) and len(closes) == 2)
        spent = TxOut(FUNDING, self.pair.funding_tx.outputs[0].script_pubkey)
        for tx in closes.values():
            kernel_engine.verify(tx, [spent], kind="close")


def answerable(side: Side) -> list[Htlc]:
    """What the peer has offered and both have committed to, in order."""
    found = [h for h in side.state.htlcs.values() if not h.key.offered_by_us]
    return sorted((h for h in found if h.stage in SETTLED), key=lambda h: h.key.id)


def answer_to(htlc: Htlc, how: str) -> events.Event:
    """Pay it, or give it back in one of two ways."""
    match how:
        case "pay":
            return events.FulfillHtlc(htlc.key.id, PREIMAGES[htlc.payment_hash])
        case "malformed":
            return events.FailMalformedHtlc(htlc.key.id, bytes(32), 0xC005)
        case _:
            return events.FailHtlc(htlc.key.id, b"no")


TestTwoChannels = TwoChannels.TestCase
TestTwoChannels.settings = settings(
    max_examples=2_000 if LONG else 100,
    stateful_step_count=150 if LONG else 50,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
