"""Parts, forwards and HTLCs as Core Lightning's JSON (v26.06). Nothing is decided here."""

from wallet.base.values.ids import NodeId
from wallet.base.wire.failures import TemporaryChannelFailure
from wallet.faces.rpc.shapes import Json, without_none
from wallet.machines.payments.explain import UNPARSEABLE_REPLY
from wallet.machines.payments.records import Part, Payment, PaymentStatus


def sent_part(payment: Payment, part: Part) -> Json:
    """An item of `listsendpays`."""
    return {
        **_part(payment, part),
        **_of("partid", part.partid),
        **_of("description", payment.description),
    }


def _of(name: str, value: object) -> Json:
    return without_none({name: value})


def waited_part(payment: Payment, part: Part) -> Json:
    """The answer of `waitsendpay`, and what `sendpay` says of a part; part 0 is all there is."""
    return {**_part(payment, part), **_of("partid", part.partid or None)}


def _part(payment: Payment, part: Part) -> Json:
    complete = part.status is PaymentStatus.COMPLETE
    return without_none(
        {
            "created_index": part.created_index,
            "id": part.created_index,
            "payment_hash": payment.payment_hash.hex(),
            "groupid": payment.groupid,
            "updated_index": part.updated_index,
            "destination": payment.destination.hex(),
            "amount_msat": part.amount.msat,
            "amount_sent_msat": part.amount_sent.msat,
            "created_at": part.created_at,
            "completed_at": part.completed_at if complete else None,
            "status": part.status.value,
            "payment_preimage": payment.preimage.hex() if payment.preimage and complete else None,
            "label": payment.label,
            "bolt11": payment.bolt11,
        }
    )


def through(payment: Payment) -> Json:
    """The answer of `xpay` and `xkeysend` for a complete payment."""
    statuses = [part.status for part in payment.parts if part.created_index]
    return {
        "payment_preimage": payment.preimage.hex() if payment.preimage else "",
        "failed_parts": statuses.count(PaymentStatus.FAILED),
        "successful_parts": len(statuses) - statuses.count(PaymentStatus.FAILED),
        "amount_msat": payment.amount.msat,
        "amount_sent_msat": payment.amount_sent.msat,
    }


def routing_failure(part: Part, our_id: NodeId) -> Json:
    """Core Lightning's "routing failure object": who on the way said what of which channel.

    Node 0 is our own; a failure of the payee is put down to the channel that leads to it.
    """
    failure = part.failure
    if failure is None:
        return {}
    if failure.rpc_code == UNPARSEABLE_REPLY:
        return {"onionreply": failure.reply.hex()}
    nodes = [our_id, *(hop.node_id for hop in part.hops)]
    index = 0 if failure.hop is None else failure.hop + 1
    channel = part.hops[min(index, len(part.hops) - 1)]
    # What we did not send at all has no code of BOLT 4: it is what another node would have said.
    ours = (TemporaryChannelFailure.CODE, TemporaryChannelFailure.name)
    code, name = (failure.code, failure.name) if failure.code else ours
    return {
        "erring_index": index,
        "failcode": code,
        "failcodename": f"WIRE_{name.upper()}",
        "erring_node": nodes[index].hex(),
        "erring_channel": str(channel.scid),
        "erring_direction": channel.direction,
    }
