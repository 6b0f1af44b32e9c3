"""What one side takes back from a commitment on chain: one input, one output, its fee inside.

Every claim is a value with an unsigned transaction, the digest to sign and the way to a witness;
`None` means that it is not worth taking at this feerate: what is left would be dust.

Rule 1: one output, one transaction.  BOLT 5 lets a penalty take all outputs at once, but the cheat
can pin one of them through its HTLC transaction and hold up the rest until `to_self_delay` is over.
Rule 2: whether an output may be taken already (its delay, its expiry) is the machine's question; a
claim that is made too early is one that no block can hold yet.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.script import dust_limit, p2wpkh_code
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, Transaction, TxIn, TxOut
from wallet.base.channel_tx.format import CommitmentFormat
from wallet.base.channel_tx.scripts import to_local_script, to_remote_script
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import OutPoint, Point, Preimage, Signature

_VERSION: Final = 2
# DER of a low-S signature and its sighash byte: never more.
LONGEST_SIGNATURE: Final = bytes(72)
# What OP_IF takes: MINIMALIF relays nothing but the empty string and this byte.
_FALSE: Final = b""
_TRUE: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class Claim:
    """An unsigned transaction that spends one output of ours; `digest` is signed by one key."""

    tx: Transaction
    digest: bytes
    fee: Satoshi
    behind_signature: tuple[bytes, ...]

    @property
    def weight(self) -> int:
        """In weight units, signed with the longest signature there can be."""
        return self.tx.with_witness(0, (LONGEST_SIGNATURE, *self.behind_signature)).weight

    def witness(self, signature: Signature) -> tuple[bytes, ...]:
        """The witness of the one input, for a signature over `digest`."""
        return (script_signature(signature), *self.behind_signature)

    def signed(self, signature: Signature) -> Transaction:
        """The transaction to broadcast."""
        return self.tx.with_witness(0, self.witness(signature))


@dataclass(frozen=True, slots=True)
class Anchored:
    """A commitment that a child is to pay for: what it pays and weighs once it is signed."""

    tx: Transaction
    fee: Satoshi
    weight: int
    anchor_index: int
    funding_pubkey: Point
    """Of whom the anchor belongs to."""


def spend_to_local(
    outpoint: OutPoint,
    amount: Satoshi,
    to_self_delay: int,
    revocation_pubkey: Point,
    delayed_pubkey: Point,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Take our own `to_local`, or the output of our HTLC transaction, after its delay (BOLT 5).

    The delayed key signs.  The transaction can be mined `to_self_delay` blocks after the output.
    """
    script = to_local_script(revocation_pubkey, to_self_delay, delayed_pubkey)
    spent = TxIn(outpoint, sequence=to_self_delay)
    return _claim(spent, amount, script, (_FALSE, script), script_pubkey, feerate)


def spend_to_remote(
    commitment_format: CommitmentFormat,
    outpoint: OutPoint,
    amount: Satoshi,
    payment_pubkey: Point,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Take our `to_remote` from the peer's commitment (BOLT 5). The payment key signs."""
    if not commitment_format.settled_delay:
        code = p2wpkh_code(payment_pubkey)
        return _claim(TxIn(outpoint), amount, code, (payment_pubkey,), script_pubkey, feerate)
    script = to_remote_script(payment_pubkey)
    spent = _settled(commitment_format, outpoint)
    return _claim(spent, amount, script, (script,), script_pubkey, feerate)


def spend_revoked_output(
    outpoint: OutPoint,
    amount: Satoshi,
    to_self_delay: int,
    revocation_pubkey: Point,
    delayed_pubkey: Point,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Penalty: the `to_local` of a revoked commitment, or the output of an HTLC transaction on it.

    The revocation key signs; no delay.  `to_self_delay` and `delayed_pubkey` are the cheat's, who
    can take the output itself `to_self_delay` blocks after it (BOLT 5 "Revoked Transaction Close
    Handling").
    """
    script = to_local_script(revocation_pubkey, to_self_delay, delayed_pubkey)
    return _claim(TxIn(outpoint), amount, script, (_TRUE, script), script_pubkey, feerate)


def spend_revoked_htlc(
    outpoint: OutPoint,
    amount: Satoshi,
    witness_script: bytes,
    revocation_pubkey: Point,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Penalty: an HTLC output of a revoked commitment, offered or received.

    The revocation key signs; no delay.  The cheat's HTLC transaction may take the output first:
    then `spend_revoked_output` takes that one's.
    """
    behind = (revocation_pubkey, witness_script)
    return _claim(TxIn(outpoint), amount, witness_script, behind, script_pubkey, feerate)


def spend_htlc_with_preimage(
    commitment_format: CommitmentFormat,
    outpoint: OutPoint,
    amount: Satoshi,
    witness_script: bytes,
    preimage: Preimage,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Take an HTLC that the peer offered us from the peer's own commitment (BOLT 5).

    `witness_script` is that of an offered HTLC output.  Our HTLC key signs.  Can be mined once the
    commitment has as many confirmations as the format delays; from the HTLC's expiry on, the peer
    can take it back.
    """
    spent = _settled(commitment_format, outpoint)
    behind = (preimage, witness_script)
    return _claim(spent, amount, witness_script, behind, script_pubkey, feerate)


def spend_htlc_after_expiry(
    commitment_format: CommitmentFormat,
    outpoint: OutPoint,
    amount: Satoshi,
    witness_script: bytes,
    cltv_expiry: CltvExpiry,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Take back an HTLC that we offered from the peer's commitment, once it has expired (BOLT 5).

    `witness_script` is that of a received HTLC output.  Our HTLC key signs.  The first block that
    can hold the transaction is `cltv_expiry` + 1; with the preimage the peer can take the HTLC
    until ours is mined.
    """
    spent = _settled(commitment_format, outpoint)
    behind = (_FALSE, witness_script)
    height = cltv_expiry.height
    return _claim(spent, amount, witness_script, behind, script_pubkey, feerate, height)


def _settled(commitment_format: CommitmentFormat, outpoint: OutPoint) -> TxIn:
    """An input with the delay of the format, or else without; both can be replaced (BIP 125)."""
    return TxIn(outpoint, sequence=commitment_format.settled_delay or SEQUENCE_RBF)


def _claim(
    spent: TxIn,
    amount: Satoshi,
    script_code: bytes,
    behind_signature: tuple[bytes, ...],
    script_pubkey: bytes,
    feerate: FeeratePerKw,
    locktime: int = 0,
) -> Claim | None:
    def paying(value: Satoshi) -> Transaction:
        return Transaction(_VERSION, (spent,), (TxOut(value, script_pubkey),), locktime)

    signed = paying(amount).with_witness(0, (LONGEST_SIGNATURE, *behind_signature))
    fee = feerate.fee_ceil(signed.weight)
    left = amount - fee
    if left < dust_limit(script_pubkey):
        return None
    tx = paying(left)
    return Claim(tx, segwit_v0(tx, 0, script_code, amount), fee, behind_signature)
