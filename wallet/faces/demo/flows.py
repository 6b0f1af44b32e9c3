"""Every HTLC message in the town: what each node says that it has sent, merged in order of time.

A thread for each node asks it while somebody follows; one that is killed or frozen keeps only its
own thread waiting.  What arrives is held back for a moment, since a message that was sent earlier
may still be on its way from another node.  What a frozen node tells once it is thawed comes late,
with the time at which it was sent; what a killed one had not told is lost.
"""

import asyncio
import heapq
import threading
import time
from contextlib import suppress
from itertools import count
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.base.values.recent import Page
from wallet.faces.demo.feed import Feed, unix_time
from wallet.faces.demo.town import Node, Town, at_once
from wallet.faces.rpc.client import call

KEPT: Final = 10_000
HOLD_SECONDS: Final = 0.15
_GATHER_SECONDS: Final = 0.03
"""Pause between two questions to a busy node: it has better things to do than to talk of them."""
_QUIET_SECONDS: Final = 30.0
"""Nobody has asked for so long: nobody follows any more."""
_WAIT_SECONDS: Final = 10
_PATIENCE_SECONDS: Final = 15.0
_FIRST_PATIENCE_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.05

Row = dict[str, Any]


class Flows:
    """The town's flow. Made, asked and closed on the loop's thread."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._loop = asyncio.get_running_loop()
        self._merged = Merged()
        self._beginning = asyncio.Lock()
        self._changing = threading.Lock()
        self._listening: set[str] = set()
        self._next: dict[str, int] = {}
        self._begun = 0.0
        self._followers = 0
        self._until = 0.0
        self._ended = False

    async def page(self, since: int | None, seconds: float, limit: int) -> Page[Row]:
        """As `Feed.page`; whoever asks follows."""
        self._followers += 1
        try:
            await self._listen()
            return await self._merged.feed.page(since, seconds, limit)
        finally:
            self._followers -= 1
            self._until = time.monotonic() + _QUIET_SECONDS

    def close(self) -> None:
        """Listen no longer. Threads that wait for a node end with it."""
        self._ended = True

    @property
    def _followed(self) -> bool:
        return not self._ended and (self._followers > 0 or time.monotonic() < self._until)

    async def _listen(self) -> None:
        async with self._beginning:
            if not self._begun:
                self._begun = unix_time()
                nodes = [node for node in self._town.nodes.values() if node.answers]
                self._next.update(await asyncio.to_thread(at_once, _end_of, nodes))
        for node in self._town.nodes.values():
            with self._changing:
                if node.key not in self._listening:
                    self._listening.add(node.key)
                    threading.Thread(target=self._hear, args=(node,), daemon=True).start()

    def _goes_on(self, node: Node) -> bool:
        # One who ends just as somebody begins to follow would be taken for one who listens.
        with self._changing:
            followed = self._followed
            if not followed:
                self._listening.discard(node.key)
            return followed

    def _hear(self, node: Node) -> None:
        """Ask one node again and again, on its own thread."""
        while self._goes_on(node):
            rows: list[Row] = []
            if node.answers:
                wanted = {"since": self._next.get(node.key, 0), "timeout": _WAIT_SECONDS}
                with suppress(WalletError):
                    answer = call(node.rpc_file, "flow", wanted, timeout=_PATIENCE_SECONDS)
                    self._next[node.key] = answer["next"]
                    rows = [self._named(node, row) for row in answer["flow"]]
            if rows:
                with suppress(RuntimeError):  # The loop has ended, and the town with it.
                    self._loop.call_soon_threadsafe(self._take, rows)
            time.sleep(_GATHER_SECONDS if rows else _LOOK_AGAIN_SECONDS)

    def _named(self, node: Node, row: Row) -> Row:
        keys = {other.id: key for key, other in self._town.nodes.items()}
        peer = row.pop("peer_id")
        del row["seq"]
        at = row.pop("at")
        return {"at": at, "from": node.key, "to": keys.get(peer, peer), **row}

    def _take(self, rows: list[Row]) -> None:
        # A node that did not answer when we began tells of its past, too.
        self._merged.take([row for row in rows if row["at"] >= self._begun])
        self._loop.call_later(HOLD_SECONDS, lambda: self._merged.release(unix_time()))


class Merged:
    """Rows of several nodes, let out in order of their times once all are likely to be there."""

    def __init__(self) -> None:
        self.feed: Feed[Row] = Feed(KEPT)
        self._held: list[tuple[float, int, Row]] = []
        self._numbers = count()

    def take(self, rows: list[Row]) -> None:
        """Hold these; each has `at`."""
        for row in rows:
            heapq.heappush(self._held, (row["at"], next(self._numbers), row))

    def release(self, now: float) -> None:
        """Let out what was sent `HOLD_SECONDS` ago or earlier."""
        while self._held and self._held[0][0] <= now - HOLD_SECONDS:
            self.feed.add(heapq.heappop(self._held)[2])


def _end_of(node: Node) -> tuple[str, int]:
    """Where a node's flow ends now; 0 if it does not say."""
    try:
        return node.key, call(node.rpc_file, "flow", timeout=_FIRST_PATIENCE_SECONDS)["next"]
    except WalletError:
        return node.key, 0
