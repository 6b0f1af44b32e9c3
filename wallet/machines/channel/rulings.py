"""What the chain would rule if the channel ended in the next block: every way, every output.

Nothing here changes anything: each way is played on a copy of the state, by the code that would
play it in earnest, and every transaction that we could send then is really built.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.crypto.curve import point_of
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.machines.channel import events
from wallet.machines.channel.commitments import (
    Built,
    build,
    our_commitment,
    their_commitment,
)
from wallet.machines.channel.ending import Claim, ClaimKind, OnChain
from wallet.machines.channel.htlc import HtlcKey, Split
from wallet.machines.channel.identify import rebuilt, revoked_secret
from wallet.machines.channel.onchain import funding_spent
from wallet.machines.channel.state import Channel, Phase
from wallet.machines.channel.sweeps import (
    funded_weight,
    preimage_of,
    signable,
)
from wallet.machines.signing import UnsignedTx
from wallet.machines.step import Context

RATES: Final = (1, 10, 100)
"""Satoshi per virtual byte for which a cost is told."""
_PER_KW: Final = 250
OUR_ANCHOR: Final = "our anchor"


class Way(StrEnum):
    """How a channel may end."""

    TOGETHER = "together"
    ALONE = "alone"
    BY_THEM = "by them"
    CHEAT = "by their cheat"


@dataclass(frozen=True, slots=True)
class Proof:
    """A transaction that would take an output, and what it spends: for a judge of scripts."""

    unsigned: UnsignedTx
    prevouts: tuple[TxOut, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One output of the transaction that would end the channel."""

    index: int
    amount: Satoshi
    what: str
    ours: bool
    """Whether we may take it, in the end or at once."""
    after: int
    """Blocks after the commitment's own block before it can be spent by whom it belongs to."""
    from_height: int | None
    """Height before which an HTLC cannot be taken back; None: there is none."""
    needs: str
    """What is still missing for it to be ours: empty, or a sentence."""
    costs: tuple[int | None, ...]
    """Satoshi for taking it at each of `RATES`; None: not worth it. Empty: not ours."""
    proof: Proof | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """One way in which the channel may end."""

    way: Way
    number: int | None
    """Of the commitment."""
    transaction: Transaction | None
    costs: tuple[int, ...]
    """Satoshi that the transaction itself costs us, at each of `RATES` if it can be chosen."""
    leaves: tuple[Leaf, ...]

    @property
    def ours(self) -> Satoshi:
        """Everything that is ours without condition, before fees; anchors are for fees only."""
        certain = (leaf for leaf in self.leaves if leaf.ours and not leaf.needs)
        return Satoshi(sum(leaf.amount.sat for leaf in certain if leaf.what != OUR_ANCHOR))


def rulings(channel: Channel, cheat: tuple[int, Split] | None, ctx: Context) -> list[Ruling]:
    """Every way. `cheat` is the revoked commitment that would pay the peer best, from disk."""
    if channel.onchain is not None or channel.phase is Phase.CLOSED:
        return []
    ways = [] if channel.htlcs else [_together(channel)]
    if not channel.fell_behind:
        built = our_commitment(channel, channel.funding)
        ways.append(_commitment(channel, Way.ALONE, built, channel.our_number, None, ctx))
    theirs = their_commitment(channel, channel.funding)
    ways.append(_commitment(channel, Way.BY_THEM, theirs, channel.their_number, None, ctx))
    if cheat is not None:
        number, content = cheat
        secret = revoked_secret(channel, number)
        if secret is not None:
            point = point_of(secret)
            terms, funding = channel.terms, channel.funding
            old = build(terms, funding, content, number, point, ours=False)
            ways.append(_commitment(channel, Way.CHEAT, old, number, content, ctx))
    return ways


def _together(channel: Channel) -> Ruling:
    ours = channel.our_shutdown or channel.terms.close_to
    # A script of the same kind stands for theirs until they name it.
    weight = closing_weight(ours, channel.their_shutdown or ours)
    fees = tuple(FeeratePerKw(rate * _PER_KW).fee_ceil(weight).sat for rate in RATES)
    funding = channel.funding
    leaves = tuple(
        Leaf(index, amount.floor_to_sat(), what, is_ours, 0, None, "", (), None)
        for index, (amount, what, is_ours) in enumerate(
            ((funding.to_us, "our balance", True), (funding.to_them, "their balance", False))
        )
        if amount.floor_to_sat().sat
    )
    costs = fees if channel.terms.we_opened else (0,) * len(RATES)
    return Ruling(Way.TOGETHER, None, None, costs, leaves)


def _commitment(
    channel: Channel, way: Way, built: Built, number: int, content: Split | None, ctx: Context
) -> Ruling:
    tx = built.commitment.tx
    height = ctx.height.height + 1
    event = events.FundingSpent(tx, height, content)
    ended = funding_spent(replace(channel, phase=Phase.FAILED), event, ctx).state
    end = ended.onchain
    claims = {claim.outpoint.index: claim for claim in end.claims} if end is not None else {}
    leaves = [
        _claim_leaf(ended, end, claims[index], height)
        if index in claims and end is not None
        else _other_leaf(channel, built, index, output, way)
        for index, output in enumerate(tx.outputs)
    ]
    paid = channel.funding.amount.sat - sum(output.amount.sat for output in tx.outputs)
    cost = paid if channel.terms.we_opened else 0
    return Ruling(way, number, tx, (cost,) * len(RATES), tuple(leaves))


