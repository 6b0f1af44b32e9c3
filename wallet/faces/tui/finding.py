"""`/`: one line in place of the notice row, that the screen in front filters by while it is typed.

Enter keeps the filter, esc drops it.
"""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from wallet.faces.tui.frame import NoticeRow
from wallet.faces.tui.pane import Pane
from wallet.faces.tui.sheets.sheet import Field


class FindRow(Horizontal):
    """Hidden until it is opened."""

    HINTS: ClassVar = "enter keep the filter  esc drop it"
    DEFAULT_CSS = """
    FindRow { height: 1; display: none; }
    FindRow > Label { padding: 0 0 0 1; text-style: bold; }
    """
    BINDINGS: ClassVar = [Binding("escape", "drop", show=False)]

    class Closed(Message):
        """The line is done with."""

    def compose(self) -> ComposeResult:
        yield Label("/", markup=False)
        yield Field(id="find")

    _pane: Pane | None = None

    @property
    def _notice(self) -> NoticeRow:
        return self.screen.query_one(NoticeRow)

    @property
    def _field(self) -> Field:
        return self.query_one(Field)

    def open(self, pane: Pane) -> None:
        """Put it in the place of the notice row, for the filter of this screen."""
        self._pane, self.display = pane, True
        self._notice.display = False
        self._field.value, self._field.placeholder = pane.sought, pane.FINDS
        self._field.cursor_position = len(pane.sought)
        self._field.focus()

    def close(self) -> None:
        """Leave the filter as it is."""
        if self.display:
            self.display, self._notice.display = False, True
            self.post_message(self.Closed())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display and self._pane is not None:
            self._pane.find(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()

    def action_drop(self) -> None:
        if self._pane is not None:
            self._pane.find("")
        self.close()
