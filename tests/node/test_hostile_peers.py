"""Whatever a peer says, the worst that follows is a closed link or a failed channel.

Bytes below the message (handshake, frames, sizes, unknown types, pings) are in test_transport.py.
Here whole kernels hear well-formed and ill-formed messages: of strangers, about channels that do
not exist, twice, late, and changed at random.  None may leave a fault of ours in the log.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.cores import channel_of, two_cores
from tests.support.kernels import House, World, cut, link
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import ChannelId, NodeId, Secret, Signature
from wallet.base.wire.channel import ChannelReestablish, CommitmentSigned, OpenChannel, Shutdown
from wallet.base.wire.message import LAYOUTS, decode, encode
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.base.wire.setup import our_init
from wallet.machines.channel.state import LIVING, Phase
from wallet.machines.payments.records import PaymentStatus
from wallet.node.events import CloseChannel, PeerSaid
from wallet.node.peer_desk import COMPLAINTS_PER_HOUR
from wallet.services.peers.handshake import Identity, initiate
from wallet.services.world import SystemEntropy

SEEDS = 40
BLOWS = 6
UNKNOWN = ChannelId(bytes(range(32)))


@pytest.fixture
async def world(caplog: pytest.LogCaptureFixture) -> AsyncIterator[World]:
    """Alice and Bob with a channel; at the end nobody's log may hold a fault of ours."""
    async with World() as made:
        await made.opened()
        yield made
        await made.settle()
        for house in (made.alice, made.bob):
            assert house.kernel.board.memory.frozen == {}
    assert_no_fault_of_ours(caplog)


def assert_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """No traceback, no error line."""
    faults = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert not faults, faults


def hear(listener: House, speaker: NodeId, data: bytes) -> None:
    """The listener's inbox gets a message as if `speaker` had sent it."""
    listener.kernel.inbox.put_peer(speaker, PeerSaid(speaker, data))


async def still_serves(world: World) -> None:
    """Alice and Bob pay each other as if nothing had been."""
    await world.relink()
    for payer, payee in ((world.alice, world.bob), (world.bob, world.alice)):
        label = f"{payer.name} {len(world.journal)}"
        async with asyncio.timeout(30):
            done = await payer.pay(await payee.invoice(label))
        assert done.payment.status is PaymentStatus.COMPLETE
        await world.settle()


async def everything_once(world: World) -> list[bytes]:
    """Every message of a life: payments both ways, a reconnect, a close."""
    wire: list[bytes] = []
    for house in (world.alice, world.bob):
        house.transport.wire = wire
    await still_serves(world)
    channel_id = world.alice.channel.id
    await world.alice.kernel.command(lambda t: CloseChannel(t, channel_id, None, None, False))
    await world.settle()
    return wire


async def recorded() -> list[bytes]:
    """`everything_once` of another pair."""
    async with World() as world:
        wire: list[bytes] = []
        for house in (world.alice, world.bob):
            house.transport.wire = wire
        await world.opened()
        return wire + await everything_once(world)


# --- strangers ----------------------------------------------------------------------------------


async def test_strangers_may_say_anything(world: World) -> None:
    mallory = House("mallory", world.journal, [])
    link(mallory, world.bob)
    await world.settle()
    wire = await recorded()
    assert len({data[:2] for data in wire}) >= 12
    for data in wire:
        if data[:2] == OpenChannel.type.to_bytes(2, "big"):
            continue
        for _ in range(2):
            hear(world.bob, mallory.id, data)
        await world.settle()
    assert world.bob.channel.phase is Phase.READY, "a stranger's word counts for a channel"
    await still_serves(world)


async def test_an_unknown_channel_is_answered_with_an_error(world: World) -> None:
    """BOLT 1, BOLT 2: the peer may then close what only it still knows of."""
    point = world.bob.channel.our_points[0]
    unknown = ChannelReestablish(UNKNOWN, 1, 0, Secret(bytes(32)), point)
    hear(world.bob, world.alice.id, encode(unknown))
    await world.settle()
    assert world.sent(world.bob) == ["channel_reestablish", "error"]
    hear(world.bob, world.alice.id, encode(CommitmentSigned(UNKNOWN, Signature(bytes(64)), ())))
    hear(world.bob, world.alice.id, encode(Shutdown(UNKNOWN, b"")))
    await world.settle()
    assert world.sent(world.bob) == ["channel_reestablish", "error", "warning", "warning"]
    await still_serves(world)


async def test_messages_without_sense_close_the_link_only(world: World) -> None:
    for number in sorted(LAYOUTS):
        for body in (b"", b"\x00", bytes(32), bytes(range(256)), bytes(65_000)):
            hear(world.bob, world.alice.id, number.to_bytes(2, "big") + body)
            await world.settle()
            if world.alice.id not in world.bob.transport.linked:
                link(world.alice, world.bob)
                await world.settle()
    for number in (0x8001, 0x8000):
        hear(world.bob, world.alice.id, number.to_bytes(2, "big") + b"of no known type")
    await world.settle()
    assert world.bob.channel.phase in {Phase.READY, Phase.FAILED}
    await world.bob.invoice("still there")


