"""The Court view: what the chain would rule if a channel ended in the next block, way by way.

It asks again with every block and every change of the channel, and sends nothing to the chain.
"""

from typing import ClassVar, Final

from textual.binding import Binding

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.court import Case, Costs, Output, Timelock, Way, cases
from wallet.faces.tui.deadlines import about, left, waits
from wallet.faces.tui.facts import ChannelFacts
from wallet.faces.tui.paint import (
    BAD,
    CHOSEN,
    EMPTY,
    GOOD,
    KEY,
    QUIET,
    STRONG,
    WARN,
    Row,
    Span,
    folded,
    row,
)
from wallet.faces.tui.safe_text import left as at_left
from wallet.faces.tui.safe_text import right as at_right
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.sheets.review import warning
from wallet.faces.tui.sheets.sheet import Sheet
from wallet.faces.tui.state import State
from wallet.faces.tui.units import HIDDEN
from wallet.faces.tui.words import blocks, lasts, name_of

LOOK_SECONDS: Final = 0.1
_FRAME: Final = 4
"""Lines of the window that are not the sheet's text."""
_AMOUNT: Final = 11
_WHAT: Final = 24
_NAME: Final = 27
_COSTS: Final = 19

_WAYS: Final = {
    "together": "Closed together",
    "alone": "Closed by you alone",
    "by them": "Closed by them alone",
    "by their cheat": "Closed by their cheat",
}
_ABSENT: Final = {
    "together": "once no payment is inside",
    "alone": "never: your copy of it is outdated",
    "by them": "the node does not tell",
    "by their cheat": "there is no older state yet to cheat with",
}
_VERDICTS: Final[dict[bool | None, Span]] = {
    True: ("✓ valid", GOOD),
    False: ("✗ INVALID", BAD),
    None: ("", QUIET),
}
_LOCKS: Final = {
    "to_local": "yours to take",
    "to_remote": "yours to take",
    "HTLC-timeout": "yours to take back",
    "expired HTLC": "yours to take back",
    "HTLC-success": "yours with the proof",
    "HTLC by preimage": "yours with the proof",
    "penalty": "the cheat's: yours to take",
    "HTLC penalty": "the cheat's: yours to take",
}
_BACK: Final[dict[bool | None, str]] = {True: "yours to take back", False: "theirs to take back"}


