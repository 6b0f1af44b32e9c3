"""What every store keeps to: SQLite on a disk, and dictionaries in memory."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.samples import CHANNEL
from wallet.base.errors import InvariantBroken
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import Txid
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.state import Channel
from wallet.services.ports import Store
from wallet.services.store.memory import MemoryStore
from wallet.services.store.sqlite import SqliteStore
from wallet.services.store.tables import (
    CHANNELS,
    COINS,
    HTLCS,
    INVOICES,
    META,
    PAYMENTS,
    PEERS,
    SCIDS,
    TABLES,
    Delete,
    Put,
    Row,
    SqlType,
    Table,
    Write,
)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "db")
    await made.open()
    yield made
    await made.close()


def channel_row(name: bytes = b"c", state: str = "{}") -> Row:
    return (name, b"keys", b"peer", "READY", 1, state)


def htlc_row(channel: bytes = b"c", number: int = 0) -> Row:
    head = (channel, 1, number, Stage.SENT_ADD_HTLC.name, 1_000, b"hash", 500, b"onion")
    return (*head, None, 3, None, None, None, None, 1 + number, None)


async def test_what_is_put_is_there(store: Store) -> None:
    await store.commit([Put(META, ("a", "1")), Put(META, ("b", "2"))])
    assert await store.load(META) == [("a", "1"), ("b", "2")]


async def test_no_writes_are_no_commit(store: Store) -> None:
    await store.commit([])
    assert await store.load(META) == []


async def test_a_row_takes_the_place_of_its_key(store: Store) -> None:
    await store.commit([Put(PEERS, (b"n", "old"))])
    await store.commit([Put(PEERS, (b"n", "new"))])
    assert await store.load(PEERS) == [(b"n", "new")]


async def test_writes_apply_in_order(store: Store) -> None:
    await store.commit(
        [
            Put(META, ("k", "1")),
            Delete(META, ("k",)),
            Put(META, ("k", "2")),
            Put(META, ("gone", "")),
            Delete(META, ("gone",)),
            Delete(META, ("never",)),
        ]
    )
    assert await store.load(META) == [("k", "2")]


async def test_rows_come_by_key(store: Store) -> None:
    keys = [(b"b", 1), (b"a", 2), (b"\xff", 0), (b"a", 1), (b"", 9), (b"a", -1)]
    await store.commit([Put(COINS, (*key, "")) for key in keys])
    assert [(row[0], row[1]) for row in await store.load(COINS)] == sorted(keys)


async def test_values_come_back_plain(store: Store) -> None:
    txid = Txid(bytes(range(32)))
    await store.commit(
        [
            Put(COINS, (txid, True, "")),
            Put(META, (Stage.SENT_ADD_HTLC, "ä€😀\x00")),
            Put(PAYMENTS, (b"h", (1 << 63) - 1, 0, "")),
            Put(PAYMENTS, (b"h", -(1 << 63), 0, "")),
        ]
    )
    [(name, output, _)] = await store.load(COINS)
    assert (type(name), type(output), name, output) == (bytes, int, bytes(txid), 1)
    [(key, value)] = await store.load(META)
    assert (type(key), key, value) == (str, "SENT_ADD_HTLC", "ä€😀\x00")
    assert [row[1] for row in await store.load(PAYMENTS)] == [-(1 << 63), (1 << 63) - 1]
    await store.commit([Delete(COINS, (txid, 1))])
    assert await store.load(COINS) == []


async def test_a_batch_that_cannot_be_leaves_nothing(store: Store) -> None:
    await store.commit([Put(INVOICES, (b"1", "coffee", 1, "{}")), Put(META, ("k", "old"))])
    with pytest.raises(InvariantBroken, match="store refuses"):
        await store.commit(
            [
                Put(META, ("k", "new")),
                Delete(META, ("k",)),
                Put(META, ("other", "")),
                Put(INVOICES, (b"2", "coffee", 2, "{}")),
            ]
        )
    assert await store.load(META) == [("k", "old")]
    assert await store.load(INVOICES) == [(b"1", "coffee", 1, "{}")]
    # … and the store works on.
    await store.commit([Put(INVOICES, (b"1", "coffee", 1, "paid"))])
    assert await store.load(INVOICES) == [(b"1", "coffee", 1, "paid")]


async def test_a_unique_value_may_move(store: Store) -> None:
    await store.commit([Put(INVOICES, (b"1", "coffee", 1, "{}"))])
    await store.commit([Delete(INVOICES, (b"1",)), Put(INVOICES, (b"2", "coffee", 2, "{}"))])
    assert [row[0] for row in await store.load(INVOICES)] == [b"2"]


async def test_a_child_needs_its_parent_when_the_batch_ends(store: Store) -> None:
    with pytest.raises(InvariantBroken):
        await store.commit([Put(HTLCS, htlc_row())])
    assert await store.load(HTLCS) == []
    await store.commit([Put(HTLCS, htlc_row()), Put(CHANNELS, channel_row())])
    with pytest.raises(InvariantBroken):
        await store.commit([Delete(CHANNELS, (b"c",))])
    assert len(await store.load(CHANNELS)) == 1
    await store.commit([Delete(CHANNELS, (b"c",)), Delete(HTLCS, (b"c", 1, 0))])
    assert await store.load(CHANNELS) == await store.load(HTLCS) == []


async def test_a_row_that_does_not_fit_is_our_own_mistake(store: Store) -> None:
    bad: list[tuple[Table, tuple[Any, ...]]] = [
        (META, ("k",)),
        (META, ("k", "v", "w")),
        (META, ("k", None)),
        (META, ("k", b"v")),
        (META, ("k", 1)),
        (META, ("k", "\ud800")),
        (PEERS, ("n", "")),
        (COINS, (b"t", "12", "")),
        (COINS, (b"t", 1.0, "")),
        (COINS, (b"t", 1 << 63, "")),
    ]
    for table, row in bad:
        with pytest.raises(InvariantBroken):
            Put(table, row)
    with pytest.raises(InvariantBroken):
        Delete(COINS, (b"t",))
    with pytest.raises(InvariantBroken):
        Delete(META, (None,))
    assert await store.load(META) == []


async def test_queries_read_what_is_committed(store: Store) -> None:
    await store.commit(
        [
            Put(CHANNELS, channel_row()),
            *[Put(HTLCS, htlc_row(number=n)) for n in range(10)],
            Put(SCIDS, (b"c", "16777215x1x1", "ours", 0, None)),
        ]
    )
    found = await store.query(
        "SELECT htlc_id FROM htlcs WHERE payment_hash = ? AND htlc_id > ? ORDER BY 1 DESC LIMIT 2",
        (b"hash", 3),
    )
    assert found == [(9,), (8,)]
    assert await store.query("SELECT channel_id FROM scids WHERE scid = '16777215x1x1'") == [
        (b"c",)
    ]
    assert await store.query("SELECT 1 WHERE 0") == []


async def test_queries_cannot_write(store: Store) -> None:
    await store.commit([Put(META, ("k", "v"))])
    for sql in ("DELETE FROM meta", "UPDATE meta SET value = ''", "SELECT nonsense FROM nowhere"):
        with pytest.raises(InvariantBroken):
            await store.query(sql)
    assert await store.load(META) == [("k", "v")]


async def test_everything_is_there_after_opening_again(store: Store) -> None:
    await store.commit([Put(META, ("k", "v"))])
    await store.close()
    await store.close()
    with pytest.raises(InvariantBroken):
        await store.load(META)
    with pytest.raises(InvariantBroken):
        await store.commit([Put(META, ("k", "w"))])
    await store.open()
    assert await store.load(META) == [("k", "v")]


async def test_a_channel_survives(store: Store) -> None:
    row = (CHANNEL.id, CHANNEL.terms.keys_id, CHANNEL.terms.peer, "READY", 1, to_json(CHANNEL))
    await store.commit([Put(CHANNELS, row)])
    [(*_, state)] = await store.load(CHANNELS)
    assert isinstance(state, str)
    assert from_json(Channel, state) == CHANNEL


async def test_commits_of_several_tasks_are_whole(store: Store) -> None:
    async def count(name: str) -> None:
        for number in range(20):
            await store.commit([Put(META, (f"{name}{n}", str(number))) for n in range(3)])
            rows = {key: value for key, value in await store.load(META)}  # noqa: C416
            assert len({rows.get(f"{name}{n}") for n in range(3)}) == 1

    await asyncio.gather(*(count(name) for name in "abc"))
    assert [value for _, value in await store.load(META)] == ["19"] * 9


# --- both stores, any batches: the same rows, the same refusals ---------------------------------

_VALUES: dict[SqlType, st.SearchStrategy[Any]] = {
    SqlType.INTEGER: st.sampled_from([0, 1, -1, (1 << 63) - 1]),
    SqlType.TEXT: st.sampled_from(["", "a", "b", "é"]),
    SqlType.BLOB: st.sampled_from([b"", b"a", b"b"]),
}
_SMALL = (CHANNELS, SCIDS, INVOICES, PAYMENTS)


def _row(table: Table) -> st.SearchStrategy[Row]:
    return st.tuples(
        *(
            st.none() | _VALUES[c.sql_type] if c.nullable else _VALUES[c.sql_type]
            for c in table.columns
        )
    )


def _writes(table: Table) -> st.SearchStrategy[Write]:
    return st.builds(lambda row: Put(table, row), _row(table)) | st.builds(
        lambda row: Delete(table, table.key_of(row)), _row(table)
    )


batches = st.lists(st.lists(st.one_of([_writes(t) for t in _SMALL]), max_size=4), max_size=8)


async def _outcome(store: Store, given_batches: Sequence[Sequence[Write]]) -> list[object]:
    seen: list[object] = []
    await store.open()
    try:
        for batch in given_batches:
            try:
                await store.commit(batch)
            except InvariantBroken:
                seen.append("refused")
            seen.append([await store.load(table) for table in _SMALL])
        total = " UNION ALL ".join(f"SELECT count(*) FROM {name}" for name in TABLES)
        seen.append(await store.query(total))
    finally:
        await store.close()
    return seen


@settings(max_examples=40, deadline=None)
@given(batches)
def test_both_stores_agree(given_batches: list[list[Write]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        on_disk = asyncio.run(_outcome(SqliteStore(Path(directory) / "db"), given_batches))
    in_memory = asyncio.run(_outcome(MemoryStore(), given_batches))
    assert on_disk == in_memory
