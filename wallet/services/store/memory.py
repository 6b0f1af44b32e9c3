"""The store's contract over dictionaries, for whole networks inside one test.

What `commit` took stays when the kernel above is thrown away and another is built on the same
store: that is a crash, as the simulation plays it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing

from wallet.base.errors import InvariantBroken, ensure
from wallet.services.store.migrations import MIGRATIONS
from wallet.services.store.statements import put_sql
from wallet.services.store.tables import TABLES, Put, Row, Table, Value, Write

_Undo = Callable[[], object]


class MemoryStore:
    """Rows by table and key. Implements `services.ports.Store`."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Row, Row]] = {name: {} for name in TABLES}
        self._open = False

    async def open(self) -> None:
        """Nothing to prepare."""
        self._open = True

    async def commit(self, writes: Sequence[Write]) -> None:
        """Apply all writes, or none and raise `InvariantBroken`."""
        self._ensure_open()
        undo: list[_Undo] = []
        try:
            for write in writes:
                undo.append(self._apply(write))
            for write in writes:
                self._check_family(write)
        except InvariantBroken:
            for step in reversed(undo):
                step()
            raise

    async def load(self, table: Table) -> list[Row]:
        """All rows of a table, by key."""
        self._ensure_open()
        rows = self._rows[table.name]
        return [rows[key] for key in sorted(rows)]

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Run over a copy of all rows in a database of its own: slow, and SQL keeps one meaning."""
        self._ensure_open()
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            for script in MIGRATIONS:
                copy.executescript(script)
            for name, rows in self._rows.items():
                copy.executemany(put_sql(TABLES[name]), rows.values())
            copy.execute("PRAGMA query_only = on")
            try:
                return copy.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise InvariantBroken(f"the store refuses: {error}") from error

    async def close(self) -> None:
        """Keep the rows: opening again finds them."""
        self._open = False

    def _ensure_open(self) -> None:
        ensure(self._open, "the store is not open")

    def _apply(self, write: Write) -> _Undo:
        """Change one row; returns how to take it back."""
        rows = self._rows[write.table.name]
        if isinstance(write, Put):
            row = _stored(write.row)
            key = write.table.key_of(row)
            self._check_unique(write.table, key, row)
            old = rows.get(key)
            rows[key] = row
        else:
            key = _stored(write.key)
            old = rows.pop(key, None)
        if old is None:
            return lambda: rows.pop(key, None)
        return lambda: rows.__setitem__(key, old)

    def _check_unique(self, table: Table, key: Row, row: Row) -> None:
        for place, column in enumerate(table.columns):
            if column.unique:
                twin = any(
                    other[place] == row[place]
                    for other_key, other in self._rows[table.name].items()
                    if other_key != key
                )
                ensure(not twin, f"the store refuses: {table.name}.{column.name} is not unique")

    def _check_family(self, write: Write) -> None:
        """Refuse a row whose parent is not there, and children whose parent has gone."""
        table = write.table
        key = table.key_of(write.row) if isinstance(write, Put) else write.key
        if key in self._rows[table.name]:
            if table.parent is not None:
                begin = key[: len(TABLES[table.parent].key)]
                found = begin in self._rows[table.parent]
                ensure(found, f"the store refuses: {table.name} without its {table.parent}")
            return
        for child in TABLES.values():
            if child.parent == table.name:
                orphans = any(k[: len(key)] == key for k in self._rows[child.name])
                ensure(not orphans, f"the store refuses: {child.name} without its {table.name}")


def _stored(row: Row) -> Row:
    """Values as SQLite gives them back: plain, without the classes they came in."""
    return tuple([_plain(value) for value in row])


def _plain(value: Value) -> Value:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(value)
    return None if value is None else int(value)
