"""Tables, bars and short names for eyes. What comes from strangers has passed `safe_text`."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from wallet.base.values.text import cells, safe_text
from wallet.faces.cli.verbs.ink import DIM, HEAD, MINE, WARN, in_tone, joined, toned, tones_of

_GAP: Final = "  "
_LEAST: Final = 8
"""Cells below which a text says nothing."""
_HEX: Final = frozenset("0123456789abcdef")


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], width: int, right: str = ""
) -> list[str]:
    """Lines of a table: a heading, then the rows; nothing when there are none.

    `right` has the letter `r` in the place of each column that is aligned to the right.  The last
    column gives way where the terminal has fewer than `width` cells; where that is not enough each
    row becomes lines of its own, a name and a value.
    """
    shown = [[_safe(cell) for cell in row] for row in rows]
    if not shown:
        return []
    lines: list[Sequence[str]] = [[in_tone(name, HEAD) for name in head], *shown]
    widths = [max(cells(line[n]) for line in lines) for n in range(len(head))]
    before = sum(widths[:-1]) + len(_GAP) * (len(head) - 1)
    widths[-1] = max(min(widths[-1], width - before), min(widths[-1], _LEAST))
    if before + widths[-1] > width:
        blocks = [["", *facts(zip(head, row, strict=True))] for row in shown]
        return [line for block in blocks for line in block][1:]
    return [_row(line, widths, right) for line in lines]


def _safe(cell: object) -> str:
    text = str(cell)
    safe = safe_text(text)
    # The text itself where it may keep its tones.
    return cell if isinstance(cell, str) and tones_of(cell) and safe == text else safe


def _row(line: Sequence[str], widths: Sequence[int], right: str) -> str:
    parts = []
    for n, (text, size) in enumerate(zip(line, widths, strict=True)):
        fitting = text if cells(text) <= size else safe_text(text, size)
        space = " " * (size - cells(fitting))
        ends = n == len(line) - 1
        to_right = right[n : n + 1] == "r"
        parts += [space, fitting] if to_right else [fitting, "" if ends else space]
        parts.append("" if ends else _GAP)
    while parts and not parts[-1].strip():
        parts.pop()
    return joined(parts)


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """Lines of names and values; a value that is None or empty is left out."""
    shown = [(name, _safe(value)) for name, value in pairs if value not in (None, "")]
    longest = max((len(name) for name, _ in shown), default=0)
    return [_fact(f"{name:<{longest}}", value) for name, value in shown]


def _fact(name: str, value: str) -> str:
    if name.rstrip() == "!":
        return in_tone(f"{name}  {value}", WARN)
    return joined((in_tone(name, DIM), "  ", value))


def bar(part: int, whole: int, size: int = 16) -> str:
    """Ours from the left, theirs to the right; any amount of ours is seen, and any of theirs."""
    if whole <= 0:
        return "·" * size
    full = (part * size + whole // 2) // whole
    full = max(full, 1) if part > 0 else 0
    full = min(full, size - 1) if part < whole else size
    return toned("█" * full + "░" * (size - full), (0, full, MINE), (full, size, DIM))


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
