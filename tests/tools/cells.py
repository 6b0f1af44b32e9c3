"""A screen as cells: text and colours, wherever the screen came from.

Two sources, one form: the app's own drawing (Textual strips) and a terminal that another program
has written to (pyte).  `painter` makes pictures of it, `digest` says whether two look the same.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import pyte
from pyte.screens import Char
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual.strip import Strip
from textual.theme import Theme

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue: 0 to 255 each."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a cell is drawn; what is reversed or dim has other colours already."""

    ink: Colour
    paper: Colour
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One character with the marks on it; `span` is 1, or 2 for a wide one."""

    text: str
    span: int
    look: Look


Grid: TypeAlias = Sequence[Sequence[Cell]]
"""Rows of cells, all rows equally wide."""


def of_strips(strips: Iterable[Strip], theme: Theme) -> Grid:
    """What Textual draws. Colours that no style names are the theme's."""
    return [
        [
            cell
            for text, style, control in strip
            if not control
            for cell in _cells(text, _look(style or Style.null(), theme))
        ]
        for strip in strips
    ]


def of_terminal(screen: pyte.Screen, theme: Theme) -> Grid:
    """What stands on a terminal, down to its last line that is not empty."""
    rows = [
        [cell for char in _row(screen, row) for cell in _cells(char.data, _look_of(char, theme))]
        for row in range(screen.lines)
    ]
    while rows and not any(cell.text.strip() for cell in rows[-1]):
        rows.pop()
    return rows


def plain(grid: Grid) -> str:
    """Its text, a line a row."""
    return "".join("".join(cell.text for cell in row).rstrip() + "\n" for row in grid)


def digest(grid: Grid) -> str:
    """The same for two screens that look the same, and for no others; on every machine."""
    seen = hashlib.sha256()
    for row in grid:
        for cell in row:
            look = cell.look
            seen.update(
                f"{cell.text} {cell.span} {_hex(look.ink)} {_hex(look.paper)}"
                f" {look.bold:d}{look.underline:d}\n".encode()
            )
        seen.update(b"\n")
    return seen.hexdigest()


def blend(paper: Colour, ink: Colour, part: float) -> Colour:
    """`part` of the ink over the paper: 0 is the paper, 1 the ink."""
    red, green, blue = (round(p + (i - p) * part) for p, i in zip(paper, ink, strict=True))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2: between 1 (the same) and 21 (black on white)."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    parts = (part / 255 for part in colour)
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def parse(colour: str | None) -> Colour:
    """`#14161a`."""
    return _rgb(Color.parse(colour or ""))


def _cells(text: str, look: Look) -> list[Cell]:
    cells: list[Cell] = []
    for char in text:
        span = cell_len(char)
        if span or not cells:
            cells.append(Cell(char, span, look))
        else:
            cells[-1] = replace(cells[-1], text=cells[-1].text + char)
    return cells


def _look(style: Style, theme: Theme) -> Look:
    ink = _rgb(style.color) if style.color else parse(theme.foreground)
    paper = _rgb(style.bgcolor) if style.bgcolor else parse(theme.background)
    if style.reverse:
        ink, paper = paper, ink
    if style.dim:
        ink = blend(paper, ink, _DIM)
    return Look(ink, paper, bool(style.bold), bool(style.underline))


def _look_of(char: Char, theme: Theme) -> Look:
    """Bold text of a program that names no colours stands out by the theme's accent too."""
    ink, paper = parse(theme.foreground), parse(theme.background)
    if char.fg != "default":
        ink = parse(f"#{char.fg}") if len(char.fg) == 6 else parse(_PYTE.get(char.fg, char.fg))
    elif char.bold:
        ink = parse(theme.accent)
    if char.reverse:
        ink, paper = paper, ink
    return Look(ink, paper, char.bold, char.underscore)


def _row(screen: pyte.Screen, row: int) -> list[Char]:
    """The cell after a wide character is empty in pyte: it is no cell here."""
    chars = [screen.buffer[row][column] for column in range(screen.columns)]
    return [char for char in chars if char.data]


def _rgb(colour: Color) -> Colour:
    red, green, blue = colour.get_truecolor()
    return red, green, blue


def _hex(colour: Colour) -> str:
    return bytes(colour).hex()


_DIM: Final = 0.6
_PYTE: Final = {"brown": "yellow"}
"""Names of colours that only pyte uses."""
