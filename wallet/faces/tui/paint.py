"""Rows of styled text, exactly as wide as asked: what every screen draws.

A row is a tuple of spans, a span is text and a style (`$success`, `bold`, "").  Text is never read
as markup.  The functions that make rows are plain, so a screen can be tested without a terminal.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from textual.content import Content

from wallet.faces.tui.safe_text import cut, left, right, width

Span: TypeAlias = tuple[str, str]
Row: TypeAlias = tuple[Span, ...]

PLAIN: Final = ""
QUIET: Final = "$muted"
STRONG: Final = "bold"
GOOD: Final = "$success"
WARN: Final = "$warning"
BAD: Final = "$error"
KEY: Final = "bold $accent"
CHOSEN: Final = "reverse"
EMPTY: Final[Row] = ()

OURS, MOVING, THEIRS, UNKNOWN = "█", "▒", "░", "·"


def row(*spans: Span | str) -> Row:
    """A row of spans; a bare string is plain."""
    return tuple((span, PLAIN) if isinstance(span, str) else span for span in spans)


def row_width(spans: Row) -> int:
    """Cells that a row fills."""
    return sum(width(text) for text, _ in spans)


def fitted(spans: Row, cells: int, style: str = PLAIN) -> Row:
    """The row in exactly `cells` cells; `style` fills what is left."""
    fitting: list[Span] = []
    room = cells
    for text, of_text in spans:
        shown = cut(text, room)
        fitting.append((shown, of_text))
        room -= width(shown)
        if shown != text:
            break
    if room > 0:
        fitting.append((" " * room, style))
    return tuple(fitting)


def ends(start: Row, end: Row, cells: int) -> Row:
    """`start` at the left and `end` at the right edge; `start` gives way."""
    room = max(0, cells - row_width(end) - 1)
    return (*fitted(start, room), (" ", PLAIN), *end)


def beside(
    first: Sequence[Row], second: Sequence[Row], at: int, cells: int, height: int = 0
) -> list[Row]:
    """Two columns with a line between them; the first is `at` cells wide, both `height` high."""
    height = max(len(first), len(second), height)
    pairs = zip(_padded(first, height), _padded(second, height), strict=True)
    return [(*fitted(a, at), ("│ ", QUIET), *fitted(b, max(0, cells - at - 2))) for a, b in pairs]


def _padded(rows: Sequence[Row], height: int) -> list[Row]:
    return [*rows, *[EMPTY] * (height - len(rows))]


def content(rows: Iterable[Row], cells: int, height: int) -> Content:
    """Rows as a widget draws them: cut to the room there is."""
    parts: list[str | tuple[str, str]] = []
    for number, spans in enumerate(list(rows)[:height]):
        if number:
            parts.append("\n")
        parts += [span for span in fitted(spans, cells) if span[0]]
    return Content.assemble(*parts)


def columns(cells: Sequence[tuple[str, int]]) -> str:
    """Cells of a table with their widths; a negative width stands at the right."""
    return " ".join(left(t, w) if w >= 0 else right(t, -w) for t, w in cells)


def bar(cells: int, ours: int, moving: int, theirs: int) -> str:
    """Whose the money of a channel is: `█` ours, `▒` in flight, `░` theirs."""
    total = ours + moving + theirs
    if total <= 0:
        return UNKNOWN * cells
    of_ours = round(cells * ours / total)
    of_moving = round(cells * moving / total)
    if moving:
        # What is on its way is always seen.
        of_moving = max(1, of_moving)
    of_ours = min(of_ours, cells - of_moving)
    return OURS * of_ours + MOVING * of_moving + THEIRS * (cells - of_ours - of_moving)


def folded(text: str, cells: int, most: int = 3) -> list[str]:
    """Words on at most `most` lines of `cells` cells; what is left over is cut."""
    lines: list[str] = []
    line = ""
    words = text.split(" ")
    for number, word in enumerate(words):
        joined = f"{line} {word}" if line else word
        if width(joined) <= cells:
            line = joined
            continue
        if len(lines) == most - 1:
            line = cut(" ".join([line, *words[number:]] if line else words[number:]), cells)
            break
        if line:
            lines.append(line)
        line = cut(word, cells)
    return [*lines, line] if line else lines
