"""What a person asks to be paid, and the payment that it begins (BOLT 11, BLIP 3).

Whatever cannot be paid at all is refused here, before anything is remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused
from wallet.base.invoices.bolt11 import MAX_AMOUNT, Invoice
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import NodeId, PaymentHash, Point, Preimage, ShortChannelId
from wallet.machines.payments.incoming import MAX_HTLC_CLTV
from wallet.machines.payments.records import (
    RISKFACTOR_MILLIONTHS,
    Hop,
    Payment,
    PaymentKind,
    PaymentStatus,
)
from wallet.machines.step import Context

LEEWAY: Final = CltvDelta(3)
"""The payee may have seen blocks that we have not, and more may come on the way."""
KEYSEND_CLTV: Final = CltvDelta(42)
"""Blocks that a payee without an invoice is given: more than any implementation asks for."""

_PARAMS: Final = -32602
_HASH_USED: Final = 201
_NO_ROUTE: Final = 205
_TOO_LONG: Final = 206
_EXPIRED: Final = 207


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
    retry_seconds: int = 60
    max_delay: CltvDelta = MAX_HTLC_CLTV
    excluded: tuple[str, ...] = ()
    riskfactor_millionths: int = RISKFACTOR_MILLIONTHS


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysendRequest:
    """Money for a node that did not ask for it (BLIP 3)."""

    destination: NodeId
    amount: MilliSatoshi
    max_fee: MilliSatoshi
    label: str | None = None
    retry_seconds: int = 60
    max_delay: CltvDelta = MAX_HTLC_CLTV
    excluded: tuple[str, ...] = ()
    extra_tlvs: tuple[tuple[int, bytes], ...] = ()
    hints: tuple[tuple[HintHop, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRequest:
    """One part of a payment whose caller chose the route (Core Lightning's `sendpay`)."""

    payment_hash: PaymentHash
    hops: tuple[Hop, ...]
    total: MilliSatoshi
    """What the payee is told to expect of all parts."""
    partid: int = 0
    groupid: int | None = None
    payment_secret: bytes | None = None
    payment_metadata: bytes | None = None
    bolt11: str | None = None
    label: str | None = None
    description: str | None = None


# --- beginnings ---------------------------------------------------------------------------------


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
        retry_until=ctx.now + request.retry_seconds,
        max_delay=request.max_delay,
        excluded=request.excluded,
        riskfactor_millionths=request.riskfactor_millionths,
    )


def start_keysend(
    request: KeysendRequest,
    *,
    preimage: Preimage,
    ctx: Context,
    our_id: NodeId,
    created_index: int,
) -> Payment:
    """A spontaneous payment without any try so far; raises `Refused`.

    `preimage` is fresh: whoever saw it before could take the money on its way.
    """
    if request.destination == our_id:
        raise Refused("That is this node itself: paying it would move no money.", _NO_ROUTE)
    _check_delay(KEYSEND_CLTV, request.max_delay)
    return Payment(
        payment_hash=PaymentHash(sha256(preimage)),
        groupid=1,
        bolt11=None,
        destination=request.destination,
        amount=_amount(None, request.amount),
        payment_secret=None,
        payment_metadata=None,
        min_final_cltv=KEYSEND_CLTV,
        max_fee=request.max_fee,
        status=PaymentStatus.PENDING,
        created_at=ctx.now,
        created_index=created_index,
        label=request.label,
        kind=PaymentKind.KEYSEND,
        retry_until=ctx.now + request.retry_seconds,
        max_delay=request.max_delay,
        excluded=request.excluded,
        keysend_preimage=preimage,
        extra_tlvs=request.extra_tlvs,
        hints=tuple(hint for hint in request.hints if hint),
    )


def start_by_route(
    request: PartRequest, *, ctx: Context, created_index: int, groupid: int
) -> Payment:
    """A payment whose parts the caller makes, without any so far."""
    return Payment(
        payment_hash=request.payment_hash,
        groupid=groupid,
        bolt11=request.bolt11,
        destination=request.hops[-1].node_id,
        amount=request.total,
        payment_secret=request.payment_secret,
        payment_metadata=request.payment_metadata,
        min_final_cltv=CltvDelta(0),
        max_fee=request.hops[0].amount - request.hops[-1].amount,
        status=PaymentStatus.PENDING,
        created_at=ctx.now,
        created_index=created_index,
        label=request.label,
        description=request.description,
        kind=PaymentKind.SENDPAY,
    )


def _check_invoice(request: PayRequest, ctx: Context, our_id: NodeId) -> None:
    invoice, described = request.invoice, request.description
    if ctx.now >= invoice.expires_at:
        raise Refused(
            f"This invoice expired {_ago(ctx.now - invoice.expires_at)} ago. Ask for a new one.",
            _EXPIRED,
            {"now": ctx.now, "expiry": invoice.expires_at},
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
    _check_delay(invoice.min_final_cltv, request.max_delay)


def _check_delay(final: CltvDelta, most: CltvDelta) -> None:
    """No way is shorter than straight to the payee."""
    shortest = final + LEEWAY
    if shortest > most:
        raise Refused(
            f"This payment could lock money for {shortest.blocks} blocks, more than the limit"
            f" (maxdelay {most.blocks}).",
            _TOO_LONG,
            {"delay": shortest.blocks},
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


# --- further parts ------------------------------------------------------------------------------


def reopened(payment: Payment, request: PartRequest) -> Payment:
    """The payment ready for one more part; raises `Refused` when the part is of another."""
    if payment.kind is not PaymentKind.SENDPAY:
        raise Refused("this group was begun by `pay`; give another groupid", _PARAMS)
    if (payment.amount, payment.payment_secret) != (request.total, request.payment_secret):
        raise Refused("the parts of one group have one amount_msat and payment_secret", _PARAMS)
    return replace(
        payment,
        status=PaymentStatus.PENDING,
        completed_at=None,
        failure_code=None,
        failure=None,
    )


def excluded_of(payment: Payment) -> frozenset[tuple[int, int] | NodeId]:
    """What the caller leaves out, as a search reads it."""
    found: set[tuple[int, int] | NodeId] = set()
    for word in payment.excluded:
        scid, slash, direction = word.partition("/")
        if slash:
            found.add((ShortChannelId.parse(scid).to_int(), int(direction)))
        else:
            found.add(NodeId(Point(bytes.fromhex(word))))
    return frozenset(found)
