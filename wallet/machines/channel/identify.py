"""Which transaction spent the funding output, and that commitment built again (BOLT 5).

Rule 1: a commitment is known by its txid, never by its looks: a number can be chosen by the peer.
Rule 2: what we signed for them is rebuilt from the table or, once revoked, from `recalled` rows.
"""

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.commitment import commitment_number_of
from wallet.base.channel_tx.keys import CommitmentKeys
from wallet.base.crypto.curve import point_of
from wallet.base.errors import InvariantBroken
from wallet.base.values.ids import Secret
from wallet.machines.channel.commitments import (
    Built,
    build,
    keys_for,
    our_commitment,
    their_commitment,
)
from wallet.machines.channel.dance import LAST_INDEX
from wallet.machines.channel.ending import OnChain, SpendKind
from wallet.machines.channel.state import Channel, Terms


def number_of(terms: Terms, tx: Transaction) -> int | None:
    """The commitment number that a spend of the funding output shows; None: a mutual close."""
    opener, accepter = terms.ours.basepoints.payment, terms.theirs.basepoints.payment
    if not terms.we_opened:
        opener, accepter = accepter, opener
    return commitment_number_of(tx, opener, accepter)


def identify(channel: Channel, tx: Transaction) -> tuple[SpendKind, int | None]:
    """What spent the funding output, and the number of the commitment if it is one."""
    number = number_of(channel.terms, tx)
    if number is None:
        return SpendKind.MUTUAL, None
    if our_commitment(channel, channel.funding).commitment.tx.txid == tx.txid:
        return SpendKind.OURS, number
    if is_revoked(channel, number):
        return SpendKind.REVOKED, number
    latest = channel.their_number
    for previous in (False, True) if channel.awaiting_revocation else (False,):
        built = their_commitment(channel, channel.funding, previous=previous)
        if number == latest - previous and built.commitment.tx.txid == tx.txid:
            newest = channel.awaiting_revocation and not previous
            return (SpendKind.THEIR_NEXT if newest else SpendKind.THEIRS), number
    return SpendKind.UNKNOWN, number


def is_revoked(channel: Channel, number: int) -> bool:
    """Whether the peer has given us the secret of its commitment of that number."""
    return number < channel.their_number - int(channel.awaiting_revocation)


def revoked_secret(channel: Channel, number: int) -> Secret | None:
    """The per-commitment secret that revoked the peer's commitment of that number."""
    return channel.their_secrets.get(LAST_INDEX - number)


def keys_on_chain(channel: Channel, end: OnChain) -> CommitmentKeys:
    """Of our commitment on chain, or of one that the peer has revoked."""
    if end.kind is SpendKind.OURS:
        return keys_for(channel.terms, channel.our_points[0], ours=True)
    number = end.commitment_number
    secret = None if number is None else revoked_secret(channel, number)
    if secret is None:
        raise InvariantBroken("the keys of a commitment whose secret is not known")
    return keys_for(channel.terms, point_of(secret), ours=False)


def rebuilt(channel: Channel, end: OnChain) -> Built | None:
    """The commitment on chain as we knew it; None if it is none, or not one that we know."""
    funding, number = channel.funding, end.commitment_number
    built: Built | None = None
    match end.kind:
        case SpendKind.OURS:
            built = our_commitment(channel, funding)
        case SpendKind.THEIRS | SpendKind.THEIR_NEXT:
            previous = number != channel.their_number
            built = their_commitment(channel, funding, previous=previous)
        case SpendKind.REVOKED if number is not None and end.recalled is not None:
            secret = revoked_secret(channel, number)
            if secret is not None:
                point = point_of(secret)
                built = build(channel.terms, funding, end.recalled, number, point, ours=False)
        case _:
            pass
    return built if built is not None and built.commitment.tx.txid == end.txid else None
