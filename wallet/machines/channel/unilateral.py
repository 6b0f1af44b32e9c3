"""Our commitment on its way to the chain: why a channel is failed, and what pays for its place.

Rule 1: nothing is broadcast once the peer has proved that our state is old.
Rule 2: until a block holds the end of the channel, every block offers the commitment again, and
its child pays as much as the nearest deadline asks for.
"""

from dataclasses import replace

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.claims import Anchored
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import Txid
from wallet.base.wire.setup import error_for
from wallet.machines.channel.actions import (
    Action,
    Broadcast,
    ForgetBump,
    FundCommitment,
    HtlcGone,
    PhaseChanged,
    Send,
)
from wallet.machines.channel.bumping import Stake, next_feerate
from wallet.machines.channel.commitments import Built, our_commitment, spend_funding
from wallet.machines.channel.deadlines import nearest
from wallet.machines.channel.ending import Bump
from wallet.machines.channel.events import BumpMade
from wallet.machines.channel.htlc import Failed
from wallet.machines.channel.state import LIVING, Channel, Link, Phase, is_unsent
from wallet.machines.signing import FundingKey, UnsignedTx
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

FUNDING_WITNESS_WEIGHT = 2 + 1 + 1 + 73 + 73 + 1 + 71
"""Marker and flag, count, empty item, two signatures, the 2-of-2 script: BOLT 3, appendix A."""
CHILD_WEIGHT = 4 * (10 + 41 + 43) + 2 + 117 + 272
"""A child that spends the anchor and one coin and has one output, about."""
_PATIENT_SHARE = 20
"""Without an HTLC that runs out, a twentieth of our balance may go to the child at most."""


def fail(channel: Channel, reason: str, ctx: Context, cause: str) -> ChannelStep:
    """Stop trusting the peer: tell it why and broadcast our commitment (BOLT 5)."""
    agreed = channel.phase is Phase.MUTUALLY_CLOSED and cause == "user"
    if channel.phase not in LIVING and not agreed:
        return Step(channel)
    kept, gone = without_unsent(channel)
    failed = replace(kept, error=reason).with_phase(Phase.FAILED, ctx.now, cause, reason)
    actions: list[Action] = [Send(error_for(channel.id, reason)), *gone]
    actions += (*broadcast_commitment(failed), *press(failed, ctx, at_once=True))
    actions.append(PhaseChanged(channel.phase, failed.phase, reason))
    return Step(failed, tuple(actions))


def without_unsent(channel: Channel) -> tuple[Channel, list[HtlcGone]]:
    """Without the HTLCs that nobody has signed for: they may go back at once."""
    kept = {k: h for k, h in channel.htlcs.items() if not is_unsent(h)}
    gone = [
        HtlcGone(h, Failed(b""))
        for h in channel.htlcs.values()
        if is_unsent(h) and h.key.offered_by_us
    ]
    return replace(channel, htlcs=kept), gone


def without_late(channel: Channel, ctx: Context) -> tuple[Channel, tuple[Action, ...]]:
    """At a block: without what we meant to offer to a peer that stayed away until it expired.

    No commitment holds it, so no deadline of a commitment would ever end it.  All that is not
    signed for goes back with it: the peer has forgotten it with the connection (BOLT 2), and its
    ids are the next ones.
    """
    unsent = [h for h in channel.htlcs.values() if is_unsent(h)]
    late = any(ctx.height.height >= h.cltv_expiry.height for h in unsent)
    if channel.link is not Link.OFFLINE or channel.phase not in LIVING or not late:
        return channel, ()
    kept, gone = without_unsent(channel)
    return replace(kept, our_next_htlc_id=min(h.key.id for h in unsent)), tuple(gone)


def broadcast_commitment(channel: Channel) -> tuple[Broadcast, ...]:
    """Our latest commitment, signed by both, unless broadcasting it would lose the channel."""
    # The peer has proved that it holds the revocation of what we believe is our latest state.
    if channel.fell_behind or channel.onchain is not None:
        return ()
    built = our_commitment(channel, channel.funding)
    child = channel.bump.txid if channel.bump is not None else None
    return (Broadcast(signed_by_both(channel, built), "commitment", child),)


def signed_by_both(channel: Channel, built: Built) -> UnsignedTx:
    """Our commitment, complete but for our signature."""
    commitment, funding = built.commitment, channel.funding
    return spend_funding(
        channel.terms,
        funding,
        commitment.tx,
        commitment.digest,
        commitment.funding_script,
        funding.signature,
    )


def press(channel: Channel, ctx: Context, *, at_once: bool = False) -> tuple[Action, ...]:
    """At a block without our commitment: ask the wallet for a child, or for a better one.

    `at_once`: as the channel fails. The next block may hold the commitment alone, however near a
    deadline is; only a going rate above its own asks for a child.
    """
    if channel.fell_behind or channel.onchain is not None or channel.phase is not Phase.FAILED:
        return ()
    if channel.funding.confirmed is None:
        # What spends it cannot be mined before it is.
        return ()
    built = our_commitment(channel, channel.funding)
    anchor = built.commitment.broadcaster_anchor_index
    if anchor is None:
        return ()
    fee, weight = fee_of(channel, built.commitment.tx)
    # Its fee was rounded down: it is still as good as the rate that it was agreed at.
    own = FeeratePerKw(-(-fee.sat * 1000 // weight))
    stake = stake_of(channel, weight + CHILD_WEIGHT)
    height, bump = ctx.height.height, channel.bump
    last, made_at = (own, 0) if bump is None else (bump.feerate, bump.at)
    feerate = next_feerate(stake, None if at_once else last, made_at, ctx.feerate, height)
    if feerate is None or feerate <= last:
        return ()
    return (
        FundCommitment(
            Anchored(built.commitment.tx, fee, weight, anchor, channel.funding.our_pubkey),
            FundingKey(channel.terms.keys_id, channel.funding.number),
            feerate,
            stake.most(height),
            bump.txid if bump is not None else None,
        ),
    )


def fee_of(channel: Channel, tx: Transaction) -> tuple[Satoshi, int]:
    """What a commitment pays, and its weight once it is signed."""
    paid = sum(output.amount.sat for output in tx.outputs)
    return Satoshi(channel.funding.amount.sat - paid), tx.weight + FUNDING_WITNESS_WEIGHT


def stake_of(channel: Channel, weight: int) -> Stake:
    """What hangs on the commitment: HTLCs that run out, else our balance, which can wait."""
    deadline, at_risk = nearest(channel)
    if deadline is None:
        balance = channel.funding.to_us.floor_to_sat().sat
        return Stake(Satoshi(balance // _PATIENT_SHARE), weight, None)
    return Stake(at_risk, weight, deadline)


def bump_made(channel: Channel, event: BumpMade) -> ChannelStep:
    """The wallet has made the child that we asked for."""
    bump = Bump(event.feerate, event.txid, event.height)
    after = replace(channel, bump=bump)
    return Step(after, broadcast_commitment(after))


def without_bump(channel: Channel, confirmed: Txid) -> tuple[Channel, tuple[Action, ...]]:
    """Once another transaction has ended the channel, the child's coins are free again."""
    if channel.bump is None:
        return channel, ()
    ours = our_commitment(channel, channel.funding).commitment.tx.txid
    return (channel, ()) if confirmed == ours else without_child(channel)


def without_child(channel: Channel) -> tuple[Channel, tuple[Action, ...]]:
    """The coins in the child are free again: what it spends may never be."""
    if channel.bump is None:
        return channel, ()
    return replace(channel, bump=None), (ForgetBump(channel.bump.txid),)
