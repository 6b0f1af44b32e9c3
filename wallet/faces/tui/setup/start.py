"""Where to begin: a new wallet, one from a phrase, or the demo; and which chain it will be on."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar, Final

from textual.binding import Binding
from textual.widget import Widget

from wallet.base.errors import WalletError
from wallet.faces.tui.entry import Entry
from wallet.faces.tui.paint import EMPTY, KEY, PLAIN, QUIET, WARN, Row, row
from wallet.faces.tui.safe_text import middle_cut, safe
from wallet.faces.tui.setup.phrase import Phrase
from wallet.faces.tui.setup.port import ChainChoice, Outcome
from wallet.faces.tui.setup.restore import Restore
from wallet.faces.tui.setup.stage import Asked, Lines, Stage

_CREATE, _RESTORE, _DEMO = range(3)
_WAYS: Final = (
    "Create a new wallet",
    "Restore from recovery phrase",
    "Try the demo (local play money, 6 nodes, nothing leaves this PC)",
)
_LOCKED: Final = "✗ locked: real money is refused.  Others: leyden --network N"
_BUILT_IN: Final = "Go on with the built-in chain"
_BITCOIND: Final = "Go on with a bitcoind"


class Start(Stage):
    """The menu. For a wallet that is there, only the chain is asked."""

    NAME = "start"
    HINTS = "↑↓ move  enter next  c chain  q quit"
    AUTO_FOCUS = None
    BINDINGS: ClassVar = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("enter", "next", show=False),
        Binding("c", "chain", show=False),
        Binding("q", "app.leave", show=False),
    ]

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self._at = 0
        self._bitcoind: bool | None = None
        """What a person chose; None: the only one, or the one that needs nothing."""

    @property
    def _has_wallet(self) -> bool:
        return self.setup.port.has_wallet

    @property
    def _menu(self) -> tuple[str, ...]:
        if not self._has_wallet:
            return _WAYS
        return (_BUILT_IN, _BITCOIND) if self._may_choose else (_BITCOIND,)

    @property
    def _may_choose(self) -> bool:
        return self.setup.port.has_built_in_chain

    @property
    def _by_rpc(self) -> bool:
        return not self._may_choose if self._bitcoind is None else self._bitcoind

    def hints(self) -> str:
        asks = self._may_choose and not self._has_wallet
        return self.HINTS if asks else "↑↓ move  enter next  q quit"

    def compose_body(self) -> Iterable[Widget]:
        yield Lines(self._rows)

    def _rows(self, cells: int) -> list[Row]:
        port = self.setup.port
        has_wallet = self._has_wallet
        welcome = (
            "This wallet was made, and not yet told where its blocks come from."
            if has_wallet
            else "Welcome. This wallet runs a Lightning node on this computer."
        )
        menu = [
            row(
                "  ",
                ("> " if n == self._at else "  ", KEY),
                (text, KEY if n == self._at else PLAIN),
            )
            for n, text in enumerate(self._menu)
        ]
        chain = [] if has_wallet else [self._chain()]
        data = middle_cut(safe(port.directory), cells - 34)
        closing = (
            []
            if has_wallet
            else [EMPTY, row("You hold the keys. Nobody can restore this wallet for you.")]
        )
        return [
            row(welcome),
            EMPTY,
            *menu,
            EMPTY,
            row("Network   ", *self._networks()),
            row("          ", (_LOCKED, QUIET)),
            *chain,
            row(f"Data      {data}", ("   (only you can read it)", QUIET)),
            *closing,
            *self.trouble(cells),
        ]  # fmt: skip

    def _networks(self) -> Row:
        port = self.setup.port
        marks = {True: "( )", False: "✗"}
        return tuple(
            (f"(•) {name}   ", PLAIN)
            if name == port.network
            else (f"{marks[free]} {name}   ", QUIET)
            for name, free in port.networks
        )

    def _chain(self) -> Row:
        if not self._may_choose:
            return row("Chain     (•) bitcoind by RPC")
        marks = ("( )", "(•)") if self._by_rpc else ("(•)", "( )")
        return row(f"Chain     {marks[0]} built-in   {marks[1]} bitcoind by RPC")

    def action_move(self, step: int) -> None:
        self._at = (self._at + step) % len(self._menu)
        self.redraw()

    def action_chain(self) -> None:
        if self._may_choose and not self._has_wallet:
            self._bitcoind = not self._by_rpc
            self.redraw()

    def action_next(self) -> None:
        if self._has_wallet:
            self._bitcoind = self._menu[self._at] == _BITCOIND
        elif self._at == _DEMO:
            self.setup.exit(Outcome.DEMO)
            return
        if self._by_rpc:
            self.app.push_screen(Bitcoind(self.step, self._go_on))
        else:
            self._go_on(ChainChoice())

    def _go_on(self, chain: ChainChoice) -> None:
        setup = self.setup
        setup.draft = replace(setup.draft, chain=chain, restored=self._at == _RESTORE)
        if self._has_wallet:
            try:
                setup.port.keep_chain(chain)
            except WalletError as fault:
                self.problem = safe(str(fault), 300)
                self.redraw()
            else:
                setup.exit(Outcome.READY)
        elif self._at == _RESTORE:
            self.app.push_screen(Restore("2/3"))
        else:
            self.app.push_screen(Phrase("2/4"))


class Bitcoind(Stage):
    """Where it is. It is asked before anything goes on."""

    NAME = "start, bitcoind"
    HINTS = "tab next field  enter next  esc back"

    def __init__(self, step: str, go_on: Callable[[ChainChoice], None]) -> None:
        super().__init__(step)
        self._go_on = go_on
        self._asking = False

    def compose_body(self) -> Iterable[Widget]:
        yield Lines(
            lambda _: [
                row(
                    f"A bitcoind of yours, over its RPC. It has to be on {self.setup.port.network}."
                ),
                row(("Its cookie file is where its password is: none is asked or kept.", QUIET)),
                EMPTY,
            ]
        )
        yield Asked("URL", Entry("url", wide=True), tuple)
        yield Asked("Cookie file", Entry("cookie", wide=True), tuple)
        yield Lines(self._rows)

    def on_mount(self) -> None:
        usual = self.setup.port.bitcoind
        self.query_one("#url", Entry).value = usual.url
        self.query_one("#cookie", Entry).value = usual.cookie

    def _rows(self, cells: int) -> list[Row]:
        asking = [EMPTY, row(("… asking it", WARN))] if self._asking else []
        return [*asking, *([EMPTY] if self.problem else []), *self.trouble(cells)]

    async def on_entry_entered(self, event: Entry.Entered) -> None:
        event.stop()
        if not self._asking:
            url, cookie = (self.query_one(f"#{n}", Entry).value.strip() for n in ("url", "cookie"))
            self._asking = True
            self.redraw()
            self.run_worker(self._ask(ChainChoice(url, cookie)), exit_on_error=False)

    async def _ask(self, chain: ChainChoice) -> None:
        self.problem = safe(await self.setup.port.chain_trouble(chain), 300)
        self._asking = False
        self.redraw()
        if not self.problem and self.is_current:
            self.dismiss()
            self._go_on(chain)
