"""HTLCs as rows: what each is, and the numbers by which lists and `wait` find it.

Core Lightning numbers every HTLC when it comes to be and whenever it changes; we number what is
written, so an HTLC that passed two stages in one batch has changed once.
"""

from typing import Final

from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import ChannelId, PaymentHash, Point
from wallet.machines.channel.htlc import (
    CommitmentRange,
    Failed,
    Fulfilled,
    Htlc,
    HtlcKey,
    Malformed,
    Removal,
)
from wallet.machines.channel.htlc_stages import FINAL, Stage
from wallet.node.columns import as_bytes, as_number, as_optional, as_text
from wallet.node.memory import Memory
from wallet.services.ports import Store
from wallet.services.store import tables
from wallet.services.store.tables import Delete, Put, Row

_GONE: Final = tuple(sorted(stage.name for stage in FINAL))


def put(memory: Memory, channel_id: ChannelId, htlc: Htlc) -> Put:
    """The row of an HTLC that is new or has changed."""
    number = memory.htlc_numbers.get((channel_id, htlc.key))
    updated = None
    if number is None:
        memory.htlc_index += 1
        number = memory.htlc_numbers[channel_id, htlc.key] = memory.htlc_index
    else:
        memory.htlc_updates += 1
        updated = memory.htlc_updates
    row: Row = (
        channel_id,
        int(htlc.key.offered_by_us),
        htlc.key.id,
        htlc.stage.name,
        htlc.amount.msat,
        htlc.payment_hash,
        htlc.cltv_expiry.height,
        htlc.onion,
        to_json(htlc.removal) if htlc.removal is not None else None,
        htlc.in_ours.first,
        htlc.in_ours.last,
        htlc.in_theirs.first,
        htlc.in_theirs.last,
        htlc.path_key,
        number,
        updated,
    )
    return Put(tables.HTLCS, row)


def put_last(memory: Memory, channel_id: ChannelId, htlc: Htlc) -> Put:
    """The row of an HTLC that is gone: it will not change any more."""
    row = put(memory, channel_id, htlc)
    del memory.htlc_numbers[channel_id, htlc.key]
    return row


def delete(memory: Memory, channel_id: ChannelId, key: HtlcKey) -> Delete:
    """As if it had never been."""
    memory.htlc_numbers.pop((channel_id, key), None)
    return Delete(tables.HTLCS, (channel_id, int(key.offered_by_us), key.id))


def read(row: Row) -> tuple[ChannelId, Htlc]:
    """An HTLC of a channel, past or present."""
    removal: Removal | None = None
    if row[8] is not None:
        removal = from_json(Fulfilled | Failed | Malformed, as_text(row[8]))
    htlc = Htlc(
        HtlcKey(bool(row[1]), as_number(row[2])),
        MilliSatoshi(as_number(row[4])),
        PaymentHash(as_bytes(row[5])),
        CltvExpiry(as_number(row[6])),
        as_bytes(row[7]),
        Stage[as_text(row[3])],
        None if row[13] is None else Point(as_bytes(row[13])),
        removal,
        CommitmentRange(as_optional(row[9]), as_optional(row[10])),
        CommitmentRange(as_optional(row[11]), as_optional(row[12])),
    )
    return ChannelId(as_bytes(row[0])), htlc


async def load_living(store: Store) -> dict[bytes, dict[HtlcKey, Htlc]]:
    """The HTLCs that some commitment may still hold, by channel."""
    found: dict[bytes, dict[HtlcKey, Htlc]] = {}
    live = "SELECT * FROM htlcs WHERE stage NOT IN (?, ?) ORDER BY offered_by_us, htlc_id"
    for row in await store.query(live, _GONE):
        channel_id, htlc = read(row)
        found.setdefault(channel_id, {})[htlc.key] = htlc
    return found


async def load_one(store: Store, channel_id: ChannelId, key: HtlcKey) -> Htlc | None:
    """One HTLC, living or gone; None if nobody ever signed for it."""
    one = "SELECT * FROM htlcs WHERE channel_id = ? AND offered_by_us = ? AND htlc_id = ?"
    rows = await store.query(one, (channel_id, int(key.offered_by_us), key.id))
    return read(rows[0])[1] if rows else None


async def load_numbers(store: Store, memory: Memory) -> None:
    """How far the numbers are, and those of the HTLCs that may still change."""
    live = "SELECT channel_id, offered_by_us, htlc_id, created_index FROM htlcs"
    for row in await store.query(f"{live} WHERE stage NOT IN (?, ?)", _GONE):
        key = HtlcKey(bool(row[1]), as_number(row[2]))
        memory.htlc_numbers[ChannelId(as_bytes(row[0])), key] = as_number(row[3])
    [(created, updated)] = await store.query(
        "SELECT coalesce(max(created_index), 0), coalesce(max(updated_index), 0) FROM htlcs"
    )
    memory.htlc_index, memory.htlc_updates = as_number(created), as_number(updated)
