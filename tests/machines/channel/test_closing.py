"""Legacy close against a peer that does not follow our script: BOLT 2 "Channel Close"."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support import kernel_engine
from tests.support.pair import (
    CLOSE_SCRIPT,
    LEGACY,
    Pair,
    Side,
    context,
    offer,
    open_pair,
    preimage_of,
    ready_pair,
)
from wallet.base.bitcoin.script import p2pkh, p2tr, p2wpkh
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.closing import ClosingTerms, build_closing
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.features import Feature, Features
from wallet.base.values.ids import Signature
from wallet.base.wire.channel import ClosingSigned, FeeRange, Shutdown
from wallet.base.wire.message import Message, decode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, events
from wallet.machines.channel.close_legacy import our_closing
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.resume import resume
from wallet.machines.channel.shutdown import CLOSING_PATIENCE
from wallet.machines.channel.state import LIVING, Channel, Link, Phase
from wallet.machines.channel.step import step
from wallet.machines.signing import FundingKey, SignDigest

OTHER = p2wpkh(b"\2" * 33)
WITHOUT_ANYSEGWIT = Features(LEGACY.bits - {Feature.OPTION_SHUTDOWN_ANYSEGWIT + 1})


def said(side: Side) -> list[Message]:
    """What is on the wire from this side."""
    return [m for m in map(decode, side.sent) if isinstance(m, Message)]


def phase(side: Side) -> Phase:
    """How far it has come."""
    return side.state.phase


def negotiating() -> Pair:
    """Both have said shutdown and Alice, who pays, has made an offer that Bob has not read."""
    pair = ready_pair(features=LEGACY)
    pair.bob.step(events.CloseMutually(None, None))
    pair.deliver(pair.bob)
    pair.deliver(pair.alice)
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.NEGOTIATING}
    return pair


def closing_signed(
    side: Side, fee: int, fee_range: tuple[int, int] | None = None, *, own_output: bool = True
) -> ClosingSigned:
    """A `closing_signed` of that side with a valid signature, whatever its machine thinks."""
    channel = side.state
    closing = our_closing(channel, Satoshi(fee))
    if not own_output:
        ours, theirs = channel.our_shutdown, channel.their_shutdown
        assert ours is not None and theirs is not None and not channel.terms.we_opened
        funding = channel.funding
        terms = ClosingTerms(
            funding.outpoint,
            funding.amount,
            funding.their_pubkey,
            funding.our_pubkey,
            funding.to_them,
            funding.to_us,
            theirs,
            ours,
        )
        without = build_closing(terms, Satoshi(fee), Satoshi(354), with_accepter=False)
        assert without is not None
        closing = without
    key = FundingKey(channel.terms.keys_id, 0)
    (signature,) = side.signer.answer([SignDigest(key, closing.digest)])
    assert isinstance(signature, bytes)
    limits = FeeRange(Satoshi(fee_range[0]), Satoshi(fee_range[1])) if fee_range else None
    return ClosingSigned(channel.id, Satoshi(fee), Signature(signature), limits)


def hear(side: Side, message: Message) -> list[actions.Action]:
    """A message arrives out of the blue."""
    return side.step(events.MessageReceived(message))


def fees_said(side: Side) -> list[int]:
    """Fees of the `closing_signed` on the wire."""
    return [m.fee_satoshis.sat for m in said(side) if isinstance(m, ClosingSigned)]


def closes(side: Side) -> list[Transaction]:
    """What this side gave to the chain as the agreed close."""
    return [tx for kind, tx in side.broadcasts if kind == "mutual close"]


def judge(side: Side, tx: Transaction) -> None:
    """Bitcoin Core's engine finds it valid."""
    funding = side.state.funding
    spent = TxOut(funding.amount, funding_output(funding.our_pubkey, funding.their_pubkey))
    kernel_engine.verify(tx, [spent], kind="close")


# --- agreeing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_close__both_broadcast_one_transaction(who: str) -> None:
    pair = ready_pair(features=LEGACY)
    (pair.alice if who == "alice" else pair.bob).step(events.CloseMutually(None, None))
    pair.settle()
    (one,), (other,) = set(closes(pair.alice)), set(closes(pair.bob))
    assert one.txid == other.txid
    judge(pair.alice, one)
    judge(pair.bob, other)
    paid = {output.script_pubkey: output.amount.sat for output in one.outputs}
    fee = pair.alice.state.signed_close
    assert fee is not None
    assert paid == {CLOSE_SCRIPT["alice"]: 600_000 - fee.fee.sat, CLOSE_SCRIPT["bob"]: 400_000}


