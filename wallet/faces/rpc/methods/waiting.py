"""Waiting for what comes: Core Lightning's indexes, and the journal by number."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.encode import from_json
from wallet.faces.rpc import sending_shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.more_signatures import Events, Flow, Wait
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.shapes import without_none
from wallet.faces.rpc.table import Answer
from wallet.machines.payments.forwards import ForwardRecord
from wallet.node import lists
from wallet.node.api import Api
from wallet.node.flow import Sent
from wallet.node.journal import Entry
from wallet.node.lists import Page
from wallet.node.memory import Memory

MOST_EVENTS: Final = 1_000
LONGEST_WAIT: Final = 3_600
"""Seconds; a caller who is still there asks again."""

_INDEXES: Final[Mapping[tuple[str, str], Callable[[Memory], int]]] = {
    ("invoices", "created"): lambda memory: memory.invoice_index,
    ("invoices", "updated"): lambda memory: memory.invoice_updates,
    ("invoices", "deleted"): lambda memory: memory.invoice_deletions,
    ("sendpays", "created"): lambda memory: memory.payment_index,
    ("sendpays", "updated"): lambda memory: memory.payment_updates,
    ("forwards", "created"): lambda memory: memory.forward_index,
    ("forwards", "updated"): lambda memory: memory.forward_updates,
    ("htlcs", "created"): lambda memory: memory.htlc_index,
    ("htlcs", "updated"): lambda memory: memory.htlc_updates,
    # Of these nothing can be deleted here.
    ("sendpays", "deleted"): lambda memory: 0,
    ("forwards", "deleted"): lambda memory: 0,
    ("htlcs", "deleted"): lambda memory: 0,
}


async def wait(api: Api, args: Args) -> Answer:
    """Until an index reaches a value; if it had to wait, with what the value belongs to.

    Indexes start at 0, so `nextvalue=0` tells where one stands.  Movements and network events
    have no index here.
    """
    subsystem, name = args[Wait.SUBSYSTEM], args[Wait.INDEXNAME]
    wanted = args[Wait.NEXTVALUE]
    read = _INDEXES.get((subsystem, name))
    if read is None:
        raise Refused(f"subsystem: no '{name}' index of {subsystem} is kept", Code.INVALID_PARAMS)
    reached = read(await api.memory())
    if reached >= wanted:
        return {"subsystem": subsystem, name: reached}
    while read(await api.memory()) < wanted:
        await api.core.kernel.changed()
    found = await _DETAILS[subsystem](api, name, wanted)
    # `details` is the older word, and HTLCs are younger.
    names = (subsystem,) if subsystem == "htlcs" else (subsystem, "details")
    told = dict.fromkeys(names, found) if found else {}
    return {"subsystem": subsystem, name: wanted, **told}


async def _invoice(api: Api, name: str, number: int) -> Answer:
    memory = await api.memory()
    # Of one that was deleted the journal tells; here it is gone.
    for invoice in reversed(memory.invoices.values()) if name != "deleted" else ():
        if number == (invoice.created_index if name == "created" else invoice.updated_index):
            return without_none(
                {
                    "status": invoice.as_of(api.now()).status.value,
                    "label": invoice.label,
                    "description": invoice.description,
                    "bolt11": invoice.bolt11,
                }
            )
    return {}


async def _payment(api: Api, name: str, number: int) -> Answer:
    memory = await api.memory()
    for payment in reversed(memory.payments.values()):
        for part in payment.parts:
            if number == (part.created_index if name == "created" else part.updated_index):
                return {
                    "status": part.status.value,
                    "partid": part.partid,
                    "groupid": payment.groupid,
                    "payment_hash": payment.payment_hash.hex(),
                }
    return {}


async def _forward(api: Api, name: str, number: int) -> Answer:
    # The name is one of two words; the number is a parameter.
    column = "created_index" if name == "created" else "updated_index"
    sql = f"SELECT state FROM forwards WHERE {column} = ?"  # noqa: S608
    for (state,) in await api.core.store.query(sql, (number,)):
        record = from_json(ForwardRecord, str(state))
        return without_none(
            {
                "status": record.status.value,
                "in_channel": str(record.in_scid) if record.in_scid else None,
                "in_htlc_id": record.in_htlc,
                "in_msat": record.in_amount.msat,
                "out_channel": str(record.out_scid or record.asked_scid),
            }
        )
    return {}


async def _htlc(api: Api, name: str, number: int) -> Answer:
    page = Page(by_update=name == "updated", start=number, limit=1)
    memory = await api.memory()
    for item in await lists.htlcs(api.core.store, page):
        shown = sending_shapes.htlc(item, memory.channels[item.channel_id])
        if number == shown.get(f"{name}_index"):
            return {
                "state": shown["state"],
                "htlc_id": shown["id"],
                "short_channel_id": shown["short_channel_id"],
                "cltv_expiry": shown["expiry"],
                "amount_msat": shown["amount_msat"],
                "direction": shown["direction"],
                "payment_hash": shown["payment_hash"],
            }
    return {}


_DETAILS: Final[Mapping[str, Callable[[Api, str, int], Awaitable[Answer]]]] = {
    "invoices": _invoice,
    "sendpays": _payment,
    "forwards": _forward,
    "htlcs": _htlc,
}


async def events(api: Api, args: Args) -> Answer:
    """Ours: what happened from number `since` on, oldest first, at most 1,000 entries.

    Waits up to `timeout` seconds (default 0) while there is nothing to tell.  `next` is the
    `since` to ask with next; without `since` the answer is empty and tells where the end is.
    `missed` says that entries between `since` and the first one given were dropped: read the
    lists again.  Each entry has `seq`, `at` (Unix time), `topic` and what the topic brings.
    """
    since = args.get(Events.SINCE)
    journal = (await api.memory()).journal
    if since is None:
        return {"events": [], "next": journal.next_seq}

    found = journal.since(since, MOST_EVENTS)

    async def something() -> bool:
        # The answer is of one moment: of the last look, whatever has happened since.
        nonlocal journal, found
        journal = (await api.memory()).journal
        found = journal.since(since, MOST_EVENTS)
        return bool(found)

    if not found:
        await _wait_for(api, args.get_or(Events.TIMEOUT, 0), something)
    missed: Answer = {"missed": True} if journal.has_lost(since) else {}
    return {
        "events": [_event(entry) for entry in found],
        "next": found[-1].seq + 1 if found else max(since, journal.next_seq),
        **missed,
    }


async def _wait_for(api: Api, seconds: int, look: Callable[[], Awaitable[bool]]) -> None:
    """Look after each batch until there is something, or for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(min(seconds, LONGEST_WAIT)):
            while True:
                await api.core.kernel.changed()
                if await look():
                    return


