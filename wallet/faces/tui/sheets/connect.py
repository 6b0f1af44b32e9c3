"""Connect: a link to a peer. It moves no money, so Enter does it."""

from textual.app import ComposeResult
from textual.widgets import Input

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import facts
from wallet.faces.tui.paint import EMPTY, GOOD, QUIET, STRONG, WARN, Row, row
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.sheets.open import PEER
from wallet.faces.tui.sheets.review import line, lines, warning
from wallet.faces.tui.sheets.sheet import Field, Sheet
from wallet.faces.tui.state import State
from wallet.faces.tui.words import name_of

_WHY: dict[int, str] = {
    400: "No address of it is known: give ID@HOST:PORT.",
    401: "Nobody answered there. Check the address, and whether it is running.",
    402: "It hung up. Try again.",
}


class Connect(Sheet):
    """One line, and who answered."""

    NAME = "Connect"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._problem = self._why = ""
        self._trying = False
        self._answered: tuple[str, str, str] | None = None
        """Id, address, which way."""

    def compose_body(self) -> ComposeResult:
        yield Field(id="peer", placeholder="ID@HOST:PORT")

    def hints(self) -> str:
        return "esc close" if self._trying or self._answered else "enter connect  esc cancel"

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        found = PEER.fullmatch("".join(event.value.split()))
        self._problem = "" if found else "That is no node: ID@HOST:PORT, the id has 66 digits."
        if found is not None and not self._trying:
            self._trying, self._why = True, ""
            # Of the app: a link that comes up after the sheet was closed is told all the same.
            self.app.run_worker(self._connect(found[0], found[1]), exit_on_error=False)
        self.redraw()

    async def _connect(self, where: str, node_id: str) -> None:
        try:
            link = self.state.connected
            told = await link.ask("connect", id=where)
            if link.can("listnodes") and node_id not in self.state.names:
                self.state.names |= facts.aliases(await link.ask("listnodes", id=node_id))
        except (RpcError, ConnectionLost) as fault:
            code = fault.code if isinstance(fault, RpcError) else 0
            self._problem = _WHY.get(code, "Not connected.")
            self._why = safe(str(fault), 300)
            self.state.say(f"✗ Not connected: {safe(str(fault), 120)}", WARN)
        else:
            place = told.get("address")
            host = place.get("address") if isinstance(place, dict) else None
            port = place.get("port") if isinstance(place, dict) else None
            way = "it called" if told.get("direction") == "in" else "you called"
            self._answered = safe(told.get("id"), 66), f"{safe(host, 60)}:{safe(port, 5)}", way
            self.state.say(f"✓ Connected to {name_of(self._answered[0], self.state.names)}")
        finally:
            self._trying = False
        if self.is_attached:
            self.query_one("#peer").display = self._answered is None
            self.redraw()

    def rows(self, cells: int) -> list[Row]:
        if self._answered is not None:
            node_id, address, way = self._answered
            return [
                EMPTY,
                row(("✓ ", GOOD), (f"{name_of(node_id, self.state.names)} answers", STRONG)),
                EMPTY,
                line("At", address, way),
                line("Node id", ""),
                row(node_id),
            ]
        found = [EMPTY, row(("A link carries no money by itself: o opens a channel.", QUIET))]
        if self._trying:
            found += [EMPTY, row(("… calling", WARN))]
        elif self._problem:
            found += [EMPTY, warning(self._problem), *lines("", self._why, cells)]
        return found
