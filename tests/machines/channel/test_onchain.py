"""The end of a channel on chain: who spent it, what of it is ours, what a reorganisation undoes.

Every sweep is judged by Bitcoin Core's engine.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support import kernel_engine
from tests.support.channel_kernel import sign
from tests.support.pair import (
    CLOSE_SCRIPT,
    FUNDING,
    LEGACY,
    Pair,
    Side,
    context,
    offer,
    preimage_of,
    ready_pair,
)
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import Txid
from wallet.base.wire.channel import UpdateFee
from wallet.base.wire.setup import Error
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import Claim, ClaimKind, OnChain, SpendKind
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.channel.step import step
from wallet.machines.channel.unilateral import broadcast_commitment
from wallet.node.persist import durable

SPENT_AT = 120
TO_SELF_DELAY = 6
RIVAL = Txid(bytes([9]) * 32)


def commitment_of(side: Side) -> Transaction:
    """What this side could broadcast now."""
    (broadcast,) = broadcast_commitment(side.state)
    assert isinstance(broadcast, actions.Broadcast)
    return sign(side.signer, broadcast.transaction)


def phase(side: Side) -> Phase:
    """How far the channel has come."""
    return side.state.phase


def tip(side: Side, height: int) -> list[tuple[str, Transaction]]:
    """A block arrives; what is broadcast at it."""
    before = len(side.broadcasts)
    side.height = height
    side.step(events.NewTip(CLOSE_SCRIPT[side.name]))
    return side.broadcasts[before:]


def ended(side: Side) -> OnChain:
    """The end, which must be known."""
    assert side.state.phase in (Phase.SPENT, Phase.CLOSED)
    assert side.state.onchain is not None
    return side.state.onchain


def judged(sweep: Transaction, spent: Transaction) -> Transaction:
    """The engine finds the sweep valid; its fee is paid out of what it takes."""
    (txin,) = sweep.inputs
    assert txin.outpoint.txid == spent.txid
    output = spent.outputs[txin.outpoint.index]
    kernel_engine.verify(sweep, [output], kind="claim")
    (paid,) = sweep.outputs
    fee = output.amount - paid.amount
    assert context().feerate.fee(sweep.weight) <= fee <= context().feerate.fee(sweep.weight + 8)
    return sweep


def closed_by_alice() -> tuple[Pair, Transaction]:
    """Alice's commitment is in a block that both have seen."""
    pair = ready_pair()
    pair.alice.step(events.CloseUnilaterally("test"))
    ((kind, tx),) = [b for b in pair.alice.broadcasts if b[0] != "funding"]
    assert kind == "commitment"
    for side in (pair.alice, pair.bob):
        side.height = SPENT_AT
        side.step(events.FundingSpent(tx, SPENT_AT))
    return pair, tx


# --- our own commitment ---------------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["user", "protocol", "remote"])
def test_a_failed_channel_offers_its_commitment_with_every_block(cause: str) -> None:
    pair = ready_pair()
    expected = commitment_of(pair.alice)
    match cause:
        case "user":
            pair.alice.step(events.CloseUnilaterally("I want to"))
        case "protocol":
            fault = UpdateFee(pair.alice.state.id, FeeratePerKw(1_000))
            pair.alice.step(events.MessageReceived(fault))
        case _:
            pair.alice.step(events.MessageReceived(Error(pair.alice.state.id, b"bye")))
    assert pair.alice.state.phase is Phase.FAILED
    assert pair.alice.state.changes[-1].cause == cause
    assert pair.alice.broadcasts[-1] == ("commitment", expected)
    spent = TxOut(FUNDING, pair.funding_tx.outputs[0].script_pubkey)
    kernel_engine.verify(expected, [spent], kind="commitment")
    assert tip(pair.alice, 115) == [("commitment", expected)]
    assert tip(pair.alice, 116) == [("commitment", expected)]


def test_our_commitment__our_balance_waits_for_the_delay() -> None:
    pair, tx = closed_by_alice()
    end = ended(pair.alice)
    assert (end.kind, end.txid, end.height, end.commitment_number) == (
        SpendKind.OURS,
        tx.txid,
        SPENT_AT,
        0,
    )
    (claim,) = end.claims
    # 600,000 sat less 1,124 of fee and 660 of anchors.
    assert claim == Claim(
        claim.outpoint, Satoshi(598_216), ClaimKind.TO_LOCAL, SPENT_AT + TO_SELF_DELAY
    )
    assert actions.Watch(claim.outpoint) in pair.alice.acts
    for height in range(SPENT_AT, SPENT_AT + TO_SELF_DELAY - 1):
        assert tip(pair.alice, height) == []
    ((kind, sweep),) = tip(pair.alice, SPENT_AT + TO_SELF_DELAY - 1)
    assert kind == "to_local"
    judged(sweep, tx)
    assert sweep.inputs[0].sequence == TO_SELF_DELAY
    assert sweep.outputs[0].script_pubkey == CLOSE_SCRIPT["alice"]


