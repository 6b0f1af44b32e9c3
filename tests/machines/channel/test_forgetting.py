"""A funding that never comes: who put nothing in forgets the channel, the opener does not."""

import pytest

from tests.support.pair import START_HEIGHT, Pair, Side, offer, open_pair, policy, replace
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.wire.channel import ChannelReestablish
from wallet.base.wire.message import decode
from wallet.base.wire.setup import Error
from wallet.machines.channel import events
from wallet.machines.channel.opening_rules import ANCHOR_TYPE
from wallet.machines.channel.ready import FORGET_UNCONFIRMED
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Phase
from wallet.node.persist import durable

LAST = START_HEIGHT + FORGET_UNCONFIRMED
PUSH = MilliSatoshi(300_000_000)


def tip(side: Side, height: int) -> None:
    side.height = height
    side.step(events.NewTip(b""))


def forgotten_pair() -> Pair:
    pair = open_pair(PUSH)
    tip(pair.bob, LAST)
    return pair


def phase(side: Side) -> Phase:
    return side.state.phase


def errors(side: Side) -> list[bytes]:
    return [m.data for m in map(decode, side.sent) if isinstance(m, Error)]


def test_the_accepter_forgets_after_2016_blocks_and_not_before() -> None:
    pair = open_pair(PUSH)
    tip(pair.bob, LAST - 1)
    assert phase(pair.bob) is Phase.AWAITING_CONFIRMATION
    tip(pair.bob, LAST)
    assert phase(pair.bob) is Phase.CLOSED
    assert errors(pair.bob) == [b"the funding transaction was not mined within 2016 blocks"]
    assert not pair.bob.broadcasts


def test_the_opener_never_forgets_what_it_paid_for() -> None:
    pair = open_pair(PUSH)
    tip(pair.alice, LAST + 1_000)
    assert phase(pair.alice) is Phase.AWAITING_CONFIRMATION


@pytest.mark.parametrize("reloaded", [False, True])
def test_an_opener_that_comes_back_is_told(reloaded: bool) -> None:
    pair = forgotten_pair()
    pair.cut()
    if reloaded:
        stored: Channel = from_json(Channel, to_json(durable(pair.bob.state)))
        pair.bob.channel = resume(stored).state
    pair.reconnect()
    pair.deliver(pair.alice)
    assert errors(pair.bob)
    pair.settle()
    assert phase(pair.alice) is Phase.FAILED
    assert [kind for kind, _ in pair.alice.broadcasts][-1] == "commitment"


def test_a_channel_that_failed_before_its_funding_is_forgotten_too() -> None:
    pair = open_pair(PUSH)
    pair.bob.step(events.CloseUnilaterally("test"))
    assert phase(pair.bob) is Phase.FAILED
    tip(pair.bob, LAST)
    assert phase(pair.bob) is Phase.CLOSED


def test_one_that_is_mined_late_is_not() -> None:
    pair = open_pair(PUSH)
    pair.mine(LAST - 1)
    pair.settle()
    tip(pair.bob, LAST + 10)
    assert phase(pair.bob) is Phase.READY


def test_one_whose_block_was_taken_back_is_not() -> None:
    pair = open_pair(PUSH)
    pair.mine(START_HEIGHT + 1)
    pair.settle()
    pair.bob.step(events.FundingUnconfirmed())
    tip(pair.bob, LAST)
    assert phase(pair.bob) is Phase.READY


def test_one_that_was_used_before_its_funding_is_not() -> None:
    trusting = replace(policy(), takes_zeroconf=True)
    pair = open_pair(PUSH, bobs=trusting, channel_type=(*ANCHOR_TYPE, 50))
    pair.alice.step()
    pair.settle()
    pair.alice.step(offer(1))
    pair.settle()
    tip(pair.bob, LAST)
    assert phase(pair.bob) is Phase.READY


# --- a peer that knows nothing of the channel -----------------------------------------------------


def unknown_to_the_opener(push: MilliSatoshi) -> Pair:
    """The link ended before `funding_signed` arrived: for the opener there never was a channel.

    Core Lightning answers our `channel_reestablish` with this error and hangs up.
    """
    pair = open_pair(push)
    pair.cut()
    pair.bob.step(events.PeerConnected())
    [hello] = [m for m in map(decode, pair.bob.sent) if isinstance(m, ChannelReestablish)]
    words = b"Unknown channel for WIRE_CHANNEL_REESTABLISH"
    pair.bob.step(events.MessageReceived(Error(hello.channel_id, words)))
    pair.bob.step(events.PeerDisconnected())
    pair.bob.sent.clear()
    return pair


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_channel_that_the_peer_failed_is_not_brought_up_again(reloaded: bool) -> None:
    """Else the peer hangs up on each connection, and no other channel with it can ever be had."""
    pair = unknown_to_the_opener(PUSH)
    assert phase(pair.bob) is Phase.FAILED
    if reloaded:
        stored: Channel = from_json(Channel, to_json(durable(pair.bob.state)))
        pair.bob.channel = resume(stored).state
    pair.bob.step(events.PeerConnected())
    assert not pair.bob.sent


def test_a_peer_that_failed_it_and_asks_after_it_is_answered() -> None:
    """Put back to an old copy, it must hear that the channel is failed before it does harm."""
    pair = open_pair(PUSH)
    pair.bob.step(events.MessageReceived(Error(pair.bob.state.id, b"sync error")))
    pair.cut()
    pair.bob.step(events.PeerConnected())
    assert not pair.bob.sent
    pair.alice.step(events.PeerConnected())
    pair.deliver(pair.alice)
    hello, error = map(decode, pair.bob.sent)
    assert isinstance(hello, ChannelReestablish)
    assert isinstance(error, Error)
    pair.settle()
    assert phase(pair.alice) is Phase.FAILED
