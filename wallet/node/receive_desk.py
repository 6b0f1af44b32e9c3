"""Money in: invoices are made, and HTLCs that are irrevocable get their answer.

An invoice is paid in the same commit in which its HTLC is fulfilled.
"""

from dataclasses import replace

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.invoices.bolt11 import attach_signature, signing_digest
from wallet.base.values.ids import ChannelId, PaymentHash, Preimage
from wallet.machines.channel import events
from wallet.machines.channel.state import Htlc, Phase
from wallet.machines.payments import incoming
from wallet.machines.signing import Ecdh, RecoverableSignature, SignInvoice
from wallet.node import forward_desk
from wallet.node.answers import InvoiceCreated
from wallet.node.board import Board
from wallet.node.events import CreateInvoice
from wallet.node.work import Notice


def create_invoice(board: Board, command: CreateInvoice) -> None:
    """Make, sign and store an invoice. Raises `Refused`: 900 label taken, 901 preimage known."""
    memory, request = board.memory, command.request
    if request.label in memory.labels:
        raise Refused(f"Duplicate label '{request.label}'", 900)
    preimage = command.preimage or Preimage(board.entropy("preimage"))
    payment_hash = PaymentHash(sha256(preimage))
    if payment_hash in memory.invoices:
        raise Refused("an invoice with this preimage exists already", 901)
    fields = incoming.make_invoice(
        request,
        chain=board.chain,
        preimage=preimage,
        payment_secret=board.entropy("payment_secret"),
        now=board.ctx.now,
    )
    signed = board.ask(SignInvoice(signing_digest(fields)))
    if not isinstance(signed, RecoverableSignature):
        raise InvariantBroken("the signer gave no signature for an invoice")
    text = attach_signature(fields, signed.signature, signed.recovery_id)
    record = incoming.record(
        request, fields, text, preimage=preimage, created_index=memory.invoice_index + 1
    )
    memory.invoice_index += 1
    memory.invoices[payment_hash] = record
    memory.labels[request.label] = payment_hash
    board.work.invoices.add(payment_hash)
    board.work.reply(command.ticket, InvoiceCreated(record))
    board.work.act(Notice("invoice_creation", request.label))


def answer(board: Board, channel_id: ChannelId, htlc: Htlc) -> None:
    """Their HTLC is irrevocable: fulfil it or give it back."""
    memory = board.memory
    offered = incoming.IncomingHtlc(
        channel_id,
        htlc.key.id,
        htlc.amount,
        htlc.payment_hash,
        htlc.cltv_expiry,
        htlc.onion,
        htlc.path_key,
    )
    channel = memory.channels[channel_id]
    if channel.phase not in (Phase.READY, Phase.SHUTTING_DOWN):
        # On chain the HTLC is the court's; a preimage must not be shown there by chance.
        return
    match _verdict(board, offered):
        case incoming.Fulfill(preimage, invoice):
            if invoice != memory.invoices.get(htlc.payment_hash):
                memory.invoice_updates += 1
                memory.pay_index += 1
                memory.invoices[htlc.payment_hash] = replace(
                    invoice, updated_index=memory.invoice_updates
                )
                board.work.invoices.add(htlc.payment_hash)
                board.work.act(Notice("invoice_payment", invoice.label))
            board.run(channel_id, events.FulfillHtlc(htlc.key.id, preimage))
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
    invoice = memory.invoices.get(offered.payment_hash)
    return incoming.answer(offered, shared_secret, invoice, board.ctx, memory.pay_index + 1)
