"""When a peer has had its time: HTLCs that force a channel onto the chain (BOLT 2, BOLT 5).

Rule 1: every HTLC that some commitment may hold counts, also one whose addition or removal the
peer leaves unfinished: that is how an HTLC would be stolen.
Rule 2: HTLCs that together cost more than they are worth do not close a channel; what that may lose
is said, never silent.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.channel_tx.fees import CommittedHtlc, is_trimmed
from wallet.base.values.amounts import FeeratePerKw, Satoshi, sum_sat
from wallet.machines.channel.actions import Action, HtlcLapsed, LossAccepted
from wallet.machines.channel.claims import FAIL_BACK_BY, GRACE
from wallet.machines.channel.htlc import Fulfilled, Htlc, LetGo
from wallet.machines.channel.htlc_stages import ROWS
from wallet.machines.channel.state import LIVING, Channel
from wallet.machines.step import Context

CLAIM_BLOCKS: Final = 18
"""BOLT 2's `2R+G+S`: before the expiry of an HTLC that we can claim, the channel goes on chain."""
_CLOSING_WEIGHT: Final = 1124 + 300
"""A commitment, and what a coin that pays for it adds, about."""
_HTLC_WEIGHT: Final = 172 + 700 + 300
"""What an HTLC adds: its output, its transaction, and the coin that pays for it, about."""


@dataclass(frozen=True, slots=True)
class Due:
    """An HTLC that a peer has sat on for too long, and why that matters."""

    htlc: Htlc
    reason: str
    cost: Satoshi
    """Forecast of what closing for it alone costs at the present fee rate."""


def overdue(channel: Channel, ctx: Context) -> list[Due]:
    """The HTLCs whose time is up at this height, dearest first."""
    if channel.phase not in LIVING:
        return []
    height, cost = ctx.height.height, forecast(ctx.feerate)
    found = [
        Due(htlc, reason, cost)
        for htlc in channel.htlcs.values()
        for reason in [_reason(htlc, height)]
        if reason is not None
    ]
    return sorted(found, key=lambda due: (-due.htlc.amount.msat, due.htlc.key.id))


def worth_closing(due: list[Due], let_go: LetGo, ctx: Context) -> list[Due]:
    """Those that are worth closing the channel for, all together; else none.

    Never one by one: a peer that sits on many small ones would steal each of them, at once or one
    after the other, when what this channel was let go before counts.
    """
    taken = [d for d in due if d.htlc.amount.floor_to_sat() > ctx.feerate.fee_ceil(_HTLC_WEIGHT)]
    if _value(taken) > forecast(ctx.feerate, len(taken)):
        return taken
    # None of these may be worth its own transaction; what they cost in the end is worth an end.
    new = [
        d for d in due if ctx.height.height <= _let_go_at(d.htlc) and d.htlc.key not in let_go.htlcs
    ]
    return due if new and _value(new) + let_go.total > forecast(ctx.feerate) else []


def _let_go_at(htlc: Htlc) -> int:
    """The height at which it counts as lost, as nobody goes to court for it."""
    expiry = htlc.cltv_expiry.height
    return expiry + FAIL_BACK_BY if htlc.key.offered_by_us else expiry - CLAIM_BLOCKS


def _value(due: list[Due]) -> Satoshi:
    return sum_sat([each.htlc.amount.floor_to_sat() for each in due])


def forecast(feerate: FeeratePerKw, htlcs: int = 1) -> Satoshi:
    """What a close by force costs for the sake of so many HTLCs."""
    return feerate.fee_ceil(_CLOSING_WEIGHT + htlcs * _HTLC_WEIGHT)


def _reason(htlc: Htlc, height: int) -> str | None:
    if not _is_anywhere(htlc):
        return None
    expiry = htlc.cltv_expiry.height
    if htlc.key.offered_by_us:
        # Once the preimage is known it has been passed on: the rest is the peer's to settle.
        if height < expiry + GRACE or isinstance(htlc.removal, Fulfilled):
            return None
        return (
            f"the peer has neither paid nor failed HTLC {htlc.key.id} of {htlc.amount},"
            f" which expired at block {expiry}"
        )
    if not isinstance(htlc.removal, Fulfilled) or height < expiry - CLAIM_BLOCKS:
        return None
    return (
        f"the peer has not settled HTLC {htlc.key.id} of {htlc.amount}, whose preimage it has,"
        f" and it expires at block {expiry}"
    )


def _is_anywhere(htlc: Htlc) -> bool:
    row = ROWS[htlc.stage]
    return row.in_ours or row.in_theirs or row.in_our_previous or row.in_their_previous


def nearest(channel: Channel) -> tuple[int | None, Satoshi]:
    """The first height at which our commitment must be buried, and what is lost otherwise."""
    at_risk = [
        (_deadline(htlc), htlc.amount.floor_to_sat().sat)
        for htlc in channel.htlcs.values()
        if ROWS[htlc.stage].in_ours and is_contested(htlc) and not _is_dust(channel, htlc)
    ]
    if not at_risk:
        return None, Satoshi(0)
    return min(height for height, _ in at_risk), Satoshi(sum(sat for _, sat in at_risk))


def is_contested(htlc: Htlc) -> bool:
    """Whether the chain is to decide it for us: ours to take back, or theirs that we can claim."""
    if htlc.key.offered_by_us:
        return not isinstance(htlc.removal, Fulfilled)
    return isinstance(htlc.removal, Fulfilled)


def _deadline(htlc: Htlc) -> int:
    expiry = htlc.cltv_expiry.height
    return expiry + FAIL_BACK_BY if htlc.key.offered_by_us else expiry


def _is_dust(channel: Channel, htlc: Htlc) -> bool:
    terms = channel.terms
    known = CommittedHtlc(
        htlc.key.id, htlc.key.offered_by_us, htlc.amount, htlc.payment_hash, htlc.cltv_expiry
    )
    return is_trimmed(terms.format, known, channel.feerate, terms.ours.dust_limit)


def accepted(due: Due, let_go: LetGo, ctx: Context) -> tuple[Action, ...]:
    """What follows from letting an HTLC be that costs more than it is worth.

    The channel lives on.  One of ours must fail upstream before the one that came in expires;
    should the peer show the preimage after that, or take back what it owes, the amount is our loss.
    """
    htlc, height = due.htlc, ctx.height.height
    due_now = height == _let_go_at(htlc) and htlc.key not in let_go.htlcs
    told = (LossAccepted(htlc, due.cost),) if due_now else ()
    lapsed = htlc.key.offered_by_us and height >= _let_go_at(htlc)
    return (*told, HtlcLapsed(htlc)) if lapsed else told
