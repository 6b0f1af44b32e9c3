"""Ours: one list of everything that moved money, newest first."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Final, TypeAlias

from wallet.base.values.encode import from_json
from wallet.base.values.ids import Txid
from wallet.faces.rpc.history_filter import KINDS, Cursor, HistoryFilter
from wallet.faces.rpc.more_signatures import History
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.shapes import BEFORE_THE_END, without_none
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.actions import Broadcast
from wallet.machines.channel.shutdown import broadcast_close
from wallet.machines.channel.state import LIVING, Change, Channel, Phase, ScidKind
from wallet.machines.channel.unilateral import broadcast_commitment
from wallet.machines.coins.records import TxKind, TxRecord
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.machines.payments.records import InvoiceRecord, Payment, PaymentStatus
from wallet.node.api import Api
from wallet.node.memory import Memory

DEFAULT_LIMIT: Final = 100
MOST_ITEMS: Final = 1_000
_AT_ONCE: Final = 500

_RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}
_FORWARD_STATUS: Final = {
    ForwardStatus.OFFERED: "pending",
    ForwardStatus.SETTLED: "complete",
    ForwardStatus.FAILED: "failed",
    ForwardStatus.LOCAL_FAILED: "failed",
}
_END: Final = Cursor((1 << 62) - 1, len(KINDS), 0)

_Place: TypeAlias = tuple[int, int, int]
"""A `Cursor` that is quick to compare."""
_Placed: TypeAlias = tuple[_Place, Answer]
_Unmade: TypeAlias = tuple[_Place, Callable[[], Answer]]


async def history(api: Api, args: Args) -> Answer:
    """Payments, invoices paid, forwards, deposits, withdrawals, channels opened and closed.

    `filter` is an object; every member is optional and all must fit: `kind` (payment, invoice,
    forward, deposit, withdrawal, channel_open, channel_close), `direction` (in, out, through: a
    forward, self: between our coins and our channels), `status` (pending, complete, failed), each
    a word or a list of them; `text`, which some field of the item must contain, in any case;
    `since` and `until`, Unix times.

    At most `limit` items (100, never more than 1,000).  `next`, if there are more, is the `start`
    of the next page; as an item's time is that of its beginning, it is on one page only, whatever
    happens in between.

    Each item has `kind`, `at`, `amount_msat`, `direction` and `status`, and what is known of
    `fee_msat` (for a forward: earned, for others: paid), `label`, `description`, `payment_hash`,
    `txid`, `channel_id` and the like.  A close is pending until a block has its transaction and
    all that was ours is taken; before that block its `txid` is that of what is on its way there;
    `waiting_msat` is what no coin of the wallet is yet.
    """
    wanted = args.get_or(History.FILTER, HistoryFilter())
    limit = max(1, min(args.get_or(History.LIMIT, DEFAULT_LIMIT), MOST_ITEMS))
    before = args.get_or(History.START, _END)
    found = await _of_memory(await api.memory(), wanted, before, limit + 1)
    if "forward" in wanted.kinds and "through" in wanted.directions:
        found += await _forwards(api, wanted, before, limit + 1)
    page = sorted(found, key=itemgetter(0), reverse=True)
    answer: Answer = {"history": [item for _, item in page[:limit]]}
    if len(page) > limit:
        answer["next"] = str(Cursor(*page[limit - 1][0]))
    return answer


async def _of_memory(
    memory: Memory, wanted: HistoryFilter, before: Cursor, enough: int
) -> list[_Placed]:
    """The newest items that fit. Only as many are made as are looked at."""
    end = (before.at, before.rank, before.number)
    places: list[_Unmade] = []
    for number, (place, make) in enumerate(_in_memory(_Snapshot(memory), wanted)):
        if place < end and wanted.since <= place[0] <= wanted.until:
            places.append((place, make))
        if number % _AT_ONCE == 0:
            # Years of payments must not hold up a payment of today.
            await asyncio.sleep(0)
    places.sort(key=itemgetter(0), reverse=True)
    found: list[_Placed] = []
    for number, (place, make) in enumerate(places):
        item = _whole(place, make())
        if wanted.fits(item):
            found.append((place, item))
            if len(found) == enough:
                break
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


class _Snapshot:
    """What memory held at one moment between two batches; the records themselves never change."""

    def __init__(self, memory: Memory) -> None:
        self.payments = list(memory.payments.values())
        self.invoices = list(memory.invoices.values())
        self.transactions = list(memory.transactions.values())
        self.channels = dict(memory.channels)


def _in_memory(then: _Snapshot, wanted: HistoryFilter) -> Iterator[_Unmade]:
    if "payment" in wanted.kinds:
        rank = _RANK["payment"]
        for payment in then.payments:
            place = (payment.created_at, rank, payment.created_index)
            yield place, partial(_payment, payment)
    if "invoice" in wanted.kinds:
        rank = _RANK["invoice"]
        for invoice in then.invoices:
            if invoice.paid_at is not None:
                yield (invoice.paid_at, rank, invoice.pay_index or 0), partial(_invoice, invoice)
    of_channels: dict[tuple[bytes, TxKind], TxRecord] = {}
    for record in then.transactions:
        if record.channel_id is not None and record.channel_id in then.channels:
            of_channels.setdefault((record.channel_id, record.kind), record)
        else:
            rank = _RANK["deposit" if record.delta_sat >= 0 else "withdrawal"]
            yield (record.at, rank, record.number), partial(_transaction, record)
    for channel in then.channels.values():
        number = int.from_bytes(channel.id[:6], "big")
        opening = of_channels.get((channel.id, TxKind.OPENING))
        place = (channel.terms.opened_at, _RANK["channel_open"], number)
        yield place, partial(_opened, channel, opening)
        ended = next((c for c in channel.changes if c.new not in BEFORE_THE_END), None)
        if ended is not None:
            closing = of_channels.get((channel.id, TxKind.CLOSING))
            place = (ended.at, _RANK["channel_close"], number)
            yield place, partial(_closed, channel, ended, closing)


def _whole(place: _Place, item: Answer) -> Answer:
    at, rank, _ = place
    return without_none({"kind": KINDS[rank], "at": at, **item})


def _payment(payment: Payment) -> Answer:
    complete = payment.status is PaymentStatus.COMPLETE
    return {
        "amount_msat": payment.amount.msat,
        "fee_msat": payment.amount_sent.msat - payment.amount.msat if complete else None,
        "direction": "out",
        "status": payment.status.value,
        "label": payment.label,
        "description": payment.description,
        "payment_hash": payment.payment_hash.hex(),
        "destination": payment.destination.hex(),
        "bolt11": payment.bolt11,
        "completed_at": payment.completed_at,
        "failure": payment.failure,
    }


def _invoice(invoice: InvoiceRecord) -> Answer:
    return {
        "amount_msat": invoice.amount_received.msat,
        "direction": "in",
        "status": "complete",
        "label": invoice.label,
        "description": invoice.description,
        "payment_hash": invoice.payment_hash.hex(),
        "bolt11": invoice.bolt11,
    }


def _transaction(record: TxRecord) -> Answer:
    incoming = record.delta_sat >= 0
    return {
        "amount_msat": (abs(record.delta_sat) - (0 if incoming else record.fee_sat or 0)) * 1000,
        "fee_msat": None if record.fee_sat is None else record.fee_sat * 1000,
        "direction": "in" if incoming else "out",
        "status": "pending" if record.height is None else "complete",
        "txid": str(record.tx.txid),
        "blockheight": record.height,
    }


def _channel(channel: Channel) -> Answer:
    scid = channel.scid(ScidKind.REAL)
    return {
        "direction": "self",
        "channel_id": channel.id.hex(),
        "peer_id": channel.terms.peer.hex(),
        "short_channel_id": str(scid) if scid else None,
    }


def _opened(channel: Channel, record: TxRecord | None) -> Answer:
    funding = channel.funding
    confirmed = funding.confirmed
    never = confirmed is None and channel.phase not in LIVING
    waiting = channel.phase is Phase.AWAITING_CONFIRMATION
    return {
        "amount_msat": funding.amount.to_msat().msat,
        "fee_msat": None if record is None or record.fee_sat is None else record.fee_sat * 1000,
        "status": "failed" if never else "pending" if waiting else "complete",
        "opener": "local" if channel.terms.we_opened else "remote",
        "txid": str(funding.outpoint.txid),
        "blockheight": confirmed.height if confirmed else None,
        **_channel(channel),
    }


def _closed(channel: Channel, ended: Change, record: TxRecord | None) -> Answer:
    end = channel.onchain
    txid = end.txid if end is not None else _on_its_way(channel, record)
    waiting = end.unclaimed.to_msat() if end is not None else channel.funding.to_us
    # What is not worth its fee is never taken, and waited for no longer than the channel is.
    done = channel.phase is Phase.CLOSED or (end is not None and not waiting.msat)
    return {
        "amount_msat": channel.funding.to_us.msat,
        "status": "complete" if done else "pending",
        "waiting_msat": None if done else waiting.msat,
        "description": ended.message,
        "closer": "remote" if ended.cause == "remote" else "local",
        "txid": str(txid) if txid is not None else None,
        "blockheight": end.height if end is not None else None,
        **_channel(channel),
    }


def _on_its_way(channel: Channel, record: TxRecord | None) -> Txid | None:
    """Of the close while no block has one: what was seen, or else what we offer to the chain."""
    offered: tuple[Broadcast, ...] = ()
    if channel.phase is Phase.MUTUALLY_CLOSED:
        offered = broadcast_close(channel)
    # What pays for a commitment is of the close too, but not it.
    elif record is not None and _ends(channel, record):
        return record.tx.txid
    elif channel.phase is Phase.FAILED:
        offered = broadcast_commitment(channel)
    return offered[-1].transaction.tx.txid if offered else None


def _ends(channel: Channel, record: TxRecord) -> bool:
    fundings = {funding.outpoint for funding in channel.fundings}
    return any(txin.outpoint in fundings for txin in record.tx.inputs)


# --- forwards, which only the store has ---------------------------------------------------------


async def _forwards(api: Api, wanted: HistoryFilter, before: Cursor, enough: int) -> list[_Placed]:
    """The newest forwards that fit; older ones are not even read."""
    found: list[_Placed] = []
    place = min(before, replace(_END, at=wanted.until))
    words = json.dumps([s.value for s, word in _FORWARD_STATUS.items() if word in wanted.statuses])
    # For words the store cannot look, and each further look costs it a pass over all of them.
    at_once = 10 * _AT_ONCE if wanted.text else max(enough, _AT_ONCE)
    while len(found) < enough:
        rank = _RANK["forward"]
        bounds = (words, wanted.since, rank, place.at, place.rank, place.number, at_once)
        rows = await api.core.store.query(_FORWARDS, bounds)
        for number, (state,) in enumerate(rows):
            record = from_json(ForwardRecord, str(state))
            place = Cursor(record.received_at, rank, record.created_index)
            at = (place.at, place.rank, place.number)
            item = _whole(at, _forward(record))
            if wanted.fits(item):
                found.append((at, item))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        if len(rows) < at_once:
            break
    return found[:enough]


_RECEIVED: Final = "json_extract(state, '$.received_at')"
_FORWARDS: Final = (
    "SELECT state FROM forwards"  # noqa: S608 (constants)
    f" WHERE status IN (SELECT value FROM json_each(?)) AND {_RECEIVED} >= ?"
    f" AND ({_RECEIVED}, ?, created_index) < (?, ?, ?)"
    f" ORDER BY {_RECEIVED} DESC, created_index DESC LIMIT ?"
)


def _forward(record: ForwardRecord) -> Answer:
    settled = record.status is ForwardStatus.SETTLED
    return {
        "amount_msat": record.amount.msat,
        "fee_msat": max(record.fee.msat, 0) if settled else None,
        "direction": "through",
        "status": _FORWARD_STATUS[record.status],
        "payment_hash": record.payment_hash.hex(),
        "in_channel": str(record.in_scid) if record.in_scid else record.in_channel.hex(),
        "out_channel": str(record.out_scid or record.asked_scid),
        "completed_at": record.resolved_at,
        "failure": record.failure_name,
    }
