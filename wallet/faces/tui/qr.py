"""QR codes of terminal cells: half blocks (one module wide, two high), or sextants (two, three).

Black on white whatever the theme, with a light margin: a camera needs both.  Only upper-case text
is coded, which needs a third less room than lower case.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import segno

MARGIN: Final = 2
"""Light modules around the code."""
THIN: Final = 1
"""Still scanned, where two would not fit; without any margin a code is not found."""
INK: Final = "#000000 on #ffffff"

Modules: TypeAlias = Sequence[Sequence[bool]]
"""Rows of modules, dark ones true, with the margin around them."""

_HALVES: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def drawn(text: str, wide: int, high: int, compact: bool | None = None) -> list[str]:
    """The code in at most `wide` cells and `high` lines, as large as fits; empty if nothing does.

    `compact` is a person's choice between sextants and half blocks.
    """
    for draw, margin in _WAYS:
        if compact in (None, draw is sextants):
            lines = draw(modules(text, margin))
            if len(lines) <= high and len(lines[0]) <= wide:
                return lines
    return []


def modules(text: str, margin: int = MARGIN) -> Modules:
    """The code of an invoice or a bech32 address, which mean the same in upper case."""
    made = segno.make(text.upper(), error="l", boost_error=False, micro=False)
    return [[bool(module) for module in line] for line in made.matrix_iter(border=margin)]


def half_blocks(code: Modules) -> list[str]:
    """Every font draws these."""
    blank = [False] * len(code[0])
    below = [*code[1:], blank]
    pairs = list(zip(code, below, strict=True))[::2]
    return ["".join(_HALVES[a, b] for a, b in zip(up, down, strict=True)) for up, down in pairs]


def sextants(code: Modules) -> list[str]:
    """Smaller, for small windows; some fonts draw them with gaps."""
    side = len(code[0]) + len(code[0]) % 2
    padded = [[*line, *[False] * (side - len(line))] for line in code]
    padded += [[False] * side] * (-len(padded) % 3)
    return [
        "".join(
            _sextant([padded[y + dy][x + dx] for dy in range(3) for dx in range(2)])
            for x in range(0, side, 2)
        )
        for y in range(0, len(padded), 3)
    ]


def _sextant(bits: Sequence[bool]) -> str:
    """Six modules in reading order as one character; four of the 64 stand elsewhere in Unicode."""
    number = sum(bit << place for place, bit in enumerate(bits))
    elsewhere = {0: " ", 0b010101: "▌", 0b101010: "▐", 0b111111: "█"}
    if number in elsewhere:
        return elsewhere[number]
    return chr(0x1FB00 + number - 1 - (number > 0b010101) - (number > 0b101010))


_WAYS: Final[tuple[tuple[Callable[[Modules], list[str]], int], ...]] = (
    (half_blocks, MARGIN),
    (sextants, MARGIN),
    (sextants, THIN),
)
"""The best to look at first."""
