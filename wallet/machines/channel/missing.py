"""A funding that is in no block: is it still on its way, or has another taken its coins?

A channel that is used before its funding is mined, or whose block was taken back, stands on a
transaction that its opener may double-spend.

Rule 1: one tip without it means nothing, a mempool may lag.  Two in a row, or a block with a
transaction that spends the same coins, and nothing more is promised or taken over the channel.
Rule 2: the channel stays: once the funding is found again, all goes on as before.
"""

from dataclasses import replace

from wallet.machines.channel import events
from wallet.machines.channel.actions import Action, FundingBack, FundingLost, HtlcLapsed
from wallet.machines.channel.claims import FAIL_BACK_BY
from wallet.machines.channel.htlc import Fulfilled, Htlc
from wallet.machines.channel.state import Channel, Missing, Phase, is_lost
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]


def is_sought(channel: Channel) -> bool:
    """Whether payments stand on a funding that no block holds: each new tip is asked for it."""
    return (
        channel.ready_sent
        and channel.ready_received
        and channel.funding.confirmed is None
        and channel.onchain is None
        and channel.phase is not Phase.CLOSED
    )


def sought(channel: Channel, event: events.FundingSought) -> ChannelStep:
    """What the backend knows of the funding at one tip, or a block that holds its rival."""
    known = channel.missing
    if not is_sought(channel) or (known is not None and known.rival is not None):
        # Mined in between; or a block has decided, and only a reorganisation can undo it.
        return Step(channel)
    if event.rival is not None:
        return _with(channel, Missing(event.height, lost=True, rival=event.rival))
    if event.found:
        return _with(channel, None)
    if known is None:
        return _with(channel, Missing(event.height))
    return _with(channel, replace(known, lost=known.lost or event.height != known.since))


def found(channel: Channel) -> ChannelStep:
    """A block holds the funding."""
    return _with(channel, None)


def _with(channel: Channel, missing: Missing | None) -> ChannelStep:
    after = replace(channel, missing=missing)
    told: tuple[Action, ...] = ()
    if is_lost(after) and not is_lost(channel):
        told = (FundingLost(sentence(after)),)
    elif is_lost(channel) and not is_lost(after):
        told = (FundingBack(),)
    return Step(after, told)


def without_rival(channel: Channel, ctx: Context) -> Channel:
    """At a new tip: a reorganisation may have taken the rival's block. The backend is asked again.

    The funding stays lost until it is found: the rival waits in the mempools now.
    """
    known = channel.missing
    if known is None or known.rival is None or ctx.height.height >= known.since:
        return channel
    return replace(channel, missing=replace(known, rival=None))


def lapsed(channel: Channel, ctx: Context) -> tuple[Action, ...]:
    """HTLCs of ours that no commitment can decide in time: a failure must go upstream by now."""
    if not is_lost(channel):
        return ()
    height = ctx.height.height
    return tuple(
        HtlcLapsed(h) for h in unpaid(channel) if height >= h.cltv_expiry.height + FAIL_BACK_BY
    )


def unpaid(channel: Channel) -> list[Htlc]:
    """HTLCs of ours whose preimage has not come."""
    rows = channel.htlcs.values()
    return [h for h in rows if h.key.offered_by_us and not isinstance(h.removal, Fulfilled)]


def sentence(channel: Channel) -> str:
    """What happened, where the money is, and what to do."""
    return f"{_what(channel)}. {_money(channel)}. Nothing is paid or taken over it any more;" + (
        " should a reorganisation bring the funding back, it goes on"
        if channel.missing is not None and channel.missing.rival is not None
        else " once the funding is found again, it goes on"
    )


def last_sentence(channel: Channel) -> str:
    """Why a channel is forgotten whose funding will not come back."""
    return f"{_what(channel)}, and that is too deep to change"


def _what(channel: Channel) -> str:
    missing = channel.missing
    if missing is None:
        return "the funding transaction is in no block yet"
    if missing.rival is not None:
        return (
            f"the funding transaction was double-spent: {missing.rival} took its coins in block"
            f" {missing.since:,}"
        )
    return (
        "the funding transaction is in no block, and since block"
        f" {missing.since:,} in no mempool that we know: it was double-spent, or pays too little"
    )


def _money(channel: Channel) -> str:
    if not channel.terms.we_opened:
        return (
            "What is yours in this channel does not exist while that is so: treat what came in by"
            " it as not paid, and ask the peer"
        )
    if channel.missing is not None and channel.missing.rival is not None:
        return "The coins that you put in are where that transaction sent them"
    return "The coins that you put in stay reserved for it"
