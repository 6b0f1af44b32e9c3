"""Tables, bars and short names for eyes. What comes from strangers has passed `safe_text`."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from wallet.base.values.text import cells, safe_text

_GAP: Final = "  "
_ASCII: Final = str.maketrans(
    {"█": "#", "▒": "=", "░": "-", "…": "~", "·": ".", "✓": "+", "✗": "x"}
)
_HEX: Final = frozenset("0123456789abcdef")


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], width: int, right: str = ""
) -> list[str]:
    """Lines of a table: a heading, then the rows; nothing when there are none.

    `right` has the letter `r` in the place of each column that is aligned to the right.  The last
    column is what gives way where the terminal has fewer than `width` cells.
    """
    shown = [[safe_text(str(cell)) for cell in row] for row in rows]
    if not shown:
        return []
    lines = [list(head), *shown]
    widths = [max(cells(line[n]) for line in lines) for n in range(len(head))]
    before = sum(widths[:-1]) + len(_GAP) * (len(head) - 1)
    widths[-1] = max(min(widths[-1], width - before), min(widths[-1], 8))
    return [
        _GAP.join(
            _padded(text, size, right[n : n + 1] == "r")
            for n, (text, size) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _padded(text: str, size: int, to_right: bool) -> str:
    text = safe_text(text, size)
    space = " " * (size - cells(text))
    return space + text if to_right else text + space


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """Lines of names and values; a value that is None or empty is left out."""
    shown = [(name, safe_text(str(value))) for name, value in pairs if value not in (None, "")]
    longest = max((len(name) for name, _ in shown), default=0)
    return [f"{name:<{longest}}  {value}" for name, value in shown]


def bar(part: int, whole: int, size: int = 16) -> str:
    """Ours from the left, theirs to the right; any amount of ours is seen, and any of theirs."""
    if whole <= 0:
        return "·" * size
    full = (part * size + whole // 2) // whole
    full = max(full, 1) if part > 0 else 0
    full = min(full, size - 1) if part < whole else size
    return "█" * full + "░" * (size - full)


def plain(line: str) -> str:
    """The line in ASCII: for terminals and locales that have no more."""
    return line.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def short(name: str) -> str:
    """`02f1…9ac4`: enough of a long hexadecimal name to tell it from its neighbours."""
    if len(name) < 32 or not _HEX.issuperset(name):
        return safe_text(name, 24)
    return f"{name[:8]}…{name[-4:]}"


def when(at: int | float | None) -> str:
    """A Unix time by the clock on the wall."""
    if at is None:
        return "-"
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    except (OverflowError, ValueError, OSError):
        return str(at)
