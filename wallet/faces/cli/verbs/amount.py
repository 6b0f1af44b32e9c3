"""Amounts as people write and read them. A bare number is satoshi."""

import re
from typing import Final

from wallet.faces.cli.arguments import UsageError

MSAT_PER_SAT: Final = 1000
"""Not from values/amounts.py, whose classes would cost every call a sixth of its time."""
_AMOUNT: Final = re.compile(r"([0-9]+(?:_[0-9]+)*)(?:\.([0-9]+))?(msat|sat|btc)?", re.ASCII)
_PERCENT: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,4}))?%?", re.ASCII)
_DECIMALS: Final = {"msat": 0, "sat": 3, "btc": 11}
_MOST_MSAT: Final = 21_000_000 * 100_000_000 * MSAT_PER_SAT
_MILLIONTHS_PER_PERCENT: Final = 10_000


def read_amount(text: str) -> int:
    """Millisatoshi of `250_000`, `1.5sat`, `0.001btc` or `10msat`. Raises `UsageError`."""
    found = _AMOUNT.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError(f"not an amount: {text[:40]!r} (250_000, 1.5sat, 0.001btc, 10msat)")
    digits, decimals, unit = found[1].replace("_", ""), found[2] or "", found[3] or "sat"
    scale = _DECIMALS[unit]
    if len(decimals.rstrip("0")) > scale:
        raise UsageError(f"{text[:40]!r} is no whole number of millisatoshi")
    if len(digits) > 20:
        raise UsageError(f"{text[:40]!r} is more bitcoin than there will ever be")
    # Digits moved, not multiplied: no power of ten, no rounding.
    amount_msat = int(digits + decimals[:scale].ljust(scale, "0"))
    if amount_msat > _MOST_MSAT:
        raise UsageError(f"{text[:40]!r} is more bitcoin than there will ever be")
    return amount_msat


def read_positive(text: str) -> int:
    """As `read_amount`, but not nothing."""
    amount_msat = read_amount(text)
    if not amount_msat:
        raise UsageError("the amount is zero")
    return amount_msat


def read_whole_sat(text: str) -> int:
    """Satoshi for the chain, which knows nothing smaller."""
    sat, rest_msat = divmod(read_positive(text), MSAT_PER_SAT)
    if rest_msat:
        raise UsageError(f"{text[:40]!r}: on chain there is nothing smaller than a satoshi")
    return sat


def read_percent(text: str) -> int:
    """Millionths of `0.5%`, `1` or `1%`. Raises `UsageError`."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"not a percentage: {text[:40]!r} (0.5%, 1%)")
    return int(found[1]) * _MILLIONTHS_PER_PERCENT + int((found[2] or "").ljust(4, "0"))


def share_msat(amount_msat: int, millionths: int) -> int:
    """A share of an amount, rounded down: a limit is never above what was said."""
    return amount_msat * millionths // 1_000_000


def read_fee(text: str, amount_msat: int) -> int:
    """A fee limit in millisatoshi: an amount, or a percentage of the payment with `%`."""
    if text.endswith("%"):
        return share_msat(amount_msat, read_percent(text))
    return read_amount(text)


def sat(amount_msat: int) -> str:
    """`1,234` or `1,234.567`: satoshi with commas, and what is left of one only if there is."""
    sign = "-" if amount_msat < 0 else ""
    whole, rest_msat = divmod(abs(amount_msat), MSAT_PER_SAT)
    return f"{sign}{whole:,}.{rest_msat:03}" if rest_msat else f"{sign}{whole:,}"


def whole_sat(amount_msat: int) -> str:
    """As `sat`, without what is left of a satoshi: for balances, of which nobody owns more."""
    return sat(amount_msat - amount_msat % MSAT_PER_SAT)


def percent(part_msat: int, whole_msat: int) -> str:
    """`0.5 %`; of nothing, `-`."""
    if whole_msat <= 0:
        return "-"
    tenths = (part_msat * 1000 + whole_msat // 2) // whole_msat
    return f"{tenths // 10}.{tenths % 10} %"
