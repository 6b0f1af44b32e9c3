"""`option_simple_close` between two that follow BOLT 2: both offer, and both sign both."""

import pytest

from tests.support.closes import at, closed, closes, fee_at, fee_of, phases, ready, said, told
from tests.support.courtroom import Courtroom
from tests.support.pair import (
    CLOSE_SCRIPT,
    FEERATE,
    LEGACY,
    Pair,
    link_up,
    offer,
    open_pair,
    preimage_of,
    ready_pair,
)
from wallet.base.bitcoin.script import p2tr, p2wsh
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.features import OUR_INIT
from wallet.base.wire.channel import ClosingComplete, ClosingSig, ClosingSigned, Shutdown
from wallet.machines.channel import actions, events
from wallet.machines.channel.close_simple import REPLACE_AFTER
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Phase

# --- the first two ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_close__each_pays_for_its_own_transaction(who: str) -> None:
    pair = ready()
    (pair.alice if who == "alice" else pair.bob).step(events.CloseMutually(None, None))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    fee = fee_at(FEERATE.per_kw)
    for side in (pair.alice, pair.bob):
        paid = {
            tx.txid: tuple(
                o.amount.sat
                for name in ("alice", "bob")
                for o in tx.outputs
                if o.script_pubkey == CLOSE_SCRIPT[name]
            )
            for tx in closes(side)
        }
        assert sorted(paid.values()) == [(600_000 - fee, 400_000), (600_000, 400_000 - fee)]
        assert side.closes == set(paid)
        alices = {txid for txid, (_, to_bob) in paid.items() if to_bob == 400_000}
        assert {(t.txid, t.fee.sat, t.we_pay) for t in told(side)} == {
            (txid, fee, (txid in alices) is (side is pair.alice)) for txid in paid
        }


def test_close__before_the_funding_is_mined() -> None:
    pair = open_pair(MilliSatoshi(300_000_000))
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    assert len(closes(pair.alice)) == len(closes(pair.bob)) == 2


def test_close__waits_for_htlcs() -> None:
    pair = ready()
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    assert phases(pair) == {Phase.SHUTTING_DOWN}
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    paid = {o.amount.sat for tx in closes(pair.alice) for o in tx.outputs}
    assert {590_000, 410_000} < paid


@pytest.mark.parametrize(
    ("push", "versions"),
    [
        # msat that Bob has, and how many of the outputs each transaction has.
        (0, [1]),
        (293_999, [1]),
        # Enough for an output, not for a fee of his own.
        (294_000, [2]),
        (463_999, [2]),
        # The relay floor and no more, so that the output is not dust.
        (465_000, [2, 2]),
        (1_500_000, [2, 2]),
    ],
)
def test_close__outputs_below_dust_are_left_out(push: int, versions: list[int]) -> None:
    pair = closed(push)
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    assert sorted(len(tx.outputs) for tx in closes(pair.alice)) == versions
    assert pair.alice.closes == pair.bob.closes
    if versions == [1]:
        # The fee is that of what is sent: one output.
        alone = FEERATE.fee_ceil(closing_weight(CLOSE_SCRIPT["alice"]))
        ours = pair.alice.state.simple_close.ours
        assert ours is not None
        assert ours.fee == alone


@pytest.mark.parametrize(
    "script",
    [
        p2wsh(b"\x51"),
        p2tr(bytes(32)),
        *(bytes((0x50 + version, 2)) + b"ab" for version in range(1, 17)),
        b"\x60\x28" + bytes(40),
    ],
)
def test_close__to_any_segwit_script(script: bytes) -> None:
    pair = ready()
    pair.bob.step(events.CloseMutually(script, None))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    for tx in closes(pair.alice):
        assert {o.script_pubkey for o in tx.outputs} == {script, CLOSE_SCRIPT["alice"]}


def test_close__no_word_of_the_legacy_kind_is_said() -> None:
    pair = ready()
    kinds: set[type] = set()
    pair.bob.step(events.CloseMutually(None, None))
    while pair.alice.sent or pair.bob.sent:
        kinds |= {type(m) for side in (pair.alice, pair.bob) for m in said(side)}
        pair.deliver(pair.alice)
        pair.deliver(pair.bob)
    assert kinds == {Shutdown, ClosingComplete, ClosingSig}


# --- another connection -------------------------------------------------------------------------


