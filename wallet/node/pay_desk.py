"""Money out: payments are tried, answered for and ended.

Rule 1: a payment is complete in the commit that holds its preimage.
Rule 2: a payment is remembered from its first HTLC on; what could not even be tried is refused
without a trace.
"""

from itertools import count

from wallet.base.errors import Refused
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import ZERO_MSAT
from wallet.base.values.ids import ChannelId, PaymentHash, Preimage, Secret
from wallet.machines.channel import actions, events, missing
from wallet.machines.channel.htlc import Failed, Htlc, Malformed
from wallet.machines.channel.limits import spendable
from wallet.machines.channel.state import Channel, Link, Phase, is_lost
from wallet.machines.payments import lessons, outgoing, requests
from wallet.machines.payments.outgoing import MAX_PARTS
from wallet.machines.payments.records import Payment, PaymentKind, PaymentStatus
from wallet.machines.routing.pathfinding import LocalChannel, RouteQuery
from wallet.node import pay_book
from wallet.node.answers import PartSent, PaymentDone
from wallet.node.board import Board
from wallet.node.events import Keysend, PayInvoice, RoutesFound, SendPart
from wallet.node.forward_desk import name_of
from wallet.node.memory import PaymentKey
from wallet.node.work import FindRoutes

# --- beginnings ---------------------------------------------------------------------------------


def pay(board: Board, command: PayInvoice) -> None:
    """Pay an invoice, once: a hash that was paid is answered, one under way is waited for."""
    payment_hash = command.request.invoice.payment_hash
    prior = _prior(board, payment_hash)
    for paid in prior:
        # Before any check: the same call gives the same receipt for ever, expired or not.
        if paid.status is PaymentStatus.COMPLETE and paid.bolt11 == command.request.bolt11:
            board.work.reply(command.ticket, PaymentDone(paid))
            return
    payment = requests.start(
        command.request,
        ctx=board.ctx,
        our_id=board.signer.node_id,
        created_index=board.memory.payment_index + 1,
        groupid=_next_group(prior),
    )
    if (earlier := requests.standing(payment, prior)) is not None:
        if earlier.status is PaymentStatus.COMPLETE:
            board.work.reply(command.ticket, PaymentDone(earlier))
        else:
            key = (payment_hash, earlier.groupid)
            board.memory.awaiting_payment.setdefault(key, []).append(command.ticket)
        return
    _begin(board, payment, command.ticket)


def keysend(board: Board, command: Keysend) -> None:
    """Pay a node without an invoice."""
    payment = requests.start_keysend(
        command.request,
        preimage=Preimage(board.entropy("keysend")),
        ctx=board.ctx,
        our_id=board.signer.node_id,
        created_index=board.memory.payment_index + 1,
    )
    _begin(board, payment, command.ticket)


def _prior(board: Board, payment_hash: PaymentHash) -> list[Payment]:
    """Payments with this hash, also those for which the first route is being looked for."""
    memory = board.memory
    searching = [
        payment
        for key, payment in memory.searching.items()
        if key[0] == payment_hash and key not in memory.payments
    ]
    return [*memory.payments_of(payment_hash), *searching]


def _next_group(prior: list[Payment]) -> int:
    """The first number that no payment of this hash has: a caller may have chosen any."""
    used = {payment.groupid for payment in prior}
    return next(number for number in count(1) if number not in used)


def _begin(board: Board, payment: Payment, ticket: int) -> None:
    key = (payment.payment_hash, payment.groupid)
    board.memory.awaiting_payment[key] = [ticket]
    _seek(board, key, payment)


# --- tries --------------------------------------------------------------------------------------


def _seek(board: Board, key: PaymentKey, payment: Payment) -> None:
    """Another try: straight to the payee if a channel with it has room, or by a route."""
    candidates = _candidates(board, payment)
    direct = outgoing.direct(payment, candidates)
    if direct is not None:
        scid = name_of(board.memory.channels[direct.channel_id])
        if scid is not None:
            hops = outgoing.straight(payment, scid, board.signer.node_id, board.ctx)
            _try(board, key, payment, direct.channel_id, hops)
            return
    refused = outgoing.cannot_send(payment, candidates)
    if refused is not None:
        pay_book.give_up(board, key, payment, refused)
        return
    board.memory.searching[key] = payment
    board.work.act(FindRoutes(*key, _query(board, payment, candidates)))


