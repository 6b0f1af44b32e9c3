"""From a funding transaction in the mempool to a channel that may carry payments.

BOLT 2 `channel_ready`.  The opener trusts its own funding; the other side waits for the depth that
it asked for.  Aliases name a channel that has no real scid yet, or wants to keep it private.
"""

from dataclasses import replace
from typing import Final

from wallet.base.bitcoin.transaction import TxOut
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.channel import ChannelReady
from wallet.base.wire.setup import error_for
from wallet.machines.channel import events, missing
from wallet.machines.channel.actions import Action, HtlcLapsed, Send
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.state import (
    Announcement,
    Channel,
    Confirmation,
    Link,
    Phase,
    Scid,
    ScidKind,
    is_lost,
)
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

FORGET_UNCONFIRMED: Final = 2016
"""BOLT 2: blocks after which the side that did not fund forgets an unconfirmed channel."""


def funding_confirmed(channel: Channel, event: events.FundingConfirmed) -> ChannelStep:
    """The funding transaction is in a block: note where, and the channel's real name."""
    funding = channel.funding
    # BOLT 2: MUST NOT send `channel_ready` unless the outpoint pays exactly `funding_satoshis` to
    # the scriptpubkey of BOLT 3.  A fundee has not seen the transaction before: the opener may have
    # named an output of its own, or none, and would then pay us with money that is not there.
    promised = TxOut(funding.amount, funding_output(funding.our_pubkey, funding.their_pubkey))
    index = funding.outpoint.index
    if index >= len(event.tx.outputs) or event.tx.outputs[index] != promised:
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"the funding transaction does not pay {funding.amount} to the channel",
        )
    found = replace(funding, confirmed=Confirmation(event.height, event.tx_index))
    scid = ShortChannelId(event.height, event.tx_index, funding.outpoint.index)
    names = tuple(
        replace(s, until=event.height) if s.kind is ScidKind.REAL and s.until is None else s
        for s in channel.scids
        if s.kind is not ScidKind.REAL or s.scid != scid
    )
    names = (*names, Scid(scid, ScidKind.REAL, funding.number))
    return missing.found(replace(channel.with_funding(found), scids=names))


def funding_unconfirmed(channel: Channel) -> ChannelStep:
    """A reorganisation took the funding out; it may be mined elsewhere and get a new name."""
    unconfirmed = channel.with_funding(replace(channel.funding, confirmed=None))
    # Whatever name comes next is signed for anew, once it is deep.
    return Step(replace(unconfirmed, announcement=Announcement(theirs=channel.announcement.theirs)))


def is_hopeless(channel: Channel, ctx: Context) -> bool:
    """Whether the opener has had long enough to get its funding mined, and nothing of ours is in.

    A channel that was used before its confirmation is kept, for there may be money of ours in it:
    until its funding is lost for good.
    """
    terms, lost = channel.terms, channel.missing
    if lost is not None and lost.lost and missing.is_sought(channel):
        patience = FORGET_UNCONFIRMED if lost.rival is None else FORGET_DEPTH
        return ctx.height.height - lost.since >= patience
    return (
        not terms.we_opened
        and channel.funding.confirmed is None
        and channel.onchain is None
        and channel.phase is not Phase.CLOSED
        and not (channel.ready_sent and channel.ready_received)
        and terms.opened_height is not None
        and ctx.height.height - terms.opened_height >= FORGET_UNCONFIRMED
    )


def forget(channel: Channel, ctx: Context) -> ChannelStep:
    """BOLT 2: SHOULD forget the channel if it does not see the correct funding transaction."""
    reason = (
        missing.last_sentence(channel)
        if is_lost(channel)
        else f"the funding transaction was not mined within {FORGET_UNCONFIRMED} blocks"
    )
    closed = replace(channel, error=reason).with_phase(Phase.CLOSED, ctx.now, "local", reason)
    there = channel.link is not Link.OFFLINE
    said = (Send(error_for(channel.id, reason)),) if there else ()
    # What went on over it will never be decided: whoever waits upstream is told.
    return Step(closed, (*said, *(HtlcLapsed(htlc) for htlc in missing.unpaid(channel))))


def progress(channel: Channel, ctx: Context) -> ChannelStep:
    """Say `channel_ready` once the depth is reached and the peer is there."""
    if (
        channel.ready_sent
        or channel.link is not Link.LIVE
        or channel.phase is not (Phase.AWAITING_CONFIRMATION)
    ):
        return Step(channel)
    confirmed = channel.funding.confirmed
    depth = ctx.height.height - confirmed.height + 1 if confirmed else 0
    if depth < channel.terms.minimum_depth:
        return Step(channel)
    after = _both_ready(replace(channel, ready_sent=True), ctx)
    return Step(after, (channel_ready(channel),))


def channel_ready(channel: Channel) -> Send:
    """The message; the same each time it is sent."""
    return Send(ChannelReady(channel.id, channel.our_points[1], channel.scid(ScidKind.OURS)))


def receive_channel_ready(channel: Channel, message: ChannelReady, ctx: Context) -> ChannelStep:
    """BOLT 2 `channel_ready`; a redundant one after a reconnect may only bring another alias."""
    names = channel.scids
    alias = message.short_channel_id
    if alias is not None:
        # BOLT 2: the recipient only need remember one.  A peer may send them without end.
        names = tuple(s for s in names if s.kind is not ScidKind.THEIRS)
        names = (*names, Scid(alias, ScidKind.THEIRS, channel.funding.number))
    after = replace(channel, scids=names)
    if channel.ready_received:
        return Step(after)
    points = (channel.their_points[0], message.second_per_commitment_point)
    return Step(_both_ready(replace(after, ready_received=True, their_points=points), ctx))


def _both_ready(channel: Channel, ctx: Context) -> Channel:
    waiting = channel.phase is Phase.AWAITING_CONFIRMATION
    if waiting and channel.ready_sent and channel.ready_received:
        return channel.with_phase(Phase.READY, ctx.now, "user", "Lockin complete")
    return channel
