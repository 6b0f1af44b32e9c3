"""Screens as pictures: cells on a plain window with rounded corners.

Pictures have a palette, which makes them small: the ink of a cell is one of a few steps between two
colours.  The same cells give the same dots, and what is saved holds no time and no name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from PIL import Image, ImageDraw
from textual.theme import Theme

from tests.tools.cells import Colour, Grid, Look, blend, parse
from tests.tools.glyphs import HIGH, WIDE, mask

MARGIN: Final = WIDE
"""Dots between the window's edge and the cells."""
_RADIUS: Final = 14
_EDGE: Final = 2
_FINE: Final = 4
_MOST_COLOURS: Final = 256
_STEPS: Final = (16, 8, 4)
"""Steps from paper to ink; the finest that the palette has room for."""

_Entry: TypeAlias = tuple[Colour, int]
"""A colour and how opaque it is, to 255."""


@dataclass(slots=True)
class _Palette:
    """Numbers of colours, in the order in which they are wanted first."""

    numbers: dict[_Entry, int] = field(default_factory=dict)

    def number(self, colour: Colour, opaque: int = 255) -> int:
        return self.numbers.setdefault((colour, opaque), len(self.numbers))

    def give_to(self, picture: Image.Image) -> None:
        """Make the numbers colours."""
        if len(self.numbers) > _MOST_COLOURS:
            raise ValueError(f"{len(self.numbers)} colours in a picture: a palette has 256")
        picture.putpalette([part for colour, _ in self.numbers for part in colour])
        picture.info["transparency"] = bytes(opaque for _, opaque in self.numbers)


def paint(grids: Sequence[Grid], theme: Theme) -> list[Image.Image]:
    """A picture of each, all of the same palette, so that they can be one moving picture."""
    looks = sorted({cell.look for grid in grids for row in grid for cell in row}, key=_order)
    pairs = {(look.ink, look.paper) for look in looks}
    # The window's corners need two fades more.
    steps = next((s for s in _STEPS if (len(pairs) + 2) * s <= _MOST_COLOURS), _STEPS[-1])
    palette = _Palette()
    pictures = [_painted(grid, theme, palette, steps) for grid in grids]
    for picture in pictures:
        palette.give_to(picture)
    return pictures


def save(pictures: Sequence[Image.Image], path: Path, milliseconds: Sequence[int] = ()) -> None:
    """One picture, or several that follow each other for ever, each shown for so long."""
    first, *others = pictures
    path.parent.mkdir(exist_ok=True)
    if not others:
        first.save(path, "PNG", optimize=True)
        return
    first.save(
        path, "PNG", optimize=True, save_all=True, append_images=others,
        duration=list(milliseconds), loop=0,
    )  # fmt: skip


def _order(look: Look) -> tuple[object, ...]:
    return look.paper, look.ink, look.bold, look.underline


def _painted(grid: Grid, theme: Theme, palette: _Palette, steps: int) -> Image.Image:
    columns = max(sum(cell.span for cell in row) for row in grid)
    size = (columns * WIDE + 2 * MARGIN, len(grid) * HIGH + 2 * MARGIN)
    picture = _window(size, theme, palette, steps)
    fades: dict[Look, list[int]] = {}
    for y, row in enumerate(grid):
        x = 0
        for cell in row:
            look = cell.look
            if look not in fades:
                fades[look] = _fade(palette, look.paper, look.ink, steps)
            drawn = mask(cell.text, cell.span, look.bold)
            if look.underline:
                drawn = _underlined(drawn)
            at = (MARGIN + x * WIDE, MARGIN + y * HIGH)
            picture.paste(drawn.point(fades[look]), at)
            x += cell.span
    return picture


def _fade(palette: _Palette, paper: Colour, ink: Colour, steps: int) -> list[int]:
    """For each amount of ink, 0 to 255, the number of its colour."""
    parts = [step / (steps - 1) for step in range(steps)]
    numbers = [palette.number(blend(paper, ink, part)) for part in parts]
    return [numbers[round(ink_here * (steps - 1) / 255)] for ink_here in range(256)]


def _underlined(drawn: Image.Image) -> Image.Image:
    copy = drawn.copy()
    ImageDraw.Draw(copy).rectangle((0, HIGH - 3, copy.width - 1, HIGH - 2), fill=255)
    return copy


def _window(size: tuple[int, int], theme: Theme, palette: _Palette, steps: int) -> Image.Image:
    """Nothing outside, an edge, and paper inside."""
    paper, text = parse(theme.background), parse(theme.foreground)
    edge = blend(paper, text, 0.2)
    opaque = [palette.number(edge, 255 * step // (steps - 1)) for step in range(steps)]
    outside = [opaque[round(ink * (steps - 1) / 255)] for ink in range(256)]
    picture = _rounded(size, 0).point(outside)
    inner = _rounded(size, _EDGE)
    picture.paste(inner.point(_fade(palette, edge, paper, steps)), mask=inner.point(_SOLID))
    return picture


_SOLID: Final = [0] + [255] * 255


def _rounded(size: tuple[int, int], inset: int) -> Image.Image:
    """A rectangle with round corners, so many dots inside the picture's edge."""
    fine = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
    near, radius = inset * _FINE, (_RADIUS - inset) * _FINE
    box = (near, near, fine.width - near - 1, fine.height - near - 1)
    ImageDraw.Draw(fine).rounded_rectangle(box, radius, fill=255)
    return fine.reduce(_FINE)
