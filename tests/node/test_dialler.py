"""Peers that went away are dialled again, each at its own pace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.kernels import World, cut
from wallet.base.errors import Refused
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import NodeId
from wallet.machines.channel.state import Phase
from wallet.node import dialler
from wallet.node.dialler import LONGEST_WAIT, Dialler, Pace
from wallet.node.memory import ConnectedPeer, KnownPeer
from wallet.services.ports import Peer


class Line:
    """A `Transport` that counts calls; whoever answers hangs up after `lasts` seconds."""

    def __init__(self, world: World, *, lasts: float | None) -> None:
        self._world = world
        self._lasts = lasts
        self._there: Peer | None = None
        self.calls = 0
        self.gone = asyncio.Event()

    async def connect(self, node_id: NodeId, host: str, port: int) -> Peer:
        """There, for a while."""
        self.calls += 1
        if self._lasts is None:
            raise Refused("nobody is there", 401)
        self._there = Peer(node_id, f"{host}:{port}", True, OUR_INIT, OUR_INIT)
        asyncio.get_running_loop().call_later(self._lasts, self._hang_up)
        return self._there

    def _hang_up(self) -> None:
        self._there = None
        self.gone.set()

    def send(self, node_id: NodeId, data: bytes) -> bool:
        """To nobody."""
        return False

    def disconnect(self, node_id: NodeId, reason: str) -> None:
        """Nobody is there."""

    def peer(self, node_id: NodeId) -> Peer | None:
        """Who is there."""
        return self._there


@asynccontextmanager
async def dialling(world: World, *, lasts: float | None) -> AsyncIterator[Line]:
    """Alice has lost Bob, and her dialler looks for him."""
    cut(world.alice, world.bob)
    await world.settle()
    memory = world.alice.kernel.board.memory
    memory.known_peers[world.bob.id] = KnownPeer(world.bob.id, "127.0.0.1:9", b"")
    line = Line(world, lasts=lasts)
    work = asyncio.create_task(Dialler(world.alice.kernel, line, line.gone).run())
    try:
        yield line
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Alice and Bob with a channel; waiting is short."""
    monkeypatch.setattr(dialler, "FIRST_WAIT", 0.01)
    async with World() as made:
        await made.opened()
        yield made


async def test_a_peer_that_hangs_up_at_once_is_not_called_all_the_time(world: World) -> None:
    async with dialling(world, lasts=0.0) as line:
        await asyncio.sleep(0.5)
        assert 3 <= line.calls <= 8


async def test_others_who_come_and_go_do_not_hurry_it(world: World) -> None:
    async with dialling(world, lasts=None) as line:
        for _ in range(50):
            line.gone.set()
            await asyncio.sleep(0.01)
        assert 3 <= line.calls <= 8


@pytest.mark.parametrize("lasts", [0.0, 1.2, 1.9])
def test_a_peer_that_speaks_after_a_second_and_hangs_up_is_called_ever_less(lasts: float) -> None:
    """Electrum, while a channel of ours with it has failed and is not closed by a block yet."""
    now, pace = 0.0, Pace(0.0, dialler.FIRST_WAIT)
    pauses = []
    for _ in range(12):
        pace.up_since, now = now, now + lasts
        pace.gone(now)
        pauses.append(round(pace.due - now, 6))
        now = pace.due
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_WAIT


async def test_a_link_that_lasted_is_made_again_soon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialler, "LASTED", 0.03)
    async with dialling(world, lasts=0.04) as line:
        await asyncio.sleep(0.6)
        assert line.calls >= 6


async def test_a_peer_is_dialled_before_the_kernel_has_heard_that_it_went(world: World) -> None:
    """A busy kernel has a hundred words of the peer to absorb before it learns of the end."""
    async with dialling(world, lasts=10.0) as line:
        await asyncio.sleep(0.05)
        assert line.calls == 1
        memory = world.alice.kernel.board.memory
        bob = ConnectedPeer(world.bob.id, "127.0.0.1:9", True, OUR_INIT)
        memory.peers[world.bob.id] = bob
        line._hang_up()
        await asyncio.sleep(0.1)
        del memory.peers[world.bob.id]
        await asyncio.sleep(0.3)
        assert line.calls == 2, "nobody wakes the dialler again once the kernel has heard"


@pytest.mark.parametrize("old", [True, False])
async def test_only_the_peer_can_close_what_we_have_an_old_copy_of(world: World, old: bool) -> None:
    """It must hear of it; after a failure of another kind our commitment is on its way."""
    memory = world.alice.kernel.board.memory
    channel = world.alice.channel
    async with dialling(world, lasts=10.0) as line:
        memory.channels[channel.id] = replace(channel, phase=Phase.FAILED, fell_behind=old)
        await asyncio.sleep(0.1)
        assert line.calls == old