def _event(entry: Entry) -> Answer:
    return {"seq": entry.seq, "at": entry.at, "topic": entry.topic, **entry.payload}


async def flow(api: Api, args: Args) -> Answer:
    """Ours: each message about an HTLC that this node has sent, from number `since` on.

    Asked as `events` is; at most `limit` of them (1,000, never more).  They are in memory only:
    numbers of another run, or older than what is kept, are answered at once with `missed` and all
    there is.  Each has `seq`, `at` (Unix time, with fractions), `peer_id`, `channel_id`, `type`
    (add, fulfill, fail), `htlc_id`, and of the HTLC `amount_msat`, `expiry` and `payment_hash`.
    After a reconnection a message may be sent, and told, once more.
    """
    since = args.get(Flow.SINCE)
    sent = api.core.flow.sent
    if since is None:
        return {"flow": [], "next": sent.next_seq}
    limit = max(1, min(args.get_or(Flow.LIMIT, MOST_EVENTS), MOST_EVENTS))
    page = sent.page(since, limit)

    async def something() -> bool:
        nonlocal page
        page = sent.page(since, limit)
        return page.worth_telling

    if not page.worth_telling:
        await _wait_for(api, args.get_or(Flow.TIMEOUT, 0), something)
    return {
        "flow": [_sent(seq, message) for seq, message in page.items],
        "next": page.next_seq,
        **({"missed": True} if page.missed else {}),
    }


def _sent(seq: int, sent: Sent) -> Answer:
    return without_none(
        {
            "seq": seq,
            "at": sent.at,
            "peer_id": sent.peer.hex(),
            "channel_id": sent.channel_id.hex(),
            "type": sent.type,
            "htlc_id": sent.id,
            "amount_msat": sent.amount.msat if sent.amount is not None else None,
            "expiry": sent.expiry.height if sent.expiry is not None else None,
            "payment_hash": sent.payment_hash.hex() if sent.payment_hash is not None else None,
        }
    )
