"""The line of the console: it remembers what was asked, and knows the methods' names."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from wallet.faces.tui.sheets.sheet import Field


class Prompt(Horizontal):
    """At the bottom of its screen; hidden until it is opened."""

    HINTS: ClassVar = "enter ask  tab complete  ↑ ↓ again  pgup pgdn scroll  esc back"
    DEFAULT_CSS = """
    Prompt { dock: bottom; height: 1; display: none; background: $background; }
    Prompt > Label { padding: 0 0 0 1; text-style: bold; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "leave", show=False),
        Binding("tab", "complete", show=False),
        Binding("up", "recall(-1)", show=False),
        Binding("down", "recall(1)", show=False),
        Binding("pageup", "scroll(1)", show=False),
        Binding("pagedown", "scroll(-1)", show=False),
    ]

    class Asked(Message):
        """A line was entered."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Scrolled(Message):
        """What stands above is to be moved by so many pages, into the past."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    class Left(Message):
        """The line is done with."""

    def __init__(self) -> None:
        super().__init__()
        self._methods: Sequence[str] = ()
        self._asked: list[str] = []
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Label(">", markup=False)
        yield Field(id="ask")

    @property
    def _field(self) -> Field:
        return self.query_one(Field)

    def stand_at(self, column: int) -> None:
        """Where in its screen it begins."""
        self.styles.margin = (0, 0, 0, column)

    def open(self, methods: Sequence[str]) -> None:
        """Show it; these can be completed."""
        self._methods = methods
        self.display = True
        self._field.focus()

    def close(self) -> None:
        """Hide it; what was typed stays."""
        self.display = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        line = event.value.strip()
        if line:
            self._asked.append(line)
            self._at = len(self._asked)
            self._write("")
            self.post_message(self.Asked(line))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_scroll(self, pages: int) -> None:
        self.post_message(self.Scrolled(pages))

    def action_recall(self, by: int) -> None:
        self._at = max(0, min(len(self._asked), self._at + by))
        self._write(self._asked[self._at] if self._at < len(self._asked) else "")

    def action_complete(self) -> None:
        """As far as all methods that begin so go together."""
        typed = self._field.value
        fitting = [m for m in self._methods if m.startswith(typed)]
        if not fitting or not typed:
            return
        first, last = fitting[0], fitting[-1]
        same = 0
        while same < min(len(first), len(last)) and first[same] == last[same]:
            same += 1
        self._write(f"{first} " if len(fitting) == 1 else first[:same])

    def _write(self, text: str) -> None:
        self._field.value = text
        self._field.cursor_position = len(text)
