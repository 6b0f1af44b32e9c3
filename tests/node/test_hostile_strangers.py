"""Strangers at the door of a running core, over real sockets: half connections, floods, lies.

Each story ends the same way: `getinfo` was answered all the time, Alice and Bob still pay each
other, the strangers have left nothing in memory, and Bob's log holds no fault of ours.
"""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.cores import Cores, channel_of, ready, two_cores, until
from tests.support.hostile import (
    GOOD_INIT,
    Caller,
    about,
    announcement,
    answering,
    call,
    heard_names,
    is_peer,
    knock,
    proposal,
    silent,
    sizes,
)
from wallet.base.bitcoin.chains import MAINNET
from wallet.base.values.features import OUR_INIT, Features
from wallet.base.values.ids import ALL_CHANNELS, ChannelId
from wallet.base.wire.message import LAYOUTS, encode
from wallet.base.wire.setup import Error, Ping, our_init
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel.state import Phase
from wallet.node.api import Api
from wallet.node.inbox import PER_PEER_BYTES
from wallet.services.peers.rooms import Room
from wallet.services.peers.transport import (
    CALLERS_PER_ADDRESS,
    STRANGERS_PER_ADDRESS,
)

BIGGEST = 65_535
OUR_PAYMENTS = 15
"""At most, in one story: so much may a map of payments grow, while strangers come in dozens."""
ABOUT_PEERS = {"peers", "known_peers", "openings", "channels", "frozen", "complaints"}
"""Maps that nothing may be left in."""


@asynccontextmanager
async def besieged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[tuple[Cores, Api]]:
    """Alice, and Bob who is attacked; they share a channel."""
    lost: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    async with two_cores(tmp_path) as cores:
        await cores.open()
        await cores.pay(cores.alice, cores.bob, 1_000_000, "before")
        before = sizes(cores.bob)
        async with answering(cores.bob):
            yield cores, cores.bob
        await until(lambda: ready(cores.alice) and ready(cores.bob), "the channel")
        await cores.pay(cores.alice, cores.bob, 1_000_000, "after")
        await cores.pay(cores.bob, cores.alice, 500_000, "and back")
        # A stranger who has hung up is not remembered, wherever one could look.
        with contextlib.suppress(AssertionError):
            await until(lambda: not grown(before, sizes(cores.bob)), "strangers to be forgotten")
        assert grown(before, sizes(cores.bob)) == {}
        assert channel_of(cores.bob).phase is Phase.READY
        assert cores.bob.core.kernel.board.memory.frozen == {}
        assert cores.bob.failure is None
    assert not lost, "exceptions that nobody caught"
    faults = [r for r in caplog.records if r.levelno >= logging.WARNING or r.exc_info]
    assert not faults, faults


