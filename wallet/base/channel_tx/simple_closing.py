"""BOLT 3 "Closing Transaction": what `closing_complete` and `closing_sig` are about.

Each peer proposes its own, as *closer*, and pays the fee of it; the other, the *closee*, signs.
The output order is BOLT 3's.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wallet.base.bitcoin.script import dust_limit, is_unspendable
from wallet.base.bitcoin.sighash import segwit_v0
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.channel_tx.scripts import funding_script
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint, Point

_VERSION: Final = 2
_SEQUENCE: Final = 0xFFFFFFFD


class ClosingOutputs(StrEnum):
    """Which outputs a version has; the values are the TLV fields that hold its signature."""

    CLOSER = "closer_output_only"
    CLOSEE = "closee_output_only"
    BOTH = "closer_and_closee_outputs"


@dataclass(frozen=True, slots=True)
class SimpleTerms:
    """What both peers know of one proposal. Balances are those of the final commitments."""

    funding: OutPoint
    funding_amount: Satoshi
    closer_funding_pubkey: Point
    closee_funding_pubkey: Point
    to_closer: MilliSatoshi
    to_closee: MilliSatoshi
    closer_script: bytes
    closee_script: bytes
    fee: Satoshi
    """`fee_satoshis`. The transaction pays more where an output is left out."""
    locktime: int


@dataclass(frozen=True, slots=True)
class SimpleClosing:
    """One version, unsigned. `digest` is what both funding keys sign."""

    tx: Transaction
    digest: bytes
    funding_script: bytes
    fee_paid: Satoshi

    @property
    def has_dust(self) -> bool:
        """Whether an output is too small for Core to relay the transaction."""
        return any(_is_dust(output) for output in self.tx.outputs)


def build_simple_closing(terms: SimpleTerms, outputs: ClosingOutputs) -> SimpleClosing | None:
    """The version with these outputs; None when the closer cannot pay the fee."""
    closer, closee = _closer_output(terms), _closee_output(terms)
    if closer is None:
        return None
    paid = {
        ClosingOutputs.CLOSER: [closer],
        ClosingOutputs.CLOSEE: [closee],
        ClosingOutputs.BOTH: [closer, closee],
    }[outputs]
    paid.sort(key=lambda output: (output.amount.sat, output.script_pubkey))
    tx = Transaction(
        _VERSION, (TxIn(terms.funding, sequence=_SEQUENCE),), tuple(paid), locktime=terms.locktime
    )
    script = funding_script(terms.closer_funding_pubkey, terms.closee_funding_pubkey)
    return SimpleClosing(
        tx=tx,
        digest=segwit_v0(tx, 0, script, terms.funding_amount),
        funding_script=script,
        fee_paid=Satoshi(terms.funding_amount.sat - sum(output.amount.sat for output in paid)),
    )


def _closer_output(terms: SimpleTerms) -> TxOut | None:
    # BOLT 3: MUST round each output down to whole satoshis. MUST subtract the fee given by
    # `fee_satoshis` from the closer output. MUST set the output amount to 0 if the `scriptpubkey`
    # is `OP_RETURN`.
    left = terms.to_closer.floor_to_sat() - terms.fee
    if left < Satoshi(0):
        return None
    return _output(left, terms.closer_script)


def _closee_output(terms: SimpleTerms) -> TxOut:
    return _output(terms.to_closee.floor_to_sat(), terms.closee_script)


def _output(amount: Satoshi, script: bytes) -> TxOut:
    return TxOut(Satoshi(0) if is_unspendable(script) else amount, script)


def _is_dust(output: TxOut) -> bool:
    return output.amount < dust_limit(output.script_pubkey)


def offered_outputs(terms: SimpleTerms) -> tuple[ClosingOutputs, ...]:
    """Which versions the closer signs, in the order of their fields (BOLT 2)."""
    closer = _closer_output(terms)
    if closer is None:
        return ()
    # BOLT 2: If the local outstanding balance (in millisatoshi) is less than the remote
    # outstanding balance: MUST NOT set `closer_output_only`. MUST set `closee_output_only` if the
    # local output amount is dust.
    if terms.to_closer < terms.to_closee:
        return (ClosingOutputs.CLOSEE,) if _is_dust(closer) else (ClosingOutputs.BOTH,)
    # BOLT 2: If the closee's output amount is dust: MUST set `closer_output_only`. MUST NOT set
    # `closer_and_closee_outputs`. Otherwise: MUST set both.
    if _is_dust(_closee_output(terms)):
        return (ClosingOutputs.CLOSER,)
    return (ClosingOutputs.CLOSER, ClosingOutputs.BOTH)


def selected_outputs(terms: SimpleTerms, signed: frozenset[ClosingOutputs]) -> ClosingOutputs:
    """The one version whose signature the closee validates; it may not be among those signed."""
    # BOLT 2: If the local output amount is dust: MUST use `closer_output_only`.
    if _is_dust(_closee_output(terms)):
        return ClosingOutputs.CLOSER
    # BOLT 2: Otherwise, if `closer_and_closee_outputs` is present: MUST use
    # `closer_and_closee_outputs`. Otherwise: MUST use `closee_output_only`.
    return ClosingOutputs.BOTH if ClosingOutputs.BOTH in signed else ClosingOutputs.CLOSEE
