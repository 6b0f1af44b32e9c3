"""Keeps links to the peers we share channels with: dials them at start and when they go away."""

import asyncio
import logging
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


class Dialler:
    """One attempt at a time for each missing peer, with growing pauses."""

    def __init__(self, kernel: Kernel, transport: Transport, peer_gone: asyncio.Event) -> None:
        self._kernel = kernel
        self._transport = transport
        self._peer_gone = peer_gone
        self._waits: dict[NodeId, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._peer_gone.clear()
            missing = self._missing()
            for node_id in list(self._waits):
                if node_id not in missing:
                    del self._waits[node_id]
            await asyncio.gather(*(self._dial(n, place) for n, place in missing.items()))
            pause = min((self._waits[n] for n in self._missing() if n in self._waits), default=None)
            try:
                async with asyncio.timeout(pause):
                    await self._peer_gone.wait()
                # Give a peer that restarts a moment to listen again.
                await asyncio.sleep(FIRST_WAIT)
            except TimeoutError:
                pass

    def _missing(self) -> dict[NodeId, HostPort]:
        memory = self._kernel.board.memory
        places = {}
        for channel in memory.channels.values():
            peer = channel.terms.peer
            wanted = channel.phase in LIVING or channel.phase is Phase.MUTUALLY_CLOSED
            known = memory.known_peers.get(peer)
            if wanted and peer not in memory.peers and known is not None and known.address:
                places[peer] = HostPort.parse(known.address)
        return places

    async def _dial(self, node_id: NodeId, place: HostPort) -> None:
        try:
            await self._transport.connect(node_id, place.host, place.port)
            self._waits.pop(node_id, None)
        except Refused as refused:
            wait = self._waits.get(node_id, FIRST_WAIT / 2) * 2
            self._waits[node_id] = min(wait, LONGEST_WAIT)
            log.debug("%s is not there: %s", node_id.hex(), refused.message)