def test_a_lost_answer__the_same_is_offered_again() -> None:
    """Bob may broadcast it: Alice must come to know it, and offer no less."""
    pair = closed()
    alice, bob = pair.alice, pair.bob
    alice.height += REPLACE_AFTER
    alice.feerate = FeeratePerKw(3_000)
    alice.step()
    pair.deliver(alice)
    assert [type(m) for m in said(bob)] == [ClosingSig]
    pair.cut()
    alice.feerate = FeeratePerKw(500)
    pair.reconnect()
    pair.settle()
    assert alice.closes == bob.closes
    newest = closes(alice)[-1]
    assert fee_of(newest) == fee_at(3_000)
    # Signed twice, told once.
    assert [t.txid for t in told(bob)].count(newest.txid) == 1


def test_reconnect__nothing_new_is_signed() -> None:
    pair = closed()
    before = pair.alice.closes
    count = len(told(pair.alice))
    link_up(pair)
    link_up(pair)
    assert pair.alice.closes == pair.bob.closes == before
    assert len(told(pair.alice)) == count


def test_reconnect__the_peer_does_not_offer_it_any_more() -> None:
    """Both versions stay good; the legacy close is a third."""
    pair = closed()
    before = pair.alice.closes
    pair.cut()
    for side in (pair.alice, pair.bob):
        side.step(events.PeerConnected(LEGACY.to_bytes()))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    assert pair.alice.state.signed_close is not None
    assert before < pair.alice.closes == pair.bob.closes


def test_reconnect__the_peer_offers_it_now() -> None:
    pair = ready_pair(features=LEGACY)
    pair.cut()
    for side in (pair.alice, pair.bob):
        side.step(events.PeerConnected(OUR_INIT.to_bytes()))
    pair.alice.step(events.CloseMutually(None, None))
    kinds: set[type] = set()
    while pair.alice.sent or pair.bob.sent:
        kinds |= {type(m) for side in (pair.alice, pair.bob) for m in said(side)}
        pair.deliver(pair.alice)
        pair.deliver(pair.bob)
    assert ClosingComplete in kinds
    assert ClosingSigned not in kinds
    assert len(pair.alice.closes) == 2


# --- the chain ----------------------------------------------------------------------------------


def every_version() -> tuple[Pair, list[Transaction]]:
    """Four were signed; each side remembers two."""
    pair = closed()
    pair.alice.step(at(2_000))
    pair.settle()
    pair.bob.step(at(3_000))
    pair.settle()
    found = closes(pair.alice)
    assert len(found) == 4
    return pair, found


@pytest.mark.parametrize("which", range(4))
def test_whichever_a_block_holds_it_is_a_mutual_close(which: int) -> None:
    pair, versions = every_version()
    court = Courtroom(pair)
    court.silent = {"alice", "bob"}
    court.extra = [versions[which]]
    court.mine()
    for side in (pair.alice, pair.bob):
        end = side.state.onchain
        assert end is not None
        assert (end.kind, end.txid, end.claims) == (SpendKind.MUTUAL, versions[which].txid, ())
    court.mine(FORGET_DEPTH)
    assert phases(pair) == {Phase.CLOSED}


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 1), (2, 2)])
def test_reorg__another_version_takes_its_place(first: int, second: int) -> None:
    pair, versions = every_version()
    court = Courtroom(pair)
    court.silent = {"alice", "bob"}
    court.extra = [versions[first]]
    court.mine(3)
    kept = pair.alice.closes
    for side in (pair.alice, pair.bob):
        side.broadcasts.clear()
    court.reorg(3)
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    court.extra = [versions[second]]
    court.mine()
    for side in (pair.alice, pair.bob):
        # While it was in no block all that is remembered was offered again, and nothing else.
        assert {(kind, tx.txid) for kind, tx in side.broadcasts} == {
            ("mutual close", txid) for txid in kept
        }
        end = side.state.onchain
        assert end is not None
        assert (end.kind, end.txid) == (SpendKind.MUTUAL, versions[second].txid)
    court.mine(FORGET_DEPTH)
    assert phases(pair) == {Phase.CLOSED}


def test_force__after_a_close_that_no_miner_takes() -> None:
    pair = closed()
    pair.alice.step(events.CloseUnilaterally("--force"))
    assert pair.alice.state.phase is Phase.FAILED
    assert [k for k, _ in pair.alice.broadcasts][-1] == "commitment"
    promised = {
        a.kind for a in resume(pair.alice.state).actions if isinstance(a, actions.Broadcast)
    }
    assert "mutual close" not in promised
