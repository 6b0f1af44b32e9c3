"""What each side's commitment holds, built and checked: the table read as transactions.

Rule 1: contents are a filter over the HTLC table; nothing here changes a stage.
Rule 2: *ours* and *theirs* end here; `channel_tx` below knows broadcaster and countersigner.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wallet.base.bitcoin.sighash import script_signature
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.commitment import (
    Commitment,
    CommitmentSpec,
    CommitmentTerms,
    build_commitment,
)
from wallet.base.channel_tx.fees import CommittedHtlc
from wallet.base.channel_tx.keys import Basepoints, CommitmentKeys, commitment_keys
from wallet.base.crypto.curve import verify
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.ids import Point, Signature
from wallet.base.wire.channel import CommitmentSigned
from wallet.machines.channel.actions import Send
from wallet.machines.channel.htlc import Fulfilled, Split
from wallet.machines.channel.htlc_stages import ROWS, Row
from wallet.machines.channel.state import Channel, Funding, Terms
from wallet.machines.signing import (
    FundingKey,
    HtlcKey,
    InputToSign,
    SignDigest,
    Slot,
    UnsignedTx,
)


def in_ours(row: Row) -> bool:
    """The column of our latest commitment."""
    return row.in_ours


def in_theirs(row: Row) -> bool:
    """The column of the latest commitment that we signed for them."""
    return row.in_theirs


def in_their_previous(row: Row) -> bool:
    """The column of their commitment before, while they have not revoked it."""
    return row.in_their_previous


Column = Callable[[Row], bool]


def split(channel: Channel, funding: Funding, column: Column) -> Split:
    """The contents of the commitment that `column` tells of."""
    to_us, to_them = funding.to_us.msat, funding.to_them.msat
    held = []
    for htlc in channel.htlcs.values():
        row = ROWS[htlc.stage]
        amount = htlc.amount.msat
        if column(row):
            held.append(htlc)
            if htlc.key.offered_by_us:
                to_us -= amount
            else:
                to_them -= amount
        elif row.removing and isinstance(htlc.removal, Fulfilled):
            # Removed from this commitment with its preimage: the money has changed sides.
            moved = -amount if htlc.key.offered_by_us else amount
            to_us += moved
            to_them -= moved
    feerate = channel.fees[0].feerate
    for update in channel.fees[1:]:
        if column(ROWS[update.stage]):
            feerate = update.feerate
    return Split(MilliSatoshi(to_us), MilliSatoshi(to_them), feerate, tuple(held))


def _terms(terms: Terms, funding: Funding, *, ours: bool) -> CommitmentTerms:
    opener, accepter = terms.ours.basepoints, terms.theirs.basepoints
    if not terms.we_opened:
        opener, accepter = accepter, opener
    broadcaster, countersigner = (
        (funding.our_pubkey, funding.their_pubkey)
        if ours
        else (funding.their_pubkey, funding.our_pubkey)
    )
    return CommitmentTerms(
        format=terms.format,
        funding=funding.outpoint,
        funding_amount=funding.amount,
        broadcaster_funding_pubkey=broadcaster,
        countersigner_funding_pubkey=countersigner,
        opener_payment_basepoint=opener.payment,
        accepter_payment_basepoint=accepter.payment,
        broadcaster_is_opener=terms.we_opened is ours,
        dust_limit=(terms.ours if ours else terms.theirs).dust_limit,
        to_self_delay=(terms.theirs if ours else terms.ours).to_self_delay,
    )


def _basepoints(terms: Terms, *, ours: bool) -> tuple[Basepoints, Basepoints]:
    if ours:
        return terms.ours.basepoints, terms.theirs.basepoints
    return terms.theirs.basepoints, terms.ours.basepoints


def keys_for(terms: Terms, point: Point, *, ours: bool) -> CommitmentKeys:
    """The keys in our commitment (`ours`) or theirs with that per-commitment point."""
    broadcaster, countersigner = _basepoints(terms, ours=ours)
    return commitment_keys(broadcaster, countersigner, point)


@dataclass(frozen=True, slots=True)
class Built:
    """A commitment and the keys in it."""

    commitment: Commitment
    keys: CommitmentKeys


def build(
    terms: Terms, funding: Funding, content: Split, number: int, point: Point, *, ours: bool
) -> Built:
    """Our commitment (`ours`) or theirs, with that number and per-commitment point."""
    mine, other = (content.to_us, content.to_them) if ours else (content.to_them, content.to_us)
    spec = CommitmentSpec(
        number=number,
        feerate=content.feerate,
        to_broadcaster=mine,
        to_countersigner=other,
        htlcs=tuple(
            CommittedHtlc(
                id=h.key.id,
                offered=h.key.offered_by_us is ours,
                amount=h.amount,
                payment_hash=h.payment_hash,
                cltv_expiry=h.cltv_expiry,
            )
            for h in content.htlcs
        ),
    )
    keys = keys_for(terms, point, ours=ours)
    return Built(build_commitment(_terms(terms, funding, ours=ours), keys, spec), keys)


def our_commitment(channel: Channel, funding: Funding) -> Built:
    """Our latest commitment: the one we may broadcast."""
    return build(
        channel.terms,
        funding,
        split(channel, funding, in_ours),
        channel.our_number,
        channel.our_points[0],
        ours=True,
    )


def their_commitment(channel: Channel, funding: Funding, *, previous: bool = False) -> Built:
    """The latest commitment we signed for them, or the one before while it is not revoked."""
    at = 1 if channel.awaiting_revocation and not previous else 0
    return build(
        channel.terms,
        funding,
        split(channel, funding, in_their_previous if previous else in_theirs),
        channel.their_number - int(previous),
        channel.their_points[at],
        ours=False,
    )


def commitment_signed(channel: Channel, funding: Funding) -> Send:
    """The `commitment_signed` for their latest commitment, signature slots to be filled.

    ECDSA is deterministic and the table says what was in it: sent again after a reconnect or a
    crash, the message is the same byte for byte.
    """
    terms = channel.terms
    point = channel.their_points[1 if channel.awaiting_revocation else 0]
    commitment = their_commitment(channel, funding).commitment
    htlc_key = HtlcKey(terms.keys_id, point)
    message = CommitmentSigned(
        terms.channel_id,
        Signature(bytes(64)),
        (Signature(bytes(64)),) * len(commitment.htlcs),
        funding.outpoint.txid,
    )
    return Send(
        message,
        (
            SignDigest(FundingKey(terms.keys_id, funding.number), commitment.digest),
            *(SignDigest(htlc_key, h.digest) for h in commitment.htlcs),
        ),
    )


def check_signatures(
    funding: Funding, built: Built, signature: Signature, htlc_signatures: tuple[Signature, ...]
) -> None:
    """Raise `PeerFault` unless the peer signed our commitment and each of its HTLC transactions."""
    commitment = built.commitment
    # BOLT 2: if `signature` is not valid for its local commitment transaction OR non-compliant with
    # LOW-S-standard rule: MUST send a `warning` and close the connection, or send an `error`.
    if not verify(funding.their_pubkey, commitment.digest, signature):
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"bad signature on commitment for funding {funding.outpoint}"
            f" (commitment {commitment.tx.txid})",
        )
    if len(htlc_signatures) != len(commitment.htlcs):
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"num_htlcs is {len(htlc_signatures)}, our commitment has {len(commitment.htlcs)}"
            " HTLC outputs",
        )
    for htlc, htlc_signature in zip(commitment.htlcs, htlc_signatures, strict=True):
        if not verify(built.keys.countersigner_htlc_pubkey, htlc.digest, htlc_signature):
            raise PeerFault(Severity.FAIL_CHANNEL, f"bad htlc_signature for HTLC {htlc.htlc.id}")


def spend_funding(
    terms: Terms,
    funding: Funding,
    tx: Transaction,
    digest: bytes,
    script: bytes,
    their_signature: Signature,
) -> UnsignedTx:
    """A commitment of ours or a mutual close, complete but for our signature."""
    signed: list[tuple[Point, bytes | Slot]] = sorted(
        [
            (funding.our_pubkey, Slot.DER_ALL),
            (funding.their_pubkey, script_signature(their_signature)),
        ],
        key=lambda pair: pair[0],
    )
    witness = (b"", *(item for _, item in signed), script)
    request = SignDigest(FundingKey(terms.keys_id, funding.number), digest)
    return UnsignedTx(tx, (InputToSign(0, request, witness),))
