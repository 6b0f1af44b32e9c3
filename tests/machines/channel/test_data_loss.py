"""Data loss: one of the two goes on from an old copy (BOLT 2, `option_data_loss_protect`).

Whoever broadcasts a revoked commitment loses everything in the channel.  So once the peer has
proved that our copy is old, there is no way left to our commitment: one test for each.
"""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.support.courtroom import Courtroom
from tests.support.pair import CLOSE_SCRIPT, LEGACY, Pair, Side, offer, preimage_of, ready_pair
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.features import OUR_INIT, Features
from wallet.base.values.ids import ALL_CHANNELS
from wallet.base.wire.channel import ChannelReestablish
from wallet.base.wire.message import Message, decode
from wallet.base.wire.setup import Error
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import ClaimKind, SpendKind
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Phase, is_agreed
from wallet.node.persist import durable

EXPIRY = 200
START = 6 * 100_000
"""Satoshi of coins that each wallet in a courtroom begins with."""


def phase(side: Side) -> Phase:
    """How far the channel has come."""
    return side.state.phase


def sat(amount: int) -> MilliSatoshi:
    return MilliSatoshi(amount * 1000)


def pay(pair: Pair, number: int, amount: int) -> None:
    """Alice pays Bob."""
    before = pair.alice.state.our_next_htlc_id
    pair.alice.step(offer(number, sat(amount), EXPIRY))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(before, preimage_of(number)))
    pair.settle()


def old_copy() -> tuple[Pair, Channel]:
    """A pair, and Alice's state of the past: she was richer, and an HTLC of hers was pending."""
    pair = ready_pair()
    pay(pair, 1, 10_000)
    pair.alice.step(offer(2, sat(20_000), EXPIRY))
    pair.settle()
    old: Channel = from_json(Channel, to_json(durable(pair.alice.state)))
    pair.bob.step(events.FulfillHtlc(1, preimage_of(2)))
    pair.settle()
    pay(pair, 3, 30_000)
    pair.alice.step(offer(4, sat(40_000), EXPIRY + 40))
    pair.settle()
    pair.cut()
    pair.alice.broadcasts.clear()
    pair.alice.judging = False
    return pair, old


def restored() -> Pair:
    """Alice has gone back to it and met Bob, who has not yet heard what she made of it."""
    pair, old = old_copy()
    pair.alice.channel = resume(old).state
    pair.reconnect()
    pair.deliver(pair.bob)
    return pair


def broadcasts(wishes: Iterable[actions.Action]) -> set[str]:
    """What they would have gone to the chain, but for the funding, which is no secret."""
    kinds = {wish.kind for wish in wishes if isinstance(wish, actions.Broadcast)}
    return {str(kind) for kind in kinds} - {"funding"}


def asks(wishes: Iterable[actions.Action]) -> list[actions.Action]:
    """What they would have paid for."""
    return [w for w in wishes if isinstance(w, actions.FundCommitment | actions.FundHtlc)]


def said(side: Side) -> list[Message]:
    return [m for m in map(decode, side.sent) if isinstance(m, Message)]


def assert_silent(side: Side, *batch: events.Event) -> None:
    """Whatever that is, nothing of ours goes to the chain, and we know why ever after."""
    wishes = side.step(*batch)
    assert (broadcasts(wishes), asks(wishes)) == (set(), [])
    assert side.state.fell_behind
    assert side.state.phase is Phase.FAILED


# --- we are behind ------------------------------------------------------------------------------


def test_our_copy_is_old__it_is_noticed_said_and_explained() -> None:
    alice = restored().alice
    assert alice.state.fell_behind
    assert alice.state.changes[-1].new is Phase.FAILED
    assert "Our copy of this channel is old" in alice.state.changes[-1].message
    last = said(alice)[-1]
    assert isinstance(last, Error)
    assert b"please close" in last.data


def test_our_copy_is_old__close_force_is_refused_with_a_reason() -> None:
    alice = restored().alice
    with pytest.raises(Refused, match="would lose everything"):
        alice.step(events.CloseUnilaterally("--force"))
    assert_silent(alice)


def test_our_copy_is_old__a_peers_error_broadcasts_nothing() -> None:
    alice = restored().alice
    for where in (alice.state.id, ALL_CHANNELS):
        assert_silent(alice, events.MessageReceived(Error(where, b"close it yourself")))


def test_our_copy_is_old__no_deadline_broadcasts_anything() -> None:
    """The HTLC of 20,000 sat, long settled, looks overdue from here."""
    alice = restored().alice
    assert alice.state.htlcs
    for height in (EXPIRY - 20, EXPIRY, EXPIRY + 2, EXPIRY + 12, EXPIRY + 1_000):
        alice.height = height
        assert_silent(alice, events.NewTip(CLOSE_SCRIPT["alice"]))


def test_our_copy_is_old__a_dear_market_asks_for_no_child() -> None:
    alice = restored().alice
    for per_kw in (253, 5_000, 50_000):
        alice.height += 1
        alice.feerate = FeeratePerKw(per_kw)
        assert_silent(alice, events.NewTip(CLOSE_SCRIPT["alice"]))


def test_our_copy_is_old__resume_promises_nothing() -> None:
    alice = restored().alice
    for _ in range(2):
        after = resume(alice.state)
        assert broadcasts(after.actions) == set()
        assert after.state.fell_behind
        alice.channel = after.state


def test_our_copy_is_old__a_restart_knows_it_and_says_it_again() -> None:
    pair = restored()
    stored: Channel = from_json(Channel, to_json(durable(pair.alice.state)))
    pair.cut()
    pair.alice.channel = resume(stored).state
    assert_silent(pair.alice, events.PeerConnected())
    hello, error = said(pair.alice)
    assert isinstance(hello, ChannelReestablish)
    # BOLT 2: MUST immediately fail the channel; LND heeds no error.
    assert hello.next_commitment_number == 0
    assert isinstance(error, Error)
    assert_silent(pair.alice, events.NewTip(CLOSE_SCRIPT["alice"]))


