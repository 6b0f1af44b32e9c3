"""A step of the first run: a box with a name, fields, rows, and the keys that work now.

Nothing of it can be selected, copied or photographed, and it has no palette.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from wallet.faces.tui.entry import Entry
from wallet.faces.tui.frame import HintRow
from wallet.faces.tui.paint import QUIET, STRONG, WARN, Row, content, ends, folded, row
from wallet.faces.tui.safe_text import left

if TYPE_CHECKING:
    from wallet.faces.tui.setup.app import FirstRun


class Lines(Widget):
    """Rows that a function makes, as wide as there is room."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; text-wrap: nowrap; }"

    def __init__(self, make: Callable[[int], list[Row]], id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._make = make

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._make(width))

    def render(self) -> Content:
        return content(self._make(self.size.width), self.size.width, self.size.height)


class Asked(Horizontal):
    """A label, its entry, and a remark beside it."""

    DEFAULT_CSS = """
    Asked { height: 1; width: 1fr; }
    Asked > Lines { height: 1; }
    Asked > .edge { width: 1; }
    Asked > .label { width: 14; }
    """

    def __init__(self, label: str, entry: Entry, remark: Callable[[], Row]) -> None:
        # Brackets: where a field is, is not said by colour alone.
        label_lines = Lines(lambda _: [row(left(label, 13) + "[")])
        label_lines.add_class("label")
        end = Lines(lambda cells: [row("]  " if cells > 1 else "]", *remark())])
        end.set_class(entry.has_class("wide"), "edge")
        super().__init__(label_lines, entry, end)


class Stage(Screen[None]):
    """One step. `NAME` stands in the border behind its number."""

    NAME: ClassVar[str] = ""
    HINTS: ClassVar[str] = ""
    ALLOW_SELECT: ClassVar[bool] = False
    AUTO_FOCUS: ClassVar[str | None] = "Entry"
    DEFAULT_CSS = """
    Stage { align: center middle; background: $background; color: $foreground; }
    Stage > #top { dock: top; height: 1; }
    Stage > .hints { dock: bottom; }
    Stage > .box {
        width: 76; max-width: 100%; height: auto; max-height: 22;
        border: round $border; padding: 0 2; background: $background;
    }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "back", show=False),
        Binding("tab", "next_field", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
    ]

    def __init__(self, step: str) -> None:
        """`step` is `1/4`; empty for the only one."""
        super().__init__()
        self.step = step
        self.problem = ""

    @property
    def setup(self) -> "FirstRun":
        """The app, which has the draft and the port."""
        return cast("FirstRun", self.app)

    def compose(self) -> ComposeResult:
        yield Lines(self._top, id="top")
        with Vertical(classes="box") as box:
            step = f"step {self.step} " if self.step else ""
            box.border_title = f"Set up · {step}{self.NAME}"
            yield from self.compose_body()
        yield HintRow(self.hints())

    def _top(self, cells: int) -> list[Row]:
        now: datetime = self.setup.clock()
        start = row((" leyden  ", STRONG), ("first run", QUIET))
        return [ends(start, row((f"{now:%H:%M:%S} ", QUIET)), cells)]

    def on_mount(self) -> None:
        self.set_interval(1.0, lambda: self.query_one("#top").refresh())

    def compose_body(self) -> Iterable[Widget]:
        """What is inside the box."""
        raise NotImplementedError

    def hints(self) -> str:
        """The keys that work now."""
        return self.HINTS

    def trouble(self, cells: int) -> list[Row]:
        """What is wrong with what was entered, if anything."""
        return [row((f"! {line}", WARN)) for line in folded(self.problem, cells - 2, 3)]

    def redraw(self) -> None:
        """Everything in the box has changed."""
        for lines in self.query(Lines):
            lines.refresh(layout=True)
        self.query_one(HintRow).show(self.hints())

    def on_entry_typed(self, event: Entry.Typed) -> None:
        event.stop()
        self.problem = ""
        self.redraw()

    def action_next_field(self) -> None:
        """Go on in the form."""
        self.focus_next(Entry)

    def action_back(self) -> None:
        """The step before."""
        self.dismiss()
