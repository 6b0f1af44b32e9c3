"""The end of a channel on chain: spends recognised, outputs taken, HTLCs resolved (BOLT 5).

Everything is recomputed from the state and the chain at every block; what was broadcast is state
too, so that a restart sends the same transactions again.

Rule 1: a preimage seen on chain counts at once, whoever spent the output and in whatever shape.
Rule 2: an HTLC of ours fails upstream only when what decided against it is `RESOLVED_DEPTH` deep.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.crypto.hashes import sha256
from wallet.base.values.ids import OutPoint, Preimage
from wallet.machines.channel import events
from wallet.machines.channel.actions import (
    Action,
    ForgetBump,
    HtlcFulfilled,
    HtlcGone,
    HtlcLapsed,
    HtlcLost,
    LossAccepted,
    PhaseChanged,
    Watch,
)
from wallet.machines.channel.claims import FAIL_BACK_BY, claims_of, second_stage
from wallet.machines.channel.deadlines import forecast
from wallet.machines.channel.ending import Claim, OnChain, SpendKind, Sweep
from wallet.machines.channel.htlc import Failed, Fulfilled, Htlc, HtlcKey
from wallet.machines.channel.htlc_stages import ROWS, Stage
from wallet.machines.channel.identify import identify, rebuilt
from wallet.machines.channel.state import Channel, Phase, is_agreed
from wallet.machines.channel.sweeps import is_ours_now, is_small, is_worthless, preimage_of, pursue
from wallet.machines.channel.unilateral import without_bump, without_unsent
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

RESOLVED_DEPTH: Final = 6
"""Blocks on an outcome before the HTLC that it answers is given back upstream."""
FORGET_DEPTH: Final = 100
"""Blocks on top of the last transaction after which a reorganisation is out of question."""

_SENTENCES: Final = {
    SpendKind.MUTUAL: "Closed cooperatively: the closing transaction is in a block",
    SpendKind.OURS: "Our commitment is in a block",
    SpendKind.THEIRS: "The peer's commitment is in a block",
    SpendKind.THEIR_NEXT: "The peer's newest commitment is in a block",
    SpendKind.REVOKED: "A commitment that the peer had revoked is in a block",
    SpendKind.UNKNOWN: "A commitment newer than our copy of the channel is in a block",
}


# --- what the chain tells -------------------------------------------------------------------------


def funding_spent(channel: Channel, event: events.FundingSpent, ctx: Context) -> ChannelStep:
    """A block holds a transaction that ends the channel: say which, and what of it is ours."""
    kind, number = identify(channel, event.tx)
    kept, actions = without_unsent(channel)
    freed, forget = without_bump(kept, event.tx.txid)
    end = OnChain(kind, event.tx.txid, event.height, number, recalled=event.recalled)
    claims = tuple(claims_of(channel, end, event.tx, rebuilt(channel, end)))
    # Nothing spends the funding without our signature.  One that we do not remember giving proves
    # that our copy is old: should a reorganisation undo the spend, ours must not take its place.
    behind = channel.fell_behind or kind is SpendKind.UNKNOWN
    ended = replace(freed, onchain=replace(end, claims=claims), fell_behind=behind).with_phase(
        Phase.SPENT, ctx.now, "onchain", _SENTENCES[kind]
    )
    changed = PhaseChanged(channel.phase, ended.phase, _SENTENCES[kind])
    return Step(ended, (changed, *actions, *forget, *_watch(claims)))


def funding_unspent(channel: Channel, ctx: Context) -> ChannelStep:
    """A reorganisation took the end away: back to what we would broadcast ourselves, if at all."""
    agreed = is_agreed(channel) and not channel.fell_behind
    phase = Phase.MUTUALLY_CLOSED if agreed else Phase.FAILED
    back = replace(channel, onchain=None).with_phase(
        phase, ctx.now, "onchain", "A reorganisation took the spend out of the chain"
    )
    # What the wallet paid for spends outputs that may never be again; if they are, it pays anew.
    end = channel.onchain
    paid = [c.sweep for c in end.claims if c.kind.is_funded] if end is not None else []
    return Step(back, tuple(ForgetBump(sweep.txid) for sweep in paid if sweep is not None))


def claim_spent(channel: Channel, event: events.ClaimSpent) -> ChannelStep:
    """A block holds a spend of an output that is ours to take or to dispute."""
    outpoint = OutPoint(event.txid, event.index)
    end, claim = channel.onchain, _claim_on(channel, outpoint)
    if end is None or claim is None:
        return Step(channel)
    done = replace(claim, resolved_by=event.tx.txid, resolved_at=event.height)
    known = {c.outpoint for c in end.claims}
    left = second_stage(channel, end, claim, event.tx, event.height)
    # One transaction may have spent several HTLCs: its outputs are told with the first.
    new = [c for c in left if c.outpoint not in known]
    claims = (*(done if c is claim else c for c in end.claims), *new)
    after = replace(channel, onchain=replace(end, claims=claims))
    shown = _preimage_in(channel, claim, event.tx)
    if shown is None:
        lost = _lost(channel, claim, event.tx)
        return Step(after, (*_watch(new), *lost))
    htlc, preimage = shown
    paid = replace(htlc, removal=Fulfilled(preimage))
    told: tuple[Action, ...] = (HtlcFulfilled(paid, preimage), *_watch(new))
    if ROWS[htlc.stage].removing:
        # The peer had failed it already: the table, from which commitments are built, stays as it
        # was said; what counts upstream is the preimage.
        done_with = (*end.failed_back, htlc.key)
        return Step(
            replace(after, onchain=replace(end, claims=claims, failed_back=done_with)), told
        )
    return Step(after.with_htlc(paid), told)


def claim_unspent(channel: Channel, event: events.ClaimUnspent) -> ChannelStep:
    """A reorganisation took that spend away, and with it whatever it had left to be taken."""
    outpoint = OutPoint(event.txid, event.index)
    claim = _claim_on(channel, outpoint)
    if channel.onchain is None or claim is None:
        return Step(channel)
    claims = tuple(
        replace(c, resolved_by=None, resolved_at=None) if c is claim else c
        for c in channel.onchain.claims
        if c.outpoint.txid != claim.resolved_by
    )
    return Step(replace(channel, onchain=replace(channel.onchain, claims=claims)))


def claim_funded(channel: Channel, event: events.ClaimFunded) -> ChannelStep:
    """The wallet pays for an HTLC transaction of ours."""
    sweep = Sweep(event.script_pubkey, event.feerate, event.txid, event.height)
    return _with_claim(channel, event.outpoint, lambda claim: replace(claim, sweep=sweep))


def _claim_on(channel: Channel, outpoint: OutPoint) -> Claim | None:
    claims = channel.onchain.claims if channel.onchain is not None else ()
    return next((claim for claim in claims if claim.outpoint == outpoint), None)


def _with_claim(
    channel: Channel, outpoint: OutPoint, change: Callable[[Claim], Claim]
) -> ChannelStep:
    end = channel.onchain
    if end is None:
        return Step(channel)
    claims = tuple(change(c) if c.outpoint == outpoint else c for c in end.claims)
    return Step(replace(channel, onchain=replace(end, claims=claims)))


def _watch(claims: Iterable[Claim]) -> tuple[Watch, ...]:
    return tuple(Watch(claim.outpoint) for claim in claims)


def _preimage_in(channel: Channel, claim: Claim, tx: Transaction) -> tuple[Htlc, Preimage] | None:
    """The preimage with which the peer took an HTLC that we had offered."""
    htlc = channel.htlcs.get(claim.htlc) if claim.htlc is not None else None
    if htlc is None or not htlc.key.offered_by_us or isinstance(htlc.removal, Fulfilled):
        return None
    for txin in tx.inputs:
        if txin.outpoint == claim.outpoint:
            for item in txin.witness:
                if len(item) == 32 and sha256(item) == htlc.payment_hash:
                    return htlc, Preimage(item)
    return None


def _lost(channel: Channel, claim: Claim, tx: Transaction) -> tuple[HtlcLost, ...]:
    """What was ours by a preimage and has been taken back by the peer, who came first."""
    preimage = preimage_of(channel, claim) if claim.kind.wants_preimage else None
    htlc = channel.htlcs.get(claim.htlc) if claim.htlc is not None else None
    if preimage is None or htlc is None:
        return ()
    spending = [txin for txin in tx.inputs if txin.outpoint == claim.outpoint]
    return () if any(preimage in txin.witness for txin in spending) else (HtlcLost(htlc),)


# --- at every block -------------------------------------------------------------------------------


def preimage_known(channel: Channel, htlc_id: int, ctx: Context) -> ChannelStep:
    """We have answered an HTLC of the peer that is on chain: a block later may be too late."""
    end, key = channel.onchain, HtlcKey(False, htlc_id)
    if channel.phase is not Phase.SPENT or end is None:
        return Step(channel)
    claims, actions = _take(channel, end, channel.terms.close_to, ctx, only=key)
    return Step(replace(channel, onchain=replace(end, claims=claims)), actions)


def _take(
    channel: Channel, end: OnChain, script: bytes, ctx: Context, only: HtlcKey | None = None
) -> tuple[tuple[Claim, ...], tuple[Action, ...]]:
    """The claims with what takes them in the next block; those of one HTLC, or all."""
    built = rebuilt(channel, end)
    claims: list[Claim] = []
    actions: list[Action] = []
    for claim in end.claims:
        taken, wishes = claim, list[Action]()
        if only in (None, claim.htlc) and is_ours_now(channel, claim, ctx):
            taken, wishes = pursue(channel, end, claim, built, script, ctx)
        claims.append(taken)
        actions += wishes
    return tuple(claims), tuple(actions)


def progress(channel: Channel, event: events.NewTip, ctx: Context) -> ChannelStep:
    """Take what is ours now, give back what is decided, forget the channel once all is deep."""
    end = channel.onchain
    if channel.phase is not Phase.SPENT or end is None:
        return Step(channel)
    actions: list[Action] = []
    if event.latest:
        claims, wishes = _take(channel, end, event.sweep_to, ctx)
        actions += wishes
        end = replace(end, claims=claims)
    lapsed = [h for h in channel.htlcs.values() if _has_lapsed(end, h, ctx)]
    let_be = _let_be(channel, end, ctx)
    gone = [*lapsed, *let_be]
    end = replace(end, failed_back=(*end.failed_back, *(h.key for h in gone)))
    actions += [LossAccepted(htlc, forecast(ctx.feerate)) for htlc in let_be]
    actions += [HtlcLapsed(htlc) for htlc in gone]
    after = replace(channel, onchain=end)
    if _is_over(channel, end, ctx):
        return _forget(after, actions, ctx)
    return Step(after, tuple(actions))


def _has_lapsed(end: OnChain, htlc: Htlc, ctx: Context) -> bool:
    """Whether an HTLC that we offered is decided against the peer, deep enough to tell upstream."""
    if not htlc.key.offered_by_us or isinstance(htlc.removal, Fulfilled):
        return False
    if htlc.key in end.failed_back:
        return False
    outputs = [c for c in end.claims if c.htlc == htlc.key and c.outpoint.txid == end.txid]
    if outputs:
        decided = outputs[0].resolved_at
        return decided is not None and _depth(decided, ctx) >= RESOLVED_DEPTH
    if end.kind is SpendKind.UNKNOWN and ctx.height.height <= htlc.cltv_expiry.height:
        # A commitment that we cannot read may hold it.
        return False
    # BOLT 5: no output there, or too small for one: once the commitment is deep enough.
    return _depth(end.height, ctx) >= RESOLVED_DEPTH


def _let_be(channel: Channel, end: OnChain, ctx: Context) -> list[Htlc]:
    """HTLCs that we offered whose output is not worth a transaction: nobody will ever decide them.

    Upstream must not wait for that: it would go to court for the one that came in.
    """
    late = {
        key
        for key, htlc in channel.htlcs.items()
        if key.offered_by_us
        and key not in end.failed_back
        and not isinstance(htlc.removal, Fulfilled)
        and ctx.height.height >= htlc.cltv_expiry.height + FAIL_BACK_BY
    }
    open_ = [c for c in end.claims if c.htlc in late and c.resolved_at is None]
    # What the peer's HTLC transaction has left is decided, and no HTLC any more.
    outputs = [c for c in open_ if c.outpoint.txid == end.txid]
    built = rebuilt(channel, end) if outputs else None
    small = {c.htlc for c in outputs if is_small(channel, end, c, built, ctx.feerate)}
    return [htlc for key, htlc in channel.htlcs.items() if key in small]


def _depth(height: int, ctx: Context) -> int:
    return ctx.height.height - height + 1


def _is_over(channel: Channel, end: OnChain, ctx: Context) -> bool:
    last = max([end.height, *(c.resolved_at for c in end.claims if c.resolved_at is not None)])
    if ctx.height.height - last < FORGET_DEPTH:
        return False
    built = rebuilt(channel, end)
    return all(
        claim.resolved_at is not None
        or _is_given_up(channel, claim, ctx)
        # What is not worth taking stays unresolved for ever: nobody waits for it.
        or is_worthless(channel, end, claim, built, ctx)
        for claim in end.claims
    )


def _is_given_up(channel: Channel, claim: Claim, ctx: Context) -> bool:
    """Whether an HTLC of the peer is its own to take back: we never came to have the preimage."""
    htlc = channel.htlcs.get(claim.htlc) if claim.htlc is not None else None
    return (
        claim.kind.wants_preimage
        and (htlc is None or not isinstance(htlc.removal, Fulfilled))
        and claim.deadline is not None
        and ctx.height.height - claim.deadline >= FORGET_DEPTH
    )


_FINAL_STAGE: Final = {
    True: Stage.RCVD_REMOVE_ACK_REVOCATION,
    False: Stage.SENT_REMOVE_ACK_REVOCATION,
}


def _forget(channel: Channel, actions: list[Action], ctx: Context) -> ChannelStep:
    """All is settled: the rows leave the table as they do when peers agree."""
    gone: list[Action] = []
    for key, htlc in channel.htlcs.items():
        removal = htlc.removal or Failed(b"")
        final = replace(htlc, stage=_FINAL_STAGE[key.offered_by_us], removal=removal)
        gone.append(HtlcGone(final, removal))
    closed = replace(channel, htlcs={}).with_phase(
        Phase.CLOSED, ctx.now, "onchain", "All is settled on chain"
    )
    changed = PhaseChanged(channel.phase, closed.phase, "All is settled on chain")
    return Step(closed, (*actions, *gone, changed))
