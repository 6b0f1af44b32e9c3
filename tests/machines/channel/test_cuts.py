"""The link is cut before and after each single message, on each side; the session finishes all the
same, with the same balances.  With and without a crash of either side at that moment.

The expected outcome of a session is what it comes to without any cut.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from tests.support.pair import (
    LEGACY,
    Pair,
    Side,
    offer,
    open_pair,
    policy,
    preimage_of,
    ready_pair,
)
from wallet.base.errors import WalletError
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.encode import from_json, to_json
from wallet.machines.channel import actions, events
from wallet.machines.channel.announce import ANNOUNCE_DEPTH, is_announced
from wallet.machines.channel.dance import has_news
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Link, Phase
from wallet.node.persist import durable

Play = Callable[[Pair], Iterator[None]]
"""A session: each `yield` waits until the wire is silent."""


def opening(pair: Pair) -> Iterator[None]:
    pair.mine(111)
    yield


def announcing(pair: Pair) -> Iterator[None]:
    pair.mine(111)
    yield
    for side in (pair.alice, pair.bob):
        side.height = 111 + ANNOUNCE_DEPTH - 1
        side.step(events.NewTip(b""))
    yield


def before_it_is_mined(pair: Pair) -> Iterator[None]:
    """A zero-conf channel: payments first, the funding and its announcement later."""
    for side in (pair.alice, pair.bob):
        side.step()
    yield
    pair.alice.step(offer(1))
    pair.bob.step(offer(2))
    yield
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.mine(111)
    yield
    pair.alice.step(events.FailHtlc(0, b"no" * 20))
    for side in (pair.alice, pair.bob):
        side.height = 111 + ANNOUNCE_DEPTH - 1
        side.step(events.NewTip(b""))
    yield


def zeroconf_pair() -> Pair:
    trusting = replace(policy(), takes_zeroconf=True)
    return open_pair(
        MilliSatoshi(300_000_000), bobs=trusting, announce=True, channel_type=(12, 22, 50)
    )


def add_and_fulfill(pair: Pair) -> Iterator[None]:
    pair.alice.step(offer(1))
    yield
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    yield


def add_and_fail(pair: Pair) -> Iterator[None]:
    pair.alice.step(offer(1))
    yield
    pair.bob.step(events.FailHtlc(0, b"no" * 20))
    yield


def malformed(pair: Pair) -> Iterator[None]:
    pair.bob.step(offer(1))
    yield
    pair.alice.step(events.FailMalformedHtlc(0, bytes(32), 0xC005))
    yield


def both_ways_at_once(pair: Pair) -> Iterator[None]:
    pair.alice.step(offer(1), offer(2, MilliSatoshi(300_000)))
    pair.bob.step(offer(3))
    yield
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)), events.FailHtlc(1, b"dust"))
    pair.alice.step(events.FulfillHtlc(0, preimage_of(3)))
    yield


def gathering(pair: Pair) -> Iterator[None]:
    """Updates wait while a commitment is not acknowledged, and go with the next."""
    pair.alice.step(offer(1))
    pair.alice.step(offer(2))
    pair.alice.step(offer(3))
    yield
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.bob.step(events.FulfillHtlc(1, preimage_of(2)))
    pair.alice.step(offer(4))
    yield
    pair.bob.step(events.FailHtlc(2, b"x"), events.FulfillHtlc(3, preimage_of(4)))
    yield


def fee(pair: Pair) -> Iterator[None]:
    pair.alice.step(events.ChangeFeerate(FeeratePerKw(2_000)))
    yield


def fee_with_an_htlc_in_flight(pair: Pair) -> Iterator[None]:
    pair.bob.step(offer(1))
    pair.alice.step(events.ChangeFeerate(FeeratePerKw(1_500)))
    yield
    pair.alice.step(events.FulfillHtlc(0, preimage_of(1)))
    yield


def shutdown(pair: Pair) -> Iterator[None]:
    pair.alice.step(events.CloseMutually(None, None))
    yield


def shutdown_by_the_accepter(pair: Pair) -> Iterator[None]:
    pair.bob.step(events.CloseMutually(None, None))
    yield


def shutdown_with_an_htlc_in_flight(pair: Pair) -> Iterator[None]:
    pair.alice.step(offer(1))
    pair.bob.step(events.CloseMutually(None, None))
    yield
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    yield


def shutdown_by_both(pair: Pair) -> Iterator[None]:
    pair.alice.step(events.CloseMutually(None, None))
    pair.bob.step(events.CloseMutually(None, None))
    yield


def shutdown_and_higher_fees(pair: Pair) -> Iterator[None]:
    """With simple close, either side replaces its own transaction by one that pays more."""
    pair.bob.step(events.CloseMutually(None, None))
    yield
    for side, rate in ((pair.alice, 2_000), (pair.bob, 4_000)):
        side.step(events.CloseMutually(None, (FeeratePerKw(rate), FeeratePerKw(rate))))
        yield


def legacy_pair() -> Pair:
    return ready_pair(features=LEGACY)


CLOSES = (
    shutdown,
    shutdown_by_the_accepter,
    shutdown_with_an_htlc_in_flight,
    shutdown_by_both,
)


@dataclass(frozen=True)
class Session:
    """A play and the stage on which it is played."""

    play: Play
    begin: Callable[[], Pair]


SESSIONS = {
    "open": Session(opening, lambda: open_pair(MilliSatoshi(300_000_000))),
    "announce": Session(announcing, lambda: open_pair(MilliSatoshi(300_000_000), announce=True)),
    "zeroconf": Session(before_it_is_mined, zeroconf_pair),
    **{
        play.__name__: Session(play, ready_pair)
        for play in (
            add_and_fulfill,
            add_and_fail,
            malformed,
            both_ways_at_once,
            gathering,
            fee,
            fee_with_an_htlc_in_flight,
            *CLOSES,
            shutdown_and_higher_fees,
        )
    },
    **{f"legacy_{play.__name__}": Session(play, legacy_pair) for play in CLOSES},
}


def reload(channel: Channel) -> Channel:
    """The durable part of a state through its stored form; resuming it twice changes nothing."""
    stored: Channel = from_json(Channel, to_json(durable(channel)))
    assert stored == durable(channel)
    once = resume(stored)
    assert once.state == stored
    assert resume(once.state) == once
    return stored


def stored(channel: Channel) -> Channel:
    """Every step's state survives its stored form, whatever is volatile aside."""
    reload(channel)
    return channel


