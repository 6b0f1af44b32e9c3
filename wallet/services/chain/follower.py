"""Follows the best chain from a stored block and hands every block on, in one line.

Rule 1: the listener hears what chain_events.py promises, whatever the backend does meanwhile:
reorganise, restart, vanish, answer nonsense.
Rule 2: the follower stores nothing. It starts from the blocks that its caller remembers; what the
listener has absorbed is its caller's to store.
Rule 3: a wait names the tip that we know, so that a block that came since our last look ends it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import Chain
from wallet.base.errors import ServiceFault
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import (
    BlockConnected,
    BlockDisconnected,
    BlockRef,
    ChainStart,
    ChainStatus,
)
from wallet.services.chain.birthday import Headers, last_before
from wallet.services.ports import ChainListener

REMEMBERED: Final = 1000
"""Blocks below the tip that are kept for reorganisations; deeper ones ask the backend."""

_MAX_BATCH: Final = 64
_BATCH_TRANSACTIONS: Final = 2_000


class BlockSource(Headers, Protocol):
    """Where blocks come from; `Bitcoind` is one. Every method may raise `ServiceFault`."""

    async def check_chain(self, chain: Chain) -> None:
        """Raise `ServiceFault` if the source serves another chain."""

    async def block_hashes(self, first: BlockHeight, count: int) -> list[BlockHash]:
        """The best chain's blocks from `first` on."""

    async def blocks(self, hashes: Sequence[BlockHash]) -> list[Block]:
        """Whole blocks."""

    async def parent_of(self, block: BlockHash) -> BlockHash | None:
        """The block before `block`."""

    async def wait_for_block(self, seconds: float, tip: BlockHash) -> None:
        """Return when the tip is another than `tip`, or after `seconds`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of one wait for a block, and between attempts while the backend fails."""

    wait: float = 10.0
    first_retry: float = 0.25
    last_retry: float = 8.0
    idle: float = 0.02
    """After a wake-up that brought nothing: a backend that cannot wait must not be hammered."""


class Follower:
    """One line of blocks from `source` to `listener`."""

    def __init__(
        self,
        source: BlockSource,
        chain: Chain,
        listener: ChainListener,
        pace: Pace = Pace(),
    ) -> None:
        self._source = source
        self._chain = chain
        self._listener = listener
        self._pace = pace
        self._line: deque[BlockRef] = deque(maxlen=REMEMBERED)
        self._batch = 1
        self._backend_tip = BlockHash(chain.chain_hash)
        self._status: ChainStatus | None = None

    async def run(self, recent: Sequence[BlockRef], birthday: int = 0) -> NoReturn:
        """Follow until cancelled.

        `recent` holds the blocks that the listener has seen last, oldest first, without gaps; it
        hears what follows the newest.  Empty means the genesis block, or the last block before
        `birthday` (Unix seconds, 0 unknown), which the listener is told as its `ChainStart`.
        """
        genesis = BlockRef(BlockHeight(0), BlockHash(self._chain.chain_hash))
        self._line.clear()
        self._line.extend(recent or (genesis,))
        fresh = bool(birthday) and not recent
        retry = self._pace.first_retry
        while True:
            try:
                await self._source.check_chain(self._chain)
                if fresh:
                    await self._begin(birthday)
                    fresh = False
                while True:
                    await self._follow_once()
                    retry = self._pace.first_retry
            except ServiceFault as fault:
                # The next attempt may meet larger blocks than this one could digest.
                self._batch = 1
                self._report_problem(str(fault))
                await asyncio.sleep(retry)
                retry = min(retry * 2, self._pace.last_retry)

    @property
    def _tip(self) -> BlockRef:
        return self._line[-1]

    async def _begin(self, birthday: int) -> None:
        start = await last_before(self._source, birthday)
        if start is not None:
            await self._listener.absorb([ChainStart(start.height, start.hash)])
            self._line.clear()
            self._line.append(start)

    async def _follow_once(self) -> None:
        """Catch up with the tip, then wait for the next block."""
        if not await self._catch_up():
            await asyncio.sleep(self._pace.idle)
        await self._source.wait_for_block(self._pace.wait, self._backend_tip)

    async def _catch_up(self) -> bool:
        """Hand on all there is; whether that was anything.

        A backend that is building its chain again is behind us without any reorganisation: to take
        its word for it would make every channel unconfirmed.
        """
        before = self._tip
        while True:
            best = await self._source.backend_tip()
            self._backend_tip = best.tip.hash
            self._report(best.tip.height, best.headers)
            behind = best.catching_up and best.tip.height < self._tip.height
            if behind or best.tip == self._tip:
                return self._tip != before
            await self._rewind()
            await self._advance(best.tip.height)
            self._report(best.tip.height, best.headers)

    async def _rewind(self) -> None:
        """Take blocks off until the tip is on the best chain."""
        while await self._source.block_hash(self._tip.height) != self._tip.hash:
            gone = self._tip
            below = self._line[-2] if len(self._line) > 1 else await self._look_below(gone)
            await self._listener.absorb([BlockDisconnected(gone.height, gone.hash)])
            self._line.pop()
            if not self._line:
                self._line.append(below)

    async def _look_below(self, block: BlockRef) -> BlockRef:
        """The parent of the oldest block remembered: only the backend can still know it."""
        parent = await self._source.parent_of(block.hash) if block.height.height else None
        if parent is None:
            raise ServiceFault(
                f"the chain backend does not know {block}, which this wallet has seen: it has "
                "another chain or an old copy of this one; give it back its data, or the right "
                "--chain"
            )
        return BlockRef(BlockHeight(block.height.height - 1), parent)

    async def _advance(self, best: BlockHeight) -> None:
        """Hand on the next blocks, as many as one batch holds; the best chain ends at `best`."""
        first = BlockHeight(self._tip.height.height + 1)
        hashes = await self._source.block_hashes(first, self._batch)
        blocks = await self._source.blocks(hashes)
        events: list[BlockConnected] = []
        tip = self._tip
        for block_hash, block in zip(hashes, blocks, strict=True):
            if block.header.previous != tip.hash:
                break  # The chain was reorganised while we asked; `_catch_up` looks again.
            height = BlockHeight(tip.height.height + 1)
            latest = height >= best
            events.append(BlockConnected(height, block_hash, tip.hash, block.transactions, latest))
            tip = BlockRef(height, block_hash)
        if not events:
            return
        await self._listener.absorb(events)
        self._line.extend(event.ref for event in events)
        if sum(len(block.transactions) for block in blocks) < _BATCH_TRANSACTIONS:
            self._batch = min(_MAX_BATCH, self._batch * 2)
        else:
            self._batch = max(1, self._batch // 2)

    def _report(self, backend_height: BlockHeight, headers: BlockHeight) -> None:
        self._tell(ChainStatus(self._tip, backend_height, headers))

    def _report_problem(self, problem: str) -> None:
        last = self._status
        height = last.backend_height if last else self._tip.height
        headers = last.headers if last else self._tip.height
        self._tell(ChainStatus(self._tip, height, headers, problem))

    def _tell(self, status: ChainStatus) -> None:
        if status != self._status:
            self._status = status
            self._listener.chain_status(status)
