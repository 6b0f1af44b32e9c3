"""After a lost connection: what a peer may claim, what is believed, what is said again.

BOLT 2 "Message Retransmission"; `test_cuts.py` walks whole sessions through every cut.
"""

from dataclasses import replace

import pytest

from tests.support.pair import Pair, Side, context, offer, open_pair, preimage_of, ready_pair
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import ALL_CHANNELS, Preimage, Secret
from wallet.base.wire.channel import (
    ChannelReestablish,
    CommitmentSigned,
    RevokeAndAck,
    Shutdown,
    UpdateAddHtlc,
    UpdateFee,
    UpdateFulfillHtlc,
)
from wallet.base.wire.message import Message, decode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, events
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Link, Phase
from wallet.machines.channel.step import step


def said(side: Side) -> list[Message]:
    """What is on the wire from this side."""
    found = [decode(data) for data in side.sent]
    assert all(isinstance(message, Message) for message in found)
    return [message for message in found if isinstance(message, Message)]


def paid(pair: Pair, number: int, key: int) -> None:
    """One whole payment from Alice to Bob."""
    pair.alice.step(offer(number))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(key, preimage_of(number)))
    pair.settle()


def hello(side: Side) -> ChannelReestablish:
    """The first word of a side on a new connection."""
    side.step(events.PeerConnected())
    message = said(side)[-1]
    assert isinstance(message, ChannelReestablish)
    return message


def meet(pair: Pair, **claimed: object) -> list[actions.Action]:
    """Bob connects again and claims other numbers than are true; what Alice does about it."""
    pair.cut()
    genuine = hello(pair.bob)
    pair.alice.step(events.PeerConnected())
    pair.alice.sent.clear()
    message = replace(genuine, **claimed)  # type: ignore[arg-type]
    return pair.alice.step(events.MessageReceived(message))


def kinds(wishes: list[actions.Action]) -> list[str]:
    """Broadcasts by kind."""
    return [a.kind for a in wishes if isinstance(a, actions.Broadcast)]


# --- numbers ------------------------------------------------------------------------------------


def test_reestablish__next_commitment_number_zero() -> None:
    pair = ready_pair()
    wishes = meet(pair, next_commitment_number=0)
    assert pair.alice.state.phase is Phase.FAILED
    assert kinds(wishes) == ["commitment"]
    assert "as one that has lost its data does" in pair.alice.state.changes[-1].message


@pytest.mark.parametrize("number", [1, 4, 1 << 48, (1 << 64) - 1])
def test_reestablish__next_commitment_number_of_neither_commitment(number: int) -> None:
    pair = ready_pair()
    paid(pair, 1, 0)
    assert pair.alice.state.their_number == 2
    wishes = meet(pair, next_commitment_number=number)
    assert pair.alice.state.phase is Phase.FAILED
    assert kinds(wishes) == ["commitment"]


def test_reestablish__next_revocation_number_too_low() -> None:
    pair = ready_pair()
    paid(pair, 1, 0)
    wishes = meet(pair, next_revocation_number=0)
    assert pair.alice.state.phase is Phase.FAILED
    assert kinds(wishes) == ["commitment"]


@pytest.mark.parametrize("ahead", [1, 5, 1 << 40, (1 << 48) - 3, (1 << 48) - 2, (1 << 64) - 3])
def test_reestablish__a_future_without_proof(ahead: int) -> None:
    """A number alone moves nobody to give up its commitment, however large it is."""
    pair = ready_pair()
    paid(pair, 1, 0)
    assert pair.alice.state.our_number == 2
    wishes = meet(
        pair, next_revocation_number=2 + ahead, your_last_per_commitment_secret=Secret(bytes(32))
    )
    assert pair.alice.state.phase is Phase.FAILED
    assert not pair.alice.state.fell_behind
    assert kinds(wishes) == ["commitment"]


def test_reestablish__twice_on_one_connection() -> None:
    pair = ready_pair()
    pair.cut()
    message = hello(pair.bob)
    pair.alice.step(events.PeerConnected())
    pair.alice.step(events.MessageReceived(message))
    before = pair.alice.state
    wishes = pair.alice.step(events.MessageReceived(message))
    assert pair.alice.state == before
    assert [type(a.message) for a in wishes if isinstance(a, actions.Send)] == [PeerWarning]


