"""The common part of sheets that change something: a form, a review, a letter, the outcome.

Rule 1: only the sheet's own letter acts, 0.4 s after the review appeared; Enter and Space do
nothing there, and nothing that is pasted does.
Rule 2: what is done is what the review showed; the form is out of reach by then.
Rule 3: the work belongs to the app, so closing the sheet stops nothing, and the notice row tells
how it ended.
"""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.costs import Speed
from wallet.faces.tui.errands import Errand, Words, run
from wallet.faces.tui.link import Link
from wallet.faces.tui.outgoing import Outcome
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, KEY, QUIET, STRONG, WARN, Row, folded, row
from wallet.faces.tui.safe_text import left, safe
from wallet.faces.tui.sheets.fields import Digits
from wallet.faces.tui.sheets.sheet import Field, Sheet
from wallet.faces.tui.state import State
from wallet.faces.tui.units import Money, read_sat

ARMED_AFTER: Final = 0.4
NAME_CELLS: Final = 11
PICTURED: Final = 28
"""Cells of a value that has another beside it."""


class Step(Enum):
    """Where the sheet is."""

    FORM = auto()
    REVIEW = auto()
    DOING = auto()


def line(name: str, text: str, more: str = "") -> Row:
    """`name  text  more`, as the rows of every review stand."""
    return row(
        (left(name, NAME_CELLS), QUIET),
        left(text, PICTURED - 1) + " " if more else text,
        (more, QUIET),
    )


def lines(name: str, text: str, cells: int, most: int = 3) -> list[Row]:
    """A sentence beside its name, on as many lines as it needs."""
    found = folded(text, cells - NAME_CELLS, most)
    return [line("" if number else name, one) for number, one in enumerate(found)]


def cost(sheet: "Reviewed", fee: int, most: int, speed: Speed) -> list[Row]:
    """What a transaction will cost about, and at the most; satoshi."""
    found = [line("Fee", f"about {sheet.sat(fee)}", f"{speed.words} sat/vB")]
    if most > fee:
        found.append(line("", f"at most {sheet.sat(most)}", "if every coin is spent"))
    return found


def warning(text: str) -> Row:
    """One row that should not be missed."""
    return row(("! ", WARN), (text, WARN))


