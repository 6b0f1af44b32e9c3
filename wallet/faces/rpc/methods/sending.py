"""Money out: payments to invoices and to nodes, and parts along routes of the caller."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from wallet.base.errors import DecodeError, Refused
from wallet.base.invoices.bolt11 import Invoice as Bolt11
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import PaymentHash
from wallet.faces.rpc import payment_shapes as shapes
from wallet.faces.rpc import sending_shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.methods.reading import bare_invoice, page, refuse_given
from wallet.faces.rpc.notices import tell
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.sending_signatures import (
    KeySend,
    ListPays,
    ListSendPays,
    Pay,
    SendPay,
    WaitSendPay,
    XKeySend,
    XPay,
)
from wallet.faces.rpc.table import Answer, Method
from wallet.machines.payments.records import (
    MOST_DELAY,
    RISKFACTOR_MILLIONTHS,
    Hop,
    Payment,
    PaymentStatus,
)
from wallet.machines.payments.requests import KeysendRequest, PartRequest, PayRequest
from wallet.node import errands
from wallet.node.api import Api
from wallet.node.memory import Memory

DEFAULT_RETRY_SECONDS: Final = 60
DEFAULT_FEE_PERCENT: Final = 1.0
MOST_FEE_PERCENT: Final = 1_000_000.0
DEFAULT_EXEMPT_FEE: Final = MilliSatoshi(5_000)
"""Core Lightning's: a payment may cost 1 %, or 5 sat where that is more."""
MOST_RISKFACTOR: Final = 1_000_000.0
MARGIN: Final = CltvDelta(1)
"""Core Lightning counts a route's delays from the block that comes next."""
_MOST_SECONDS: Final = 1 << 31


# --- by invoice ---------------------------------------------------------------------------------


async def pay(api: Api, args: Args) -> Answer:
    """Pay an invoice and wait for the outcome.

    After `retry_for` seconds without one it answers 200: the money may still arrive, and the
    sentence says so.
    """
    refuse_given(args, (Pay.LOCALINVREQID, Pay.PARTIAL_MSAT))
    text = bare_invoice(args[Pay.INVSTRING])
    wanted = _payable(text, api)
    amount = args.get(Pay.AMOUNT_MSAT)
    risk = args.get(Pay.RISKFACTOR)
    seconds = args.get_or(Pay.RETRY_FOR, DEFAULT_RETRY_SECONDS)
    request = PayRequest(
        invoice=wanted,
        bolt11=text,
        max_fee=_max_fee(
            args.get(Pay.MAXFEE),
            args.get(Pay.MAXFEEPERCENT),
            args.get(Pay.EXEMPTFEE),
            wanted.amount or amount or ZERO_MSAT,
        ),
        amount=amount,
        label=args.get(Pay.LABEL),
        description=args.get(Pay.DESCRIPTION),
        retry_seconds=seconds,
        max_delay=_max_delay(args.get(Pay.MAXDELAY)),
        excluded=args.get_or(Pay.EXCLUDE, ()),
        riskfactor_millionths=(
            RISKFACTOR_MILLIONTHS
            if risk is None
            else int(Fraction(min(risk, MOST_RISKFACTOR)) * 1_000_000)
        ),
    )
    return shapes.paid(await _paid(api, request))


async def xpay(api: Api, args: Args) -> Answer:
    """Core Lightning's newer `pay`: the same core, another answer."""
    refuse_given(args, (XPay.LOCALINVREQID, XPay.PARTIAL_MSAT, XPay.PAYER_NOTE))
    _refuse_layers(args.get_or(XPay.LAYERS, ()))
    text = bare_invoice(args[XPay.INVSTRING])
    wanted = _payable(text, api)
    amount = args.get(XPay.AMOUNT_MSAT)
    request = PayRequest(
        invoice=wanted,
        bolt11=text,
        max_fee=_max_fee(args.get(XPay.MAXFEE), None, None, wanted.amount or amount or ZERO_MSAT),
        amount=amount,
        label=args.get(XPay.LABEL),
        retry_seconds=args.get_or(XPay.RETRY_FOR, DEFAULT_RETRY_SECONDS),
        max_delay=_max_delay(args.get(XPay.MAXDELAY)),
    )
    return sending_shapes.through(await _paid(api, request))


async def _paid(api: Api, request: PayRequest) -> Payment:
    invoice, seconds = request.invoice, request.retry_seconds
    tell(f"paying {request.amount or invoice.amount} to {invoice.payee.hex()}")
    try:
        done = await api.pay(request, _patience(seconds))
    except TimeoutError:
        raise Refused(
            f"still on its way after {seconds} seconds. It may yet arrive: do not pay again, look"
            f" with `leyden listpays payment_hash={invoice.payment_hash.hex()}`",
            Code.PAY_IN_PROGRESS,
        ) from None
    return _complete(done.payment, api)


