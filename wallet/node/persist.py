"""Between states and rows: what a batch must write, and what a start reads.

Rule 1: what is volatile by BOLT 2 (their uncommitted updates, the link, the talk about a closing
fee) never reaches a row: `durable` is the channel as if the peer had just gone.
Rule 2: only rows that differ are written; a batch that changed nothing durable writes none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from wallet.base.errors import DecodeError, InvariantBroken, ServiceFault
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import BlockHash, ChannelId, ShortChannelId
from wallet.machines.chain_events import BlockRef
from wallet.machines.channel.htlc import Htlc, HtlcKey
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.reconnect import disconnected
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Funding, Scid, ScidKind, is_unsent
from wallet.machines.coins.wallet import Branch, Changes, Coin, Sent, Wallet, difference
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.machines.payments.records import InvoiceRecord, Part, Payment
from wallet.node import (
    coin_desk,
    gossip_rows,
    htlc_rows,
    journal,
    journal_desk,
    ledger,
    pay_desk,
    payment_desk,
)
from wallet.node.board import Board
from wallet.node.columns import as_bytes, as_number, as_optional, as_text
from wallet.node.memory import KEPT_BLOCKS, KnownPeer, Memory, PaymentKey, genesis_ref
from wallet.node.work import NodeAction, Work
from wallet.services.ports import Store
from wallet.services.store import tables
from wallet.services.store.tables import Delete, Put, Row, Value, Write

CHANNEL_VERSION: Final = 1
_COUNTERS: Final = ("invoice_index", "invoice_updates", "invoice_deletions", "pay_index")
"""Fields of `Memory` that must not fall back when an invoice is deleted."""


@dataclass(slots=True)
class Before:
    """What the rows say as the batch begins: the durable states that writes are compared with."""

    channels: dict[ChannelId, Channel]
    wallet: Wallet
    blocks: tuple[BlockRef, ...]

    def __init__(self, memory: Memory) -> None:
        self.channels = dict(memory.channels)
        self.wallet = memory.wallet
        self.blocks = tuple(memory.blocks)


def durable(channel: Channel) -> Channel:
    """The channel as a restart will find it."""
    return disconnected(channel)


def writes(memory: Memory, before: Before, work: Work) -> list[Write]:
    """The rows of a batch, parents before children."""
    rows: list[Write] = []
    for channel_id in sorted(work.touched):
        old = before.channels.get(channel_id)
        rows += _channel_rows(memory, old, memory.channels[channel_id])
    for channel_id, htlc in work.gone:
        # One that nobody has signed for leaves no trace: as a row it would come back at a start.
        if not is_unsent(htlc):
            rows.append(htlc_rows.put_last(memory, channel_id, htlc))
    for channel_id, said in work.their_commitments:
        rows.append(
            Put(
                tables.THEIR_COMMITMENTS,
                (
                    channel_id,
                    said.funding_number,
                    said.number,
                    said.to_us.msat,
                    said.to_them.msat,
                    said.feerate.per_kw,
                ),
            )
        )
    rows += _invoice_rows(memory, work)
    for key in work.payments:
        rows += _payment_rows(memory.payments[key])
    rows += [_forward_row(record) for record in work.forwards.values()]
    for node_id in work.peers:
        rows.append(Put(tables.PEERS, (node_id, to_json(memory.known_peers[node_id]))))
    if work.wallet:
        rows += _wallet_rows(difference(before.wallet, memory.wallet))
    if work.blocks:
        rows += _block_rows(before.blocks, memory)
    rows += work.gossip
    rows += ledger.rows(memory, work.transactions)
    rows += journal_desk.write_up(memory, work, durable=bool(rows))
    return rows


# --- channels -----------------------------------------------------------------------------------


def _channel_rows(memory: Memory, old: Channel | None, new: Channel) -> list[Write]:
    now = durable(new)
    was = durable(old) if old is not None else None
    if now == was:
        return []
    rows: list[Write] = []
    head = _head(now)
    if was is None or _head(was) != head:
        row: Row = (
            now.id,
            now.terms.keys_id,
            now.terms.peer,
            now.phase.name,
            CHANNEL_VERSION,
            to_json(head),
        )
        rows.append(Put(tables.CHANNELS, row))
    known = set(was.fundings) if was else set()
    rows += [_funding_row(now.id, f) for f in now.fundings if f not in known]
    was_htlcs: Mapping[HtlcKey, Htlc] = was.htlcs if was else {}
    rows += [
        htlc_rows.put(memory, now.id, h) for k, h in now.htlcs.items() if was_htlcs.get(k) != h
    ]
    # An HTLC that the channel failed before anybody had signed for it leaves no trace.
    unsigned = {Stage.SENT_ADD_HTLC}
    rows += [
        htlc_rows.delete(memory, now.id, k)
        for k, h in was_htlcs.items()
        if k not in now.htlcs and h.stage in unsigned
    ]
    was_names = set(was.scids) if was else set()
    kept = {(s.scid, s.kind) for s in now.scids}
    rows += [
        Delete(tables.SCIDS, (now.id, str(s.scid), s.kind.value))
        for s in (was.scids if was else ())
        if (s.scid, s.kind) not in kept
    ]
    rows += [_scid_row(now.id, s) for s in now.scids if s not in was_names]
    return rows


def _head(channel: Channel) -> Channel:
    """What has no table of its own."""
    return replace(channel, htlcs={}, fundings=(), scids=())


def _funding_row(channel_id: ChannelId, funding: Funding) -> Put:
    row: Row = (
        channel_id,
        funding.number,
        funding.outpoint.txid,
        funding.outpoint.index,
        funding.amount.sat,
        to_json(funding),
    )
    return Put(tables.FUNDINGS, row)


def _scid_row(channel_id: ChannelId, name: Scid) -> Put:
    row: Row = (channel_id, str(name.scid), name.kind.value, name.funding_number, name.until)
    return Put(tables.SCIDS, row)


async def load_channels(store: Store) -> list[Channel]:
    """The channels as the last commit left them, oldest first."""
    fundings: dict[bytes, list[Funding]] = {}
    for row in await store.load(tables.FUNDINGS):
        fundings.setdefault(as_bytes(row[0]), []).append(from_json(Funding, as_text(row[5])))
    htlcs = await htlc_rows.load_living(store)
    names: dict[bytes, list[Scid]] = {}
    for row in await store.load(tables.SCIDS):
        scid = ShortChannelId.parse(as_text(row[1]))
        name = Scid(scid, ScidKind(as_text(row[2])), as_number(row[3]), as_optional(row[4]))
        names.setdefault(as_bytes(row[0]), []).append(name)
    loaded = []
    for row in await store.load(tables.CHANNELS):
        channel_id = ChannelId(as_bytes(row[0]))
        head = from_json(Channel, as_text(row[5]))
        loaded.append(
            replace(
                head,
                fundings=tuple(sorted(fundings[channel_id], key=lambda f: f.number)),
                htlcs=htlcs.get(channel_id, {}),
                scids=tuple(names.get(channel_id, ())),
            )
        )
    return sorted(loaded, key=lambda c: (c.terms.opened_at, c.id))


# --- the rest -----------------------------------------------------------------------------------


def _invoice_rows(memory: Memory, work: Work) -> list[Write]:
    deleted = [h for h in work.invoices if h not in memory.invoices]
    # Deletions first: a label may go from one invoice to the next within a batch.
    rows: list[Write] = [Delete(tables.INVOICES, (payment_hash,)) for payment_hash in deleted]
    for payment_hash in work.invoices.difference(deleted):
        invoice = memory.invoices[payment_hash]
        rows.append(
            Put(
                tables.INVOICES,
                (payment_hash, invoice.label, invoice.created_index, to_json(invoice)),
            )
        )
    if deleted:
        # The rows say how far the counters are, except those that go: no number is used twice.
        rows += [Put(tables.META, (name, str(getattr(memory, name)))) for name in _COUNTERS]
    return rows


def _payment_rows(payment: Payment) -> list[Write]:
    key = (payment.payment_hash, payment.groupid)
    head = to_json(replace(payment, parts=()))
    rows: list[Write] = [Put(tables.PAYMENTS, (*key, payment.created_index, head))]
    rows += [
        Put(tables.PAYMENT_PARTS, (*key, part.partid, to_json(part))) for part in payment.parts
    ]
    return rows


def _forward_row(record: ForwardRecord) -> Put:
    row: Row = (
        record.in_channel,
        record.in_htlc,
        record.created_index,
        record.updated_index,
        record.status.value,
        # An onion may ask us to pass on more than there is: such a forward brings nothing.
        max(record.fee.msat, 0),
        to_json(record),
    )
    return Put(tables.FORWARDS, row)


def _wallet_rows(changes: Changes) -> list[Write]:
    rows: list[Write] = [
        Put(tables.COINS, (c.outpoint.txid, c.outpoint.index, to_json(c))) for c in changes.coins
    ]
    rows += [Delete(tables.COINS, (o.txid, o.index)) for o in changes.gone]
    rows += [Put(tables.SENT_TRANSACTIONS, (s.tx.txid, to_json(s))) for s in changes.sent]
    rows += [Delete(tables.SENT_TRANSACTIONS, (txid,)) for txid in changes.unsent]
    rows += [
        Put(tables.KEY_BRANCHES, (b.purpose, b.change, b.next_index)) for b in changes.branches
    ]
    return rows


def _block_rows(before: tuple[BlockRef, ...], memory: Memory) -> list[Write]:
    now = tuple(memory.blocks)
    kept = set(now)
    rows: list[Write] = [Delete(tables.BLOCKS, (b.height.height,)) for b in before if b not in kept]
    known = set(before)
    rows += [Put(tables.BLOCKS, (b.height.height, b.hash)) for b in now if b not in known]
    return rows


async def load(store: Store, board: Board) -> tuple[Memory, list[NodeAction]]:
    """Memory from disk, and what it still promises; what that decides is stored already.

    Raises `ServiceFault`.
    """
    try:
        memory = await _load_memory(store, board)
    except (DecodeError, KeyError, ValueError, InvariantBroken) as error:
        raise ServiceFault(
            f"the wallet's database holds something this version cannot read: {error}."
            " Nothing was changed; do not delete it"
        ) from error
    board.memory = memory
    # An HTLC that waited is judged below: by height 0 none is too late, and all end too far off.
    board.ctx = replace(board.ctx, height=memory.height)
    board.work = work = Work(at=board.ctx.now)
    coin_desk.derive(board)
    stored = Before(memory)
    for channel in list(memory.channels.values()):
        after = resume(channel)
        board.add_channel(after.state, after.actions)
    for channel_id, htlc in await _unheard(store, memory):
        payment_desk.outcome(board, channel_id, htlc)
    pay_desk.end_abandoned(board)
    coin_desk.offer_again(board)
    board.flush()
    # A start may decide something: an HTLC that waited gets its answer.  Like any batch, that is
    # on disk before anything is done: later batches compare with memory and would not write it.
    if rows := writes(memory, stored, work):
        await store.commit(rows)
    return memory, list(work.actions)


async def _unheard(store: Store, memory: Memory) -> list[tuple[ChannelId, Htlc]]:
    """HTLCs that are gone, while the forward that they carried on waits for its outcome."""
    found = []
    for channel_id, number in memory.forwarded:
        key = HtlcKey(True, number)
        if key not in memory.channels[channel_id].htlcs:
            htlc = await htlc_rows.load_one(store, channel_id, key)
            if htlc is not None:
                found.append((channel_id, htlc))
    return found


async def _load_memory(store: Store, board: Board) -> Memory:
    blocks = [
        BlockRef(BlockHeight(as_number(row[0])), BlockHash(as_bytes(row[1])))
        for row in await store.load(tables.BLOCKS)
    ]
    blocks.sort(key=lambda block: block.height)
    tip = blocks[-1] if blocks else genesis_ref(board.chain.chain_hash)
    memory = Memory(wallet=await _load_wallet(store), tip=tip)
    memory.blocks.extend(blocks[-KEPT_BLOCKS:])
    for channel in await load_channels(store):
        memory.channels[channel.id] = channel
    await htlc_rows.load_numbers(store, memory)
    for row in await store.load(tables.INVOICES):
        invoice = from_json(InvoiceRecord, as_text(row[3]))
        memory.invoices[invoice.payment_hash] = invoice
        memory.labels[invoice.label] = invoice.payment_hash
        memory.invoice_index = max(memory.invoice_index, invoice.created_index)
        memory.invoice_updates = max(memory.invoice_updates, invoice.updated_index or 0)
        memory.pay_index = max(memory.pay_index, invoice.pay_index or 0)
    ledger.restore(memory, await store.load(tables.TRANSACTIONS))
    memory.journal = journal.restored(await store.load(tables.JOURNAL))
    for name, value in await store.load(tables.META):
        if name in _COUNTERS:
            setattr(memory, as_text(name), max(getattr(memory, as_text(name)), int(as_text(value))))
    await _load_payments(store, memory)
    await _load_forwards(store, memory)
    for row in await store.load(tables.PEERS):
        known = from_json(KnownPeer, as_text(row[1]))
        memory.known_peers[known.node_id] = known
    await gossip_rows.load(store, memory)
    return memory


async def _load_wallet(store: Store) -> Wallet:
    wallet = Wallet()
    for row in await store.load(tables.KEY_BRANCHES):
        branch = Branch(as_number(row[0]), as_number(row[1]), as_number(row[2]))
        wallet = wallet.with_branch(branch)
    coins = [from_json(Coin, as_text(row[2])) for row in await store.load(tables.COINS)]
    sent = [from_json(Sent, as_text(row[1])) for row in await store.load(tables.SENT_TRANSACTIONS)]
    # A reservation belongs to an opening, and no opening survives a restart.
    free = (replace(c, reserved_by=None) for c in coins)
    return replace(wallet, coins={c.outpoint: c for c in free}, sent={s.tx.txid: s for s in sent})


async def _load_payments(store: Store, memory: Memory) -> None:
    parts: dict[tuple[Value, Value], list[Part]] = {}
    for row in await store.load(tables.PAYMENT_PARTS):
        parts.setdefault((row[0], row[1]), []).append(from_json(Part, as_text(row[3])))
    sent: list[tuple[PaymentKey, Part]] = []
    for row in await store.load(tables.PAYMENTS):
        head = from_json(Payment, as_text(row[3]))
        found = sorted(parts.get((row[0], row[1]), []), key=lambda part: part.partid)
        payment = replace(head, parts=tuple(found))
        key = (payment.payment_hash, payment.groupid)
        memory.keep_payment(payment)
        memory.payment_index = max(memory.payment_index, payment.created_index)
        memory.payment_updates = max(memory.payment_updates, payment.updated_index or 0)
        sent += ((key, part) for part in payment.parts)
    # The newest last: the id of an HTLC that nobody ever signed for is used again.
    for key, part in sorted(sent, key=lambda one: one[1].created_index):
        memory.payment_index = max(memory.payment_index, part.created_index)
        if part.htlc_id is not None:
            memory.htlc_payments[part.channel_id, part.htlc_id] = (key, part.partid)


async def _load_forwards(store: Store, memory: Memory) -> None:
    """Those under way; of the others only how many there were, and what they brought."""
    offered = "SELECT state FROM forwards WHERE status = ?"
    for (state,) in await store.query(offered, (ForwardStatus.OFFERED.value,)):
        record = from_json(ForwardRecord, as_text(state))
        key = (record.in_channel, record.in_htlc)
        memory.forwards[key] = record
        if record.out_channel is not None and record.out_htlc is not None:
            memory.forwarded[record.out_channel, record.out_htlc] = key
    [(created, updated, settled, fees)] = await store.query(
        "SELECT coalesce(max(created_index), 0), coalesce(max(updated_index), 0),"
        " count(*) FILTER (WHERE status = ?1),"
        " coalesce(sum(fee_msat) FILTER (WHERE status = ?1), 0) FROM forwards",
        (ForwardStatus.SETTLED.value,),
    )
    memory.forward_index, memory.forward_updates = as_number(created), as_number(updated)
    memory.forwards_settled, memory.fees_collected_msat = as_number(settled), as_number(fees)
