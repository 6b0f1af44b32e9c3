"""Links between nodes over loopback TCP: handshake, init, messages, replacement, hostile bytes."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256

import pytest

from wallet.base.bitcoin.chains import MAINNET, REGTEST, Chain
from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.errors import Refused
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.values.ids import ALL_CHANNELS, NodeId, Secret
from wallet.base.wire import decode, encode
from wallet.base.wire.setup import Error, Init, Ping, Pong, our_init, reason_of
from wallet.base.wire.setup import Warning as BoltWarning
from wallet.machines.noise import Session
from wallet.services.peers.address import HostPort
from wallet.services.peers.handshake import Identity, initiate
from wallet.services.peers.link import LinkTimes
from wallet.services.peers.transport import STRANGER_UNSENT, TcpTransport
from wallet.services.ports import Peer

LOOPBACK = HostPort("127.0.0.1", 0)
QUICK = LinkTimes(dial=2, handshake=0.3, init=0.3, ping_after=0.2, pong_within=0.2, linger=0.2)
NOTE = encode(Error(ALL_CHANNELS, b"note"))


class CountingEntropy:
    """Distinct secrets, the same in every run."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._drawn = 0

    def draw(self) -> bytes:
        self._drawn += 1
        return sha256(f"{self._label} {self._drawn}".encode()).digest()


def identity(name: str) -> Identity:
    secret = Secret(sha256(name.encode()).digest())
    return Identity(
        NodeId(point_of(secret)), lambda point: ecdh(point, secret), CountingEntropy(name)
    )


class Recorder:
    """A `PeerListener` that writes down what it hears, and may be slow."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, NodeId, object]] = []
        self.partners: set[NodeId] = set()
        self.answer: Callable[[], object] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Event()

    def is_partner(self, node_id: NodeId) -> bool:
        return node_id in self.partners

    async def peer_connected(self, peer: Peer) -> None:
        self._note("connected", peer.node_id, peer)

    async def peer_message(self, node_id: NodeId, data: bytes) -> None:
        await self.gate.wait()
        self._note("message", node_id, data)
        self.answer()

    def peer_disconnected(self, node_id: NodeId, reason: str) -> None:
        self._note("disconnected", node_id, reason)

    def _note(self, kind: str, node_id: NodeId, what: object) -> None:
        self.heard.append((kind, node_id, what))
        self._news.set()

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.heard]

    def count(self, kind: str) -> int:
        return self.kinds.count(kind)

    def last(self, kind: str) -> object:
        return next(what for k, _, what in reversed(self.heard) if k == kind)

    async def until(self, kind: str, count: int = 1) -> object:
        async with asyncio.timeout(30):
            while self.count(kind) < count:
                self._news.clear()
                await self._news.wait()
        return self.last(kind)


class Node:
    def __init__(self, name: str, transport: TcpTransport, heard: Recorder, at: HostPort) -> None:
        self.name = name
        self.transport = transport
        self.heard = heard
        self.at = at
        self.id = identity(name).node_id

    async def connect(self, other: "Node") -> Peer:
        return await self.transport.connect(other.id, other.at.host, other.at.port)


@asynccontextmanager
async def running(
    name: str,
    *,
    features: Features = OUR_INIT,
    chain: Chain = REGTEST,
    times: LinkTimes = QUICK,
) -> AsyncIterator[Node]:
    heard = Recorder()
    transport = TcpTransport(identity(name), chain, features, heard, times)
    at = await transport.listen(LOOPBACK)
    try:
        yield Node(name, transport, heard, at)
    finally:
        heard.gate.set()
        await transport.close()


class Stranger:
    """A peer under the test's own control, after its handshake."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.session = session
        self._received: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.writer.write(self.session.send.encrypt(data))

    async def receive(self) -> bytes:
        async with asyncio.timeout(30):
            while not self._received:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self._received += self.session.receive.feed(data)
        return self._received.pop(0)


@asynccontextmanager
async def stranger_at(node: Node, *, init: bytes | None = None) -> AsyncIterator[Stranger]:
    reader, writer = await asyncio.open_connection(node.at.host, node.at.port)
    try:
        session = await initiate(reader, writer, identity("mallory"), node.id)
        stranger = Stranger(reader, writer, session)
        assert isinstance(decode(await stranger.receive()), Init)
        if init is not None:
            stranger.send(init)
        yield stranger
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


GOOD_INIT = encode(our_init(OUR_INIT, (REGTEST.chain_hash,)))


