"""What one side takes back from a commitment on chain: one input, one output, its fee inside.

Every claim is a value with an unsigned transaction, the digest to sign and the way to a witness;
`None` means that it is not worth taking at this feerate: what is left would be dust.
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
_LONGEST_SIGNATURE: Final = bytes(72)


@dataclass(frozen=True, slots=True)
class Claim:
    """An unsigned transaction that spends one output of ours; `digest` is signed by one key."""

    tx: Transaction
    digest: bytes
    fee: Satoshi
    behind_signature: tuple[bytes, ...]

    @property
    def weight(self) -> int:
        """Once signed, with the longest signature there can be."""
        return self.tx.with_witness(0, (_LONGEST_SIGNATURE, *self.behind_signature)).weight

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
    return _claim(spent, amount, script, (b"", script), script_pubkey, feerate)


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
    spent = TxIn(outpoint, sequence=commitment_format.settled_delay)
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
    """Penalty on a revoked `to_local`, or on the output of the cheat's HTLC transaction (BOLT 5).

    The revocation key signs.  It can be mined at once.
    """
    script = to_local_script(revocation_pubkey, to_self_delay, delayed_pubkey)
    spent = TxIn(outpoint, sequence=SEQUENCE_RBF)
    return _claim(spent, amount, script, (b"\x01", script), script_pubkey, feerate)


def spend_revoked_htlc(
    outpoint: OutPoint,
    amount: Satoshi,
    witness_script: bytes,
    revocation_pubkey: Point,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Penalty on an HTLC output of a revoked commitment, offered or received (BOLT 5).

    The revocation key signs.  It can be mined at once.
    """
    spent = TxIn(outpoint, sequence=SEQUENCE_RBF)
    behind = (revocation_pubkey, witness_script)
    return _claim(spent, amount, witness_script, behind, script_pubkey, feerate)


def spend_htlc_with_preimage(
    commitment_format: CommitmentFormat,
    outpoint: OutPoint,
    amount: Satoshi,
    witness_script: bytes,
    preimage: Preimage,
    script_pubkey: bytes,
    feerate: FeeratePerKw,
) -> Claim | None:
    """Take an HTLC that the peer offered, from its own commitment (BOLT 3 "Offered HTLC Outputs").

    Our HTLC key signs.  From `cltv_expiry` on the peer may take it back.
    """
    spent = TxIn(outpoint, sequence=commitment_format.settled_delay)
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
    """Take back an HTLC of ours from the peer's commitment (BOLT 3 "Received HTLC Outputs").

    Our HTLC key signs.  The first block that may hold it is the one after `cltv_expiry`.
    """
    spent = TxIn(outpoint, sequence=commitment_format.settled_delay)
    behind = (b"", witness_script)
    locktime = cltv_expiry.height
    return _claim(spent, amount, witness_script, behind, script_pubkey, feerate, locktime)


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

    signed = paying(amount).with_witness(0, (_LONGEST_SIGNATURE, *behind_signature))
    fee = feerate.fee_ceil(signed.weight)
    left = amount - fee
    if left < dust_limit(script_pubkey):
        return None
    tx = paying(left)
    return Claim(tx, segwit_v0(tx, 0, script_code, amount), fee, behind_signature)
