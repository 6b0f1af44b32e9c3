"""`option_simple_close` against a peer that does not follow BOLT 2, or changes its mind."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.closes import (
    agreed,
    closes,
    complete,
    cost_of,
    hear,
    offering,
    said,
    signed,
    terms_of,
)
from tests.support.pair import CLOSE_SCRIPT, LEGACY, Pair, Side, offer, ready_pair
from wallet.base.bitcoin.script import p2pkh, p2wpkh
from wallet.base.channel_tx.simple_closing import (
    ClosingOutputs,
)
from wallet.base.errors import Severity
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import Signature
from wallet.base.wire.channel import ClosingComplete, ClosingSig, ClosingSigned
from wallet.machines.channel import actions, events
from wallet.machines.channel.shutdown import CLOSING_PATIENCE
from wallet.machines.channel.state import Link, Phase

CLOSER, CLOSEE, BOTH = ClosingOutputs.CLOSER, ClosingOutputs.CLOSEE, ClosingOutputs.BOTH
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
OTHER = p2wpkh(b"\2" * 33)
WRONG = Signature(bytes([1]) * 64)
DATA = b"\x6a\x06foobar"


def high_s(signature: Signature) -> Signature:
    """The other signature that the curve accepts for the same digest."""
    s = _ORDER - int.from_bytes(signature[32:], "big")
    return Signature(signature[:32] + s.to_bytes(32, "big"))


# --- closing_complete ---------------------------------------------------------------------------

OFFERS: dict[str, tuple[Severity, str, Callable[[Side], ClosingComplete]]] = {
    "to another script of ours": (
        Severity.DISCONNECT,
        "another script than ours",
        lambda bob: complete(bob, closee_script=OTHER),
    ),
    "to a script of no allowed form": (
        Severity.DISCONNECT,
        "no allowed form",
        lambda bob: complete(bob, closer_script=p2pkh(bytes(20))),
    ),
    "more than it has": (
        Severity.FAIL_CHANNEL,
        "more than the peer has",
        lambda bob: replace(complete(bob), fee_satoshis=Satoshi(400_001)),
    ),
    "without any signature": (
        Severity.FAIL_CHANNEL,
        "closing_complete without",
        lambda bob: replace(complete(bob), closer_and_closee_outputs=None),
    ),
    "without our output": (
        Severity.FAIL_CHANNEL,
        "closing_complete without",
        lambda bob: complete(bob, 1_000, None, None, 0, CLOSER),
    ),
    "a wrong signature": (
        Severity.FAIL_CHANNEL,
        "bad signature in closing_complete",
        lambda bob: replace(complete(bob), closer_and_closee_outputs=WRONG),
    ),
    "a signature for another fee": (
        Severity.FAIL_CHANNEL,
        "bad signature in closing_complete",
        lambda bob: replace(complete(bob), fee_satoshis=Satoshi(999)),
    ),
    "a signature with a high S": (
        Severity.FAIL_CHANNEL,
        "bad signature in closing_complete",
        lambda bob: replace(
            complete(bob),
            closer_and_closee_outputs=high_s(complete(bob).closer_and_closee_outputs or WRONG),
        ),
    ),
}


@pytest.mark.parametrize("name", OFFERS)
def test_closing_complete__rubbish(name: str) -> None:
    expected, words, make = OFFERS[name]
    pair = offering()
    wishes = hear(pair.alice, make(pair.bob))
    assert cost_of(wishes) is expected
    assert words in str(wishes)
    assert not closes(pair.alice)
    assert not any(isinstance(m, ClosingSig) for m in said(pair.alice))
    failed = expected is Severity.FAIL_CHANNEL
    assert pair.alice.state.phase is (Phase.FAILED if failed else Phase.NEGOTIATING)
    assert {kind for kind, _ in pair.alice.broadcasts if kind != "funding"} == (
        {"commitment"} if failed else set()
    )


@pytest.mark.parametrize("name", OFFERS)
def test_closing_complete__rubbish_once_agreed_costs_the_connection(name: str) -> None:
    """A close that both have signed brings the money home already."""
    _, words, make = OFFERS[name]
    pair = agreed()
    before = pair.alice.state
    wishes = hear(pair.alice, make(pair.bob))
    assert cost_of(wishes) is Severity.DISCONNECT
    assert words in str(wishes)
    assert pair.alice.state.simple_close == before.simple_close
    assert pair.alice.state.phase is Phase.MUTUALLY_CLOSED


@pytest.mark.parametrize("only", [(BOTH,), (CLOSEE,), (CLOSEE, BOTH), (CLOSER, BOTH)])
def test_closing_complete__what_a_closer_may_leave_out(only: tuple[ClosingOutputs, ...]) -> None:
    """Bob has less: his own output is his to leave out, and ours is there in any case."""
    pair = offering()
    hear(pair.alice, complete(pair.bob, 1_000, None, None, 0, *only))
    [tx] = closes(pair.alice)
    paid = {o.script_pubkey: o.amount.sat for o in tx.outputs}
    assert paid.pop(CLOSE_SCRIPT["alice"]) == 600_000
    assert paid == ({CLOSE_SCRIPT["bob"]: 399_000} if BOTH in only else {})


@pytest.mark.parametrize("fee", [0, 1, 399_706, 400_000])
def test_closing_complete__any_fee_that_the_peer_can_pay(fee: int) -> None:
    """BOLT 2: it doesn't harm the closee to sign, whether or not it relays."""
    pair = offering()
    wishes = hear(pair.alice, complete(pair.bob, fee))
    assert cost_of(wishes) is None
    [tx] = closes(pair.alice)
    assert {o.script_pubkey: o.amount.sat for o in tx.outputs}[CLOSE_SCRIPT["alice"]] == 600_000


