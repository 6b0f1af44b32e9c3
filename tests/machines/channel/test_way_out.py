"""A cooperative close that no mempool takes must not hold the money."""

import pytest

from tests.support.pair import Pair, ready_pair
from wallet.base.errors import Refused
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.resume import promised
from wallet.machines.channel.state import Phase


def _phase(pair: Pair) -> Phase:
    return pair.alice.state.phase


def test_our_commitment_may_go_out_after_an_agreed_close() -> None:
    pair = ready_pair()
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
