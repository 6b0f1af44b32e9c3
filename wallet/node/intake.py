"""From the services into the inbox: what peers and the chain report becomes events."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from wallet.base.errors import ServiceFault
from wallet.base.values.ids import NodeId
from wallet.machines.chain_events import ChainEvent, ChainStatus
from wallet.machines.channel.state import Phase
from wallet.node.events import PeerDown, PeerSaid, PeerUp
from wallet.node.kernel import Kernel
from wallet.services.ports import Peer

log: Final = logging.getLogger("leyden.intake")


class Intake:
    """Implements `PeerListener` and `ChainListener` for a kernel."""

    _kernel: Kernel

    def __init__(self) -> None:
        self.status: ChainStatus | None = None
        self.peer_gone = asyncio.Event()
        """Set whenever a peer goes away: the dialler looks who is missing."""
        self._tip_seen = asyncio.Event()
        """Set once we have seen the chain up to its tip."""

    def serve(self, kernel: Kernel) -> None:
        """Whom to tell; once, before anything can happen."""
        self._kernel = kernel

    # --- peers ----------------------------------------------------------------------------------

    def is_partner(self, node_id: NodeId) -> bool:
        """Whether we share a funded channel: an unfunded one is a promise that costs nothing."""
        channels = self._kernel.board.memory.channels_with(node_id)
        return any(
            c.phase is not Phase.CLOSED
            # At depth 0 a channel is used before it is confirmed, by a peer that a person trusts.
            and (c.terms.we_opened or c.funding.confirmed is not None or not c.terms.minimum_depth)
            for c in channels
        )

    async def peer_connected(self, peer: Peer) -> None:
        """A link is up; waits while what the peer said on the last one still waits.

        At start it also waits for the chain: we would take, by an old height, an HTLC that is over,
        and pay for it while the peer takes it back.
        """
        await self._tip_seen.wait()
        await self._kernel.inbox.room(peer.node_id)
        self._kernel.link_is_up(
            PeerUp(peer.node_id, peer.address, peer.outbound, peer.features.to_bytes())
        )

    async def peer_message(self, node_id: NodeId, data: bytes) -> None:
        """One message; waits while the peer's queue is full."""
        await self._kernel.inbox.put_message(node_id, PeerSaid(node_id, data))

    def peer_disconnected(self, node_id: NodeId, reason: str) -> None:
        """The link is down."""
        self._kernel.inbox.put_peer(node_id, PeerDown(node_id, reason))
        self.peer_gone.set()

    async def at_the_tip(self, patience: float) -> bool:
        """Whether, within so many seconds, we have once seen the chain up to its tip."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._tip_seen.wait(), patience)
        return self._tip_seen.is_set()

    # --- the chain ------------------------------------------------------------------------------

    async def absorb(self, events: Sequence[ChainEvent]) -> None:
        """Blocks; returns when they are on disk. Raises `ServiceFault` if they could not be."""
        self._kernel.inbox.put_all(events)
        last = events[-1]
        while self._kernel.inbox.holds(last) or self._kernel.busy:
            await self._kernel.next_batch()
        if not self._kernel.knows(last):
            raise ServiceFault("the last blocks could not be stored; they are read again")

    def chain_status(self, status: ChainStatus) -> None:
        """How things stand with the backend."""
        was, self.status = self.status, status
        if status.synced:
            self._tip_seen.set()
        if status.problem and (was is None or was.problem != status.problem):
            log.warning("the chain backend does not answer: %s", status.problem)
        if was is not None and was.problem and not status.problem:
            log.info("the chain backend is back")
            self._kernel.chain_is_back()
