"""What the journal writes beside a notice: its payload, from memory as the batch leaves it."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from wallet.base.values.ids import ChannelId, NodeId, PaymentHash, Point
from wallet.machines.channel.state import ScidKind
from wallet.node.journal import Payload
from wallet.node.memory import Memory
from wallet.node.work import Notice, Work
from wallet.services.store.tables import Write


def write_up(memory: Memory, work: Work, *, durable: bool) -> list[Write]:
    """Number the notices of a batch; their rows, if the batch writes anything at all."""
    entries = [
        memory.journal.append(work.at, said.topic, describe(memory, work, said))
        for said in work.actions
        if isinstance(said, Notice)
    ]
    return memory.journal.rows(entries) if durable else []


def describe(memory: Memory, work: Work, notice: Notice) -> Payload:
    """The notice's own payload, and what memory knows of its subject."""
    known = _DESCRIBE.get(notice.topic)
    found = known(memory, work, notice.subject) if known is not None else {}
    told = {"subject": notice.subject} if not found and not notice.payload else {}
    return {
        name: value
        for name, value in {**told, **found, **notice.payload}.items()
        if value is not None
    }


_Found: TypeAlias = dict[str, str | int | None]


def _invoice(memory: Memory, _work: Work, label: str) -> _Found:
    payment_hash = memory.labels.get(label)
    if payment_hash is None:
        return {}
    invoice = memory.invoices[payment_hash]
    paid = invoice.amount_received.msat
    return {
        "label": label,
        "payment_hash": payment_hash.hex(),
        "status": invoice.status.value,
        "amount_msat": paid or (invoice.amount.msat if invoice.amount else None),
        "description": invoice.description,
    }


def _payment(memory: Memory, work: Work, subject: str) -> _Found:
    payment_hash = PaymentHash(bytes.fromhex(subject))
    groups = [groupid for hash_, groupid in work.payments if hash_ == payment_hash]
    payment = memory.payments.get((payment_hash, max(groups, default=0)))
    if payment is None:
        return {}
    return {
        "payment_hash": subject,
        "groupid": payment.groupid,
        "status": payment.status.value,
        "destination": payment.destination.hex(),
        "amount_msat": payment.amount.msat,
        "amount_sent_msat": payment.amount_sent.msat,
        "label": payment.label,
        "description": payment.description,
        "failure": payment.failure,
    }


def _forward(memory: Memory, work: Work, subject: str) -> _Found:
    channel, _, number = subject.partition("/")
    record = work.forwards.get((ChannelId(bytes.fromhex(channel)), int(number)))
    if record is None:
        return {}
    return {
        "payment_hash": record.payment_hash.hex(),
        "in_channel": str(record.in_scid) if record.in_scid else channel,
        "out_channel": str(record.out_scid or record.asked_scid),
        "in_htlc_id": record.in_htlc,
        "status": record.status.value,
        "in_msat": record.in_amount.msat,
        "out_msat": record.amount.msat,
        "fee_msat": max(record.fee.msat, 0),
    }


def _channel(memory: Memory, _work: Work, subject: str) -> _Found:
    channel = memory.channels.get(ChannelId(bytes.fromhex(subject)))
    if channel is None:
        return {}
    scid = channel.scid(ScidKind.REAL)
    change = channel.changes[-1] if channel.changes else None
    return {
        "channel_id": subject,
        "peer_id": channel.terms.peer.hex(),
        "short_channel_id": str(scid) if scid else None,
        "funding_txid": str(channel.funding.outpoint.txid),
        "funding_msat": channel.funding.amount.to_msat().msat,
        "to_us_msat": channel.funding.to_us.msat,
        "old_state": change.old.value if change and change.old else None,
        "new_state": channel.phase.value,
        "cause": change.cause if change else None,
        "message": memory.frozen.get(channel.id) or (change.message if change else None),
    }


def _peer(memory: Memory, _work: Work, subject: str) -> _Found:
    peer = memory.peers.get(NodeId(Point(bytes.fromhex(subject))))
    if peer is None:
        return {"id": subject}
    return {
        "id": subject,
        "direction": "out" if peer.outbound else "in",
        "address": peer.address,
    }


def _block(memory: Memory, _work: Work, subject: str) -> _Found:
    hashes = (b.hash for b in reversed(memory.blocks) if b.height.height == int(subject))
    found = next(hashes, None)
    return {"height": int(subject), "hash": found[::-1].hex() if found else None}


_DESCRIBE: Final[Mapping[str, Callable[[Memory, Work, str], _Found]]] = {
    "invoice_creation": _invoice,
    "invoice_payment": _invoice,
    "invoice_deleted": _invoice,
    "payment": _payment,
    "forward_event": _forward,
    "channel_opened": _channel,
    "channel_state_changed": _channel,
    "close_signed": _channel,
    "channel_frozen": _channel,
    "htlc_at_risk": _channel,
    "htlc_lost": _channel,
    "funding_lost": _channel,
    "funding_back": _channel,
    "court_needs_coins": _channel,
    "connect": _peer,
    "disconnect": _peer,
    "block_added": _block,
}
"""By topic. Core Lightning's names where it has one; `payment`, `close_signed`, `channel_frozen`,
`htlc_at_risk`, `htlc_lost`, `funding_lost`, `funding_back` and `court_needs_coins` are ours."""
