"""One thing in full: what it is, then names at the left and what they say at the right."""

from wallet.faces.tui.paint import EMPTY, PLAIN, QUIET, STRONG, Row, Span, folded, row
from wallet.faces.tui.safe_text import cut, left, width


class InFull:
    """The rows, as they are added."""

    def __init__(self, cells: int) -> None:
        self.made: list[Row] = []
        self.room = max(10, cells - 12)

    def title(self, text: str, word: Span) -> None:
        """What it is, and how it stands: the first gives way."""
        shown = cut(text, self.room + 7 - width(word[0]))
        self.made += [EMPTY, row("  ", (shown, STRONG), "   ", word), EMPTY]

    def add(self, name: str, *lines: str) -> None:
        """Nothing at all when there are no lines."""
        for number, line in enumerate(lines):
            self.made.append(row((f"  {left('' if number else name, 10)}", QUIET), (line, PLAIN)))

    def wrap(self, name: str, text: str) -> None:
        """An id in full, on as many lines as it takes."""
        room = self.room
        self.add(name, *(text[at : at + room] for at in range(0, len(text), room)))

    def note(self, sentence: str) -> None:
        """What it means for a person."""
        lines = folded(sentence, self.room + 10)
        self.made += [EMPTY, *(row((f"  {line}", QUIET)) for line in lines)]
