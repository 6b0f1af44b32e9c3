"""What draws the pictures: cells, glyphs, dots."""

import io
from pathlib import Path
from typing import Final

import pyte
import pytest
from PIL import Image, ImageChops
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tests.faces.tui.scenes import GOLDENS
from tests.tools.cells import Cell, Grid, Look, digest, of_strips, of_terminal, plain
from tests.tools.glyphs import HIGH, WIDE, lacking, mask
from tests.tools.painter import MARGIN, paint, save
from wallet.faces.tui.themes import DARK, LIGHT

BLACK_ON_WHITE: Final = Look((0, 0, 0), (255, 255, 255))


def grid(*rows: str, look: Look = BLACK_ON_WHITE) -> Grid:
    return [[Cell(char, 1, look) for char in row] for row in rows]


def edge(char: str, side: str) -> list[int]:
    """The dots at one edge of a cell."""
    drawn = mask(char, 1, False)
    box = {
        "left": (0, 0, 1, HIGH),
        "right": (WIDE - 1, 0, WIDE, HIGH),
        "top": (0, 0, WIDE, 1),
        "bottom": (0, HIGH - 1, WIDE, HIGH),
    }[side]
    return list(drawn.crop(box).tobytes())


# --- glyphs ---------------------------------------------------------------------------------------

LEAVE: Final = {
    "right": "─┼┌└├┬┴╶╭╰",
    "left": "─┼┐┘┤┬┴╴╮╯",
    "top": "│┼└┘├┤┴╵╰╯",
    "bottom": "│┼┌┐├┤┬╷╭╮",
}
"""The lines that reach each edge."""


@pytest.mark.parametrize(("one", "other"), [("left", "right"), ("top", "bottom")])
def test_lines__meet_at_the_edges_of_cells(one: str, other: str) -> None:
    wanted = edge("┼", one)
    assert 255 in wanted
    for side in (one, other):
        for char in "".join(LEAVE.values()):
            reaches = wanted if char in LEAVE[side] else [0] * len(wanted)
            assert edge(char, side) == reaches, f"{char} at its {side}"


def test_diagonals__meet_at_the_corners() -> None:
    rising, falling = mask("╱", 1, False), mask("╲", 1, False)
    assert ImageChops.lighter(rising, falling).tobytes() == mask("╳", 1, False).tobytes()
    right, bottom = WIDE - 1, HIGH - 1
    assert all(rising.getpixel(corner) for corner in ((0, bottom), (right, 0)))
    assert all(falling.getpixel(corner) for corner in ((0, 0), (right, bottom)))


