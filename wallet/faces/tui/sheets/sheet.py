"""A sheet over the screen: a box with rows and fields, and its own hint row.

Inside a sheet only its own keys work, `esc` among them.  Closing one never stops what was begun.
"""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from wallet.faces.tui.frame import HintRow
from wallet.faces.tui.paint import Row, content
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.state import State


class Field(Input):
    """One line a person types or pastes into; what is pasted is made safe first."""

    DEFAULT_CSS = """
    Field { border: none; height: 1; padding: 0 1; background: $panel; width: 1fr; }
    Field > .input--placeholder { color: $muted; }
    Field:focus { border: none; background: $panel; text-style: underline; }
    """
    MOST: ClassVar[int] = 8_000

    def insert_text_at_cursor(self, text: str) -> None:
        super().insert_text_at_cursor(safe(text, self.MOST))

    def _on_paste(self, event: events.Paste) -> None:
        # A pasted line end never presses a button, and a second line is not lost in silence.
        super()._on_paste(events.Paste(safe(event.text.strip(), self.MOST)))
        event.stop()
        event.prevent_default()


class Rows(Widget):
    """The rows of a sheet."""

    DEFAULT_CSS = "Rows { height: auto; width: 1fr; text-wrap: nowrap; }"

    def __init__(self, sheet: "Sheet", id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._sheet = sheet

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return max(1, len(self._sheet.rows(width)))

    def render(self) -> Content:
        return content(self._sheet.rows(self.size.width), self.size.width, self.size.height)


class Sheet(ModalScreen[None]):
    """A box with `NAME` in its border."""

    NAME: ClassVar[str] = ""
    HINTS: ClassVar[str] = "esc close"
    AUTO_FOCUS = "Field"
    DEFAULT_CSS = """
    Sheet { align: center middle; background: $background 70%; }
    Sheet > .box {
        width: 76; max-width: 100%; height: auto; max-height: 22;
        border: round $border; padding: 0 2; background: $background;
    }
    Sheet > .hints { dock: bottom; background: $background; }
    """
    BINDINGS: ClassVar = [Binding("escape", "close", show=False)]

    def __init__(self, state: State, name: str = "") -> None:
        super().__init__()
        self.state = state
        self._name = name or self.NAME

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._name
            yield from self.compose_body()
            yield Rows(self)
        yield HintRow(self.hints())

    def compose_body(self) -> ComposeResult:
        """Fields above the rows."""
        yield from ()

    def rows(self, cells: int) -> list[Row]:
        """The text of the sheet."""
        raise NotImplementedError

    def hints(self) -> str:
        """The keys that work now."""
        return self.HINTS

    def retitle(self, name: str) -> None:
        """Another name in the border; our own words only."""
        self.query_one(".box", Vertical).border_title = name

    def redraw(self) -> None:
        """The rows have changed."""
        self.query_one(Rows).refresh(layout=True)
        self.query_one(HintRow).show(self.hints())

    def action_close(self) -> None:
        """Go back to the screen."""
        self.dismiss()
