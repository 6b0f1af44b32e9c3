"""Long lists from disk: what fits, in order, and no more than is asked for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.encode import to_json
from wallet.base.values.ids import ChannelId, PaymentHash, ShortChannelId
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.node import lists
from wallet.node.lists import Page
from wallet.services.store.sqlite import SqliteStore
from wallet.services.store.tables import FORWARDS, Put

IN, OUT, ELSEWHERE = (ShortChannelId(100 + n, 1, n) for n in range(3))
STATUSES = tuple(ForwardStatus)
COUNT = 40


def _record(number: int) -> ForwardRecord:
    """Every fourth is under way, settled, failed or not passed on; odd ones go elsewhere."""
    status = STATUSES[number % 4]
    asked = ELSEWHERE if number % 2 else OUT
    went_on = status is not ForwardStatus.LOCAL_FAILED
    return ForwardRecord(
        in_channel=ChannelId(b"\x01" * 32),
        in_htlc=number,
        in_scid=IN if number < COUNT - 1 else None,
        in_amount=MilliSatoshi(1_011),
        in_expiry=CltvExpiry(150),
        payment_hash=PaymentHash(bytes(32)),
        asked_scid=asked,
        amount=MilliSatoshi(1_000),
        expiry=CltvExpiry(116),
        shared_secret=bytes(32),
        received_at=0,
        created_index=number + 1,
        status=status,
        out_scid=asked if went_on else None,
        # The later it came, the earlier it changed.
        updated_index=None if status is ForwardStatus.OFFERED else COUNT - number,
    )


RECORDS = [_record(number) for number in range(COUNT)]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "wallet.sqlite3")
    await made.open()
    await made.commit(
        [
            Put(
                FORWARDS,
                (
                    record.in_channel,
                    record.in_htlc,
                    record.created_index,
                    record.updated_index,
                    record.status.value,
                    11,
                    to_json(record),
                ),
            )
            for record in RECORDS
        ]
    )
    yield made
    await made.close()


async def test_forwards__all_in_order(store: SqliteStore) -> None:
    assert await lists.forwards(store, Page()) == RECORDS
    assert await lists.forwards(store, Page(start=5, limit=3)) == RECORDS[4:7]
    assert await lists.forwards(store, Page(limit=0)) == []


async def test_forwards__by_their_last_change(store: SqliteStore) -> None:
    changed = [record for record in reversed(RECORDS) if record.updated_index is not None]
    assert await lists.forwards(store, Page(by_update=True)) == changed
    found = await lists.forwards(store, Page(by_update=True, start=3, limit=2))
    assert [record.updated_index for record in found] == [3, 5]


@pytest.mark.parametrize("status", STATUSES)
async def test_forwards__by_status(store: SqliteStore, status: ForwardStatus) -> None:
    fitting = [record for record in RECORDS if record.status is status]
    assert await lists.forwards(store, Page(), status) == fitting


async def test_forwards__by_channel(store: SqliteStore) -> None:
    assert await lists.forwards(store, Page(), in_scid=IN) == RECORDS[:-1]
    assert await lists.forwards(store, Page(), in_scid=OUT) == []
    # Those that were not passed on were asked to be.
    assert await lists.forwards(store, Page(), out_scid=OUT) == RECORDS[::2]
    failed = await lists.forwards(store, Page(limit=1), ForwardStatus.FAILED, IN, OUT)
    assert failed == [RECORDS[2]]


@pytest.mark.parametrize(
    ("table", "index"), [("forwards", "forwards_by_created"), ("htlcs", "htlcs_by_created")]
)
async def test_a_page_is_read_by_its_numbers(store: SqliteStore, table: str, index: str) -> None:
    plan = await store.query(
        f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE created_index >= ?"
        " ORDER BY created_index LIMIT ?",
        (5, 10),
    )
    steps = [str(row[-1]) for row in plan]
    assert len(steps) == 1
    assert index in steps[0], "the whole table would be sorted for one page"