def test_blocks__have_whole_dots_and_leave_none_out() -> None:
    """Those with 1, 2, 4 … tiles make up the full block, and every other is a sum of them."""
    for rows, first in ((2, "▘▝▖▗"), (3, "🬀🬁🬃🬇🬏🬞")):
        tiles = [mask(char, 1, False).tobytes() for char in first]
        assert bytes(map(sum, zip(*tiles, strict=True))) == mask("█", 1, False).tobytes()
        assert all(tile.count(255) == WIDE * HIGH // (2 * rows) for tile in tiles)
    for whole, parts in (("▀", "▘▝"), ("▙", "▘▖▗"), ("▌", "🬀🬃🬏"), ("🬻", "🬁🬃🬇🬏🬞"), ("🬹", "▄🬋")):
        wanted = Image.new("L", (WIDE, HIGH))
        for part in parts:
            wanted = ImageChops.lighter(wanted, mask(part, 1, False))
        assert mask(whole, 1, False).tobytes() == wanted.tobytes(), whole
    areas = [mask(char, 1, False).tobytes().count(255) for char in "▁▂▃▄▅▆▇█"]
    assert areas == [WIDE * HIGH * eighths // 8 for eighths in range(1, 9)]


def test_lacking__a_character_that_nothing_draws_is_told() -> None:
    assert lacking(["a ✓✗…·", "╭█▒🬞", "ö�"]) == set()
    assert lacking(["漢字", "━"]) == {"漢", "字", "━"}, "a line from the font would have gaps"


@pytest.mark.parametrize("golden", sorted(GOLDENS.glob("*.txt")), ids=lambda path: path.stem)
def test_lacking__nothing_on_any_screen(golden: Path) -> None:
    assert lacking(golden.read_text().replace("\n", "")) == set()


# --- cells ----------------------------------------------------------------------------------------


def test_strips__colours_are_settled_and_marks_stay_with_their_letter() -> None:
    strip = Strip(
        [
            Segment("a\u0301b", Style(color="#010203", bgcolor="#040506", bold=True)),
            Segment("漢", Style(reverse=True, underline=True)),
        ]
    )
    [row] = of_strips([strip], DARK)
    bold = Look((1, 2, 3), (4, 5, 6), bold=True)
    ink, paper = (0xE8, 0xEA, 0xED), (0x14, 0x16, 0x1A)
    assert row == [
        Cell("a\u0301", 1, bold),
        Cell("b", 1, bold),
        Cell("漢", 2, Look(paper, ink, underline=True)),
    ]
    assert plain([row]) == "a\u0301b漢\n"


def test_digest__is_of_what_is_seen() -> None:
    whole = Strip([Segment("ab", Style(color="red"))])
    parts = Strip([Segment("a", Style(color="red")), Segment("b", Style(color="red", blink=True))])
    assert digest(of_strips([whole], DARK)) == digest(of_strips([parts], DARK))
    others = [
        Strip([Segment("ab", Style(color="blue"))]),
        Strip([Segment("ab", Style(color="red", bold=True))]),
        Strip([Segment("ab ", Style(color="red"))]),
        Strip([Segment("ac", Style(color="red"))]),
    ]
    seen = {digest(of_strips([strip], DARK)) for strip in (whole, *others)}
    assert len(seen) == 5
    assert digest(grid("ab", "c")) != digest(grid("a", "bc"))


def test_terminal__what_a_program_wrote() -> None:
    screen = pyte.Screen(6, 4)
    pyte.Stream(screen).feed("\x1b[1mhi\x1b[0m 漢\r\n\x1b[7m!\x1b[0m")
    cells = of_terminal(screen, DARK)
    assert plain(cells) == "hi 漢\n!\n"
    accent, ink, paper = (0x7A, 0xA2, 0xFF), (0xE8, 0xEA, 0xED), (0x14, 0x16, 0x1A)
    assert cells[0][0].look == Look(accent, paper, bold=True)
    assert cells[0][3] == Cell("漢", 2, Look(ink, paper))
    assert cells[1][0].look == Look(paper, ink)
    assert all(sum(cell.span for cell in row) == 6 for row in cells)


# --- pictures -------------------------------------------------------------------------------------


def dot(picture: Image.Image, x: float, y: float) -> object:
    return picture.convert("RGBA").getpixel((int(x), int(y)))


def test_picture__ink_paper_and_a_window_with_round_corners() -> None:
    [picture] = paint([grid(" █", "█ ")], LIGHT)
    assert picture.size == (2 * WIDE + 2 * MARGIN, 2 * HIGH + 2 * MARGIN)
    assert dot(picture, MARGIN, MARGIN) == (255, 255, 255, 255)
    assert dot(picture, MARGIN + WIDE, MARGIN + HIGH - 1) == (0, 0, 0, 255)
    assert dot(picture, MARGIN + WIDE - 1, MARGIN + HIGH) == (0, 0, 0, 255)
    for corner in ((0, 0), (picture.width - 1, 0), (0, picture.height - 1)):
        assert dot(picture, *corner) == (*dot(picture, 0, 0)[:3], 0)  # type: ignore[index]
    assert dot(picture, picture.width / 2, 5) == (0xFB, 0xFB, 0xF8, 255)


def test_picture__a_wide_character_takes_two_cells() -> None:
    row = [Cell("漢", 2, BLACK_ON_WHITE), Cell("█", 1, BLACK_ON_WHITE)]
    [picture] = paint([[row]], LIGHT)
    assert picture.width == 3 * WIDE + 2 * MARGIN
    assert dot(picture, MARGIN + 2 * WIDE, MARGIN) == (0, 0, 0, 255)


def test_picture__the_same_cells_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.png", "other.png"):
        save(paint([grid("Paid ✓", "╭──╮")], DARK), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


def test_film__its_frames_are_the_pictures(tmp_path: Path) -> None:
    grids = [grid("one"), grid("two", look=Look((200, 0, 0), (0, 0, 60))), grid("one")]
    pictures = paint(grids, DARK)
    save(pictures, tmp_path / "film.png", [100, 200, 300])
    with Image.open(io.BytesIO((tmp_path / "film.png").read_bytes())) as film:
        assert getattr(film, "n_frames", 1) == 3
        for number, (picture, shown) in enumerate(zip(pictures, (100, 200, 300), strict=True)):
            film.seek(number)
            assert film.info["duration"] == shown
            assert film.convert("RGBA").tobytes() == picture.convert("RGBA").tobytes()


def test_palette__many_colours_have_fewer_steps_and_too_many_are_refused() -> None:
    looks = [Look((n, n, n), (0, n, 255)) for n in range(70)]
    few, many = ([[Cell("a", 1, look) for look in looks[:n]]] for n in (40, 70))
    [picture] = paint([few], DARK)
    assert len(picture.convert("RGBA").getcolors() or ()) > 40
    with pytest.raises(ValueError, match="a palette has 256"):
        paint([many], DARK)
