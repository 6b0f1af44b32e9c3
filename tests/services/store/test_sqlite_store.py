"""What only a disk can do: promises read back, newer files, damage, a full disk."""

import asyncio
import os
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiosqlite
import pytest

from wallet.base.errors import InvariantBroken, ServiceFault
from wallet.services.store import migrations, sqlite
from wallet.services.store.sqlite import SqliteStore
from wallet.services.store.tables import META, TABLES, Put


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a dir?%20#" / "wallet.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path)
    await made.open()
    yield made
    await made.close()


def by_hand(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchall()


async def refused(path: Path) -> str:
    """The sentence with which opening is refused."""
    with pytest.raises(ServiceFault) as caught:
        await SqliteStore(path).open()
    return str(caught.value)


# --- promises -----------------------------------------------------------------------------------


async def test_the_writer_keeps_its_promises(store: SqliteStore) -> None:
    writer = store._writer
    assert writer is not None
    for pragma, value in [
        ("synchronous", 2),
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("user_version", migrations.SCHEMA_VERSION),
        ("application_id", migrations.APPLICATION_ID),
    ]:
        assert list(await writer.execute_fetchall(f"PRAGMA {pragma}")) == [(value,)], pragma


async def test_a_disk_that_cannot_promise_is_refused() -> None:
    # A database in memory has no log: SQLite says so only to those who read the mode back.
    async with aiosqlite.connect(":memory:") as nowhere:
        with pytest.raises(ServiceFault, match="journal_mode=memory"):
            await sqlite._promise(nowhere)


async def test_only_the_owner_can_read(path: Path, store: SqliteStore) -> None:
    await store.commit([Put(META, ("k", "v"))])
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == [
        "wallet.sqlite3",
        "wallet.sqlite3-shm",
        "wallet.sqlite3-wal",
    ]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_others_can_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o644)
    store = SqliteStore(path)
    await store.open()
    await store.close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_the_scripts_make_what_is_declared(path: Path, store: SqliteStore) -> None:
    names = by_hand(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    assert [name for (name,) in names] == sorted(TABLES)
    for table in TABLES.values():
        [(strict,)] = by_hand(path, f"SELECT strict FROM pragma_table_list('{table.name}')")
        assert strict == 1, table.name
        columns = by_hand(path, f"SELECT name, type, pk FROM pragma_table_info('{table.name}')")
        assert [(name, kind) for name, kind, _ in columns] == [
            (c.name, c.sql_type) for c in table.columns
        ]
        key = {name: place for name, _, place in columns if place}
        assert tuple(sorted(key, key=lambda name: str(key[name]))) == table.key
        required = by_hand(
            path, f"SELECT name FROM pragma_table_info('{table.name}') WHERE \"notnull\""
        )
        assert [name for (name,) in required] == [c.name for c in table.columns if not c.nullable]
        parents = by_hand(path, f"SELECT \"table\" FROM pragma_foreign_key_list('{table.name}')")
        assert [name for (name,) in parents] == ([table.parent] if table.parent else [])
        unique = by_hand(
            path,
            "SELECT i.name FROM pragma_index_list('" + table.name + "') AS l, "
            "pragma_index_info(l.name) AS i WHERE l.origin = 'u'",
        )
        assert [name for (name,) in unique] == [c.name for c in table.columns if c.unique]


async def test_searches_use_an_index(path: Path, store: SqliteStore) -> None:
    for sql, index in [
        ("SELECT * FROM htlcs WHERE payment_hash = x''", "htlcs_by_payment_hash"),
        ("SELECT * FROM scids WHERE scid = ''", "scids_by_scid"),
    ]:
        [(*_, plan)] = by_hand(path, f"EXPLAIN QUERY PLAN {sql}")
        assert index in str(plan)


# --- what is refused ----------------------------------------------------------------------------


async def test_a_newer_database_is_refused(path: Path, store: SqliteStore) -> None:
    await store.commit([Put(META, ("k", "v"))])
    await store.close()
    by_hand(path, f"PRAGMA user_version = {migrations.SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    sentence = await refused(path)
    assert "newer leyden" in sentence
    assert "update" in sentence
    assert path.read_bytes() == before


async def test_migrations_run_once_and_go_on_from_any_version(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit([Put(META, ("k", "v"))])
    await store.close()
    more = (*migrations.MIGRATIONS, "CREATE TABLE later (x INTEGER) STRICT;", "DROP TABLE later;")
    monkeypatch.setattr(sqlite, "MIGRATIONS", more)
    monkeypatch.setattr(sqlite, "SCHEMA_VERSION", len(more))
    for _ in range(2):
        await store.open()
        assert await store.load(META) == [("k", "v")]
        await store.close()
    assert by_hand(path, "PRAGMA user_version") == [(len(more),)]


async def test_a_migration_that_fails_leaves_the_old_schema(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    broken = (*migrations.MIGRATIONS, "CREATE TABLE half (x INTEGER) STRICT; CREATE nonsense;")
    monkeypatch.setattr(sqlite, "MIGRATIONS", broken)
    monkeypatch.setattr(sqlite, "SCHEMA_VERSION", len(broken))
    with pytest.raises(InvariantBroken):
        await store.open()
    assert by_hand(path, "PRAGMA user_version") == [(migrations.SCHEMA_VERSION,)]
    assert by_hand(path, "SELECT name FROM sqlite_schema WHERE name = 'half'") == []


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    by_hand(theirs, "CREATE TABLE things (x)")
    assert "not made by leyden" in await refused(theirs)
    assert by_hand(theirs, "SELECT name FROM sqlite_schema") == [("things",)]


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    assert "not a database" in await refused(text)
    assert "cannot be opened" in await refused(tmp_path)
    assert "cannot use" in await refused(text / "below")


def test_a_failed_open_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that spoke to a loop that has ended would print a traceback over our sentence."""
    complaints: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    for _ in range(200):
        assert "cannot be opened" in asyncio.run(refused(tmp_path))
    assert complaints == []


async def test_a_damaged_page_is_reported(path: Path, store: SqliteStore) -> None:
    await store.commit([Put(META, (str(n), "v" * 500)) for n in range(200)])
    await store.close()
    [(root,)] = by_hand(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'")
    with path.open("r+b") as file:
        file.seek((int(str(root)) - 1) * 4096)
        file.write(b"\xff" * 4096)
    await store.open()
    with pytest.raises(ServiceFault, match="damaged"):
        await store.load(META)


async def test_another_program_that_holds_the_database(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.05)
    await store.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceFault, match="another program"):
            await store.commit([Put(META, ("k", "v"))])
        other.execute("ROLLBACK")
    await store.commit([Put(META, ("k", "w"))])
    assert await store.load(META) == [("k", "w")]


# --- a failing disk -----------------------------------------------------------------------------


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size`: writes fail as on a broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_refuses_the_batch_and_nothing_is_half_done(
    path: Path, store: SqliteStore
) -> None:
    await store.commit([Put(META, ("k", "old"))])
    assert store._writer is not None
    [(pages,)] = await store._writer.execute_fetchall("PRAGMA page_count")
    await store._writer.execute_fetchall(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(ServiceFault, match="the disk is full; make room"):
        await store.commit(
            [Put(META, ("k", "new")), *(Put(META, (str(n), "v" * 4000)) for n in range(50))]
        )
    assert await store.load(META) == [("k", "old")]
    await store.commit([Put(META, ("k", "small"))])
    assert await store.load(META) == [("k", "small")]
    await store._writer.execute_fetchall("PRAGMA max_page_count = 100000")
    await store.commit([Put(META, (str(n), "v" * 4000)) for n in range(50)])
    assert len(await store.load(META)) == 51


async def test_a_write_that_fails_in_the_middle_leaves_nothing(
    path: Path, store: SqliteStore
) -> None:
    await store.commit([Put(META, ("k", "old"))])
    size = path.with_name(path.name + "-wal").stat().st_size
    big = [Put(META, ("k", "new")), *(Put(META, (str(n), "v" * 4000)) for n in range(50))]
    for spare in (0, 1_000, 4_120, 20_000, 100_000):
        with file_size_limit(size + spare), pytest.raises(ServiceFault, match="disk fails"):
            await store.commit(big)
        assert await store.load(META) == [("k", "old")]
    await store.commit(big)
    await store.close()
    await store.open()
    assert len(await store.load(META)) == 51


async def test_a_disk_that_is_full_from_the_start(path: Path) -> None:
    with file_size_limit(8_192):
        assert "disk" in await refused(path)
    store = SqliteStore(path)
    await store.open()
    assert await store.load(META) == []
    await store.close()


async def test_after_a_failed_sync_nothing_is_committed_until_reopened(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit([Put(META, ("k", "old"))])

    def fail(writer: sqlite._Writer) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(sqlite._Writer, "commit", fail)
        with pytest.raises(ServiceFault, match="disk fails"):
            await store.commit([Put(META, ("k", "new"))])
    with pytest.raises(ServiceFault, match="disk fails"):
        await store.commit([Put(META, ("k", "newer"))])
    assert await store.load(META) == [("k", "old")]
    await store.close()
    await store.open()
    await store.commit([Put(META, ("k", "newest"))])
    assert await store.load(META) == [("k", "newest")]


async def test_a_directory_that_is_not_ours(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write anywhere; a file in the place of the directory stops even root.
        (tmp_path / "file").touch()
        assert "cannot use" in await refused(tmp_path / "file" / "db")
        return
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "cannot use" in await refused(closed / "db")
