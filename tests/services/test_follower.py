"""One line of blocks, whatever the backend does: seeded storms, and the embedded chain."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.support.chain_server import ChainServer
from tests.support.faucet import ADDRESS
from wallet.base.bitcoin.block import Block, BlockHeader
from wallet.base.bitcoin.chains import REGTEST, Chain
from wallet.base.errors import ServiceFault
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import (
    BlockConnected,
    BlockDisconnected,
    BlockRef,
    ChainEvent,
    ChainStart,
    ChainStatus,
)
from wallet.services.chain.answers import BackendTip
from wallet.services.chain.birthday import MARGIN_SECONDS
from wallet.services.chain.bitcoind import Bitcoind
from wallet.services.chain.endpoint import Endpoint
from wallet.services.chain.follower import Follower, Pace

GENESIS = BlockRef(BlockHeight(0), BlockHash(REGTEST.chain_hash))
QUICK = Pace(wait=0.05, first_retry=0.001, last_retry=0.004, idle=0)


_SIGNS: dict[type, str] = {ChainStart: "=", BlockConnected: "+", BlockDisconnected: "-"}
MINUTES = 600
"""Between the blocks of a model chain, in seconds; its genesis block is at zero."""


class Line:
    """A listener that checks the promise of chain_events.py at every event."""

    def __init__(self, recent: Sequence[BlockRef] = (GENESIS,)) -> None:
        self.line = list(recent)
        self.events: list[ChainEvent] = []
        self.statuses: list[ChainStatus] = []
        self._news = asyncio.Event()

    async def absorb(self, events: Sequence[ChainEvent]) -> None:
        assert events
        for event in events:
            match event:
                case ChainStart():
                    assert not self.events
                    self.line = [event.ref]
                case BlockConnected():
                    assert event.prev == self.tip.hash
                    assert event.height.height == self.tip.height.height + 1
                    self.line.append(event.ref)
                case BlockDisconnected():
                    assert BlockRef(event.height, event.hash) == self.tip
                    self.line.pop()
            self.events.append(event)
        self._news.set()

    def chain_status(self, status: ChainStatus) -> None:
        self.statuses.append(status)
        self._news.set()

    @property
    def tip(self) -> BlockRef:
        return self.line[-1] if self.line else GENESIS

    @property
    def status(self) -> ChainStatus:
        return self.statuses[-1]

    @property
    def story(self) -> str:
        """`+`, `-` and, for a start, `=` with heights: `-3 +3 +4`."""
        return " ".join(f"{_SIGNS[type(e)]}{e.height.height}" for e in self.events)

    async def until_tip(self, height: int, block_hash: BlockHash | None = None) -> None:
        async with asyncio.timeout(30):
            while self.tip.height.height != height or block_hash not in (None, self.tip.hash):
                self._news.clear()
                await self._news.wait()

    async def until_problem(self, words: str) -> ChainStatus:
        async with asyncio.timeout(30):
            while True:
                for status in self.statuses:
                    if words in status.problem:
                        return status
                self._news.clear()
                await self._news.wait()


class ModelChain:
    """A `BlockSource` in memory. With `dice`, trouble comes before any of its answers."""

    def __init__(self) -> None:
        self.best: list[BlockHash] = [GENESIS.hash]
        self.known: dict[BlockHash, Block] = {}
        self.headers: int | None = None
        self.dice: random.Random | None = None
        self.trouble = 0.0
        self.down = False
        self.most_blocks = 0
        self._nonce = count()
        self._bell = asyncio.Event()

    @property
    def tip(self) -> BlockRef:
        return BlockRef(BlockHeight(len(self.best) - 1), self.best[-1])

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            time = len(self.best) * MINUTES
            header = BlockHeader(1, self.best[-1], bytes(32), time, 0, next(self._nonce))
            self.known[header.hash] = Block(header, ())
            self.best.append(header.hash)
        self._bell.set()
        self._bell = asyncio.Event()

    def reorg(self, depth: int, extra: int = 1) -> None:
        depth = min(depth, len(self.best) - 1)
        del self.best[len(self.best) - depth :]
        self.mine(depth + extra)

    async def _trouble(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise ServiceFault("down for the test")
        if self.dice is None or self.dice.random() >= self.trouble:
            return
        match self.dice.randrange(4):
            case 0:
                raise ServiceFault("the dice say no")
            case 1:
                self.mine()
            case _:
                self.reorg(self.dice.randrange(1, 9), self.dice.randrange(1, 3))

    async def check_chain(self, chain: Chain) -> None:
        await self._trouble()
        assert chain is REGTEST

    async def backend_tip(self) -> BackendTip:
        await self._trouble()
        headers = BlockHeight(self.headers or self.tip.height.height)
        return BackendTip("regtest", self.tip, headers, headers > self.tip.height)

    async def block_hash(self, height: BlockHeight) -> BlockHash | None:
        await self._trouble()
        return self.best[height.height] if height <= self.tip.height else None

    async def block_time(self, block: BlockHash) -> int:
        await self._trouble()
        return self.known[block].header.time

    async def block_hashes(self, first: BlockHeight, count: int) -> list[BlockHash]:
        await self._trouble()
        return self.best[first.height : first.height + count]

    async def blocks(self, hashes: Sequence[BlockHash]) -> list[Block]:
        await self._trouble()
        self.most_blocks = max(self.most_blocks, len(hashes))
        return [self.known[block_hash] for block_hash in hashes]

    async def parent_of(self, block: BlockHash) -> BlockHash | None:
        await self._trouble()
        return self.known[block].header.previous if block in self.known else None

    async def wait_for_block(self, seconds: float, tip: BlockHash) -> None:
        if self.tip.hash != tip:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()


@asynccontextmanager
async def following(
    source: ModelChain | Bitcoind,
    line: Line,
    recent: Sequence[BlockRef] = (),
    pace: Pace = QUICK,
    birthday: int = 0,
) -> AsyncIterator[None]:
    task = asyncio.create_task(Follower(source, REGTEST, line, pace).run(recent, birthday))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task.exception()


async def test_follow__from_genesis_then_block_by_block() -> None:
    chain, line = ModelChain(), Line()
    chain.mine(3)
    async with following(chain, line):
        await line.until_tip(3)
        chain.mine()
        await line.until_tip(4)
        assert line.story == "+1 +2 +3 +4"
        assert line.status == ChainStatus(chain.tip, BlockHeight(4), BlockHeight(4))
        assert line.status.synced


async def test_follow__resumes_where_the_caller_stopped() -> None:
    chain = ModelChain()
    chain.mine(10)
    recent = [BlockRef(BlockHeight(h), chain.best[h]) for h in (6, 7)]
    line = Line(recent)
    async with following(chain, line, recent):
        await line.until_tip(10)
    assert line.story == "+8 +9 +10"
    latest = [event.latest for event in line.events if isinstance(event, BlockConnected)]
    assert latest == [False, False, True], "what is passed by is told from what has just come"


async def test_follow__a_new_wallet_begins_before_its_birthday() -> None:
    chain, line = ModelChain(), Line()
    chain.mine(1_000)
    chain.down = True
    born = 990 * MINUTES
    first = (born - MARGIN_SECONDS) // MINUTES - 1
    async with following(chain, line, birthday=born):
        await line.until_problem("down for the test")
        chain.down = False
        await line.until_tip(1_000)
        assert isinstance(line.events[0], ChainStart)
        assert line.events[0].height.height == first


async def test_follow__whoever_has_seen_blocks_has_no_birthday() -> None:
    chain = ModelChain()
    chain.mine(1_000)
    recent = [BlockRef(BlockHeight(7), chain.best[7])]
    line = Line(recent)
    async with following(chain, line, recent, birthday=990 * MINUTES):
        await line.until_tip(1_000)
        assert line.story.startswith("+8 ")


async def test_follow__a_chain_younger_than_the_wallet_is_read_whole() -> None:
    chain, line = ModelChain(), Line()
    chain.mine(5)
    async with following(chain, line, birthday=MARGIN_SECONDS):
        await line.until_tip(5)
        assert line.story == "+1 +2 +3 +4 +5"


async def test_follow__catches_up_in_batches() -> None:
    chain, line = ModelChain(), Line()
    chain.mine(500)
    async with following(chain, line):
        await line.until_tip(500)
    assert 16 <= chain.most_blocks <= 64


async def test_reorg__while_we_were_away() -> None:
    chain = ModelChain()
    chain.mine(5)
    recent = [BlockRef(BlockHeight(h), chain.best[h]) for h in range(6)]
    chain.reorg(2)
    line = Line(recent)
    async with following(chain, line, recent):
        await line.until_tip(6)
    assert line.story == "-5 -4 +4 +5 +6"


async def test_reorg__deeper_than_the_caller_remembers() -> None:
    chain = ModelChain()
    chain.mine(150)
    recent = [chain.tip]
    chain.reorg(120)
    line = Line([BlockRef(BlockHeight(0), GENESIS.hash), *recent])
    line.line = [
        BlockRef(BlockHeight(h), b) for h, b in enumerate(_ancestors(chain, recent[0].hash))
    ]
    async with following(chain, line, recent):
        await line.until_tip(151)
    assert line.story.startswith("-150 -149")
    assert line.story.count("-") == 120


def _ancestors(chain: ModelChain, tip: BlockHash) -> list[BlockHash]:
    found = [tip]
    while found[-1] != GENESIS.hash:
        found.append(chain.known[found[-1]].header.previous)
    return found[::-1]


async def test_reorg__of_the_same_height() -> None:
    chain, line = ModelChain(), Line()
    chain.mine(4)
    async with following(chain, line):
        await line.until_tip(4)
        chain.reorg(1, 0)
        await line.until_tip(4, chain.tip.hash)
    assert line.story == "+1 +2 +3 +4 -4 +4"


async def test_rollback__a_block_is_taken_back() -> None:
    chain, line = ModelChain(), Line()
    chain.mine(4)
    async with following(chain, line):
        await line.until_tip(4)
        chain.best.pop()
        await line.until_tip(3)
    assert line.story == "+1 +2 +3 +4 -4"


async def test_reindex__a_backend_behind_us_is_waited_for() -> None:
    """A backend that builds its chain again has not reorganised: nothing becomes unconfirmed."""
    chain, line = ModelChain(), Line()
    chain.mine(8)
    whole = list(chain.best)
    async with following(chain, line):
        await line.until_tip(8)
        for height in range(8):
            chain.best, chain.headers = whole[: height + 1], 8
            await asyncio.sleep(0.02)
            assert not line.status.synced
        chain.best, chain.headers = whole, None
        chain.mine()
        await line.until_tip(9)
    assert "-" not in line.story


async def test_foreign_chain__is_explained_and_nothing_is_undone() -> None:
    chain = ModelChain()
    chain.mine(5)
    stranger = BlockRef(BlockHeight(5), BlockHash(bytes(31) + b"\1"))
    line = Line([stranger])
    async with following(chain, line, [stranger]):
        status = await line.until_problem("does not know block 5")
        assert not status.reachable
        assert not status.synced
    assert not line.events


async def test_status__down_and_up_again() -> None:
    chain, line = ModelChain(), Line()
    chain.mine()
    async with following(chain, line):
        await line.until_tip(1)
        chain.down = True
        down = await line.until_problem("down for the test")
        assert down == replace(line.statuses[-2], problem="down for the test")
        assert not down.synced
        chain.down = False
        chain.mine()
        await line.until_tip(2)
        await asyncio.sleep(0.02)
        assert line.status.synced


@pytest.mark.parametrize("seed", range(40))
async def test_storm__one_line_whatever_happens(seed: int) -> None:
    """Reorganisations and faults between any two questions; then peace, and the tips agree."""
    chain, line = ModelChain(), Line()
    chain.mine(20)
    chain.dice = random.Random(seed)
    chain.trouble = chain.dice.choice((0.05, 0.2, 0.5))
    async with following(chain, line):
        await asyncio.sleep(0.1)
        chain.dice = None
        chain.mine()
        await line.until_tip(chain.tip.height.height, chain.tip.hash)
    assert [ref.hash for ref in line.line] == chain.best


async def test_busy_listener__holds_the_follower() -> None:
    chain, line = ModelChain(), Line()
    gate = asyncio.Event()
    absorb = line.absorb

    async def slow(events: Sequence[ChainEvent]) -> None:
        await gate.wait()
        await absorb(events)

    line.absorb = slow  # type: ignore[method-assign]
    chain.mine(300)
    async with following(chain, line):
        await asyncio.sleep(0.05)
        assert chain.most_blocks == 1
        gate.set()
        await line.until_tip(300)


# --- the embedded chain as backend --------------------------------------------------------------


async def test_embedded__mine_reorg_kill_restart(tmp_path: Path) -> None:
    """Deep reorganisation, SIGKILL and restart of the backend, and a restart of the follower."""
    with ChainServer(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        server.call("generatetoaddress", 130, ADDRESS)
        backend = Bitcoind(Endpoint.parse(server.url, server.cookie))
        line = Line()
        async with following(backend, line, pace=Pace(wait=5, first_retry=0.05)):
            await line.until_tip(130)
            (mined,) = server.call("generatetoaddress", 1, ADDRESS)
            await line.until_tip(131, BlockHash(bytes.fromhex(mined)[::-1]))
            connected = line.events[-1]
            assert isinstance(connected, BlockConnected)
            assert len(connected.transactions) == 1
            server.call("reorg", 110, ADDRESS)
            await line.until_tip(132)
            assert line.story.count("-") == 110
            await asyncio.to_thread(server.kill)
            await line.until_problem("no chain backend answers")
    with ChainServer(tmp_path, port) as server:
        recent = line.line[-20:]
        server.call("generatetoaddress", 2, ADDRESS)
        async with following(backend, line, recent):
            await line.until_tip(134)
            await asyncio.sleep(0.05)
            assert line.status.synced
        await backend.close()


async def test_embedded__the_next_block_comes_at_once(tmp_path: Path) -> None:
    with ChainServer(tmp_path) as server:
        backend = Bitcoind(Endpoint.parse(server.url, server.cookie))
        line = Line()
        async with following(backend, line, pace=Pace()):
            loop = asyncio.get_running_loop()
            taken = []
            for height in range(1, 11):
                await asyncio.sleep(0.05)
                started = loop.time()
                server.call("generatetoaddress", 1, ADDRESS)
                await line.until_tip(height)
                taken.append(loop.time() - started)
            # Generous: the long poll answers within milliseconds, polling would take a second.
            assert sorted(taken)[5] < 0.5
        await backend.close()
