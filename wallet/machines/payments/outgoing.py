"""Money that goes out: a payment from its first try to its preimage (BOLT 4, BOLT 11).

Rule 1: a payment is complete when and only when its preimage is known.
Rule 2: a part is failed only once the channel says that the HTLC is gone; until then it may still
be paid, and no second try may be made for that money.
Rule 3: everything may be said twice; what is known already changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused, ensure
from wallet.base.onion.packet import create_packet
from wallet.base.onion.payload import Payload, PaymentData
from wallet.base.onion.returns import Returned, unwrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import (
    ChannelId,
    NodeId,
    Preimage,
    Secret,
    ShortChannelId,
)
from wallet.base.wire.failures import BADONION, UnknownFailure, bad_onion
from wallet.machines.channel.events import OfferHtlc
from wallet.machines.channel.htlc import Failed, Malformed
from wallet.machines.payments import explain
from wallet.machines.payments.records import (
    Hop,
    Part,
    PartFailure,
    Payment,
    PaymentKind,
    PaymentStatus,
)
from wallet.machines.payments.requests import LEEWAY
from wallet.machines.routing.pathfinding import Route
from wallet.machines.step import Context

MAX_PARTS: Final = 16
"""Tries of one payment."""
MAX_REFUSALS: Final = 3
"""Tries that the payee itself may send back before we believe it."""

Hops: TypeAlias = tuple[Hop, ...]
"""A route, first hop first."""

_NO_ROUTE: Final = 205
_GAVE_UP: Final = 210
_INSUFFICIENT: Final = 215


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that a payment might leave by."""

    channel_id: ChannelId
    peer: NodeId
    spendable: MilliSatoshi
    unusable: str | None = None
    """Why not, as a clause: "its peer is not connected"."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The payment after a part came back; `retry`: look for another way."""

    payment: Payment
    retry: bool


# --- a try --------------------------------------------------------------------------------------


def direct(payment: Payment, candidates: Sequence[Candidate]) -> Candidate | None:
    """A channel with the payee that can carry it all: no way is shorter. None: look for a route.

    Channels not tried so far come first, then those with the most room.
    """
    tried = {part.channel_id for part in payment.parts}
    able = [
        c
        for c in candidates
        if c.peer == payment.destination and c.unusable is None and c.spendable >= payment.amount
    ]
    return max(able, key=lambda c: (c.channel_id not in tried, c.spendable), default=None)


def cannot_send(payment: Payment, candidates: Sequence[Candidate]) -> Refused | None:
    """Why no channel of ours can carry this, whatever the route; None if one can."""
    if not candidates:
        return Refused(
            "You have no channel, so nothing can be sent. Open one: `leyden fundchannel`.",
            _NO_ROUTE,
        )
    usable = [c for c in candidates if c.unusable is None]
    if not usable:
        reasons = "; ".join(dict.fromkeys(str(c.unusable) for c in candidates))
        return Refused(f"No channel of yours can be used now: {reasons}.", _NO_ROUTE)
    most = max(c.spendable for c in usable)
    if most < payment.amount:
        return Refused(
            f"Your channels can send at most {most} at once now, and this needs "
            f"{payment.amount}. A larger channel, or money coming in, would make it possible.",
            _INSUFFICIENT,
        )
    return None


def straight(payment: Payment, scid: ShortChannelId, our_id: NodeId, ctx: Context) -> Hops:
    """The route of one hop, to a payee who is our peer."""
    expiry = ctx.height + (payment.min_final_cltv + LEEWAY)
    direction = int(our_id > payment.destination)
    return (Hop(payment.destination, scid, direction, payment.amount, expiry),)


def along(route: Route, ctx: Context) -> Hops:
    """A route that was found, with the expiries that it has at this height."""
    return tuple(
        Hop(
            hop.node_id,
            hop.scid,
            hop.direction,
            MilliSatoshi(hop.amount_msat),
            ctx.height + CltvDelta(hop.delay),
        )
        for hop in route.hops
    )


