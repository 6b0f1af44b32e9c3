"""All links to peers: listening, dialling, and at most one link for each.

Rule 1: for one peer the listener hears connected, messages, disconnected, strictly in turn, also
when a link replaces another.
Rule 2: a new link replaces the old one, which may be dead without knowing it.  Only when both sides
have dialled each other at once does the one stay that the lower node id dialled: both sides then
keep the same one instead of one each, that is none.
Rule 3: callers and strangers share bounded rooms; a peer with a channel always gets in and stays.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from wallet.base.bitcoin.chains import Chain
from wallet.base.errors import PeerFault, Refused
from wallet.base.values.features import Features
from wallet.base.values.ids import NodeId
from wallet.machines.noise import Session
from wallet.services.peers.address import HostPort
from wallet.services.peers.handshake import Identity, initiate, respond
from wallet.services.peers.link import PATIENT, Link, LinkEnded, LinkTimes
from wallet.services.peers.rooms import Place, Room, neighbourhood
from wallet.services.ports import Peer, PeerListener

MAX_CALLERS: Final = 128
"""Connections that others made to us and that have not said `init` yet; nobody knows who it is."""
CALLERS_PER_ADDRESS: Final = 64
MAX_STRANGERS: Final = 256
"""Links that others made to us and with whom we share no channel."""
STRANGERS_PER_ADDRESS: Final = 64
STRANGER_UNSENT: Final = 1 << 17
"""Bytes a stranger may leave unread before it is heard further: it must take what it asks for."""

ALL_ADDRESSES_FAILED: Final = 401
DISCONNECTED_DURING: Final = 402

_CROSSING_SECONDS: Final = 5.0
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """The one link of a peer."""

    peer: Peer
    link: Link
    since: float
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class TcpTransport:
    """The `Transport` port over TCP."""

    def __init__(
        self,
        identity: Identity,
        chain: Chain,
        features: Features,
        listener: PeerListener,
        times: LinkTimes = PATIENT,
    ) -> None:
        self._identity = identity
        self._chain = chain
        self._features = features
        self._listener = listener
        self._times = times
        self._held: dict[NodeId, _Held] = {}
        self._dialling: WeakValueDictionary[NodeId, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers = Room(MAX_CALLERS, CALLERS_PER_ADDRESS)
        self._strangers = Room(MAX_STRANGERS, STRANGERS_PER_ADDRESS)
        self._server: asyncio.Server | None = None

    # What the kernel asks.

    @property
    def peers(self) -> list[Peer]:
        """Who is connected, in order of their connecting."""
        return [held.peer for held in self._held.values()]

    def peer(self, node_id: NodeId) -> Peer | None:
        """The peer if it is connected."""
        held = self._held.get(node_id)
        return held.peer if held else None

    def send(self, node_id: NodeId, data: bytes) -> bool:
        """Queue one encoded message; False if the peer is not connected now."""
        held = self._held.get(node_id)
        if held is None:
            return False
        held.link.send(data)
        return True

    def unsent(self, node_id: NodeId) -> int:
        """Bytes that wait for a peer to read; 0 if it is not connected."""
        held = self._held.get(node_id)
        return held.link.unsent if held else 0

    def disconnect(self, node_id: NodeId, reason: str) -> None:
        """Close the link once what was queued is on its way."""
        if held := self._held.get(node_id):
            held.link.close(reason)

    async def ping(self, node_id: NodeId, length: int, pong_length: int) -> int:
        """The bytes of the peer's `pong`; see `Link.ping`. Raises `Refused`."""
        held = self._held.get(node_id)
        if held is None:
            raise Refused("Peer not connected")
        return await held.link.ping(length, pong_length)

    async def connect(self, node_id: NodeId, host: str, port: int) -> Peer:
        """The peer, dialled unless it is connected already. Raises `Refused` (401, 402)."""
        if node_id == self._identity.node_id:
            raise Refused("that is this node's own id", ALL_ADDRESSES_FAILED)
        lock = self._dialling.setdefault(node_id, asyncio.Lock())
        async with lock:
            if peer := self.peer(node_id):
                return peer
            link, address = await self._dial(node_id, HostPort(host, port))
            connected: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
            self._start(self._serve(link, str(address), connected=connected))
            try:
                return await connected
            except LinkEnded as ended:
                raise Refused(
                    f"{address} answers, but the connection did not last: {ended}",
                    DISCONNECTED_DURING,
                ) from None

    async def listen(self, place: HostPort) -> HostPort:
        """Accept connections at `place`; gives the port that the system chose for port 0.

        Raises `Refused` when the port is in use or not ours to take.
        """
        try:
            self._server = await asyncio.start_server(self._accepted, place.host, place.port)
        except (OSError, UnicodeError) as error:
            raise Refused(f"cannot listen at {place}: {_listen_problem(error)}") from None
        host, port = self._server.sockets[0].getsockname()[:2]
        return HostPort(host, port)

    async def close(self) -> None:
        """Stop listening and end every link; the listener hears of each."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for held in list(self._held.values()):
            held.link.close("this node is stopping")
        if self._tasks:
            _, slow = await asyncio.wait(self._tasks, timeout=self._times.linger)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        # asyncio lets go of a socket one turn of the loop after it was told to.
        await asyncio.sleep(0)

    # Connections.

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._start(self._serve_inbound(reader, writer))

    async def _serve_inbound(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        address = _address_of(writer)
        place = self._callers.enter(neighbourhood(address.host), writer.transport.abort)
        try:
            session = await self._within_handshake(respond(reader, writer, self._identity))
            link = Link(reader, writer, session, self._times)
            await self._serve(link, str(address), caller=place)
        except LinkEnded as ended:
            _log.debug("a caller failed the handshake: %s", ended)
        finally:
            place.leave()
            writer.transport.abort()

    async def _dial(self, node_id: NodeId, place: HostPort) -> tuple[Link, HostPort]:
        try:
            async with asyncio.timeout(self._times.dial):
                reader, writer = await asyncio.open_connection(place.host, place.port)
        except TimeoutError:
            raise _unreachable(place, f"no answer within {self._times.dial:.0f} s") from None
        except (OSError, UnicodeError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "not a host name"
            raise _unreachable(place, reason) from None
        try:
            work = initiate(reader, writer, self._identity, node_id)
            session = await self._within_handshake(work)
        except LinkEnded as ended:
            writer.transport.abort()
            reason = f"{ended}; is {node_id.hex()} the right id?"
            raise _unreachable(place, reason) from None
        except BaseException:
            writer.transport.abort()
            raise
        return Link(reader, writer, session, self._times), place

    async def _within_handshake(self, work: Awaitable[Session]) -> Session:
        """The session, or `LinkEnded` with the reason why there is none."""
        try:
            async with asyncio.timeout(self._times.handshake):
                return await work
        except TimeoutError:
            raise LinkEnded("the handshake was not finished in time") from None
        except PeerFault as fault:
            raise LinkEnded(fault.reason) from None
        except (OSError, EOFError):
            raise LinkEnded("it hung up during the handshake") from None

    async def _serve(
        self,
        link: Link,
        address: str,
        connected: "asyncio.Future[Peer] | None" = None,
        caller: Place | None = None,
    ) -> None:
        """Live through one link. `connected` gets the peer, or why there is none."""
        try:
            theirs, negotiated = await link.exchange_init(self._features, self._chain)
            peer = Peer(link.their_id, address, caller is None, theirs, negotiated)
            held = await self._take_place(peer, link)
        except LinkEnded as ended:
            link.abort(str(ended))
            other = self.peer(link.their_id)
            if connected is not None and not connected.done():
                if other is not None:
                    connected.set_result(other)
                else:
                    connected.set_exception(ended)
            _log.debug("no link with %s: %s", link.their_id.hex(), ended)
            return
        except BaseException:
            link.abort("this node is stopping")
            raise
        place = self._admitted(peer, link, caller) if caller is not None else None
        reason = "this node is stopping"
        try:
            await self._listener.peer_connected(peer)
            if connected is not None and not connected.done():
                connected.set_result(peer)
            reason = await link.run(lambda data: self._deliver(peer.node_id, link, data))
        finally:
            link.abort(reason)
            if place is not None:
                place.leave()
            del self._held[peer.node_id]
            held.gone.set()
            self._listener.peer_disconnected(peer.node_id, reason)

    def _admitted(self, peer: Peer, link: Link, caller: Place) -> Place:
        """From the door into the house: we know who it is now."""
        caller.leave()
        return self._strangers.enter(
            caller.address,
            lambda: link.abort("there are too many strangers; this one was here longest"),
            lambda: self._listener.is_partner(peer.node_id),
        )

    async def _deliver(self, node_id: NodeId, link: Link, data: bytes) -> None:
        await self._listener.peer_message(node_id, data)
        # A partner is not made to wait: both sides of a busy channel may have much on the way, and
        # two that read only after the other has read wait for ever.
        if link.unsent > STRANGER_UNSENT and not self._listener.is_partner(node_id):
            await link.until_flowing()

    async def _take_place(self, peer: Peer, link: Link) -> _Held:
        """Become the one link of this peer; raises `LinkEnded` if another one stays."""
        now = asyncio.get_running_loop().time()
        while old := self._held.get(peer.node_id):
            crossing = old.peer.outbound != peer.outbound and now - old.since < _CROSSING_SECONDS
            dialled_by_lower = peer.outbound == (self._identity.node_id < peer.node_id)
            if crossing and not dialled_by_lower:
                raise LinkEnded("both sides had dialled; the other connection stays")
            old.link.abort("the peer has connected anew")
            await old.gone.wait()
        held = self._held[peer.node_id] = _Held(peer, link, now)
        return held


def _unreachable(place: HostPort, reason: str) -> Refused:
    return Refused(f"All addresses failed: {place}: {reason}", ALL_ADDRESSES_FAILED)


def _address_of(writer: asyncio.StreamWriter) -> HostPort:
    name = writer.get_extra_info("peername")
    return HostPort(name[0], name[1]) if name else HostPort("gone", 0)


def _listen_problem(error: OSError | UnicodeError) -> str:
    if not isinstance(error, OSError):
        return "that is not a host name"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; give another --listen"
    return error.strerror or str(error)
