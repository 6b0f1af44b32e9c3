"""Which outputs on chain are ours to take or to dispute, from when and until when (BOLT 5).

Rule 1: outputs of a commitment that we can rebuild have the places that its builder gave them;
all others are found by script, never by index.
Rule 2: an HTLC is named by its output, never by its hash: two may have the same hash and amount.
"""

from collections.abc import Iterable

from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.commitment import HtlcTransaction, settled_output
from wallet.base.channel_tx.keys import CommitmentKeys
from wallet.base.channel_tx.scripts import to_local_script
from wallet.machines.channel.commitments import Built
from wallet.machines.channel.ending import Claim, ClaimKind, OnChain, SpendKind
from wallet.machines.channel.htlc import HtlcKey
from wallet.machines.channel.identify import keys_on_chain
from wallet.machines.channel.state import Channel

GRACE = 2
"""BOLT 2's `G`: blocks that a peer has after an expiry before it may be thought absent."""


def claims_of(channel: Channel, end: OnChain, tx: Transaction, built: Built | None) -> list[Claim]:
    """What of the transaction that spent the funding output concerns us."""
    if end.kind is SpendKind.MUTUAL:
        return []
    if end.kind is SpendKind.OURS and built is not None:
        return [*_our_balance(channel, end, built), *_htlcs(channel, end, built)]
    found = list(_settled(channel, end, tx))
    if built is None:
        return found
    if end.kind is SpendKind.REVOKED:
        found += _delayed(channel, tx, built.keys, end.height)
    return [*found, *_htlcs(channel, end, built)]


def _our_balance(channel: Channel, end: OnChain, built: Built) -> list[Claim]:
    commitment = built.commitment
    index = commitment.to_local_index
    if index is None:
        return []
    amount = commitment.tx.outputs[index].amount
    mature = end.height + channel.terms.theirs.to_self_delay
    return [Claim(commitment.tx.outpoint(index), amount, ClaimKind.TO_LOCAL, mature)]


def _settled(channel: Channel, end: OnChain, tx: Transaction) -> Iterable[Claim]:
    """`to_remote`: theirs, revoked or from a future that we forgot, it pays a key of our seed."""
    terms = channel.terms
    script = settled_output(terms.format, terms.ours.basepoints.payment)
    mature = end.height + max(terms.format.settled_delay, 1)
    for index, output in enumerate(tx.outputs):
        if output.script_pubkey == script:
            yield Claim(tx.outpoint(index), output.amount, ClaimKind.TO_REMOTE, mature)


def _htlcs(channel: Channel, end: OnChain, built: Built) -> list[Claim]:
    return [_htlc(channel, end, built.commitment.tx, htlc) for htlc in built.commitment.htlcs]


def _htlc(channel: Channel, end: OnChain, tx: Transaction, known: HtlcTransaction) -> Claim:
    ours = end.kind is SpendKind.OURS
    htlc = known.htlc
    key = HtlcKey(htlc.offered is ours, htlc.id)
    expiry = htlc.cltv_expiry.height
    deadline: int | None
    delay = channel.terms.format.settled_delay
    if end.kind is SpendKind.REVOKED:
        # No deadline: should the cheat's HTLC transaction come first, its output has the full
        # amount, and is ours for `to_self_delay` blocks more.
        kind, mature, deadline = ClaimKind.HTLC_PENALTY, end.height, None
    elif key.offered_by_us:
        # BOLT 3: nLockTime is `cltv_expiry`; the block after it is the first that may hold it.
        kind = ClaimKind.HTLC_TIMEOUT if ours else ClaimKind.EXPIRED
        mature = max(end.height + delay, expiry + 1)
        deadline = expiry + FAIL_BACK_BY
    else:
        kind = ClaimKind.HTLC_SUCCESS if ours else ClaimKind.PREIMAGE
        mature, deadline = end.height + delay, expiry
    outpoint = tx.outpoint(known.output_index)
    amount = tx.outputs[known.output_index].amount
    return Claim(outpoint, amount, kind, mature, htlc=key, deadline=deadline)


FAIL_BACK_BY = 12
"""Blocks after its expiry by which an HTLC of ours should be ours again: half of what a forward
leaves before the one that came in expires, so that its failure can still be deep enough."""


def second_stage(
    channel: Channel, end: OnChain, claim: Claim, tx: Transaction, height: int
) -> list[Claim]:
    """What a transaction that spent an HTLC output leaves to be taken, after a delay or at once."""
    if not (claim.kind is ClaimKind.HTLC_PENALTY or claim.kind.is_funded):
        return []
    # The keys, never the whole commitment: a block may spend hundreds of its outputs.
    keys = keys_on_chain(channel, end)
    if claim.kind is ClaimKind.HTLC_PENALTY:
        return _delayed(channel, tx, keys, height, claim.htlc)
    # BOLT 3: signed with SIGHASH_SINGLE, so the output stands at the place of the input.
    place = next(i for i, txin in enumerate(tx.inputs) if txin.outpoint == claim.outpoint)
    delay = channel.terms.theirs.to_self_delay
    if place >= len(tx.outputs) or tx.outputs[place].script_pubkey != _script(keys, delay):
        return []
    amount = tx.outputs[place].amount
    mature = height + delay
    return [Claim(tx.outpoint(place), amount, ClaimKind.TO_LOCAL, mature, htlc=claim.htlc)]


def _delayed(
    channel: Channel,
    tx: Transaction,
    keys: CommitmentKeys,
    height: int,
    htlc: HtlcKey | None = None,
) -> list[Claim]:
    """The cheat's delayed outputs in `tx`: wherever he put them, each is ours until he may move."""
    delay = channel.terms.ours.to_self_delay
    script = _script(keys, delay)
    return [
        Claim(
            tx.outpoint(index),
            output.amount,
            ClaimKind.PENALTY,
            height,
            htlc=htlc,
            deadline=height + delay,
        )
        for index, output in enumerate(tx.outputs)
        if output.script_pubkey == script
    ]


def _script(keys: CommitmentKeys, delay: int) -> bytes:
    return p2wsh(to_local_script(keys.revocation_pubkey, delay, keys.broadcaster_delayed_pubkey))