def attempt(
    payment: Payment,
    channel_id: ChannelId,
    hops: Hops,
    session_key: Secret,
    ctx: Context,
    partid: int | None = None,
) -> tuple[Payment, OfferHtlc]:
    """The payment with one more part, and the HTLC to offer on our channel.

    `session_key` is 32 fresh random bytes, used for this part alone.  Raises `Refused` when the
    invoice's metadata does not fit into an onion.
    """
    if payment.kind is not PaymentKind.SENDPAY:
        # Rule 2: another HTLC while one is out could pay twice.
        ensure(not payment.pending_parts, "a part of this payment is still under way")
    ensure(payment.status is PaymentStatus.PENDING, f"this payment is {payment.status}")
    packet, shared_secrets = create_packet(
        session_key,
        [(hop.node_id, p.encode()) for hop, p in zip(hops, _payloads(payment, hops), strict=True)],
        payment.payment_hash,
    )
    first = hops[0]
    part = Part(
        partid=len(payment.parts) + 1 if partid is None else partid,
        channel_id=channel_id,
        htlc_id=None,
        amount=hops[-1].amount,
        amount_sent=first.amount,
        cltv_expiry=first.cltv_expiry,
        hops=hops,
        shared_secrets=shared_secrets,
        status=PaymentStatus.PENDING,
        created_at=ctx.now,
    )
    offer = OfferHtlc(first.amount, payment.payment_hash, first.cltv_expiry, packet.encode())
    return payment.with_part(part), offer


def _payloads(payment: Payment, hops: Hops) -> list[Payload]:
    onward = [
        Payload(
            amt_to_forward=following.amount,
            outgoing_cltv_value=following.cltv_expiry,
            short_channel_id=following.scid,
        )
        for following in hops[1:]
    ]
    secret = payment.payment_secret
    final = Payload(
        amt_to_forward=hops[-1].amount,
        outgoing_cltv_value=hops[-1].cltv_expiry,
        payment_data=None if secret is None else PaymentData(secret, payment.amount),
        payment_metadata=payment.payment_metadata,
        keysend_preimage=payment.keysend_preimage,
        unknown=payment.extra_tlvs,
    )
    return [*onward, final]


def offered(payment: Payment, partid: int, htlc_id: int, created_index: int = 0) -> Payment:
    """The channel has added the part's HTLC and given it an id."""
    part = _part(payment, partid)
    ensure(part.htlc_id in {None, htlc_id}, f"part {partid} has another HTLC")
    number = part.created_index or created_index
    payment = payment.with_part(replace(part, htlc_id=htlc_id, created_index=number))
    numbers = [p.created_index for p in payment.parts if p.created_index]
    return replace(payment, created_index=min(numbers, default=payment.created_index))


def not_offered(payment: Payment, partid: int, refused: Refused, now: int) -> Payment:
    """The channel would not add the part's HTLC: nothing left, and `choose` tries others first."""
    part = _part(payment, partid)
    ensure(part.htlc_id is None, f"part {partid} still has an HTLC")
    failure = replace(explain.local(refused.message), rpc_code=refused.code)
    return payment.with_part(
        replace(part, status=PaymentStatus.FAILED, failure=failure, completed_at=now)
    )


def _part(payment: Payment, partid: int) -> Part:
    found = [p for p in payment.parts if p.partid == partid]
    ensure(len(found) == 1, f"part {partid} of this payment is not known")
    return found[0]


# --- ends ---------------------------------------------------------------------------------------


def fulfilled(
    payment: Payment, channel_id: ChannelId, htlc_id: int, preimage: Preimage, now: int
) -> Payment:
    """The payment complete: the payee gave the preimage for this part."""
    part = payment.part_of(channel_id, htlc_id)
    if part is None or part.status is PaymentStatus.COMPLETE:
        return payment
    ensure(sha256(preimage) == payment.payment_hash, "this preimage is of another payment")
    done = replace(part, status=PaymentStatus.COMPLETE, failure=None, completed_at=now)
    if payment.status is PaymentStatus.COMPLETE:
        return payment.with_part(done)
    return replace(
        payment.with_part(done),
        status=PaymentStatus.COMPLETE,
        completed_at=now,
        preimage=preimage,
        failure_code=None,
        failure=None,
    )


