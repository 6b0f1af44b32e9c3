"""What stands in a cell, as a mask: how much of each dot is ink.

Blocks, sextants, shades and lines are drawn from their meaning, to the edge of the cell and not by
a font, so that they join without gaps and a code made of them can be scanned.  All else comes from
the font beside this file.
"""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from PIL import Image, ImageDraw, ImageFont

WIDE: Final = 12
HIGH: Final = 24
"""Dots of a cell: halves and thirds of both are whole, so a QR module never has a half dot."""
LINE: Final = 2
"""Dots of a light line's thickness."""

_FONTS: Final = Path(__file__).parent / "fonts"
_SIZE: Final = 20
"""Makes DejaVu Sans Mono 12 dots wide, and 19 + 5 high."""
_BASELINE: Final = 19
_FINE: Final = 8
"""Curves are drawn so much larger, then reduced."""
_NEVER: Final = "\U0010ffff"
"""No font has it: it shows what a font draws for what it lacks."""

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, as parts of the cell."""


@cache
def mask(text: str, span: int, bold: bool) -> Image.Image:
    """A cell's ink, `span` cells wide: an `L` image, 255 where there is nothing but ink."""
    drawn = Image.new("L", (WIDE * span, HIGH))
    boxes = _boxes(text)
    if boxes is not None:
        draw = ImageDraw.Draw(drawn)
        for left, top, right, bottom in boxes:
            x, y = round(left * WIDE), round(top * HIGH)
            draw.rectangle((x, y, round(right * WIDE) - 1, round(bottom * HIGH) - 1), fill=255)
    elif text in _SHADES:
        drawn.paste(round(255 * _SHADES[text]), (0, 0, *drawn.size))
    elif text in _STROKES:
        drawn = _stroked(_STROKES[text])
    elif text.strip():
        ImageDraw.Draw(drawn).text((0, _BASELINE), text, 255, _font(bold), anchor="ls")
    return drawn


def lacking(texts: Iterable[str]) -> set[str]:
    """The characters that cannot be drawn: lines and blocks not here, others not in the font."""
    return {char for text in set(texts) for char in text if not _is_known(char)}


def _is_known(char: str) -> bool:
    if _boxes(char) is not None or char in _SHADES or char in _STROKES or char == " ":
        return True
    meant_to_join = "\u2500" <= char <= "\u259f" or "\U0001fb00" <= char <= "\U0001fbaf"
    return not meant_to_join and not any(_is_lacking(char, bold) for bold in (False, True))


@cache
def _is_lacking(char: str, bold: bool) -> bool:
    font = _font(bold)
    return bytes(font.getmask(char)) == bytes(font.getmask(_NEVER))


@cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSansMono-Bold.ttf" if bold else "DejaVuSansMono.ttf"
    # The basic layout is the same whether or not a machine has Raqm.
    return ImageFont.truetype(_FONTS / name, _SIZE, layout_engine=ImageFont.Layout.BASIC)


# --- blocks -------------------------------------------------------------------------------------

_FULL: Final[Box] = (0, 0, 1, 1)
_SHADES: Final = {"░": 0.25, "▒": 0.5, "▓": 0.75}
_QUADRANTS: Final = {
    "▘": 1, "▝": 2, "▖": 4, "▗": 8, "▀": 3, "▄": 12, "▌": 5, "▐": 10,
    "▚": 9, "▞": 6, "▛": 7, "▜": 11, "▙": 13, "▟": 14,
}  # fmt: skip
"""Bits in reading order: left above, right above, left below, right below."""
_EDGES: Final[dict[str, Box]] = {"▔": (0, 0, 1, 1 / 8), "▕": (7 / 8, 0, 1, 1), "█": _FULL}


def _boxes(char: str) -> list[Box] | None:
    """The rectangles of a block, quadrant or sextant; None for anything else."""
    if len(char) != 1:
        return None
    code = ord(char)
    if char in _EDGES:
        return [_EDGES[char]]
    if char in _QUADRANTS:
        return _tiles(_QUADRANTS[char], rows=2)
    if 0x2581 <= code <= 0x2587:  # from below, in eighths
        return [(0, 1 - (code - 0x2580) / 8, 1, 1)]
    if 0x2589 <= code <= 0x258F:  # from the left
        return [(0, 0, (0x2590 - code) / 8, 1)]
    if 0x1FB00 <= code <= 0x1FB3B:
        # Unicode leaves out the two that are half blocks.
        bits = code - 0x1FB00 + 1
        bits += bits >= 0b010101
        bits += bits >= 0b101010
        return _tiles(bits, rows=3)
    return None


