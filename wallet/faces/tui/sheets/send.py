"""Send: paste, look, press `p`; then how it goes.

Nothing is paid by what is pasted: a line end only leads to the review, `p` works 0.4 s after the
review appeared and only there, and a large part of the wallet needs its amount typed.
"""

from enum import Enum, auto
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.timer import Timer

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.outgoing import Order, Outcome, Outgoing, Payer
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, KEY, QUIET, STRONG, WARN, Row, folded, row
from wallet.faces.tui.safe_text import middle_cut, safe
from wallet.faces.tui.sheets.fields import Digits
from wallet.faces.tui.sheets.review import ARMED_AFTER, line
from wallet.faces.tui.sheets.sheet import Field, Sheet
from wallet.faces.tui.state import State
from wallet.faces.tui.units import Money, read_sat
from wallet.faces.tui.words import PAID_BEFORE, failure, name_of, span

FEE_LIMITS: Final = (5_000, 10_000, 20_000, 50_000)
"""Millionths of the amount that `l` goes through; the first is the usual one."""
LEAST_FEE: Final = 5_000
"""Millisatoshi that a payment may always cost: Core Lightning's."""
LARGE_SHARE: Final = 4
"""More than one part in four of what can be sent is large."""
_PREFIXES: Final = {"bitcoin": "bc", "testnet": "tb", "signet": "tbs", "regtest": "bcrt"}


class Step(Enum):
    """Where the sheet is."""

    PASTE = auto()
    AMOUNT = auto()
    REVIEW = auto()
    PAYING = auto()


_NAMES: Final = {
    Step.PASTE: "Send",
    Step.AMOUNT: "Send · amount",
    Step.REVIEW: "Send · review",
    Step.PAYING: "Send · paying",
}
_ENDS: Final = {Outcome.ARRIVED: "Send · done", Outcome.NOT_SENT: "Send · failed"}