async def test_openings_without_end_are_refused(world: World) -> None:
    wire = await recorded()
    proposal = next(m for m in map(decode, wire) if isinstance(m, OpenChannel))
    mallory = House("mallory", world.journal, [])
    link(mallory, world.bob)
    await world.settle()
    for number in range(40):
        temporary = ChannelId(number.to_bytes(32, "big"))
        another = replace(proposal, temporary_channel_id=temporary)
        hear(world.bob, mallory.id, encode(another))
    await world.settle()
    assert len(world.bob.kernel.board.memory.openings) <= 4
    assert world.sent(world.bob).count("error") == 36
    cut(mallory, world.bob)
    await world.settle()
    assert world.bob.kernel.board.memory.openings == {}
    await still_serves(world)


async def test_complaints_fill_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Of a peer with a channel some are logged, in printable ASCII; then it may talk on unheard."""
    caplog.set_level(logging.INFO)
    ugly = b"\x1b[2J\r\nERROR all is lost\x07" * 20
    for _ in range(500):
        hear(world.bob, world.alice.id, encode(PeerWarning(world.bob.channel.id, ugly)))
    await world.settle()
    lines = [r.getMessage() for r in caplog.records if "all is lost" in r.getMessage()]
    assert len(lines) == COMPLAINTS_PER_HOUR
    assert all(line.isascii() and line.isprintable() for line in lines)
    await still_serves(world)


async def test_a_stranger_at_the_door_of_a_running_core(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over a real socket: garbage, the largest message, unknown types; then business as usual."""
    secret = Secret(sha256(b"mallory"))
    mallory = Identity(NodeId(point_of(secret)), lambda point: ecdh(point, secret), SystemEntropy())
    nonsense = [
        None,
        (0x8001).to_bytes(2, "big") + bytes(65_533),
        (0x8000).to_bytes(2, "big") + bytes(65_533),
        *(number.to_bytes(2, "big") + bytes(70) for number in sorted(LAYOUTS)),
    ]
    async with two_cores(tmp_path) as cores:
        await cores.open()
        host, _, port = cores.bob.listening.rpartition(":")
        for message in nonsense:
            reader, writer = await asyncio.open_connection(host, int(port))
            session = await initiate(reader, writer, mallory, cores.bob.node_id)
            init = encode(our_init(OUR_INIT, (REGTEST.chain_hash,)))
            writer.write(session.send.encrypt(init))
            # Without a message: bytes that no key has sealed.
            writer.write(bytes(500) if message is None else session.send.encrypt(message))
            writer.write_eof()
            async with asyncio.timeout(30):
                while await reader.read(1 << 16):
                    pass
            writer.close()
        await cores.pay(cores.alice, cores.bob, 1_000_000, "afterwards")
        assert channel_of(cores.bob).phase is Phase.READY
    assert_no_fault_of_ours(caplog)


# --- a partner gone bad -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_partner_may_do_anything(world: World, seed: int) -> None:
    """Duplicates, old messages, other orders, and bytes changed at random, in mid-payment."""
    chance = random.Random(seed)
    alice, bob = world.alice, world.bob
    wire: list[bytes] = []
    alice.transport.wire = bob.transport.wire = wire
    for number in range(BLOWS):
        if bob.channel.phase not in LIVING:
            break
        payer, payee = chance.sample((alice, bob), 2)
        paying = payer.pay(await payee.invoice(f"{seed} {number}"))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        hear(bob, alice.id, blow(chance, wire, bob.channel.id))
        await world.settle()
        paying.cancel()
        await world.relink()
    phase = bob.channel.phase
    assert phase in {Phase.READY, Phase.FAILED, Phase.SHUTTING_DOWN, Phase.NEGOTIATING}, phase
    if phase is Phase.FAILED:
        assert any(e.who == "bob" and e.what == "broadcast" for e in world.journal)
        assert bob.channel.error is not None


def blow(chance: random.Random, wire: list[bytes], channel_id: bytes) -> bytes:
    """A message that nobody should send now."""
    data = bytearray(chance.choice(wire) if wire else b"\x00\x80" + channel_id)
    at = chance.randrange(2, len(data)) if len(data) > 2 else 0
    match chance.randrange(6):
        case 0:
            pass
        case 1:
            data[at] ^= 1 << chance.randrange(8)
        case 2:
            del data[at:]
        case 3:
            data += chance.randbytes(chance.randrange(1, 40))
        case 4:
            data[34:42] = chance.choice((bytes(8), b"\xff" * 8, b"\x7f" + b"\xff" * 7))
        case _:
            number = chance.choice(sorted(LAYOUTS))
            data[:2] = number.to_bytes(2, "big")
            data[2:34] = channel_id
    return bytes(data)
