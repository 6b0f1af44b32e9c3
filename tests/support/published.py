"""Published vectors: loading our tables of them, and counting N of N."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parents[1] / "data"


def load(name: str) -> dict[str, Any]:
    """The table `name` of tests/data."""
    table: dict[str, Any] = json.loads((_DATA / name).read_text(encoding="utf-8"))
    return table


def tally(source: str, expected: int, outcomes: Iterable[tuple[object, bool]]) -> None:
    """Print how many of a source's vectors hold, N/N, and assert that it is all `expected` ones."""
    rows = list(outcomes)
    failing = [label for label, holds in rows if not holds]
    print(f"\n{source}: {len(rows) - len(failing)}/{len(rows)}")
    assert not failing
    assert len(rows) == expected


def raises(error: type[Exception], function: Any, *arguments: Any) -> bool:
    """Whether a call raises exactly this kind of error."""
    try:
        function(*arguments)
    except error:
        return True
    return False
