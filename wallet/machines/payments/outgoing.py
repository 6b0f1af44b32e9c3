"""Money that goes out: a payment from the invoice to its preimage, try by try (BOLT 4, BOLT 11).

Rule 1: a payment is complete when and only when its preimage is known.
Rule 2: a part is failed only once the channel says that the HTLC is gone; until then it may still
be paid, and no second try may be made for that money.
Rule 3: everything may be said twice; what is known already changes nothing.
Routes have one hop so far: the payee must be a peer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused, ensure
from wallet.base.invoices.bolt11 import MAX_AMOUNT, Invoice
from wallet.base.onion.packet import create_packet
from wallet.base.onion.payload import Payload, PaymentData
from wallet.base.onion.returns import Returned, unwrap
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import ChannelId, NodeId, Preimage, Secret
from wallet.base.wire.failures import BADONION, UnknownFailure, bad_onion
from wallet.machines.channel.events import OfferHtlc
from wallet.machines.channel.state import Failed, Malformed
from wallet.machines.payments import explain
from wallet.machines.payments.incoming import MAX_HTLC_CLTV
from wallet.machines.payments.records import Part, PartFailure, Payment, PaymentStatus
from wallet.machines.step import Context

MAX_PARTS: Final = 3
"""Tries of one payment."""
LEEWAY: Final = CltvDelta(3)
"""The payee may have seen blocks that we have not, and more may come on the way."""

_PARAMS: Final = -32602
_HASH_USED: Final = 201
_NO_ROUTE: Final = 205
_TOO_LONG: Final = 206
_EXPIRED: Final = 207
_GAVE_UP: Final = 210
_INSUFFICIENT: Final = 215


@dataclass(frozen=True, slots=True, kw_only=True)
class PayRequest:
    """What a person asks for. `amount` is needed when the invoice has none."""

    invoice: Invoice
    bolt11: str
    max_fee: MilliSatoshi
    amount: MilliSatoshi | None = None
    label: str | None = None
    description: str | None = None
    """The text behind an invoice that only has the hash of one."""


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
    """The payment after a part came back; `retry`: ask `choose` for another try."""

    payment: Payment
    retry: bool


# --- beginning ----------------------------------------------------------------------------------


def start(
    request: PayRequest,
    *,
    ctx: Context,
    our_id: NodeId,
    created_index: int,
    groupid: int = 1,
) -> Payment:
    """A payment without any try so far; raises `Refused` for an invoice that cannot be paid."""
    invoice = request.invoice
    _check_invoice(request, ctx, our_id)
    return Payment(
        payment_hash=invoice.payment_hash,
        groupid=groupid,
        bolt11=request.bolt11,
        destination=invoice.payee,
        amount=_amount(invoice.amount, request.amount),
        payment_secret=invoice.payment_secret,
        payment_metadata=invoice.metadata,
        min_final_cltv=invoice.min_final_cltv,
        max_fee=request.max_fee,
        status=PaymentStatus.PENDING,
        created_at=ctx.now,
        created_index=created_index,
        label=request.label,
        description=invoice.description if request.description is None else request.description,
    )


def _check_invoice(request: PayRequest, ctx: Context, our_id: NodeId) -> None:
    invoice, described = request.invoice, request.description
    if ctx.now >= invoice.expires_at:
        raise Refused(
            f"This invoice expired {_ago(ctx.now - invoice.expires_at)} ago. Ask for a new one.",
            _EXPIRED,
        )
    if invoice.payee == our_id:
        raise Refused(
            "This invoice is your own: paying it would move no money, so it is not sent.",
            _NO_ROUTE,
        )
    wanted = invoice.description_hash
    if wanted is not None and described is not None and sha256(described.encode()) != wanted:
        raise Refused(
            "The description is not the one that this invoice was made for: its hash differs. "
            "Pay without a description, or ask the payee for the exact text.",
            _PARAMS,
        )
    if invoice.min_final_cltv + LEEWAY > MAX_HTLC_CLTV:
        raise Refused(
            f"This invoice asks to lock your money for {invoice.min_final_cltv.blocks} blocks, and "
            f"no node takes more than {MAX_HTLC_CLTV.blocks}. Ask for one with a nearer expiry.",
            _TOO_LONG,
        )


def _amount(invoiced: MilliSatoshi | None, given: MilliSatoshi | None) -> MilliSatoshi:
    if given is not None and not ZERO_MSAT < given <= MAX_AMOUNT:
        raise Refused("Pay at least 1 msat, and at most all bitcoin.", _PARAMS)
    if invoiced is None:
        if given is None:
            raise Refused(
                "This invoice leaves the amount to you: say how much to pay (amount_msat).", _PARAMS
            )
        return given
    if given is not None and given != invoiced:
        raise Refused(
            f"This invoice is for {invoiced}, not {given}. Pay it without an amount.", _PARAMS
        )
    return invoiced


def _ago(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def standing(payment: Payment, prior: Sequence[Payment]) -> Payment | None:
    """The earlier payment of this hash whose outcome stands: complete, or still under way.

    None: nothing stands, so `payment` may be tried.  Raises `Refused` (201) when this hash was used
    for another amount or payee: whoever knows its preimage could take the money.
    """
    for earlier in prior:
        if earlier.payment_hash != payment.payment_hash or earlier.status is PaymentStatus.FAILED:
            continue
        if (earlier.amount, earlier.destination) != (payment.amount, payment.destination):
            done = "was paid" if earlier.status is PaymentStatus.COMPLETE else "is being paid"
            raise Refused(
                f"This payment hash {done} already, with {earlier.amount} to "
                f"{earlier.destination.hex()}. Ask the payee for a new invoice.",
                _HASH_USED,
            )
        return earlier
    return None


# --- a try --------------------------------------------------------------------------------------


def choose(payment: Payment, candidates: Sequence[Candidate]) -> Candidate:
    """The channel for the next try; raises `Refused` when there is none.

    Channels not tried so far come first, then those with the most room.
    """
    direct = [c for c in candidates if c.peer == payment.destination]
    if not direct:
        raise Refused(
            f"You have no channel with {payment.destination.hex()}, whom this pays. Open one with "
            "that node: paying through other nodes is not possible yet.",
            _NO_ROUTE,
        )
    usable = [c for c in direct if c.unusable is None]
    if not usable:
        reasons = "; ".join(dict.fromkeys(str(c.unusable) for c in direct))
        raise Refused(f"No channel with the payee can be used now: {reasons}.", _NO_ROUTE)
    most = max(c.spendable for c in usable)
    if most < payment.amount:
        raise Refused(
            f"Your channel with the payee can send at most {most} now, and this needs "
            f"{payment.amount}. A larger channel, or money coming in by this one, would make it "
            "possible.",
            _INSUFFICIENT,
        )
    tried = {part.channel_id for part in payment.parts}
    able = [c for c in usable if c.spendable >= payment.amount]
    return max(able, key=lambda c: (c.channel_id not in tried, c.spendable))


def attempt(
    payment: Payment, candidate: Candidate, session_key: Secret, ctx: Context
) -> tuple[Payment, OfferHtlc]:
    """The payment with one more part, and the HTLC to offer on the candidate's channel.

    `session_key` is 32 fresh random bytes, used for this part alone.  Raises `Refused` when the
    invoice's metadata does not fit into an onion.
    """
    # Rule 2: another HTLC while one is out could pay twice.
    ensure(not payment.pending_parts, "a part of this payment is still under way")
    ensure(payment.status is PaymentStatus.PENDING, f"this payment is {payment.status}")
    expiry = ctx.height + (payment.min_final_cltv + LEEWAY)
    payload = Payload(
        amt_to_forward=payment.amount,
        outgoing_cltv_value=expiry,
        payment_data=PaymentData(payment.payment_secret, payment.amount),
        payment_metadata=payment.payment_metadata,
    )
    packet, shared_secrets = create_packet(
        session_key, [(payment.destination, payload.encode())], payment.payment_hash
    )
    part = Part(
        partid=len(payment.parts) + 1,
        channel_id=candidate.channel_id,
        htlc_id=None,
        amount=payment.amount,
        amount_sent=payment.amount,
        cltv_expiry=expiry,
        hops=(payment.destination,),
        shared_secrets=shared_secrets,
        status=PaymentStatus.PENDING,
        created_at=ctx.now,
    )
    offer = OfferHtlc(payment.amount, payment.payment_hash, expiry, packet.encode())
    return payment.with_part(part), offer


def offered(payment: Payment, partid: int, htlc_id: int) -> Payment:
    """The channel has added the part's HTLC and given it an id."""
    part = _part(payment, partid)
    ensure(part.htlc_id in {None, htlc_id}, f"part {partid} has another HTLC")
    return payment.with_part(replace(part, htlc_id=htlc_id))


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
    if failure.final:
        return Outcome(_ended(payment, failure.rpc_code, failure.sentence, ctx.now), retry=False)
    if len(payment.parts) >= MAX_PARTS:
        sentence = f"Gave up after {len(payment.parts)} tries. {failure.sentence}"
        return Outcome(_ended(payment, _GAVE_UP, sentence, ctx.now), retry=False)
    return Outcome(payment, retry=True)


