"""The SQL of each table, worked out once from its declaration.

Every name in it is from `tables.py`; every value is bound, never written into the text.
"""

from functools import cache

from wallet.services.store.tables import Table


@cache
def put_sql(table: Table) -> str:
    """Insert a row, or update the one with the same key.

    Not `INSERT OR REPLACE`: that would also delete another row that has the same unique value.
    """
    names = [column.name for column in table.columns]
    rest = [name for name in names if name not in table.key]
    change = ", ".join(f"{name} = excluded.{name}" for name in rest)
    action = f"UPDATE SET {change}" if rest else "NOTHING"
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(table.key)}) DO {action}"
    )


@cache
def delete_sql(table: Table) -> str:
    """Delete the row of a key."""
    match = " AND ".join(f"{name} = ?" for name in table.key)
    return f"DELETE FROM {table.name} WHERE {match}"  # noqa: S608


@cache
def load_sql(table: Table) -> str:
    """All rows, by key."""
    names = ", ".join(column.name for column in table.columns)
    return f"SELECT {names} FROM {table.name} ORDER BY {', '.join(table.key)}"  # noqa: S608