def test_message__before_reestablish() -> None:
    """BOLT 2: MUST wait to receive the other node's `channel_reestablish`."""
    pair = ready_pair()
    pair.cut()
    pair.alice.step(events.PeerConnected())
    before = pair.alice.state
    early = RevokeAndAck(before.id, Secret(bytes(31) + b"\1"), before.their_points[1])
    wishes = pair.alice.step(events.MessageReceived(early))
    assert pair.alice.state == before
    assert any(isinstance(a, actions.Disconnect) for a in wishes)


def test_reestablish__says_what_it_knows() -> None:
    pair = ready_pair()
    pair.cut()
    first = hello(pair.alice)
    assert (first.next_commitment_number, first.next_revocation_number) == (1, 0)
    assert first.your_last_per_commitment_secret == bytes(32)
    pair.alice.step(events.PeerDisconnected())
    pair.alice.sent.clear()
    pair.reconnect()
    pair.settle()
    paid(pair, 1, 0)
    pair.cut()
    later = hello(pair.alice)
    assert (later.next_commitment_number, later.next_revocation_number) == (3, 2)
    assert later.your_last_per_commitment_secret != bytes(32)
    assert later.my_current_per_commitment_point == pair.alice.state.our_points[0]


def test_channel_ready__is_repeated_only_before_the_first_commitment() -> None:
    pair = ready_pair()
    pair.cut()
    pair.reconnect()
    pair.deliver(pair.bob)
    assert [m.name for m in said(pair.alice)] == ["channel_reestablish", "channel_ready"]
    pair.settle()
    pair.alice.step(offer(1))
    pair.settle()
    pair.cut()
    pair.reconnect()
    pair.deliver(pair.bob)
    assert [m.name for m in said(pair.alice)] == ["channel_reestablish"]


# --- we have fallen behind ----------------------------------------------------------------------


def restored_from_old_copy() -> tuple[Pair, Channel]:
    """Alice pays, goes back to the copy from before, and meets Bob."""
    pair = ready_pair()
    paid(pair, 1, 0)
    old = pair.alice.state
    paid(pair, 2, 1)
    pair.cut()
    pair.alice.channel = resume(old).state
    pair.alice.broadcasts.clear()
    pair.reconnect()
    pair.deliver(pair.bob)
    return pair, pair.alice.state


def test_fell_behind__is_noticed_and_said() -> None:
    pair, channel = restored_from_old_copy()
    assert channel.fell_behind
    assert channel.phase is Phase.FAILED
    assert channel.changes[-1].message == (
        "Our copy of this channel is old; only the peer can close it safely"
    )
    assert isinstance(said(pair.alice)[-1], Error)
    pair.settle()
    assert [kind for kind, _ in pair.bob.broadcasts] == ["commitment"]


def test_fell_behind__never_broadcasts_through_any_path() -> None:
    """Our commitment is revoked: whoever broadcasts it loses everything in the channel."""
    pair, channel = restored_from_old_copy()
    alice = pair.alice
    events_that_fail_others: tuple[events.Event, ...] = (
        events.MessageReceived(Error(channel.id, b"close!")),
        events.MessageReceived(Error(ALL_CHANNELS, b"close!")),
        events.MessageReceived(Shutdown(channel.id, channel.terms.close_to)),
        events.MessageReceived(
            ChannelReestablish(channel.id, 0, 0, Secret(bytes(32)), channel.our_points[0])
        ),
        events.MessageReceived(UpdateFulfillHtlc(channel.id, 9, Preimage(bytes(32)))),
        events.FulfillHtlc(0, Preimage(bytes(32))),
        events.FailHtlc(0, b""),
        events.FundingUnconfirmed(),
        events.FundingUnspent(),
        events.NewTip(channel.terms.close_to),
        events.PeerDisconnected(),
        events.PeerConnected(),
        events.MessageReceived(Error(channel.id, b"close!")),
    )
    for event in events_that_fail_others:
        alice.step(event)
        assert alice.state.fell_behind, event
        assert alice.state.phase is Phase.FAILED, event
        resumed = resume(alice.state)
        assert set(kinds(list(resumed.actions))) <= {"funding"}, event
    requests = (
        events.CloseUnilaterally("please"),
        events.CloseMutually(None, None),
        events.ChangeFeerate(FeeratePerKw(2_000)),
        offer(7),
    )
    for request in requests:
        with pytest.raises(Refused):
            step(alice.state, request, context())
    assert {kind for kind, _ in alice.broadcasts} == {"funding"}


