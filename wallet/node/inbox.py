"""What has arrived: a bounded queue per source, taken round-robin; blocks first, never dropped."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from wallet.base.values.ids import NodeId
from wallet.node.events import NodeEvent

PER_PEER: Final = 128
"""Messages of one peer that may wait; then its link reads no further."""
BATCH: Final = 512
"""Events in one batch at most: a batch is also the longest the loop is held."""


class Inbox:
    """Where services and callers leave events for the kernel."""

    def __init__(self) -> None:
        self._urgent: deque[NodeEvent] = deque()
        self._peers: dict[NodeId, deque[NodeEvent]] = {}
        self._room: dict[NodeId, asyncio.Event] = {}
        self._arrived = asyncio.Event()
        self._closed = False

    def put(self, event: NodeEvent) -> None:
        """Blocks, commands and outcomes: never dropped, taken before any peer's words."""
        self._urgent.append(event)
        self._arrived.set()

    def put_all(self, events: Iterable[NodeEvent]) -> None:
        """Several, in order."""
        self._urgent.extend(events)
        self._arrived.set()

    def put_peer(self, node_id: NodeId, event: NodeEvent) -> None:
        """A peer came or went: in its own queue, so that order with its words is kept."""
        self._peers.setdefault(node_id, deque()).append(event)
        self._arrived.set()

    async def put_message(self, node_id: NodeId, event: NodeEvent) -> None:
        """A message of a peer; waits while too many are waiting."""
        queue = self._peers.setdefault(node_id, deque())
        while len(queue) >= PER_PEER:
            room = self._room.setdefault(node_id, asyncio.Event())
            room.clear()
            await room.wait()
            queue = self._peers.setdefault(node_id, deque())
        queue.append(event)
        self._arrived.set()

    def holds(self, event: NodeEvent) -> bool:
        """Whether an event put with `put` or `put_all` is still waiting."""
        return any(waiting is event for waiting in self._urgent)

    def close(self) -> None:
        """No more batches after those that wait."""
        self._closed = True
        self._arrived.set()

    async def take_batch(self) -> list[NodeEvent]:
        """At least one event, at most `BATCH`; empty only when closed."""
        while not (self._urgent or self._peers):
            if self._closed:
                return []
            self._arrived.clear()
            await self._arrived.wait()
        batch: list[NodeEvent] = []
        while self._urgent and len(batch) < BATCH:
            batch.append(self._urgent.popleft())
        while self._peers and len(batch) < BATCH:
            for node_id in list(self._peers):
                queue = self._peers[node_id]
                batch.append(queue.popleft())
                if not queue:
                    del self._peers[node_id]
                room = self._room.pop(node_id, None)
                if room is not None:
                    room.set()
                if len(batch) >= BATCH:
                    break
        return batch
