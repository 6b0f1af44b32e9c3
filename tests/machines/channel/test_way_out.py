"""A cooperative close that no mempool takes must not hold the money."""

import pytest

from tests.support.channel_kernel import sign
from tests.support.pair import LEGACY, Pair, context, offer, ready_pair
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import Refused
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.htlc import Failed
from wallet.machines.channel.resume import promised
from wallet.machines.channel.state import Phase, is_unsent
from wallet.machines.channel.step import step


def _phase(pair: Pair) -> Phase:
    return pair.alice.state.phase


def test_our_commitment_may_go_out_after_an_agreed_close() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    assert _phase(pair) is Phase.MUTUALLY_CLOSED
    (close,) = {tx for kind, tx in pair.alice.broadcasts if kind == "mutual close"}
    pair.alice.step(events.CloseUnilaterally("it does not confirm"))
    assert _phase(pair) is Phase.FAILED
    assert pair.alice.broadcasts[-1][0] == "commitment"
    assert [a.kind for a in promised(pair.alice.state) if isinstance(a, actions.Broadcast)] == [
        "commitment"
    ]
    # Whichever of the two a miner takes, it is recognised.
    pair.alice.step(events.FundingSpent(close, 120))
    end = pair.alice.state.onchain
    assert end is not None
    assert end.kind is SpendKind.MUTUAL


def test_a_failed_channel_is_not_closed_twice() -> None:
    pair = ready_pair()
    pair.alice.step(events.CloseUnilaterally("once"))
    with pytest.raises(Refused, match="closing already"):
        pair.alice.step(events.CloseUnilaterally("twice"))


def test_the_accepter_promises_nothing_of_a_channel_that_was_never_funded() -> None:
    pair = ready_pair()
    pair.bob.step(events.FundingUnconfirmed())
    pair.bob.step(events.CloseUnilaterally("no funding"))
    assert promised(pair.bob.state) == []


def test_what_nobody_has_signed_for_goes_back_when_the_peer_closes() -> None:
    """Else its payer, or whoever we have it from, would wait for ever."""
    pair = ready_pair()
    [(_, theirs)] = _ended_by(pair)
    pair.alice.step(offer(1))
    # The first is unrevoked, so the second is in no commitment.
    pair.alice.step(offer(2))
    [second] = [h for h in pair.alice.state.htlcs.values() if is_unsent(h)]
    said = pair.alice.step(events.FundingSpent(theirs, 120))
    assert [a for a in said if isinstance(a, actions.HtlcGone)] == [
        actions.HtlcGone(second, Failed(b""))
    ]
    assert second.key not in pair.alice.state.htlcs


def _ended_by(pair: Pair) -> list[tuple[str, Transaction]]:
    """What Bob would broadcast now."""
    bob = step(pair.bob.state, events.CloseUnilaterally("bob"), context()).actions
    return [
        (a.kind, sign(pair.bob.signer, a.transaction))
        for a in bob
        if isinstance(a, actions.Broadcast)
    ]
