"""JSON as Core writes it: amounts of bitcoin with eight decimals, exactly.

Python's encoder would turn 0.00000001 into 1e-08; scripts and other nodes read these numbers.
"""

import json
from decimal import Decimal
from typing import Any, Final

from wallet.base.values.amounts import SAT_PER_BTC

_SATOSHI: Final = Decimal(SAT_PER_BTC)


def btc(sat: int) -> Decimal:
    """Satoshi as bitcoin, exact."""
    return Decimal(sat) / _SATOSHI


def sat(amount: Decimal | int) -> int | None:
    """Bitcoin as satoshi; None if it is negative, absurd or has more than eight decimals."""
    scaled = Decimal(amount) * _SATOSHI
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or not 0 <= scaled < 1 << 63:
        return None
    return int(scaled)


def dumps(value: Any) -> str:
    """Serialise what answers are made of: dicts, lists, strings, numbers, `Decimal` as bitcoin."""
    match value:
        case Decimal():
            return f"{value:.8f}"
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{dumps(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(dumps, value)) + "]"
        case _:
            return json.dumps(value)


def loads(text: bytes) -> Any:
    """Parse; decimals stay exact. Raises `ValueError`."""
    return json.loads(text, parse_float=Decimal)
