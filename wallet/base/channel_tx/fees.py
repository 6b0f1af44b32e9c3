"""BOLT 3 "Fees" and "Trimmed Outputs": what a commitment costs, what is too small to be in it."""

from collections.abc import Iterable
from dataclasses import dataclass

from wallet.base.channel_tx.format import CommitmentFormat
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import PaymentHash


@dataclass(frozen=True, slots=True)
class CommittedHtlc:
    """One HTLC as a commitment contains it; `offered` means offered by the broadcaster."""

    id: int
    offered: bool
    amount: MilliSatoshi
    payment_hash: PaymentHash
    cltv_expiry: CltvExpiry


def is_trimmed(
    commitment_format: CommitmentFormat,
    htlc: CommittedHtlc,
    feerate: FeeratePerKw,
    dust_limit: Satoshi,
) -> bool:
    """Whether the HTLC gets no output; `dust_limit` is the broadcaster's.

    At equality the output stays: peers that disagree about it sign different transactions.
    """
    # BOLT 3: if the HTLC amount minus the HTLC-timeout fee would be less than
    # `dust_limit_satoshis` set by the transaction owner: MUST NOT contain that output.
    return htlc.amount.floor_to_sat() < dust_limit + commitment_format.htlc_fee(
        htlc.offered, feerate
    )


def untrimmed(
    commitment_format: CommitmentFormat,
    htlcs: Iterable[CommittedHtlc],
    feerate: FeeratePerKw,
    dust_limit: Satoshi,
) -> tuple[CommittedHtlc, ...]:
    """The HTLCs that get an output, in the order given."""
    # Not a loop over `is_trimmed`: this runs for each HTLC of each commitment, and the two limits
    # are the same for all of them.
    offered = dust_limit + commitment_format.htlc_fee(True, feerate)
    received = dust_limit + commitment_format.htlc_fee(False, feerate)
    least = {True: offered.to_msat().msat, False: received.to_msat().msat}
    return tuple(h for h in htlcs if h.amount.msat >= least[h.offered])


def commitment_fee(
    commitment_format: CommitmentFormat, feerate: FeeratePerKw, untrimmed_count: int
) -> Satoshi:
    """BOLT 3 base fee of a commitment, which the opener pays; trimmed outputs come on top."""
    return feerate.fee(
        commitment_format.commitment_weight + commitment_format.htlc_output_weight * untrimmed_count
    )
