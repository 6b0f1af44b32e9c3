"""Text from outside, made harmless for one line of a terminal.

Aliases, descriptions, labels and error sentences are chosen by strangers.  A terminal obeys control
characters, bidirectional marks turn an address around, invisible ones make two names look alike,
and a flood of accents paints over the lines above.  Every such string passes `safe` where it
enters, and is shown without markup.
"""

import unicodedata
from typing import Final

from wallet.base.values.text import cells as width
from wallet.base.values.text import cut

__all__ = ["MOST", "cut", "left", "middle_cut", "right", "safe", "width"]

MOST: Final = 640
"""Characters of one text that are looked at; BOLT 11 descriptions have at most 639 bytes."""
INSTEAD: Final = "\ufffd"
MOST_MARKS: Final = 3
"""Accents and vowel signs on one letter. Written languages need no more."""


def _chars(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(n) for first, last in ranges for n in range(first, last + 1))


# Invisible although Unicode calls them letters, marks or symbols; and the colours of skin, whose
# width depends on what stands before them.
_INVISIBLE: Final = _chars(
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0x1D159, 0x1D159),
    (0x1F3FB, 0x1F3FF), (0xE0100, 0xE01EF),
)  # fmt: skip
# Control, format (bidi marks, zero width), surrogate, private, unassigned, line ends.
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})


def safe(value: object, most: int = MOST) -> str:
    """`value` as one line without anything a terminal acts on; at most `most` characters.

    What is refused is shown as a replacement mark, so that it is seen that something was there.
    """
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if text.isascii() and text.isprintable():
        return _shortened(text, most)
    # Cut first: normalising a flood costs time, and no letter is longer than four characters.
    normal = unicodedata.normalize("NFC", text[: 4 * most])
    shown: list[str] = []
    marks = MOST_MARKS
    for char in normal:
        kind = unicodedata.category(char)
        if kind in _MARKS and char not in _INVISIBLE:
            marks += 1
            if marks > MOST_MARKS:
                continue
            shown.append(char)
            continue
        marks = 0
        if kind in _REFUSED or char in _INVISIBLE:
            # A line end or a tab is a space to a reader, nothing worse.
            shown.append(" " if char in "\n\t\r" else INSTEAD)
            marks = MOST_MARKS
        else:
            shown.append(" " if kind == "Zs" else char)
    return _shortened("".join(shown), most)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def left(text: str, cells: int) -> str:
    """`text` in exactly so many cells, at their left."""
    shown = cut(text, cells)
    return shown + " " * (cells - width(shown))


def right(text: str, cells: int) -> str:
    """`text` in exactly so many cells, at their right."""
    shown = cut(text, cells)
    return " " * (cells - width(shown)) + shown


def middle_cut(text: str, cells: int) -> str:
    """An id, shown by its two ends: `02ab3c…77e1`."""
    if width(text) <= cells:
        return text
    if cells < 3:
        return cut(text, cells)
    ending = (cells - 1) // 2
    return f"{text[: cells - 1 - ending]}…{text[len(text) - ending :]}"
