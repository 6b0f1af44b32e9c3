"""The control room: a town on one screen, and the keys that make something happen in it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, Final

from wallet.faces.rpc.client import ConnectionLost, RpcError, Unreachable
from wallet.faces.tui.answers import number
from wallet.faces.tui.keys import OWN
from wallet.faces.tui.link import Link
from wallet.faces.tui.outgoing import Payer
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, QUIET, WARN, Row
from wallet.faces.tui.pane import Pane
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.sheets.menu import Choice, Menu
from wallet.faces.tui.state import State
from wallet.faces.tui.town import draw, facts
from wallet.faces.tui.town.facts import TownNode
from wallet.faces.tui.town.watch import TownState

FRAMES_PER_SECOND: Final = 10
RATES: Final = (0, 1, 5, 20, 100)
"""Payments a second that `t` offers."""
BLOCKS: Final = (6, 10, 100)
PRICE_MSAT: Final = 2_100_000
GIFT_SAT: Final = 1_000_000
FAULTS: Final = (
    ("k", "kill", "as if its power had failed"),
    ("s", "stop", "in order, as for an update"),
    ("r", "restart", "killed, and started again"),
    ("f", "freeze", "it keeps its links and does nothing"),
)


class Control(Pane):
    """The seventh tab, where there is a town."""

    HINTS: ClassVar = "m mine  i invoice to pay  t traffic  b break  S story  space hold  ? help"
    BINDINGS: ClassVar = [key.binding for key in OWN["demo"]]

    def __init__(self, state: State, id: str, town: TownState, payer: Payer) -> None:  # noqa: A002
        super().__init__(state, id)
        self._town = town
        self._payer = payer
        self._bought = 0

    def on_mount(self) -> None:
        self.set_interval(1 / FRAMES_PER_SECOND, self._frame)

    def _frame(self) -> None:
        """Ten pictures a second while something moves; else only what the app redraws."""
        self._town.playback.tick(self._payer.monotonic())
        in_front = self.display and len(self.app.screen_stack) == 1
        if in_front and (self._town.playback.moving or self._town.told):
            self.refresh()
        self._town.in_front = self.display

    def rows(self, cells: int, height: int) -> list[Row]:
        if not self._town.told:
            return [EMPTY, draw.sentence(self._town.trouble or "… looking for the town")]
        return draw.room(self._town, self.state, cells, height)

    # --- what a person makes happen -----------------------------------------------------------

    def _do(self, doing: str, act: Callable[[], Awaitable[str]]) -> None:
        """Ask the town in the background, and tell how it went."""

        async def told() -> None:
            self.state.say(f"… {doing}", QUIET)
            try:
                outcome = await act()
                # The next key may depend on what this one has changed.
                self._town.town = facts.town(await self._town.connected.ask("status"))
                self.state.say(f"✓ {outcome}", GOOD)
            except (RpcError, ConnectionLost, Unreachable) as fault:
                self.state.say(f"✗ {safe(str(fault), 160)}", BAD)

        self.app.run_worker(told(), exit_on_error=False)

    def action_mine(self, blocks: int) -> None:
        async def mine() -> str:
            answer = await self._town.connected.ask("mine", blocks=blocks)
            return f"Block {number(answer.get('blockheight')):,}; every node has read it"

        self._do(f"mining {blocks} block{'s' if blocks > 1 else ''}", mine)

    def action_mine_more(self) -> None:
        self._menu(
            "Mine",
            [(str(n), f"{blocks} blocks", "", self._later(self.action_mine, blocks))
             for n, blocks in enumerate(BLOCKS, 1)],
        )  # fmt: skip

    def action_traffic(self) -> None:
        self._menu(
            "Payments between random nodes",
            [(str(n), f"{rate} a second" if rate else "none", "", self._later(self._set, rate))
             for n, rate in enumerate(RATES)],
        )  # fmt: skip

    def _set(self, rate: int) -> None:
        async def change() -> str:
            await self._town.connected.ask("traffic", rate=rate)
            return f"{rate} payments a second from now on" if rate else "The traffic has ended"

        self._do("changing the traffic", change)

    def action_break_something(self) -> None:
        whom = [
            (str(number), node.alias, node.fault or "runs", self._later(self._break, node))
            for number, node in enumerate(self._town.town.nodes, 1)
        ]
        if whom:
            self._menu("Break, or mend", whom)

    def _break(self, node: TownNode) -> None:
        if node.fault:
            kind = "thaw" if node.frozen else "start"
            self._fault(node, kind)
            return
        self._menu(
            f"Break {node.alias}",
            [(key, kind, words, self._later(self._fault, node, kind))
             for key, kind, words in FAULTS],
        )  # fmt: skip

    def _fault(self, node: TownNode, kind: str) -> None:
        async def act() -> str:
            answer = await self._town.connected.ask("fault", node=node.key, kind=kind)
            now = "runs" if answer.get("running") else "is down: b mends it"
            return f"{node.alias} {'is frozen: b thaws it' if answer.get('frozen') else now}"

        self._do(f"{kind}: {node.alias}", act)

    def action_story(self) -> None:
        town = self._town.town
        if town.telling:
            self.state.say(f"The story {town.telling!r} is being told: wait for its end", WARN)
        elif town.stories:
            self._menu(
                "A story",
                [(str(n), name, words, self._later(self._tell, name))
                 for n, (name, words) in enumerate(town.stories, 1)],
            )  # fmt: skip

    def _tell(self, name: str) -> None:
        async def begin() -> str:
            await self._town.connected.ask("story", name=name, wait=False)
            return f"The story begins: {name}"

        self._do("opening the book", begin)

    def action_check_money(self) -> None:
        async def check() -> str:
            self._town.money = money = facts.money(await self._town.connected.ask("money"))
            if not money.checked:
                raise RpcError({"code": -1, "message": f"not counted now: {money.why}"})
            if not money.ok:
                raise RpcError({"code": -1, "message": f"the sums differ: {money.why}"})
            return f"{money.found_sat:,} sat found, every one of them somebody's"

        self._do("counting every coin of the chain", check)

    def action_gift(self) -> None:
        async def give() -> str:
            answer = await self._town.connected.ask("give", node="you", sat=GIFT_SAT)
            block = number(answer.get("blockheight"))
            return f"{GIFT_SAT:,} sat from the faucet, in block {block:,}"

        self._do("asking the faucet", give)

    def action_pause(self) -> None:
        playback = self._town.playback
        playback.paused = not playback.paused
        self.state.say("The picture stands still; the town goes on" if playback.paused else "")
        self.refresh()

    def action_hurry(self, steps: int) -> None:
        self._town.playback.hurry(steps)
        self.refresh()

    def action_buy(self) -> None:
        """Ask somebody in town for an invoice, and open it for review."""
        sellers = [
            (str(n), node.alias, "", self._later(self._buy, node))
            for n, node in enumerate(self._town.town.nodes)
            if node.key != "you" and not node.fault
        ]
        if sellers:
            self._menu("Buy something for 2,100 sat", sellers)

    def _buy(self, seller: TownNode) -> None:
        self._bought += 1
        label = f"bought {int(self.state.clock().timestamp())} {self._bought}"

        async def ask() -> str:
            answer = await _of_node(
                seller, "invoice", amount_msat=PRICE_MSAT, label=label, description="a postcard"
            )
            from wallet.faces.tui.sheets.send import Send

            self.app.push_screen(Send(self.state, self._payer, safe(answer.get("bolt11"), 4_000)))
            return f"{seller.alias} asks for 2,100 sat: p pays"

        self._do(f"asking {seller.alias} for an invoice", ask)

    def _menu(self, name: str, choices: list[tuple[str, str, str, Callable[[], object]]]) -> None:
        self.app.push_screen(Menu(self.state, name, [Choice(*choice) for choice in choices]))

    @staticmethod
    def _later(act: Callable[..., object], *words: object) -> Callable[[], object]:
        return lambda: act(*words)


async def _of_node(node: TownNode, method: str, **params: object) -> Any:
    """One question to another node of the town, over its own socket."""
    link = Link(Path(node.rpc_file))
    await link.open()
    try:
        async with asyncio.timeout(10):
            return await link.ask(method, **params)
    except TimeoutError:
        raise ConnectionLost(f"{node.alias} does not answer") from None
    finally:
        await link.close()