def _read(part: Part, removal: Failed | Malformed, ctx: Context) -> PartFailure:
    if isinstance(removal, Malformed):
        # Only a peer may say this, and in clear: there was no layer that it could answer in.
        code, onion_hash = removal.failure_code, removal.sha256_of_onion
        failure = bad_onion(code, onion_hash) if code & BADONION else UnknownFailure(code, b"")
        return explain.read(Returned(0, failure), len(part.hops), ctx.height)
    if not removal.reason:
        return explain.local("The channel closed before the peer had the payment. Try again.")
    returned = unwrap(part.shared_secrets, removal.reason)
    return explain.read(returned, len(part.hops), ctx.height)


def gave_up(payment: Payment, refused: Refused, now: int) -> Payment:
    """The payment ended because no (further) try is possible.

    A part that the channel refused to add is failed with it; a part with an HTLC must not be.
    """
    for part in payment.pending_parts:
        payment = not_offered(payment, part.partid, refused, now)
    if payment.status is not PaymentStatus.PENDING:
        return payment
    earlier = [p.failure.sentence for p in payment.parts if p.failure and p.htlc_id is not None]
    sentence = f"{refused.message} Before that: {earlier[-1]}" if earlier else refused.message
    return _ended(payment, refused.code, sentence, now)


def _ended(payment: Payment, code: int, sentence: str, now: int) -> Payment:
    return replace(
        payment,
        status=PaymentStatus.FAILED,
        completed_at=now,
        failure_code=code,
        failure=sentence,
    )