def test_close__before_the_funding_is_mined() -> None:
    """BOLT 2: MAY send a `shutdown` before a `channel_ready`."""
    pair = open_pair(MilliSatoshi(300_000_000), features=LEGACY)
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.MUTUALLY_CLOSED}


@pytest.mark.parametrize("to_bob", [0, 1_000, 353_999, 354_000, 399_999])
def test_close__an_output_below_dust_is_left_out(to_bob: int) -> None:
    pair = ready_pair(MilliSatoshi(to_bob), features=LEGACY)
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    (tx,) = set(closes(pair.bob))
    judge(pair.bob, tx)
    assert len(tx.outputs) == 1 + (to_bob >= 354_000)


def test_close__the_peer_leaves_its_own_output_out() -> None:
    """BOLT 3: a signer may remove its own output; the signature tells."""
    pair = negotiating()
    hear(pair.alice, closing_signed(pair.bob, fees_said(pair.alice)[0], own_output=False))
    (tx,) = closes(pair.alice)
    judge(pair.alice, tx)
    assert [output.script_pubkey for output in tx.outputs] == [CLOSE_SCRIPT["alice"]]


def test_close__agreed_again_after_the_answer_was_lost() -> None:
    """The opener has agreed and broadcast; the other side never read its last word."""
    pair = negotiating()
    alice, bob = pair.alice, pair.bob
    first = fees_said(alice)[0]
    counter = closing_signed(bob, first + 100, (first + 50, first + 200))
    alice.sent.clear()
    hear(alice, counter)
    assert phase(alice) is Phase.MUTUALLY_CLOSED
    pair.cut()
    pair.reconnect()
    pair.settle()
    assert phase(bob) is Phase.MUTUALLY_CLOSED
    assert {tx.txid for tx in (*closes(alice), *closes(bob))} == {closes(alice)[0].txid}


def test_close__agreed_and_signed_it_is_not_what_a_new_connection_begins_with() -> None:
    """Electrum never answers our word about it, and waits for itself: the whole link stands."""
    pair = negotiating()
    pair.settle()
    pair.cut()
    pair.reconnect()
    for side in (pair.alice, pair.bob):
        assert phase(side) is Phase.MUTUALLY_CLOSED
        assert not side.sent


# --- a fee that does not suit -------------------------------------------------------------------


def test_fee__opener_gets_one_inside_its_range() -> None:
    pair = negotiating()
    first = fees_said(pair.alice)[0]
    pair.alice.sent.clear()
    hear(pair.alice, closing_signed(pair.bob, first * 2, (first, first * 3)))
    assert fees_said(pair.alice) == [first * 2]
    assert phase(pair.alice) is Phase.MUTUALLY_CLOSED


def test_fee__opener_gets_one_outside_the_overlap() -> None:
    """BOLT 2: if it is the funder and `fee_satoshis` is not in the overlap: MUST fail."""
    pair = negotiating()
    first = fees_said(pair.alice)[0]
    hear(pair.alice, closing_signed(pair.bob, first * 11, (first, first * 12)))
    assert phase(pair.alice) is Phase.FAILED


def test_fee__no_overlap() -> None:
    pair = negotiating()
    first = fees_said(pair.alice)[0]
    before = pair.alice.state
    wishes = hear(pair.alice, closing_signed(pair.bob, first * 50, (first * 40, first * 60)))
    assert pair.alice.state == before
    assert [type(a.message) for a in wishes if isinstance(a, actions.Send)] == [PeerWarning]


def test_fee__accepter_is_asked_twice() -> None:
    """BOLT 2: not the funder, has sent one, and `fee_satoshis` is not the same: MUST fail."""
    pair = negotiating()
    low = fees_said(pair.alice)[0]
    bob = pair.bob
    bob.channel = replace(bob.state, close_feerates=(FeeratePerKw(2_000), FeeratePerKw(5_000)))
    hear(bob, closing_signed(pair.alice, low, (200, low * 10)))
    assert fees_said(bob)[0] > low
    assert phase(bob) is Phase.NEGOTIATING
    hear(bob, closing_signed(pair.alice, low, (200, low * 10)))
    assert phase(bob) is Phase.FAILED


@pytest.mark.parametrize("asked", [2_000, 20_000, 300_000, 599_000])
def test_fee__without_a_range_opener_never_pays_more_than_its_limit(asked: int) -> None:
    """Halfway to whatever a peer asks for would burn half of what we have."""
    pair = negotiating()
    first = fees_said(pair.alice)[0]
    greatest = first * 10
    for _ in range(40):
        pair.alice.sent.clear()
        hear(pair.alice, closing_signed(pair.bob, asked))
        assert all(fee <= greatest for fee in fees_said(pair.alice))
        if phase(pair.alice) is not Phase.NEGOTIATING:
            break
    expected = Phase.MUTUALLY_CLOSED if asked <= greatest else Phase.FAILED
    assert phase(pair.alice) is expected


