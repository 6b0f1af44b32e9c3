"""What other people's nodes say that the BOLTs do not, and that must not cost a channel.

Each story names the node that was read; what it says is given byte for byte or message by message.
"""

from dataclasses import replace

import pytest

from tests.support.pair import CLOSE_SCRIPT, LEGACY, Pair, Side, offer, open_pair, ready_pair
from wallet.base.errors import Severity
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import ALL_CHANNELS, Signature
from wallet.base.wire.channel import ChannelReady, ChannelReestablish, Shutdown, UpdateFee
from wallet.base.wire.gossip import AnnouncementSignatures
from wallet.base.wire.message import Message, decode, encode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, announce, events
from wallet.machines.channel.reconnect import of_no_channel
from wallet.machines.channel.state import Link, Phase, ScidKind
from wallet.machines.channel.step import MOST_EARLY
from wallet.node.persist import durable

PUSH = MilliSatoshi(300_000_000)


def said(side: Side) -> list[Message]:
    """What is on the wire from this side."""
    return [m for m in map(decode, side.sent) if isinstance(m, Message)]


def their_shutdown(side: Side) -> bytes | None:
    """Where the peer wants its money, as far as this side has heard it."""
    return side.state.their_shutdown


def dropped(wishes: list[actions.Action]) -> bool:
    """Whether the connection ends."""
    return any(isinstance(wish, actions.Disconnect) for wish in wishes)


# --- LND: `error` for what is only an interruption ------------------------------------------------


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        # htlcswitch/linkfailure.go: its link is gone until we connect again; its channel is not.
        (b"internal error", Severity.DISCONNECT),
        # Up to 0.17, for a `shutdown` while HTLCs are in flight; all goes on as before.
        (b"link failed to shutdown", Severity.WARN),
        (b"cannot co-op close channel w/ active htlcs", Severity.WARN),
    ],
)
def test_lnd_says_error_and_means_no_end(words: bytes, severity: Severity) -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    alice = pair.alice
    for named in (alice.state.id, ALL_CHANNELS):
        alice.sent.clear()
        wishes = alice.receive(encode(Error(named, words)))
        assert alice.state.phase is Phase.READY
        assert not alice.broadcasts or alice.broadcasts[-1][0] == "funding"
        assert [type(m) for m in said(alice)] == [PeerWarning], "the peer learns what it did"
        assert dropped(wishes) is (severity is Severity.DISCONNECT)
    pair.cut()
    pair.reconnect()
    pair.settle()
    pair.bob.step(offer(2))
    pair.settle()
    assert {len(side.state.htlcs) for side in (pair.alice, pair.bob)} == {2}


@pytest.mark.parametrize(
    "words",
    [
        b"sync error",
        b"unable to resume channel, recovery required",
        b"invalid commitment",
        b"internal error.",
        b"remote error: internal error",
        b"",
    ],
)
def test_any_other_error_fails_the_channel(words: bytes) -> None:
    """The second is how LND asks us to close once it has lost its data."""
    pair = ready_pair()
    pair.alice.receive(encode(Error(pair.alice.state.id, words)))
    assert pair.alice.state.phase is Phase.FAILED
    assert pair.alice.broadcasts[-1][0] == "commitment"


# --- LND: words before `channel_reestablish` ------------------------------------------------------


def greeted(pair: Pair) -> tuple[Side, ChannelReestablish]:
    """Connected again: Alice has said hello, and Bob's hello is still on its way."""
    pair.cut()
    pair.reconnect()
    hello = said(pair.bob)[0]
    assert isinstance(hello, ChannelReestablish)
    pair.bob.sent.clear()
    assert pair.alice.state.link is Link.SYNCING
    return pair.alice, hello


def announced_pair() -> Pair:
    """Both have told the network of their channel."""
    pair = ready_pair(announce=True)
    for side in (pair.alice, pair.bob):
        side.height = 111 + announce.ANNOUNCE_DEPTH - 1
        side.step(events.NewTip(b""))
    pair.settle()
    assert announce.is_announced(pair.alice.state)
    return pair


def half_of(side: Side) -> AnnouncementSignatures:
    """Its half of the proof."""
    real = side.state.scid(ScidKind.REAL)
    assert real is not None
    answers = side.signer.answer(announce.our_requests(side.state, real))
    node, bitcoin = (Signature(a) for a in answers if isinstance(a, bytes))
    return AnnouncementSignatures(side.state.id, real, node, bitcoin)


def test_lnd_says_its_half_of_an_announcement_first() -> None:
    """discovery/reliable_sender.go says it as soon as a peer is there, until it has ours.

    Were the link dropped for it, the channel would never come back.
    """
    pair = announced_pair()
    half = half_of(pair.bob)
    alice, hello = greeted(pair)
    alice.sent.clear()
    assert not dropped(alice.receive(encode(half)))
    assert said(alice) == []
    alice.receive(encode(hello))
    assert alice.state.link is Link.LIVE
    # BOLT 7: upon reconnection, if it receives `announcement_signatures`: MUST respond.
    assert [m for m in said(alice) if isinstance(m, AnnouncementSignatures)]


