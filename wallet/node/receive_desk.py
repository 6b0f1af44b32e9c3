"""Money in: invoices are made, and HTLCs that are irrevocable get their answer.

Rule 1: an invoice is paid in the same commit in which its HTLCs are fulfilled, all of them.
Rule 2: parts of a payment wait in memory until they are the whole, and for a minute at most.
"""

from dataclasses import replace

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.invoices.bolt11 import attach_signature, signing_digest
from wallet.base.values.ids import ChannelId, PaymentHash, Preimage
from wallet.machines.channel import events
from wallet.machines.channel.htlc import Htlc, HtlcKey
from wallet.machines.channel.htlc_stages import SETTLED
from wallet.machines.channel.limits import is_too_much_dust
from wallet.machines.channel.state import Phase, is_lost
from wallet.machines.payments import hints, incoming, parts
from wallet.machines.payments.records import InvoiceRecord
from wallet.machines.signing import Ecdh, RecoverableSignature, SignInvoice
from wallet.node import forward_desk
from wallet.node.answers import InvoiceCreated, InvoiceDeleted
from wallet.node.board import Board
from wallet.node.events import CreateInvoice, DeleteInvoice
from wallet.node.inbound import inbound_channels
from wallet.node.work import Notice


def create_invoice(board: Board, command: CreateInvoice) -> None:
    """Make, sign and store an invoice.

    Raises `Refused`: 900 label taken, 901 preimage known, 902 no channel that was named will do.
    """
    memory, request = board.memory, command.request
    if request.label in memory.labels:
        raise Refused(f"Duplicate label '{request.label}'", 900)
    preimage = command.preimage or Preimage(board.entropy("preimage"))
    payment_hash = PaymentHash(sha256(preimage))
    if payment_hash in memory.invoices:
        raise Refused("an invoice with this preimage exists already", 901)
    reach = hints.reach(inbound_channels(memory), request.amount, command.exposure)
    record = _make(board, replace(request, route_hints=reach.hints), preimage)
    board.work.reply(command.ticket, InvoiceCreated(record, reach.warnings))


def _make(board: Board, request: incoming.InvoiceRequest, preimage: Preimage) -> InvoiceRecord:
    """Sign and store; neither label nor preimage is in use."""
    memory = board.memory
    fields = incoming.make_invoice(
        request,
        chain=board.chain,
        preimage=preimage,
        payment_secret=board.entropy(f"payment_secret {request.label}"),
        now=board.ctx.now,
    )
    signed = board.ask(SignInvoice(signing_digest(fields)))
    if not isinstance(signed, RecoverableSignature):
        raise InvariantBroken("the signer gave no signature for an invoice")
    text = attach_signature(fields, signed.signature, signed.recovery_id)
    memory.invoice_index += 1
    record = incoming.record(
        request, fields, text, preimage=preimage, created_index=memory.invoice_index
    )
    memory.invoices[record.payment_hash] = record
    memory.labels[request.label] = record.payment_hash
    board.work.invoices.add(record.payment_hash)
    board.work.act(Notice("invoice_creation", request.label))
    return record


def delete_invoice(board: Board, command: DeleteInvoice) -> None:
    """Forget an invoice, or its description. Raises `Refused` 905, 906, 908."""
    memory = board.memory
    payment_hash = memory.labels.get(command.label)
    if payment_hash is None:
        raise Refused(f"there is no invoice with the label '{command.label}'", 905)
    invoice = memory.invoices[payment_hash]
    status = invoice.as_of(board.ctx.now).status
    if status is not command.status:
        raise Refused(
            f"Invoice status is {status} not {command.status}",
            906,
            {"current_status": status.value, "expected_status": command.status.value},
        )
    if not command.only_description:
        del memory.invoices[payment_hash], memory.labels[command.label]
        # What has arrived for it can never become the whole.
        _drop(board, payment_hash)
        memory.invoice_deletions += 1
        told = {"label": command.label, "payment_hash": payment_hash.hex(), "status": status.value}
        board.work.act(Notice("invoice_deleted", command.label, told))
    elif invoice.description is None:
        raise Refused("Invoice description already removed", 908)
    else:
        memory.invoice_updates += 1
        invoice = replace(invoice, description=None, updated_index=memory.invoice_updates)
        memory.invoices[payment_hash] = invoice
    board.work.invoices.add(payment_hash)
    board.work.reply(command.ticket, InvoiceDeleted(invoice))