def test_our_commitment__the_same_sweep_until_it_is_mined() -> None:
    pair, _ = closed_by_alice()
    first = tip(pair.alice, 130)
    assert len(first) == 1
    assert tip(pair.alice, 131) == first
    (claim,) = ended(pair.alice).claims
    point = claim.outpoint
    sweep = first[0][1]
    pair.alice.height = 132
    pair.alice.step(events.ClaimSpent(point.txid, point.index, sweep, 132))
    (claim,) = ended(pair.alice).claims
    assert (claim.resolved_by, claim.resolved_at) == (sweep.txid, 132)
    assert tip(pair.alice, 133) == []
    assert tip(pair.alice, 132 + FORGET_DEPTH - 1) == []
    assert phase(pair.alice) is Phase.SPENT
    assert tip(pair.alice, 132 + FORGET_DEPTH) == []
    assert phase(pair.alice) is Phase.CLOSED


# --- the peer's commitment ------------------------------------------------------------------------


def test_their_commitment__our_balance_is_ours_after_one_block() -> None:
    pair, tx = closed_by_alice()
    end = ended(pair.bob)
    assert (end.kind, end.commitment_number) == (SpendKind.THEIRS, 0)
    (claim,) = end.claims
    assert claim == Claim(claim.outpoint, Satoshi(400_000), ClaimKind.TO_REMOTE, SPENT_AT + 1)
    ((kind, sweep),) = tip(pair.bob, SPENT_AT)
    assert kind == "to_remote"
    judged(sweep, tx)
    assert sweep.inputs[0].sequence == 1
    assert not [b for b in pair.bob.broadcasts if b[0] == "commitment"]


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_every_commitment_is_known_at_every_moment_of_two_payments(name: str) -> None:
    """Whoever broadcasts whichever commitment: both say what it is and find what is theirs."""
    pair = ready_pair()
    owner = pair.alice if name == "alice" else pair.bob
    seen: dict[int, Transaction] = {}
    kinds = set()
    for _ in _two_payments(pair):
        seen[owner.state.our_number] = commitment_of(owner)
        other = pair.other(owner).state
        for number, tx in seen.items():
            mine = step(owner.state, events.FundingSpent(tx, SPENT_AT), context()).state.onchain
            theirs = step(other, events.FundingSpent(tx, SPENT_AT), context()).state.onchain
            assert mine is not None
            assert theirs is not None
            assert theirs.commitment_number == mine.commitment_number == number
            if number == owner.state.our_number:
                assert mine.kind is SpendKind.OURS
            assert theirs.kind is _expected(other, number)
            kinds.add(theirs.kind)
            (claim,) = [c for c in theirs.claims if c.htlc is None]
            output = tx.outputs[claim.outpoint.index]
            assert (claim.kind, claim.amount) == ("to_remote", output.amount)
    assert kinds == {SpendKind.THEIRS, SpendKind.THEIR_NEXT, SpendKind.REVOKED}
    assert len(seen) > 4


def _two_payments(pair: Pair) -> Iterator[None]:
    """Pauses whenever a message has arrived."""
    pair.alice.step(offer(1))
    pair.bob.step(offer(2))
    yield from _step_by_step(pair)
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    yield from _step_by_step(pair)
    pair.alice.step(events.FailHtlc(0, b"no"), events.ChangeFeerate(FeeratePerKw(1_500)))
    yield from _step_by_step(pair)


def _step_by_step(pair: Pair) -> Iterator[None]:
    yield
    while pair.deliver(pair.alice) or pair.deliver(pair.bob):
        yield


def _expected(watching: Channel, number: int) -> SpendKind:
    unrevoked = watching.their_number - int(watching.awaiting_revocation)
    if number < unrevoked:
        return SpendKind.REVOKED
    return SpendKind.THEIRS if number == unrevoked else SpendKind.THEIR_NEXT


def test_a_commitment_from_a_future_that_we_do_not_know() -> None:
    """After a restore of old data: the balance that it pays us is still found, by its script."""
    pair = ready_pair()
    old = pair.bob.state
    pair.alice.step(offer(1, MilliSatoshi(100_000_000)))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    tx = commitment_of(pair.alice)
    pair.bob.channel = resume(old).state
    pair.bob.height = SPENT_AT
    pair.bob.step(events.FundingSpent(tx, SPENT_AT))
    end = ended(pair.bob)
    assert (end.kind, end.commitment_number) == (SpendKind.UNKNOWN, 2)
    assert [c.amount for c in end.claims] == [Satoshi(500_000)]
    ((_, sweep),) = tip(pair.bob, SPENT_AT)
    judged(sweep, tx)