def _tiles(bits: int, rows: int) -> list[Box]:
    """Two columns and so many rows, a bit for each, in reading order."""
    return [
        (n % 2 / 2, n // 2 / rows, (n % 2 + 1) / 2, (n // 2 + 1) / rows)
        for n in range(2 * rows)
        if bits >> n & 1
    ]


# --- lines --------------------------------------------------------------------------------------

_LEFT, _RIGHT, _UP, _DOWN = 1, 2, 4, 8
_ARMS: Final = {
    "─": _LEFT | _RIGHT, "│": _UP | _DOWN, "┼": _LEFT | _RIGHT | _UP | _DOWN,
    "┌": _RIGHT | _DOWN, "┐": _LEFT | _DOWN, "└": _RIGHT | _UP, "┘": _LEFT | _UP,
    "├": _RIGHT | _UP | _DOWN, "┤": _LEFT | _UP | _DOWN,
    "┬": _LEFT | _RIGHT | _DOWN, "┴": _LEFT | _RIGHT | _UP,
    "╴": _LEFT, "╶": _RIGHT, "╵": _UP, "╷": _DOWN,
}  # fmt: skip
_CORNERS: Final = {"╭": (1, 1), "╮": (-1, 1), "╰": (1, -1), "╯": (-1, -1)}
"""Where the two arms go: right or left, down or up."""

_Stroke: TypeAlias = Callable[[ImageDraw.ImageDraw], None]
_W, _H, _T = WIDE * _FINE, HIGH * _FINE, LINE * _FINE
_X, _Y = _W // 2, _H // 2


def _stroked(stroke: _Stroke) -> Image.Image:
    fine = Image.new("L", (_W, _H))
    stroke(ImageDraw.Draw(fine))
    return fine.reduce(_FINE)


def _bar(draw: ImageDraw.ImageDraw, left: int, top: int, right: int, bottom: int) -> None:
    """A rectangle that ends before `right` and `bottom`."""
    draw.rectangle((left, top, right - 1, bottom - 1), fill=255)


def _arms(arms: int) -> _Stroke:
    """Lines from the middle to the edges."""
    near, far = -_T // 2, _T // 2

    def stroke(draw: ImageDraw.ImageDraw) -> None:
        if arms & (_LEFT | _RIGHT):
            start, end = 0 if arms & _LEFT else _X + near, _W if arms & _RIGHT else _X + far
            _bar(draw, start, _Y + near, end, _Y + far)
        if arms & (_UP | _DOWN):
            start, end = 0 if arms & _UP else _Y + near, _H if arms & _DOWN else _Y + far
            _bar(draw, _X + near, start, _X + far, end)

    return stroke


def _corner(across: int, down: int) -> _Stroke:
    """A quarter of a circle as wide as half the cell, and straight lines to both edges."""

    def stroke(draw: ImageDraw.ImageDraw) -> None:
        outer = _X + _T // 2
        x, y = _X + across * _X, _Y + down * _X
        quarter = {(1, 1): 180, (-1, 1): 270, (1, -1): 90, (-1, -1): 0}[across, down]
        box = (x - outer, y - outer, x + outer - 1, y + outer - 1)
        draw.arc(box, quarter, quarter + 90, fill=255, width=_T)
        start, end = (y, _H) if down > 0 else (0, y)
        _bar(draw, _X - _T // 2, start, _X + _T // 2, end)
        # The arc's last dot is not quite a line's yet, and the next cell begins with one.
        start, end = (_W - _FINE, _W) if across > 0 else (0, _FINE)
        draw.rectangle((start, 0, end - 1, _H), fill=0)
        _bar(draw, start, _Y - _T // 2, end, _Y + _T // 2)

    return stroke


def _diagonals(*ways: int) -> _Stroke:
    """From corner to corner, and past them so that two join: 1 rises, -1 falls."""

    def stroke(draw: ImageDraw.ImageDraw) -> None:
        for way in ways:
            ends = (-_X, _Y + way * 2 * _Y, _W + _X, _Y - way * 2 * _Y)
            draw.line(ends, fill=255, width=_T)

    return stroke


_STROKES: Final[dict[str, _Stroke]] = {
    **{char: _arms(arms) for char, arms in _ARMS.items()},
    **{char: _corner(*ways) for char, ways in _CORNERS.items()},
    "╱": _diagonals(1),
    "╲": _diagonals(-1),
    "╳": _diagonals(1, -1),
}
