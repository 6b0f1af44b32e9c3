"""One line that stays here: a password, a word of the phrase, a place on this machine."""

import re
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input

_MOST_TYPED: Final = 1_000
_LINE_ENDS: Final = re.compile(r"[\r\n]+")


class Entry(Input):
    """No clipboard, no suggestion, and no message that carries what was typed."""

    DEFAULT_CSS = """
    Entry { border: none; height: 1; padding: 0 1; background: $panel; width: 24; }
    Entry:focus { border: none; background: $panel; text-style: underline; }
    Entry.wide { width: 1fr; }
    """
    BINDINGS: ClassVar = [Binding("enter", "submit", show=False)]

    class Typed(Message):
        """What stands there has changed; who wants to know it asks the field."""

    class Entered(Message):
        """Enter was pressed; likewise."""

    def __init__(
        self,
        id: str,  # noqa: A002 (Textual's name)
        *,
        secret: bool = False,
        wide: bool = False,
        placeholder: str = "",
    ) -> None:
        """`secret` is shown as dots and taken as it is, whatever characters it has."""
        super().__init__(id=id, password=secret, placeholder=placeholder, select_on_focus=False)
        self.set_class(wide, "wide")

    def insert_text_at_cursor(self, text: str) -> None:
        if not self.password:
            text = "".join(char for char in text if char.isprintable())[:_MOST_TYPED]
        super().insert_text_at_cursor(text)

    def _on_paste(self, event: events.Paste) -> None:
        # A line end in what was pasted presses nothing.
        if self.password:
            text = _LINE_ENDS.sub(" ", event.text.strip("\r\n"))
        else:
            text = " ".join(event.text.replace("\t", " ").splitlines())
        self.insert_text_at_cursor(text)
        event.stop()
        event.prevent_default()

    def _watch_value(self, value: str) -> None:
        # Textual's own message of a change carries the value, and messages are logged.
        with self.prevent(Input.Changed):
            super()._watch_value(value)
        self.post_message(self.Typed())

    async def action_submit(self) -> None:
        self.post_message(self.Entered())

    def action_copy(self) -> None:
        """Never."""

    def action_cut(self) -> None:
        """Never."""

    def take(self) -> str:
        """What stands there; the field is empty from now on."""
        value, self.value = self.value, ""
        return value
