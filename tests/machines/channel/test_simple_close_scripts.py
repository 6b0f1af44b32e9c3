"""`option_simple_close`: where it may pay to, and when a peer may change its mind about that."""

from dataclasses import replace

import pytest

from tests.support.closes import agreed, closes, complete, cost_of, hear, offering, said
from tests.support.pair import CLOSE_SCRIPT, LEGACY, ready_pair
from wallet.base.bitcoin.script import p2pkh, p2tr, p2wpkh, p2wsh
from wallet.base.errors import Refused, Severity
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.wire.channel import ClosingComplete, Shutdown
from wallet.machines.channel import events
from wallet.machines.channel.state import Phase

OTHER = p2wpkh(b"\2" * 33)
DATA = b"\x6a\x06foobar"
WITHOUT_ANYSEGWIT = Features(OUR_INIT.bits - {Feature.OPTION_SHUTDOWN_ANYSEGWIT + 1})


def test_the_peer_changes_its_script__ours_pays_there_from_now_on() -> None:
    """BOLT 2: MUST use `closer_scriptpubkey` for its own future `closing_complete` messages."""
    pair = agreed()
    alice = pair.alice
    hear(alice, complete(pair.bob, 2_000, OTHER))
    assert closes(alice)[-1].outputs[0].script_pubkey == OTHER
    kept = alice.closes
    alice.sent.clear()
    alice.step(events.CloseMutually(None, (FeeratePerKw(5_000), FeeratePerKw(5_000))))
    [asked] = said(alice)
    assert isinstance(asked, ClosingComplete)
    assert asked.closee_scriptpubkey == OTHER
    # What was signed for the old script can still be built.
    assert alice.closes == kept


@pytest.mark.parametrize("script", [OTHER, p2wsh(b"\x51"), p2tr(bytes(32)), DATA])
def test_shutdown__to_another_script_after_a_reconnect(script: bytes) -> None:
    """BOLT 2: both restart with their latest scripts in `shutdown`."""
    pair = agreed()
    kept = pair.alice.closes
    pair.cut()
    pair.bob.channel = replace(pair.bob.state, our_shutdown=script)
    pair.reconnect()
    pair.settle()
    alice = pair.alice
    assert alice.state.their_shutdown == script
    assert alice.state.phase is Phase.MUTUALLY_CLOSED
    # Whichever version of Bob's was newest is replaced by one to his new script, if he makes one.
    assert kept & alice.closes
    wishes = hear(alice, Shutdown(alice.state.id, CLOSE_SCRIPT["bob"]))
    assert cost_of(wishes) is Severity.DISCONNECT
    assert "another script than before" in str(wishes)


def test_shutdown__an_offer_waits_for_their_latest_script() -> None:
    """BOLT 2: `closee_scriptpubkey` is the last that the peer has said, on this connection too."""
    pair = agreed()
    alice = pair.alice
    pair.cut()
    alice.step(events.CloseMutually(None, (FeeratePerKw(5_000), FeeratePerKw(5_000))))
    pair.bob.channel = replace(pair.bob.state, our_shutdown=OTHER)
    pair.reconnect()
    pair.deliver(pair.bob)  # channel_reestablish
    assert isinstance(said(alice)[-1], Shutdown)
    pair.settle()
    assert alice.closes == pair.bob.closes
    ours = alice.state.simple_close.ours
    assert ours is not None
    assert (ours.closee_script, ours.fee) == (OTHER, alice.state.simple_close.highest_fee)
    assert {o.script_pubkey for o in closes(alice)[-1].outputs} == {OTHER, CLOSE_SCRIPT["alice"]}


def test_shutdown__a_legacy_close_that_is_signed_keeps_its_scripts() -> None:
    """It is built from `shutdown`: with another script it could not be broadcast any more."""
    pair = ready_pair(features=LEGACY)
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    before = pair.alice.closes
    pair.cut()
    for side in (pair.alice, pair.bob):
        side.step(events.PeerConnected(OUR_INIT.to_bytes()))
    pair.deliver(pair.bob)  # channel_reestablish
    wishes = hear(pair.alice, Shutdown(pair.alice.state.id, OTHER))
    assert cost_of(wishes) is Severity.DISCONNECT
    assert before == pair.alice.closes
    pair.settle()
    assert before < pair.alice.closes
    wishes = hear(pair.alice, complete(pair.bob, 5_000, OTHER))
    assert cost_of(wishes) is Severity.DISCONNECT
    assert before < pair.alice.closes


def test_upfront__binds_the_closer_too() -> None:
    """BOLT 2 option_upfront_shutdown_script: MUST fail the connection."""
    pair = offering()
    state = pair.alice.state
    theirs = replace(state.terms.theirs, upfront_shutdown_script=CLOSE_SCRIPT["bob"])
    pair.alice.channel = replace(state, terms=replace(state.terms, theirs=theirs))
    wishes = hear(pair.alice, complete(pair.bob, 1_000, OTHER))
    assert cost_of(wishes) is Severity.DISCONNECT
    assert "than given at the open" in str(wishes)
    hear(pair.alice, complete(pair.bob, 1_000))
    assert len(closes(pair.alice)) == 1


@pytest.mark.parametrize(
    ("script", "good"),
    [
        (b"\x6a\x05" + bytes(5), False),
        (b"\x6a\x06" + bytes(6), True),
        (b"\x6a\x4b" + bytes(75), True),
        (b"\x6a\x4c\x4b" + bytes(75), False),
        (b"\x6a\x4c\x4c" + bytes(76), True),
        (b"\x6a\x4c\x50" + bytes(80), True),
        (b"\x6a\x4c\x51" + bytes(81), False),
        (b"\x6a\x06" + bytes(7), False),
        (b"\x6a\x06" + bytes(5), False),
        (b"\x6a", False),
        (b"\x6a\x4c", False),
        (p2pkh(bytes(20)), False),
        (b"", False),
        (b"\x00\x15" + bytes(21), False),
        (p2tr(bytes(32)), True),
    ],
)
def test_shutdown__the_forms_that_bolt_2_allows(script: bytes, good: bool) -> None:
    pair = ready_pair()
    wishes = hear(pair.alice, Shutdown(pair.alice.state.id, script))
    assert (cost_of(wishes) is None) is good
    assert (pair.alice.state.their_shutdown == script) is good
    if good:
        pair.alice.sent.clear()
        hear(pair.alice, complete(pair.bob, 1_000, script, CLOSE_SCRIPT["alice"]))
        assert len(closes(pair.alice)) == 1


def test_shutdown__segwit_versions_above_0_need_their_own_feature() -> None:
    pair = ready_pair(features=WITHOUT_ANYSEGWIT)
    wishes = hear(pair.alice, Shutdown(pair.alice.state.id, p2tr(bytes(32))))
    assert cost_of(wishes) is Severity.WARN


def test_ours__is_never_unspendable() -> None:
    """An address is what a person closes to."""
    pair = ready_pair()
    with pytest.raises(Refused, match="segwit address only"):
        pair.bob.step(events.CloseMutually(DATA, None))