class Send(Sheet):
    """The whole way of a payment, from paste to proof."""

    NAME = "Send"
    BINDINGS: ClassVar = [
        Binding("p", "pay", show=False),
        Binding("l", "limit", show=False),
        Binding("e", "again", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(self, state: State, payer: Payer, pasted: str = "") -> None:
        """`pasted`: what to look at without asking for it first."""
        super().__init__(state)
        self._pasted = pasted
        self._payer = payer
        self._step = Step.PASTE
        self._problem: tuple[str, str] = ("", "")
        self._decoded: dict[str, Any] = {}
        self._bolt11 = ""
        self._amount = 0
        self._limit = 0
        self._armed = False
        self._arming: Timer | None = None
        self._paying: Outgoing | None = None

    def compose_body(self) -> ComposeResult:
        yield Field(id="what", placeholder="lnbc…")
        yield Digits(id="amount", placeholder="amount")

    def on_mount(self) -> None:
        self.query_one("#amount").display = False
        # At once: what is typed into a sheet that has just opened belongs to its field.
        self.set_focus(self.query_one("#what"))
        self.set_interval(0.1, self._tick)
        if self._pasted:
            self.run_worker(self._read(self._pasted), exit_on_error=False)

    # --- steps --------------------------------------------------------------------------------

    def _go(self, step: Step) -> None:
        self._step, self._armed = step, False
        what, amount = self.query_one("#what", Field), self.query_one("#amount", Digits)
        what.display = step is Step.PASTE
        amount.display = step is Step.AMOUNT or (step is Step.REVIEW and self._is_large)
        amount.value = ""
        if step is Step.PASTE:
            what.focus()
        elif amount.display:
            amount.focus()
        else:
            self.set_focus(None)
        if self._arming is not None:
            self._arming.stop()  # a review before this one does not arm it
        if step is Step.REVIEW:
            self._arming = self.set_timer(ARMED_AFTER, self._arm)
        self.retitle(_NAMES[step])
        self.redraw()

    def _arm(self) -> None:
        self._armed = self._step is Step.REVIEW
        self.redraw()

    async def on_input_submitted(self, event: Field.Submitted) -> None:
        event.stop()
        if self._step is Step.PASTE:
            await self._read(event.value)
        elif self._step is Step.AMOUNT:
            sat = read_sat(event.value, self.state.money.unit)
            if sat:
                self._amount = sat * 1000
                self._go(Step.REVIEW)
            else:
                self._problem = ("That is no amount.", "Whole satoshi, commas allowed.")
                self.redraw()

    async def _read(self, pasted: str) -> None:
        """Ask the core what was pasted; nothing is sent to anybody else by that."""
        text = "".join(pasted.split())
        if not text:
            return
        found: dict[str, Any] = {}
        try:
            found = await self.state.connected.ask("decode", string=text)
        except RpcError as fault:
            self._problem = ("Nothing that can be paid.", safe(str(fault), 200))
        except ConnectionLost as fault:
            self._problem = ("Nothing was sent.", safe(str(fault), 200))
        else:
            self._problem = self._unpayable(found)
            self._bolt11, self._decoded = text, found
        if self._problem[0]:
            self.redraw()
            return
        given = found.get("amount_msat")
        self._amount = given if isinstance(given, int) else 0
        self._go(Step.REVIEW if self._amount else Step.AMOUNT)

    def _unpayable(self, found: dict[str, Any]) -> tuple[str, str]:
        kind = safe(found.get("type"), 40)
        if kind != "bolt11 invoice" or found.get("valid") is not True:
            return "This cannot be paid here.", f"It is: {kind or 'unknown'}."
        network, prefix = self.state.facts.node.network, safe(found.get("currency"), 8)
        if _PREFIXES.get(network, prefix) != prefix:
            return "This invoice is of another network.", f"It begins with ln{prefix}."
        if self._expires_at(found) <= self.state.clock().timestamp():
            return failure(207)
        return "", ""

    @staticmethod
    def _expires_at(found: dict[str, Any]) -> int:
        return int(found.get("created_at") or 0) + int(found.get("expiry") or 3_600)

    @property
    def _money(self) -> Money:
        """What a person agrees to is never hidden."""
        return Money(self.state.money.unit)

    @property
    def _max_fee(self) -> int:
        return max(LEAST_FEE, self._amount * FEE_LIMITS[self._limit] // 1_000_000)

    @property
    def _is_large(self) -> bool:
        return self._amount * LARGE_SHARE > self.state.facts.can_send

    # --- keys ---------------------------------------------------------------------------------

    def action_pay(self) -> None:
        if self._step is not Step.REVIEW or not self._armed:
            return
        if self._is_large:
            typed = read_sat(self.query_one("#amount", Digits).value, self.state.money.unit)
            if typed is None or typed * 1000 != self._amount:
                self._problem = ("Type the amount first, it is a large part.", "")
                self.redraw()
                return
        found = self._decoded
        order = Order(
            bolt11=self._bolt11,
            payment_hash=safe(found.get("payment_hash"), 64),
            payee=safe(found.get("payee"), 66),
            description=safe(found.get("description")),
            amount=self._amount,
            max_fee=self._max_fee,
            amount_in_invoice=isinstance(found.get("amount_msat"), int),
            expires_at=self._expires_at(found),
        )
        try:
            self._paying = self._payer.begin(self.state.connected, order)
        except ConnectionLost:
            self._problem = ("Not sent: the node is not there.", "It is tried again by `p`.")
            self.redraw()
            return
        self._problem = ("", "")
        self._go(Step.PAYING)

    def action_limit(self) -> None:
        if self._step is Step.REVIEW:
            self._limit = (self._limit + 1) % len(FEE_LIMITS)
            self.redraw()

    def action_again(self) -> None:
        if self._step in (Step.REVIEW, Step.AMOUNT):
            self._problem = ("", "")
            self._go(Step.PASTE)

    def action_copy(self) -> None:
        paying = self._paying
        if paying is not None and paying.proof:
            self.app.copy_to_clipboard(paying.proof)
            self.state.say(f"copied the proof, {len(paying.proof)} characters", QUIET)

    def _tick(self) -> None:
        if self._step is Step.REVIEW and self._paying is None:
            self.redraw()
        elif self._paying is not None:
            self._paying = self._payer.payments[self._paying.order.payment_hash]
            self.retitle(_ENDS.get(self._paying.outcome, _NAMES[Step.PAYING]))
            self.redraw()

    # --- rows ---------------------------------------------------------------------------------

    def hints(self) -> str:
        match self._step:
            case Step.PASTE:
                return "enter review  esc cancel"
            case Step.AMOUNT:
                return "enter review  e back  esc cancel"
            case Step.REVIEW:
                return "p pay  l fee limit  e back  esc cancel"
            case Step.PAYING:
                return self._hints_of_outcome()

    def _hints_of_outcome(self) -> str:
        if self._paying is not None and self._paying.outcome is Outcome.ARRIVED:
            return "y copy proof  esc close"
        return "esc close, it goes on" if self._payer.moving else "esc close"

    def rows(self, cells: int) -> list[Row]:
        rows = self._rows_of_step(cells)
        if self._problem[0]:
            rows += [EMPTY, row(("! ", WARN), (self._problem[0], WARN))]
            rows += [row("  ", line) for line in folded(self._problem[1], cells - 4)]
        return rows

    def _rows_of_step(self, cells: int) -> list[Row]:
        match self._step:
            case Step.PASTE:
                return [
                    EMPTY,
                    row(("Paste an invoice (lnbc…), then enter.", QUIET)),
                    row(("Nothing is paid before you have seen and confirmed it.", QUIET)),
                ]
            case Step.AMOUNT:
                return [
                    EMPTY,
                    *self._whom(cells),
                    row(
                        (f"The payee leaves the amount to you, in {self.state.money.unit}.", QUIET)
                    ),
                ]
            case Step.REVIEW:
                return self._review(cells)
            case Step.PAYING:
                return self._progress(cells)

    def _whom(self, cells: int) -> list[Row]:
        payee = safe(self._decoded.get("payee"), 66)
        name = name_of(payee, self.state.names)
        rows = [line("To", f"{name}   {middle_cut(payee, 15)}")]
        said = safe(self._decoded.get("description")) or "(no description)"
        lines = folded(said, cells - 13, 2)
        return rows + [line("" if n else "For", text) for n, text in enumerate(lines)]

    def _review(self, cells: int) -> list[Row]:
        money, facts = self._money, self.state.facts
        most = self._amount + self._max_fee
        left_over = facts.can_send - most
        ends_in = self._expires_at(self._decoded) - int(self.state.clock().timestamp())
        limit = f"{FEE_LIMITS[self._limit] / 10_000:g} %"
        rows = [
            EMPTY,
            *self._whom(cells),
            line("Amount", money.shown(self._amount), money.other(self._amount)),
            line("Fee", f"up to {money.shown(self._max_fee, up=True)}", f"limit {limit}"),
            line(
                "At most",
                money.shown(most, up=True),
                f"leaves {money.shown(left_over)} to spend" if left_over >= 0 else "",
            ),
            line("Expires", f"in {span(ends_in)}"),
        ]
        if left_over < 0:
            rows.append(
                row(("! ", WARN), (f"You can send {money.shown(facts.can_send)} now.", WARN))
            )
        rows += self._before()
        rows.append(EMPTY)
        if self._is_large:
            asked = money.bare(self._amount)
            rows.append(row("A large part of what you can send: type ", (asked, STRONG), " above,"))
        style = KEY if self._armed else QUIET
        rows.append(
            row("Press ", ("p", style), f" to pay {money.shown(self._amount)}. Enter does nothing.")
        )
        return rows

    def _before(self) -> list[Row]:
        wanted = safe(self._decoded.get("payment_hash"), 64)
        for item in self.state.facts.recent:
            if item.kind == "payment" and item.payment_hash == wanted and item.status != "failed":
                word = "Already paid" if item.status == "complete" else "Already on its way"
                return [row(("! ", WARN), (f"{word}. It is not sent twice.", WARN))]
        return []

    def _progress(self, cells: int) -> list[Row]:
        paying = self._paying
        if paying is None:
            return []
        order, money = paying.order, self._money
        name, amount = name_of(order.payee, self.state.names), money.shown(order.amount)
        match paying.outcome:
            case Outcome.ARRIVED:
                return [
                    EMPTY,
                    row(("✓ ", GOOD), (f"Paid {amount} to {name} in {paying.took:.1f} s", STRONG)),
                    line("Fee", money.shown(paying.fee, up=True), f"{paying.parts} part(s)"),
                    EMPTY,
                    row(("Proof of payment (preimage)", QUIET)),
                    row(paying.proof or "kept by the node: leyden listpays"),
                ]
            case Outcome.NOT_SENT:
                where, can = failure(paying.code)
                return [
                    EMPTY,
                    row(("✗ ", BAD), (where, STRONG)),
                    row("" if paying.code == PAID_BEFORE else f"  Your {amount} never left you."),
                    EMPTY,
                    *_lines("Why", folded(paying.reason or "nobody said why", cells - 13, 4)),
                    *_lines("You can", folded(can, cells - 13, 3)),
                ]
            case Outcome.MOVING:
                taken = self._payer.monotonic() - paying.began
                waiting = "Still on its way:" if paying.unsure else "Paying"
                rows = [
                    EMPTY,
                    row(("… ", WARN), (f"{waiting} {amount} to {name}", STRONG),
                        f"   {int(taken) // 60}:{taken % 60:04.1f}"),
                    EMPTY,
                    row("You can close this window. The payment goes on, and you are told how"),
                    row("it ends. Money that does not arrive comes back to you."),
                ]  # fmt: skip
                if paying.unsure:
                    rows.append(row(("Do not pay this invoice a second time.", WARN)))
                return rows


def _lines(name: str, texts: list[str]) -> list[Row]:
    return [line("" if number else name, text) for number, text in enumerate(texts)]
