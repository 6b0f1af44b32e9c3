"""A wallet from its recovery phrase: each word is looked up while it is typed."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from textual.message import Message
from textual.widget import Widget

from wallet.faces.tui.entry import Entry
from wallet.faces.tui.paint import EMPTY, GOOD, QUIET, STRONG, WARN, Row, row
from wallet.faces.tui.setup.phrase import grid, offers
from wallet.faces.tui.setup.protect import Protect
from wallet.faces.tui.setup.stage import Asked, Lines, Stage

_COUNTS: Final = (12, 15, 18, 21, 24)


class WordEntry(Entry):
    """Backspace in an empty field takes the last word back."""

    class TakenBack(Message):
        """The last word is to be typed anew."""

    def action_delete_left(self) -> None:
        if self.value:
            super().action_delete_left()
        else:
            self.post_message(self.TakenBack())


class Restore(Stage):
    """The words so far, and the one that is being typed."""

    NAME = "recovery phrase"

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self._words: list[str] = []

    def compose_body(self) -> Iterable[Widget]:
        yield Lines(self._rows_above)
        yield Asked("", WordEntry("word"), self._remark)
        yield Lines(self._rows_below)

    def hints(self) -> str:
        return "space next word  tab complete  backspace last word  enter next  esc back"

    @property
    def _typed(self) -> str:
        return self.query_one("#word", Entry).value.split(" ")[0].lower()

    def _found(self, typed: str) -> list[str]:
        return [w for w in self.setup.port.words() if w.startswith(typed)] if typed else []

    def _trouble_of_all(self) -> str:
        return self.setup.port.phrase_trouble(self._words)

    def _rows_above(self, _cells: int) -> list[Row]:
        above = [row("Type the words in their order, or paste them all."), EMPTY]
        return [*above, *grid(self._words), *([EMPTY] if self._words else [])]

    def _remark(self) -> Row:
        found = self._found(self._typed)
        if not self._typed:
            return ((f"word {len(self._words) + 1}", QUIET),)
        return (("✓", GOOD),) if found[:1] == [self._typed] else offers(found)

    def _rows_below(self, cells: int) -> list[Row]:
        found: list[Row] = [EMPTY]
        if len(self._words) in _COUNTS:
            wrong = self._trouble_of_all()
            if not wrong:
                found += [row((f"✓ {len(self._words)} words, and they fit together.", GOOD)), EMPTY]
            elif len(self._words) == _COUNTS[-1]:
                found += [row((f"! {wrong}", WARN)), EMPTY]
        return [
            *found,
            row(("This brings back the money on the chain.", STRONG)),
            row("Channels are not in the words: for those keep the old computer's data."),
            row(("Never run one phrase on two computers at once.", QUIET)),
            *([EMPTY] if self.problem else []),
            *self.trouble(cells),
        ]

    def on_entry_typed(self, event: Entry.Typed) -> None:
        """A space ends a word; what was pasted may hold all of them."""
        entry = self.query_one("#word", Entry)
        *whole, rest = entry.value.lower().split(" ")
        if whole:
            # In one go: what is typed meanwhile stands behind.
            self._leave([*self._take(whole), *([rest] if rest else [])])

    def _leave(self, typed: list[str]) -> None:
        entry = self.query_one("#word", Entry)
        entry.value = " ".join(typed)
        entry.cursor_position = len(entry.value)

    def _take(self, typed: list[str]) -> list[str]:
        """Words of the list join the others; from the first that is none on they come back."""
        for number, text in enumerate(typed):
            found = self._found(text)
            if text and found[:1] != [text] and len(found) != 1:
                return typed[number:]
            if text and len(self._words) < _COUNTS[-1]:
                self._words.append(found[0])
        return []

    def on_entry_entered(self, event: Entry.Entered) -> None:
        event.stop()
        if typed := self.query_one("#word", Entry).value.lower().split():
            self._leave(self._take(typed))
            self.redraw()
        else:
            self._go_on()

    def _go_on(self) -> None:
        self.problem = self._trouble_of_all()
        if self.problem:
            self.redraw()
            return
        setup = self.setup
        setup.draft = replace(setup.draft, phrase=tuple(self._words))
        self.app.push_screen(Protect("3/3"))

    def action_next_field(self) -> None:
        """There is one only: tab completes, as far as the words that begin so agree."""
        found = self._found(self._typed)
        if found:
            first, last = found[0], found[-1]
            ends = (n for n in range(len(first)) if not last.startswith(first[: n + 1]))
            self._leave([first[: next(ends, len(first))]])

    def on_word_entry_taken_back(self, event: WordEntry.TakenBack) -> None:
        event.stop()
        if self._words:
            self._words.pop()
            self.redraw()
