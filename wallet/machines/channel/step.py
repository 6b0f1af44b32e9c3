"""The life of one channel as a function: `step(channel, event, ctx) -> Step(channel', actions)`.

Rule 1: helpers raise `PeerFault`; `step` is the one place that turns a fault into actions.
Rule 2: `Refused` passes through to whoever asked, with the state untouched.
Rule 3: what the peer says is heard only in the phase and on the link in which it may say it.
"""

from dataclasses import replace
from typing import Final, TypeAlias, assert_never

from wallet.base.errors import PeerFault, Refused, Severity
from wallet.base.wire.channel import (
    ChannelReady,
    ChannelReestablish,
    ClosingComplete,
    ClosingSig,
    ClosingSigned,
    CommitmentSigned,
    RevokeAndAck,
    Shutdown,
    UpdateAddHtlc,
    UpdateFailHtlc,
    UpdateFailMalformedHtlc,
    UpdateFee,
    UpdateFulfillHtlc,
)
from wallet.base.wire.gossip import AnnouncementSignatures
from wallet.base.wire.message import Message
from wallet.base.wire.setup import Error, error_for, reason_of, warning_for
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import (
    announce,
    close_legacy,
    close_simple,
    dance,
    deadlines,
    events,
    missing,
    onchain,
    ready,
    reconnect,
    shutdown,
    unilateral,
    updates,
)
from wallet.machines.channel.actions import Action, Disconnect, LossAccepted, PhaseChanged, Send
from wallet.machines.channel.clearing import is_simple
from wallet.machines.channel.resume import promised
from wallet.machines.channel.state import LIVING, Channel, Link, Phase
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]


def step(channel: Channel, event: events.Event, ctx: Context) -> ChannelStep:
    """One event. Raises `Refused` for what our own side may not ask now."""
    try:
        after = _handle(channel, event, ctx)
    except PeerFault as fault:
        after = _answer_fault(channel, fault, ctx)
    if after.state.phase is not channel.phase and not any(
        isinstance(a, PhaseChanged) for a in after.actions
    ):
        change = PhaseChanged(channel.phase, after.state.phase, after.state.changes[-1].message)
        return Step(after.state, (*after.actions, change))
    return after


def _handle(channel: Channel, event: events.Event, ctx: Context) -> ChannelStep:  # noqa: PLR0911
    match event:
        case events.MessageReceived():
            return _receive(channel, event.message, ctx)
        case events.Flush():
            return _flush(channel, ctx)
        case events.SecretReleased():
            return dance.revoke(channel, event.released)
        case events.OfferHtlc():
            return updates.offer(channel, event)
        case events.FulfillHtlc():
            return _fulfill(channel, event, ctx)
        case events.FailHtlc() | events.FailMalformedHtlc():
            return updates.remove(channel, event)
        case events.PeerConnected():
            return _connected(_with_features(channel, event.features))
        case events.PeerDisconnected():
            return Step(reconnect.disconnected(channel))
        case events.ProofChecked():
            return reconnect.proof_checked(channel, event, ctx.now)
        case events.ChangeFeerate():
            return updates.change_feerate(channel, event.feerate)
        case events.ChangeRelay():
            return _change_relay(channel, event)
        case events.CloseMutually():
            return shutdown.ask(channel, event, ctx)
        case events.CloseUnilaterally():
            return _close_unilaterally(channel, event.reason, ctx)
        case events.FundingConfirmed():
            return ready.funding_confirmed(channel, event)
        case events.FundingUnconfirmed():
            freed, free = unilateral.without_child(channel)
            return Step(ready.funding_unconfirmed(freed).state, free)
        case events.FundingSought():
            return missing.sought(channel, event)
        case events.FundingSpent():
            return onchain.funding_spent(channel, event, ctx)
        case events.FundingUnspent():
            return onchain.funding_unspent(channel, ctx)
        case events.ClaimSpent():
            return onchain.claim_spent(channel, event)
        case events.ClaimUnspent():
            return onchain.claim_unspent(channel, event)
        case events.ClaimFunded():
            return onchain.claim_funded(channel, event)
        case events.BumpMade():
            return unilateral.bump_made(channel, event)
        case events.NewTip():
            return _new_tip(channel, event, ctx)
    assert_never(event)


def _with_features(channel: Channel, features: bytes | None) -> Channel:
    # BOLT 9: what holds on a connection is what its `init` said.  Were the word of another day
    # taken, one side would wait for `closing_complete` and the other for `closing_signed`.
    if features is None or features == channel.terms.their_features:
        return channel
    return replace(channel, terms=replace(channel.terms, their_features=features))


def _fulfill(channel: Channel, event: events.FulfillHtlc, ctx: Context) -> ChannelStep:
    said = updates.remove(channel, event)
    taken = onchain.preimage_known(said.state, event.id, ctx)
    return Step(taken.state, (*said.actions, *taken.actions))


