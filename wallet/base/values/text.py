"""Words of strangers, made fit for a terminal: what a peer, an invoice or a file says is shown, and
never obeyed."""

import json
import unicodedata
from typing import Final

_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Printable by their category, and yet nothing is seen."""
_MARKS_IN_A_ROW: Final = 2
"""More combining marks than any living script stacks on a letter climb into the lines above."""
_CUT: Final = "…"
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})


def _chars(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(n) for first, last in ranges for n in range(first, last + 1))


# Inner and last letters of a Korean syllable, which join the one before.
_JOINING: Final = _chars((0x1160, 0x11FF), (0xD7B0, 0xD7FF))
# Wide in terminals since Unicode 16, which Python does not know yet.
_WIDENED: Final = _chars(
    (0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF), (0x1D300, 0x1D356), (0x1D360, 0x1D376)
)


def safe_text(text: str, width: int | None = None) -> str:
    """`text` with control, bidirectional and other invisible characters spelt out (`\\u202e`).

    Nothing in it moves a cursor, turns the order of what stands beside it, hides, or piles up.
    With a `width` it is cut to that many cells of a terminal, and the cut is shown.
    """
    shown = text if text.isascii() and text.isprintable() else "".join(map(_spelt, *_marked(text)))
    return shown if width is None else cut(shown, width)


def cells(text: str) -> int:
    """How many cells of a terminal a safe text fills."""
    return len(text) if text.isascii() else sum(map(_cell, text))


def _marked(text: str) -> tuple[str, list[int]]:
    """The characters, and how many combining marks in a row each one ends."""
    run, runs = 0, []
    for char in text:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        runs.append(run)
    return text, runs


def _spelt(char: str, marks: int) -> str:
    hidden = not char.isprintable() or char in _BLANK or marks > _MARKS_IN_A_ROW
    # Variation selectors are marks without any mark.
    hidden = hidden or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return json.dumps(char)[1:-1] if hidden else char


def cut(text: str, width: int) -> str:
    """A safe text in at most so many cells, with `…` where something was left out."""
    if cells(text) <= width:
        return text
    kept, room = [], width - 1
    for char in text:
        room -= _cell(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + _CUT if width > 0 else ""


def _cell(char: str) -> int:
    if unicodedata.category(char) in _MARKS or char in _JOINING:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" or char in _WIDENED else 1
