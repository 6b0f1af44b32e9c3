"""What `town-rpc` answers: the town as a table of methods.

The same protocol as a node's socket.  The methods block, so each runs on a thread.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from wallet.base.errors import Refused, WalletError
from wallet.faces.demo.story import Story
from wallet.faces.demo.telling import tell
from wallet.faces.demo.town import Node, Town, at_once
from wallet.faces.demo.traffic import MOST_PER_SECOND, Traffic
from wallet.faces.rpc.params import Args, Param, Unfit
from wallet.faces.rpc.parsers import one_of, string, u32
from wallet.faces.rpc.table import Answer, Method

MOST_BLOCKS: Final = 1_000


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
KIND: Final = Param("kind", one_of(*FAULTS), required=True)
RATE: Final = Param("rate", _rate)


class Desk:
    """The town, its traffic, and the story if one is being told."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.traffic = Traffic(town)
        self._telling = threading.Lock()
        self._changing = threading.Lock()

    def close(self) -> None:
        """End the traffic."""
        self.traffic.close()

    def status(self) -> Answer:
        """Everything at a glance."""
        town = self.town
        seen = dict(zip(town.nodes, at_once(_look, town.nodes.values()), strict=True))
        described = town.description()
        nodes = {key: {**described["nodes"][key], **seen[key][0]} for key in town.nodes}
        channels = _channels({key: rows for key, (_, rows) in seen.items()}, town)
        return {
            **described,
            "whole": town.whole,
            "blockheight": town.chain.height if town.whole else None,
            "nodes": nodes,
            "channels": channels,
            "traffic": self.traffic.counters(),
        }

    def mine(self, blocks: int) -> Answer:
        """Mine blocks; answers when every node has read them."""
        if not 0 < blocks <= MOST_BLOCKS:
            raise Refused(f"blocks: 1 to {MOST_BLOCKS} can be mined at once", -32602)
        return {"blockheight": self.town.mine(blocks)}

    def fault(self, key: str, kind: str) -> Answer:
        """Break a node, or mend it."""
        node = self.town.node(key)
        # Two that start one node at once would get two.
        with self._changing:
            FAULTS[kind](self.town, node)
        return {"node": key, "running": node.running, "frozen": node.frozen}

    def tell_story(self) -> Answer:
        """The story in this town; its report."""
        if not self._telling.acquire(blocking=False):
            raise Refused("the story is being told already; wait for its end")
        try:
            told: list[str] = []
            report = tell(Story(self.town, told.append, self.traffic), told.append)
            return {**asdict(report), "told": told}
        finally:
            self._telling.release()

    def set_traffic(self, rate: float | None) -> Answer:
        """Change the rate, if one is given; the counters."""
        if rate is not None:
            self.traffic.set_rate(rate)
        return self.traffic.counters()


def _look(node: Node) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A node's state and its channels, as far as it answers."""
    known: dict[str, Any] = {
        "alias": node.name,
        "running": node.running,
        "frozen": node.frozen,
        "pid": node.child.pid if node.child is not None and node.running else None,
    }
    if not node.answers:
        return known, []
    try:
        height = node.call("getinfo")["blockheight"]
        return {**known, "blockheight": height}, node.call("listpeerchannels")["channels"]
    except WalletError:  # It ended just now.
        return {**known, "running": node.running}, []


def _channels(seen: dict[str, list[dict[str, Any]]], town: Town) -> list[dict[str, Any]]:
    """Every channel once, with what each side that answers counts as its own."""
    keys = {node.id: node.key for node in town.nodes.values()}
    found: dict[str, dict[str, Any]] = {}
    for key, rows in seen.items():
        for row in rows:
            peer = keys.get(row["peer_id"], row["peer_id"])
            channel = found.setdefault(
                row["channel_id"],
                {
                    "channel_id": row["channel_id"],
                    "nodes": [key, peer],
                    "short_channel_id": row.get("short_channel_id"),
                    "state": row["state"],
                    "private": row["private"],
                    "total_msat": row["total_msat"],
                    "to_msat": {},
                    "htlcs": 0,
                },
            )
            channel["to_msat"][key] = row["to_us_msat"]
            channel["htlcs"] = max(channel["htlcs"], len(row["htlcs"]))
    return list(found.values())


async def _status(desk: Desk, _args: Args) -> Answer:
    return await asyncio.to_thread(desk.status)


async def _mine(desk: Desk, args: Args) -> Answer:
    return await asyncio.to_thread(desk.mine, args.get_or(BLOCKS, 1))


async def _fault(desk: Desk, args: Args) -> Answer:
    return await asyncio.to_thread(desk.fault, args[NODE], args[KIND])


async def _story(desk: Desk, _args: Args) -> Answer:
    return await asyncio.to_thread(desk.tell_story)


async def _traffic(desk: Desk, args: Args) -> Answer:
    return desk.set_traffic(args.get(RATE))


METHODS: Final[tuple[Method[Desk], ...]] = (
    Method("status", (), _status, "shows chain, nodes, channels and traffic"),
    Method("mine", (BLOCKS,), _mine, "mines blocks"),
    Method("fault", (NODE, KIND), _fault, "breaks a node, or mends it"),
    Method("story", (), _story, "tells the story in this town"),
    Method("traffic", (RATE,), _traffic, "pays between random nodes, RATE times a second"),
)
"""What `town-rpc` serves, beside `help`, `check` and `stop`."""
