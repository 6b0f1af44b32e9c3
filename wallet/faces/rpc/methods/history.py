"""Ours: one list of everything that moved money, newest first."""

from collections.abc import Iterator
from dataclasses import replace
from heapq import nlargest
from typing import Final

from wallet.base.values.encode import from_json
from wallet.faces.rpc.history_filter import KINDS, Cursor, HistoryFilter
from wallet.faces.rpc.more_signatures import History
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.shapes import BEFORE_THE_END, without_none
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.state import LIVING, Channel, Phase, ScidKind
from wallet.machines.coins.records import TxKind, TxRecord
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.machines.payments.records import InvoiceRecord, InvoiceStatus, Payment, PaymentStatus
from wallet.node.api import Api
from wallet.node.memory import Memory

DEFAULT_LIMIT: Final = 100
MOST_ITEMS: Final = 1_000
_FORWARDS_AT_ONCE: Final = 500

_RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}
_FORWARD_STATUS: Final = {
    ForwardStatus.OFFERED: "pending",
    ForwardStatus.SETTLED: "complete",
    ForwardStatus.FAILED: "failed",
    ForwardStatus.LOCAL_FAILED: "failed",
}
_END: Final = Cursor((1 << 62) - 1, len(KINDS), 0)

_Placed = tuple[Cursor, Answer]


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
    `txid`, `channel_id` and the like.
    """
    wanted = args.get_or(History.FILTER, HistoryFilter())
    limit = max(1, min(args.get_or(History.LIMIT, DEFAULT_LIMIT), MOST_ITEMS))
    before = args.get_or(History.START, _END)
    memory = await api.memory()
    found = [
        placed
        for placed in _in_memory(memory, wanted)
        if placed[0] < before and wanted.since <= placed[0].at <= wanted.until
    ]
    kept = nlargest(limit + 1, (p for p in found if wanted.fits(p[1])), key=lambda p: p[0])
    if "forward" in wanted.kinds and "through" in wanted.directions:
        kept += await _forwards(api, wanted, before, limit + 1)
    page = nlargest(limit + 1, kept, key=lambda placed: placed[0])
    answer: Answer = {"history": [item for _, item in page[:limit]]}
    if len(page) > limit:
        answer["next"] = str(page[limit - 1][0])
    return answer


def _in_memory(memory: Memory, wanted: HistoryFilter) -> Iterator[_Placed]:
    if "payment" in wanted.kinds:
        for payment in memory.payments.values():
            yield _placed(payment.created_at, payment.created_index, _payment(payment))
    if "invoice" in wanted.kinds:
        for invoice in memory.invoices.values():
            if invoice.status is InvoiceStatus.PAID and invoice.paid_at is not None:
                yield _placed(invoice.paid_at, invoice.pay_index or 0, _invoice(invoice))
    of_channels: dict[tuple[bytes, TxKind], TxRecord] = {}
    for record in memory.transactions.values():
        if record.channel_id is not None and record.channel_id in memory.channels:
            of_channels.setdefault((record.channel_id, record.kind), record)
        else:
            yield _placed(record.at, record.number, _transaction(record))
    for channel in memory.channels.values():
        number = int.from_bytes(channel.id[:6], "big")
        opening = of_channels.get((channel.id, TxKind.OPENING))
        yield _placed(channel.terms.opened_at, number, _opened(channel, opening))
        closing = of_channels.get((channel.id, TxKind.CLOSING))
        yield from _closed(channel, number, closing)


def _placed(at: int, number: int, item: Answer) -> _Placed:
    kind = str(item["kind"])
    return Cursor(at, _RANK[kind], number), without_none({"kind": kind, "at": at, **item})


def _payment(payment: Payment) -> Answer:
    complete = payment.status is PaymentStatus.COMPLETE
    return {
        "kind": "payment",
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
        "kind": "invoice",
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
        "kind": "deposit" if incoming else "withdrawal",
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
        "kind": "channel_open",
        "amount_msat": funding.amount.to_msat().msat,
        "fee_msat": None if record is None or record.fee_sat is None else record.fee_sat * 1000,
        "status": "failed" if never else "pending" if waiting else "complete",
        "opener": "local" if channel.terms.we_opened else "remote",
        "txid": str(funding.outpoint.txid),
        "blockheight": confirmed.height if confirmed else None,
        **_channel(channel),
    }


def _closed(channel: Channel, number: int, record: TxRecord | None) -> Iterator[_Placed]:
    ended = [c for c in channel.changes if c.new not in BEFORE_THE_END]
    if not ended:
        return
    txid = channel.onchain.txid if channel.onchain is not None else None
    if txid is None and record is not None:
        txid = record.tx.txid
    item: Answer = {
        "kind": "channel_close",
        "amount_msat": channel.funding.to_us.msat,
        "status": "complete" if channel.phase is Phase.CLOSED else "pending",
        "description": ended[0].message,
        "closer": "remote" if ended[0].cause == "remote" else "local",
        "txid": str(txid) if txid is not None else None,
        "blockheight": channel.onchain.height if channel.onchain is not None else None,
        **_channel(channel),
    }
    yield _placed(ended[0].at, number, item)


# --- forwards, which only the store has ---------------------------------------------------------


async def _forwards(api: Api, wanted: HistoryFilter, before: Cursor, enough: int) -> list[_Placed]:
    """The newest forwards that fit; older ones are not even read."""
    found: list[_Placed] = []
    place = min(before, replace(_END, at=wanted.until))
    while len(found) < enough:
        bounds = (wanted.since, _RANK["forward"], place.at, place.rank, place.number)
        rows = await api.core.store.query(_FORWARDS, bounds)
        for (state,) in rows:
            record = from_json(ForwardRecord, str(state))
            placed = _placed(record.received_at, record.created_index, _forward(record))
            place = placed[0]
            if wanted.fits(placed[1]):
                found.append(placed)
        if len(rows) < _FORWARDS_AT_ONCE:
            break
    return found[:enough]


_RECEIVED: Final = "json_extract(state, '$.received_at')"
_FORWARDS: Final = (
    f"SELECT state FROM forwards WHERE {_RECEIVED} >= ?"  # noqa: S608 (a constant)
    f" AND ({_RECEIVED}, ?, created_index) < (?, ?, ?)"
    f" ORDER BY {_RECEIVED} DESC, created_index DESC LIMIT {_FORWARDS_AT_ONCE}"
)


def _forward(record: ForwardRecord) -> Answer:
    settled = record.status is ForwardStatus.SETTLED
    return {
        "kind": "forward",
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
