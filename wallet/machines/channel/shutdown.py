"""Cooperative close: `shutdown` both ways, then the words of the negotiated kind of closing.

BOLT 2 "Closing Initiation".  What comes after it is `close_simple.py` where both offered
`option_simple_close`, else `close_legacy.py`.
"""

from dataclasses import replace
from typing import Final

from wallet.base.bitcoin.script import witness_program
from wallet.base.errors import PeerFault, Refused, Severity
from wallet.base.values.features import Features
from wallet.base.wire.channel import Shutdown
from wallet.machines.channel import close_legacy, close_simple
from wallet.machines.channel.actions import Action, Broadcast, Send
from wallet.machines.channel.clearing import is_simple, negotiating
from wallet.machines.channel.close_scripts import check_their_script, is_allowed
from wallet.machines.channel.events import CloseMutually
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.state import AGREEING, LIVING, Channel, Link, Phase
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

CLOSING_PATIENCE: Final = 600
"""Seconds for a peer that is there to agree on a fee, once we have named ours."""


def ask(channel: Channel, event: CloseMutually, ctx: Context) -> ChannelStep:
    """Want a cooperative close; the message goes out with the next flush that allows it.

    Once a simple close is agreed, asking again raises the fee that we pay for it.
    """
    script, feerates = event.script_pubkey, event.feerates
    agreed = channel.phase is Phase.MUTUALLY_CLOSED
    if agreed and not is_simple(channel):
        raise Refused(
            "this channel is closed already and waits for its block. The peer does not offer"
            " option_simple_close, so the fee that was agreed on stands"
        )
    if channel.phase not in LIVING and not agreed:
        raise Refused(f"this channel cannot be closed cooperatively now ({channel.phase})")
    if channel.our_shutdown is not None:
        if script not in (None, channel.our_shutdown):
            raise Refused("this channel is closing to another address already")
        after = replace(channel, close_feerates=feerates or channel.close_feerates)
        if agreed:
            return Step(close_simple.raise_fee(after, ctx))
        return Step(close_simple.at_once(after) if feerates is not None else after)
    ours = channel.terms.ours.upfront_shutdown_script or script or channel.terms.close_to
    if script is not None and script != ours:
        raise Refused("this channel was opened with a fixed address to close to")
    _check_destination(ours, Features.from_bytes(channel.terms.their_features))
    return Step(replace(channel, our_shutdown=ours, close_feerates=feerates))


def _check_destination(script: bytes, their_features: Features) -> None:
    # The peer would fail the channel over a script that BOLT 2 does not allow.
    if witness_program(script) is None:
        raise Refused("a channel closes to a segwit address only (BOLT 2)", -32602)
    if not is_allowed(script, their_features):
        raise Refused(
            "this channel closes to a segwit version 0 address only: "
            "option_shutdown_anysegwit was not negotiated with the peer",
            -32602,
        )


def is_overdue(channel: Channel, now: int) -> bool:
    """Whether the peer is there and has not agreed on a closing fee for too long."""
    talk = channel.negotiation
    waiting = talk.proposal is not None or (
        talk.our_fee is not None and channel.phase is Phase.NEGOTIATING
    )
    late = now - talk.since > CLOSING_PATIENCE
    return channel.phase in AGREEING and channel.link is Link.LIVE and waiting and late


def progress(channel: Channel, ctx: Context) -> ChannelStep:
    """At the end of a batch: say `shutdown`, or the first word about a fee, once it may be said."""
    if channel.link is not Link.LIVE:
        return Step(channel)
    if is_overdue(channel, ctx.now):
        # BOLT 2: if it doesn't receive a `closing_signed` response after a reasonable amount of
        # time: MUST fail the channel.  BOLT 2, simple: SHOULD close the connection if it doesn't
        # receive `closing_sig`.
        simple = channel.negotiation.proposal is not None
        raise PeerFault(
            Severity.DISCONNECT if simple else Severity.FAIL_CHANNEL,
            f"no closing fee was agreed in {CLOSING_PATIENCE} seconds",
        )
    actions: list[Action] = []
    if channel.our_shutdown is not None and not channel.shutdown_sent and _may_shut(channel):
        channel = replace(channel, shutdown_sent=True).with_phase(
            Phase.SHUTTING_DOWN, ctx.now, "user", "Shutdown sent"
        )
        actions.append(Send(Shutdown(channel.id, channel.our_shutdown or b"")))
    channel = negotiating(channel, ctx)
    # Agreed already: the peer may have lost our last word with the connection.
    if channel.phase not in AGREEING:
        return Step(channel, tuple(actions))
    if is_simple(channel):
        proposed = close_simple.propose(channel, ctx)
    elif channel.terms.we_opened:
        proposed = close_legacy.open_negotiation(channel, ctx)
    else:
        proposed = Step(channel)
    return Step(proposed.state, (*actions, *proposed.actions))


def _may_shut(channel: Channel) -> bool:
    # BOLT 2: if there are updates pending on the receiving node's commitment transaction: MUST NOT
    # send a `shutdown`.
    waiting = {Stage.SENT_ADD_HTLC, Stage.SENT_REMOVE_HTLC}
    if any(h.stage in waiting for h in channel.htlcs.values()):
        return False
    # A change of the fee is let through to the end: with both `shutdown`s exchanged, Core Lightning
    # commits to it no more and waits for our word about the close, as we would for its commitment.
    return len(channel.fees) == 1


def receive_shutdown(channel: Channel, message: Shutdown, ctx: Context) -> ChannelStep:
    """BOLT 2 `shutdown`; ours follows with the next flush."""
    script = message.scriptpubkey
    check_their_script(channel, script, Severity.WARN)
    if channel.their_shutdown not in (None, script) and not _may_change(channel):
        # BOLT 2: MUST NOT send multiple `shutdown` messages; after a reconnect the same is said
        # again.  With another script, a close that both have signed could not be built any more.
        raise PeerFault(Severity.DISCONNECT, "shutdown to another script than before")
    if any(h.stage is Stage.RCVD_ADD_HTLC for h in channel.htlcs.values()):
        raise PeerFault(Severity.DISCONNECT, "shutdown with updates that are not committed")
    after = replace(
        channel,
        their_shutdown=script,
        negotiation=replace(channel.negotiation, heard_shutdown=True),
        our_shutdown=channel.our_shutdown
        or channel.terms.ours.upfront_shutdown_script
        or channel.terms.close_to,
    )
    if after.phase in {Phase.AWAITING_CONFIRMATION, Phase.READY}:
        after = after.with_phase(Phase.SHUTTING_DOWN, ctx.now, "remote", "Peer sent shutdown")
    return Step(after)


def _may_change(channel: Channel) -> bool:
    """With `option_simple_close` the first `shutdown` of a connection may name another script.

    Its versions remember their scripts; a legacy close that is signed does not.
    """
    first = not channel.negotiation.heard_shutdown
    return first and is_simple(channel) and channel.signed_close is None


def resend_shutdown(channel: Channel) -> tuple[Action, ...]:
    """BOLT 2: upon reconnection, if it has sent a previous `shutdown`: MUST retransmit it."""
    if not channel.shutdown_sent or channel.our_shutdown is None:
        return ()
    return (Send(Shutdown(channel.id, channel.our_shutdown)),)


def broadcast_close(channel: Channel) -> tuple[Broadcast, ...]:
    """Every closing transaction that both have signed, to be broadcast (again, after a restart).

    The last is the one that pays most: mempools drop the others for it.
    """
    versions = channel.simple_close.versions
    return (
        *close_legacy.broadcast_signed(channel),
        *(close_simple.broadcast_version(channel, version) for version in versions),
    )