def grown(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    """What has more entries than before and than our own payments explain."""
    return {
        name: size
        for name, size in now.items()
        if size > before[name] + (0 if name in ABOUT_PEERS or name[0].isupper() else OUR_PAYMENTS)
    }


def rooms_of(api: Api) -> tuple[Room, Room]:
    """Callers and strangers."""
    transport = api.core.transport
    return transport._callers, transport._strangers


async def alice_comes_back(cores: Cores) -> None:
    """The partner's link is cut in the middle of it all, and made anew."""
    cores.alice.core.transport.disconnect(cores.bob.node_id, "cut")
    await until(lambda: not ready(cores.alice), "the end of the link")
    await until(lambda: ready(cores.alice) and ready(cores.bob), "the partner's way back")


# --- connections --------------------------------------------------------------------------------


async def test_half_open_connections_keep_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with besieged(tmp_path, caplog) as (cores, bob):
        halves = []
        for number in range(300):
            _, writer = await knock(bob)
            halves.append(writer)
            # Some say nothing, some half of act one, some an act one that is not one.
            writer.write((b"", b"\0" * 25, b"\1" * 50)[number % 3])
            if number % 50 == 0:
                await asyncio.sleep(0)
                assert len(rooms_of(bob)[0]) <= CALLERS_PER_ADDRESS
        await alice_comes_back(cores)
        # And some are through with the handshake and say no `init`.
        halves += [(await silent(bob, f"silent {n}")).writer for n in range(100)]
        assert len(rooms_of(bob)[0]) <= CALLERS_PER_ADDRESS
        await alice_comes_back(cores)
        for writer in halves:
            writer.transport.abort()


async def test_a_crowd_of_strangers_leaves_room_for_a_partner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with besieged(tmp_path, caplog) as (cores, bob):
        crowd = [await call(bob, f"stranger {n}") for n in range(2 * STRANGERS_PER_ADDRESS)]
        await is_peer(bob, f"stranger {2 * STRANGERS_PER_ADDRESS - 1}")
        assert len(rooms_of(bob)[1]) <= STRANGERS_PER_ADDRESS
        assert len((await bob.memory()).peers) <= STRANGERS_PER_ADDRESS + 2
        await alice_comes_back(cores)
        await is_peer(bob, f"stranger {2 * STRANGERS_PER_ADDRESS - 1}")
        for caller in crowd:
            caller.hang_up()


async def test_a_storm_of_links_from_one_node(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with besieged(tmp_path, caplog) as (cores, bob):
        storm: list[Caller] = []
        for _ in range(30):
            storm += await asyncio.gather(*(call(bob, "mallory") for _ in range(5)))
        await alice_comes_back(cores)
        assert len((await bob.memory()).peers) <= 2
        for caller in storm:
            caller.hang_up()


# --- what is said first -------------------------------------------------------------------------


FIRST_WORDS: list[tuple[tuple[bytes, ...], list[str]]] = [
    ((GOOD_INIT, GOOD_INIT), ["init", "warning"]),
    ((encode(our_init(OUR_INIT, (MAINNET.chain_hash,))),), ["init", "warning"]),
    ((encode(our_init(Features(frozenset({200})), ())),), ["init", "warning"]),
    # Before a good `init` we may say nothing but ours, and that may be overtaken by the end.
    ((encode(Ping(1, b"")), GOOD_INIT), ["init"]),
    ((b"\x00\x10\xff\xff",), ["init"]),
    ((b"\x00\x10" + bytes(65_533),), ["init"]),
    ((b"\x00",), ["init"]),
    ((b"",), ["init"]),
]


async def test_first_words_and_frames_that_no_key_has_sealed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with besieged(tmp_path, caplog) as (_, bob):
        for first, answers in FIRST_WORDS * 3:
            caller = await call(bob, "mallory", *first)
            heard = heard_names(await caller.hear())
            assert heard in ([], answers) if answers == ["init"] else heard == answers
            caller.hang_up()
        chance = random.Random(8)
        for number in range(60):
            caller = await call(bob, "mallory")
            frame = bytearray(caller.frame(chance.randbytes(chance.choice((2, 40, BIGGEST)))))
            if number % 3 == 0:
                # The flow ends in the middle of a frame.
                del frame[chance.randrange(len(frame)) :]
            else:
                # The length's tag, the message or its tag are wrong.
                frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            caller.writer.write(frame)
            caller.writer.write_eof()
            await caller.hear()
            caller.hang_up()


# --- floods -------------------------------------------------------------------------------------


def rubbish(chance: random.Random) -> bytes:
    """The number of some message, known or not, and anything after it."""
    number = chance.choice((*sorted(LAYOUTS), chance.randrange(1 << 16), chance.randrange(600)))
    return number.to_bytes(2, "big") + chance.randbytes(chance.choice((0, 1, 33, 100, 2_000)))


def no_such_channel(chance: random.Random) -> bytes:
    """A message about a channel that nobody has."""
    numbers = [n for n in sorted(LAYOUTS) if n >= 32 and n not in (256, 257, 258)]
    return about(ChannelId(chance.randbytes(32)), chance.choice(numbers), 1_500)


def a_complaint(chance: random.Random) -> bytes:
    """`error` and `warning` in colours, with bells and line ends, about everything."""
    text = b"\x1b[31m\x07\r\n2026 ERROR Traceback (most recent call last)\xff\x00" * 40
    kind = chance.choice((Error, PeerWarning))
    return encode(kind(chance.choice((ALL_CHANNELS, ChannelId(chance.randbytes(32)))), text))


FLOODS = {
    "pings for the largest pongs": lambda _: encode(Ping(65_531, b"")),
    "pings without pongs": lambda _: encode(Ping(BIGGEST, bytes(65_000))),
    "small pings": lambda _: encode(Ping(0, b"")),
    "unknown odd messages": lambda chance: b"\x7f\xff" + chance.randbytes(10),
    "the largest unknown messages": lambda _: b"\x7f\xff" + bytes(65_533),
    "made-up channels": announcement,
    "complaints": a_complaint,
    "channels that do not exist": no_such_channel,
    "rubbish": rubbish,
}


ATTACKERS, FLOOD_SECONDS = (20, 5.0) if "LEYDEN_LONG" in os.environ else (4, 0.25)


async def test_floods(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with besieged(tmp_path, caplog) as (cores, bob):
        for kind, draw in FLOODS.items():
            chance = random.Random(kind)
            until_then = asyncio.get_running_loop().time() + FLOOD_SECONDS
            await asyncio.gather(
                *(flood(bob, f"{kind} {n}", draw, chance, until_then) for n in range(ATTACKERS)),
                cores.pay(cores.alice, cores.bob, 1_000_000, f"meanwhile {kind}"),
            )
            held = waiting_bytes(bob)
            assert held <= ATTACKERS * (PER_PEER_BYTES + BIGGEST), f"{held} bytes after {kind}"
            assert bob.core.kernel.board.memory.openings == {}, kind


async def flood(
    bob: Api,
    name: str,
    draw: Callable[[random.Random], bytes],
    chance: random.Random,
    until_then: float,
) -> None:
    """Call, flood, call again when hung up on, until it is time."""
    now = asyncio.get_running_loop().time
    while now() < until_then:
        caller = await call(bob, name)
        listening = asyncio.create_task(caller.hear(10))
        while now() < until_then and await caller.flood(*(draw(chance) for _ in range(10))):
            await asyncio.sleep(0)
        caller.hang_up()
        await listening


def waiting_bytes(api: Api) -> int:
    """What peers have said and nobody has looked at."""
    return sum(api.core.kernel.inbox._bytes.values())


async def test_openings_without_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    proposals = [proposal(n) for n in range(40)]
    async with besieged(tmp_path, caplog) as (_, bob):
        crowd = [await call(bob, f"opener {n}") for n in range(8)]
        for caller in crowd:
            # Forty channels, and one of them again and again: each time it begins anew.
            caller.send(*proposals, *(proposals[:1] * 200))
        heard = await asyncio.gather(*(caller.hear(1) for caller in crowd))
        assert len(bob.core.kernel.board.memory.openings) <= 4 * len(crowd)
        for names in map(heard_names, heard):
            assert names.count("error") == 36
        for caller in crowd:
            caller.hang_up()