def test_fee__without_a_range_two_that_move_meet() -> None:
    pair = negotiating()
    asked = fees_said(pair.alice)[0] * 12
    for _ in range(40):
        pair.alice.sent.clear()
        hear(pair.alice, closing_signed(pair.bob, asked))
        if phase(pair.alice) is not Phase.NEGOTIATING:
            break
        asked = (asked + fees_said(pair.alice)[0]) // 2
    assert phase(pair.alice) is Phase.MUTUALLY_CLOSED


@pytest.mark.parametrize(("per_kw", "factor"), [(253, None), (1_000, None), (20_000, 2)])
def test_fee__ldk_takes_the_most_that_the_opener_offers(per_kw: int, factor: int | None) -> None:
    """LDK's `closing_signed` (lightning/src/ln/channel.rs): "They have to pay, so pick the highest
    fee in the overlapping range." """
    pair = ready_pair(features=LEGACY)
    pair.alice.feerate = FeeratePerKw(per_kw)
    pair.bob.step(events.CloseMutually(None, None))
    pair.deliver(pair.bob)
    pair.deliver(pair.alice)
    (proposal,) = [m for m in said(pair.alice) if isinstance(m, ClosingSigned)]
    fee, offered = proposal.fee_satoshis.sat, proposal.fee_range
    assert offered is not None
    most = offered.max_fee_satoshis.sat
    hear(pair.alice, closing_signed(pair.bob, most, (100, 400_000)))
    assert phase(pair.alice) is Phase.MUTUALLY_CLOSED
    agreed = pair.alice.state.signed_close
    assert agreed is not None and agreed.fee.sat == most
    assert most == (fee + 1_000 if factor is None else fee * factor)


def lnd_compromise(ideal: int, last: int, offered: int) -> int:
    """LND's `calcCompromiseFee` (lnwallet/chancloser), which knows of no fee range."""
    if offered == ideal or not last:
        return ideal
    if abs(offered - last) <= last * 3 // 10:
        return offered
    return last + last // 10 if offered > last else last - last // 10


@pytest.mark.parametrize("times", [0.1, 0.5, 1, 5, 9, 11, 25, 100])
def test_fee__lnd_estimates_another_fee(times: float) -> None:
    """Without an estimate LND takes 25 sat/vB, also on a regtest on which we take 1."""
    pair = negotiating()
    ideal, last = int(fees_said(pair.alice)[0] * times), 0
    for _ in range(100):
        (offered,) = fees_said(pair.alice)
        pair.alice.sent.clear()
        last = lnd_compromise(ideal, last, offered)
        hear(pair.alice, closing_signed(pair.bob, last))
        if last == offered:
            break
    agreed = pair.alice.state.signed_close
    assert agreed is not None and agreed.fee.sat == last
    assert phase(pair.alice) is Phase.MUTUALLY_CLOSED


def test_fee__more_than_the_opener_has() -> None:
    pair = negotiating()
    message = replace(closing_signed(pair.bob, 500), fee_satoshis=Satoshi(1 << 63))
    hear(pair.alice, message)
    assert phase(pair.alice) is Phase.FAILED


def test_closing_signed__bad_signature() -> None:
    pair = negotiating()
    good = closing_signed(pair.bob, fees_said(pair.alice)[0])
    hear(pair.alice, replace(good, fee_satoshis=good.fee_satoshis + Satoshi(1)))
    assert phase(pair.alice) is Phase.FAILED


def test_closing_signed__with_an_htlc_in_flight() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(offer(1))
    pair.settle()
    before = pair.bob.state
    early = ClosingSigned(before.id, Satoshi(500), Signature(bytes(63) + b"\1"), None)
    wishes = hear(pair.bob, early)
    assert pair.bob.state == before
    assert [type(a.message) for a in wishes if isinstance(a, actions.Send)] == [PeerWarning]