class Court(Sheet):
    """The ways above, the outputs of the one in front below them, then the open timelocks."""

    NAME = "Court"
    HINTS = "tab next way  ↑↓ scroll  esc close"
    AUTO_FOCUS = ""
    DEFAULT_CSS = "Court > .box { max-height: 100%; }"
    BINDINGS: ClassVar = [
        Binding("tab,right,l", "way(1)", show=False),
        Binding("shift+tab,left,h", "way(-1)", show=False),
        Binding("down,j", "scroll_by(1)", show=False),
        Binding("up,k", "scroll_by(-1)", show=False),
        Binding("pagedown", "scroll_by(10)", show=False),
        Binding("pageup", "scroll_by(-10)", show=False),
    ]

    def __init__(self, state: State, channel: ChannelFacts) -> None:
        super().__init__(state)
        self._channel = channel
        self._case: Case | None = None
        self._problem = ""
        self._asking = False
        self._told_of: object = None
        """The tip and the channel that the answer is about."""
        self._way = 0
        self._top = 0
        self._below = 0
        """Lines that are not seen."""

    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self._look)
        self._look()

    # --- asking ---------------------------------------------------------------------------------

    @property
    def _now(self) -> tuple[int, ChannelFacts | None]:
        facts, wanted = self.state.facts, self._channel.channel_id
        return facts.node.height, next((c for c in facts.channels if c.channel_id == wanted), None)

    def _look(self) -> None:
        now = self._now
        if now == self._told_of or self._asking:
            return
        self._told_of, self._asking = now, True
        self._channel = now[1] or self._channel
        self.run_worker(self._ask(), exit_on_error=False)

    async def _ask(self) -> None:
        wanted = self._channel.channel_id
        try:
            answer = await self.state.connected.ask("court", channel_id=wanted)
            self._case = cases(answer).get(wanted)
            self._problem = "" if self._case else "This channel is settled: nothing waits."
        except (RpcError, ConnectionLost) as fault:
            self._problem = safe(str(fault), 200)
        finally:
            self._asking = False
        if self.is_attached:
            self.redraw()

    # --- keys -----------------------------------------------------------------------------------

    def action_way(self, by: int) -> None:
        if self._case is not None and self._case.ways:
            self._way = (self._way + by) % len(self._case.ways)
            self._top = 0
            self.redraw()

    def action_scroll_by(self, by: int) -> None:
        self._top = max(0, min(self._top + by, self._top + self._below))
        self.redraw()

    # --- drawing --------------------------------------------------------------------------------

    def rows(self, cells: int) -> list[Row]:
        whole = self._whole(cells)
        room = max(4, self.app.size.height - _FRAME)
        if len(whole) <= room:
            self._top = self._below = 0
            return whole
        self._top = min(self._top, len(whole) - room + 1)
        shown = whole[self._top : self._top + room - 1]
        self._below = len(whole) - self._top - len(shown)
        count = f"{self._below} more line{'' if self._below == 1 else 's'}"
        return [*shown, row((f"↓ {count}" if self._below else "", QUIET))]

    def _whole(self, cells: int) -> list[Row]:
        name = name_of(self._channel.peer_id, self.state.names)
        case = self._case
        if case is None:
            said = warning(self._problem) if self._problem else row(
                ("… the node builds every transaction, signs and judges it", QUIET))  # fmt: skip
            return [row((name, STRONG)), EMPTY, said]
        found = [row((name, STRONG), f"   if this channel ended in block {case.height + 1:,}")]
        found += [row((f"! {self._problem}", WARN))] if self._problem else [EMPTY]
        if case.ways:
            self._way = min(self._way, len(case.ways) - 1)
            found += [*self._ways(case), EMPTY, *self._one(case, case.ways[self._way], cells)]
            return [*found, EMPTY, *self._docket(case)]
        found[0] = row((name, STRONG), "   is on the chain: how it ends is decided")
        sentences = [waits(line, case.height, self.state.money) for line in case.docket]
        for text in sentences or ["All is taken. It waits until that is buried deep enough."]:
            found += [row(("· ", QUIET), line) for line in folded(text, cells - 2)]
        return [*found, EMPTY, *self._docket(case)]

    def _ways(self, case: Case) -> list[Row]:
        rates = " ".join(f"{rate}" for rate in case.rates)
        head = f"  {at_left('How it ends', _NAME)}{at_right('yours', 12)}   fee at {rates} sat/vB"
        found = [row((head, QUIET))]
        for number, way in enumerate(case.ways):
            chosen = number == self._way
            commitment = f", #{way.commitment:,}" if way.commitment is not None else ""
            name = _WAYS.get(way.name, way.name) + commitment
            found.append(
                row(
                    (f"{'> ' if chosen else '  '}", KEY),
                    (at_left(name, _NAME), CHOSEN if chosen else ""),
                    at_right(self.state.money.bare(way.ours), 12),
                    (f"   {self._costs(tuple(dict.fromkeys(way.costs)))}", QUIET),
                )
            )
        there = {way.name for way in case.ways}
        absent = [(name, why) for name, why in _ABSENT.items() if name not in there]
        return found + [row((f"  {at_left(_WAYS[n], _NAME)}{why}", QUIET)) for n, why in absent]

    def _one(self, case: Case, way: Way, cells: int) -> list[Row]:
        rates = " ".join(f"{rate}" for rate in case.rates)
        head = (
            f"{at_right('sat', _AMOUNT)} {at_left('output', _WHAT)}{at_left('whose', 5)}"
            f"{at_right(f'cost at {rates}', _COSTS)} judged"
        )
        found = [row((head, QUIET))]
        for output in way.outputs:
            found += self._output(output, case.height, cells)
        return found

    def _output(self, output: Output, tip: int, cells: int) -> list[Row]:
        begins = row(
            at_right(self.state.money.bare(output.amount), _AMOUNT),
            f" {at_left(output.what.removeprefix('an '), _WHAT - 1)} ",
            (at_left("you" if output.ours else "them", 5), GOOD if output.ours else QUIET),
        )
        when = _from(output, tip)
        if not output.costs:
            # There is nothing to take, so its line has room for the time.
            return [(*begins, (when, QUIET))]
        cost = at_right(self._costs(output.costs), _COSTS)
        first = (*begins, (cost, ""), (" ", ""), _VERDICTS[output.valid])
        indent = _AMOUNT + 1
        return [first, *(row((f"{'':{indent}}{t}", QUIET)) for t in folded(when, cells - indent))]

    def _costs(self, costs: Costs) -> str:
        if self.state.money.hidden:
            return HIDDEN
        return " ".join("-" if cost is None else f"{cost:,}" for cost in costs)

    def _docket(self, case: Case) -> list[Row]:
        if not case.docket:
            return [row(("No timelock is open.", QUIET))]
        head = f"{at_right('block', 7)} {at_left('open timelocks', 25)}{at_right('sat', _AMOUNT)}"
        return [row((head, QUIET)), *(self._lock(line, case.height) for line in case.docket)]

    def _lock(self, line: Timelock, tip: int) -> Row:
        count = left(line.height, tip)
        return row(
            f"{at_right(f'{line.height:,}', 7)} ",
            at_left(f"in {about(count)}" if count else "now", 25),
            at_right(self.state.money.bare(line.amount), _AMOUNT),
            (f" {_opens(line)}", WARN if line.late else QUIET),
        )


def _opens(line: Timelock) -> str:
    """What becomes possible then."""
    if line.late:
        return "the peer may take it"
    if line.claim:
        return _LOCKS.get(line.claim, line.what)
    return _BACK.get(line.outgoing, line.what)


def _from(output: Output, tip: int) -> str:
    """From when it can be taken by whom it belongs to."""
    if output.from_height is not None:
        count = left(output.from_height, tip)
        when = f"from block {output.from_height:,}, in {about(count)}" if count else "at once"
    elif output.after and output.costs:
        when = f"{blocks(output.after)} after its block, about {lasts(output.after)}"
    elif output.after:
        when = f"{blocks(output.after)} after its block"
    else:
        when = "at once"
    return f"{when}, {output.condition}" if output.condition else when