def failed(
    payment: Payment,
    channel_id: ChannelId,
    htlc_id: int,
    removal: Failed | Malformed,
    ctx: Context,
) -> Outcome:
    """The payment after this part's HTLC is gone for good, and whether to try again."""
    part = payment.part_of(channel_id, htlc_id)
    if part is None or part.status is not PaymentStatus.PENDING:
        return Outcome(payment, retry=False)
    failure = _read(part, removal, ctx)
    gone = replace(part, status=PaymentStatus.FAILED, failure=failure, completed_at=ctx.now)
    payment = payment.with_part(gone)
    if payment.status is not PaymentStatus.PENDING or payment.pending_parts:
        return Outcome(payment, retry=False)
    if failure.final or payment.kind is PaymentKind.SENDPAY:
        return Outcome(_ended(payment, failure.rpc_code, failure.sentence, ctx.now), retry=False)
    if _is_enough(payment, ctx):
        sentence = f"Gave up after {_tries(payment)}. {failure.sentence}"
        return Outcome(_ended(payment, _GAVE_UP, sentence, ctx.now), retry=False)
    return Outcome(payment, retry=True)


def _tries(payment: Payment) -> str:
    return "one try" if len(payment.parts) == 1 else f"{len(payment.parts)} tries"


def _is_enough(payment: Payment, ctx: Context) -> bool:
    # What nobody can be held to counts as the payee's: it may come back for ever.
    refusals = sum(
        1
        for p in payment.parts
        if p.failure is not None
        and p.htlc_id is not None
        and p.failure.hop in (None, len(p.hops) - 1)
    )
    late = 0 < payment.retry_until <= ctx.now
    return late or refusals >= MAX_REFUSALS or len(payment.parts) >= MAX_PARTS


def _read(part: Part, removal: Failed | Malformed, ctx: Context) -> PartFailure:
    if isinstance(removal, Malformed):
        # Only a peer may say this, and in clear: there was no layer that it could answer in.
        code, onion_hash = removal.failure_code, removal.sha256_of_onion
        failure = bad_onion(code, onion_hash) if code & BADONION else UnknownFailure(code, b"")
        return explain.read(Returned(0, failure), len(part.hops), ctx.height)
    if not removal.reason:
        return explain.local("The channel closed before the peer had the payment. Try again.")
    returned = unwrap(part.shared_secrets, removal.reason)
    read = explain.read(returned, len(part.hops), ctx.height)
    return read if returned is not None else replace(read, reply=removal.reason)


def gave_up(payment: Payment, refused: Refused, now: int) -> Payment:
    """The payment ended because no (further) try is possible.

    A part that the channel refused to add is failed with it; a part with an HTLC must not be.
    """
    for part in payment.pending_parts:
        payment = not_offered(payment, part.partid, refused, now)
    if payment.status is not PaymentStatus.PENDING:
        return payment
    earlier = [p.failure.sentence for p in payment.parts if p.failure and p.htlc_id is not None]
    if not earlier:
        return _ended(payment, refused.code, refused.message, now)
    if refused.code == _NO_ROUTE:
        # The search speaks of a map without what this payment has closed: only the last word helps.
        sentence = f"No other way is left after {_tries(payment)}. {earlier[-1]}"
        return _ended(payment, _GAVE_UP, sentence, now)
    return _ended(payment, refused.code, f"{refused.message} Before that: {earlier[-1]}", now)


def _ended(payment: Payment, code: int, sentence: str, now: int) -> Payment:
    return replace(
        payment,
        status=PaymentStatus.FAILED,
        completed_at=now,
        failure_code=code,
        failure=sentence,
    )
