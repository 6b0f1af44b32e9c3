"""What a form is made of: fields with their names in front, digits, a choice of a few."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from wallet.faces.tui.paint import KEY, PLAIN, QUIET, Span, content
from wallet.faces.tui.sheets.sheet import Field

ALL: Final = "all"
_DIGITS: Final = "0123456789,._ "


class Digits(Field):
    """A field for amounts: letters pass it by, so that they stay keys of the sheet."""

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character is not None and event.character not in _DIGITS:
            event.prevent_default()
            return
        if self.value == ALL and event.key not in ("enter", "tab", "shift+tab", "escape"):
            self.value = ""
        await super()._on_key(event)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character in _DIGITS


class Choice(Widget, can_focus=True):
    """One of a few: `(•) next block 4  ( ) hour 2`, by the arrows or the space bar."""

    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; padding: 0 1; background: $panel; text-wrap: nowrap; }
    """
    BINDINGS: ClassVar = [
        Binding("left", "step(-1)", show=False),
        Binding("right,space", "step(1)", show=False),
    ]

    class Changed(Message):
        """Another one is chosen."""

    def __init__(self, options: Sequence[str], id: str) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.options = tuple(options)
        self.chosen = 0

    def offer(self, options: Sequence[str]) -> None:
        """Other options; what is chosen stays where it is."""
        self.options = tuple(options)
        self.chosen = min(self.chosen, len(self.options) - 1)
        self.refresh()

    def action_step(self, by: int) -> None:
        self.chosen = (self.chosen + by) % len(self.options)
        self.refresh()
        self.post_message(self.Changed())

    def render(self) -> Content:
        spans: list[Span] = []
        for number, words in enumerate(self.options):
            style = (KEY if self.has_focus else PLAIN) if number == self.chosen else QUIET
            spans += [(f"({'•' if number == self.chosen else ' '}) {words}", style), ("  ", PLAIN)]
        return content([tuple(spans)], self.size.width, 1)


class Named(Horizontal):
    """A field with its name in front of it."""

    DEFAULT_CSS = """
    Named { height: 1; width: 1fr; }
    Named > .title { width: 11; color: $muted; }
    """

    def __init__(self, title: str, *fields: Widget) -> None:
        super().__init__()
        self._title, self._fields = title, fields

    def compose(self) -> ComposeResult:
        yield Static(self._title, classes="title", markup=False)
        yield from self._fields
