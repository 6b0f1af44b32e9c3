"""Lists that may be long: read from the disk, no more of them than is asked for.

Every condition is a constant here and every value is bound.
"""

import json
from dataclasses import dataclass
from typing import Final

from wallet.base.values.encode import from_json
from wallet.base.values.ids import ChannelId, ShortChannelId
from wallet.machines.channel.htlc import Htlc
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.node import htlc_rows
from wallet.node.columns import as_number, as_optional, as_text
from wallet.services.ports import Store
from wallet.services.store.tables import Value

_NO_LIMIT: Final = -1


@dataclass(frozen=True, slots=True)
class Page:
    """From number `start` on, at most `limit` items, by creation or by their last change."""

    by_update: bool = False
    start: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class NumberedHtlc:
    """An HTLC, past or present."""

    channel_id: ChannelId
    htlc: Htlc
    created_index: int
    updated_index: int | None


async def forwards(
    store: Store,
    page: Page,
    status: ForwardStatus | None = None,
    in_scid: ShortChannelId | None = None,
    out_scid: ShortChannelId | None = None,
) -> list[ForwardRecord]:
    """Forwards that fit."""
    asked: list[tuple[str, Value]] = []
    if status is not None:
        asked.append(("status = ?", status.value))
    if in_scid is not None:
        asked.append(("json_extract(state, '$.in_scid') = ?", _stored(in_scid)))
    if out_scid is not None:
        out = "coalesce(json_extract(state, '$.out_scid'), json_extract(state, '$.asked_scid'))"
        asked.append((f"{out} = ?", _stored(out_scid)))
    sql, values = _paged("SELECT state FROM forwards", asked, page)
    return [from_json(ForwardRecord, as_text(row[0])) for row in await store.query(sql, values)]


async def htlcs(
    store: Store, page: Page, channel_ids: tuple[ChannelId, ...] | None = None
) -> list[NumberedHtlc]:
    """HTLCs, of some channels or (None) of all."""
    asked: list[tuple[str, Value]] = []
    if channel_ids is not None:
        wanted = ",".join(channel_id.hex().upper() for channel_id in channel_ids)
        asked.append(("instr(?, hex(channel_id)) > 0", wanted))
    sql, values = _paged("SELECT * FROM htlcs", asked, page)
    found = []
    for row in await store.query(sql, values):
        channel_id, htlc = htlc_rows.read(row)
        found.append(NumberedHtlc(channel_id, htlc, as_number(row[14]), as_optional(row[15])))
    return found


def _paged(select: str, asked: list[tuple[str, Value]], page: Page) -> tuple[str, list[Value]]:
    column = "updated_index" if page.by_update else "created_index"
    conditions = [*asked, (f"{column} >= ?", page.start or 0)]
    where = " AND ".join(condition for condition, _ in conditions)
    limit = _NO_LIMIT if page.limit is None else page.limit
    sql = f"{select} WHERE {where} ORDER BY {column} LIMIT ?"
    return sql, [*(value for _, value in conditions), limit]


def _stored(scid: ShortChannelId) -> str:
    """As it stands inside a record."""
    fields = {"block": scid.block, "tx_index": scid.tx_index, "output": scid.output}
    return json.dumps(fields, separators=(",", ":"))
