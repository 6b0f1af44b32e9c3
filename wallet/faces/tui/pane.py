"""A screen's body: rows made from the state, drawn anew whenever the state has changed."""

from typing import ClassVar, Final

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from wallet.faces.tui.copying import Thing
from wallet.faces.tui.keys import Key, own
from wallet.faces.tui.paint import Row, content, row
from wallet.faces.tui.state import State

WIDE: Final = 110
"""Columns from which there is a second column."""


class Pane(Widget, can_focus=True):
    """One tab. It never asks the core for anything by drawing."""

    DEFAULT_CSS = "Pane { height: 1fr; width: 1fr; text-wrap: nowrap; }"

    class HintsChanged(Message):
        """Other keys work now."""

    HINTS: ClassVar[str] = ""
    WANTS: ClassVar[frozenset[str]] = frozenset()
    """Parts of the facts (`watch.PARTS`) that are asked for only while it is in front."""
    LISTS: ClassVar[bool] = False
    """Whether the keys of a list work here."""
    FINDS: ClassVar[str] = ""
    """What `/` takes here; empty where there is nothing to filter."""
    sought = ""
    """What is filtered by now."""

    def __init__(self, state: State, id: str) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.state = state

    def rows(self, cells: int, height: int) -> list[Row]:
        """What to draw in so many columns and lines."""
        raise NotImplementedError

    def hints(self) -> str:
        """The hint row while this pane is in front."""
        return self.HINTS

    def render(self) -> Content:
        """For Textual."""
        cells, height = self.size
        return content(self.rows(cells, height), cells, height)

    def on_show(self) -> None:
        """Its keys work again after the window was too small for it."""
        if self.screen.focused is None:
            self.focus()

    def find(self, text: str) -> None:
        """Filter by something else; the empty text lets all through."""
        self.sought = text

    @property
    def found(self) -> str:
        """How many the filter lets through."""
        return ""

    async def main_thing(self) -> Thing | None:
        """What `y` copies now. May raise `RpcError` or `ConnectionLost`."""
        return None

    def facts_changed(self) -> None:
        """New facts have come, and this pane is in front."""
        self.refresh()

    def allows(self, key: Key) -> bool:
        """Whether the node can do what a key is for; if not, the notice row says why."""
        return self.state.allows(*key.needs)

    def may(self, action: str) -> bool:
        """As `allows`, of one of this screen's own actions."""
        return self.allows(own(self.id or "", action))

    def action_open_channel(self) -> None:
        """On every screen that has the key."""
        from wallet.faces.tui.sheets.open import Open

        if self.may("open_channel"):
            self.app.push_screen(Open(self.state))


class Absent(Pane):
    """A tab whose screen is not there, and why; its number stays."""

    HINTS = "s send  r receive  1 home  : palette  ? help  q quit"

    def __init__(self, state: State, id: str, why: tuple[str, ...]) -> None:  # noqa: A002
        super().__init__(state, id)
        self._why = why

    def rows(self, cells: int, height: int) -> list[Row]:
        return [row(), row(), *(row(f"   {line}") for line in self._why)]
