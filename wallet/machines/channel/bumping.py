"""How much a transaction of ours on chain may pay, block by block (BOLT 5).

Rule 1: never lower, never more than the value at risk, one bump a block at most: it always ends.
Rule 2: what nobody disputes pays the estimate; what a peer may take soon pays a growing share.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw, Satoshi

RELAY_INCREMENT: Final = 253
"""Satoshi per kW by which a replacement must pay more (BIP 125 rule 4, 1 sat/vB, rounded up)."""
URGENT: Final = 12
"""Blocks before its deadline at which what is not yet in a block pays more with every block."""
_PRESSURE: Final = ((1, (100, 200)), (3, (50, 200)), (6, (25, 150)), (URGENT, (10, 125)))
"""Blocks that are left, at most; then the percentage of the value that may go to the fee, and of
the last fee rate that the next one is at least: in twelve blocks a hundred times the first.  An
estimate may be far too low, and only blocks that pass us by tell so."""
_PATIENT: Final = (5, 0)


@dataclass(frozen=True, slots=True)
class Stake:
    """What a transaction fights for. `deadline` is the height from which it may be lost."""

    value: Satoshi
    weight: int
    """Of what the fee must carry: the claim, or a commitment and the child that pays for it."""
    deadline: int | None

    def most(self, height: int) -> Satoshi:
        """The highest fee that is reasonable at that height of the tip."""
        if self.deadline is None:
            return self.value
        percent, _ = self._pressure(height)
        share = Satoshi(self.value.sat * percent // 100)
        # Below the floor nothing is relayed: to wait for a larger share helps only the peer.
        least = FEERATE_FLOOR.fee_ceil(self.weight)
        return max(share, least) if least < self.value else share

    def growth(self, height: int) -> int:
        """Percentage of the last fee rate that the next one is at least; 0: the estimate says."""
        return self._pressure(height)[1]

    def _pressure(self, height: int) -> tuple[int, int]:
        if self.deadline is None:
            return _PATIENT
        left = self.deadline - height
        return next((pressure for blocks, pressure in _PRESSURE if left <= blocks), _PATIENT)


def next_feerate(
    stake: Stake, last: FeeratePerKw | None, made_at: int, estimate: FeeratePerKw, height: int
) -> FeeratePerKw | None:
    """What to pay at this height: `last` to leave it as it is, None if nothing is worth paying.

    `made_at` is the height at which the transaction with `last` was made.
    """
    ceiling = FeeratePerKw(stake.most(height).sat * 1000 // stake.weight)
    if last is None:
        first = min(estimate, ceiling)
        return first if first >= min(estimate, FEERATE_FLOOR) else None
    if height <= made_at:
        return last
    wanted = max(estimate.per_kw, last.per_kw * stake.growth(height) // 100)
    if wanted <= last.per_kw:
        return last
    raised = FeeratePerKw(min(max(wanted, last.per_kw + RELAY_INCREMENT), ceiling.per_kw))
    return raised if raised.per_kw >= last.per_kw + RELAY_INCREMENT else last
