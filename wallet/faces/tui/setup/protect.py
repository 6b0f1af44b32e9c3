"""The last step: a password for the file, and then the wallet is written."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Final

from textual.widget import Widget

from wallet.base.errors import WalletError
from wallet.faces.tui.entry import Entry
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, QUIET, WARN, Row, row
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.setup.port import Outcome
from wallet.faces.tui.setup.stage import Asked, Lines, Stage
from wallet.faces.tui.setup.strength import grade

_STYLES: Final = {"weak": BAD, "fair": WARN, "strong": GOOD}


class Protect(Stage):
    """Twice the same, and not nothing."""

    NAME = "protect"
    HINTS: ClassVar[str] = "tab next field  enter create  esc back"

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self._making = False

    def compose_body(self) -> Iterable[Widget]:
        yield Lines(lambda _: [row("A password protects the wallet file on this disk."), EMPTY])
        yield Asked("  Password", Entry("password", secret=True), self._strength)
        yield Asked("  Again", Entry("again", secret=True), self._match)
        yield Lines(self._rows)

    def _values(self) -> tuple[str, str]:
        first, second = (self.query_one(f"#{n}", Entry).value for n in ("password", "again"))
        return first, second

    def _strength(self) -> Row:
        word = grade(self._values()[0])
        return ((word, _STYLES[word]),) if self._values()[0] else ()

    def _match(self) -> Row:
        first, second = self._values()
        if not second:
            return ()
        return (("✓ the same", GOOD),) if first == second else (("not the same yet", QUIET),)

    def _rows(self, cells: int) -> list[Row]:
        making = [EMPTY, row(("… writing the wallet", WARN))] if self._making else []
        return [
            EMPTY,
            row("It is asked whenever the node starts, and nobody can find it again."),
            row("With the recovery phrase the wallet is restored without it."),
            EMPTY,
            row(("No account, no telemetry, no outside lookup is switched on.", QUIET)),
            *making,
            *([EMPTY] if self.problem else []),
            *self.trouble(cells),
        ]

    def on_entry_entered(self, event: Entry.Entered) -> None:
        event.stop()
        first, second = self._values()
        if self._making:
            return
        if not first or not second:
            self.query_one("#again" if first else "#password", Entry).focus()
        elif first != second:
            self.problem = "The two are not the same. Nothing was written."
        else:
            self._making, self.problem = True, ""
            self.run_worker(self._make(first), exit_on_error=False)
        self.redraw()

    async def _make(self, password: str) -> None:
        try:
            await self.setup.port.make(replace(self.setup.draft, password=password))
        except WalletError as fault:
            self._making = False
            self.problem = safe(str(fault), 300)
            self.redraw()
        else:
            self.setup.exit(Outcome.READY)

    def action_back(self) -> None:
        if not self._making:
            super().action_back()
