"""How much may be offered, either way: reserve, fee, spike buffer, in-flight and count limits.

One list of limits serves both questions: *may this HTLC be added?* and *how much can I send?*
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wallet.base.channel_tx.fees import CommittedHtlc, commitment_fee, untrimmed
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.amounts import ZERO_MSAT, FeeratePerKw, MilliSatoshi, sum_msat
from wallet.machines.channel.commitments import Column, split
from wallet.machines.channel.htlc import Htlc, Split
from wallet.machines.channel.htlc_stages import ROWS, Beat, Row, advance
from wallet.machines.channel.state import Channel, Funding, is_lost

MAX_CLTV_EXPIRY: Final = 500_000_000
"""BOLT 2: from here on a locktime would mean seconds."""
MAX_DUST_EXPOSURE: Final = MilliSatoshi(50_000_000)
"""BOLT 2 `max_dust_htlc_exposure_msat`: what a commitment may burn as fee in HTLCs too small for
an output of their own. Core Lightning's default."""
FEE_SPIKE_FACTOR: Final = 2
"""BOLT 2: the recommended buffer handles twice the current fee rate."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be offered, and the sentence for whoever asks for more."""

    amount: MilliSatoshi
    reason: str


def next_theirs(row: Row) -> bool:
    """In the commitment that we would sign for them now."""
    following = row.following if row.beat is Beat.WE_COMMIT else None
    return (ROWS[following] if following else row).in_theirs


def next_ours(row: Row) -> bool:
    """In the commitment that they would sign for us now."""
    following = row.following if row.beat is Beat.THEY_COMMIT else None
    return (ROWS[following] if following else row).in_ours


def at_last(row: Row) -> bool:
    """In our commitment once everything said has been committed and revoked; removals wait."""
    return not row.removing or row.in_ours


def _outputs(channel: Channel, content: Split, *, ours: bool, feerate: FeeratePerKw) -> int:
    terms = channel.terms
    dust_limit = (terms.ours if ours else terms.theirs).dust_limit
    committed = [
        CommittedHtlc(
            h.key.id, h.key.offered_by_us is ours, h.amount, h.payment_hash, h.cltv_expiry
        )
        for h in content.htlcs
    ]
    return len(untrimmed(terms.format, committed, feerate, dust_limit))


def cost_to_opener(
    channel: Channel, content: Split, *, ours: bool, extra_htlcs: int, factor: int = 1
) -> MilliSatoshi:
    """Fee and anchors of a commitment with that content and `extra_htlcs` more outputs."""
    rules = channel.terms.format
    feerate = FeeratePerKw(content.feerate.per_kw * factor)
    count = _outputs(channel, content, ours=ours, feerate=content.feerate) + extra_htlcs
    return (commitment_fee(rules, feerate, count) + rules.anchors_total).to_msat()


def _offered(content: Split, *, by_us: bool) -> list[Htlc]:
    return [h for h in content.htlcs if h.key.offered_by_us is by_us]


def _balance_limit(channel: Channel, funding: Funding, column: Column, *, ours: bool) -> Limit:
    terms = channel.terms
    content = split(channel, funding, column)
    keep = terms.theirs.channel_reserve.to_msat()
    if terms.we_opened:
        # BOLT 2: a "fee spike buffer" for one more HTLC at twice the fee rate, or the channel may
        # reach a state in which nothing can be sent or received any more.
        keep = keep + cost_to_opener(
            channel, content, ours=ours, extra_htlcs=2, factor=FEE_SPIKE_FACTOR
        )
        return Limit(content.to_us - keep, "the channel keeps its reserve and the fee of a close")
    cost = cost_to_opener(channel, content, ours=ours, extra_htlcs=1)
    if content.to_them < cost + terms.ours.channel_reserve.to_msat():
        return Limit(ZERO_MSAT, "the peer, who opened the channel, cannot pay the fee of one more")
    return Limit(content.to_us - keep, "the channel keeps its reserve")


def sending_limits(channel: Channel) -> tuple[Limit, ...]:
    """Every limit on the amount of one more HTLC of ours; none below means: none may be added."""
    theirs = channel.terms.theirs
    limits = []
    for funding in channel.fundings:
        content = split(channel, funding, next_theirs)
        offered = _offered(content, by_us=True)
        if len(offered) >= theirs.max_accepted_htlcs:
            limits.append(Limit(ZERO_MSAT, f"the peer accepts {theirs.max_accepted_htlcs} at once"))
        flying = sum_msat([h.amount for h in offered])
        limits.append(
            Limit(theirs.max_htlc_value_in_flight - flying, "the peer limits what is in flight")
        )
        limits.append(_balance_limit(channel, funding, next_theirs, ours=False))
        limits.append(_balance_limit(channel, funding, at_last, ours=True))
    return tuple(limits)


def spendable(channel: Channel) -> MilliSatoshi:
    """The largest HTLC that we may offer now; zero when none."""
    if is_lost(channel):
        return ZERO_MSAT
    limit = min(limit.amount for limit in sending_limits(channel))
    if limit < channel.terms.theirs.htlc_minimum:
        return ZERO_MSAT
    return max(limit, ZERO_MSAT)


