"""BOLT 3 commitment and HTLC transactions: `build_commitment` and what it returns.

Everything is seen from the commitment: its *broadcaster* may put it on chain, its *countersigner*
has signed it.  Rule 1: no point arithmetic and no signature here; keys come ready, digests go out.
Rule 2: both peers must build the same bytes, so nothing depends on who asks.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from wallet.base.bitcoin.script import p2wpkh, p2wsh
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.channel_tx.fees import CommittedHtlc, commitment_fee, is_trimmed, untrimmed
from wallet.base.channel_tx.format import CommitmentFormat
from wallet.base.channel_tx.keys import CommitmentKeys
from wallet.base.channel_tx.scripts import (
    HtlcScripts,
    anchor_script,
    funding_script,
    to_local_script,
    to_remote_script,
)
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import ensure
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint, Point, Preimage, Signature

__all__ = [
    "MAX_COMMITMENT_NUMBER",
    "Commitment",
    "CommitmentSpec",
    "CommitmentTerms",
    "CommittedHtlc",
    "HtlcTransaction",
    "build_commitment",
    "commitment_fee",
    "commitment_number_of",
    "funding_witness",
    "is_trimmed",
    "settled_output",
]

VERSION: Final = 2
MAX_COMMITMENT_NUMBER: Final = (1 << 48) - 1
_LOCKTIME_MARK: Final = 0x20
_SEQUENCE_MARK: Final = 0x80


@dataclass(frozen=True, slots=True)
class CommitmentTerms:
    """What stays the same for every commitment of one side on one funding output.

    `dust_limit` is the broadcaster's; `to_self_delay` is the delay in blocks on its own outputs,
    which the countersigner chose.
    """

    format: CommitmentFormat
    funding: OutPoint
    funding_amount: Satoshi
    broadcaster_funding_pubkey: Point
    countersigner_funding_pubkey: Point
    opener_payment_basepoint: Point
    accepter_payment_basepoint: Point
    broadcaster_is_opener: bool
    dust_limit: Satoshi
    to_self_delay: int


@dataclass(frozen=True, slots=True)
class CommitmentSpec:
    """What one commitment says. Balances are before fee and anchors, without the HTLCs."""

    number: int
    feerate: FeeratePerKw
    to_broadcaster: MilliSatoshi
    to_countersigner: MilliSatoshi
    htlcs: tuple[CommittedHtlc, ...]


@dataclass(frozen=True, slots=True)
class HtlcTransaction:
    """BOLT 3 HTLC-timeout (`htlc.offered`) or HTLC-success transaction, unsigned.

    `digest` is what the countersigner signs in `commitment_signed`, with `sighash`; `script` is the
    witness script of the commitment output `output_index` that it spends.
    """

    htlc: CommittedHtlc
    tx: Transaction
    digest: bytes
    sighash: int
    script: bytes
    output_index: int

    @property
    def own_digest(self) -> bytes:
        """What the broadcaster signs (SIGHASH_ALL) when it publishes."""
        return segwit_v0(self.tx, 0, self.script, self.htlc.amount.floor_to_sat())

    def witness(
        self,
        countersigner_signature: Signature,
        broadcaster_signature: Signature,
        preimage: Preimage | None,
    ) -> tuple[bytes, ...]:
        """The witness of the one input; a preimage for HTLC-success only."""
        ensure(
            self.htlc.offered == (preimage is None),
            "HTLC-success needs a preimage, HTLC-timeout has none",
        )
        return (
            b"",
            script_signature(countersigner_signature, self.sighash),
            script_signature(broadcaster_signature),
            preimage or b"",
            self.script,
        )


@dataclass(frozen=True, slots=True)
class Commitment:
    """A commitment transaction, unsigned, with its HTLC transactions in output order.

    `digest` is what both funding keys sign.  An index is None when there is no such output.
    """

    tx: Transaction
    digest: bytes
    funding_script: bytes
    htlcs: tuple[HtlcTransaction, ...]
    to_local_index: int | None
    to_remote_index: int | None
    broadcaster_anchor_index: int | None
    countersigner_anchor_index: int | None


class _Role(Enum):
    TO_LOCAL = auto()
    TO_REMOTE = auto()
    BROADCASTER_ANCHOR = auto()
    COUNTERSIGNER_ANCHOR = auto()


@dataclass(frozen=True, slots=True)
class _Planned:
    """One output before it has its place."""

    amount: Satoshi
    script_pubkey: bytes
    source: _Role | CommittedHtlc
    witness_script: bytes = b""

    @property
    def order(self) -> tuple[int, bytes, int]:
        # BOLT 3 "Transaction Output Ordering". Without the expiry, two peers could send
        # `htlc_signatures` for equal outputs in different order.
        expiry = self.source.cltv_expiry.height if isinstance(self.source, CommittedHtlc) else 0
        return self.amount.sat, self.script_pubkey, expiry


def build_commitment(
    terms: CommitmentTerms, keys: CommitmentKeys, spec: CommitmentSpec
) -> Commitment:
    """BOLT 3 "Commitment Transaction Construction", and the HTLC transactions on top.

    Raises `InvariantBroken` if the outputs are worth more than the funding output: the machine let
    the opener run below what the anchors cost.
    """
    kept = untrimmed(terms.format, spec.htlcs, spec.feerate, terms.dust_limit)
    planned = _plan_htlcs(terms, keys, kept)
    planned += _plan_balances(terms, keys, spec, len(kept))
    planned.sort(key=lambda output: output.order)
    ensure(
        sum(output.amount.sat for output in planned) <= terms.funding_amount.sat,
        "a commitment would pay more than the funding output holds",
    )

    obscured = spec.number ^ _obscuring_factor(
        terms.opener_payment_basepoint, terms.accepter_payment_basepoint
    )
    tx = Transaction(
        VERSION,
        (TxIn(terms.funding, sequence=_SEQUENCE_MARK << 24 | obscured >> 24),),
        tuple(TxOut(output.amount, output.script_pubkey) for output in planned),
        _LOCKTIME_MARK << 24 | obscured & 0xFFFFFF,
    )
    funding = funding_script(terms.broadcaster_funding_pubkey, terms.countersigner_funding_pubkey)
    places = {
        output.source: index
        for index, output in enumerate(planned)
        if isinstance(output.source, _Role)
    }
    return Commitment(
        tx=tx,
        digest=segwit_v0(tx, 0, funding, terms.funding_amount),
        funding_script=funding,
        htlcs=_htlc_transactions(terms, keys, spec.feerate, tx, planned),
        to_local_index=places.get(_Role.TO_LOCAL),
        to_remote_index=places.get(_Role.TO_REMOTE),
        broadcaster_anchor_index=places.get(_Role.BROADCASTER_ANCHOR),
        countersigner_anchor_index=places.get(_Role.COUNTERSIGNER_ANCHOR),
    )


def _plan_htlcs(
    terms: CommitmentTerms, keys: CommitmentKeys, kept: tuple[CommittedHtlc, ...]
) -> list[_Planned]:
    if not kept:
        return []
    scripts = HtlcScripts.of(keys, terms.format.settled_delay)
    planned = []
    for htlc in kept:
        script = (
            scripts.offered(htlc.payment_hash)
            if htlc.offered
            else scripts.received(htlc.payment_hash, htlc.cltv_expiry)
        )
        planned.append(_Planned(htlc.amount.floor_to_sat(), p2wsh(script), htlc, script))
    return planned


def _plan_balances(
    terms: CommitmentTerms, keys: CommitmentKeys, spec: CommitmentSpec, untrimmed_count: int
) -> list[_Planned]:
    to_broadcaster = spec.to_broadcaster.floor_to_sat()
    to_countersigner = spec.to_countersigner.floor_to_sat()
    costs = commitment_fee(terms.format, spec.feerate, untrimmed_count) + terms.format.anchors_total
    if terms.broadcaster_is_opener:
        to_broadcaster = _less(to_broadcaster, costs)
    else:
        to_countersigner = _less(to_countersigner, costs)

    planned = []
    has_local = to_broadcaster >= terms.dust_limit
    has_remote = to_countersigner >= terms.dust_limit
    if has_local:
        planned.append(_Planned(to_broadcaster, _delayed_output(terms, keys), _Role.TO_LOCAL))
    if has_remote:
        output = settled_output(terms.format, keys.countersigner_payment_pubkey)
        planned.append(_Planned(to_countersigner, output, _Role.TO_REMOTE))
    if terms.format.anchor_amount:
        # BOLT 3: without HTLCs, who has no balance here has no reason to hurry the transaction.
        if has_local or untrimmed_count:
            anchor = p2wsh(anchor_script(terms.broadcaster_funding_pubkey))
            planned.append(_Planned(terms.format.anchor_amount, anchor, _Role.BROADCASTER_ANCHOR))
        if has_remote or untrimmed_count:
            anchor = p2wsh(anchor_script(terms.countersigner_funding_pubkey))
            planned.append(_Planned(terms.format.anchor_amount, anchor, _Role.COUNTERSIGNER_ANCHOR))
    return planned


def _less(balance: Satoshi, costs: Satoshi) -> Satoshi:
    # An opener that cannot pay its fee pays what it has; BOLT 2 says who may bring it there.
    return max(balance - costs, Satoshi(0))


def _delayed_output(terms: CommitmentTerms, keys: CommitmentKeys) -> bytes:
    return p2wsh(
        to_local_script(
            keys.revocation_pubkey, terms.to_self_delay, keys.broadcaster_delayed_pubkey
        )
    )


def settled_output(commitment_format: CommitmentFormat, payment_pubkey: Point) -> bytes:
    """The script_pubkey of `to_remote`: P2WSH with the format's delay, plain P2WPKH without."""
    if commitment_format.settled_delay:
        return p2wsh(to_remote_script(payment_pubkey))
    return p2wpkh(payment_pubkey)


