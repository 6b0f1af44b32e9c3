"""A cooperative close that overtakes `update_fee`.

BOLT 2: "all updates are included on both commitments, the final current commitment transactions
will have no HTLCs, and closing fee negotiation begins".  Core Lightning does not wait for the first
half: as opener it names a fee once its change is revoked for, and takes our `commitment_signed`
that includes it for a broken rule.
"""

from dataclasses import replace

import pytest

from tests.support.pair import LEGACY, Pair, Side, offer, ready_pair
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.features import OUR_INIT, Features
from wallet.base.wire.channel import (
    ChannelReestablish,
    ClosingComplete,
    ClosingSigned,
    CommitmentSigned,
    RevokeAndAck,
    Shutdown,
    UpdateFee,
)
from wallet.base.wire.message import Message, decode
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import events
from wallet.machines.channel.state import Phase

DEARER = FeeratePerKw(1_255)


def said(side: Side) -> list[type[Message]]:
    """What is on the wire from this side."""
    return [type(m) for m in map(decode, side.sent) if isinstance(m, Message)]


def hear(side: Side, message: Message) -> None:
    """A message arrives out of the blue."""
    side.step(events.MessageReceived(message))


def overtaken(features: Features = LEGACY) -> Pair:
    """Bob asked for the end; Alice, like Core Lightning, changes the fee and talks of the close.

    Her first word about it is on the wire, and Bob's `commitment_signed` is in no commitment of
    hers.
    """
    pair = ready_pair(features=features)
    alice, bob = pair.alice, pair.bob
    bob.step(events.CloseMutually(None, None))
    bob.sent.clear()
    alice.step(events.ChangeFeerate(DEARER))
    assert said(alice) == [UpdateFee, CommitmentSigned]
    pair.deliver(alice)
    pair.deliver(alice)
    hear(bob, Shutdown(alice.state.id, alice.state.terms.close_to))
    assert said(bob) == [RevokeAndAck, CommitmentSigned]
    pair.deliver(bob)
    bob.sent.clear()
    believed = alice.state
    alice.channel = replace(
        believed,
        fees=believed.fees[-1:],
        phase=Phase.NEGOTIATING,
        our_shutdown=believed.terms.close_to,
        shutdown_sent=True,
        their_shutdown=bob.state.our_shutdown,
        negotiation=replace(believed.negotiation, heard_shutdown=True),
    )
    alice.step()
    return pair


def test_a_peer_that_closes_without_our_commitment_is_answered() -> None:
    pair = overtaken()
    assert said(pair.alice) == [ClosingSigned]
    pair.deliver(pair.alice)
    assert said(pair.bob) == [ClosingSigned]
    assert pair.bob.state.phase is Phase.MUTUALLY_CLOSED
    assert [kind for kind, _ in pair.bob.broadcasts] == ["mutual close"]


def test_one_that_closes_simply_is_answered() -> None:
    pair = overtaken(OUR_INIT)
    assert said(pair.alice) == [ClosingComplete]
    pair.deliver(pair.alice)
    assert pair.bob.state.phase is Phase.MUTUALLY_CLOSED
    assert [kind for kind, _ in pair.bob.broadcasts] == ["mutual close"]


@pytest.mark.parametrize("least", [1_500, 50_000])
def test_the_commitment_that_it_did_not_wait_for_is_not_said_again(least: int) -> None:
    """It hung up over it, and would do so on each connection: nobody could ever close.

    Bob wants more than the fee that Alice names, or than the highest that she would pay.
    """
    pair = overtaken()
    pair.bob.step(events.CloseMutually(None, (FeeratePerKw(least), FeeratePerKw(60_000))))
    pair.deliver(pair.alice)
    assert said(pair.bob) == ([ClosingSigned] if least < 50_000 else [PeerWarning])
    assert pair.bob.state.phase is Phase.NEGOTIATING
    assert pair.bob.state.awaiting_revocation
    pair.cut()
    pair.bob.step(events.PeerConnected())
    assert said(pair.bob) == [ChannelReestablish]
    pair.alice.step(events.PeerConnected())
    pair.deliver(pair.alice)
    assert said(pair.bob) == [ChannelReestablish, Shutdown]


@pytest.mark.parametrize("features", [LEGACY, OUR_INIT])
def test_one_that_closes_with_an_htlc_pending_is_not(features: Features) -> None:
    pair = overtaken(features)
    htlcs = ready_pair(features=features)
    htlcs.alice.step(offer(1))
    htlcs.settle()
    pair.bob.channel = replace(pair.bob.state, htlcs=htlcs.bob.state.htlcs)
    pair.deliver(pair.alice)
    assert said(pair.bob) == [PeerWarning]
    assert pair.bob.state.phase is Phase.SHUTTING_DOWN


@pytest.mark.parametrize("features", [LEGACY, OUR_INIT])
@pytest.mark.parametrize("closer", ["alice", "bob"])
def test_our_shutdown_waits_for_a_fee_change_under_way(closer: str, features: Features) -> None:
    """So that no such peer ever believes itself done while we wait for its `commitment_signed`."""
    pair = ready_pair(features=features)
    closing = pair.alice if closer == "alice" else pair.bob
    pair.alice.step(events.ChangeFeerate(DEARER))
    pair.deliver(pair.alice)
    pair.deliver(pair.alice)
    closing.step(events.CloseMutually(None, None))
    assert Shutdown not in said(closing)
    pair.settle()
    for side in (pair.alice, pair.bob):
        assert side.state.phase is Phase.MUTUALLY_CLOSED
        assert [update.feerate for update in side.state.fees] == [DEARER]
