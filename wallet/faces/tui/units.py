"""Amounts as people read them: satoshi with commas, or bitcoin with eight decimals; or hidden.

Nothing is rounded in silence: balances are rounded down, fees up, and what is less than a satoshi
but not nothing is shown as `<1`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wallet.base.values.amounts import SAT_PER_BTC, MilliSatoshi

HIDDEN: Final = "•••••"
"""Of one length, so that it does not tell the size."""


class Unit(StrEnum):
    """What amounts are shown in."""

    SAT = "sat"
    BTC = "BTC"

    @property
    def next(self) -> "Unit":
        """The one that `u` goes to."""
        return Unit.BTC if self is Unit.SAT else Unit.SAT


@dataclass(frozen=True, slots=True)
class Money:
    """How amounts are shown now."""

    unit: Unit = Unit.SAT
    hidden: bool = False

    def bare(self, msat: int, *, up: bool = False) -> str:
        """The figure alone; `up` for fees."""
        if self.hidden:
            return HIDDEN
        amount = MilliSatoshi(msat)
        sat = (amount.ceil_to_sat() if up else amount.floor_to_sat()).sat
        if sat == 0 and msat > 0:
            return "<1" if self.unit is Unit.SAT else "<0.00000001"
        return figure(sat, self.unit)

    def shown(self, msat: int, *, up: bool = False) -> str:
        """The figure and its unit: `250,000 sat`."""
        return f"{self.bare(msat, up=up)} {self.unit}"

    def signed(self, msat: int, sign: str) -> str:
        """The figure with `+`, `-` or nothing in front, as the direction says."""
        return f"{sign}{self.bare(msat)}"

    def other(self, msat: int) -> str:
        """The same amount in the unit that is not chosen."""
        return Money(self.unit.next, self.hidden).shown(msat)


def figure(sat: int, unit: Unit) -> str:
    """Whole satoshi as digits: `1,234,567` or `0.01234567`."""
    if unit is Unit.SAT:
        return f"{sat:,}"
    return f"{'-' if sat < 0 else ''}{abs(sat) // SAT_PER_BTC}.{abs(sat) % SAT_PER_BTC:08d}"


def read_sat(text: str, unit: Unit) -> int | None:
    """What a person typed into an amount field, in satoshi; None when it is no amount.

    Commas, underscores and spaces may group digits.  A fraction of a satoshi is no amount.
    """
    digits = text.translate({ord(c): None for c in ", _"})
    if not digits.isascii():
        return None
    if unit is Unit.SAT:
        return int(digits) if digits.isdigit() and len(digits) <= 16 else None
    whole, point, fraction = digits.partition(".")
    if point and (not fraction or len(fraction) > 8):
        return None
    if not (whole + fraction).isdigit() or len(whole) > 8:
        return None
    return int(whole or "0") * SAT_PER_BTC + int(fraction.ljust(8, "0"))
