"""The chain: an engine that judges, a log that remembers, an index that answers.

Every block that the engine accepts is logged and indexed in one SQLite transaction, then answered
for: a killed process loses nothing. At start the engine is rebuilt by replaying the log, in the
order in which blocks came, so that ties are decided as they were.
"""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from wallet.base.bitcoin.block import Block
from wallet.base.errors import InvariantBroken, Refused, ServiceFault
from wallet.base.values.ids import BlockHash
from wallet.services.regtest.engine import DUPLICATE, Engine
from wallet.services.regtest.index import ChainIndex

OpenEngine = Callable[[Path], Engine]
"""Opens a fresh engine that may use the given directory for its scratch files."""

DUPLICATE_INVALID: Final = "duplicate-invalid"
BAD_PREVIOUS: Final = "bad-prevblk"
PREVIOUS_NOT_FOUND: Final = "prev-blk-not-found"


@dataclass(frozen=True, slots=True)
class ChainChange:
    """How the active chain moved: blocks taken off (tip first), then put on (oldest first)."""

    disconnected: tuple[tuple[int, Block], ...] = ()
    connected: tuple[tuple[int, Block], ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a block. `rejected` is Core's reason, None if it was accepted."""

    rejected: str | None
    change: ChainChange = ChainChange()


class Chain:
    """One chain directory: at most one process, and in it one `Chain`, may have it open."""

    def __init__(self, directory: Path, open_engine: OpenEngine) -> None:
        """Open or create `directory`; raises `Refused` when another process has it open."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(directory)
        self._scratch = directory / "engines"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._open_engine = open_engine
        self.index = ChainIndex(directory / "chain.sqlite3")
        self.engine = self._rebuilt_engine()
        self._follow()

    def close(self) -> None:
        """Close engine and database and let the directory go."""
        self.engine.close()
        self.index.close()
        self._lock.close()

    @property
    def height(self) -> int:
        """Height of the active chain's tip."""
        return self.index.height

    @property
    def tip(self) -> BlockHash:
        """Hash of the active chain's tip."""
        return self.hash_at(self.index.height)

    def hash_at(self, height: int) -> BlockHash:
        """Hash of the active chain's block at `height`, which must exist."""
        block_hash = self.index.hash_at(height)
        if block_hash is None:
            raise InvariantBroken(f"no block at height {height}")
        return block_hash

    @property
    def median_time_past(self) -> int:
        """BIP 113 median time past of the tip, Unix seconds."""
        return self.index.median_time_past(self.tip)

    def submit(self, block: Block) -> Submission:
        """Offer a block to the engine; log it and follow the engine if it is accepted."""
        raw, block_hash, previous = block.encode(), block.hash, block.header.previous
        held_back = self.index.held_back()
        if block_hash in held_back:
            return Submission(DUPLICATE_INVALID)
        if previous in held_back:
            return Submission(BAD_PREVIOUS)
        reason = self.engine.submit(raw)
        if reason is not None and (reason == DUPLICATE or self._engine_has_tip()):
            return Submission(reason)
        parent = self.index.header(previous)
        if parent is None:
            raise InvariantBroken("the engine accepted a block without a parent")
        try:
            with self.index.transaction():
                if reason is None:
                    self.index.append(block_hash, parent[1] + 1, raw)
                return Submission(reason, self._catch_up())
        except sqlite3.Error as error:
            # The engine is ahead of the log now; put it back, or the next block would be lost.
            self._rebuild()
            raise ServiceFault(
                f"the chain's database cannot be written ({error}); "
                "free some disk space and offer the block again"
            ) from None

    def _engine_has_tip(self) -> bool:
        """Whether the engine's active chain ends where the index does."""
        return self.engine.height == self.height and self.engine.hash_at(self.height) == self.tip

    def invalidate(self, block_hash: BlockHash) -> ChainChange:
        """Hold back a block and all that descend from it (Core's invalidateblock)."""
        self.index.set_invalidated(self.index.invalidated() | {block_hash})
        return self._rebuild()

    def reconsider(self, block_hash: BlockHash) -> ChainChange:
        """Core's reconsiderblock: undo `invalidate` for a block, its ancestors and descendants."""
        family = self.index.family()
        related = {block_hash}
        for child, previous in family:
            if previous in related:
                related.add(child)
        parents = dict(family)
        ancestor = block_hash
        while ancestor in parents:
            related.add(ancestor)
            ancestor = parents[ancestor]
        self.index.set_invalidated(self.index.invalidated() - related)
        return self._rebuild()

    def explain(self, block: Block) -> str | None:
        """Why the engine refuses a block that we know it must refuse; None if it took it after all.

        The kernel's script check says only yes or no; the reason stands in its log when a block
        fails. Such a block leaves no trace on the active chain; one that was taken after all is
        not logged, and the engine is rebuilt without it.
        """
        reason = self.engine.submit(block.encode())
        if reason is None:
            self._rebuild()
        return reason

    def _rebuilt_engine(self) -> Engine:
        """A fresh engine with every logged block that is not held back."""
        engine = self._open_engine(self._scratch)
        if self.index.raw_block(engine.hash_at(0)) is None:
            genesis = engine.hash_at(0)
            if self.index.logged:
                raise Refused("this directory holds the chain of another network")
            with self.index.transaction():
                self.index.append(genesis, 0, engine.block(genesis))
        for raw in self.index.replay():
            engine.submit(raw)
        return engine

    def _rebuild(self) -> ChainChange:
        # Closed first: two engines at once would cost twice the memory.
        self.engine.close()
        self.engine = self._rebuilt_engine()
        return self._follow()

    def _follow(self) -> ChainChange:
        with self.index.transaction():
            return self._catch_up()

    def _catch_up(self) -> ChainChange:
        """Make the index agree with the engine: a new block, a reorg, a rebuild, a start alike."""
        index, engine = self.index, self.engine
        disconnected: list[tuple[int, Block]] = []
        while index.height >= 0 and (
            index.height > engine.height or engine.hash_at(index.height) != self.tip
        ):
            disconnected.append((index.height, self._logged(self.tip)))
            index.disconnect()
        connected: list[tuple[int, Block]] = []
        for height in range(index.height + 1, engine.height + 1):
            block = self._logged(engine.hash_at(height))
            index.connect(height, block)
            connected.append((height, block))
        return ChainChange(tuple(disconnected), tuple(connected))

    def _logged(self, block_hash: BlockHash) -> Block:
        raw = self.index.raw_block(block_hash)
        if raw is None:
            raise InvariantBroken("the engine follows a block that was never logged")
        return Block.decode(raw)


def _lock(directory: Path) -> TextIO:
    """Hold the directory for the life of the process.

    Our own lock, because the kernel's is dropped when the same process tries to open twice, and in
    memory it takes none.
    """
    handle = os.fdopen(os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise Refused(
            f"the chain in {directory} is in use by another process; "
            "stop that one first or choose another directory"
        ) from None
    return handle
