"""What in the bytes that reach a terminal no screen of ours has to say.

Textual's own sequences are few, so they are listed; whatever else a terminal obeys, or shows as
something that it is not, came from outside.
"""

import re
import unicodedata
from typing import Final

_MODES: Final = "7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048"
OWN: Final = re.compile(
    rf"""\x1b\[(?:
        \d+(?:;\d+)*m           # colours
      | \d+;\d+H                # cursor to a place; never `home` by itself
      | \?(?:{_MODES})[hl]      # mouse, cursor, focus, paste, second screen, one frame at once
      | \?(?:2026|2048)\$p      # does this terminal know that mode?
      | >\d+u | <u              # keyboard protocol on, and off again
    )
    | \x1b\]22;(?:default|pointer|text)\x07  # the mouse pointer's shape
    | \r\n(?=\x1b\[\d+;\d+H)                   # from one row to the next
    """,
    re.VERBOSE,
)
"""Linux driver and compositor of Textual 8."""

_MOST_MARKS: Final = 3


def _ranges(*found: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(n) for first, last in found for n in range(first, last + 1))


# Printable by its category and yet nothing to see: Default_Ignorable_Code_Point, and the blank
# pattern of Braille.
_UNSEEN: Final = _ranges(
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF),
)  # fmt: skip


def foreign(written: bytes) -> list[str]:
    """What is not ours, each with what stands around it; empty when all is well.

    Outside of the second screen stands plain text, whose lines end.
    """
    try:
        text = written.decode()
    except UnicodeDecodeError as fault:
        return [f"no UTF-8: {written[max(0, fault.start - 20) : fault.end + 20]!r}"]
    found, at, marks, lines = [], 0, _MOST_MARKS, True
    while at < len(text):
        if own := OWN.match(text, at):
            # A mark right behind it would stand on whatever is there already.
            at, marks = own.end(), _MOST_MARKS
            if "1049" in own[0]:
                lines = own[0].endswith("l")
            continue
        char = text[at]
        if lines and char in "\r\n":
            at += 1
            continue
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        if not char.isprintable() or char in _UNSEEN or marks > _MOST_MARKS:
            found.append(f"{char!r} in {text[max(0, at - 30) : at + 30]!r}")
        at += 1
    return found
