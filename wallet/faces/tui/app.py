"""The app's frame: title, tabs, the screen in front, notice and hints; and how facts reach it."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui import facts
from wallet.faces.tui.copying import Copying, Thing
from wallet.faces.tui.frame import HintRow, NoticeRow, TabRow, TitleRow
from wallet.faces.tui.journal import URGENT, entry, urgent
from wallet.faces.tui.keys import EVERYWHERE, TABS
from wallet.faces.tui.leaving import until_closed
from wallet.faces.tui.outgoing import Outcome, Outgoing, Payer
from wallet.faces.tui.paint import BAD, GOOD, QUIET, WARN
from wallet.faces.tui.palette import commands
from wallet.faces.tui.pane import Pane
from wallet.faces.tui.panes import pane_of
from wallet.faces.tui.safe_text import middle_cut, safe
from wallet.faces.tui.small import WHOLE, Small
from wallet.faces.tui.starting import Rising
from wallet.faces.tui.state import State
from wallet.faces.tui.themes import DARK, DEFAULTS, THEMES
from wallet.faces.tui.town.moves import Playback
from wallet.faces.tui.town.watch import TownState, TownWatcher
from wallet.faces.tui.watch import BASE, NODE, UiPump, Watcher, learn_names, load
from wallet.faces.tui.words import failure, name_of

if TYPE_CHECKING:
    from wallet.faces.tui.finding import FindRow

TICK_SECONDS: Final = 0.1
PATIENCE_SECONDS = 15.0
"""After so long without an answer the figures are called old."""
REST: Final = 4
"""Times as long as the last look took, nothing is asked: watching must not slow a busy core."""

_LOOK_AGAIN_SECONDS: Final = 0.05

_OLD: Final = "! The node has not answered for a while: these figures are old"


def _now() -> datetime:
    return datetime.now(UTC).astimezone()


class Leyden(Copying):
    """The terminal app. It has no keys and no database: it asks the core at `path`."""

    TITLE = "leyden"
    ENABLE_COMMAND_PALETTE = True
    CSS = """
    Screen { background: $background; color: $foreground; }
    ContentSwitcher { height: 1fr; }
    Small { display: none; }
    .-narrow Small, .-low Small { display: block; }
    .-narrow ContentSwitcher, .-low ContentSwitcher { display: none; }
    .-narrow TabRow, .-low TabRow { display: none; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WHOLE[0], "-normal")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (WHOLE[1], "-high")]  # noqa: RUF012
    BINDINGS: ClassVar = [
        *(key.binding for key in EVERYWHERE),
        *(Binding(str(t.number), f"tab('{t.id}')", t.title, show=False) for t in TABS),
        Binding("left_square_bracket", "step_tab(-1)", show=False),
        Binding("right_square_bracket", "step_tab(1)", show=False),
    ]

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
        town: Path | None = None,
        rising: Rising | None = None,
        start: Callable[[], Rising] | None = None,
        mining: str = "",
    ) -> None:
        """`town`: the socket of the town that the core lives in; `rising`: what starts the core.

        `start`: starts it when it has gone, if that is for us to do; `mining`: the command that
        mines for this wallet, if there is one.
        """
        super().__init__()
        self.state = State(clock, rising=rising, start=start, mining=safe(mining))
        self._town_path = town
        self.town = TownState(Playback(monotonic())) if town is not None else None
        self.payer = Payer(monotonic, self._payment_changed)
        self.pump = UiPump()
        self._watcher = Watcher(path, self.state, self.pump, self._tick)
        self._loading = False
        self._asked_to_quit = False
        self._rest_until = 0.0
        self._shown: tuple[object, ...] = ()
        self._offered_unlock = False
        self._find_row: FindRow | None = None

    # --- frame --------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield TitleRow(self.state)
        yield TabRow()
        with ContentSwitcher(initial=TABS[0].id):
            for tab in TABS:
                yield pane_of(tab.id, self.state, self.town, self.payer)
        yield Small(self.state)
        yield NoticeRow(self.state)
        yield HintRow()

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.run_worker(self._watch(), exit_on_error=False)
        self.set_interval(TICK_SECONDS, self._tick)
        self.set_interval(1.0, self._each_second)
        self.action_tab(TABS[0].id)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DEFAULTS)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette's. No screenshot of a wallet."""
        return commands(self)

    @property
    def pane(self) -> Pane:
        """The one in front."""
        switcher = self.screen_stack[0].query_one(ContentSwitcher)
        return switcher.query_one(f"#{switcher.current}", Pane)

    def action_tab(self, tab: str) -> None:
        if self._find_row is not None:
            self._find_row.close()
        base = self.screen_stack[0]
        base.query_one(ContentSwitcher).current = tab
        base.query_one(TabRow).show(tab)
        self.pane.focus()
        self.redraw()

    def action_step_tab(self, step: int) -> None:
        ids = [tab.id for tab in TABS]
        self.action_tab(ids[(ids.index(self.pane.id or "") + step) % len(ids)])

    def on_tab_row_chosen(self, message: TabRow.Chosen) -> None:
        self.action_tab(message.tab)

    def on_resize(self) -> None:
        self.call_later(self.redraw)

    def on_pane_hints_changed(self) -> None:
        self.redraw()

    def _frame(self, kind: type[TitleRow | NoticeRow]) -> None:
        for line in self.screen_stack[0].query(kind) if self.screen_stack else ():
            line.refresh()

    def _hints(self) -> str:
        finding = self._find_row is not None and self._find_row.display
        return self._find_row.HINTS if finding and self._find_row else self.pane.hints()

    def redraw(self) -> None:
        """Everything that shows the state, in one go."""
        if not self.is_running:
            return  # the app is closing, and what it showed is going, piece by piece
        with self.batch_update():
            self._frame(TitleRow)
            base, pane = self.screen_stack[0], self.pane
            small = base.query_one(Small)
            fits = self.size.width >= WHOLE[0] and self.size.height >= WHOLE[1]
            base.query_one(HintRow).show(self._hints() if fits else small.HINTS)
            small.refresh()
            pane.facts_changed()
            sought = middle_cut(pane.sought, 30)
            base.query_one(NoticeRow).found = f"/{sought}  {pane.found}" if sought else ""
            self._frame(NoticeRow)

    # --- a filter, and what is taken elsewhere --------------------------------------------------

    async def action_find(self) -> None:
        from wallet.faces.tui.finding import FindRow

        if not self.pane.FINDS:
            self.say("Nothing to filter on this screen", QUIET)
            return
        if self._find_row is None:
            self._find_row = FindRow()
            notice = self.screen_stack[0].query_one(NoticeRow)
            await self.screen_stack[0].mount(self._find_row, before=notice)
        self._find_row.open(self.pane)
        self.redraw()

    def on_find_row_closed(self) -> None:
        self.pane.focus()
        self.redraw()

    def say(self, sentence: str, style: str = GOOD) -> None:
        self.state.say(sentence, style)

    async def main_thing(self) -> Thing | None:
        return await self.pane.main_thing()

    # --- facts --------------------------------------------------------------------------------

    def _each_second(self) -> None:
        self._frame(TitleRow)
        if self.state.facts.node.warning:
            # No event tells that it is over.
            self.pump.stale.add(NODE)

    async def _until_up(self) -> None:
        """Until there is a core to ask: ours, or one that somebody else has started meanwhile."""
        while (rising := self.state.rising) is not None:
            if rising.up or self.state.link is not None:
                self.state.rising = None
            else:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _watch(self) -> None:
        await self._until_up()
        if self._town_path is not None and self.town is not None:
            watcher = TownWatcher(self._town_path, self.town, self._tell_story)
            self.run_worker(watcher.run(), exit_on_error=False)
        await self._watcher.run()

    def _tell_story(self, caption: str) -> None:
        self.state.say(caption, QUIET)

    @property
    def _wanted(self) -> frozenset[str]:
        return BASE | self.pane.WANTS

    @property
    def is_stale(self) -> bool:
        """Whether anything that is shown now has to be asked for again."""
        return bool(self.pump.stale & self._wanted)

    def _tick(self) -> None:
        """Ten times a second: draw what has changed, ask for what is stale."""
        if not self.is_running:
            return  # the app is closing, and what it showed is going, piece by piece
        shown = (self.state.notice_row, self.state.facts)
        if shown != self._shown or self.state.rising is not None:
            self._shown = shown
            self.redraw()
        rested = self.payer.monotonic() >= self._rest_until
        if rested and not self._loading and self.state.link is not None and self.is_stale:
            self._loading = True
            self.run_worker(self._load(), exit_on_error=False)

    async def _load(self) -> None:
        parts, told = self.pump.take(self._wanted)
        began = self.payer.monotonic()
        try:
            link = self.state.connected
            async with asyncio.timeout(PATIENCE_SECONDS):
                self.state.facts = await load(link, parts, self.state.facts)
            self.state.told = True
            self.state.caught_up |= not self.state.facts.node.warning
            if self.state.notice[0] == _OLD:
                self.state.say("")
            self._offer_unlock()
            self.payer.learn(self.state.facts.recent)
            await learn_names(link, self.state.facts, self.state.names)
        except ConnectionLost:
            # The watcher says so, and everything is asked again when it is back.
            return
        except TimeoutError:
            self.pump.stale |= parts
            self.state.say(_OLD, WARN)
        except RpcError as fault:
            self.state.say(safe(str(fault), 160), QUIET)
        finally:
            self._loading = False
            now = self.payer.monotonic()
            self._rest_until = now + REST * (now - began)
        for event in told:
            self._tell(event)
        self.redraw()

    def _tell(self, event: facts.Json) -> None:
        if event.get("topic") == "invoice_payment":
            amount = event.get("amount_msat")
            paid = amount if isinstance(amount, int) else 0
            self.state.paid[str(event.get("label"))] = paid
            received = self.state.money.shown(paid)
            named = safe(event.get("description") or event.get("label"), 60)
            self.state.say(f"✓ Received {received}  {named}", GOOD)
        elif event.get("topic") in URGENT:
            self.state.say(urgent(entry(event), self.state.money, self.state.names), WARN)

    # --- what is the same everywhere ------------------------------------------------------------

    def action_unit(self) -> None:
        self.state.money = replace(self.state.money, unit=self.state.money.unit.next)
        self.redraw()

    def action_hide(self) -> None:
        self.state.money = replace(self.state.money, hidden=not self.state.money.hidden)
        self.redraw()

    def action_help(self) -> None:
        from wallet.faces.tui.sheets.help import Help

        self.push_screen(Help(self.pane))

    def action_send(self) -> None:
        from wallet.faces.tui.sheets.send import Send

        self.push_screen(Send(self.state, self.payer))

    def _payment_changed(self, payment: Outgoing) -> None:
        amount = self.state.money.shown(payment.order.amount)
        name = name_of(payment.order.payee, self.state.names)
        match payment.outcome:
            case Outcome.ARRIVED:
                self.state.say(f"✓ Paid {amount} to {name}", GOOD)
            case Outcome.NOT_SENT:
                self.state.say(f"✗ {failure(payment.code)[0]} {amount} to {name}", BAD)
            case Outcome.MOVING:
                self.state.say(f"… Still on its way: {amount} to {name}", WARN)

    def action_receive(self) -> None:
        from wallet.faces.tui.sheets.receive import Receive

        self.push_screen(Receive(self.state))

    def action_unlock(self) -> None:
        from wallet.faces.tui.sheets.unlock import Unlock

        if not self.state.allows("unlock"):
            return
        if self.state.facts.node.locked:
            self.push_screen(Unlock(self.state))
        else:
            self.state.say("The wallet is open", QUIET)

    def action_start_node(self) -> None:
        state = self.state
        if state.link is not None:
            state.say("The node is there", QUIET)
        elif state.start is not None and (state.rising is None or state.rising.fault):
            state.rising = state.start()
            self.run_worker(self._until_up(), exit_on_error=False)

    def _offer_unlock(self) -> None:
        """Once by itself; `U` does it again."""
        locked = self.state.facts.node.locked
        if locked and not self._offered_unlock and self.state.can("unlock"):
            self.action_unlock()
        self._offered_unlock = locked

    def action_quit_app(self) -> None:
        if (self.payer.moving or self.state.errands) and not self._asked_to_quit:
            self._asked_to_quit = True
            self.state.say(
                "… Something is on its way and goes on without this: q again quits", WARN
            )
            self.redraw()
            return
        self.exit()


def run(
    path: Path,
    *,
    town: Path | None = None,
    rising: Rising | None = None,
    start: Callable[[], Rising] | None = None,
    mining: str = "",
) -> int:
    """Open the app on the core at `path`; the exit code when it is closed.

    A signal that ends programs closes it in order, and it is 128 and the signal's number.
    """
    # What is imported by now stays: to look through it all for garbage takes 20 ms of a key's time.
    gc.freeze()
    app = Leyden(path, town=town, rising=rising, start=start, mining=mining)
    asyncio.run(until_closed(app))
    return app.return_code or 0
