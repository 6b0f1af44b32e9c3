"""The rows around every screen: title, tabs, notice, hints. Each is one line of text."""

import re
from typing import ClassVar, Final

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from wallet.faces.tui.keys import TABS
from wallet.faces.tui.paint import KEY, PLAIN, QUIET, STRONG, Row, Span, content, ends, row
from wallet.faces.tui.safe_text import width
from wallet.faces.tui.state import State


class _Line(Widget):
    """One row."""

    DEFAULT_CSS = "_Line { height: 1; width: 1fr; text-wrap: nowrap; }"

    def row(self, cells: int) -> Row:
        raise NotImplementedError

    def render(self) -> Content:
        return content([self.row(self.size.width)], self.size.width, 1)


class TitleRow(_Line):
    """Who, on which chain, how far, and what time it is."""

    def __init__(self, state: State) -> None:
        super().__init__(id="title")
        self._state = state

    def row(self, cells: int) -> Row:
        facts = self._state.facts
        node = facts.node
        peers = {c.peer_id for c in facts.channels}
        online = {c.peer_id for c in facts.channels if c.connected}
        known = f"  {node.network}   block {node.height:,}   peers {len(online)}/{len(peers)}"
        return ends(
            row((" leyden  ", STRONG), node.alias, (known if self._state.told else "", QUIET)),
            row((f"{self._state.clock():%H:%M:%S} ", QUIET)),
            cells,
        )


class TabRow(_Line):
    """The eight tabs; the one in front stands in brackets, so that no colour is needed."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self.current = TABS[0].id

    def show(self, tab: str) -> None:
        """Put another tab in front."""
        self.current = tab
        self.refresh()

    def row(self, cells: int) -> Row:
        return tuple(
            (f"[{t.number} {t.title}]", KEY)
            if t.id == self.current
            else (f" {t.number} {t.title} ", PLAIN)
            for t in TABS
        )

    def on_click(self, event: events.Click) -> None:
        at = 0
        for tab, (text, _) in zip(TABS, self.row(0), strict=True):
            at += width(text)
            if event.x < at:
                self.post_message(self.Chosen(tab.id))
                return


class NoticeRow(_Line):
    """What happened last, or what is wrong."""

    def __init__(self, state: State) -> None:
        super().__init__(id="notice")
        self._state = state
        self.found = ""
        """What the list in front is filtered by, and how much of it that is."""

    def row(self, cells: int) -> Row:
        text, style = self._state.notice_row
        said = row((f" {text}", style))
        return ends(said, row((f"{self.found} ", KEY)), cells) if self.found else said


_HINT: Final = re.compile(r"(\S+(?: \S+)*)(\s{2,}|$)")


class HintRow(_Line):
    """The keys that work now: `s send  r receive`, two spaces between them."""

    STYLES: ClassVar[tuple[str, str]] = (KEY, QUIET)

    def __init__(self, hints: str = "") -> None:
        super().__init__(classes="hints")
        self._hints = hints

    def show(self, hints: str) -> None:
        """Other keys work now."""
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def row(self, cells: int) -> Row:
        spans: list[Span] = [(" ", PLAIN)]
        for found in _HINT.finditer(self._hints):
            key, _, words = found[1].partition(" ")
            spans += [(key, KEY), (f" {words}" if words else "", QUIET), ("  ", PLAIN)]
        if self._hints.endswith("  ?") and sum(width(text) for text, _ in spans) + 3 <= cells:
            # A row that is full at 80 columns leaves the word out.
            spans[-1] = (" help", QUIET)
        return tuple(spans)