def test_our_copy_is_old__a_reorganisation_of_their_close_brings_nothing_of_ours() -> None:
    pair = restored()
    court = Courtroom(pair)
    pair.settle()
    court.mine(2)
    assert phase(pair.alice) is Phase.SPENT
    court.silent = {"bob"}
    pair.alice.broadcasts.clear()
    court.reorg(2)
    court.mine(10)
    assert phase(pair.alice) is Phase.FAILED
    # On the way back her claim on his commitment is offered once more; nothing else ever is.
    assert {kind for kind, _ in pair.alice.broadcasts} <= {"funding", ClaimKind.TO_REMOTE}


@pytest.mark.parametrize("features", [OUR_INIT, LEGACY], ids=["simple", "legacy"])
def test_our_copy_is_old__also_when_a_close_was_agreed_on_long_ago(features: Features) -> None:
    """A close that both signed is not revoked; but what is proved old is not to be used at all."""
    pair = restored()
    agreed = ready_pair(features=features)
    agreed.alice.step(events.CloseMutually(None, None))
    agreed.settle()
    signed = agreed.alice.state
    assert is_agreed(signed)
    alice = pair.alice
    alice.channel = replace(
        alice.state, signed_close=signed.signed_close, simple_close=signed.simple_close
    )
    assert_silent(alice, events.FundingUnspent())
    assert_silent(alice, events.NewTip(CLOSE_SCRIPT["alice"]))


def test_our_copy_is_old__proved_after_we_had_failed_the_channel_ourselves() -> None:
    """Restored, and closed by force before the peer was there to say that this is a mistake.

    No block holds it yet: whatever can still be stopped is stopped.
    """
    pair, old = old_copy()
    alice = pair.alice
    alice.channel = resume(old).state
    alice.step(events.CloseUnilaterally("--force"))
    assert broadcasts(alice.acts) == {"commitment"}
    pair.reconnect()
    pair.deliver(pair.bob)
    assert alice.state.fell_behind
    assert_silent(alice, events.NewTip(CLOSE_SCRIPT["alice"]))
    assert broadcasts(resume(alice.state).actions) == set()
    with pytest.raises(Refused, match="would lose everything"):
        alice.step(events.CloseUnilaterally("again"))


def test_our_copy_is_old__a_peer_that_has_failed_the_channel_still_shows_the_proof() -> None:
    """An error alone would make us broadcast: the proof comes before it."""
    pair, old = old_copy()
    bob = pair.bob
    bob.step(events.CloseUnilaterally("his own reasons"))
    bob.sent.clear()
    pair.alice.channel = resume(old).state
    pair.reconnect()
    assert [m.name for m in said(bob)] == ["channel_reestablish", "error"]
    pair.settle()
    assert pair.alice.state.fell_behind
    assert broadcasts(pair.alice.acts) == set()


def test_our_copy_is_old__the_peers_close_pays_us_what_is_ours_in_truth() -> None:
    """Bob's commitment is from a future that Alice has forgotten: its `to_remote` is hers.

    She has paid 10,000 + 20,000 + 30,000 of her 600,000 sat; 40,000 more are pending in an HTLC
    that she knows nothing of: that, and fee and anchors, is the price of an old copy.
    """
    pair = restored()
    pair.settle()
    court = Courtroom(pair)
    court.mine()
    end = pair.alice.state.onchain
    assert end is not None
    assert end.kind is SpendKind.UNKNOWN
    assert [claim.kind for claim in end.claims] == [ClaimKind.TO_REMOTE]
    court.mine(3)
    assert pair.alice.state.onchain is not None
    assert pair.alice.state.onchain.unclaimed.sat == 0
    got = court.holds(court.alice) - START
    assert 500_000 - 8_000 < got <= 500_000
    court.mine_to(EXPIRY)
    court.mine(FORGET_DEPTH + 10)
    assert pair.alice.state.phase is Phase.CLOSED


# --- the peer is behind -------------------------------------------------------------------------


def test_the_peers_copy_is_old__it_is_noticed_explained_and_closed_by_us() -> None:
    pair, old = old_copy()
    # Seen from Bob, the restored Alice is the peer: she says her old numbers, and no more.
    pair.alice.channel = resume(old).state
    pair.alice.step(events.PeerConnected())
    (hello,) = said(pair.alice)
    assert isinstance(hello, ChannelReestablish)
    pair.bob.step(events.PeerConnected())
    wishes = pair.bob.receive(pair.alice.sent.popleft())
    assert broadcasts(wishes) == {"commitment"}
    assert "the peer's copy of this channel is old" in str(pair.bob.state.error)
    assert pair.bob.state.changes[-1].message == pair.bob.state.error
    assert not pair.bob.state.fell_behind


def test_the_peers_copy_is_old__both_end_with_what_is_theirs() -> None:
    pair, old = old_copy()
    pair.alice.channel = resume(old).state
    court = Courtroom(pair)
    pair.reconnect()
    pair.settle()
    court.mine_to(EXPIRY + 60)
    court.mine(FORGET_DEPTH)
    assert pair.bob.state.phase is Phase.CLOSED
    got = {p.side.name: court.holds(p) - START for p in court.parties}
    assert 500_000 - 8_000 < got["alice"] <= 500_000
    # The HTLC of 40,000 that Bob never claimed stays where it is: only Alice could take it back.
    assert 460_000 - 8_000 < got["bob"] <= 460_000
