"""`?`: the keys that work everywhere, and those of the screen in front."""

from itertools import zip_longest
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding

from wallet.faces.tui.keys import EVERYWHERE, LIST, OWN, Key
from wallet.faces.tui.paint import EMPTY, KEY, QUIET, Row, Span, row
from wallet.faces.tui.pane import Pane
from wallet.faces.tui.safe_text import left
from wallet.faces.tui.sheets.sheet import Sheet


class Help(Sheet):
    """Made from the table of keys."""

    NAME = "Keys"
    HINTS = "esc close"
    BINDINGS: ClassVar = [Binding("question_mark", "close", show=False)]

    def __init__(self, pane: Pane) -> None:
        super().__init__(pane.state)
        self._pane = pane

    def compose_body(self) -> ComposeResult:
        yield from ()

    def rows(self, cells: int) -> list[Row]:
        own = [*OWN.get(self._pane.id or "", ()), *(LIST if self._pane.LISTS else ())]
        everywhere = [
            Key("", "", "1-8", "go to a tab"),
            Key("", "", "[ ]", "previous, next tab"),
            *EVERYWHERE,
        ]
        title = (self._pane.id or "").capitalize()
        rows = [
            row((left("Everywhere", 34), QUIET), (f"This screen: {title}", QUIET)),
            EMPTY,
        ]
        for first, second in zip_longest(everywhere, own):
            rows.append(row(*_cell(first, 34), *_cell(second, 30)))
        return [*rows, EMPTY, row(("In a sheet: esc back, tab next field, enter next", QUIET))]


def _cell(key: Key | None, cells: int) -> tuple[Span, ...]:
    if key is None:
        return ((" " * cells, ""),)
    return (left(key.shown, 9), KEY), (left(key.words, cells - 9), "")