_WHAT: Final = {
    ClaimKind.TO_LOCAL: "our balance",
    ClaimKind.TO_REMOTE: "our balance",
    ClaimKind.PENALTY: "the cheat's balance",
    ClaimKind.HTLC_PENALTY: "an HTLC of the past",
    ClaimKind.HTLC_TIMEOUT: "an HTLC that we offered",
    ClaimKind.EXPIRED: "an HTLC that we offered",
    ClaimKind.HTLC_SUCCESS: "an HTLC that they offered",
    ClaimKind.PREIMAGE: "an HTLC that they offered",
}


def _claim_leaf(channel: Channel, end: OnChain, claim: Claim, height: int) -> Leaf:
    built = rebuilt(channel, end)
    needs, from_height = "", None
    if claim.kind in (ClaimKind.HTLC_TIMEOUT, ClaimKind.EXPIRED):
        from_height = claim.mature_at
        needs = "unless they show the preimage"
    elif claim.kind.wants_preimage and preimage_of(channel, claim) is None:
        needs = "only with the preimage, which we do not have"
    rates = [FeeratePerKw(rate * _PER_KW) for rate in RATES]
    script = channel.terms.close_to
    if claim.kind.is_funded:
        weight = funded_weight(channel, claim)
        costs = [_worth(rate.fee_ceil(weight).sat, claim) for rate in rates]
        return _leaf(claim, height, from_height, needs, tuple(costs), None)
    built_at = [signable(channel, end, claim, built, script, rate) for rate in rates]
    costs = [None if unsigned is None else _fee(claim, unsigned) for unsigned in built_at]
    proof = None
    cheapest = built_at[0]
    if cheapest is not None:
        spent = _output(channel, end, claim, built)
        proof = Proof(cheapest, (spent,)) if spent is not None else None
    return _leaf(claim, height, from_height, needs, tuple(costs), proof)


def _leaf(
    claim: Claim,
    height: int,
    from_height: int | None,
    needs: str,
    costs: tuple[int | None, ...],
    proof: Proof | None,
) -> Leaf:
    after = 0 if from_height is not None else max(claim.mature_at - height, 0)
    what, index = _WHAT[claim.kind], claim.outpoint.index
    return Leaf(index, claim.amount, what, True, after, from_height, needs, costs, proof)


def _worth(fee: int, claim: Claim) -> int | None:
    return fee if fee < claim.amount.sat else None


def _fee(claim: Claim, unsigned: UnsignedTx) -> int:
    return claim.amount.sat - sum(output.amount.sat for output in unsigned.tx.outputs)


def _output(channel: Channel, end: OnChain, claim: Claim, built: Built | None) -> TxOut | None:
    if built is not None:
        return built.commitment.tx.outputs[claim.outpoint.index]
    return None


def _other_leaf(channel: Channel, built: Built, index: int, output: TxOut, way: Way) -> Leaf:
    commitment = built.commitment
    after, ours, what = 0, False, "an output of theirs"
    if index in (commitment.broadcaster_anchor_index, commitment.countersigner_anchor_index):
        alone = way is Way.ALONE
        ours = (index == commitment.broadcaster_anchor_index) is alone
        what = OUR_ANCHOR if ours else "their anchor"
    elif index == commitment.to_local_index:
        what, after = "their balance", channel.terms.ours.to_self_delay
    elif index == commitment.to_remote_index:
        what, after = "their balance", channel.terms.format.settled_delay
    return Leaf(index, output.amount, what, ours, after, None, "", (), None)


@dataclass(frozen=True, slots=True)
class Timelock:
    """A line of the docket: what becomes possible, or too late, at a height."""

    height: int
    what: str
    amount: Satoshi
    htlc: HtlcKey | None
    claim: ClaimKind | None = None
    """Of what on chain; None while the channel lives."""
    late: bool = False
    """Whether it may be lost from then on."""


def docket(channel: Channel) -> list[Timelock]:
    """The open timelocks of a channel, the nearest first."""
    lines: list[Timelock] = []
    if channel.onchain is None:
        for htlc in channel.htlcs.values():
            amount, expiry = htlc.amount.floor_to_sat(), htlc.cltv_expiry.height
            what = "ours to take back" if htlc.key.offered_by_us else "theirs to take back"
            lines.append(Timelock(expiry, f"HTLC {htlc.key.id}: {what}", amount, htlc.key))
    else:
        for claim in channel.onchain.claims:
            if claim.resolved_by is None:
                of, amount, kind = claim.htlc, claim.amount, claim.kind
                what = f"{kind.value}: can be in a block"
                lines.append(Timelock(claim.mature_at, what, amount, of, kind))
                if claim.deadline is not None:
                    what = f"{kind.value}: the peer may take it"
                    lines.append(Timelock(claim.deadline, what, amount, of, kind, late=True))
    return sorted(lines, key=lambda line: (line.height, line.what))