def test_a_sweep_of_a_revoked_commitment_takes_our_balance() -> None:
    pair = ready_pair()
    tx = commitment_of(pair.alice)
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.height = SPENT_AT
    pair.bob.step(events.FundingSpent(tx, SPENT_AT))
    assert ended(pair.bob).kind is SpendKind.REVOKED
    ((kind, sweep),) = tip(pair.bob, SPENT_AT)
    assert kind == "to_remote"
    judged(sweep, tx)


# --- a mutual close -------------------------------------------------------------------------------


def test_a_mutual_close_leaves_nothing_to_claim() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    closes = {tx.txid: tx for kind, tx in pair.alice.broadcasts if kind == "mutual close"}
    ((_, tx),) = closes.items()
    spent = TxOut(FUNDING, pair.funding_tx.outputs[0].script_pubkey)
    kernel_engine.verify(tx, [spent], kind="close")
    for side in (pair.alice, pair.bob):
        assert tip(side, SPENT_AT - 1) == [("mutual close", tx)]
        side.height = SPENT_AT
        side.step(events.FundingSpent(tx, SPENT_AT))
        end = ended(side)
        assert end == OnChain(SpendKind.MUTUAL, tx.txid, SPENT_AT, None)
        assert tip(side, SPENT_AT + FORGET_DEPTH - 1) == []
        assert phase(side) is Phase.SPENT
        tip(side, SPENT_AT + FORGET_DEPTH)
        assert phase(side) is Phase.CLOSED
        assert resume(side.state).actions == ()


# --- what is not worth taking ---------------------------------------------------------------------


def _with_a_crumb() -> tuple[Pair, Transaction]:
    """Bob has 400 sat: above dust, below what a transaction of his own would cost."""
    pair = ready_pair(MilliSatoshi(400_000))
    pair.alice.step(events.CloseUnilaterally("test"))
    tx = pair.alice.broadcasts[-1][1]
    pair.bob.height = SPENT_AT
    pair.bob.step(events.FundingSpent(tx, SPENT_AT))
    return pair, tx


def test_a_crumb_is_left_and_the_channel_forgotten() -> None:
    pair, _ = _with_a_crumb()
    (claim,) = ended(pair.bob).claims
    assert claim.amount == Satoshi(400)
    assert tip(pair.bob, SPENT_AT + FORGET_DEPTH - 1) == []
    assert phase(pair.bob) is Phase.SPENT
    assert tip(pair.bob, SPENT_AT + FORGET_DEPTH) == []
    assert phase(pair.bob) is Phase.CLOSED


def test_a_crumb_is_taken_when_fees_fall() -> None:
    pair, _ = _with_a_crumb()
    cheap = replace(context(SPENT_AT + 5), feerate=FeeratePerKw(100))
    after = step(pair.bob.state, events.NewTip(CLOSE_SCRIPT["bob"]), cheap)
    (broadcast,) = after.actions
    assert isinstance(broadcast, actions.Broadcast)
    assert broadcast.kind == "to_remote"


def test_a_side_without_a_balance_has_nothing_to_claim() -> None:
    pair = ready_pair(MilliSatoshi(0))
    pair.bob.step(events.CloseUnilaterally("test"))
    tx = pair.bob.broadcasts[-1][1]
    pair.bob.height = SPENT_AT
    pair.bob.step(events.FundingSpent(tx, SPENT_AT))
    assert ended(pair.bob) == OnChain(SpendKind.OURS, tx.txid, SPENT_AT, 0)
    tip(pair.bob, SPENT_AT + FORGET_DEPTH)
    assert phase(pair.bob) is Phase.CLOSED


# --- reorganisations ------------------------------------------------------------------------------


def test_reorg__a_commitment_that_left_the_chain_is_offered_again() -> None:
    pair, tx = closed_by_alice()
    for side in (pair.alice, pair.bob):
        side.step(events.FundingUnspent())
        assert side.state.phase is Phase.FAILED
        assert side.state.onchain is None
    assert tip(pair.alice, SPENT_AT - 1) == [("commitment", tx)]
    # Bob's own: whichever is mined, both can say what it is.
    ((kind, bobs),) = tip(pair.bob, SPENT_AT - 1)
    assert kind == "commitment"
    for side, spend in ((pair.alice, SpendKind.THEIRS), (pair.bob, SpendKind.OURS)):
        side.step(events.FundingSpent(bobs, SPENT_AT))
        assert ended(side).kind is spend


