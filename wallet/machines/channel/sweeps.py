"""Claims as transactions: built from the state alone, so that a restart sends the same again.

Rule 1: one claim, one transaction.  HTLC transactions with another nLockTime, or outputs that a
cheat can still spend beside outputs that he cannot, must never share one; so none do.
Rule 2: what an output cannot pay for itself is asked of the wallet: `FundHtlc`, `FundCommitment`.
"""

from dataclasses import replace

from wallet.base.channel_tx.claims import Claim as UnsignedClaim
from wallet.base.channel_tx.claims import (
    spend_htlc_after_expiry,
    spend_htlc_with_preimage,
    spend_revoked_htlc,
    spend_revoked_output,
    spend_to_local,
    spend_to_remote,
)
from wallet.base.channel_tx.commitment import HtlcTransaction
from wallet.base.errors import InvariantBroken, ensure
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import Preimage
from wallet.machines.channel.actions import Action, Broadcast, FundHtlc
from wallet.machines.channel.bumping import Stake, next_feerate
from wallet.machines.channel.commitments import Built
from wallet.machines.channel.ending import Claim, ClaimKind, OnChain, Sweep
from wallet.machines.channel.htlc import Fulfilled
from wallet.machines.channel.identify import revoked_secret
from wallet.machines.channel.state import Channel
from wallet.machines.signing import (
    DelayedKey,
    HtlcKey,
    InputToSign,
    PaymentKey,
    RevocationKey,
    SignDigest,
    Slot,
    UnsignedTx,
)
from wallet.machines.step import Context

OurKey = DelayedKey | PaymentKey | HtlcKey | RevocationKey

FUNDED_WEIGHT = 272 + 172
"""What a coin and a change output add to an HTLC transaction, about."""


def preimage_of(channel: Channel, claim: Claim) -> Preimage | None:
    """The preimage that we may show on chain: of an HTLC that we have answered with it."""
    if not claim.kind.wants_preimage:
        # Of one that we take back the peer may have told us the preimage.
        return None
    htlc = channel.htlcs.get(claim.htlc) if claim.htlc is not None else None
    if htlc is None or not isinstance(htlc.removal, Fulfilled):
        return None
    return htlc.removal.preimage


def is_ours_now(channel: Channel, claim: Claim, ctx: Context) -> bool:
    """Whether the next block may hold the claim."""
    if claim.resolved_by is not None or ctx.height.height + 1 < claim.mature_at:
        return False
    return not claim.kind.wants_preimage or preimage_of(channel, claim) is not None


def stake_of(channel: Channel, claim: Claim, weight: int) -> Stake:
    """What the claim's transaction fights for."""
    return Stake(claim.amount, weight, claim.deadline)


def pursue(
    channel: Channel, end: OnChain, claim: Claim, built: Built | None, script: bytes, ctx: Context
) -> tuple[Claim, list[Action]]:
    """At a block: the claim with the transaction that takes it now, and what to do for it."""
    if claim.kind.is_funded:
        return claim, _ask_for_fee(channel, claim, built, ctx)
    last = claim.sweep
    probe = _unsigned(
        channel, end, claim, built, last.script_pubkey if last else script, ctx.feerate
    )
    if probe is None and last is None:
        return claim, []
    taken = claim
    if probe is not None:
        stake = stake_of(channel, claim, probe.weight)
        feerate = next_feerate(
            stake,
            last.feerate if last else None,
            last.at if last else 0,
            ctx.feerate,
            ctx.height.height,
        )
        taken = _at(channel, end, claim, built, script, feerate, ctx)
    return taken, rebroadcast(channel, end, taken, built)


def _at(
    channel: Channel,
    end: OnChain,
    claim: Claim,
    built: Built | None,
    script: bytes,
    feerate: FeeratePerKw | None,
    ctx: Context,
) -> Claim:
    last = claim.sweep
    if feerate is None or (last is not None and feerate == last.feerate):
        return claim
    paid = last.script_pubkey if last else script
    unsigned = _unsigned(channel, end, claim, built, paid, feerate)
    if unsigned is None:
        return claim
    sweep = Sweep(paid, feerate, unsigned.tx.txid, ctx.height.height)
    return replace(claim, sweep=sweep)


def is_worthless(
    channel: Channel, end: OnChain, claim: Claim, built: Built | None, ctx: Context
) -> bool:
    """Whether taking the output costs more than it holds, even at the present fee rate."""
    if claim.sweep is not None:
        return False
    if claim.kind.is_funded:
        return ctx.feerate.fee(funded_weight(channel, claim)) >= claim.amount
    script = channel.terms.close_to
    return _unsigned(channel, end, claim, built, script, ctx.feerate) is None


def rebroadcast(channel: Channel, end: OnChain, claim: Claim, built: Built | None) -> list[Action]:
    """The claim's last transaction, built again from the state."""
    sweep = claim.sweep
    if sweep is None or claim.resolved_by is not None or claim.kind.is_funded:
        return []
    transaction = signable(channel, end, claim, built, sweep.script_pubkey, sweep.feerate)
    if transaction is None or transaction.tx.txid != sweep.txid:
        raise InvariantBroken("a claim cannot be rebuilt from the state")
    return [Broadcast(transaction, claim.kind)]


