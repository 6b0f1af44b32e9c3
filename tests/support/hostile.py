"""A peer that does as it likes, over a real socket; and what a core under attack must still do.

Below the handshake it may write any bytes; above it, any message, well-formed or not.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import fields

from tests.support.pair import context, policy
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2wpkh
from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import ChannelId, KeysId, NodeId, Secret, ShortChannelId, Signature
from wallet.base.wire.channel import OpenChannel
from wallet.base.wire.gossip import ChannelAnnouncement
from wallet.base.wire.message import Message, decode, encode
from wallet.base.wire.setup import our_init
from wallet.faces.rpc.methods.node import getinfo
from wallet.faces.rpc.params import Args
from wallet.machines.channel import actions, opening, opening_rules
from wallet.machines.noise import Session
from wallet.machines.signing import ChannelKeys, DeriveChannel
from wallet.node.api import Api
from wallet.services.peers.handshake import Identity, initiate
from wallet.services.vault.signer import LocalSigner
from wallet.services.world import SystemEntropy

GOOD_INIT = encode(our_init(OUR_INIT, (REGTEST.chain_hash,)))
ANSWER_SECONDS = 1.0
"""Within which a core under attack answers `getinfo`: of the process, not of a busy machine."""


def identity(name: str) -> Identity:
    """A node id that belongs to a name."""
    secret = Secret(sha256(name.encode()))
    return Identity(NodeId(point_of(secret)), lambda point: ecdh(point, secret), SystemEntropy())


class Caller:
    """A connection after its handshake."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.session = session

    def frame(self, data: bytes) -> bytes:
        """The sealed bytes of one message."""
        return self.session.send.encrypt(data)

    def send(self, *messages: bytes) -> None:
        """Write; nobody waits."""
        self.writer.write(b"".join(map(self.frame, messages)))

    async def flood(self, *messages: bytes) -> bool:
        """Write as fast as they read; False when they have hung up."""
        try:
            self.send(*messages)
            await self.writer.drain()
        except OSError:
            return False
        return not self.writer.is_closing()

    async def hear(self, seconds: float = 5.0) -> list[bytes]:
        """Everything they say until they hang up, or for so long."""
        heard: list[bytes] = []
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(seconds):
                while data := await self.reader.read(1 << 16):
                    heard += self.session.receive.feed(data)
        return heard

    def hang_up(self) -> None:
        """At once."""
        self.writer.transport.abort()


def door(api: Api) -> tuple[str, int]:
    """Where a core listens."""
    host, _, port = api.listening.rpartition(":")
    return host, int(port)


async def knock(api: Api) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection and nothing more."""
    return await asyncio.open_connection(*door(api))


async def call(api: Api, name: str, *first: bytes) -> Caller:
    """A connection with a finished handshake and what is said first: by default `init`."""
    caller = await silent(api, name)
    caller.send(*(first or (GOOD_INIT,)))
    return caller


async def silent(api: Api, name: str) -> Caller:
    """A handshake, and then nothing."""
    reader, writer = await knock(api)
    session = await initiate(reader, writer, identity(name), api.node_id)
    return Caller(reader, writer, session)


async def is_peer(api: Api, name: str) -> None:
    """Until the kernel knows of a caller."""
    async with asyncio.timeout(30):
        while identity(name).node_id not in (await api.memory()).peers:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def answering(api: Api) -> AsyncIterator[None]:
    """Somebody asks `getinfo` again and again, and is answered within a second each time."""
    slowest = 0.0

    async def ask() -> None:
        nonlocal slowest
        while True:
            asked = time.process_time()
            await getinfo(api, Args())
            slowest = max(slowest, time.process_time() - asked)
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(ask())
    try:
        yield
        async with asyncio.timeout(30):
            await getinfo(api, Args())
    finally:
        asking.cancel()
    assert slowest < ANSWER_SECONDS, f"getinfo took {slowest:.2f} s while the core was attacked"


def sizes(api: Api) -> dict[str, int]:
    """How many entries each collection of a core has: memory, inbox, transport, kernel."""
    core = api.core
    memory = core.kernel.board.memory
    found = {f.name: getattr(memory, f.name) for f in fields(memory)}
    for owner in (core.kernel.inbox, core.transport, core.kernel):
        found |= {f"{type(owner).__name__}{k}": v for k, v in vars(owner).items()}
    return {name: len(value) for name, value in found.items() if hasattr(value, "__len__")}


# --- messages that somebody could send ----------------------------------------------------------


def proposal(number: int) -> bytes:
    """A good `open_channel` with a `temporary_channel_id` of its own."""
    signer = LocalSigner(sha256(b"proposer") * 2, REGTEST)
    keys_id = KeysId(bytes(16))
    (keys,) = signer.answer([DeriveChannel(keys_id, 1)])
    assert isinstance(keys, ChannelKeys)
    request = opening_rules.OpenRequest(
        signer.node_id, Satoshi(1_000_000), MilliSatoshi(0), FeeratePerKw(253), announce=False
    )
    script = p2wpkh(point_of(sha256(b"proposer")))
    started = opening.open_channel(
        request, policy(), keys_id, 1, keys, script, OUR_INIT, context(seed=number)
    )
    [wish] = started.actions
    assert isinstance(wish, actions.Send)
    assert isinstance(wish.message, OpenChannel)
    return encode(wish.message)


def announcement(chance: random.Random) -> bytes:
    """A `channel_announcement` of a made-up channel; nobody has signed it."""
    one, two, three, four = (point_of(Secret(sha256(chance.randbytes(8)))) for _ in range(4))
    signature = Signature(sha256(chance.randbytes(8)) * 2)
    return encode(
        ChannelAnnouncement(
            *(signature, signature, signature, signature),
            features=b"",
            chain_hash=REGTEST.chain_hash,
            short_channel_id=ShortChannelId.from_int(chance.getrandbits(50)),
            node_id_1=NodeId(min(one, two)),
            node_id_2=NodeId(max(one, two)),
            bitcoin_key_1=three,
            bitcoin_key_2=four,
        )
    )


def about(channel_id: ChannelId, number: int, body: int = 64) -> bytes:
    """A message of some type about some channel, with zeros for the rest."""
    return number.to_bytes(2, "big") + channel_id + bytes(body)


def heard_names(heard: list[bytes]) -> list[str]:
    """The BOLTs' names of what was said."""
    return [m.name for m in map(decode, heard) if isinstance(m, Message)]
