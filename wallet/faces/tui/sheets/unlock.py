"""Unlock: the wallet's password, to the node and to nowhere else.

The password is in the field until Enter, then in one request: no message, log, notice or copy of
the screen has it.
"""

from textual.app import ComposeResult

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.entry import Entry
from wallet.faces.tui.paint import EMPTY, GOOD, QUIET, STRONG, WARN, Row, folded, row
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.sheets.review import warning
from wallet.faces.tui.sheets.sheet import Sheet
from wallet.faces.tui.state import State

_WRONG: dict[int, str] = {
    -32002: "Wrong password. Nothing was opened; try again.",
    -32601: "This node has no password to give.",
}


class Unlock(Sheet):
    """One field."""

    NAME = "leyden"
    AUTO_FOCUS = "Entry"
    HINTS = "enter unlock  esc close"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._problem = ""
        self._asking = False
        self._open = False

    def compose_body(self) -> ComposeResult:
        yield Entry("password", secret=True, wide=True, placeholder="password")

    async def on_entry_entered(self, event: Entry.Entered) -> None:
        event.stop()
        field = self.query_one("#password", Entry)
        if field.value and not self._asking:
            self._asking, self._problem = True, ""
            self.run_worker(self._unlock(field.take()), name="unlock", exit_on_error=False)
            self.redraw()

    async def _unlock(self, password: str) -> None:
        try:
            await self.state.connected.ask("unlock", password=password)
        except RpcError as fault:
            # A node that repeats what it does not understand would show it to who looks on.
            said = "" if password in str(fault) else safe(str(fault), 200)
            self._problem = _WRONG.get(fault.code) or f"Not opened. {said}"
        except ConnectionLost:
            self._problem = "The node is not there now; try again in a moment."
        else:
            self._open = True
            self.state.say("✓ Unlocked", GOOD)
        finally:
            self._asking = False
        if self._open:
            self.dismiss()
        else:
            self.redraw()

    def rows(self, cells: int) -> list[Row]:
        found = [
            EMPTY,
            row(("The wallet is locked. ", STRONG), "The node does nothing until it is opened."),
            row(("It keeps no copy of the password: nobody but you can open it.", QUIET)),
        ]
        if self._asking:
            found += [EMPTY, row(("… opening", WARN))]
        elif self._problem:
            found += [EMPTY, *(warning(text) for text in folded(self._problem, cells - 2))]
        return found