def test_reorg__a_mutual_close_that_left_the_chain_is_offered_again() -> None:
    pair = ready_pair(features=LEGACY)
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    tx = pair.alice.broadcasts[-1][1]
    pair.alice.step(events.FundingSpent(tx, SPENT_AT))
    pair.alice.step(events.FundingUnspent())
    assert pair.alice.state.phase is Phase.MUTUALLY_CLOSED
    assert tip(pair.alice, SPENT_AT) == [("mutual close", tx)]


def test_reorg__a_sweep_that_left_the_chain_is_offered_again() -> None:
    pair, _ = closed_by_alice()
    offered = tip(pair.alice, 130)
    (claim,) = ended(pair.alice).claims
    point = claim.outpoint
    pair.alice.step(events.ClaimSpent(point.txid, point.index, offered[0][1], 131))
    assert tip(pair.alice, 131) == []
    pair.alice.step(events.ClaimUnspent(point.txid, point.index))
    assert ended(pair.alice).claims == (claim,)
    assert tip(pair.alice, 131) == offered


def test_reorg__a_close_at_another_height_matures_later() -> None:
    pair, tx = closed_by_alice()
    tip(pair.alice, 130)
    pair.alice.step(events.FundingUnspent())
    pair.alice.height = 140
    pair.alice.step(events.FundingSpent(tx, 140))
    (claim,) = ended(pair.alice).claims
    assert (claim.mature_at, claim.sweep) == (140 + TO_SELF_DELAY, None)
    assert tip(pair.alice, 140 + TO_SELF_DELAY - 2) == []
    assert len(tip(pair.alice, 140 + TO_SELF_DELAY - 1)) == 1


def test_a_spend_of_something_else_changes_nothing() -> None:
    pair, other = closed_by_alice()
    before = pair.alice.state
    pair.alice.step(events.ClaimSpent(RIVAL, 0, other, 121), events.ClaimUnspent(RIVAL, 0))
    assert pair.alice.state == before


# --- after a restart ------------------------------------------------------------------------------


def reloaded(side: Side) -> tuple[Channel, list[actions.Action]]:
    """What a restart finds and promises; a second one finds and promises the same."""
    stored: Channel = from_json(Channel, to_json(durable(side.state)))
    once = resume(stored)
    assert resume(once.state) == once
    return once.state, list(once.actions)


def test_resume__claims_are_watched_and_swept_by_the_same_transactions() -> None:
    pair, _ = closed_by_alice()
    for side in (pair.alice, pair.bob):
        offered = tip(side, 130)
        (claim,) = ended(side).claims
        state, promised = reloaded(side)
        assert state.onchain == ended(side)
        assert actions.Watch(side.state.funding.outpoint) in promised
        assert actions.Watch(claim.outpoint) in promised
        again = [
            (a.kind, sign(side.signer, a.transaction))
            for a in promised
            if isinstance(a, actions.Broadcast)
        ]
        assert again == offered


def test_resume__a_failed_channel_promises_its_commitment() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.deliver(pair.alice)
    pair.alice.step(events.CloseUnilaterally("test"))
    ((_, tx),) = [b for b in pair.alice.broadcasts if b[0] == "commitment"]
    _, promised = reloaded(pair.alice)
    (again,) = [a for a in promised if isinstance(a, actions.Broadcast)]
    assert sign(pair.alice.signer, again.transaction) == tx


def test_resume__what_we_would_broadcast_survives_every_moment() -> None:
    """What the peer has signed and what was forgotten with the link build the same commitment."""
    pair = ready_pair()
    moments = 0
    for _ in _two_payments(pair):
        moments += 1
        for side in (pair.alice, pair.bob):
            tx = commitment_of(side)
            failed = step(side.state, events.CloseUnilaterally("test"), context()).state
            stored: Channel = from_json(Channel, to_json(durable(failed)))
            (again,) = [a for a in resume(stored).actions if isinstance(a, actions.Broadcast)]
            assert sign(side.signer, again.transaction) == tx
    assert moments > 20


# --- asking twice ---------------------------------------------------------------------------------


def test_close_unilaterally__once() -> None:
    pair, _ = closed_by_alice()
    for side in (pair.alice, pair.bob):
        with pytest.raises(Refused, match="closing already"):
            side.step(events.CloseUnilaterally("again"))
        with pytest.raises(Refused, match="cannot be closed cooperatively now"):
            side.step(events.CloseMutually(None, None))
