"""The recovery phrase of a new wallet: shown, then asked for. Nothing is written yet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from textual.binding import Binding
from textual.widget import Widget

from wallet.faces.tui.entry import Entry
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, QUIET, STRONG, Row, row
from wallet.faces.tui.safe_text import left
from wallet.faces.tui.setup.protect import Protect
from wallet.faces.tui.setup.stage import Asked, Lines, Stage

_COUNTS: Final = (12, 24)
_COLUMNS: Final = 4
_MOST_OFFERED: Final = 3
_ASKED: Final = 3


class Phrase(Stage):
    """The words, to be written on paper."""

    NAME = "recovery phrase"
    AUTO_FOCUS = None
    BINDINGS: ClassVar = [
        Binding("enter", "next", show=False),
        Binding("w", "count", show=False),
        Binding("q", "app.leave", show=False),
    ]

    def compose_body(self) -> Iterable[Widget]:
        yield Lines(self._rows)

    def on_mount(self) -> None:
        if not self.setup.draft.phrase:
            self._take(_COUNTS[0])

    def _take(self, count: int) -> None:
        setup = self.setup
        setup.draft = replace(setup.draft, phrase=setup.port.new_phrase(count))
        self.redraw()

    @property
    def _other(self) -> int:
        return _COUNTS[1] if len(self.setup.draft.phrase) == _COUNTS[0] else _COUNTS[0]

    def hints(self) -> str:
        return f"enter I wrote it down  w {self._other} words instead  esc back  q quit"

    def _rows(self, _cells: int) -> list[Row]:
        words = self.setup.draft.phrase
        return [
            row(f"Write these {len(words)} words on paper, in order. Do not photograph them."),
            EMPTY,
            *grid(words),
            EMPTY,
            row(("Whoever has these words can take your money.", STRONG)),
            row("They bring back what is on the chain. What is in channels is also in"),
            row("this computer's data: keep both."),
            EMPTY,
            row(("Copy, selection, screenshot and palette are off here.", QUIET)),
        ]

    def action_count(self) -> None:
        self._take(self._other)

    def action_next(self) -> None:
        self.app.push_screen(Verify("3/4"))

    def action_back(self) -> None:
        setup = self.setup
        setup.draft = replace(setup.draft, phrase=())
        super().action_back()


def grid(words: Iterable[str]) -> list[Row]:
    """Numbered words in columns, to be read downwards."""
    numbered = [f"{n:>2} {word}" for n, word in enumerate(words, 1)]
    height = -(-len(numbered) // _COLUMNS)
    return [
        row("  ", (" ".join(left(text, 15) for text in numbered[at::height]).rstrip(), STRONG))
        for at in range(height)
    ]


class Verify(Stage):
    """Three of the words, typed from the paper."""

    NAME = "verify"
    HINTS = "tab next field  enter next  ctrl+k skip for now  esc back"
    BINDINGS: ClassVar = [Binding("ctrl+k", "skip", show=False, priority=True)]

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self._numbers: tuple[int, ...] = ()

    def compose_body(self) -> Iterable[Widget]:
        self._numbers = tuple(self.setup.port.questions(len(self.setup.draft.phrase)))[:_ASKED]
        yield Lines(lambda _: [row("Check your copy. Type the word for each number."), EMPTY])
        for number in self._numbers:
            yield Asked(f"  word {number}", Entry(f"word-{number}"), self._remark_of(number))
        yield Lines(self._rows)

    def _rows(self, cells: int) -> list[Row]:
        return [
            EMPTY,
            row("Lose both these words and this computer, and the money is lost."),
            row(("Skipping is allowed: the words are shown here only, and only now.", QUIET)),
            *([EMPTY] if self.problem else []),
            *self.trouble(cells),
        ]

    def _typed(self, number: int) -> str:
        return self.query_one(f"#word-{number}", Entry).value.strip().lower()

    def _is_right(self, number: int) -> bool:
        return self._typed(number) == self.setup.draft.phrase[number - 1]

    def _remark_of(self, number: int) -> Callable[[], Row]:
        return lambda: remark(self._typed(number), self._is_right(number), self.setup.port.words())

    def on_entry_entered(self, event: Entry.Entered) -> None:
        event.stop()
        wrong = [n for n in self._numbers if not self._is_right(n)]
        if not wrong:
            self._go_on()
            return
        if all(self._typed(n) for n in wrong):
            self.problem = (
                f"Word {wrong[0]} is another one: look at your paper. esc shows the words."
            )
        self.query_one(f"#word-{wrong[0]}", Entry).focus()
        self.redraw()

    def action_skip(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        self.app.push_screen(Protect("4/4"))


def remark(typed: str, right: bool, words: Iterable[str]) -> Row:
    """What stands beside a word that is being typed."""
    if right:
        return (("✓ ok", GOOD),)
    if not typed:
        return ()
    found = [word for word in words if word.startswith(typed)]
    return (("not this one", QUIET),) if found[:1] == [typed] else offers(found)


def offers(found: Sequence[str]) -> Row:
    """The words that begin as what is being typed."""
    if not found:
        return (("✗ no such word", BAD),)
    more = " …" if len(found) > _MOST_OFFERED else ""
    return ((" · ".join(found[:_MOST_OFFERED]) + more, QUIET),)
