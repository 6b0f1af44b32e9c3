"""The end of a channel on chain: our commitment out, their spends recognised, our outputs taken.

Everything is recomputed from the state and the chain at every block; what was broadcast is state
too, so that a restart sends the same transactions again.  Outputs are found by script, never by
index.  HTLC outputs are the court's business and are not claimed here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.claims import Claim as UnsignedClaim
from wallet.base.channel_tx.claims import spend_to_local, spend_to_remote
from wallet.base.channel_tx.commitment import commitment_number_of, settled_output
from wallet.base.errors import ensure
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import OutPoint
from wallet.base.wire.setup import error_for
from wallet.machines.channel import events
from wallet.machines.channel.actions import Action, Broadcast, HtlcGone, PhaseChanged, Send, Watch
from wallet.machines.channel.commitments import our_commitment, spend_funding, their_commitment
from wallet.machines.channel.ending import Claim, OnChain, SpendKind, Sweep
from wallet.machines.channel.state import LIVING, Channel, Failed, Phase, is_agreed, is_unsent
from wallet.machines.signing import (
    DelayedKey,
    InputToSign,
    PaymentKey,
    SignDigest,
    Slot,
    UnsignedTx,
)
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

FORGET_DEPTH: Final = 100
"""Blocks on top of the last transaction after which a reorganisation is out of question."""


def fail(channel: Channel, reason: str, ctx: Context, cause: str) -> ChannelStep:
    """Stop trusting the peer: tell it why and broadcast our commitment (BOLT 5)."""
    agreed = channel.phase is Phase.MUTUALLY_CLOSED and cause == "user"
    if channel.phase not in LIVING and not agreed:
        return Step(channel)
    kept, gone = _without_unsent(channel)
    failed = replace(kept, error=reason).with_phase(Phase.FAILED, ctx.now, cause, reason)
    actions: list[Action] = [Send(error_for(channel.id, reason)), *gone]
    actions += broadcast_commitment(failed)
    actions.append(PhaseChanged(channel.phase, failed.phase, reason))
    return Step(failed, tuple(actions))


def _without_unsent(channel: Channel) -> tuple[Channel, list[HtlcGone]]:
    """Without the HTLCs that nobody has signed for: they may go back at once."""
    kept = {k: h for k, h in channel.htlcs.items() if not is_unsent(h)}
    gone = [
        HtlcGone(h, Failed(b""))
        for h in channel.htlcs.values()
        if is_unsent(h) and h.key.offered_by_us
    ]
    return replace(channel, htlcs=kept), gone


def broadcast_commitment(channel: Channel) -> tuple[Action, ...]:
    """Our latest commitment, signed by both, unless broadcasting it would lose the channel."""
    # The peer has proved that it holds the revocation of what we believe is our latest state.
    if channel.fell_behind or channel.onchain is not None:
        return ()
    funding = channel.funding
    commitment = our_commitment(channel, funding).commitment
    transaction = spend_funding(
        channel.terms,
        funding,
        commitment.tx,
        commitment.digest,
        commitment.funding_script,
        funding.signature,
    )
    return (Broadcast(transaction, "commitment"),)


def funding_spent(channel: Channel, event: events.FundingSpent, ctx: Context) -> ChannelStep:
    """A block holds a transaction that ends the channel: say which, and what of it is ours."""
    kind, number = _identify(channel, event.tx)
    claims = _claims(channel, event.tx, kind, event.height)
    kept, gone = _without_unsent(channel)
    ended = replace(
        kept, onchain=OnChain(kind, event.tx.txid, event.height, number, claims)
    ).with_phase(Phase.SPENT, ctx.now, "onchain", _SENTENCES[kind])
    watched = tuple(Watch(c.outpoint) for c in claims)
    changed = PhaseChanged(channel.phase, ended.phase, _SENTENCES[kind])
    return Step(ended, (changed, *gone, *watched))


_SENTENCES: Final = {
    SpendKind.MUTUAL: "Closed cooperatively: the closing transaction is in a block",
    SpendKind.OURS: "Our commitment is in a block",
    SpendKind.THEIRS: "The peer's commitment is in a block",
    SpendKind.THEIR_NEXT: "The peer's newest commitment is in a block",
    SpendKind.REVOKED: "A commitment that the peer had revoked is in a block",
    SpendKind.UNKNOWN: "An unknown transaction spent the channel",
}


def _identify(channel: Channel, tx: Transaction) -> tuple[SpendKind, int | None]:
    terms, funding = channel.terms, channel.funding
    opener, accepter = terms.ours.basepoints.payment, terms.theirs.basepoints.payment
    if not terms.we_opened:
        opener, accepter = accepter, opener
    number = commitment_number_of(tx, opener, accepter)
    if number is None:
        return SpendKind.MUTUAL, None
    if our_commitment(channel, funding).commitment.tx.txid == tx.txid:
        return SpendKind.OURS, number
    latest = channel.their_number
    if number == latest and _is_theirs(channel, tx, previous=False):
        kind = SpendKind.THEIR_NEXT if channel.awaiting_revocation else SpendKind.THEIRS
        return kind, number
    if (
        channel.awaiting_revocation
        and number == latest - 1
        and _is_theirs(channel, tx, previous=True)
    ):
        return SpendKind.THEIRS, number
    return (SpendKind.REVOKED if number < latest else SpendKind.UNKNOWN), number


def _is_theirs(channel: Channel, tx: Transaction, *, previous: bool) -> bool:
    built = their_commitment(channel, channel.funding, previous=previous)
    return built.commitment.tx.txid == tx.txid


def _claims(channel: Channel, tx: Transaction, kind: SpendKind, height: int) -> tuple[Claim, ...]:
    if kind is SpendKind.MUTUAL:
        return ()
    terms = channel.terms
    if kind is SpendKind.OURS:
        commitment = our_commitment(channel, channel.funding).commitment
        index = commitment.to_local_index
        if index is None:
            return ()
        delay = terms.theirs.to_self_delay
        output = commitment.tx.outputs[index]
        return (Claim(tx.outpoint(index), output.amount, "to_local", height + delay),)
    # Theirs, revoked or from a future that we have forgotten: our balance is a key of the seed.
    script = settled_output(terms.format, terms.ours.basepoints.payment)
    delay = max(terms.format.settled_delay, 1)
    return tuple(
        Claim(tx.outpoint(index), output.amount, "to_remote", height + delay)
        for index, output in enumerate(tx.outputs)
        if output.script_pubkey == script
    )


def funding_unspent(channel: Channel, ctx: Context) -> ChannelStep:
    """A reorganisation took the end away: back to what we would broadcast ourselves."""
    phase = Phase.MUTUALLY_CLOSED if is_agreed(channel) else Phase.FAILED
    back = replace(channel, onchain=None).with_phase(
        phase, ctx.now, "onchain", "A reorganisation took the spend out of the chain"
    )
    return Step(back)


def claim_spent(channel: Channel, event: events.ClaimSpent) -> ChannelStep:
    """A block holds a spend of an output that was ours to take."""
    return _with_claim(
        channel,
        OutPoint(event.txid, event.index),
        lambda claim: replace(claim, resolved_by=event.by, resolved_at=event.height),
    )


def claim_unspent(channel: Channel, event: events.ClaimUnspent) -> ChannelStep:
    """A reorganisation took that spend away."""
    return _with_claim(
        channel,
        OutPoint(event.txid, event.index),
        lambda claim: replace(claim, resolved_by=None, resolved_at=None),
    )


def _with_claim(
    channel: Channel, outpoint: OutPoint, change: Callable[[Claim], Claim]
) -> ChannelStep:
    end = channel.onchain
    if end is None:
        return Step(channel)
    claims = tuple(change(c) if c.outpoint == outpoint else c for c in end.claims)
    return Step(replace(channel, onchain=replace(end, claims=claims)))


def progress(channel: Channel, event: events.NewTip, ctx: Context) -> ChannelStep:
    """At each block: take what has matured; forget the channel once all is deep enough."""
    end = channel.onchain
    if channel.phase is not Phase.SPENT or end is None:
        return Step(channel)
    claims, actions = [], []
    for claim in end.claims:
        taken = claim
        if claim.resolved_by is None and ctx.height.height + 1 >= claim.mature_at:
            if claim.sweep is None:
                taken = _swept(channel, claim, event.sweep_to, ctx.feerate)
            actions += rebroadcast(channel, taken)
        claims.append(taken)
    after = replace(channel, onchain=replace(end, claims=tuple(claims)))
    # What is not worth taking stays unresolved for ever: nobody waits for it.
    left = [c for c in claims if c.resolved_at is None and not _worthless(channel, c, ctx)]
    last = max([end.height, *(c.resolved_at for c in claims if c.resolved_at is not None)])
    if not left and ctx.height.height - last >= FORGET_DEPTH:
        after = after.with_phase(Phase.CLOSED, ctx.now, "onchain", "All is settled on chain")
        actions.append(PhaseChanged(channel.phase, after.phase, "All is settled on chain"))
    return Step(after, tuple(actions))


def _worthless(channel: Channel, claim: Claim, ctx: Context) -> bool:
    """Whether taking the output costs more than it holds, even at the present fee rate."""
    script = claim.sweep.script_pubkey if claim.sweep else channel.terms.close_to
    return claim.sweep is None and _unsigned(channel, claim, script, ctx.feerate) is None


def _swept(channel: Channel, claim: Claim, script: bytes, feerate: FeeratePerKw) -> Claim:
    unsigned = _unsigned(channel, claim, script, feerate)
    if unsigned is None:
        return claim
    return replace(claim, sweep=Sweep(script, feerate, unsigned.tx.txid))


def rebroadcast(channel: Channel, claim: Claim) -> list[Action]:
    """The claim's last transaction, built again from the state."""
    sweep = claim.sweep
    if sweep is None or claim.resolved_by is not None:
        return []
    unsigned = _unsigned(channel, claim, sweep.script_pubkey, sweep.feerate)
    ensure(
        unsigned is not None and unsigned.tx.txid == sweep.txid,
        "a claim cannot be rebuilt from the state",
    )
    if unsigned is None:
        return []
    key: DelayedKey | PaymentKey
    if claim.kind == "to_local":
        key = DelayedKey(channel.terms.keys_id, channel.our_points[0])
    else:
        key = PaymentKey(channel.terms.payment_index)
    wanted = InputToSign(
        0, SignDigest(key, unsigned.digest), (Slot.DER_ALL, *unsigned.behind_signature)
    )
    return [Broadcast(UnsignedTx(unsigned.tx, (wanted,)), claim.kind)]


def _unsigned(
    channel: Channel, claim: Claim, script: bytes, feerate: FeeratePerKw
) -> UnsignedClaim | None:
    terms = channel.terms
    if claim.kind == "to_local":
        keys = our_commitment(channel, channel.funding).keys
        return spend_to_local(
            claim.outpoint,
            claim.amount,
            terms.theirs.to_self_delay,
            keys.revocation_pubkey,
            keys.broadcaster_delayed_pubkey,
            script,
            feerate,
        )
    return spend_to_remote(
        terms.format,
        claim.outpoint,
        claim.amount,
        terms.ours.basepoints.payment,
        script,
        feerate,
    )