def _new_tip(channel: Channel, event: events.NewTip, ctx: Context) -> ChannelStep:
    if ready.is_hopeless(channel, ctx):
        return ready.forget(channel, ctx)
    if channel.phase is Phase.SPENT:
        return onchain.progress(channel, event, ctx)
    channel = missing.without_rival(channel, ctx)
    due = deadlines.overdue(channel, ctx)
    worth = deadlines.worth_closing(due, channel.let_go, ctx)
    if worth:
        # BOLT 5: while the peer sits on it, only the chain can still decide in our favour.
        return unilateral.fail(channel, worth[0].reason, ctx, "protocol")
    channel, back = unilateral.without_late(channel, ctx)
    lost = tuple(a for each in due for a in deadlines.accepted(each, channel.let_go, ctx))
    if told := [action.htlc for action in lost if isinstance(action, LossAccepted)]:
        channel = replace(channel, let_go=channel.let_go.with_more(told, channel.htlcs))
    lost += missing.lapsed(channel, ctx)
    deeper = _deeper(channel, ctx)
    pressed = unilateral.press(channel, ctx) if event.latest else ()
    return Step(deeper.state, (*promised(channel), *back, *pressed, *lost, *deeper.actions))


def _connected(channel: Channel) -> ChannelStep:
    signed = channel.phase is Phase.MUTUALLY_CLOSED and channel.signed_close is not None
    if signed and not is_simple(channel):
        # BOLT 2: MUST transmit `channel_reestablish` for each channel.  Nothing is left to say of
        # this one, though: a peer that lacks its last `closing_signed` greets us and is answered.
        # LDK has forgotten it; Electrum would neither answer nor read on, whatever the channel.
        return Step(channel)
    if channel.phase in LIVING or channel.phase is Phase.MUTUALLY_CLOSED:
        return reconnect.connected(channel)
    if channel.phase is Phase.FAILED and not _peer_failed(channel):
        return _failed(channel)
    return Step(channel)


def _peer_failed(channel: Channel) -> bool:
    """Whether a failed channel was failed by the peer: then we are silent until it speaks of it.

    It may know nothing of the channel (the link ended before our `funding_signed`) and hang up
    whenever it hears of it: no other channel with it could ever be had.
    """
    return channel.changes[-1].cause == "remote" and not channel.fell_behind


def _failed(channel: Channel) -> ChannelStep:
    if channel.error is None:
        return Step(channel)
    # BOLT 2: if a channel is in an error state: SHOULD retransmit the error packet and ignore any
    # other packets for that channel.  Our channel_reestablish goes before it: a peer whose copy is
    # old would answer the error alone with a commitment that it has revoked, and one that is told
    # that ours is old learns from it that it must close.
    hello = reconnect.connected(channel).actions
    return Step(channel, (*hello, Send(error_for(channel.id, channel.error))))


def _change_relay(channel: Channel, event: events.ChangeRelay) -> ChannelStep:
    if channel.phase not in LIVING:
        raise Refused(f"this channel is closing: nothing passes through it ({channel.phase})")
    return Step(replace(channel, relay=event.relay))


def _close_unilaterally(channel: Channel, reason: str, ctx: Context) -> ChannelStep:
    if channel.fell_behind:
        raise Refused(
            "our copy of this channel is old: broadcasting it would lose everything in it."
            " Only the peer can close it; ask its operator"
        )
    if channel.phase not in LIVING and channel.phase is not Phase.MUTUALLY_CLOSED:
        raise Refused(f"this channel is closing already ({channel.phase})")
    # A cooperative close that no mempool takes must not hold the money: our commitment may.
    return unilateral.fail(channel, reason, ctx, "user")


def _flush(channel: Channel, ctx: Context) -> ChannelStep:
    """What may be said now: channel_ready, then the commitment, then words about the close."""
    if channel.phase not in LIVING and channel.phase is not Phase.MUTUALLY_CLOSED:
        return Step(channel)
    said = _deeper(channel, ctx)
    committed = dance.commit(said.state)
    closing = shutdown.progress(committed.state, ctx)
    return Step(closing.state, (*said.actions, *committed.actions, *closing.actions))


def _deeper(channel: Channel, ctx: Context) -> ChannelStep:
    """What waits for blocks on top of the funding: channel_ready, then the announcement."""
    said = ready.progress(channel, ctx)
    shown = announce.progress(said.state, ctx)
    return Step(shown.state, (*said.actions, *shown.actions))


_OfAClose: TypeAlias = Shutdown | ClosingSigned | ClosingComplete | ClosingSig


def _receive(channel: Channel, message: Message, ctx: Context) -> ChannelStep:
    match message:
        case Error():
            return _error(channel, message, ctx)
        case PeerWarning():
            return Step(channel)
        case ChannelReestablish():
            return _reestablish(channel, message, ctx)
        case _:
            pass
    if channel.phase not in LIVING and not (
        # The peer may have lost our agreement with the connection, or offer a higher fee.
        channel.phase is Phase.MUTUALLY_CLOSED and isinstance(message, _OfAClose)
    ):
        return Step(channel)
    if channel.link is not Link.LIVE:
        return _early(channel, message)
    return _operate(channel, message, ctx)