@pytest.mark.parametrize("legacy", [True, False])
def test_lnd_says_shutdown_first(legacy: bool) -> None:
    """peer/brontide.go starts an interrupted close anew as soon as a peer is there."""
    pair = ready_pair(features=LEGACY) if legacy else ready_pair()
    alice, hello = greeted(pair)
    shutdown = Shutdown(alice.state.id, CLOSE_SCRIPT["bob"])
    assert not dropped(alice.receive(encode(shutdown)))
    assert their_shutdown(alice) is None
    alice.receive(encode(hello))
    assert their_shutdown(alice) == CLOSE_SCRIPT["bob"]
    assert any(isinstance(m, Shutdown) for m in said(alice))


def test_what_came_early_is_forgotten_with_the_connection() -> None:
    pair = ready_pair()
    alice, hello = greeted(pair)
    alice.receive(encode(Shutdown(alice.state.id, CLOSE_SCRIPT["bob"])))
    assert durable(alice.state).early == ()
    alice.step(events.PeerDisconnected())
    alice.step(events.PeerConnected())
    alice.receive(encode(hello))
    assert alice.state.phase is Phase.READY
    assert their_shutdown(alice) is None


def test_an_early_breach_costs_what_a_later_one_does() -> None:
    pair = announced_pair()
    half = replace(half_of(pair.bob), node_signature=Signature(bytes([1]) * 64))
    alice, hello = greeted(pair)
    alice.receive(encode(half))
    alice.sent.clear()
    assert dropped(alice.receive(encode(hello)))
    assert any(isinstance(m, PeerWarning) for m in said(alice))


def test_early_words_without_end() -> None:
    pair = ready_pair()
    alice, _ = greeted(pair)
    shutdown = encode(Shutdown(alice.state.id, CLOSE_SCRIPT["bob"]))
    heard = [dropped(alice.receive(shutdown)) for _ in range(MOST_EARLY + 1)]
    assert heard == [False] * MOST_EARLY + [True]


def test_lnd_says_channel_ready_first_and_nothing_after_it() -> None:
    """LND greets no channel that was not confirmed when the connection began: it says
    `channel_ready` once it is, and waits for ours, which we may not say before its greeting.  Only
    a new connection ends that (as eclair has found).
    """
    pair = open_pair(PUSH)
    alice, _ = greeted(pair)
    pair.mine(111)
    early = ChannelReady(alice.state.id, pair.bob.state.our_points[1])
    assert dropped(alice.receive(encode(early)))
    pair.cut()
    pair.reconnect()
    pair.settle()
    assert {side.state.phase for side in (pair.alice, pair.bob)} == {Phase.READY}


# --- LND: an update before its `channel_ready` ----------------------------------------------------


def test_lnd_says_update_fee_before_channel_ready() -> None:
    """Its link starts with our `channel_ready`, and may be quicker than its own."""
    pair = open_pair(PUSH)
    bob = pair.bob
    pair.mine(111)
    pair.deliver(bob)
    wishes = bob.receive(encode(UpdateFee(bob.state.id, FeeratePerKw(2_000))))
    assert dropped(wishes)
    assert bob.state.phase is Phase.AWAITING_CONFIRMATION
    pair.cut()
    pair.reconnect()
    pair.settle()
    pair.alice.step(events.ChangeFeerate(FeeratePerKw(2_000)))
    pair.settle()
    assert bob.state.feerate == FeeratePerKw(2_000)


# --- LND: closes for no `error` -------------------------------------------------------------------


def test_lnd_is_got_to_close_a_channel_of_which_nothing_is_left() -> None:
    """lnwallet/channel.go, ProcessChanSyncMsg: only numbers that are too low make it close.

    After a restore from the seed alone this is how our money comes back from such a peer.
    """
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    _, hello = greeted(pair)
    (zero,) = of_no_channel(hello)
    assert zero == decode(encode(zero))
    assert (zero.channel_id, zero.next_commitment_number) == (hello.channel_id, 0)
    # Nothing in it claims that the peer has lost data: that would keep it from closing.
    assert (zero.next_revocation_number, zero.your_last_per_commitment_secret) == (0, bytes(32))
    assert of_no_channel(zero) == (), "two that know nothing come to an end"
    pair.bob.receive(encode(zero))
    assert pair.bob.state.phase is Phase.FAILED
    assert pair.bob.broadcasts[-1][0] == "commitment"


def test_a_channel_that_is_settled_here_is_closed_there() -> None:
    pair = ready_pair()
    alice, hello = greeted(pair)
    alice.channel = replace(alice.state, phase=Phase.CLOSED)
    alice.sent.clear()
    alice.receive(encode(hello))
    first, second = said(alice)
    assert (first,) == of_no_channel(hello)
    assert isinstance(second, Error)
