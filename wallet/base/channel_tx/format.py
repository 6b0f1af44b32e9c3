"""What differs between kinds of commitments, as values: scripts' delays, weights, sighash, anchors.

The channel machine never asks "anchors or not?"; it carries a `CommitmentFormat` and this room
reads the answer from it.  The format is fixed when the channel is opened (its `channel_type`).
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.sighash import SigHash
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import ZERO_SAT, FeeratePerKw, Satoshi
from wallet.base.values.encode import register_leaf


@dataclass(frozen=True, slots=True)
class CommitmentFormat:
    """Rules of one kind of commitment. Weights are in weight units (BOLT 3, appendix A).

    `name` is stored; it never changes its meaning.  `anchor_amount` is zero when there are no
    anchors.  `settled_delay` is the relative delay in blocks of `to_remote` and of the HTLC
    branches, zero for none.  `htlc_fee_timeout_weight` and `htlc_fee_success_weight` are the
    weights that HTLC transactions pay for; zero when somebody adds the fee later.
    """

    name: str
    commitment_weight: int
    htlc_output_weight: int
    htlc_timeout_weight: int
    htlc_success_weight: int
    htlc_fee_timeout_weight: int
    htlc_fee_success_weight: int
    anchor_amount: Satoshi
    settled_delay: int
    htlc_sighash: int
    max_accepted_htlcs: int

    @property
    def anchors_total(self) -> Satoshi:
        """What the opener gives for both anchors."""
        return self.anchor_amount + self.anchor_amount

    def htlc_fee(self, offered: bool, feerate: FeeratePerKw) -> Satoshi:
        """Fee inside the HTLC-timeout (`offered` by the broadcaster) or HTLC-success tx."""
        weight = self.htlc_fee_timeout_weight if offered else self.htlc_fee_success_weight
        return feerate.fee(weight) if weight else ZERO_SAT


# BOLT 3 with `option_anchors` (bits 22/23): HTLC transactions pay no fee of their own.
# BOLT 2: 483 HTLCs a side keep a penalty transaction within the standard 400,000 weight units.
ANCHORS: Final = CommitmentFormat(
    name="anchors_zero_fee_htlc_tx",
    commitment_weight=1124,
    htlc_output_weight=172,
    htlc_timeout_weight=666,
    htlc_success_weight=706,
    htlc_fee_timeout_weight=0,
    htlc_fee_success_weight=0,
    anchor_amount=Satoshi(330),
    settled_delay=1,
    htlc_sighash=SigHash.SINGLE_ANYONECANPAY,
    max_accepted_htlcs=483,
)

_BY_NAME: Final = {ANCHORS.name: ANCHORS}


def format_by_name(name: str) -> CommitmentFormat | None:
    """The format that a stored channel names; None when this version does not know it."""
    return _BY_NAME.get(name)


def _stored_format(name: str) -> CommitmentFormat:
    if (found := format_by_name(name)) is None:
        raise DecodeError(f"this leyden knows no commitment format {name[:40]!r}")
    return found


register_leaf(CommitmentFormat, lambda commitment_format: commitment_format.name, _stored_format)
