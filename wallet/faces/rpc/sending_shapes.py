"""Parts, forwards and HTLCs as Core Lightning's JSON (v26.06). Nothing is decided here."""

from typing import Final

from wallet.base.values.ids import NodeId, ShortChannelId
from wallet.base.wire.failures import TemporaryChannelFailure
from wallet.faces.rpc.shapes import Json, without_none
from wallet.machines.channel.state import Channel, ScidKind
from wallet.machines.payments.explain import UNPARSEABLE_REPLY
from wallet.machines.payments.forwarding import policy_of
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.machines.payments.records import Part, Payment, PaymentStatus
from wallet.node.lists import NumberedHtlc

NAMELESS: Final = ShortChannelId(0, 0, 0)
"""A channel that never got as far as a name; Core Lightning writes it so."""


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


def forward(record: ForwardRecord) -> Json:
    """An item of `listforwards`; what was not passed on has no amount and no fee."""
    gone_on = record.out_htlc is not None
    local = record.status is ForwardStatus.LOCAL_FAILED
    return without_none(
        {
            "created_index": record.created_index,
            "updated_index": record.updated_index,
            "in_channel": str(record.in_scid or NAMELESS),
            "in_htlc_id": record.in_htlc,
            "out_channel": str(record.out_scid or record.asked_scid),
            "out_htlc_id": record.out_htlc,
            "in_msat": record.in_amount.msat,
            "out_msat": record.amount.msat if gone_on else None,
            "fee_msat": record.fee.msat if gone_on else None,
            "status": record.status.value,
            "style": "tlv",
            "received_time": float(record.received_at),
            "resolved_time": None
            if local or record.resolved_at is None
            else float(record.resolved_at),
            "failcode": record.failure_code,
            "failreason": f"WIRE_{record.failure_name.upper()}" if record.failure_name else None,
        }
    )


def htlc(item: NumberedHtlc, channel: Channel) -> Json:
    """An item of `listhtlcs`."""
    shown = item.htlc
    return without_none(
        {
            "short_channel_id": str(_name(channel) or NAMELESS),
            "created_index": item.created_index,
            "updated_index": item.updated_index,
            "id": shown.key.id,
            "expiry": shown.cltv_expiry.height,
            "direction": "out" if shown.key.offered_by_us else "in",
            "amount_msat": shown.amount.msat,
            "payment_hash": shown.payment_hash.hex(),
            "state": shown.stage.value,
        }
    )


def terms(channel: Channel) -> Json:
    """An item of `setchannel`'s answer."""
    policy, name = policy_of(channel), _name(channel)
    return without_none(
        {
            "peer_id": channel.terms.peer.hex(),
            "channel_id": channel.id.hex(),
            "short_channel_id": str(name) if name else None,
            "fee_base_msat": policy.fee_base.msat,
            "fee_proportional_millionths": policy.fee_proportional_millionths,
            "minimum_htlc_out_msat": policy.htlc_minimum.msat,
            "maximum_htlc_out_msat": policy.htlc_maximum.msat,
            "ignore_fee_limits": False,
        }
    )


def _name(channel: Channel) -> ShortChannelId | None:
    """The place in the chain; an alias of ours before it has one."""
    return channel.scid(ScidKind.REAL) or channel.scid(ScidKind.OURS)
