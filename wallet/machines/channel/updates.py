"""Proposing changes: add, fulfil and fail HTLCs, change the fee rate. Nothing is committed here.

Raises `PeerFault` for what the peer may not say and `Refused` for what we may not ask.
"""

from dataclasses import replace

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import PeerFault, Refused, Severity
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.base.values.ids import PaymentHash
from wallet.base.wire.channel import (
    UpdateAddHtlc,
    UpdateFailHtlc,
    UpdateFailMalformedHtlc,
    UpdateFee,
    UpdateFulfillHtlc,
)
from wallet.base.wire.message import Message
from wallet.machines.channel import events, missing
from wallet.machines.channel.actions import Action, HtlcFulfilled, HtlcOffered, Send
from wallet.machines.channel.htlc import Failed, Fulfilled, Htlc, HtlcKey, Malformed, Removal
from wallet.machines.channel.htlc_stages import SETTLED, Stage
from wallet.machines.channel.limits import (
    MAX_CLTV_EXPIRY,
    MAX_DUST_EXPOSURE,
    can_afford,
    check_their_addition,
    check_their_feerate,
    is_too_much_dust,
    sending_limits,
)
from wallet.machines.channel.state import LIVING, Channel, FeeUpdate, Link, Phase, is_lost
from wallet.machines.step import Step

ChannelStep = Step[Channel, Action]

BADONION = 0x8000
"""BOLT 4: the flag of failure codes that `update_fail_malformed_htlc` may carry."""
MAX_FEERATE = FeeratePerKw(250_000)
"""1,000 sat/vB: beyond this an `update_fee` only burns the opener's money."""


# --- ours ---------------------------------------------------------------------------------------


def offer(channel: Channel, event: events.OfferHtlc) -> ChannelStep:
    """Add an HTLC of ours; raises `Refused` with the limit that stands in the way."""
    if channel.phase is not Phase.READY or channel.our_shutdown is not None:
        raise Refused(f"the channel is not open for payments ({channel.phase})", 205)
    if channel.link is not Link.LIVE:
        raise Refused("the peer of this channel is not connected", 205)
    if channel.their_shutdown is not None:
        raise Refused("the peer is closing this channel", 205)
    if is_lost(channel):
        raise Refused(f"nothing can be sent over this channel: {missing.sentence(channel)}", 205)
    if event.amount < channel.terms.theirs.htlc_minimum or not event.amount:
        raise Refused(
            f"{event.amount} is less than the peer accepts"
            f" (at least {channel.terms.theirs.htlc_minimum})",
            205,
        )
    if event.cltv_expiry.height >= MAX_CLTV_EXPIRY:
        raise Refused("the expiry of this payment is not a block height", -32602)
    tightest = min(sending_limits(channel), key=lambda limit: limit.amount)
    if event.amount > tightest.amount:
        raise Refused(
            f"{event.amount} is more than this channel can send now"
            f" ({max(tightest.amount.msat, 0):,} msat: {tightest.reason})",
            215,
        )
    htlc = Htlc(
        HtlcKey(True, channel.our_next_htlc_id),
        event.amount,
        event.payment_hash,
        event.cltv_expiry,
        event.onion,
        Stage.SENT_ADD_HTLC,
    )
    after = replace(channel.with_htlc(htlc), our_next_htlc_id=channel.our_next_htlc_id + 1)
    if is_too_much_dust(after, htlc):
        raise Refused(
            "this channel has as much under way as it may in amounts too small for the chain"
            f" ({MAX_DUST_EXPOSURE})",
            215,
        )
    return Step(after, (Send(addition(channel, htlc)), HtlcOffered(htlc)))


def addition(channel: Channel, htlc: Htlc) -> UpdateAddHtlc:
    """The message that offers `htlc`; the same each time it is sent."""
    return UpdateAddHtlc(
        channel.id, htlc.key.id, htlc.amount, htlc.payment_hash, htlc.cltv_expiry, htlc.onion
    )


def remove(
    channel: Channel, event: events.FulfillHtlc | events.FailHtlc | events.FailMalformedHtlc
) -> ChannelStep:
    """Answer an HTLC of theirs that is irrevocably committed.

    Answered already: nothing happens, so that a caller may repeat itself after a crash.
    """
    htlc = channel.htlcs.get(HtlcKey(False, event.id))
    if htlc is None or htlc.stage not in SETTLED:
        return Step(channel)
    removal: Removal
    match event:
        case events.FulfillHtlc(preimage=preimage):
            if sha256(preimage) != htlc.payment_hash:
                raise Refused("this preimage does not belong to the HTLC")
            removal = Fulfilled(preimage)
        case events.FailHtlc(reason=reason):
            removal = Failed(reason)
        case events.FailMalformedHtlc():
            removal = Malformed(event.sha256_of_onion, event.failure_code)
    answered = replace(htlc, stage=Stage.SENT_REMOVE_HTLC, removal=removal, onion=b"")
    after = channel.with_htlc(answered)
    # While the peer is away the intention waits in the table and is said after reestablish; once
    # the channel has failed, a preimage is kept for the chain.
    heard = channel.link is Link.LIVE and channel.phase in LIVING
    said = (Send(removal_message(channel, answered)),) if heard else ()
    return Step(after, said)