def signable(
    channel: Channel,
    end: OnChain,
    claim: Claim,
    built: Built | None,
    script: bytes,
    feerate: FeeratePerKw,
) -> UnsignedTx | None:
    """The transaction that takes a claim to `script`, complete but for our signature.

    None: it would leave dust, or the wallet has to pay its fee.
    """
    unsigned = _unsigned(channel, end, claim, built, script, feerate)
    if unsigned is None:
        return None
    request = SignDigest(_key(channel, end, claim, built), unsigned.digest)
    witness: tuple[bytes | Slot, ...] = (Slot.DER_ALL, *unsigned.behind_signature)
    return UnsignedTx(unsigned.tx, (InputToSign(0, request, witness),))


def _key(channel: Channel, end: OnChain, claim: Claim, built: Built | None) -> OurKey:
    terms = channel.terms
    match claim.kind:
        case ClaimKind.TO_LOCAL:
            return DelayedKey(terms.keys_id, channel.our_points[0])
        case ClaimKind.TO_REMOTE:
            return PaymentKey(terms.payment_index)
        case ClaimKind.PENALTY | ClaimKind.HTLC_PENALTY:
            number = end.commitment_number
            secret = None if number is None else revoked_secret(channel, number)
            if secret is None:
                raise InvariantBroken("a penalty without the secret that revoked")
            return RevocationKey(terms.keys_id, secret)
        case _:
            if built is None:
                raise InvariantBroken("an HTLC of a commitment that is not known")
            return HtlcKey(terms.keys_id, built.keys.per_commitment_point)


def _unsigned(
    channel: Channel,
    end: OnChain,
    claim: Claim,
    built: Built | None,
    script: bytes,
    feerate: FeeratePerKw,
) -> UnsignedClaim | None:
    terms, outpoint, amount = channel.terms, claim.outpoint, claim.amount
    if claim.kind is ClaimKind.TO_REMOTE:
        payment = terms.ours.basepoints.payment
        return spend_to_remote(terms.format, outpoint, amount, payment, script, feerate)
    if built is None:
        return None
    keys = built.keys
    delayed = keys.broadcaster_delayed_pubkey
    match claim.kind:
        case ClaimKind.TO_LOCAL:
            delay = terms.theirs.to_self_delay
            return spend_to_local(
                outpoint, amount, delay, keys.revocation_pubkey, delayed, script, feerate
            )
        case ClaimKind.PENALTY:
            delay = terms.ours.to_self_delay
            return spend_revoked_output(
                outpoint, amount, delay, keys.revocation_pubkey, delayed, script, feerate
            )
        case _:
            pass
    htlc = htlc_transaction(built, claim)
    match claim.kind:
        case ClaimKind.HTLC_PENALTY:
            return spend_revoked_htlc(
                outpoint, amount, htlc.script, keys.revocation_pubkey, script, feerate
            )
        case ClaimKind.EXPIRED:
            expiry = htlc.htlc.cltv_expiry
            return spend_htlc_after_expiry(
                terms.format, outpoint, amount, htlc.script, expiry, script, feerate
            )
        case ClaimKind.PREIMAGE:
            preimage = preimage_of(channel, claim)
            if preimage is None:
                return None
            return spend_htlc_with_preimage(
                terms.format, outpoint, amount, htlc.script, preimage, script, feerate
            )
        case _:
            return None


def htlc_transaction(built: Built, claim: Claim) -> HtlcTransaction:
    """The HTLC transaction of the output that the claim is for."""
    found = [h for h in built.commitment.htlcs if h.output_index == claim.outpoint.index]
    ensure(len(found) == 1, "a claim on an HTLC that the commitment does not hold")
    return found[0]


def funded_weight(channel: Channel, claim: Claim) -> int:
    """Of an HTLC transaction with a coin that pays for it, about."""
    rules = channel.terms.format
    timeout = claim.kind is ClaimKind.HTLC_TIMEOUT
    return (rules.htlc_timeout_weight if timeout else rules.htlc_success_weight) + FUNDED_WEIGHT


def _ask_for_fee(channel: Channel, claim: Claim, built: Built | None, ctx: Context) -> list[Action]:
    """An HTLC transaction pays no fee of its own: the wallet is asked to, when it is due."""
    if built is None:
        return []
    last = claim.sweep
    stake = stake_of(channel, claim, funded_weight(channel, claim))
    feerate = next_feerate(
        stake,
        last.feerate if last else None,
        last.at if last else 0,
        ctx.feerate,
        ctx.height.height,
    )
    if feerate is None or (last is not None and feerate == last.feerate):
        return []
    htlc = htlc_transaction(built, claim)
    place = built.commitment.htlcs.index(htlc)
    key = HtlcKey(channel.terms.keys_id, built.keys.per_commitment_point)
    return [
        FundHtlc(
            claim.outpoint,
            claim.kind,
            htlc,
            channel.funding.htlc_signatures[place],
            key,
            preimage_of(channel, claim),
            feerate,
            stake.most(ctx.height.height),
            last.txid if last else None,
        )
    ]
