"""Several lists under one cursor, one below the other; `tab` goes to the next.

A section's head stays in sight while its rows are scrolled.
"""

from collections.abc import Iterator, Sequence

from textual import events

from wallet.faces.tui.listing import Listing
from wallet.faces.tui.paint import EMPTY, QUIET, Row, row


class Sections(Listing):
    """The cursor counts the rows of all sections; lines are rows, heads and what parts them."""

    def sections(self) -> Sequence[tuple[str, int]]:
        """Name and number of rows, of each section from above."""
        raise NotImplementedError

    def head(self, name: str, cells: int) -> Row:
        """The line above a section."""
        raise NotImplementedError

    def none(self, name: str) -> str:
        """What stands in a section without rows."""
        raise NotImplementedError

    def line(self, name: str, number: int, cells: int, *, chosen: bool) -> Row:
        """One row of a section."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        return sum(count for _, count in self.sections())

    @property
    def place(self) -> tuple[str, int]:
        """The section that the cursor is in, and its row there."""
        number = self.cursor
        for name, count in self.sections():
            if number < count:
                return name, number
            number -= count
        return "", 0

    def _lines(self) -> Iterator[tuple[str, int, int, int]]:
        """Of each section: name, rows, number of its first row, and the line of its head."""
        number = line = 0
        for name, count in self.sections():
            yield name, count, number, line
            number += count
            line += 1 + max(count, 1) + 1

    def go(self, to: int) -> None:
        self.cursor = max(0, min(self.count - 1, to))
        *_, (_, count, _, line) = self._lines()
        self.first = max(0, min(self.first, line + 1 + max(count, 1) - self.room))
        for _, count, number, line in self._lines():
            if number <= self.cursor < number + count:
                at = line + 1 + self.cursor - number
                # The line above it stays free for the head of its section.
                self.first = max(0, min(self.first, at - 1))
                self.first = max(self.first, at - self.room + 1)
        self.moved()
        self.refresh()

    def action_section(self) -> None:
        if self.open:
            return
        starts = [number for _, count, number, _ in self._lines() if count]
        self.go(next((start for start in starts if start > self.cursor), 0))

    def listed(self, cells: int) -> list[Row]:
        """The lines that are seen now."""
        rows: list[Row] = []
        last = self.first + self.room
        for name, count, number, line in self._lines():
            end = line + 1 + max(count, 1)
            if end <= self.first or line >= last:
                continue
            if line > self.first:
                rows.append(EMPTY)
            rows.append(self.head(name, cells))
            if not count:
                rows.append(row((f"  {self.none(name)}", QUIET)))
            begin = max(0, self.first - line)
            for each in range(begin, min(count, last - line - 1)):
                rows.append(self.line(name, each, cells, chosen=number + each == self.cursor))
        return rows[: self.room]

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()  # Textual would ask the class above as well
        at = self.first + event.y - self.HEAD
        for _, count, number, line in self._lines():
            if not self.open and line < at <= line + count:
                self.go(number + at - line - 1)
                return