# --- shutdown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        b"",
        p2pkh(bytes(20)),
        p2tr(bytes(32)),
        b"\x00\x15" + bytes(21),
        b"\x00\x02ab",
        b"\x6a\x04abcd",
    ],
    ids=["empty", "p2pkh", "taproot", "v0 of 21 bytes", "v0 of 2 bytes", "op_return"],
)
def test_shutdown__a_script_of_no_allowed_form(script: bytes) -> None:
    """BOLT 2: SHOULD send a `warning`. Version 0 has programs of 20 and 32 bytes only: what pays to
    another one is not spendable by anybody, and not relayed."""
    pair = ready_pair(features=WITHOUT_ANYSEGWIT)
    wishes = hear(pair.alice, Shutdown(pair.alice.state.id, script))
    assert pair.alice.state.their_shutdown is None
    assert phase(pair.alice) is Phase.READY
    assert [type(a.message) for a in wishes if isinstance(a, actions.Send)] == [PeerWarning]


@pytest.mark.parametrize("when", ["waiting", "negotiating", "agreed"])
def test_shutdown__to_another_script_than_before(when: str) -> None:
    """BOLT 2: MUST NOT send multiple `shutdown` messages; a repetition says the same. Were it
    taken, the close that both signed could not be built again: a restart would stop at it."""
    pair = ready_pair(features=LEGACY) if when == "waiting" else negotiating()
    if when == "waiting":
        pair.alice.step(offer(1))
        pair.settle()
        pair.bob.step(events.CloseMutually(None, None))
    pair.settle() if when != "negotiating" else None
    before = pair.alice.state
    assert before.their_shutdown == CLOSE_SCRIPT["bob"]
    wishes = hear(pair.alice, Shutdown(before.id, OTHER))
    assert any(isinstance(a, actions.Disconnect) for a in wishes)
    assert pair.alice.state.their_shutdown == before.their_shutdown
    resume(pair.alice.state)


def test_shutdown__a_repetition_is_harmless() -> None:
    pair = negotiating()
    before = pair.alice.state
    hear(pair.alice, Shutdown(before.id, CLOSE_SCRIPT["bob"]))
    assert pair.alice.state == before


def test_shutdown__other_than_upfront() -> None:
    """BOLT 2 option_upfront_shutdown_script: MUST fail the connection."""
    pair = ready_pair(features=LEGACY)
    channel = pair.alice.state
    theirs = replace(channel.terms.theirs, upfront_shutdown_script=OTHER)
    pair.alice.channel = replace(channel, terms=replace(channel.terms, theirs=theirs))
    wishes = hear(pair.alice, Shutdown(channel.id, CLOSE_SCRIPT["bob"]))
    assert any(isinstance(a, actions.Disconnect) for a in wishes)
    assert pair.alice.state.their_shutdown is None
    hear(pair.alice, Shutdown(channel.id, OTHER))
    assert pair.alice.state.their_shutdown == OTHER


def test_shutdown__waits_for_our_own_updates() -> None:
    """BOLT 2: with updates pending on the receiving node's commitment, MUST NOT send it."""
    pair = ready_pair(features=LEGACY)
    pair.alice.step(offer(1))
    pair.alice.step(offer(2))  # Gathers: the first is not acknowledged.
    pair.alice.step(events.CloseMutually(None, None))
    assert Shutdown not in {type(m) for m in said(pair.alice)}
    pair.settle()
    assert phase(pair.alice) is Phase.SHUTTING_DOWN
    assert pair.bob.state.their_shutdown == CLOSE_SCRIPT["alice"]
    with pytest.raises(Refused):
        step(pair.bob.state, offer(3), context())


def test_shutdown__with_an_addition_that_is_not_committed() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(offer(1))
    pair.deliver(pair.alice)
    wishes = hear(pair.bob, Shutdown(pair.bob.state.id, CLOSE_SCRIPT["alice"]))
    assert any(isinstance(a, actions.Disconnect) for a in wishes)
    assert pair.bob.state.their_shutdown is None


# --- a channel that has failed does not come back to life ---------------------------------------


def failed_with_answers_pending() -> Side:
    """Bob fails the channel while he has HTLCs to answer."""
    pair = ready_pair(features=LEGACY)
    for number in range(2):
        pair.alice.step(offer(number))
        pair.settle()
    pair.bob.step(events.FailHtlc(0, b"no"))  # Signed, not acknowledged.
    pair.bob.sent.clear()
    pair.bob.step(events.MessageReceived(Error(pair.bob.state.id, b"bye")))
    return pair.bob


def failed_with_a_close_pending() -> Side:
    """Bob wants to close; the word waits for an HTLC that the failure takes away."""
    pair = ready_pair(features=LEGACY)
    pair.alice.step(offer(0))
    pair.settle()
    pair.bob.step(offer(1))  # Signed, not acknowledged.
    pair.bob.step(offer(2))  # Gathers.
    pair.bob.step(events.CloseMutually(None, None))
    assert not pair.bob.state.shutdown_sent
    pair.bob.sent.clear()
    pair.bob.step(events.MessageReceived(Error(pair.bob.state.id, b"bye")))
    return pair.bob