def test_fell_behind__peers_newer_commitment_still_pays_us() -> None:
    pair, _ = restored_from_old_copy()
    pair.settle()
    ((_, theirs),) = pair.bob.broadcasts
    pair.alice.step(events.FundingSpent(theirs, 120))
    end = pair.alice.state.onchain
    assert end is not None
    assert [claim.kind for claim in end.claims] == ["to_remote"]
    assert pair.alice.state.phase is Phase.SPENT


def test_fell_behind__the_error_is_said_again_on_each_connection() -> None:
    pair, _ = restored_from_old_copy()
    pair.alice.step(events.PeerDisconnected())
    pair.alice.sent.clear()
    pair.alice.step(events.PeerConnected())
    assert [m.name for m in said(pair.alice)] == ["channel_reestablish", "error"]


# --- what is said again -------------------------------------------------------------------------


def test_updates__said_again_in_an_order_that_the_peer_can_accept() -> None:
    """A fee change made room for an HTLC: said the other way round, the HTLC would be too much."""
    pair = ready_pair()
    alice = pair.alice
    alice.step(events.ChangeFeerate(FeeratePerKw(20_000)))
    pair.settle()
    alice.step(offer(1))  # Not acknowledged: what follows gathers.
    alice.step(events.ChangeFeerate(FeeratePerKw(253)))
    alice.step(offer(2, MilliSatoshi(570_000_000)))
    assert alice.state.fees[-1].stage is Stage.SENT_ADD_HTLC
    pair.cut()
    pair.reconnect()
    pair.deliver(pair.bob)
    again = [type(m) for m in said(alice)]
    assert again.index(UpdateFee) < len(again) - 1 - again[::-1].index(UpdateAddHtlc)
    pair.settle()
    for side in (pair.alice, pair.bob):
        assert side.state.phase is Phase.READY, side.state.error
        assert len(side.state.htlcs) == 2
        assert side.state.feerate == FeeratePerKw(253)


def test_shutdown__said_again_before_updates_that_are_not_committed() -> None:
    """BOLT 2: with updates pending on the peer's commitment, MUST NOT send a `shutdown`."""
    pair = ready_pair()
    for number in range(2):
        pair.bob.step(offer(number))
        pair.settle()
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    pair.alice.step(events.FulfillHtlc(0, preimage_of(0)))
    pair.alice.step(events.FulfillHtlc(1, preimage_of(1)))
    pair.cut()
    pair.reconnect()
    pair.deliver(pair.bob)
    names = [m.name for m in said(pair.alice)]
    assert names == [
        "channel_reestablish",
        "update_fulfill_htlc",
        "commitment_signed",
        "shutdown",
        "update_fulfill_htlc",
    ]
    pair.settle()
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.MUTUALLY_CLOSED}


def test_a_preimage_is_known_after_its_update_is_forgotten() -> None:
    """The update is reversed, the money upstream is not: the peer must say it again."""
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.deliver(pair.bob)
    assert any(isinstance(a, actions.HtlcFulfilled) for a in pair.alice.acts)
    pair.cut()
    (htlc,) = pair.alice.state.htlcs.values()
    assert htlc.stage is Stage.SENT_ADD_ACK_REVOCATION
    pair.reconnect()
    pair.settle()
    assert not pair.alice.state.htlcs
    assert pair.alice.state.funding == replace(
        pair.alice.state.funding, to_us=MilliSatoshi(590_000_000)
    )


def test_ids_of_forgotten_additions_are_used_again() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1), offer(2))
    pair.deliver(pair.alice)
    assert pair.bob.state.their_next_htlc_id == 1
    pair.cut()
    assert pair.bob.state.their_next_htlc_id == 0
    assert not pair.bob.state.htlcs
    pair.reconnect()
    pair.settle()
    assert pair.bob.state.their_next_htlc_id == 2


def test_commitment__waits_for_the_reestablish() -> None:
    pair = ready_pair()
    pair.bob.step(offer(1))
    pair.settle()
    pair.cut()
    pair.alice.step(events.FulfillHtlc(0, preimage_of(1)))
    assert not pair.alice.sent, "said to a peer that is away"
    pair.reconnect()
    assert [m.name for m in said(pair.alice)] == ["channel_reestablish"]
    pair.deliver(pair.bob)
    assert [type(m) for m in said(pair.alice)][1:] == [UpdateFulfillHtlc, CommitmentSigned]


def test_unready_channel_survives_a_cut() -> None:
    pair = open_pair()
    pair.cut()
    pair.reconnect()
    pair.settle()
    assert pair.alice.state.link is Link.LIVE
    pair.mine(111)
    pair.settle()
    assert {s.state.phase for s in (pair.alice, pair.bob)} == {Phase.READY}