def _htlc_transactions(
    terms: CommitmentTerms,
    keys: CommitmentKeys,
    feerate: FeeratePerKw,
    commitment: Transaction,
    planned: list[_Planned],
) -> tuple[HtlcTransaction, ...]:
    rules = terms.format
    fees = {offered: rules.htlc_fee(offered, feerate) for offered in (True, False)}
    delayed_output = _delayed_output(terms, keys)
    txid = commitment.txid
    built = []
    for index, output in enumerate(planned):
        htlc = output.source
        if not isinstance(htlc, CommittedHtlc):
            continue
        tx = Transaction(
            VERSION,
            (TxIn(OutPoint(txid, index), sequence=rules.settled_delay),),
            (TxOut(output.amount - fees[htlc.offered], delayed_output),),
            htlc.cltv_expiry.height if htlc.offered else 0,
        )
        script = output.witness_script
        digest = segwit_v0(tx, 0, script, output.amount, rules.htlc_sighash)
        built.append(HtlcTransaction(htlc, tx, digest, rules.htlc_sighash, script, index))
    return tuple(built)


def funding_witness(
    script: bytes,
    signature_a: Signature,
    signature_b: Signature,
    pubkeys: tuple[Point, Point],
) -> tuple[bytes, ...]:
    """The witness that spends the funding output; `pubkeys` are of `signature_a`, `signature_b`."""
    signed = sorted(zip(pubkeys, (signature_a, signature_b), strict=True))
    return (b"", *(script_signature(signature) for _, signature in signed), script)


def _obscuring_factor(opener_payment_basepoint: Point, accepter_payment_basepoint: Point) -> int:
    return int.from_bytes(sha256(opener_payment_basepoint + accepter_payment_basepoint)[-6:], "big")


def commitment_number_of(
    tx: Transaction, opener_payment_basepoint: Point, accepter_payment_basepoint: Point
) -> int | None:
    """The number of the commitment that `tx` is; None when it does not look like a commitment."""
    if len(tx.inputs) != 1:
        return None
    sequence = tx.inputs[0].sequence
    if sequence >> 24 != _SEQUENCE_MARK or tx.locktime >> 24 != _LOCKTIME_MARK:
        return None
    obscured = (sequence & 0xFFFFFF) << 24 | tx.locktime & 0xFFFFFF
    return obscured ^ _obscuring_factor(opener_payment_basepoint, accepter_payment_basepoint)
