"""What is shown in a window that is too small for the screens: the figures that matter, below each
other."""

from typing import ClassVar, Final

from textual.content import Content
from textual.widget import Widget

from wallet.faces.tui.paint import EMPTY, QUIET, STRONG, Row, content, folded, row
from wallet.faces.tui.safe_text import left
from wallet.faces.tui.state import State

WHOLE: Final = (80, 24)
"""Columns and lines that every screen needs."""
_LABEL: Final = 13


class Small(Widget):
    """The single column. It is always there, and hidden while there is room."""

    DEFAULT_CSS = "Small { height: 1fr; width: 1fr; text-wrap: nowrap; }"
    HINTS: ClassVar[str] = "s send  r receive  q quit"

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def render(self) -> Content:
        cells, height = self.size
        return content(self._rows(cells), cells, height)

    def _rows(self, cells: int) -> list[Row]:
        state, size = self._state, self.app.size
        whole = f"{WHOLE[0]}x{WHOLE[1]}"
        told = f"This window is {size.width}x{size.height}. leyden needs {whole} for the full view."
        peers = {c.peer_id for c in state.facts.channels}
        online = {c.peer_id for c in state.facts.channels if c.connected}
        figures = (
            ("can send", state.money.shown(state.facts.can_send)),
            ("can receive", state.money.shown(state.facts.can_receive)),
            ("in flight", state.money.shown(state.facts.in_flight)),
            ("peers", f"{len(online)}/{len(peers)}"),
        )
        shown = [row(f"  {left(name, _LABEL)}", (value, STRONG)) for name, value in figures]
        return [
            EMPTY,
            *(shown if state.told else []),
            EMPTY,
            *(row((f"  {line}", QUIET)) for line in folded(told, cells - 3)),
        ]