def crash(side: Side) -> None:
    """The process dies and comes back with what was on disk."""
    resumed = resume(reload(side.state))
    side.channel = resumed.state
    side.perform(resumed.actions)


@dataclass
class Cut:
    """Where the link is cut: before or after message `at` arrives, and who crashes with it."""

    at: int
    after: bool
    crashing: tuple[str, ...] = ()
    seen: int = 0

    def due(self, *, after: bool) -> bool:
        return self.seen == self.at and self.after is after


def settle(pair: Pair, cut: Cut | None) -> None:
    """Deliver in turn until the wire is silent, cutting it where the test says."""
    turn = 0
    while True:
        sides = (pair.alice, pair.bob)
        sender = sides[turn % 2] if sides[turn % 2].sent else sides[(turn + 1) % 2]
        if not sender.sent:
            return
        turn += 1
        if cut is not None and cut.due(after=False):
            cut.seen += 1
            come_back(pair, cut)
            continue
        pair.deliver(sender)
        agree(pair)
        if cut is not None:
            if cut.due(after=True):
                cut.seen += 1
                come_back(pair, cut)
            else:
                cut.seen += 1


def come_back(pair: Pair, cut: Cut) -> None:
    pair.cut()
    for side in (pair.alice, pair.bob):
        if side.name in cut.crashing:
            crash(side)
    pair.reconnect()


def agree(pair: Pair) -> None:
    """No money is made or lost, and neither has failed the channel."""
    for side in (pair.alice, pair.bob):
        channel = side.state
        assert channel.phase is not Phase.FAILED, channel.error
        funding = channel.funding
        assert funding.to_us + funding.to_them == funding.amount.to_msat()


def run(session: Session, cut: Cut | None) -> Pair:
    """Play to the end."""
    pair = session.begin()
    for side in (pair.alice, pair.bob):
        side.store = stored
    for _ in session.play(pair):
        settle(pair, cut)
    return pair


def outcome(pair: Pair) -> dict[str, object]:
    """What must be the same however the session went."""
    told: dict[str, object] = {}
    for side in (pair.alice, pair.bob):
        channel = side.state
        told[side.name] = (
            channel.phase,
            channel.funding.to_us,
            channel.funding.to_them,
            channel.feerate,
            {(h.key, h.amount, type(h.removal)) for h in channel.htlcs.values()},
            channel.our_next_htlc_id,
            channel.their_next_htlc_id,
            has_news(channel),
            is_announced(channel),
            side.closes,
        )
    alice, bob = pair.alice.closes, pair.bob.closes
    assert alice == bob, "what one has signed, the other knows"
    return told


def messages_of(session: Session) -> int:
    """How many messages a session takes without any cut."""
    never = Cut(at=-1, after=False)
    pair = session.begin()
    for _ in session.play(pair):
        settle(pair, never)
    return never.seen


CRASHES: tuple[tuple[str, ...], ...] = ((), ("alice",), ("bob",))


@pytest.mark.parametrize("crashing", CRASHES, ids=lambda names: "+".join(names) or "link")
@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_finishes_wherever_it_is_cut(name: str, crashing: tuple[str, ...]) -> None:
    session = SESSIONS[name]
    expected = outcome(run(session, None))
    count = messages_of(session)
    assert count >= 2
    # Before a message is after the one that came before it; only the last has another "after".
    moments = [(at, False) for at in range(count)] + [(count - 1, True)]
    for at, after in moments:
        cut = Cut(at, after, crashing)
        pair = run(session, cut)
        assert outcome(pair) == expected, f"cut {'after' if after else 'before'} message {at}"
        agreed = pair.alice.state.signed_close is not None
        assert pair.alice.state.link is Link.LIVE or agreed
        sent = (*pair.alice.broadcasts, *pair.bob.broadcasts)
        closes = {tx.txid for kind, tx in sent if kind == "mutual close"}
        # Simple close: one version by each, and one for each time that somebody pays more.
        most = 1 if name.startswith("legacy") else 4
        assert len(closes) <= most, "more closing transactions than anybody asked for"