@pytest.fixture(autouse=True)
async def _nothing_logged(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Whatever a peer does, our log stays without warnings and the loop without lost exceptions."""
    lost: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    yield
    assert not lost
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_connect__both_hear_of_it_and_talk() -> None:
    async with running("alice") as alice, running("bob") as bob:
        peer = await alice.connect(bob)
        assert peer.outbound
        assert peer.address == str(bob.at)
        assert peer.features == OUR_INIT
        assert peer.negotiated.supports(Feature.OPTION_ANCHORS)
        theirs = await bob.heard.until("connected")
        assert isinstance(theirs, Peer)
        assert not theirs.outbound
        assert theirs.node_id == alice.id
        assert alice.transport.send(bob.id, NOTE)
        assert await bob.heard.until("message") == NOTE
        assert bob.transport.send(alice.id, NOTE)
        assert await alice.heard.until("message") == NOTE
        assert alice.transport.peers == [peer]


async def test_connect__twice_gives_the_same_peer() -> None:
    async with running("alice") as alice, running("bob") as bob:
        first, second = await asyncio.gather(alice.connect(bob), alice.connect(bob))
        assert first is second
        assert await alice.connect(bob) is first


async def test_send__many_messages_in_order() -> None:
    async with running("alice") as alice, running("bob") as bob:
        await alice.connect(bob)
        sent = [encode(Error(ALL_CHANNELS, b"%d" % n)) for n in range(1200)]
        for data in sent:
            alice.transport.send(bob.id, data)
        await bob.heard.until("message", len(sent))
        assert [what for kind, _, what in bob.heard.heard if kind == "message"] == sent


async def test_send__nobody_there() -> None:
    async with running("alice") as alice:
        assert not alice.transport.send(identity("bob").node_id, NOTE)
        alice.transport.disconnect(identity("bob").node_id, "anyway")


async def test_disconnect__what_was_queued_arrives() -> None:
    async with running("alice") as alice, running("bob") as bob:
        await alice.connect(bob)
        alice.transport.send(bob.id, NOTE)
        alice.transport.disconnect(bob.id, "enough")
        assert not alice.transport.send(bob.id, NOTE) or alice.heard.count("disconnected") == 0
        assert await bob.heard.until("message") == NOTE
        assert await bob.heard.until("disconnected") == "the peer hung up"
        assert await alice.heard.until("disconnected") == "enough"
        assert bob.heard.kinds == ["connected", "message", "disconnected"]
        assert alice.transport.peer(bob.id) is None


async def test_connect__nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with running("alice") as alice:
        with pytest.raises(Refused, match=rf"127.0.0.1:{port}: Connect") as refused:
            await alice.transport.connect(identity("bob").node_id, "127.0.0.1", port)
        assert refused.value.code == 401


async def test_connect__not_a_host() -> None:
    async with running("alice") as alice:
        with pytest.raises(Refused, match="not a host name"):
            await alice.transport.connect(identity("bob").node_id, "a..b", 1)


async def test_connect__another_node_answers() -> None:
    async with running("alice") as alice, running("bob") as bob:
        with pytest.raises(Refused, match="the right id") as refused:
            await alice.transport.connect(identity("carol").node_id, bob.at.host, bob.at.port)
        assert refused.value.code == 401
        assert not bob.heard.heard


async def test_connect__ourselves() -> None:
    async with running("alice") as alice:
        with pytest.raises(Refused, match="own id"):
            await alice.connect(alice)


async def test_connect__silent_server() -> None:
    silent: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: silent.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running("alice") as alice:
        with pytest.raises(Refused, match="handshake was not finished"):
            await alice.transport.connect(identity("bob").node_id, "127.0.0.1", port)
    server.close()
    for writer in silent:
        writer.close()


async def test_connect__other_chain() -> None:
    async with running("alice") as alice, running("bob", chain=MAINNET) as bob:
        with pytest.raises(Refused, match="other chains") as refused:
            await alice.connect(bob)
        assert refused.value.code == 402
        assert not alice.heard.heard
        assert not bob.heard.heard


async def test_connect__unknown_required_feature() -> None:
    odd = Features(OUR_INIT.bits | {100})
    async with running("alice") as alice, running("bob", features=odd) as bob:
        with pytest.raises(Refused, match="feature bit 100, which we do not support"):
            await alice.connect(bob)


async def test_init__empty_features_are_accepted() -> None:
    async with running("alice") as alice, stranger_at(alice, init=encode(Init(b"", b""))):
        peer = await alice.heard.until("connected")
        assert isinstance(peer, Peer)
        assert peer.features == Features()


async def test_init__the_peer_is_told_why_not() -> None:
    bad = encode(our_init(Features(frozenset({100})), (REGTEST.chain_hash,)))
    async with running("alice") as alice, stranger_at(alice, init=bad) as stranger:
        answer = decode(await stranger.receive())
        assert isinstance(answer, BoltWarning)
        assert "feature bit 100" in reason_of(answer)
        with pytest.raises(EOFError):
            await stranger.receive()


async def test_init__never_comes() -> None:
    async with running("alice") as alice, stranger_at(alice) as stranger:
        with pytest.raises((EOFError, ConnectionError)):
            await stranger.receive()
        assert not alice.heard.heard


async def test_replace__a_newer_link_from_the_same_peer() -> None:
    async with (
        running("alice") as alice,
        stranger_at(alice, init=GOOD_INIT) as old,
        asyncio.timeout(30),
    ):
        await alice.heard.until("connected")
        async with stranger_at(alice, init=GOOD_INIT) as new:
            await alice.heard.until("connected", 2)
            with pytest.raises((EOFError, ConnectionError)):
                await old.receive()
            new.send(NOTE)
            await alice.heard.until("message")
            assert alice.heard.kinds == ["connected", "disconnected", "connected", "message"]
            assert alice.heard.last("disconnected") == "the peer has connected anew"


async def test_crossing__both_dial_at_once_and_one_link_stays() -> None:
    for _ in range(5):
        async with running("alice") as alice, running("bob") as bob:
            await asyncio.gather(alice.connect(bob), bob.connect(alice))
            await asyncio.sleep(0.05)
            ours, theirs = alice.transport.peer(bob.id), bob.transport.peer(alice.id)
            assert ours is not None
            assert theirs is not None
            assert ours.outbound == (alice.id < bob.id)
            assert theirs.outbound != ours.outbound
            alice.transport.send(bob.id, NOTE)
            assert await bob.heard.until("message") == NOTE


async def test_listen__port_in_use() -> None:
    async with running("alice") as alice:
        other = TcpTransport(identity("bob"), REGTEST, OUR_INIT, Recorder(), QUICK)
        with pytest.raises(Refused, match="the port is in use"):
            await other.listen(alice.at)


# --- BOLT 1 on one link -------------------------------------------------------------------------


async def test_ping__is_answered_with_as_many_bytes() -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT) as stranger:
        stranger.send(encode(Ping(7, b"\0\0")))
        assert decode(await stranger.receive()) == Pong(bytes(7))
        stranger.send(encode(Ping(65_532, b"")))  # BOLT 1: must be ignored.
        stranger.send(encode(Ping(65_531, b"")))
        assert decode(await stranger.receive()) == Pong(bytes(65_531))
        assert alice.heard.kinds == ["connected"]


async def test_ping__keeps_a_quiet_link_alive() -> None:
    async with running("alice") as alice, running("bob") as bob:
        await alice.connect(bob)
        await asyncio.sleep(3 * QUICK.ping_after)
        assert alice.heard.kinds == ["connected"]
        assert bob.heard.kinds == ["connected"]


async def test_ping__a_dead_peer_is_dropped() -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT):
        assert await alice.heard.until("disconnected") == "the peer does not answer a ping"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (GOOD_INIT, "a second init"),
        (b"\x7f\xfe", "unknown message type 32766"),
        (b"\x07", "without a type"),
        (b"", "without a type"),
        (b"\x00\x12\x00", "ping"),
    ],
    ids=["second init", "unknown even type", "half a type", "empty", "short ping"],
)
async def test_message__that_ends_the_link(sent: bytes, told: str) -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT) as stranger:
        await alice.heard.until("connected")
        stranger.send(sent)
        stranger.send(NOTE)
        answer = decode(await stranger.receive())
        assert isinstance(answer, BoltWarning)
        assert told in reason_of(answer)
        stranger.writer.write_eof()
        assert told in str(await alice.heard.until("disconnected"))
        assert alice.heard.kinds == ["connected", "disconnected"]


async def test_message__unknown_odd_types_are_ignored() -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT) as stranger:
        stranger.send(b"\x7f\xff whatever")
        stranger.send(NOTE)
        assert await alice.heard.until("message") == NOTE
        assert alice.heard.kinds == ["connected", "message"]


@pytest.mark.parametrize("first", [NOTE, b"\x00\x10\xff", b""], ids=["error", "short", "empty"])
async def test_message__before_init(first: bytes) -> None:
    async with running("alice") as alice, stranger_at(alice, init=first) as stranger:
        with pytest.raises((EOFError, ConnectionError)):
            await stranger.receive()
        assert not alice.heard.heard


# --- what must not grow, hang or be logged ------------------------------------------------------


async def test_backpressure__a_busy_owner_stops_the_reading() -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT) as stranger:
        await alice.heard.until("connected")
        alice.heard.gate.clear()
        flood = encode(Error(ALL_CHANNELS, bytes(60_000)))
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                while sent < 2_000:
                    stranger.send(flood)
                    sent += 1
                    await stranger.writer.drain()
        assert sent < 2_000
        alice.heard.gate.set()
        await alice.heard.until("message", sent)


async def test_unread__a_peer_that_never_reads_is_dropped() -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT):
        await alice.heard.until("connected")
        big = encode(Error(ALL_CHANNELS, bytes(60_000)))
        for _ in range(2_000):
            alice.transport.send(identity("mallory").node_id, big)
        reason = await alice.heard.until("disconnected")
        assert reason == "the peer does not read what we send"


@pytest.mark.parametrize("partner", [False, True])
async def test_unread__a_stranger_is_heard_no_further_than_it_reads(partner: bool) -> None:
    patient = replace(QUICK, pong_within=5)
    async with (
        running("alice", times=patient) as alice,
        stranger_at(alice, init=GOOD_INIT) as stranger,
    ):
        await alice.heard.until("connected")
        if partner:
            alice.heard.partners.add(identity("mallory").node_id)
        answer = encode(Error(ALL_CHANNELS, bytes(50_000)))
        alice.heard.answer = partial(alice.transport.send, identity("mallory").node_id, answer)
        # More than two sockets can hold between them, but for a partner less than we queue for it.
        asked = 150 if partner else 400
        for _ in range(asked):
            stranger.send(NOTE)
        if partner:
            await alice.heard.until("message", asked)
            return
        heard = -1
        while heard < alice.heard.count("message"):
            heard = alice.heard.count("message")
            await asyncio.sleep(0.2)
        assert heard < asked
        assert alice.transport.unsent(identity("mallory").node_id) < STRANGER_UNSENT + 60_000
        # Once it reads, all it has said is heard.
        for _ in range(asked):
            assert await stranger.receive() == answer
        assert alice.heard.count("message") == asked


async def test_unread__part_of_a_message_is_no_sign_of_life() -> None:
    async with running("alice") as alice, stranger_at(alice, init=GOOD_INIT) as stranger:
        await alice.heard.until("connected")
        drips = stranger.session.send.encrypt(NOTE)
        for byte in drips[:-1]:
            stranger.writer.write(bytes((byte,)))
            await asyncio.sleep(QUICK.ping_after / 10)
            if alice.heard.count("disconnected"):
                break
        assert await alice.heard.until("disconnected") == "the peer does not answer a ping"


async def garbage_at_once(node: Node) -> None:
    _, writer = await asyncio.open_connection(node.at.host, node.at.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: leyden\r\n\r\n" + bytes(200))
    writer.write_eof()
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()


async def nothing_at_all(node: Node) -> None:
    reader, writer = await asyncio.open_connection(node.at.host, node.at.port)
    async with asyncio.timeout(30):
        assert await reader.read() == b""  # We are hung up on.
    writer.close()


async def reset_at_once(node: Node) -> None:
    _, writer = await asyncio.open_connection(node.at.host, node.at.port)
    writer.write(bytes(50))
    writer.transport.abort()


async def garbage_after(count: int, node: Node) -> None:
    async with stranger_at(node, init=GOOD_INIT) as stranger:
        for _ in range(count):
            stranger.send(NOTE)
        stranger.writer.write(bytes(100))
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                await stranger.receive()


@pytest.mark.parametrize(
    "attack",
    [
        garbage_at_once,
        nothing_at_all,
        reset_at_once,
        partial(garbage_after, 0),
        partial(garbage_after, 3),
    ],
    ids=["http", "silence", "reset", "bad frame", "bad frame later"],
)
async def test_hostile__others_are_served(attack: Callable[[Node], Awaitable[None]]) -> None:
    async with running("alice") as alice, running("bob") as bob:
        await attack(alice)
        await bob.connect(alice)
        bob.transport.send(alice.id, NOTE)
        async with asyncio.timeout(30):
            while (bob.id, NOTE) not in [(who, what) for _, who, what in alice.heard.heard]:
                await asyncio.sleep(0.01)


async def test_socket__sends_small_frames_at_once() -> None:
    async with running("alice") as alice:
        _, writer = await asyncio.open_connection(alice.at.host, alice.at.port)
        ours = writer.get_extra_info("socket")
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()


async def test_close__ends_links_and_tells() -> None:
    async with running("alice") as alice, running("bob") as bob:
        await alice.connect(bob)
        await alice.transport.close()
        assert alice.heard.last("disconnected") == "this node is stopping"
        await bob.heard.until("disconnected")
        with pytest.raises(Refused):
            await bob.connect(alice)
