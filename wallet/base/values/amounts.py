"""Amounts of money and fee rates, as types that cannot be mixed by accident.

Frozen wrappers instead of `NewType`: a checker and the interpreter both reject `msat + sat` and
`msat < sat`.  Every rounding rule has a name here; `// 1000` appears nowhere else.
"""

from dataclasses import dataclass
from typing import Final

MSAT_PER_SAT: Final = 1000
SAT_PER_BTC: Final = 100_000_000


@dataclass(frozen=True, slots=True, order=True)
class MilliSatoshi:
    """Thousandths of a satoshi: the unit of HTLCs and balances (may be negative in differences)."""

    msat: int

    def __add__(self, other: "MilliSatoshi") -> "MilliSatoshi":
        if not isinstance(other, MilliSatoshi):
            return NotImplemented
        return MilliSatoshi(self.msat + other.msat)

    def __sub__(self, other: "MilliSatoshi") -> "MilliSatoshi":
        if not isinstance(other, MilliSatoshi):
            return NotImplemented
        return MilliSatoshi(self.msat - other.msat)

    def __bool__(self) -> bool:
        return self.msat != 0

    def __str__(self) -> str:
        return f"{self.msat:,} msat"

    def floor_to_sat(self) -> "Satoshi":
        """BOLT 3: amounts of outputs are rounded down to whole satoshi."""
        return Satoshi(self.msat // MSAT_PER_SAT)

    def ceil_to_sat(self) -> "Satoshi":
        """The least whole satoshi that covers this amount."""
        return Satoshi(-(-self.msat // MSAT_PER_SAT))


@dataclass(frozen=True, slots=True, order=True)
class Satoshi:
    """Whole satoshi: the unit of transaction outputs."""

    sat: int

    def __add__(self, other: "Satoshi") -> "Satoshi":
        if not isinstance(other, Satoshi):
            return NotImplemented
        return Satoshi(self.sat + other.sat)

    def __sub__(self, other: "Satoshi") -> "Satoshi":
        if not isinstance(other, Satoshi):
            return NotImplemented
        return Satoshi(self.sat - other.sat)

    def __bool__(self) -> bool:
        return self.sat != 0

    def __str__(self) -> str:
        return f"{self.sat:,} sat"

    def to_msat(self) -> MilliSatoshi:
        """Exact."""
        return MilliSatoshi(self.sat * MSAT_PER_SAT)


@dataclass(frozen=True, slots=True, order=True)
class FeeratePerKw:
    """Satoshi per 1,000 weight units, the unit of BOLT 2's `feerate_per_kw`."""

    per_kw: int

    def __str__(self) -> str:
        return f"{self.per_kw} sat/kw"

    def fee(self, weight: int) -> Satoshi:
        """BOLT 3: fee of `weight` units, rounded down."""
        return Satoshi(self.per_kw * weight // 1000)

    def fee_ceil(self, weight: int) -> Satoshi:
        """Fee of `weight` units, rounded up: what our own transactions pay to be relayed."""
        return Satoshi(-(-self.per_kw * weight // 1000))


# BOLT 2 / Core: the least feerate per kw whose vbyte rate is not below the 1 sat/vB relay floor.
FEERATE_FLOOR: Final = FeeratePerKw(253)

ZERO_MSAT: Final = MilliSatoshi(0)
ZERO_SAT: Final = Satoshi(0)


def sum_msat(amounts: "list[MilliSatoshi] | tuple[MilliSatoshi, ...]") -> MilliSatoshi:
    """Sum of millisatoshi amounts; 0 for none."""
    return MilliSatoshi(sum(a.msat for a in amounts))


def sum_sat(amounts: "list[Satoshi] | tuple[Satoshi, ...]") -> Satoshi:
    """Sum of satoshi amounts; 0 for none."""
    return Satoshi(sum(a.sat for a in amounts))
