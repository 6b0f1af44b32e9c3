"""What was committed survives: kill -9 at any moment, and a power cut at any frame of the log."""

import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.power_cut import committed_length, cut, frames, truncations, wal_of
from wallet.services.store.sqlite import SqliteStore
from wallet.services.store.tables import COINS, META, Delete, Put, Row, Write

CHILD = """
import asyncio, sys
from pathlib import Path
from wallet.services.store.sqlite import SqliteStore
from wallet.services.store.tables import COINS, META, Put

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    number = 1 + max((row[1] for row in await store.load(COINS)), default=0)
    while True:
        filler = "x" * (number % 9000)
        await store.commit([Put(META, ("latest", str(number))), Put(COINS, (b"", number, filler))])
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


@asynccontextmanager
async def opened(database: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_kill_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    database = tmp_path / "db"
    chance = random.Random(8412)
    told = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(database)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        with child, child.stdout as lines:
            for _ in range(chance.randrange(1, 120)):
                told = int(lines.readline())
            child.send_signal(signal.SIGKILL)
            for line in lines:
                if line.endswith("\n"):
                    told = int(line)
        async with opened(database) as store:
            numbers = [row[1] for row in await store.load(COINS)]
            [(_, latest)] = await store.load(META)
        # A commit may be done and not yet told; it is whole, and it is only one.
        assert numbers == list(range(1, len(numbers) + 1))
        assert latest == str(len(numbers))
        assert told <= len(numbers) <= told + 1
        told = len(numbers)
    print(f"{told} commits, 4 kills")


BATCHES: list[list[Write]] = [
    [Put(META, ("k", "1"))],
    [Put(META, (str(n), "v" * 3000)) for n in range(5)],
    [Put(META, ("k", "2")), Delete(META, ("3",))],
    [Put(COINS, (b"t" * 32, n, "p" * 64)) for n in range(150)],
    [Delete(META, ("k",))],
    [Put(META, ("long", "x" * 9000))],
]


async def contents(database: Path) -> list[Row]:
    """Every row after opening; opening again finds the same."""
    seen: list[list[Row]] = []
    for _ in range(2):
        async with opened(database) as store:
            seen.append([*await store.load(META), *await store.load(COINS)])
    assert seen[0] == seen[1]
    return seen[0]


async def test_a_power_cut_at_any_frame_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    database = tmp_path / "db"
    wal = wal_of(database)
    async with opened(database) as store:
        synced = [0, wal.stat().st_size]
        states: list[list[Row]] = [[], []]
        for batch in BATCHES:
            await store.commit(batch)
            synced.append(wal.stat().st_size)
            states.append([*await store.load(META), *await store.load(COINS)])
        frozen = cut(database, tmp_path / "frozen", synced[-1])

    assert committed_length(wal_of(frozen)) == synced[-1]
    tried = 0
    for number, (start, end) in enumerate(zip(synced, [*synced[1:], synced[-1]], strict=True)):
        for length in truncations(wal_of(frozen), start):
            if length > end:
                break
            after = cut(frozen, tmp_path / f"cut{length}", length)
            expected = states[number + 1] if length == end > start else states[number]
            assert await contents(after) == expected, (number, length)
            tried += 1
    print(f"{tried} cuts, {len(BATCHES)} batches")
    assert tried > 60
    # The other way round: what the disk did lose, this test would miss.
    lossy = cut(frozen, tmp_path / "lossy", synced[-1] - 1)
    assert await contents(lossy) == states[-2] != states[-1]


async def test_the_helper_notices_a_log_that_started_anew(tmp_path: Path) -> None:
    database = tmp_path / "db"
    wal = wal_of(database)
    async with opened(database) as store:
        assert store._writer is not None
        await store.commit([Put(META, ("k", "v" * 20_000))])
        before = wal.stat().st_size
        assert committed_length(wal) == before
        # RESTART: everything goes into the database, the next commit begins the log anew.
        await store._writer.execute_fetchall("PRAGMA wal_checkpoint(RESTART)")
        await store.commit([Put(META, ("k", "w"))])
        assert wal.stat().st_size == before
        assert committed_length(wal) == max(end for end, _ in frames(wal)) < before
        with pytest.raises(ValueError, match="not the end of a frame"):
            truncations(wal, before)
        frozen = cut(database, tmp_path / "frozen", committed_length(wal))
    assert await contents(frozen) == [("k", "w")]