def answer(board: Board, channel_id: ChannelId, htlc: Htlc) -> None:
    """Their HTLC is irrevocable: fulfil it, let it wait, give it back or pass it on."""
    channel = board.memory.channels[channel_id]
    offered = incoming.IncomingHtlc(
        channel_id,
        htlc.key.id,
        htlc.amount,
        htlc.payment_hash,
        htlc.cltv_expiry,
        htlc.onion,
        htlc.path_key,
        is_too_much_dust(channel, htlc),
        is_lost(channel),
    )
    if not _is_answerable(board, channel_id, htlc.key.id):
        # On chain the HTLC is the court's; a preimage must not be shown there by chance.
        return
    match _verdict(board, offered):
        case incoming.Fulfill() as fulfilment:
            _fulfill(board, fulfilment)
        case incoming.Keysend() as keysend:
            _fulfill(board, _accept(board, htlc.payment_hash, keysend))
        case incoming.Hold(held):
            board.memory.waiting_parts[htlc.payment_hash] = held
        case incoming.FailSet(removals):
            _give_back(board, htlc.payment_hash, removals)
        case incoming.Fail(reason):
            board.run(channel_id, events.FailHtlc(htlc.key.id, reason))
        case incoming.FailMalformed(digest, code):
            board.run(channel_id, events.FailMalformedHtlc(htlc.key.id, digest, code))
        case incoming.Forward() as passing:
            forward_desk.forward(board, offered, passing)


def _verdict(board: Board, offered: incoming.IncomingHtlc) -> incoming.Answer:
    point = incoming.ephemeral_point(offered)
    if isinstance(point, incoming.FailMalformed):
        return point
    shared_secret = board.ask(Ecdh(point))
    if not isinstance(shared_secret, bytes):
        raise InvariantBroken("the signer gave no shared secret")
    memory = board.memory
    return incoming.answer(
        offered,
        shared_secret,
        memory.invoices.get(offered.payment_hash),
        board.ctx,
        memory.pay_index + 1,
        _waiting(board, offered.payment_hash),
    )


def _fulfill(board: Board, fulfilment: incoming.Fulfill) -> None:
    memory, invoice = board.memory, fulfilment.invoice
    payment_hash = invoice.payment_hash
    if invoice != memory.invoices.get(payment_hash):
        memory.invoice_updates += 1
        memory.pay_index += 1
        memory.invoices[payment_hash] = replace(invoice, updated_index=memory.invoice_updates)
        memory.waiting_parts.pop(payment_hash, None)
        board.work.invoices.add(payment_hash)
        board.work.act(Notice("invoice_payment", invoice.label))
    for channel_id, htlc_id in fulfilment.htlcs:
        board.run(channel_id, events.FulfillHtlc(htlc_id, fulfilment.preimage))


def _accept(board: Board, payment_hash: PaymentHash, keysend: incoming.Keysend) -> incoming.Fulfill:
    """A keysend pays an invoice that is made for it in the same batch, as Core Lightning's does."""
    memory, part = board.memory, keysend.part
    label = f"keysend-{payment_hash.hex()}"
    while label in memory.labels:
        label += "-"
    request = incoming.InvoiceRequest(label=label, amount=None, description=keysend.description)
    made = _make(board, request, keysend.preimage)
    invoice = incoming.paid(made, (part,), board.ctx, memory.pay_index + 1)
    return incoming.Fulfill(keysend.preimage, invoice, ((part.channel_id, part.htlc_id),))


# --- parts that wait ----------------------------------------------------------------------------


def tick(board: Board) -> None:
    """Give back the sets of which the rest has not come in time."""
    for payment_hash in list(board.memory.waiting_parts):
        held = _waiting(board, payment_hash)
        if held is None or held.is_over(board.ctx):
            _drop(board, payment_hash)


def give_back_parts(board: Board, channel_id: ChannelId) -> None:
    """What waits for the rest and came by this channel: its funding is lost, so it is no money.

    What has gone on by another channel is left: were it failed upstream, a funding that comes back
    would no longer pay us for what the next node takes.
    """
    for payment_hash in list(board.memory.waiting_parts):
        held = _waiting(board, payment_hash)
        if held is None:
            continue
        lost = held.keeping(lambda part: part.channel_id == channel_id)
        left = held.keeping(lambda part: part.channel_id != channel_id)
        _give_back(board, payment_hash, parts.timed_out(lost))
        if left.parts:
            board.memory.waiting_parts[payment_hash] = left


def _drop(board: Board, payment_hash: PaymentHash) -> None:
    """The rest is not waited for any longer."""
    held = _waiting(board, payment_hash)
    _give_back(board, payment_hash, parts.timed_out(held) if held is not None else ())


def _give_back(
    board: Board, payment_hash: PaymentHash, removals: tuple[parts.Removal, ...]
) -> None:
    board.memory.waiting_parts.pop(payment_hash, None)
    for removal in removals:
        board.run(removal.channel_id, events.FailHtlc(removal.htlc_id, removal.reason))


def _waiting(board: Board, payment_hash: PaymentHash) -> parts.HeldSet | None:
    """The set of that hash, without parts that the chain has taken since they came."""
    held = board.memory.waiting_parts.get(payment_hash)
    if held is None:
        return None
    living = held.keeping(lambda part: _is_answerable(board, part.channel_id, part.htlc_id))
    return living if living.parts else None


def _is_answerable(board: Board, channel_id: ChannelId, htlc_id: int) -> bool:
    channel = board.memory.channels.get(channel_id)
    if channel is None or channel_id in board.memory.frozen:
        return False
    htlc = channel.htlcs.get(HtlcKey(False, htlc_id))
    there = htlc is not None and htlc.stage in SETTLED
    return there and channel.phase in (Phase.READY, Phase.SHUTTING_DOWN)
