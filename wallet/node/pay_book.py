"""What every end of a payment writes: its record, the numbers of its parts, what was learnt."""

from dataclasses import replace

from wallet.base.errors import Refused
from wallet.base.values.ids import ChannelId
from wallet.machines.channel.htlc import Htlc
from wallet.machines.payments import lessons, outgoing
from wallet.machines.payments.records import Part, Payment, PaymentStatus
from wallet.node.answers import PaymentDone
from wallet.node.board import Board
from wallet.node.memory import PaymentKey
from wallet.node.work import Notice


def store(board: Board, key: PaymentKey, payment: Payment) -> None:
    """Remember it as it is now, in this step's commit."""
    board.memory.keep_payment(payment)
    board.work.payments.add(key)


def give_up(board: Board, key: PaymentKey, payment: Payment, refused: Refused) -> None:
    """No further try is possible."""
    if key in board.memory.payments or any(p.htlc_id is not None for p in payment.parts):
        finish(board, key, changed(board, outgoing.gave_up(payment, refused, board.ctx.now)))
        return
    for ticket in board.memory.awaiting_payment.pop(key, []):
        board.work.refuse(ticket, refused)


def changed(board: Board, payment: Payment, partid: int | None = None) -> Payment:
    """Number a change of a part; of the last one that was sent when none is named."""
    memory = board.memory
    memory.payment_updates += 1
    newest = max(payment.parts, key=lambda part: part.created_index)
    part = newest if partid is None else part_of(payment, partid)
    if partid is not None:
        board.work.act(_part_notice(payment, part))
    payment = payment.with_part(replace(part, updated_index=memory.payment_updates))
    return replace(payment, updated_index=memory.payment_updates)


def _part_notice(payment: Payment, part: Part) -> Notice:
    """Core Lightning's notifications: a part has its outcome, whatever becomes of the payment."""
    payload: dict[str, str | int] = {
        "payment_hash": payment.payment_hash.hex(),
        "groupid": payment.groupid,
        "partid": part.partid,
        "status": part.status.value,
        "amount_msat": part.amount.msat,
        "amount_sent_msat": part.amount_sent.msat,
    }
    if part.failure is not None:
        payload["failure"] = part.failure.sentence
    topic = "sendpay_success" if part.status is PaymentStatus.COMPLETE else "sendpay_failure"
    return Notice(topic, payment.payment_hash.hex(), payload)


def finish(board: Board, key: PaymentKey, payment: Payment) -> None:
    """Store an outcome and tell those who wait for it."""
    store(board, key, payment)
    # Parts of `sendpay` end one by one: nobody knows the outcome before the last.
    if payment.status is not PaymentStatus.PENDING:
        for ticket in board.memory.awaiting_payment.pop(key, []):
            board.work.reply(ticket, PaymentDone(payment))
    board.work.act(Notice("payment", payment.payment_hash.hex()))


def carried(
    board: Board, channel_id: ChannelId, htlc: Htlc
) -> tuple[PaymentKey, int, Payment] | None:
    """The payment of ours that an HTLC is a part of, and the number of that part.

    The id of an HTLC that nobody ever signed for is used again: it may be a forward's now.
    """
    found = board.memory.htlc_payments.get((channel_id, htlc.key.id))
    if found is None or found[0][0] != htlc.payment_hash:
        return None
    return *found, board.memory.payments[found[0]]


def part_of(payment: Payment, partid: int) -> Part:
    """The part with this number."""
    return next(p for p in payment.parts if p.partid == partid)


def learn(board: Board, part: Part) -> None:
    """What a failed part says of the network, for the next search."""
    knowledge, now = board.memory.knowledge, board.ctx.now
    for lesson in lessons.lessons(part):
        match lesson:
            case lessons.TooMuch(hop):
                knowledge.learn_failure(hop.scid.to_int(), hop.direction, hop.amount.msat, now)
            case lessons.AvoidChannel(hop, seconds):
                knowledge.forbid(hop.scid.to_int(), hop.direction, now + seconds)
            case lessons.AvoidNode(node_id, seconds):
                knowledge.forbid_node(node_id, now + seconds)