_NO_END: Final = {
    b"internal error": Severity.DISCONNECT,
    b"link failed to shutdown": Severity.WARN,
    b"cannot co-op close channel w/ active htlcs": Severity.WARN,
}
"""Data of an `error` by which LND does not fail the channel, and what it takes to go on.

BOLT 1 has us fail it.  Core Lightning, eclair and LDK do not either: after the first, LND goes on
with the next connection; by the others it only says that it cannot close with HTLCs in flight.
"""


def _error(channel: Channel, message: Error, ctx: Context) -> ChannelStep:
    said = reason_of(message)
    severity = _NO_END.get(message.data)
    if severity is not None and channel.phase in LIVING:
        raise PeerFault(severity, f"your error ({said}) does not fail the channel here")
    return unilateral.fail(channel, f"the peer failed the channel: {said}", ctx, "remote")


MOST_EARLY: Final = 8
"""Messages that may wait for a peer's `channel_reestablish`."""


def _early(channel: Channel, message: Message) -> ChannelStep:
    # BOLT 2: MUST wait to receive the other node's `channel_reestablish` message before sending any
    # other messages for that channel.  LND does not wait with these two, on every connection: a
    # link that is cut for it would never come up.  (After an early `channel_ready` it may never
    # greet us, and a new connection is what helps.)
    may_wait = isinstance(message, AnnouncementSignatures | Shutdown)
    if not may_wait or len(channel.early) >= MOST_EARLY:
        raise PeerFault(Severity.DISCONNECT, f"{message.name} before channel_reestablish")
    return Step(replace(channel, early=(*channel.early, message)))


def _reestablish(channel: Channel, message: ChannelReestablish, ctx: Context) -> ChannelStep:
    if channel.phase is Phase.CLOSED:
        # Nothing is left here to talk about; the peer is to close its side.
        reason = channel.error or "this channel is closed and settled"
        zero = (Send(said) for said in reconnect.of_no_channel(message))
        return Step(channel, (*zero, Send(error_for(channel.id, reason))))
    if channel.phase is Phase.FAILED:
        # Ours is on its way to the chain.  If it is revoked, no block may have it yet.
        proof = () if channel.fell_behind else reconnect.proof_in(channel, message)
        # It has failed the channel and asks after it: it may have been put back to an old copy.
        answer = _failed(channel).actions if _peer_failed(channel) else ()
        return Step(channel, (*proof, *answer))
    if channel.phase not in LIVING and channel.phase is not Phase.MUTUALLY_CLOSED:
        return Step(channel)
    after = reconnect.receive_reestablish(channel, message)
    if after.state.link is not Link.LIVE:
        return after
    early, after = after.state.early, Step(replace(after.state, early=()), after.actions)
    for waiting in early:
        heard = step(after.state, events.MessageReceived(waiting), ctx)
        after = Step(heard.state, (*after.actions, *heard.actions))
    return after


def _close(channel: Channel, message: _OfAClose, ctx: Context) -> ChannelStep:
    match message:
        case Shutdown():
            return shutdown.receive_shutdown(channel, message, ctx)
        case ClosingSigned():
            return close_legacy.receive_closing_signed(channel, message, ctx)
        case ClosingComplete():
            return close_simple.receive_closing_complete(channel, message, ctx)
        case ClosingSig():
            return close_simple.receive_closing_sig(channel, message, ctx)


def _operate(channel: Channel, message: Message, ctx: Context) -> ChannelStep:
    match message:
        case ChannelReady():
            return ready.receive_channel_ready(channel, message, ctx)
        case Shutdown() | ClosingSigned() | ClosingComplete() | ClosingSig():
            return _close(channel, message, ctx)
        case AnnouncementSignatures():
            # BOLT 7: if it has not sent `channel_ready`: SHOULD defer handling. They are kept.
            return announce.receive(channel, message, ctx)
        case _:
            pass
    if not (channel.ready_sent and channel.ready_received):
        # LND's may be slower than its first `update_fee`; both come again on a new connection.
        raise PeerFault(Severity.DISCONNECT, f"{message.name} before channel_ready")
    match message:
        case UpdateAddHtlc():
            return updates.receive_addition(channel, message)
        case UpdateFulfillHtlc() | UpdateFailHtlc() | UpdateFailMalformedHtlc():
            return updates.receive_removal(channel, message)
        case UpdateFee():
            return updates.receive_feerate(channel, message)
        case CommitmentSigned():
            return dance.receive_commitment_signed(channel, message)
        case RevokeAndAck():
            return dance.receive_revoke_and_ack(channel, message)
        case _:
            raise PeerFault(Severity.WARN, f"{message.name} is not expected on a channel")


def _answer_fault(channel: Channel, fault: PeerFault, ctx: Context) -> ChannelStep:
    match fault.severity:
        case Severity.IGNORE:
            return Step(channel)
        case Severity.WARN:
            return Step(channel, (Send(warning_for(channel.id, fault.reason)),))
        case Severity.DISCONNECT:
            warning = Send(warning_for(channel.id, fault.reason))
            return Step(channel, (warning, Disconnect(fault.reason)))
        case Severity.FAIL_CHANNEL:
            return unilateral.fail(channel, fault.reason, ctx, "protocol")
    assert_never(fault.severity)