def routes_found(board: Board, event: RoutesFound) -> None:
    """The worker's answer. Meanwhile a channel may have filled up: then the search goes on."""
    key = (event.payment_hash, event.groupid)
    payment = board.memory.searching.pop(key, None)
    if payment is None:
        return
    if event.route is None:
        pay_book.give_up(board, key, payment, Refused(event.reason, event.code))
        return
    hops = outgoing.along(event.route, board.ctx)
    channel_id = board.memory.names.get(hops[0].scid)
    if channel_id is None:
        pay_book.give_up(
            board, key, payment, Refused("the first channel of the route is gone", 205)
        )
        return
    _try(board, key, payment, channel_id, hops)


def _candidates(board: Board, payment: Payment) -> tuple[outgoing.Candidate, ...]:
    found = []
    for channel in board.memory.channels.values():
        if channel.phase is Phase.CLOSED or _is_left_out(board, channel, payment):
            continue
        obstacle = _obstacle(channel)
        room = spendable(channel) if obstacle is None else ZERO_MSAT
        found.append(outgoing.Candidate(channel.id, channel.terms.peer, room, obstacle))
    return tuple(found)


def _is_left_out(board: Board, channel: Channel, payment: Payment) -> bool:
    if not payment.excluded:
        return False
    peer = channel.terms.peer
    direction = int(board.signer.node_id > peer)
    names = {f"{name.scid}/{direction}" for name in channel.scids}
    return bool(names & set(payment.excluded)) or (
        peer != payment.destination and peer.hex() in payment.excluded
    )


def _obstacle(channel: Channel) -> str | None:
    """Why a channel cannot send now, as a clause."""
    if channel.phase is Phase.AWAITING_CONFIRMATION:
        return "its funding transaction is not deep enough in the chain"
    if channel.phase is not Phase.READY or channel.our_shutdown or channel.their_shutdown:
        return "it is closing"
    if is_lost(channel):
        return missing.sentence(channel)
    if channel.link is not Link.LIVE:
        return "its peer is not connected"
    return None


def _query(
    board: Board, payment: Payment, candidates: tuple[outgoing.Candidate, ...]
) -> RouteQuery:
    channels = board.memory.channels
    local = [
        LocalChannel(
            scid=scid,
            peer=candidate.peer,
            spendable_msat=candidate.spendable.msat,
            htlc_minimum_msat=channels[candidate.channel_id].terms.theirs.htlc_minimum.msat,
            htlc_maximum_msat=candidate.spendable.msat,
        )
        for candidate in candidates
        if candidate.unusable is None
        for scid in [name_of(channels[candidate.channel_id])]
        if scid is not None
    ]
    return RouteQuery(
        source=board.signer.node_id,
        destination=payment.destination,
        amount_msat=payment.amount.msat,
        final_delay=(payment.min_final_cltv + requests.LEEWAY).blocks,
        max_fee_msat=payment.max_fee.msat,
        max_delay=payment.max_delay.blocks,
        local=tuple(local),
        hints=decode_invoice(payment.bolt11).route_hints if payment.bolt11 else payment.hints,
        excluded=requests.excluded_of(payment) | lessons.closed_by(payment),
        riskfactor=payment.riskfactor_millionths / 1_000_000,
        now=board.ctx.now,
    )


def _try(
    board: Board, key: PaymentKey, payment: Payment, channel_id: ChannelId, hops: outgoing.Hops
) -> None:
    """Offer the payment on a channel; if that refuses, look for another way."""
    session_key = Secret(board.entropy(f"session {key[0].hex()} {len(payment.parts)}"))
    try:
        tried, offer = outgoing.attempt(payment, channel_id, hops, session_key, board.ctx)
    except Refused as refused:
        pay_book.give_up(board, key, payment, refused)
        return
    part = tried.parts[-1]
    try:
        htlc = _offer(board, channel_id, offer)
    except Refused as refused:
        # Every refusal leaves a part, and parts are few: this ends.
        payment = outgoing.not_offered(tried, part.partid, refused, board.ctx.now)
        if payment.status is not PaymentStatus.PENDING or len(payment.parts) >= MAX_PARTS:
            pay_book.give_up(board, key, payment, refused)
        else:
            _seek(board, key, payment)
        return
    _offered(board, key, tried, part.partid, htlc)


def _offer(board: Board, channel_id: ChannelId, offer: events.OfferHtlc) -> Htlc:
    for said in board.run(channel_id, offer):
        if isinstance(said, actions.HtlcOffered):
            return said.htlc
    raise Refused("the channel is frozen")


