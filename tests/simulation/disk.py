"""A node's disk: the product's schema and SQL in SQLite's memory, and power that may fail.

What `commit` took stays when the kernel above it is thrown away: that is a crash.
"""

import sqlite3
from collections.abc import Coroutine, Sequence
from contextlib import closing
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

from wallet.base.errors import InvariantBroken, ServiceFault
from wallet.services.store.migrations import MIGRATIONS
from wallet.services.store.statements import delete_sql, load_sql, put_sql
from wallet.services.store.tables import Put, Row, Table, Value, Write

T = TypeVar("T")


class PowerCut(BaseException):
    """The process ends here; not an `Exception`, for nothing may catch it on its way."""


def finish(job: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nobody."""
    try:
        job.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    job.close()
    raise AssertionError("something waits for the world inside the simulation")


@cache
def _empty() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for script in MIGRATIONS:
            fresh.executescript(script)
        return fresh.serialize()


def _statement(write: Write) -> str:
    return put_sql(write.table) if isinstance(write, Put) else delete_sql(write.table)


class Disk:
    """Implements `services.ports.Store`."""

    def __init__(self, image: bytes | None = None) -> None:
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self._database.deserialize(image or _empty())
        self._database.execute("PRAGMA foreign_keys = on")
        self.cut_before = False
        """The next commit never happens."""
        self.cut_after = False
        """The next commit happens, and nothing after it."""
        self.full = False
        """The next commit is refused."""
        self.commits = 0

    def image(self) -> bytes:
        """A copy, as a person's backup would be."""
        return self._database.serialize()

    def relieve(self) -> None:
        """No fault is due any more."""
        self.cut_before = self.cut_after = self.full = False

    async def open(self) -> None:
        """Nothing to prepare."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """All of them or none."""
        if self.cut_before:
            raise PowerCut
        if self.full:
            self.full = False
            raise ServiceFault("the disk is full")
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for sql, group in groupby(writes, _statement):
                rows = [w.row if isinstance(w, Put) else w.key for w in group]
                self._database.executemany(sql, rows)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._database.execute("ROLLBACK")
            raise InvariantBroken(f"the store refuses: {error}") from error
        self.commits += 1
        if self.cut_after:
            raise PowerCut

    async def load(self, table: Table) -> list[Row]:
        """All rows of a table, by key."""
        return self._database.execute(load_sql(table)).fetchall()

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """A SELECT."""
        return self._database.execute(sql, parameters).fetchall()

    async def close(self) -> None:
        """Nothing to let go."""
        self._database.close()

    def __del__(self) -> None:
        # A world forgets its houses as they are; Python 3.13 warns of what nobody has closed.
        self._database.close()