@pytest.mark.parametrize("name", ["both_ways_at_once", "gathering", "fee_with_an_htlc_in_flight"])
def test_a_second_cut_on_the_way_back(name: str) -> None:
    session = SESSIONS[name]
    expected = outcome(run(session, None))
    for first in range(messages_of(session)):
        for second in range(first + 1, first + 5):
            pair = session.begin()
            cuts = [Cut(first, after=True), Cut(second, after=False, crashing=("bob",))]
            for _ in session.play(pair):
                for cut in cuts:
                    settle(pair, cut)
            assert outcome(pair) == expected


# --- what is said again -------------------------------------------------------------------------


def _said(side: Side, kind: type) -> list[bytes]:
    return [d for d in side.sent if type(_decoded(d)) is kind]


def _decoded(data: bytes) -> object:
    from wallet.base.wire.message import decode

    return decode(data)


def test_a_commitment_is_retransmitted_byte_for_byte() -> None:
    from wallet.base.wire.channel import CommitmentSigned, UpdateAddHtlc

    pair = ready_pair()
    pair.alice.step(offer(1), offer(2))
    first = _said(pair.alice, CommitmentSigned) + _said(pair.alice, UpdateAddHtlc)
    assert len(first) == 3
    pair.cut()
    crash(pair.alice)
    pair.reconnect()
    pair.deliver(pair.bob)
    again = _said(pair.alice, CommitmentSigned) + _said(pair.alice, UpdateAddHtlc)
    assert again == first


def test_a_channel_that_a_reorg_brings_back_greets_when_it_is_greeted() -> None:
    """It was closed when the connection began, for one of the two."""
    from wallet.base.wire.channel import ChannelReestablish

    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.cut()
    pair.bob.sent.clear()
    pair.alice.step(events.PeerConnected())
    pair.deliver(pair.alice)
    assert len(_said(pair.bob, ChannelReestablish)) == 1
    pair.settle()
    assert pair.alice.state.link is pair.bob.state.link is Link.LIVE
    assert len(pair.bob.state.htlcs) == 1


@pytest.mark.parametrize("commit_first", [True, False])
def test_revocation_and_commitment_keep_their_order(commit_first: bool) -> None:
    """BOLT 2: in the same relative order as initially transmitted."""
    from wallet.base.wire.channel import CommitmentSigned, RevokeAndAck

    pair = ready_pair()
    pair.bob.step(offer(1))
    if commit_first:
        pair.alice.step(offer(2))
        pair.deliver(pair.bob)
        pair.deliver(pair.bob)
    else:
        pair.deliver(pair.bob)
        pair.deliver(pair.bob)
    kinds = (CommitmentSigned, RevokeAndAck)
    said = [type(_decoded(d)) for d in pair.alice.sent if type(_decoded(d)) in kinds]
    assert len(said) == 2
    assert (said[0] is CommitmentSigned) is commit_first
    pair.cut()
    crash(pair.alice)
    pair.reconnect()
    pair.deliver(pair.bob)
    again = [type(_decoded(d)) for d in pair.alice.sent if type(_decoded(d)) in kinds]
    assert again == said


# --- the net has teeth --------------------------------------------------------------------------


def _fails(name: str) -> bool:
    """Whether the test above notices: by its own assertions, or because a peer or a guard did."""
    try:
        for crashing in CRASHES[:2]:
            test_a_session_finishes_wherever_it_is_cut(name, crashing)
    except (AssertionError, WalletError, KeyError):
        return True
    return False


def test_planted__order_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    from wallet.machines.channel import reconnect

    real = reconnect.receive_reestablish

    def swapped(channel: Channel, message: object) -> object:
        from dataclasses import replace

        return real(replace(channel, commit_sent_last=not channel.commit_sent_last), message)  # type: ignore[arg-type]

    monkeypatch.setattr(reconnect, "receive_reestablish", swapped)
    assert _fails("both_ways_at_once")


def test_planted__uncommitted_updates_not_reversed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from wallet.machines.channel import reconnect

    def kept(channel: Channel) -> Channel:
        return replace(channel, link=Link.OFFLINE)

    monkeypatch.setattr(reconnect, "disconnected", kept)
    assert _fails("add_and_fulfill")


def test_actions_of_every_kind_occur() -> None:
    """The sessions above reach every wish of a channel but those of a failing one."""
    seen = set()
    for session in SESSIONS.values():
        pair = run(session, None)
        seen |= {type(a) for side in (pair.alice, pair.bob) for a in side.acts}
    assert {
        actions.Send,
        actions.Broadcast,
        actions.Watch,
        actions.HtlcOffered,
        actions.HtlcCommitted,
        actions.HtlcFulfilled,
        actions.HtlcGone,
        actions.TheirCommitmentSigned,
        actions.PhaseChanged,
        actions.Announced,
    } <= seen