FAILED = [failed_with_answers_pending, failed_with_a_close_pending]


@pytest.mark.parametrize("scene", FAILED)
def test_failed__says_the_error_and_nothing_else(scene: Callable[[], Side]) -> None:
    """Signing another commitment, or shutting down, after ours was broadcast helps nobody."""
    bob = scene()
    assert phase(bob) is Phase.FAILED
    assert [m.name for m in said(bob)] == ["error"]
    ((kind, tx),) = bob.broadcasts
    assert kind == "commitment"
    assert tx.txid == our_commitment(bob.state, bob.state.funding).commitment.tx.txid


@pytest.mark.parametrize("scene", FAILED)
@pytest.mark.parametrize("reconnected", [False, True])
def test_failed__stays_failed(scene: Callable[[], Side], reconnected: bool) -> None:
    bob = scene()
    if reconnected:
        bob.step(events.PeerDisconnected())
        bob.step(events.PeerConnected())
    bob.sent.clear()
    broadcast = bob.broadcasts[0][1].txid
    numbers = (bob.state.our_number, bob.state.their_number)
    happenings: tuple[events.Event, ...] = (
        events.MessageReceived(Shutdown(bob.state.id, CLOSE_SCRIPT["alice"])),
        events.MessageReceived(ClosingSigned(bob.state.id, Satoshi(1), Signature(bytes(64)), None)),
        events.FailHtlc(0, b"again"),
        events.FailHtlc(1, b"now"),
        events.PeerDisconnected(),
        events.PeerConnected(),
    )
    for event in happenings:
        bob.step(event)
        assert phase(bob) is Phase.FAILED, event
        assert (bob.state.our_number, bob.state.their_number) == numbers, event
        commitment = our_commitment(bob.state, bob.state.funding).commitment
        assert commitment.tx.txid == broadcast, event
    assert {m.name for m in said(bob)} <= {"channel_reestablish", "error"}


def test_failed__a_preimage_is_kept_for_the_chain() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.CloseUnilaterally("test"))
    pair.bob.sent.clear()
    before = our_commitment(pair.bob.state, pair.bob.state.funding).commitment.tx.txid
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    assert not pair.bob.sent
    (htlc,) = pair.bob.state.htlcs.values()
    assert htlc.removal is not None
    assert our_commitment(pair.bob.state, pair.bob.state.funding).commitment.tx.txid == before


def test_agreed__nothing_but_the_close_is_heard() -> None:
    pair = negotiating()
    pair.settle()
    agreed: Channel = pair.alice.state
    assert agreed.phase not in LIVING
    hear(pair.alice, Error(agreed.id, b"I changed my mind"))
    assert pair.alice.state == agreed
    pair.cut()
    pair.alice.step(events.PeerConnected())
    early = ClosingSigned(agreed.id, Satoshi(500), Signature(bytes(64)), None)
    hear(pair.alice, early)
    assert pair.alice.state.signed_close == agreed.signed_close
    assert pair.alice.state.link is Link.OFFLINE


def test_fee__without_a_range_a_peer_that_does_not_move_fails() -> None:
    """BOLT 2: not strictly between the last of both: SHOULD fail the channel."""
    pair = negotiating()
    first = fees_said(pair.alice)[0]
    hear(pair.alice, closing_signed(pair.bob, first * 12))
    assert phase(pair.alice) is Phase.NEGOTIATING
    hear(pair.alice, closing_signed(pair.bob, first * 12))
    assert phase(pair.alice) is Phase.FAILED
    assert "is not between" in (pair.alice.state.error or "")


def test_fee__a_peer_that_is_there_and_does_not_answer_has_ten_minutes() -> None:
    """BOLT 2: MUST fail the channel; a peer that went away may come back."""
    pair = negotiating()
    asked = pair.alice.state
    assert asked.negotiation.our_fee is not None
    for seconds, ends in ((CLOSING_PATIENCE, False), (CLOSING_PATIENCE + 1, True)):
        ctx = context()
        after = step(asked, events.Flush(), replace(ctx, now=ctx.now + seconds))
        assert (after.state.phase is Phase.FAILED) is ends
    pair.alice.step(events.PeerDisconnected())
    away = step(pair.alice.state, events.Flush(), replace(context(), now=context().now + 10_000))
    assert away.state.phase is Phase.NEGOTIATING
