"""The map of the town: nodes in two rows, channels as lines, payments as dots that travel.

A channel between neighbours is a line with the share of the node at its left or upper end; any
other is a row of words below.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from wallet.faces.tui.paint import BAD, GOOD, PLAIN, QUIET, STRONG, WARN, Row, Span, row
from wallet.faces.tui.safe_text import cut, width
from wallet.faces.tui.town.facts import Move, Town, TownChannel, TownNode

PLACES: Final = {
    "lsp": (0, 0), "carol": (1, 0), "dave": (2, 0),
    "you": (0, 1), "bob": (1, 1), "erin": (2, 1),
}  # fmt: skip
"""Column and row of each node: chosen so that no channel of a new town crosses another."""

BOX: Final = 9
"""Cells of a node's box."""
DOTS: Final = {"add": GOOD, "fulfill": STRONG, "fail": BAD}

_Cell = tuple[int, int]


class Canvas:
    """Characters with styles, row by row."""

    def __init__(self, cells: int, height: int) -> None:
        self._text = [[" "] * cells for _ in range(height)]
        self._style = [[PLAIN] * cells for _ in range(height)]

    def put(self, x: int, y: int, text: str, style: str = PLAIN) -> None:
        """Write `text` (one cell a character) from (x, y) on; what falls outside is lost."""
        for step, char in enumerate(text):
            if 0 <= y < len(self._text) and 0 <= x + step < len(self._text[y]):
                self._text[y][x + step] = char
                self._style[y][x + step] = style

    def rows(self) -> list[Row]:
        """As spans of one style each."""
        return [
            tuple(_runs(text, style)) for text, style in zip(self._text, self._style, strict=True)
        ]


def _runs(text: Sequence[str], style: Sequence[str]) -> Iterable[Span]:
    begun = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or style[at] != style[begun]:
            yield "".join(text[begun:at]), style[begun]
            begun = at


def town_map(town: Town, moving: Iterable[tuple[Move, float]], cells: int) -> list[Row]:
    """Eight rows, and one more for channels that are no line."""
    canvas = Canvas(cells, 8)
    gap = max(6, (cells - 3 * BOX - 2) // 2)
    lines = _between_neighbours(town.channels)
    for node in town.nodes:
        if node.key in PLACES:
            _draw_node(canvas, node, gap)
    for (first, second), channels in lines.items():
        _draw_line(canvas, first, second, channels, gap)
    for move, progress in moving:
        if (path := _path(move.source, move.target, gap)) is not None:
            x, y = path[min(len(path) - 1, int(progress * len(path)))]
            canvas.put(x, y, "●", DOTS.get(move.kind, PLAIN))
    rows = canvas.rows()
    drawn = {frozenset(pair) for pair in lines}
    others = [c for c in town.channels if frozenset(c.nodes) not in drawn]
    if others:
        rows.append(row((cut("  also  " + "   ".join(_words(c, town) for c in others), cells), "")))
    return rows


def _between_neighbours(
    channels: Iterable[TownChannel],
) -> dict[tuple[str, str], list[TownChannel]]:
    """Channels by their two ends, the left or upper one first."""
    found: dict[tuple[str, str], list[TownChannel]] = {}
    for channel in channels:
        first, second = channel.nodes
        if first not in PLACES or second not in PLACES:
            continue
        if PLACES[second] < PLACES[first]:
            first, second = second, first
        (x, y), (u, v) = PLACES[first], PLACES[second]
        if abs(x - u) + abs(y - v) == 1:
            found.setdefault((first, second), []).append(channel)
    return found


def _left_of(key: str, gap: int) -> int:
    return 1 + PLACES[key][0] * (BOX + gap)


def _path(source: str, target: str, gap: int) -> list[_Cell] | None:
    """The cells of the line from one node to its neighbour; None if there is no line."""
    if source not in PLACES or target not in PLACES:
        return None
    (x, y), (u, v) = PLACES[source], PLACES[target]
    if abs(x - u) + abs(y - v) != 1:
        return None
    if y == v:
        begin = _left_of(source if x < u else target, gap) + BOX
        path = [(begin + step, 1 + 5 * y) for step in range(gap)]
        return path if x < u else path[::-1]
    across = _left_of(source, gap) + BOX // 2
    path = [(across, 3), (across, 4)]
    return path if y < v else path[::-1]


def _draw_line(
    canvas: Canvas, first: str, second: str, channels: Sequence[TownChannel], gap: int
) -> None:
    path = _path(first, second, gap) or []
    usable = [c for c in channels if c.usable]
    level = PLACES[first][1] == PLACES[second][1]
    stroke = ("─" if level else "│") if usable else "·"
    for x, y in path:
        canvas.put(x, y, stroke, QUIET)
    if usable:
        (x, y), (u, v) = path[0], path[-1]
        joints = ((x - 1, y, "├"), (u + 1, v, "┤")) if level else ((x, y - 1, "┬"), (u, v + 1, "┴"))
        for joint in joints:
            canvas.put(*joint)
    label = _share(usable or channels, first)
    (x, y) = path[0]
    if level:
        canvas.put(x + (gap - width(label)) // 2, y - 1, label, PLAIN)
    else:
        canvas.put(x + 2, y, label, PLAIN)
    held = sum(c.htlcs for c in channels)
    if held:
        at = path[len(path) // 2]
        canvas.put(*at, "●", WARN)
        if level:
            canvas.put(at[0] - 3, at[1] + 1, f"{held} held"[:gap], WARN)
        else:
            # The last column's line has no room at its right.
            beside = at[0] - 7 if PLACES[first][0] == 2 else at[0] + 2
            canvas.put(beside, at[1], f"{held} held", WARN)


def _share(channels: Sequence[TownChannel], key: str) -> str:
    if not any(c.usable for c in channels):
        return "not in use"
    shares = [s for c in channels if (s := c.share(key)) is not None]
    if not shares:
        return "?"
    return f"{sum(shares) // len(shares)} %" + (f" ×{len(channels)}" if len(channels) > 1 else "")


def _draw_node(canvas: Canvas, node: TownNode, gap: int) -> None:
    x, y = _left_of(node.key, gap), 5 * PLACES[node.key][1]
    style = BAD if not node.running else WARN if node.frozen else PLAIN
    mark = "✗ " if not node.running else "… " if node.frozen else ""
    name = cut(f"{mark}{node.alias}{' *' if node.key == 'you' else ''}", BOX - 2)
    pad = BOX - 2 - width(name)
    inside = " " * (pad // 2) + name + " " * (pad - pad // 2)
    canvas.put(x, y, "╭" + "─" * (BOX - 2) + "╮", style)
    canvas.put(x, y + 1, "│" + inside + "│", style)
    canvas.put(x + 1, y + 1, inside, style or STRONG)
    canvas.put(x, y + 2, "╰" + "─" * (BOX - 2) + "╯", style)


def _words(channel: TownChannel, town: Town) -> str:
    first, second = channel.nodes
    share = channel.share(first)
    known = "? %" if share is None else f"{share} %"
    shown = known if channel.usable else "not in use"
    return f"{town.alias(first)} {shown} {town.alias(second)}"