def _offered(board: Board, key: PaymentKey, tried: Payment, partid: int, htlc: Htlc) -> Payment:
    """The part is under way: from now on it is remembered."""
    memory = board.memory
    memory.payment_index += 1
    memory.htlc_payments[pay_book.part_of(tried, partid).channel_id, htlc.key.id] = (key, partid)
    payment = outgoing.offered(tried, partid, htlc.key.id, memory.payment_index)
    pay_book.store(board, key, payment)
    return payment


# --- parts along routes of the caller -----------------------------------------------------------


def send_part(board: Board, command: SendPart) -> None:
    """Core Lightning's `sendpay`: the caller waits for the outcome elsewhere. Raises `Refused`."""
    memory, request = board.memory, command.request
    prior = _prior(board, request.payment_hash)
    groupid = _next_group(prior) if request.groupid is None else request.groupid
    for earlier in prior:
        if earlier.status is PaymentStatus.COMPLETE:
            paid = (earlier.amount, earlier.destination)
            if paid != (request.total, request.hops[-1].node_id):
                raise Refused("this hash was paid before, with another amount or destination", 201)
            board.work.reply(command.ticket, PartSent(earlier, request.partid))
            return
        # One that looks for its first route has no record, but its group is taken.
        ours = (groupid, PaymentKind.SENDPAY)
        if earlier.status is PaymentStatus.PENDING and (earlier.groupid, earlier.kind) != ours:
            raise Refused("a payment with this hash is under way in another group", 200)
    key = (request.payment_hash, groupid)
    payment = memory.payments.get(key)
    if payment is None:
        payment = requests.start_by_route(
            request, ctx=board.ctx, created_index=memory.payment_index + 1, groupid=groupid
        )
    else:
        if any(p.partid == request.partid for p in payment.parts):
            raise Refused(f"part {request.partid} of this group was sent before", -32602)
        payment = requests.reopened(payment, request)
    channel_id = memory.names.get(request.hops[0].scid)
    if channel_id is None or memory.channels[channel_id].terms.peer != request.hops[0].node_id:
        raise Refused(
            f"{request.hops[0].scid} is no channel of ours with {request.hops[0].node_id.hex()}",
            204,
        )
    session_key = Secret(board.entropy(f"session {key[0].hex()} {request.partid}"))
    tried, offer = outgoing.attempt(
        payment, channel_id, request.hops, session_key, board.ctx, request.partid
    )
    try:
        htlc = _offer(board, channel_id, offer)
    except Refused as refused:
        raise Refused(refused.message, 204) from None
    sent = _offered(board, key, tried, request.partid, htlc)
    board.work.reply(command.ticket, PartSent(sent, request.partid))


# --- ends ---------------------------------------------------------------------------------------


def fulfilled(board: Board, channel_id: ChannelId, htlc: Htlc, preimage: Preimage) -> None:
    """The payee gave the preimage."""
    found = pay_book.carried(board, channel_id, htlc)
    if found is None:
        return
    key, partid, payment = found
    after = outgoing.fulfilled(payment, channel_id, htlc.key.id, preimage, board.ctx.now)
    if after != payment:
        for hop in pay_book.part_of(after, partid).hops[1:]:
            board.memory.knowledge.learn_success(
                hop.scid.to_int(), hop.direction, hop.amount.msat, board.ctx.now
            )
        pay_book.finish(board, key, pay_book.changed(board, after, partid))


def failed(board: Board, channel_id: ChannelId, htlc: Htlc, removal: Failed | Malformed) -> None:
    """An HTLC of ours is gone for good, unpaid."""
    found = pay_book.carried(board, channel_id, htlc)
    if found is None:
        return
    key, partid, payment = found
    outcome = outgoing.failed(payment, channel_id, htlc.key.id, removal, board.ctx)
    if outcome.payment == payment:
        return
    pay_book.learn(board, pay_book.part_of(outcome.payment, partid))
    payment = pay_book.changed(board, outcome.payment, partid)
    if outcome.retry:
        pay_book.store(board, key, payment)
        _seek(board, key, payment)
    elif payment.kind is PaymentKind.SENDPAY or not payment.pending_parts:
        pay_book.finish(board, key, payment)
    else:
        pay_book.store(board, key, payment)


def end_abandoned(board: Board) -> None:
    """After a restart: what was between two tries is over, for nobody looks for a route any more.

    A payment with an HTLC under way goes on; its outcome is still to come.
    """
    for key, payment in list(board.memory.payments.items()):
        if payment.status is PaymentStatus.PENDING and not payment.pending_parts:
            refused = Refused("The node was restarted before another route was tried.", 210)
            ended = outgoing.gave_up(payment, refused, board.ctx.now)
            pay_book.finish(board, key, pay_book.changed(board, ended))
