"""The wallet's database: SQLite, one writer, one transaction per batch.

When `commit` returns, the batch has survived any power cut: WAL with `synchronous=FULL` syncs the
log at the end of every transaction.  Lists and searches read on a connection of their own, so a
slow one never stops a commit.  Both connections live on aiosqlite's threads; the loop waits for
neither.
"""

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import aiosqlite

from wallet.base.errors import InvariantBroken, ServiceFault
from wallet.services.store.migrations import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION
from wallet.services.store.statements import delete_sql, load_sql, put_sql
from wallet.services.store.tables import Delete, Put, Row, Table, Value, Write

SYNCHRONOUS_FULL: Final = 2
_WAIT_SECONDS: Final = 5.0
"""For another program that has the database open; ours is alone (the directory's lock)."""
_STATEMENTS: Final = 256
_ROWS_AT_ONCE: Final = 64
"""aiosqlite's own default, for iteration."""


class _Writer(sqlite3.Connection):
    """A connection whose `commit` writes the oldest batch that waits, in one transaction.

    aiosqlite takes each call of a connection to its thread and back; `commit` is the one public
    call that means what we want, so a whole batch costs one way there and back.
    """

    def __init__(self, waiting: deque[Sequence[Write]], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting = waiting

    def commit(self) -> None:
        """Write a batch, wholly or not at all; raises `sqlite3.Error`."""
        batch = self._waiting.popleft()
        self.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in groupby(batch, _statement):
                self.executemany(sql, map(_values, rows))
            self.execute("COMMIT")
        except BaseException:
            # SQLite itself rolls back on a full disk and its like.
            if self.in_transaction:
                self.execute("ROLLBACK")
            raise


class _Connection(aiosqlite.Connection):
    """A connection whose thread can be waited for when it could not be opened.

    aiosqlite stops the thread then and goes on; its last word would reach a loop that has ended.
    """

    stopped: "asyncio.Future[Any] | None" = None

    def stop(self) -> "asyncio.Future[Any] | None":
        self.stopped = super().stop()
        return self.stopped


def _statement(write: Write) -> str:
    return put_sql(write.table) if isinstance(write, Put) else delete_sql(write.table)


def _values(write: Write) -> Row:
    return write.key if isinstance(write, Delete) else write.row


class SqliteStore:
    """The store of one core, in one file. Implements `services.ports.Store`."""

    def __init__(self, path: Path) -> None:
        """`path` is the database; SQLite keeps its log in two files beside it."""
        self._path = path
        self._waiting: deque[Sequence[Write]] = deque()
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        self._lost: str | None = None

    async def open(self) -> None:
        """Make the database or bring it to our schema, and check that it will keep its promise.

        Raises `ServiceFault` when it is newer than we are, damaged, another program's, or on a
        disk that cannot keep it.
        """
        self._waiting.clear()
        self._lost = None
        try:
            _make_private(self._path)
            self._writer = await self._connect("rw", factory=partial(_Writer, self._waiting))
            version = await _version(self._writer)
            await _promise(self._writer)
            await _migrate(self._writer, version)
            self._reader = await self._connect("ro")
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise _fault(error, self._path) from error
        except BaseException:
            await self.close()
            raise

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make `writes` durable, in order and in one transaction; none when there are none.

        On `ServiceFault` nothing of them is applied.  After a failed sync nobody knows what the
        disk holds: every later commit is refused until the database is opened again.
        """
        if not writes:
            return
        if self._lost is not None:
            raise ServiceFault(self._lost)
        writer = _connected(self._writer)
        self._waiting.append(writes)
        try:
            await writer.commit()
        except sqlite3.Error as error:
            fault = _fault(error, self._path)
            if _code(error) in _UNSYNCED:
                self._lost = str(fault)
            raise fault from error

    async def load(self, table: Table) -> list[Row]:
        """All rows of a table, by key."""
        return await self.query(load_sql(table))

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """The rows of a SELECT over what was committed; nothing can be written this way."""
        try:
            rows: Iterable[Any] = await _connected(self._reader).execute_fetchall(sql, parameters)
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_READONLY:
                raise InvariantBroken("a query would write") from error
            raise _fault(error, self._path) from error
        return list(rows)

    async def close(self) -> None:
        """Close both connections. Closing twice is harmless."""
        # The writer last: it is the one that may put the log back into the database.
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        for connection in (reader, writer):
            if connection is not None:
                with suppress(sqlite3.Error):
                    await connection.close()

    async def _connect(self, mode: str, **options: Any) -> aiosqlite.Connection:
        connect = partial(
            sqlite3.connect,
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=_WAIT_SECONDS,
            cached_statements=_STATEMENTS,
            **options,
        )
        connection = _Connection(connect, _ROWS_AT_ONCE)
        try:
            return await connection
        except BaseException:
            if connection.stopped is not None:
                await connection.stopped
            raise


def _connected(connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
    if connection is None:
        raise InvariantBroken("the store is not open")
    return connection


def _make_private(path: Path) -> None:
    """An empty file that only its owner reads; SQLite gives its log the same mode.

    Its name is synced: SQLite syncs what is in the file, not the directory that lists it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return
    os.close(descriptor)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


async def _number(connection: aiosqlite.Connection, sql: str) -> int:
    [(value,)] = await connection.execute_fetchall(sql)
    return int(value)


async def _version(writer: aiosqlite.Connection) -> int:
    """How many scripts this database has seen; raises `ServiceFault` unless it is ours."""
    version = await _number(writer, "PRAGMA user_version")
    owner = await _number(writer, "PRAGMA application_id")
    tables = await _number(writer, "SELECT count(*) FROM sqlite_schema")
    if owner != APPLICATION_ID and (owner or version or tables):
        raise ServiceFault("the database was not made by leyden; give another --dir")
    if version > SCHEMA_VERSION:
        raise ServiceFault(
            f"the database was written by a newer leyden (schema {version}, this one knows "
            f"{SCHEMA_VERSION}); update leyden to open it"
        )
    return version


async def _migrate(writer: aiosqlite.Connection, version: int) -> None:
    """Run the scripts after `version`, each in one transaction with its number."""
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        await writer.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {script} "
            f"PRAGMA user_version = {number}; COMMIT;"
        )


