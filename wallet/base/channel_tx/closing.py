"""BOLT 3 "Legacy Closing Transaction": what `closing_signed` is about.

Both peers build it for each fee on the table; the opener pays.  The output order is BOLT 3's.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.sighash import segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction, TxIn, TxOut
from wallet.base.channel_tx.scripts import funding_script
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint, Point

_VERSION: Final = 2
# Version, locktime, both counts and one input without script, four weight units a byte; then
# segwit marker and flag, and the witness: a count, an empty item, two signatures of at most 72
# bytes (low S, sighash byte included), the 71-byte script of the funding output.
_WEIGHT_WITHOUT_OUTPUTS: Final = 4 * (4 + 4 + 1 + 1 + 41) + 2 + 1 + 1 + 2 * (1 + 72) + 1 + 71


@dataclass(frozen=True, slots=True)
class ClosingTerms:
    """What both peers know when the last HTLC is gone. Scripts are those of `shutdown`."""

    funding: OutPoint
    funding_amount: Satoshi
    opener_funding_pubkey: Point
    accepter_funding_pubkey: Point
    to_opener: MilliSatoshi
    to_accepter: MilliSatoshi
    opener_script: bytes
    accepter_script: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """A closing transaction, unsigned. `digest` is what both funding keys sign.

    `commitment.funding_witness` completes it.  An index is None when there is no such output.
    """

    tx: Transaction
    digest: bytes
    funding_script: bytes
    opener_index: int | None
    accepter_index: int | None


def build_closing(
    terms: ClosingTerms,
    fee: Satoshi,
    dust_limit: Satoshi,
    *,
    with_opener: bool = True,
    with_accepter: bool = True,
) -> Closing | None:
    """The closing transaction that the peer with `dust_limit` signs at `fee`.

    A signer may leave its own output out (`with_opener`, `with_accepter`); the other peer finds out
    from the signature.  None when the opener cannot pay the fee or no output is left.
    """
    # BOLT 3: MUST round each output down to whole satoshis. MUST subtract the fee given by
    # `fee_satoshis` from the output to the funder.
    to_opener = terms.to_opener.floor_to_sat() - fee
    to_accepter = terms.to_accepter.floor_to_sat()
    if to_opener < Satoshi(0):
        return None
    opener = TxOut(to_opener, terms.opener_script)
    accepter = TxOut(to_accepter, terms.accepter_script)
    # BOLT 3: MUST remove any output below its own `dust_limit_satoshis`.
    outputs = [
        output
        for output, wanted in ((opener, with_opener), (accepter, with_accepter))
        if wanted and output.amount >= dust_limit
    ]
    if not outputs:
        return None
    outputs.sort(key=lambda output: (output.amount.sat, output.script_pubkey))
    tx = Transaction(
        _VERSION, (TxIn(terms.funding, sequence=SEQUENCE_FINAL),), tuple(outputs), locktime=0
    )
    script = funding_script(terms.opener_funding_pubkey, terms.accepter_funding_pubkey)
    places = {id(output): index for index, output in enumerate(outputs)}
    return Closing(
        tx=tx,
        digest=segwit_v0(tx, 0, script, terms.funding_amount),
        funding_script=script,
        opener_index=places.get(id(opener)),
        accepter_index=places.get(id(accepter)),
    )


def closing_weight(*scripts: bytes) -> int:
    """Most weight units of a signed closing transaction that pays to these script_pubkeys."""
    return _WEIGHT_WITHOUT_OUTPUTS + 4 * sum(
        len(TxOut(Satoshi(0), script).encode()) for script in scripts
    )