def test_closing_complete__an_unspendable_script_pays_all_to_the_fee() -> None:
    """BOLT 3: 0 if the `scriptpubkey` is `OP_RETURN`."""
    pair = offering()
    hear(pair.alice, complete(pair.bob, 1_000, DATA))
    [tx] = closes(pair.alice)
    assert [(o.amount.sat, o.script_pubkey) for o in tx.outputs] == [
        (0, DATA),
        (600_000, CLOSE_SCRIPT["alice"]),
    ]
    assert actions.CloseSigned(tx.txid, Satoshi(400_000), we_pay=False) in pair.alice.acts


@pytest.mark.parametrize(("fee", "locktime"), [(300_000, 500), (399_999, 0)])
def test_closing_complete__that_no_mempool_takes_does_not_outbid_ours(
    fee: int, locktime: int
) -> None:
    """Signed as asked; ours is raised as if it were not there: it is locked, or leaves dust."""
    pair = agreed()
    alice = pair.alice
    assert alice.height < 500
    hear(alice, complete(pair.bob, fee, None, None, locktime, BOTH))
    theirs = alice.state.simple_close.theirs
    assert theirs is not None
    assert (theirs.fee.sat, theirs.locktime) == (fee, locktime)
    alice.sent.clear()
    alice.step(events.CloseMutually(None, (FeeratePerKw(3_000), FeeratePerKw(3_000))))
    assert [type(m) for m in said(alice)] == [ClosingComplete]


@pytest.mark.parametrize("when", ["before any shutdown", "with an HTLC in flight"])
def test_closing_complete__too_early(when: str) -> None:
    pair = ready_pair()
    if when != "before any shutdown":
        pair.alice.step(offer(1))
        pair.settle()
        pair.bob.step(events.CloseMutually(None, None))
        pair.settle()
    before = pair.alice.state
    bob = pair.bob
    early = complete(bob, 1_000, CLOSE_SCRIPT["bob"], CLOSE_SCRIPT["alice"])
    assert cost_of(hear(pair.alice, early)) is Severity.WARN
    assert pair.alice.state == before


def test_closing_complete__where_it_was_not_negotiated() -> None:
    pair = ready_pair(features=LEGACY)
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    wishes = hear(pair.alice, complete(pair.bob))
    assert cost_of(wishes) is Severity.WARN
    assert "without option_simple_close" in str(wishes)


def test_closing_signed__where_simple_close_was_negotiated() -> None:
    pair = offering()
    wishes = hear(pair.alice, ClosingSigned(pair.alice.state.id, Satoshi(500), WRONG))
    assert cost_of(wishes) is Severity.WARN
    assert pair.alice.state.phase is Phase.NEGOTIATING


# --- closing_sig --------------------------------------------------------------------------------


def answer(pair: Pair) -> ClosingSig:
    """Bob's good answer to Alice's offer."""
    [asked] = [m for m in said(pair.alice) if isinstance(m, ClosingComplete)]
    terms = terms_of(pair.alice, asked)
    return ClosingSig(
        asked.channel_id,
        asked.closer_scriptpubkey,
        asked.closee_scriptpubkey,
        asked.fee_satoshis,
        asked.locktime,
        closer_and_closee_outputs=signed(pair.bob, terms, BOTH),
    )