def _complete(done: Payment, api: Api) -> Payment:
    if done.status is PaymentStatus.COMPLETE:
        return done
    said = [part for part in done.parts if part.failure is not None and part.created_index]
    raise Refused(
        done.failure or "the payment failed",
        done.failure_code or Code.PAY_STOPPED_RETRYING,
        sending_shapes.routing_failure(said[-1], api.node_id) if said else None,
    )


def _patience(seconds: int) -> int:
    return min(max(seconds, 1), _MOST_SECONDS)


def _payable(text: str, api: Api) -> Bolt11:
    try:
        return decode_invoice(text, api.chain)
    except DecodeError as error:
        raise Refused(f"Invalid bolt11 invoice: {error}", Code.INVALID_PARAMS) from None


def _max_delay(blocks: int | None) -> CltvDelta:
    return MOST_DELAY if blocks is None else min(CltvDelta(blocks), MOST_DELAY)


def _max_fee(
    most: MilliSatoshi | None,
    percent: float | None,
    exempt: MilliSatoshi | None,
    amount: MilliSatoshi,
) -> MilliSatoshi:
    if most is not None:
        if percent is not None or exempt is not None:
            raise Refused(
                "maxfee cannot be given with maxfeepercent or exemptfee", Code.INVALID_PARAMS
            )
        return most
    share = Fraction(min(DEFAULT_FEE_PERCENT if percent is None else percent, MOST_FEE_PERCENT))
    return max(
        MilliSatoshi(int(amount.msat * share / 100)),
        DEFAULT_EXEMPT_FEE if exempt is None else exempt,
    )


def _refuse_layers(layers: tuple[str, ...]) -> None:
    if layers:
        raise Refused("layers: there are no layers here; leave it empty", Code.INVALID_PARAMS)


async def listpays(api: Api, args: Args) -> Answer:
    """Our payments, all or those that fit."""
    memory = await api.memory()
    given, payment_hash = args.get(ListPays.BOLT11), args.get(ListPays.PAYMENT_HASH)
    text = None if given is None else bare_invoice(given)
    wanted = args.get(ListPays.STATUS)
    by_update = args.get(ListPays.INDEX) == "updated"
    chosen = [
        ((p.updated_index or 0) if by_update else p.created_index, p)
        for p in _payments(memory, payment_hash)
        if text in (None, p.bolt11) and wanted in (None, p.status.value)
    ]
    shown = page(chosen, args.get(ListPays.START), args.get(ListPays.LIMIT))
    return {"pays": [shapes.payment(p) for p in shown]}


def _payments(memory: Memory, payment_hash: PaymentHash | None) -> Iterable[Payment]:
    return memory.payments.values() if payment_hash is None else memory.payments_of(payment_hash)


# --- to a node ----------------------------------------------------------------------------------


async def keysend(api: Api, args: Args) -> Answer:
    """Pay a node that did not ask for it."""
    amount = args[KeySend.AMOUNT_MSAT]
    request = KeysendRequest(
        destination=args[KeySend.DESTINATION],
        amount=amount,
        max_fee=_max_fee(
            args.get(KeySend.MAXFEE),
            args.get(KeySend.MAXFEEPERCENT),
            args.get(KeySend.EXEMPTFEE),
            amount,
        ),
        label=args.get(KeySend.LABEL),
        retry_seconds=args.get_or(KeySend.RETRY_FOR, DEFAULT_RETRY_SECONDS),
        max_delay=_max_delay(args.get(KeySend.MAXDELAY)),
        extra_tlvs=args.get_or(KeySend.EXTRATLVS, ()),
        hints=args.get_or(KeySend.ROUTEHINTS, ()),
    )
    return shapes.paid(await _given(api, request))


async def xkeysend(api: Api, args: Args) -> Answer:
    """Core Lightning's newer `keysend`: the same core, another answer."""
    _refuse_layers(args.get_or(XKeySend.LAYERS, ()))
    amount = args[XKeySend.AMOUNT_MSAT]
    request = KeysendRequest(
        destination=args[XKeySend.DESTINATION],
        amount=amount,
        max_fee=_max_fee(args.get(XKeySend.MAXFEE), None, None, amount),
        label=args.get(XKeySend.LABEL),
        retry_seconds=args.get_or(XKeySend.RETRY_FOR, DEFAULT_RETRY_SECONDS),
        max_delay=_max_delay(args.get(XKeySend.MAXDELAY)),
        extra_tlvs=args.get_or(XKeySend.EXTRATLVS, ()),
    )
    return sending_shapes.through(await _given(api, request))


async def _given(api: Api, request: KeysendRequest) -> Payment:
    seconds = request.retry_seconds
    tell(f"sending {request.amount} to {request.destination.hex()}")
    try:
        done = await api.keysend(request, _patience(seconds))
    except TimeoutError:
        raise Refused(
            f"still on its way after {seconds} seconds. It may yet arrive: do not pay again, look"
            " with `leyden listpays status=pending`",
            Code.PAY_IN_PROGRESS,
        ) from None
    return _complete(done.payment, api)


# --- by route -----------------------------------------------------------------------------------


