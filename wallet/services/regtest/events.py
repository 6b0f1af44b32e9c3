"""What happened on the chain, numbered, for those who wait for it."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

_KEPT: Final = 10_000

Kind = Literal["connect", "disconnect", "tx"]


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """A block connected or disconnected, or a transaction accepted (then `height` is None).

    `name` is the block's hash or the txid, as people see it (reversed hexadecimal).
    """

    seq: int
    kind: Kind
    height: int | None
    name: str


class EventLog:
    """The latest events, and a bell. Numbers start at 0 with each start of the server."""

    def __init__(self) -> None:
        self._events: deque[ChainEvent] = deque(maxlen=_KEPT)
        self._next = 0
        self._bell = asyncio.Event()

    @property
    def next(self) -> int:
        """The number that the next event will have."""
        return self._next

    def append(self, kind: Kind, height: int | None, name: str) -> None:
        """Note an event; wakes nobody before `ring`."""
        self._events.append(ChainEvent(self._next, kind, height, name))
        self._next += 1

    def ring(self) -> None:
        """Wake everybody who waits."""
        self._bell.set()
        self._bell = asyncio.Event()

    def since(self, seq: int) -> list[ChainEvent]:
        """Kept events from number `seq` on; all of them when `seq` lies in the future.

        A number from the future comes from before a restart: its holder must look at everything.
        """
        first = self._events[0].seq if self._events else self._next
        start = max(seq, first) if seq <= self._next else first
        return [event for event in self._events if event.seq >= start]

    async def wait(self) -> None:
        """Until the next `ring`."""
        await self._bell.wait()
