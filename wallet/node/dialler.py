"""Keeps links to the peers we share channels with: dials them at start and when they go away.

Rule 1: each peer is dialled at its own pace: one that lets us wait, or others who come and go,
neither slow nor hurry the rest.
Rule 2: a link that ended at once was a failure: a peer that answers only to break a rule is not
called five times a second for ever.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.ids import NodeId
from wallet.machines.channel.state import LIVING, Phase
from wallet.node.kernel import Kernel
from wallet.services.peers.address import HostPort
from wallet.services.ports import Transport

log: Final = logging.getLogger("leyden.dialler")

FIRST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 60.0
LASTED: Final = 3.0
"""Seconds after which a link counts as one that worked. Electrum takes one until it speaks of its
channels, and hangs up at an `error` for one of them, which it gets again each time it asks.
"""


@dataclass(slots=True)
class Pace:
    """When to dial a peer again. Times are the loop's."""

    due: float
    wait: float
    up_since: float | None = None
    """We dialled it with success, and have not looked at it since it went."""

    def failed(self, now: float) -> None:
        self.due, self.wait = now + self.wait, min(self.wait * 2, LONGEST_WAIT)

    def gone(self, now: float) -> None:
        """No link: what that means if we had made one. May be told again while there is none."""
        since, self.up_since = self.up_since, None
        if since is not None and now - since < LASTED:
            self.failed(now)
        elif since is not None:
            self.due, self.wait = now, FIRST_WAIT


class Dialler:
    """One attempt at a time for each missing peer, with growing pauses."""

    def __init__(self, kernel: Kernel, transport: Transport, peer_gone: asyncio.Event) -> None:
        self._kernel = kernel
        self._transport = transport
        self._look = peer_gone
        self._paces: dict[NodeId, Pace] = {}
        self._dialling: set[NodeId] = set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as dials:
            while True:
                self._look.clear()
                missing = self._missing()
                self._note(missing, loop.time())
                for node_id, place in missing.items():
                    if node_id not in self._dialling and self._paces[node_id].due <= loop.time():
                        self._dialling.add(node_id)
                        dials.create_task(self._dial(node_id, place))
                waiting = [self._paces[n].due for n in missing if n not in self._dialling]
                try:
                    async with asyncio.timeout_at(min(waiting, default=None)):
                        await self._look.wait()
                    # Give a peer that restarts a moment to listen again.
                    await asyncio.sleep(FIRST_WAIT)
                except TimeoutError:
                    pass

    def _note(self, missing: dict[NodeId, HostPort], now: float) -> None:
        """Paces for who is missing; of the others only those whose link may still prove short."""
        for node_id in missing:
            self._paces.setdefault(node_id, Pace(now, FIRST_WAIT)).gone(now)
        for node_id, pace in list(self._paces.items()):
            present = self._transport.peer(node_id) is not None
            if node_id not in missing and not (present and pace.up_since is not None):
                del self._paces[node_id]

    def _missing(self) -> dict[NodeId, HostPort]:
        memory = self._kernel.board.memory
        places = {}
        for channel in memory.channels.values():
            peer = channel.terms.peer
            # What we have an old copy of only the peer can close, and must hear of.
            old = channel.phase is Phase.FAILED and channel.fell_behind
            wanted = channel.phase in LIVING or channel.phase is Phase.MUTUALLY_CLOSED or old
            known = memory.known_peers.get(peer)
            # The transport knows first.  The kernel hears of an end after all that was said before
            # it, and nobody would wake us again when it has.
            there = self._transport.peer(peer) is not None
            if wanted and not there and known is not None and known.address:
                places[peer] = HostPort.parse(known.address)
        return places

    async def _dial(self, node_id: NodeId, place: HostPort) -> None:
        pace = self._paces[node_id]
        now = asyncio.get_running_loop().time
        try:
            await self._transport.connect(node_id, place.host, place.port)
            pace.up_since = now()
        except Refused as refused:
            pace.failed(now())
            log.debug("%s is not there: %s", node_id.hex(), refused.message)
        finally:
            self._dialling.discard(node_id)
            self._look.set()
