"""The route worker: searches the map on a thread of its own, one search at a time.

A search reads the graph while the loop may change it.  That is safe because the graph's rows are
replaced and never altered, and because a search walks lists, which bear being appended to; at worst
it sees one channel's old terms, and the node that owns the channel says so.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from wallet.base.errors import Refused
from wallet.machines.routing.graph import Graph
from wallet.machines.routing.knowledge import Knowledge
from wallet.machines.routing.pathfinding import find_route
from wallet.node.events import NodeEvent, RoutesFound
from wallet.node.work import FindRoutes

log: Final = logging.getLogger("leyden.router")

_STOPPED: Final = 210
"""Core Lightning's code for a payment that is not tried again."""
INLINE: Final = 2_000
"""Channels of a map that is searched at once: the way to a thread and back takes longer."""


class Router:
    """Answers `FindRoutes` with `RoutesFound`."""

    def __init__(self, put: Callable[[NodeEvent], None]) -> None:
        self._put = put
        self._threads = ThreadPoolExecutor(1, "routes")

    def find(self, asked: FindRoutes, graph: Graph, knowledge: Knowledge) -> None:
        """Begin a search; its answer goes into the inbox."""
        if len(graph) <= INLINE:
            self._put(search(asked, graph, knowledge))
            return
        job = asyncio.get_running_loop().run_in_executor(
            self._threads, search, asked, graph, knowledge
        )
        job.add_done_callback(self._done)

    def _done(self, job: "asyncio.Future[RoutesFound]") -> None:
        if not job.cancelled():
            self._put(job.result())

    def close(self) -> None:
        """No more searches; one under way is let go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def search(asked: FindRoutes, graph: Graph, knowledge: Knowledge) -> RoutesFound:
    """One search, from question to answer."""
    try:
        try:
            route = find_route(graph, asked.query, knowledge)
        except Refused:
            # What failed another payment may carry this one: no try at all would be worse.  What
            # this payment has tried itself is among `query.excluded`, and is not tried twice.
            route = find_route(graph, asked.query, Knowledge())
    except Refused as refused:
        return RoutesFound(asked.payment_hash, asked.groupid, None, refused.code, refused.message)
    except Exception as error:
        # A bug of ours: without an answer the payer would wait for ever, or the loop would end.
        log.exception("a search for a route failed")
        sentence = f"internal error ({type(error).__name__}) while looking for a route"
        return RoutesFound(asked.payment_hash, asked.groupid, None, _STOPPED, sentence)
    return RoutesFound(asked.payment_hash, asked.groupid, route)
