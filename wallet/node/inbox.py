"""What has arrived: a bounded queue per source, taken round-robin; blocks first, never dropped."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from wallet.base.values.ids import NodeId
from wallet.node.events import NodeEvent, PeerSaid

PER_PEER: Final = 128
"""Messages of one peer that may wait; then its link reads no further."""
PER_PEER_BYTES: Final = 1 << 18
"""And their bytes: a message may have 65,535, and there may be hundreds of peers."""
BATCH: Final = 512
"""Events in one batch at most: a batch is also the longest the loop is held."""


class Inbox:
    """Where services and callers leave events for the kernel."""

    def __init__(self) -> None:
        self._urgent: deque[NodeEvent] = deque()
        self._peers: dict[NodeId, deque[NodeEvent]] = {}
        self._bytes: dict[NodeId, int] = {}
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
        """A peer came, spoke or went: in its own queue, so that the order is kept."""
        self._peers.setdefault(node_id, deque()).append(event)
        if isinstance(event, PeerSaid):
            self._bytes[node_id] = self._bytes.get(node_id, 0) + len(event.data)
        self._arrived.set()

    async def put_message(self, node_id: NodeId, event: PeerSaid) -> None:
        """A message of a peer; waits while too many are waiting."""
        await self.room(node_id)
        self.put_peer(node_id, event)

    async def room(self, node_id: NodeId) -> None:
        """Wait while a peer has as much waiting as it may."""
        while (
            len(self._peers.get(node_id, ())) >= PER_PEER
            or self._bytes.get(node_id, 0) >= PER_PEER_BYTES
        ):
            room = self._room.setdefault(node_id, asyncio.Event())
            room.clear()
            await room.wait()

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
            for node_id in list(self._peers)[: BATCH - len(batch)]:
                batch.append(self._take_from(node_id))
        return batch

    def _take_from(self, node_id: NodeId) -> NodeEvent:
        # Whoever was heard goes to the end of the line: with more peers than a batch has room for,
        # the last ones would wait for ever otherwise.
        queue = self._peers.pop(node_id)
        event = queue.popleft()
        if queue:
            self._peers[node_id] = queue
        if isinstance(event, PeerSaid):
            self._bytes[node_id] -= len(event.data)
        if not queue:
            self._bytes.pop(node_id, None)
        room = self._room.pop(node_id, None)
        if room is not None:
            room.set()
        return event
