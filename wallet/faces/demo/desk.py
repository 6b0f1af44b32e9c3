"""What `town-rpc` answers: the town as a table of methods.

The same protocol as a node's socket.  The methods block, so each runs on a thread.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.recent import Page
from wallet.faces.demo.audit import audit
from wallet.faces.demo.blocks import MOST_SHOWN, Blocks
from wallet.faces.demo.captions import Captions, Teller
from wallet.faces.demo.feed import MOST_AT_ONCE
from wallet.faces.demo.flows import Flows, Row
from wallet.faces.demo.sights import ChannelBook, look
from wallet.faces.demo.stories import STORIES
from wallet.faces.demo.telling import tell
from wallet.faces.demo.town import Node, Town
from wallet.faces.demo.traffic import MOST_PER_SECOND, Traffic
from wallet.faces.rpc.params import Args, Param, Unfit
from wallet.faces.rpc.parsers import boolean, one_of, string, u32, u64
from wallet.faces.rpc.table import Answer, Method

MOST_MINED: Final = 1_000
MOST_GIVEN_SAT: Final = 100_000_000
_BLOCKS_SHOWN: Final = 10
_DEFAULT_STORY: Final = "first"


def _again(town: Town, node: Node) -> None:
    node.kill()
    town.start(node)


FAULTS: Final[dict[str, Callable[[Town, Node], None]]] = {
    "stop": lambda _, node: node.stop(),
    "kill": lambda _, node: node.kill(),
    "start": lambda town, node: town.start(node),
    "restart": _again,
    "freeze": lambda _, node: node.freeze(),
    "thaw": lambda _, node: node.thaw(),
}
"""`stop` is orderly and `kill` is not; a frozen node keeps its links and does nothing."""


def _rate(value: object) -> float:
    try:
        rate = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        rate = -1.0
    if not 0 <= rate <= MOST_PER_SECOND or isinstance(value, bool):
        raise Unfit(f"should be payments per second, 0 to {MOST_PER_SECOND:.0f}")
    return rate


BLOCKS: Final = Param("blocks", u32)
NODE: Final = Param("node", string, required=True)
SAT: Final = Param("sat", u64, required=True)
KIND: Final = Param("kind", one_of(*FAULTS), required=True)
RATE: Final = Param("rate", _rate)
SINCE: Final = Param("since", u64)
TIMEOUT: Final = Param("timeout", u32)
LIMIT: Final = Param("limit", u32)
NAME: Final = Param("name", one_of(*STORIES))
WAIT: Final = Param("wait", boolean)


class Desk:
    """The town, its traffic, and the story if one is being told. Made and closed on the loop."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.traffic = Traffic(town)
        self.flows = Flows(town)
        self._blocks = Blocks(town)
        self._channels = ChannelBook()
        self._looking = threading.Lock()
        self.captions = Captions()
        self.telling: str | None = None
        """The name of the story, if any."""
        self._task: asyncio.Task[Answer] | None = None
        self._changing = threading.Lock()

    def close(self) -> None:
        """End the traffic, and listen to nobody."""
        self.traffic.close()
        self.flows.close()

    def status(self) -> Answer:
        """Everything at a glance."""
        town = self.town
        sights = look(town)
        described = town.description()
        with self._looking:
            channels = self._channels.update(sights, town)
        return {
            **described,
            "whole": town.whole,
            "blockheight": town.chain.height if town.whole else None,
            "nodes": {
                sight.key: {**described["nodes"][sight.key], **sight.shown} for sight in sights
            },
            "channels": channels,
            "traffic": self.traffic.counters(),
            "stories": {name: story.TITLE for name, story in STORIES.items()},
            "telling": self.telling,
        }

    def blocks(self, limit: int) -> Answer:
        """The newest blocks and what waits for the next."""
        if not 0 < limit <= MOST_SHOWN:
            raise Refused(f"limit: 1 to {MOST_SHOWN} blocks can be shown at once", -32602)
        return self._blocks.newest(limit)

    def money(self) -> Answer:
        """Whose is every coin? Waits a little for a moment of rest."""
        found = audit(self.town, self.traffic)
        money = found.money
        return {
            "ok": money is not None and money.ok,
            "checked": money is not None,
            **(asdict(money) if money is not None else {}),
            "in_the_way": found.in_the_way,
        }

    def mine(self, blocks: int) -> Answer:
        """Mine blocks; answers when every node has read them."""
        if not 0 < blocks <= MOST_MINED:
            raise Refused(f"blocks: 1 to {MOST_MINED} can be mined at once", -32602)
        return {"blockheight": self.town.mine(blocks)}

    def give(self, key: str, sat: int) -> Answer:
        """Coins from the faucet for a node, in a block that every node has read."""
        if not 0 < sat <= MOST_GIVEN_SAT:
            raise Refused(f"sat: 1 to {MOST_GIVEN_SAT:,} can be given at once", -32602)
        address = self.town.node(key).call("newaddr", addresstype="bech32")["bech32"]
        txid = self.town.chain.pay_from_faucet({address: sat})
        return {"node": key, "sat": sat, "txid": txid, "blockheight": self.town.mine(1)}

    def fault(self, key: str, kind: str) -> Answer:
        """Break a node, or mend it."""
        node = self.town.node(key)
        # Two that start one node at once would get two.
        with self._changing:
            FAULTS[kind](self.town, node)
        return {"node": key, "running": node.running, "frozen": node.frozen}

    def begin_story(self, name: str) -> tuple[int, "asyncio.Task[Answer]"]:
        """Begin to tell it: the number of its first caption, and its report to come.

        Raises `Refused` while another one is told.
        """
        if self.telling is not None:
            raise Refused(f"the story {self.telling!r} is being told; wait for its end")
        self.telling = name
        since = self.captions.feed.next_seq
        self._task = asyncio.create_task(self._tell(name))
        return since, self._task

    async def _tell(self, name: str) -> Answer:
        teller = Teller(self.captions, name)
        story = STORIES[name](self.town, teller.say, self.traffic)
        teller.begin(story.TITLE)
        try:
            report = asdict(await asyncio.to_thread(tell, story, teller))
        finally:
            self.telling = None
        # Whoever hears of the end may begin another one.
        teller.end(report)
        return {**report, "told": teller.told}

    def set_traffic(self, rate: float | None) -> Answer:
        """Change the rate, if one is given; the counters."""
        if rate is not None:
            self.traffic.set_rate(rate)
        return self.traffic.counters()