async def sendpay(api: Api, args: Args) -> Answer:
    """Send one part along a route of the caller; `waitsendpay` tells what becomes of it."""
    refuse_given(args, (SendPay.LOCALINVREQID,))
    hops = args[SendPay.ROUTE]
    partid, secret = args.get_or(SendPay.PARTID, 0), args.get(SendPay.PAYMENT_SECRET)
    total = args.get(SendPay.AMOUNT_MSAT)
    if partid and (total is None or secret is None):
        raise Refused("partid: needs amount_msat and payment_secret", Code.INVALID_PARAMS)
    if not partid and total not in (None, hops[-1].amount):
        raise Refused(
            "amount_msat: without partid it should be what the last hop gets", Code.INVALID_PARAMS
        )
    given = args.get(SendPay.BOLT11)
    height = (await api.memory()).height
    sources = [api.node_id, *(hop.node_id for hop in hops)]
    sent = await api.send_part(
        PartRequest(
            payment_hash=args[SendPay.PAYMENT_HASH],
            hops=tuple(
                Hop(
                    hop.node_id,
                    hop.scid,
                    int(source > hop.node_id),
                    hop.amount,
                    height + (MARGIN + CltvDelta(hop.delay)),
                )
                for source, hop in zip(sources, hops, strict=False)
            ),
            total=total or hops[-1].amount,
            partid=partid,
            groupid=args.get(SendPay.GROUPID),
            payment_secret=secret,
            payment_metadata=args.get(SendPay.PAYMENT_METADATA),
            bolt11=None if given is None else bare_invoice(given),
            label=args.get(SendPay.LABEL),
            description=args.get(SendPay.DESCRIPTION),
        )
    )
    payment = sent.payment
    if payment.status is PaymentStatus.COMPLETE:
        paid = [p for p in payment.parts if p.status is PaymentStatus.COMPLETE]
        part = next((p for p in paid if p.partid == partid), paid[0])
        return sending_shapes.waited_part(payment, part)
    part = next(p for p in payment.parts if p.partid == partid)
    return {
        **sending_shapes.waited_part(payment, part),
        "message": "Monitor status with listpays or waitsendpay",
    }


async def waitsendpay(api: Api, args: Args) -> Answer:
    """Until the outcome of a part is known; 200 after `timeout` seconds (0: look, do not wait)."""
    try:
        payment, part = await errands.wait_part(
            api,
            args[WaitSendPay.PAYMENT_HASH],
            args.get_or(WaitSendPay.PARTID, 0),
            args.get(WaitSendPay.GROUPID),
            args.get(WaitSendPay.TIMEOUT),
        )
    except TimeoutError:
        raise Refused(
            "Timed out while waiting: the payment is still under way", Code.PAY_IN_PROGRESS
        ) from None
    if part.status is PaymentStatus.COMPLETE:
        return sending_shapes.waited_part(payment, part)
    if part.failure is None:
        raise Refused("the payment failed, and nobody knows why", Code.PAY_UNSPECIFIED_ERROR)
    raise Refused(
        part.failure.sentence,
        part.failure.rpc_code,
        {
            **sending_shapes.waited_part(payment, part),
            **sending_shapes.routing_failure(part, api.node_id),
        },
    )


async def listsendpays(api: Api, args: Args) -> Answer:
    """The parts of our payments that were sent, all or those that fit."""
    memory = await api.memory()
    given, payment_hash = args.get(ListSendPays.BOLT11), args.get(ListSendPays.PAYMENT_HASH)
    text = None if given is None else bare_invoice(given)
    if text is not None and payment_hash is not None:
        raise Refused("Can only specify one of {bolt11} or {payment_hash}", Code.INVALID_PARAMS)
    wanted = args.get(ListSendPays.STATUS)
    by_update = args.get(ListSendPays.INDEX) == "updated"
    chosen = [
        ((part.updated_index or 0) if by_update else part.created_index, (payment, part))
        for payment in _payments(memory, payment_hash)
        if text in (None, payment.bolt11)
        for part in payment.parts
        if part.created_index and wanted in (None, part.status.value)
    ]
    shown = page(chosen, args.get(ListSendPays.START), args.get(ListSendPays.LIMIT))
    return {"payments": [sending_shapes.sent_part(payment, part) for payment, part in shown]}


SENDING: Final[tuple[Method[Api], ...]] = (
    Method("pay", Pay.PARAMS, pay, "pays an invoice"),
    Method("xpay", XPay.PARAMS, xpay, "pays an invoice"),
    Method("listpays", ListPays.PARAMS, listpays, "lists payments"),
    Method("keysend", KeySend.PARAMS, keysend, "pays a node without an invoice"),
    Method("xkeysend", XKeySend.PARAMS, xkeysend, "pays a node without an invoice"),
    Method("sendpay", SendPay.PARAMS, sendpay, "sends one part along a route"),
    Method(
        "waitsendpay", WaitSendPay.PARAMS, waitsendpay, "waits for a part's outcome", waits=True
    ),
    Method("listsendpays", ListSendPays.PARAMS, listsendpays, "lists parts of payments"),
)
"""The methods of this file."""
