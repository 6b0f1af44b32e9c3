"""Receive: what for, then a code to show, then word that it was paid."""

from enum import Enum, auto
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import qr
from wallet.faces.tui.paint import EMPTY, GOOD, KEY, QUIET, STRONG, WARN, Row, folded, row
from wallet.faces.tui.safe_text import middle_cut, safe, width
from wallet.faces.tui.sheets.fields import Digits
from wallet.faces.tui.sheets.sheet import Field, Rows, Sheet
from wallet.faces.tui.state import State
from wallet.faces.tui.units import Money, read_sat
from wallet.faces.tui.words import span

EXPIRY_SECONDS: Final = 3_600
BESIDE: Final = 24
"""Cells that the words beside a code need at least."""


class Kind(Enum):
    """What is shown as a code."""

    INVOICE = auto()
    ADDRESS = auto()


class Receive(Sheet):
    """A form, then the code; `tab` goes between an invoice and an on-chain address."""

    NAME = "Receive"
    DEFAULT_CSS = """
    Receive.showing > .box { width: 100%; height: 1fr; max-height: 100%; }
    """
    BINDINGS: ClassVar = [
        Binding("y", "copy", show=False),
        Binding("z", "size", show=False),
        Binding("n", "anew", show=False),
        Binding("tab", "kind", show=False),
    ]

    def __init__(self, state: State, *, on_chain: bool = False) -> None:
        super().__init__(state)
        self._problem = ""
        self._kind = Kind.ADDRESS if on_chain else Kind.INVOICE
        self._code = ""
        """What the QR code says; empty while the form is open."""
        self._label = ""
        self._amount = 0
        self._what = ""
        self._expires_at = 0
        self._address = ""
        self._compact: bool | None = None
        """Chosen with `z`; None takes what fits."""

    def compose_body(self) -> ComposeResult:
        yield Digits(id="amount", placeholder="amount; empty: the payer decides")
        yield Field(id="for", placeholder="what for (the payer sees it)")

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#amount"))
        self.set_interval(0.5, self._tick)
        if self._kind is Kind.ADDRESS:
            self.run_worker(self._to_address(), exit_on_error=False)

    @property
    def _money(self) -> Money:
        return Money(self.state.money.unit)

    @property
    def _paid(self) -> int | None:
        return self.state.paid.get(self._label) if self._label else None

    # --- keys ---------------------------------------------------------------------------------

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = self.query_one("#amount", Digits).value.strip()
        sat = read_sat(typed, self.state.money.unit) if typed else 0
        if sat is None:
            self._problem = "That is no amount: whole satoshi, commas allowed."
            self.redraw()
            return
        self._amount, self._what = sat * 1000, safe(self.query_one("#for", Field).value, 300)
        await self._make()

    async def _make(self) -> None:
        now = self.state.clock().timestamp()
        self.state.made += 1
        self._label = f"tui-{int(now)}-{self.state.made}"
        try:
            made = await self.state.connected.ask(
                "invoice",
                amount_msat=self._amount or "any",
                label=self._label,
                description=self._what,
                expiry=EXPIRY_SECONDS,
            )
        except (RpcError, ConnectionLost) as fault:
            self._problem = safe(str(fault), 200)
            self.redraw()
            return
        self._code, self._kind = safe(made.get("bolt11"), 4_000), Kind.INVOICE
        self._expires_at = int(made.get("expires_at") or now + EXPIRY_SECONDS)
        warnings = [safe(text) for name, text in made.items() if name.startswith("warning_")]
        self._problem = warnings[0] if warnings else ""
        self._show()

    @property
    def _asking(self) -> bool:
        """Whether the form is open: an invoice is wanted and none is made."""
        return self._kind is Kind.INVOICE and not self._code

    def _show(self) -> None:
        for field in self.query(Field):
            field.display = self._asking
        self.set_class(not self._asking, "showing")
        self.set_focus(self.query_one("#amount") if self._asking else None)
        self.redraw()

    async def action_kind(self) -> None:
        if self._asking:
            self.focus_next()
        elif self._kind is Kind.ADDRESS:
            self._kind = Kind.INVOICE
            self._show()
        else:
            await self._to_address()

    async def _to_address(self) -> None:
        self._kind = Kind.ADDRESS
        self._show()
        if self._address:
            return
        try:
            made = await self.state.connected.ask("newaddr", addresstype="bech32")
        except (RpcError, ConnectionLost) as fault:
            self._problem = safe(str(fault), 200)
        else:
            self._address = safe(made.get("bech32"), 100)
        if self.is_attached:
            self.redraw()

    def action_size(self) -> None:
        if self._shown:
            self._compact = not self._is_compact
            self.redraw()

    async def action_anew(self) -> None:
        self._problem = ""
        if self._kind is Kind.ADDRESS:
            self._address = ""
            await self._to_address()
        elif self._code:
            self._code = self._label = ""
            self._show()

    def action_copy(self) -> None:
        if self._shown:
            self.app.copy_to_clipboard(self._shown)
            self._problem = f"copied ({len(self._shown)} characters), check before you paste it"
            self.redraw()

    def _tick(self) -> None:
        if not self._asking:
            self.set_class(self._paid is None, "showing")
            self.redraw()

    # --- rows ---------------------------------------------------------------------------------

    @property
    def _shown(self) -> str:
        return self._code if self._kind is Kind.INVOICE else self._address

    @property
    def _is_compact(self) -> bool:
        if self._compact is not None:
            return self._compact
        return not self._drawn(self.query_one(Rows).size.width, compact=False)

    def _drawn(self, cells: int, compact: bool | None) -> list[str]:
        return qr.drawn(self._shown, cells - BESIDE, self.size.height - 3, compact)

    def hints(self) -> str:
        if self._asking:
            return "enter create  tab next  esc cancel"
        if self._paid is not None:
            return "n new  esc close"
        return "y copy  tab invoice or address  z QR size  n new  esc close"

    def rows(self, cells: int) -> list[Row]:
        if self._asking:
            return self._form(cells)
        if self._paid is not None:
            return [
                EMPTY,
                EMPTY,
                row(("✓ ", GOOD), (f"Received {self._money.shown(self._paid)}", STRONG)),
                row(f"  {self._what}"),
                EMPTY,
                row(("  It is in the list of activity: 2", QUIET)),
            ]
        if not self._shown:
            return self._trouble(cells) or [row(("asking the node …", QUIET))]
        return self._with_code(cells)

    def _form(self, cells: int) -> list[Row]:
        can = self._money.shown(self.state.facts.can_receive)
        rows = [
            EMPTY,
            row((f"You can receive {can} now.", QUIET)),
            row(("An invoice is paid once and ends after an hour.", QUIET)),
        ]
        return rows + self._trouble(cells)

    def _trouble(self, cells: int) -> list[Row]:
        return [row((f"! {line}", WARN)) for line in folded(self._problem, cells - 2, 2)]

    def _with_code(self, cells: int) -> list[Row]:
        drawn = self._drawn(cells, self._compact)
        beside = self._beside(cells - (width(drawn[0]) if drawn else 0) - 3)
        if not drawn:
            smaller = "" if self._compact is None else ", or another size: z"
            beside = [row((f"! The code needs a larger window{smaller}", WARN)), EMPTY, *beside]
        rows = [row((line, qr.INK), "   ") for line in drawn]
        rows += [EMPTY] * (len(beside) - len(rows))
        return [(*row_, *(beside[n] if n < len(beside) else ())) for n, row_ in enumerate(rows)]

    def _text(self, cells: int) -> list[Row]:
        """An address whole, so that it can be compared; an invoice is too long for eyes."""
        if self._kind is not Kind.ADDRESS:
            return [row((middle_cut(self._shown, cells), QUIET))]
        pieces = range(0, len(self._shown), max(cells, 1))
        return [row((self._shown[at : at + cells], QUIET)) for at in pieces]

    def _beside(self, cells: int) -> list[Row]:
        ends_in = self._expires_at - int(self.state.clock().timestamp())
        if self._kind is Kind.ADDRESS:
            told = [row(("On-chain address", STRONG)), EMPTY, row("Ready after some blocks.")]
        else:
            amount = self._money.shown(self._amount) if self._amount else "any amount"
            waiting = f"… waiting, ends in {span(ends_in)}" if ends_in > 0 else "✗ it has ended"
            told = [
                row((amount, STRONG)),
                *(row(line) for line in folded(self._what, cells, 2)),
                EMPTY,
                row((waiting, WARN)),
                EMPTY,
                row(("lightning invoice, single use", QUIET)),
            ]
        told += [*self._text(min(cells, 40)), EMPTY]
        told += [row(("keep the node running", QUIET)), EMPTY]
        told += [row((key, KEY), f" {words}") for key, words in _KEYS]
        return told + self._trouble(cells)


_KEYS: Final = (("y", "copy"), ("tab", "invoice, address"), ("z", "QR size"), ("n", "new"))