class Reviewed(Sheet):
    """A subclass says what is asked, what is shown, and what is done; the order is here."""

    LETTER: ClassVar[str] = ""
    """The key that acts."""
    VERB: ClassVar[str] = ""
    """`Press o to open the channel.`"""
    HAS_FORM: ClassVar[bool] = True
    BINDINGS: ClassVar = [
        Binding("enter", "next", show=False),
        Binding("e", "edit", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.step = Step.FORM
        self.problem = ""
        self.errand: Errand | None = None
        self._armed = False
        self._arming: Timer | None = None
        self._asking = False
        self._began = False

    # --- what a subclass says -------------------------------------------------------------------

    def fields(self) -> Iterator[Widget]:
        """The form."""
        yield from ()

    async def learn(self, link: Link) -> None:
        """Ask the node what the form and the review show. Raises `RpcError`, `ConnectionLost`."""

    def check(self) -> str:
        """Read the form; what is wrong with it, or nothing."""
        return ""

    def form(self, cells: int) -> list[Row]:
        """Rows below the fields."""
        del cells
        return []

    def review(self, cells: int) -> list[Row]:
        """What is about to happen, with its total and its worst case."""
        raise NotImplementedError

    def typed_amount(self) -> tuple[int, str]:
        """The amount in millisatoshi that has to be typed, and why; zero when none."""
        return 0, ""

    def may_act(self) -> bool:
        """Whether the letter is offered at all."""
        return True

    def words(self) -> Words:
        """How this errand is spoken of."""
        raise NotImplementedError

    async def prepare(self, link: Link) -> None:
        """What has to be there first; changes nothing that a person owns."""

    async def act(self, link: Link) -> Any:
        """The one call that changes something; its answer."""
        raise NotImplementedError

    def done(self, cells: int) -> list[Row]:
        """Rows below the sentence that it is done."""
        del cells
        return []

    def copied(self) -> tuple[str, str]:
        """What `y` copies once it is done, and its name."""
        return "", ""

    # --- steps ----------------------------------------------------------------------------------

    def compose_body(self) -> ComposeResult:
        with Vertical(id="form") as form:
            form.styles.height = "auto"
            yield from self.fields()
        yield self.typing()

    def typing(self) -> Field:
        """The field of the review, for what has to be typed."""
        return Digits(id="typed", placeholder="amount")

    def on_mount(self) -> None:
        self.query_one("#typed").display = False
        self.set_interval(0.2, self._tick)
        if self.HAS_FORM:
            self.set_focus(next(iter(self.query("#form Field")), None))
        self.run_worker(self._begin(), exit_on_error=False)

    async def _begin(self) -> None:
        self.problem = await self._learn()
        self._began = True
        if not self.HAS_FORM and not self.problem:
            self.go(Step.REVIEW)
        self.redraw()

    async def _learn(self) -> str:
        try:
            await self.learn(self.state.connected)
        except ConnectionLost:
            return "The node is not there now; nothing was done."
        except RpcError as fault:
            return safe(str(fault), 200)
        return ""

    def go(self, step: Step) -> None:
        """To another step; whatever was armed is not any more."""
        self.step, self._armed, self.problem = step, False, ""
        if self._arming is not None:
            self._arming.stop()
        typed = self.query_one("#typed", Field)
        self.query_one("#form").display = step is Step.FORM
        typed.display = step is Step.REVIEW and self.asks_typing()
        typed.value = ""
        if step is Step.FORM:
            self.set_focus(next(iter(self.query("#form Field")), None))
        else:
            self.set_focus(typed if typed.display else None)
        if step is Step.REVIEW:
            self._arming = self.set_timer(ARMED_AFTER, self._arm)
        self.retitle(f"{self.NAME} · review" if step is Step.REVIEW else self.NAME)
        self.redraw()

    def asks_typing(self) -> bool:
        """Whether something has to be typed in the review."""
        return self.typed_amount()[0] > 0

    def _arm(self) -> None:
        self._armed = self.step is Step.REVIEW
        self.redraw()

    @property
    def armed(self) -> bool:
        """Whether the letter acts now."""
        return self._armed and self.step is Step.REVIEW and self.may_act()

    @property
    def money(self) -> Money:
        """What a person agrees to is never hidden."""
        return Money(self.state.money.unit)

    def sat(self, sat: int) -> str:
        """An amount in satoshi, in the unit that is shown."""
        return self.money.shown(sat * 1000)

    # --- keys -----------------------------------------------------------------------------------

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_next()

    async def action_next(self) -> None:
        """Enter: from the form to the review, and nowhere else."""
        if self.step is not Step.FORM or self._asking or not self.HAS_FORM:
            return
        self._asking = True
        try:
            problem = await self._learn() or self.check()
        finally:
            self._asking = False
        if problem:
            self.problem = problem
            self.redraw()
        elif self.is_attached:
            self.go(Step.REVIEW)

    def action_edit(self) -> None:
        """Back to the form, from the review or from a refusal."""
        if self.step is Step.REVIEW or (self.step is Step.DOING and self._refused):
            self.errand = None
            self.go(Step.FORM if self.HAS_FORM else Step.REVIEW)

    def action_act(self) -> None:
        """The sheet's own letter."""
        if not self.armed:
            return
        wanted, _ = self.typed_amount()
        typed = read_sat(self.query_one("#typed", Field).value, self.state.money.unit)
        if wanted and (typed is None or typed * 1000 != wanted):
            self.problem = f"Type {self.money.bare(wanted)} first."
            self.redraw()
            return
        self.begin()

    def begin(self) -> None:
        """Do it. Whatever becomes of this sheet, it goes on."""
        try:
            link = self.state.connected
        except ConnectionLost:
            self.problem = "Nothing was done: the node is not there now."
            self.redraw()
            return
        errand = self.errand = Errand(self.words(), self.state.clock())
        work = run(errand, self.state, lambda: self.prepare(link), lambda: self.act(link))
        self.app.run_worker(work, exit_on_error=False)
        self.go(Step.DOING)

    def action_copy(self) -> None:
        text, name = self.copied() if self._is_done else ("", "")
        if text:
            self.app.copy_to_clipboard(text)
            self.problem = f"copied {name}, {len(text)} characters"
            self.redraw()

    def _tick(self) -> None:
        if self.step is not Step.FORM:
            self.redraw()

    # --- rows -----------------------------------------------------------------------------------

    @property
    def _is_done(self) -> bool:
        return self.errand is not None and self.errand.outcome is Outcome.ARRIVED

    @property
    def _refused(self) -> bool:
        return self.errand is not None and self.errand.outcome is Outcome.NOT_SENT

    def hints(self) -> str:
        back = "e back  " if self.HAS_FORM else ""
        match self.step:
            case Step.FORM:
                return "enter review  tab next field  esc cancel" if self.HAS_FORM else "esc close"
            case Step.REVIEW:
                word = self.VERB.split(" ", maxsplit=1)[0]
                act = f"{self.LETTER} {word}  " if self.may_act() and self.LETTER else ""
                return f"{act}{back}esc cancel"
            case Step.DOING:
                if self._is_done:
                    return f"{'y copy  ' if self.copied()[0] else ''}esc close"
                if self._refused:
                    return f"{back}esc close"
                lost = self.errand is not None and self.errand.unsure
                return "esc close" if lost else "esc close, it goes on"

    def rows(self, cells: int) -> list[Row]:
        found = self._rows_of_step(cells)
        if self.problem:
            found += [EMPTY, *(warning(text) for text in folded(self.problem, cells - 2, 2))]
        return found

    def _rows_of_step(self, cells: int) -> list[Row]:
        match self.step:
            case Step.FORM:
                if self.HAS_FORM:
                    return [EMPTY, *self.form(cells)]
                return [] if self._began else [row(("asking the node …", QUIET))]
            case Step.REVIEW:
                return [EMPTY, *self.review(cells), *self._press()]
            case Step.DOING:
                return [EMPTY, *self._progress(cells)]

    def _press(self) -> list[Row]:
        if not self.may_act() or not self.LETTER:
            return []
        wanted, why = self.typed_amount()
        typing = [row(f"{why}: type ", (self.money.bare(wanted), STRONG), " above, then")]
        press = row(
            "Press ",
            (self.LETTER, KEY if self._armed else QUIET),
            f" to {self.VERB}. Enter does nothing.",
        )
        return [EMPTY, *(typing if wanted else []), press]

    def _progress(self, cells: int) -> list[Row]:
        errand = self.errand
        if errand is None:
            return []
        match errand.outcome:
            case Outcome.ARRIVED:
                return [row(("✓ ", GOOD), (errand.words.done, STRONG)), EMPTY, *self.done(cells)]
            case Outcome.NOT_SENT:
                return [
                    row(("✗ ", BAD), (errand.words.not_done, STRONG)),
                    EMPTY,
                    *lines("Why", errand.reason or "nobody said why", cells, 5),
                    *lines("You can", errand.can, cells),
                ]
            case Outcome.MOVING:
                return self._moving(errand, cells)

    def _moving(self, errand: Errand, cells: int) -> list[Row]:
        if errand.unsure:
            return [
                row(("… ", WARN), ("It may be on its way", STRONG)),
                EMPTY,
                *lines("What", errand.words.doing, cells),
                *lines("Why", errand.reason, cells, 4),
                *lines("Look", errand.words.look, cells),
                EMPTY,
                warning("Do not do it a second time before you have looked."),
            ]
        taken = int((self.state.clock() - errand.began).total_seconds())
        return [
            row(("… ", WARN), (errand.words.doing, STRONG), f"   {taken // 60}:{taken % 60:02}"),
            EMPTY,
            row("You can close this window. It goes on, and you are told how it ends."),
        ]
