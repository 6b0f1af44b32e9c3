"""A list of any length under a cursor: only what is seen is ever drawn."""

from typing import ClassVar

from textual import events

from wallet.faces.tui.keys import LIST
from wallet.faces.tui.pane import Pane


class Listing(Pane):
    """Moves a cursor over `count` rows, of which `room` are seen; `detail` opens the chosen one."""

    BINDINGS: ClassVar = [key.binding for key in LIST]
    LISTS: ClassVar = True
    FOUND: ClassVar = "esc show all  enter detail  / filter  y copy  : palette  ? help"
    """The hints while a filter is on."""
    HEAD: ClassVar = 2
    """Lines above the first row."""
    TALL: ClassVar = 1
    """Lines of a row."""

    cursor = 0
    first = 0
    open = False
    """Whether the chosen one is shown in full."""

    @property
    def count(self) -> int:
        """How many rows there are now."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """How many rows are seen at once."""
        return max(1, (self.size.height - self.HEAD) // self.TALL)

    def go(self, to: int) -> None:
        """Put the cursor on a row and bring it into sight."""
        self.cursor = max(0, min(self.count - 1, to))
        # No room stays empty below while there are rows above.
        self.first = max(0, min(self.first, self.cursor, self.count - self.room))
        if self.cursor >= self.first + self.room:
            self.first = self.cursor - self.room + 1
        self.moved()
        self.refresh()

    def moved(self) -> None:
        """The cursor stands elsewhere."""

    def action_move(self, by: int) -> None:
        if not self.open:
            self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        if not self.open:
            self.go(self.cursor + by * max(1, self.room - 1))

    def action_top(self) -> None:
        if not self.open:
            self.go(0)

    def action_bottom(self) -> None:
        if not self.open:
            self.go(self.count - 1)

    def action_detail(self) -> None:
        self._show(in_full=self.count > 0)

    def action_back(self) -> None:
        if not self.open and self.sought:
            self.find("")
        self._show(in_full=False)

    def find(self, text: str) -> None:
        if text != self.sought:
            self.sought = text
            self.sought_changed()
            self.go(0)
            self.post_message(self.HintsChanged())

    def sought_changed(self) -> None:
        """The filter is another one: `count` is to count what it lets through."""

    @property
    def found(self) -> str:
        return f"{self.count:,} found" if self.sought else ""

    def _show(self, *, in_full: bool) -> None:
        self.open = in_full
        self.refresh()
        self.post_message(self.HintsChanged())

    def on_click(self, event: events.Click) -> None:
        line = event.y - self.HEAD
        if not self.open and 0 <= line < self.room * self.TALL:
            self.go(self.first + line // self.TALL)

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)