def receivable(channel: Channel) -> MilliSatoshi:
    """About the largest HTLC that they may offer now (their own buffer may say less)."""
    terms = channel.terms
    content = split(channel, channel.funding, next_ours)
    offered = _offered(content, by_us=False)
    if len(offered) >= terms.ours.max_accepted_htlcs or is_lost(channel):
        return ZERO_MSAT
    keep = terms.ours.channel_reserve.to_msat()
    if not terms.we_opened:
        keep = keep + cost_to_opener(
            channel, content, ours=True, extra_htlcs=2, factor=FEE_SPIKE_FACTOR
        )
    flying = sum_msat([h.amount for h in offered])
    limit = min(content.to_them - keep, terms.ours.max_htlc_value_in_flight - flying)
    return max(limit, ZERO_MSAT)


def check_their_addition(channel: Channel, added: Htlc) -> None:
    """BOLT 2 "A receiving node" of `update_add_htlc`; `channel` holds `added` already.

    Raises `PeerFault`.
    """
    terms = channel.terms
    if added.amount < max(MilliSatoshi(1), terms.ours.htlc_minimum):
        raise _fault(f"HTLC of {added.amount} is below our htlc_minimum_msat")
    if added.cltv_expiry.height >= MAX_CLTV_EXPIRY:
        raise _fault(f"cltv_expiry {added.cltv_expiry.height} is not a block height")
    for funding in channel.fundings:
        content = split(channel, funding, next_ours)
        offered = _offered(content, by_us=False)
        if len(offered) > terms.ours.max_accepted_htlcs:
            raise _fault(f"more HTLCs than our max_accepted_htlcs {terms.ours.max_accepted_htlcs}")
        if sum_msat([h.amount for h in offered]) > terms.ours.max_htlc_value_in_flight:
            raise _fault("more in flight than our max_htlc_value_in_flight_msat")
        keep = terms.ours.channel_reserve.to_msat()
        if not terms.we_opened:
            keep = keep + cost_to_opener(channel, content, ours=True, extra_htlcs=0)
        # BOLT 2: receiving an `amount_msat` that the sending node cannot afford at the current
        # `feerate_per_kw` (while maintaining its channel reserve and any `to_local_anchor` and
        # `to_remote_anchor` costs): SHOULD send a `warning` and close the connection, or send an
        # `error` and fail the channel.
        if content.to_them < keep:
            raise _fault(f"HTLC of {added.amount} leaves the sender below its reserve and fee")


def check_their_feerate(channel: Channel) -> None:
    """Raise `PeerFault` unless the opener can pay the newest fee rate on our next commitment."""
    for funding in channel.fundings:
        content = split(channel, funding, next_ours)
        if content.to_them < cost_to_opener(channel, content, ours=True, extra_htlcs=0):
            raise _fault(f"the opener cannot afford update_fee to {content.feerate}")


def can_afford(channel: Channel, feerate: FeeratePerKw) -> bool:
    """Whether we, the opener, keep our reserve at another fee rate."""
    reserve = channel.terms.theirs.channel_reserve.to_msat()
    rules = channel.terms.format
    for funding in channel.fundings:
        for column, ours in ((next_theirs, False), (at_last, True)):
            content = split(channel, funding, column)
            count = _outputs(channel, content, ours=ours, feerate=feerate)
            cost = commitment_fee(rules, feerate, count) + rules.anchors_total
            if content.to_us < reserve + cost.to_msat():
                return False
    return True


def is_too_much_dust(channel: Channel, added: Htlc) -> bool:
    """Whether an HTLC of the table, with those before it, goes over `MAX_DUST_EXPOSURE`.

    BOLT 2 "Bounding exposure to trimmed in-flight HTLCs": ours is not offered then, theirs is given
    back once it is committed.  An HTLC with an output in both commitments never is too much.
    """
    return any(_is_dusty(channel, added, ours=ours) for ours in (True, False))


def _is_dusty(channel: Channel, added: Htlc, *, ours: bool) -> bool:
    # With the table in front of us, "before" is: any of the other side, lower ids of the same.
    if not _trimmed(channel, (added,), ours=ours):
        return False
    by_us, last = added.key.offered_by_us, added.key.id
    counted = [
        h for h in channel.htlcs.values() if h.key.offered_by_us is not by_us or h.key.id <= last
    ]
    burnt = sum_msat([h.amount for h in _trimmed(channel, counted, ours=ours)])
    return burnt > MAX_DUST_EXPOSURE


def _trimmed(channel: Channel, htlcs: Sequence[Htlc], *, ours: bool) -> list[Htlc]:
    """Those without an output in our commitment, or in theirs."""
    terms = channel.terms
    dust_limit = (terms.ours if ours else terms.theirs).dust_limit
    least = {
        offered: dust_limit + terms.format.htlc_fee(offered, channel.feerate)
        for offered in (True, False)
    }
    return [h for h in htlcs if h.amount.floor_to_sat() < least[h.key.offered_by_us is ours]]


def advanced(htlc: Htlc, beat: Beat) -> bool:
    """Whether `beat` would move this row."""
    return advance(htlc.stage, beat) is not htlc.stage


def _fault(reason: str) -> PeerFault:
    return PeerFault(Severity.FAIL_CHANNEL, reason)
