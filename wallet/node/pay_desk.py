"""Money out: payments are tried, answered for and ended.

A payment is complete in the commit that holds its preimage.
"""

from dataclasses import replace

from wallet.base.errors import Refused
from wallet.base.values.amounts import ZERO_MSAT
from wallet.base.values.ids import ChannelId, Preimage, Secret
from wallet.machines.channel import actions, events
from wallet.machines.channel.limits import spendable
from wallet.machines.channel.state import Channel, Failed, Htlc, Link, Malformed, Phase
from wallet.machines.payments import outgoing
from wallet.machines.payments.outgoing import MAX_PARTS
from wallet.machines.payments.records import Payment, PaymentStatus
from wallet.node.answers import PaymentDone
from wallet.node.board import Board
from wallet.node.events import PayInvoice
from wallet.node.memory import PaymentKey
from wallet.node.work import Notice


def pay(board: Board, command: PayInvoice) -> None:
    """Pay an invoice, once: a hash that was paid is answered, one under way is waited for."""
    memory = board.memory
    payment_hash = command.request.invoice.payment_hash
    prior = [p for key, p in memory.payments.items() if key[0] == payment_hash]
    for paid in prior:
        # Before any check: the same call gives the same receipt for ever, expired or not.
        if paid.status is PaymentStatus.COMPLETE and paid.bolt11 == command.request.bolt11:
            board.work.reply(command.ticket, PaymentDone(paid))
            return
    payment = outgoing.start(
        command.request,
        ctx=board.ctx,
        our_id=board.signer.node_id,
        created_index=memory.payment_index + 1,
        groupid=1 + len(prior),
    )
    if (earlier := outgoing.standing(payment, prior)) is not None:
        if earlier.status is PaymentStatus.COMPLETE:
            board.work.reply(command.ticket, PaymentDone(earlier))
        else:
            key = (payment_hash, earlier.groupid)
            memory.awaiting_payment.setdefault(key, []).append(command.ticket)
        return
    # What cannot even be tried is refused without a trace.
    outgoing.choose(payment, _candidates(board, payment))
    memory.payment_index += 1
    key = (payment.payment_hash, payment.groupid)
    memory.awaiting_payment[key] = [command.ticket]
    _attempt(board, key, payment)


def _candidates(board: Board, payment: Payment) -> tuple[outgoing.Candidate, ...]:
    return tuple(
        outgoing.Candidate(
            c.id, c.terms.peer, spendable(c) if not obstacle else ZERO_MSAT, obstacle
        )
        for c in board.memory.channels_with(payment.destination)
        for obstacle in [_obstacle(c)]
    )


def _obstacle(channel: Channel) -> str | None:
    """Why a channel cannot send now, as a clause."""
    if channel.phase is Phase.AWAITING_CONFIRMATION:
        return "its funding transaction is not deep enough in the chain"
    if channel.phase is not Phase.READY or channel.our_shutdown or channel.their_shutdown:
        return "it is closing"
    if channel.link is not Link.LIVE:
        return "its peer is not connected"
    return None


def _attempt(board: Board, key: PaymentKey, payment: Payment) -> None:
    """Offer the payment on the best channel; a channel that refuses is not asked first again."""
    memory = board.memory
    while True:
        try:
            candidate = outgoing.choose(payment, _candidates(board, payment))
            session_key = Secret(board.entropy(f"session {key[0].hex()} {len(payment.parts)}"))
            tried, offer = outgoing.attempt(payment, candidate, session_key, board.ctx)
        except Refused as refused:
            _finish(board, key, outgoing.gave_up(payment, refused, board.ctx.now))
            return
        part = tried.parts[-1]
        try:
            htlc = _offer(board, candidate.channel_id, offer)
        except Refused as refused:
            # Every refusal leaves a part, and parts are few: this ends.
            payment = outgoing.not_offered(tried, part.partid, refused, board.ctx.now)
            if payment.status is not PaymentStatus.PENDING or len(payment.parts) >= MAX_PARTS:
                _finish(board, key, outgoing.gave_up(payment, refused, board.ctx.now))
                return
            continue
        memory.htlc_payments[candidate.channel_id, htlc.key.id] = (key, part.partid)
        _store(board, key, outgoing.offered(tried, part.partid, htlc.key.id))
        return


def _offer(board: Board, channel_id: ChannelId, offer: events.OfferHtlc) -> Htlc:
    for said in board.run(channel_id, offer):
        if isinstance(said, actions.HtlcOffered):
            return said.htlc
    raise Refused("the channel is frozen")


def _store(board: Board, key: PaymentKey, payment: Payment) -> None:
    board.memory.payments[key] = payment
    board.work.payments.add(key)


def _finish(board: Board, key: PaymentKey, payment: Payment) -> None:
    memory = board.memory
    memory.payment_updates += 1
    payment = replace(payment, updated_index=memory.payment_updates)
    _store(board, key, payment)
    for ticket in memory.awaiting_payment.pop(key, []):
        board.work.reply(ticket, PaymentDone(payment))
    board.work.act(Notice("payment", payment.payment_hash.hex()))


def fulfilled(board: Board, channel_id: ChannelId, htlc: Htlc, preimage: Preimage) -> None:
    found = board.memory.htlc_payments.get((channel_id, htlc.key.id))
    if found is None:
        return
    key, _ = found
    payment = board.memory.payments[key]
    after = outgoing.fulfilled(
        payment,
        channel_id,
        htlc.key.id,
        preimage,
        board.ctx.now,
    )
    if after != payment:
        _finish(board, key, after)


def failed(board: Board, channel_id: ChannelId, htlc: Htlc, removal: Failed | Malformed) -> None:
    found = board.memory.htlc_payments.get((channel_id, htlc.key.id))
    if found is None:
        return
    key, _ = found
    payment = board.memory.payments[key]
    if payment.status is not PaymentStatus.PENDING:
        return
    outcome = outgoing.failed(
        payment,
        channel_id,
        htlc.key.id,
        removal,
        board.ctx,
    )
    if outcome.retry:
        _store(board, key, outcome.payment)
        _attempt(board, key, outcome.payment)
    else:
        _finish(board, key, outcome.payment)