async def _promise(writer: aiosqlite.Connection) -> None:
    """Set what makes a commit durable, and read it back: SQLite ignores what it cannot do."""
    [(journal,)] = await writer.execute_fetchall("PRAGMA journal_mode = wal")
    await writer.execute_fetchall(f"PRAGMA synchronous = {SYNCHRONOUS_FULL}")
    await writer.execute_fetchall("PRAGMA foreign_keys = on")
    synchronous = await _number(writer, "PRAGMA synchronous")
    foreign_keys = await _number(writer, "PRAGMA foreign_keys")
    if (journal, synchronous, foreign_keys) != ("wal", SYNCHRONOUS_FULL, 1):
        raise ServiceFault(
            f"the disk cannot keep the database safe (journal_mode={journal}, "
            f"synchronous={synchronous}, foreign_keys={foreign_keys}); give a --dir on a local disk"
        )


# --- what SQLite says, for people ---------------------------------------------------------------

_UNSYNCED: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
"""The kernel may have dropped what could not be synced: a retry could falsely succeed."""

_SENTENCES: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; make room beside {path}, then start leyden again",
    sqlite3.SQLITE_IOERR: "the disk fails at {path} ({why}); check it before leyden starts again",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged ({why}); restore it from a backup",
    sqlite3.SQLITE_NOTADB: "{path} is not a database, or is damaged; restore it from a backup",
    sqlite3.SQLITE_READONLY: "{path} cannot be written; check who owns it",
    sqlite3.SQLITE_PERM: "{path} cannot be written; check who owns it",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened; check that it is a file of yours",
    sqlite3.SQLITE_BUSY: "another program has {path} open; close it",
    sqlite3.SQLITE_LOCKED: "another program has {path} open; close it",
    sqlite3.SQLITE_PROTOCOL: "another program has {path} open; close it",
}


def _code(error: sqlite3.Error) -> int:
    """SQLite's extended error code; 0 when the error is of Python's module."""
    return getattr(error, "sqlite_errorcode", None) or 0


def _fault(error: sqlite3.Error | OSError, path: Path) -> ServiceFault | InvariantBroken:
    """A failing disk as a sentence; anything else is a mistake of ours."""
    if isinstance(error, OSError):
        return ServiceFault(f"cannot use {path}: {error.strerror}")
    sentence = _SENTENCES.get(_code(error) & 0xFF)
    if sentence is None:
        return InvariantBroken(f"the store refuses: {error}")
    return ServiceFault(sentence.format(path=path, why=error))