async def _status(desk: Desk, _args: Args) -> Answer:
    return await asyncio.to_thread(desk.status)


async def _mine(desk: Desk, args: Args) -> Answer:
    return await asyncio.to_thread(desk.mine, args.get_or(BLOCKS, 1))


async def _give(desk: Desk, args: Args) -> Answer:
    return await asyncio.to_thread(desk.give, args[NODE], args[SAT])


async def _fault(desk: Desk, args: Args) -> Answer:
    return await asyncio.to_thread(desk.fault, args[NODE], args[KIND])


async def _story(desk: Desk, args: Args) -> Answer:
    """Its report, or with `wait` false where its captions begin."""
    name = args.get_or(NAME, _DEFAULT_STORY)
    since, telling = desk.begin_story(name)
    if args.get_or(WAIT, True):
        return await telling
    return {"story": name, "since": since}


async def _captions(desk: Desk, args: Args) -> Answer:
    """What stories say, by number, as `flow`; and whether one is being told."""
    answer = _told("captions", await _page(desk.captions.feed.page, args))
    return {**answer, "telling": desk.telling is not None}


async def _traffic(desk: Desk, args: Args) -> Answer:
    return desk.set_traffic(args.get(RATE))


async def _blocks(desk: Desk, args: Args) -> Answer:
    return await asyncio.to_thread(desk.blocks, args.get_or(LIMIT, _BLOCKS_SHOWN))


async def _money(desk: Desk, _args: Args) -> Answer:
    return await asyncio.to_thread(desk.money)


async def _flow(desk: Desk, args: Args) -> Answer:
    """Every HTLC message in the town, as a node's `flow`, with `from` and `to`."""
    return _told("flow", await _page(desk.flows.page, args))


async def _page(
    ask: Callable[[int | None, float, int], Awaitable[Page[Row]]], args: Args
) -> Page[Row]:
    limit = args.get_or(LIMIT, MOST_AT_ONCE)
    return await ask(args.get(SINCE), args.get_or(TIMEOUT, 0), limit)


def _told(name: str, page: Page[Row]) -> Answer:
    return {
        name: [{"seq": seq, **row} for seq, row in page.items],
        "next": page.next_seq,
        **({"missed": True} if page.missed else {}),
    }


METHODS: Final[tuple[Method[Desk], ...]] = (
    Method("status", (), _status, "shows chain, nodes, channels and traffic"),
    Method("blocks", (LIMIT,), _blocks, "shows the newest blocks, in words"),
    Method("money", (), _money, "checks whose every coin is"),
    Method(
        "flow",
        (SINCE, TIMEOUT, LIMIT),
        _flow,
        "tells each HTLC message in the town, by number",
        waits=True,
    ),
    Method("mine", (BLOCKS,), _mine, "mines blocks"),
    Method("give", (NODE, SAT), _give, "gives a node coins from the faucet"),
    Method("fault", (NODE, KIND), _fault, "breaks a node, or mends it"),
    Method("story", (NAME, WAIT), _story, "tells a story in this town"),
    Method(
        "captions",
        (SINCE, TIMEOUT, LIMIT),
        _captions,
        "tells what a story says, by number",
        waits=True,
    ),
    Method("traffic", (RATE,), _traffic, "pays between random nodes, RATE times a second"),
)
"""What `town-rpc` serves, beside `help`, `check` and `stop`."""