def removal_message(channel: Channel, htlc: Htlc) -> Message:
    """The message that removes `htlc`; the same each time it is sent."""
    match htlc.removal:
        case Fulfilled(preimage):
            return UpdateFulfillHtlc(channel.id, htlc.key.id, preimage)
        case Malformed(digest, code):
            return UpdateFailMalformedHtlc(channel.id, htlc.key.id, digest, code)
        case Failed(reason):
            return UpdateFailHtlc(channel.id, htlc.key.id, reason)
        case None:
            raise Refused("this HTLC has no removal")


def change_feerate(channel: Channel, feerate: FeeratePerKw) -> ChannelStep:
    """Propose another fee rate; raises `Refused` when we may not or cannot afford it."""
    if not channel.terms.we_opened:
        raise Refused("only the side that opened a channel changes its fee rate")
    if channel.phase is not Phase.READY or channel.link is not Link.LIVE:
        raise Refused("the channel is not ready")
    if channel.our_shutdown is not None or channel.their_shutdown is not None:
        raise Refused("the channel is closing")
    feerate = max(feerate, FEERATE_FLOOR)
    if not can_afford(channel, feerate):
        raise Refused(f"our balance in this channel cannot pay {feerate}")
    if channel.fees[-1].feerate == feerate:
        return Step(channel)
    kept = tuple(u for u in channel.fees if u.stage is not Stage.SENT_ADD_HTLC)
    after = replace(channel, fees=(*kept, FeeUpdate(feerate, Stage.SENT_ADD_HTLC)))
    return Step(after, (Send(UpdateFee(channel.id, feerate)),))


# --- theirs -------------------------------------------------------------------------------------


def receive_addition(channel: Channel, message: UpdateAddHtlc) -> ChannelStep:
    """BOLT 2 `update_add_htlc`."""
    if channel.their_shutdown is not None or channel.phase is Phase.NEGOTIATING:
        raise _fault("update_add_htlc after shutdown")
    if message.id != channel.their_next_htlc_id:
        raise _fault(f"HTLC id {message.id}, expected {channel.their_next_htlc_id}")
    htlc = Htlc(
        HtlcKey(False, message.id),
        message.amount_msat,
        message.payment_hash,
        message.cltv_expiry,
        message.onion_routing_packet,
        Stage.RCVD_ADD_HTLC,
        message.path_key,
    )
    after = replace(channel.with_htlc(htlc), their_next_htlc_id=message.id + 1)
    check_their_addition(after, htlc)
    return Step(after)


def receive_removal(
    channel: Channel, message: UpdateFulfillHtlc | UpdateFailHtlc | UpdateFailMalformedHtlc
) -> ChannelStep:
    """BOLT 2 `update_fulfill_htlc`, `update_fail_htlc` and `update_fail_malformed_htlc`."""
    htlc = channel.htlcs.get(HtlcKey(True, message.id))
    if htlc is None or htlc.stage is not Stage.SENT_ADD_ACK_REVOCATION:
        raise _fault(f"{message.name} for HTLC {message.id}, which is not there to be removed")
    removal: Removal
    actions: tuple[Action, ...] = ()
    match message:
        case UpdateFulfillHtlc():
            if PaymentHash(sha256(message.payment_preimage)) != htlc.payment_hash:
                raise _fault(f"wrong preimage for HTLC {message.id}")
            removal = Fulfilled(message.payment_preimage)
        case UpdateFailHtlc():
            removal = Failed(message.reason)
        case UpdateFailMalformedHtlc():
            # BOLT 2: if the `BADONION` bit in `failure_code` is not set for
            # `update_fail_malformed_htlc`: MUST send a `warning` and close the connection, or send
            # an `error` and fail the channel.
            if not message.failure_code & BADONION:
                raise _fault(f"failure_code {message.failure_code:#x} without the BADONION bit")
            removal = Malformed(message.sha256_of_onion, message.failure_code)
    removed = replace(htlc, stage=Stage.RCVD_REMOVE_HTLC, removal=removal)
    if isinstance(removal, Fulfilled):
        actions = (HtlcFulfilled(removed, removal.preimage),)
    return Step(channel.with_htlc(removed), actions)


def receive_feerate(channel: Channel, message: UpdateFee) -> ChannelStep:
    """BOLT 2 `update_fee`."""
    if channel.terms.we_opened:
        raise _fault("update_fee from the side that does not pay the fee")
    if not FEERATE_FLOOR <= message.feerate_per_kw <= MAX_FEERATE:
        raise _fault(f"update_fee to {message.feerate_per_kw} is out of reason")
    kept = tuple(u for u in channel.fees if u.stage is not Stage.RCVD_ADD_HTLC)
    update = FeeUpdate(message.feerate_per_kw, Stage.RCVD_ADD_HTLC)
    after = replace(channel, fees=(*kept, update))
    check_their_feerate(after)
    return Step(after)


def _fault(reason: str) -> PeerFault:
    return PeerFault(Severity.FAIL_CHANNEL, reason)