ANSWERS: dict[str, tuple[Severity, str, Callable[[ClosingSig], ClosingSig]]] = {
    "another script of the closer": (
        Severity.DISCONNECT,
        "for another closing_complete",
        lambda good: replace(good, closer_scriptpubkey=OTHER),
    ),
    "another script of the closee": (
        Severity.DISCONNECT,
        "for another closing_complete",
        lambda good: replace(good, closee_scriptpubkey=OTHER),
    ),
    "another fee": (
        Severity.DISCONNECT,
        "for another closing_complete",
        lambda good: replace(good, fee_satoshis=good.fee_satoshis + Satoshi(1)),
    ),
    "another locktime": (
        Severity.DISCONNECT,
        "for another closing_complete",
        lambda good: replace(good, locktime=1),
    ),
    "no signature": (
        Severity.FAIL_CHANNEL,
        "with 0 signatures",
        lambda good: replace(good, closer_and_closee_outputs=None),
    ),
    "two signatures": (
        Severity.FAIL_CHANNEL,
        "with 2 signatures",
        lambda good: replace(good, closer_output_only=WRONG),
    ),
    "a version that was not offered": (
        Severity.FAIL_CHANNEL,
        "which we did not offer",
        lambda good: replace(
            good,
            closer_and_closee_outputs=None,
            closee_output_only=good.closer_and_closee_outputs,
        ),
    ),
    "the signature of another version": (
        Severity.FAIL_CHANNEL,
        "bad signature in closing_sig",
        lambda good: replace(
            good,
            closer_and_closee_outputs=None,
            closer_output_only=good.closer_and_closee_outputs,
        ),
    ),
    "a wrong signature": (
        Severity.FAIL_CHANNEL,
        "bad signature in closing_sig",
        lambda good: replace(good, closer_and_closee_outputs=WRONG),
    ),
    "a signature with a high S": (
        Severity.FAIL_CHANNEL,
        "bad signature in closing_sig",
        lambda good: replace(
            good, closer_and_closee_outputs=high_s(good.closer_and_closee_outputs or WRONG)
        ),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_closing_sig__rubbish(name: str) -> None:
    expected, words, change = ANSWERS[name]
    pair = offering()
    good = answer(pair)
    wishes = hear(pair.alice, change(good))
    assert cost_of(wishes) is expected
    assert words in str(wishes)
    assert not closes(pair.alice)
    if expected is Severity.DISCONNECT:
        hear(pair.alice, good)
        assert len(closes(pair.alice)) == 1


def test_closing_sig__the_closee_leaves_its_own_output_out() -> None:
    """It may, where it finds it uneconomical: `closer_output_only` was offered as well."""
    pair = offering()
    [asked] = [m for m in said(pair.alice) if isinstance(m, ClosingComplete)]
    alone = signed(pair.bob, terms_of(pair.alice, asked), CLOSER)
    hear(
        pair.alice,
        replace(answer(pair), closer_and_closee_outputs=None, closer_output_only=alone),
    )
    [tx] = closes(pair.alice)
    assert [o.script_pubkey for o in tx.outputs] == [CLOSE_SCRIPT["alice"]]
    assert actions.CloseSigned(tx.txid, asked.fee_satoshis + Satoshi(400_000), True) in (
        pair.alice.acts
    )


def test_closing_sig__of_nothing_that_was_asked() -> None:
    pair = offering()
    good = answer(pair)
    pair.settle()
    before = pair.alice.state
    assert cost_of(hear(pair.alice, good)) is Severity.DISCONNECT
    assert pair.alice.state == before


def test_no_closing_sig__costs_the_connection_and_the_channel_lives() -> None:
    """BOLT 2: SHOULD close the connection if it doesn't receive `closing_sig`."""
    pair = offering()
    alice = pair.alice
    alice.step()
    assert alice.state.link is Link.LIVE
    started = alice.state.negotiation.since
    assert started == alice.world().now
    late = replace(alice.state.negotiation, since=started - CLOSING_PATIENCE - 1)
    alice.channel = replace(alice.state, negotiation=late)
    wishes = alice.step()
    assert cost_of(wishes) is Severity.DISCONNECT
    assert alice.state.phase is Phase.NEGOTIATING
