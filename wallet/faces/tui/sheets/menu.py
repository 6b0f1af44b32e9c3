"""A short list to choose from: by its letter, or with the arrows and Enter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding

from wallet.faces.tui.paint import CHOSEN, EMPTY, KEY, QUIET, Row, row
from wallet.faces.tui.safe_text import left
from wallet.faces.tui.sheets.sheet import Sheet
from wallet.faces.tui.state import State


@dataclass(frozen=True, slots=True)
class Choice:
    """`key` is one character; `act` is called when it is chosen, after the menu has closed."""

    key: str
    name: str
    words: str
    act: Callable[[], object]


class Menu(Sheet):
    """Nothing in it moves money: Enter is enough."""

    HINTS: ClassVar = "↑ ↓ move  enter choose  esc cancel"
    BINDINGS: ClassVar = [
        Binding("down,j", "step(1)", show=False),
        Binding("up,k", "step(-1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    def __init__(self, state: State, name: str, choices: Sequence[Choice]) -> None:
        super().__init__(state, name)
        self._choices = choices
        self._at = 0

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if event.character == choice.key:
                event.stop()
                self._take(choice)

    def action_step(self, by: int) -> None:
        self._at = (self._at + by) % len(self._choices)
        self.redraw()

    def action_choose(self) -> None:
        self._take(self._choices[self._at])

    def _take(self, choice: Choice) -> None:
        self.dismiss()
        self.app.call_later(choice.act)

    def rows(self, cells: int) -> list[Row]:
        wide = max(len(choice.name) for choice in self._choices) + 3
        return [
            EMPTY,
            *(
                row(
                    (f" {choice.key}  ", KEY),
                    (left(choice.name, wide), CHOSEN if number == self._at else ""),
                    (f" {choice.words}", QUIET),
                )
                for number, choice in enumerate(self._choices)
            ),
        ]
