"""Log: what happened, as the node tells it, and a console to ask it."""

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import console
from wallet.faces.tui.copying import Thing
from wallet.faces.tui.grammar import words_fit
from wallet.faces.tui.in_full import InFull
from wallet.faces.tui.journal import Entry, Source, said
from wallet.faces.tui.keys import OWN
from wallet.faces.tui.listing import Listing
from wallet.faces.tui.paint import (
    BAD,
    CHOSEN,
    EMPTY,
    KEY,
    PLAIN,
    QUIET,
    STRONG,
    WARN,
    Row,
    Span,
    beside,
    ends,
    folded,
    row,
)
from wallet.faces.tui.pane import WIDE
from wallet.faces.tui.safe_text import left, middle_cut, safe
from wallet.faces.tui.state import State
from wallet.faces.tui.words import moment, when

if TYPE_CHECKING:
    from wallet.faces.tui.prompt import Prompt

LOOK_SECONDS: Final = 0.1
PAST: Final = 1_000
"""Events of before the app was opened that are asked for: the most that a node gives at once."""
_SOURCES: Final = (None, *Source)


class Log(Listing):
    """The eighth tab."""

    WANTS: ClassVar = frozenset({"settings"})
    HINTS: ClassVar = "f follow  l level  o source  tab console  enter detail  / filter  y copy  ?"
    FINDS: ClassVar = "words  !not"
    BINDINGS: ClassVar = [key.binding for key in OWN["log"]]
    HEAD: ClassVar = 3

    def __init__(self, state: State, id: str) -> None:  # noqa: A002
        super().__init__(state, id)
        self.follow = True
        self._alarming = False
        self._source: Source | None = None
        self._listed: list[Entry] = []
        self._seen = -1
        self._past_wanted = True
        self._consoling = False
        """Whether the console is open; in a wide window it is always seen."""
        self._asking = False
        self._transcript: deque[Span] = deque(maxlen=console.KEPT_LINES)
        self._scrolled = 0
        """Lines from the end of the transcript."""
        self._prompt: Prompt | None = None

    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self._look)

    # --- what happened ------------------------------------------------------------------------

    def _look(self) -> None:
        if self.display and self.state.journal.changes != self._seen:
            self.facts_changed()

    def facts_changed(self) -> None:
        if self._past_wanted and self.state.link is not None and self.state.can("events"):
            self._past_wanted = False
            self.run_worker(self._read_past(), group="past", exit_on_error=False)
        chosen = self.chosen
        self._seen = self.state.journal.changes
        self._listed = [e for e in self.state.journal.entries if self._fits(e)]
        if self.follow and not self.open:
            self.go(self.count - 1)
        elif chosen is not None:
            self._stay_on(chosen)
        self.open = self.open and self.count > 0
        self.refresh()

    def _stay_on(self, chosen: Entry) -> None:
        """Lines come in below and go above: the cursor stays on what was chosen."""
        at = next((n for n, e in enumerate(self._listed) if e is chosen), 0)
        self.first = max(0, self.first + at - self.cursor)
        self.go(at)

    async def _read_past(self) -> None:
        try:
            link = self.state.connected
            end = (await link.ask("events"))["next"]
            if end > 1:
                past = await link.ask("events", since=max(1, end - PAST))
                self.state.journal.note_before(past["events"])
        except (ConnectionLost, RpcError):
            self._past_wanted = True

    def _fits(self, one: Entry) -> bool:
        if self._alarming and not one.alarming:
            return False
        if self._source not in (None, one.source):
            return False
        return not self.sought or words_fit(self.sought, one.source, one.topic, self._said(one))

    def _said(self, one: Entry) -> str:
        return said(one, self.state.money, self.state.names)

    @property
    def count(self) -> int:
        return len(self._listed)

    @property
    def chosen(self) -> Entry | None:
        """What the cursor is on."""
        return self._listed[self.cursor] if self.cursor < len(self._listed) else None

    def sought_changed(self) -> None:
        self.facts_changed()

    async def main_thing(self) -> Thing | None:
        chosen = self.chosen
        if chosen is None:
            return None
        line = f"{moment(chosen.at, self.state.clock())} {chosen.source} {self._said(chosen)}"
        return Thing("Line", line)

    # --- keys ---------------------------------------------------------------------------------

    def hints(self) -> str:
        if self._asking and self._prompt is not None:
            return self._prompt.HINTS
        if self.open:
            return "esc back  y copy  T plain text  ? help"
        return self.FOUND if self.sought else self.HINTS

    def action_move(self, by: int) -> None:
        self.follow = self.follow and by > 0
        super().action_move(by)

    def action_page(self, by: int) -> None:
        self.follow = self.follow and by > 0
        super().action_page(by)

    def action_top(self) -> None:
        self.follow = False
        super().action_top()

    def action_bottom(self) -> None:
        self.follow = True
        super().action_bottom()

    def action_detail(self) -> None:
        self.follow = False
        super().action_detail()

    def action_follow(self) -> None:
        self.follow = not self.follow
        self.facts_changed()

    def action_level(self) -> None:
        self._alarming = not self._alarming
        self.facts_changed()

    def action_source(self) -> None:
        self._source = _SOURCES[(_SOURCES.index(self._source) + 1) % len(_SOURCES)]
        self.facts_changed()

    async def action_console(self) -> None:
        from wallet.faces.tui.prompt import Prompt

        self._consoling, self.open = True, False
        if self._prompt is None:
            self._prompt = Prompt()
            await self.mount(self._prompt)
        methods = self.state.link.methods if self.state.link is not None else frozenset[str]()
        self._prompt.stand_at(self._side + 3 if self._side else 1)
        self._prompt.open(sorted(filter(console.reads, methods)))
        self.facts_changed()

    # --- console ------------------------------------------------------------------------------

    def on_prompt_asked(self, message: "Prompt.Asked") -> None:
        message.stop()
        self.run_worker(self._ask(message.line), group="ask", exclusive=True, exit_on_error=False)

    async def _ask(self, line: str) -> None:
        self._scrolled = 0
        self._tell(f"> {safe(line, 400)}", STRONG)
        try:
            method, params = console.understood(line)
            answer = await self.state.connected.call(method, params)
        except console.Wrong as wrong:
            self._tell(safe(str(wrong), 400), WARN)
        except (ConnectionLost, RpcError) as fault:
            self._tell(safe(str(fault), 400), BAD)
        else:
            self._add([(text, PLAIN) for text in console.shown(answer, self._console_cells)])

    def _tell(self, sentence: str, style: str) -> None:
        self._add([(line, style) for line in folded(sentence, self._console_cells, 6)])

    def _add(self, lines: list[Span]) -> None:
        at_end = self._scrolled == 0
        self._transcript.extend(lines)
        if at_end:
            # A long answer is read from its beginning.
            there = min(len(lines), len(self._transcript))
            self._scrolled = max(0, there - self._console_room)
        self.refresh()

    def on_prompt_scrolled(self, message: "Prompt.Scrolled") -> None:
        message.stop()
        page = message.pages * max(1, self._console_room - 1)
        most = max(0, len(self._transcript) - self._console_room)
        self._scrolled = max(0, min(most, self._scrolled + page))
        self.refresh()

    def on_prompt_left(self, message: "Prompt.Left") -> None:
        message.stop()
        self._consoling = False
        if self._prompt is not None:
            self._prompt.close()
        self.focus()
        self.facts_changed()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        self._asking = True
        self.post_message(self.HintsChanged())

    def on_descendant_blur(self, _: events.DescendantBlur) -> None:
        self._asking = False
        self.post_message(self.HintsChanged())

    # --- rows ---------------------------------------------------------------------------------

    @property
    def _side(self) -> int:
        """Where the console begins in a wide window; 0 in a narrow one."""
        return self.size.width * 62 // 100 if self.size.width >= WIDE else 0

    @property
    def room(self) -> int:
        height = self.size.height
        return max(
            1, height - self.HEAD - (height // 2 if self._consoling and not self._side else 0)
        )

    @property
    def _console_room(self) -> int:
        """Lines of the transcript that are seen; one is the head's, and one the prompt's."""
        height = self.size.height
        return max(1, (height if self._side else height // 2) - 2)

    @property
    def _console_cells(self) -> int:
        return max(10, self.size.width - (self._side + 2 if self._side else 0) - 3)

    def on_resize(self) -> None:
        if self._prompt is not None:
            self._prompt.stand_at(self._side + 3 if self._side else 1)
        self.facts_changed()

    def rows(self, cells: int, height: int) -> list[Row]:
        at = self._side or cells
        log = self._log(at)
        if self._side:
            return beside(log, self._console_rows(), at, cells, height)
        if not self._consoling:
            return log
        above = height - height // 2
        return [*log[:above], *[EMPTY] * (above - len(log)), *self._console_rows()]

    def _log(self, cells: int) -> list[Row]:
        if not self.state.told:
            return []
        if not self.state.can("events"):
            return self._no_events(cells)
        chosen = self.chosen
        if self.open and chosen is not None:
            return self._in_full(chosen, cells - 4)
        rows = [*self._head(cells), EMPTY]
        if not self.count:
            kept = self.sought or self._alarming or self._source
            says = "nothing of that kind" if kept else "nothing has happened yet"
            return [*rows, row((f"  {says}", QUIET))]
        seen = self._listed[self.first : self.first + self.room]
        return [*rows, *(self._line(e, n == self.cursor) for n, e in enumerate(seen, self.first))]

    def _head(self, cells: int) -> list[Row]:
        on = {True: "on", False: "off"}
        place = self._log_file()
        source = self._source or "all"
        return [
            ends(
                row(("  follow ", QUIET), on[self.follow], ("   level ", QUIET),
                    "what needs eyes" if self._alarming else "all",
                    ("   source ", QUIET), source),
                row((f"{self.count:,} line{'' if self.count == 1 else 's'} ", QUIET)), cells),
            row((f"  Its log file is {middle_cut(place, cells - 20)}" if place else
                 "  The node writes its own log where it was started", QUIET)),
        ]  # fmt: skip

    def _log_file(self) -> str:
        """As the node names it, or where `leyden` puts it when it starts the node itself."""
        if self.state.facts.settings.log_file or self.state.link is None:
            return self.state.facts.settings.log_file
        beside_socket = self.state.link.path.with_name("daemon.log")
        return safe(str(beside_socket), 200) if beside_socket.exists() else ""

    def _line(self, one: Entry, chosen: bool) -> Row:
        mark, ground = ("> ", CHOSEN) if chosen else ("  ", PLAIN)
        sign, style = ("! ", WARN) if one.alarming else ("  ", PLAIN)
        return row(
            (f"{mark}{left(self._when(one.at), 9)} ", ground or QUIET),
            (sign, ground or style),
            (f"{left(one.source, 8)} ", ground or QUIET),
            (self._said(one), ground),
        )

    def _when(self, at: int) -> str:
        now = self.state.clock()
        shown = when(at, now)
        return moment(at, now)[-8:] if ":" in shown else shown

    def _in_full(self, one: Entry, cells: int) -> list[Row]:
        rows = InFull(cells)
        word = ("! look at this", WARN) if one.alarming else (str(one.source), QUIET)
        rows.title(one.topic, word)
        rows.add("Says", *folded(self._said(one), rows.room, 6))
        rows.add("When", moment(one.at, self.state.clock()))
        rows.add("Number", f"{one.seq:,}")
        money = self.state.money
        for name, value in one.fields.items():
            amount = name.endswith("_msat") and isinstance(value, int)
            text = money.shown(int(value)) if amount else str(value)
            rows.wrap(name.removesuffix("_msat")[:9].replace("_", " "), text)
        return rows.made

    def _no_events(self, cells: int) -> list[Row]:
        place = self._log_file()
        return [
            EMPTY,
            EMPTY,
            row("      This node does not tell what happens: it has no events."),
            row(f"      Its log file is {middle_cut(place, cells - 24)}" if place else
                "      Its own log is where it was started."),
            EMPTY,
            row("      ", ("tab", KEY), "   ask it in the console: getlog, listforwards, help"),
        ]  # fmt: skip

    def _console_rows(self) -> list[Row]:
        room, cells = self._console_room, self._console_cells
        line = "" if self._side else "─" * max(0, cells - 24)
        title = row(("  Console", STRONG), (f"  it only reads {line}", QUIET))
        if not self._transcript:
            ask = () if self._asking else (EMPTY, row("  ", ("tab", KEY), ("  to ask", QUIET)))
            examples = "getinfo, listpeerchannels, decode lnbc…, help"
            return [title, *(row((f"  {x}", QUIET)) for x in folded(examples, cells)), *ask]
        last = len(self._transcript) - self._scrolled
        seen = list(self._transcript)[max(0, last - room) : last]
        return [title, *(row((f"  {text}", style)) for text, style in seen)]
