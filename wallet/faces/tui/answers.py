"""Reading an answer that may say anything: a field that is not as it should be is as if absent."""

from collections.abc import Mapping
from typing import Any


def items(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    found = answer.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def number(value: object) -> int:
    """A whole number, or 0."""
    return value if isinstance(value, int) else 0


def known(value: object) -> int | None:
    """A number in whole units, or None."""
    return int(value) if isinstance(value, int | float) else None
