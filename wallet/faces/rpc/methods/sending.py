"""Money out: payments to invoices and to nodes, and parts along routes of the caller."""

from fractions import Fraction
from typing import Final

from wallet.base.errors import DecodeError, Refused
from wallet.base.invoices.bolt11 import Invoice as Bolt11
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi
from wallet.faces.rpc import payment_shapes as shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.methods.reading import bare_invoice, page, refuse_given
from wallet.faces.rpc.notices import tell
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import ListPays, Pay
from wallet.faces.rpc.table import Answer
from wallet.machines.payments.records import PaymentStatus
from wallet.machines.payments.requests import LEEWAY, PayRequest
from wallet.node.api import Api

DEFAULT_RETRY_SECONDS: Final = 60
DEFAULT_FEE_PERCENT: Final = 1.0
MOST_FEE_PERCENT: Final = 1_000_000.0
DEFAULT_EXEMPT_FEE: Final = MilliSatoshi(5_000)
"""Core Lightning's: a payment may cost 1 %, or 5 sat where that is more."""


async def pay(api: Api, args: Args) -> Answer:
    """Pay an invoice and wait for the outcome.

    After `retry_for` seconds without one it answers 200: the money may still arrive, and the
    sentence says so.  `riskfactor` weighs routes against each other; a direct payment has one.
    """
    refuse_given(args, (Pay.LOCALINVREQID, Pay.PARTIAL_MSAT))
    if args.get(Pay.EXCLUDE):
        raise Refused(
            "exclude: a payment goes straight to the payee, so nothing can be left out",
            Code.INVALID_PARAMS,
        )
    text = bare_invoice(args[Pay.INVSTRING])
    wanted = _payable(text, api)
    _check_delay(wanted, args.get(Pay.MAXDELAY))
    amount = args.get(Pay.AMOUNT_MSAT)
    request = PayRequest(
        invoice=wanted,
        bolt11=text,
        max_fee=_max_fee(args, wanted.amount or amount or ZERO_MSAT),
        amount=amount,
        label=args.get(Pay.LABEL),
        description=args.get(Pay.DESCRIPTION),
    )
    seconds = args.get_or(Pay.RETRY_FOR, DEFAULT_RETRY_SECONDS)
    tell(f"paying {amount or wanted.amount} to {wanted.payee.hex()}")
    try:
        done = (await api.pay(request, max(seconds, 1))).payment
    except TimeoutError:
        raise Refused(
            f"still on its way after {seconds} seconds. It may yet arrive: do not pay again, look"
            f" with `leyden listpays payment_hash={wanted.payment_hash.hex()}`",
            Code.PAY_IN_PROGRESS,
        ) from None
    if done.status is not PaymentStatus.COMPLETE:
        raise Refused(
            done.failure or "the payment failed", done.failure_code or Code.PAY_STOPPED_RETRYING
        )
    return shapes.paid(done)


def _payable(text: str, api: Api) -> Bolt11:
    try:
        return decode_invoice(text, api.chain)
    except DecodeError as error:
        raise Refused(f"Invalid bolt11 invoice: {error}", Code.INVALID_PARAMS) from None


def _check_delay(wanted: Bolt11, most: int | None) -> None:
    delay = (wanted.min_final_cltv + LEEWAY).blocks
    if most is not None and delay > most:
        raise Refused(
            f"this payment could lock money for {delay} blocks, more than maxdelay {most}",
            Code.PAY_ROUTE_TOO_EXPENSIVE,
        )


def _max_fee(args: Args, amount: MilliSatoshi) -> MilliSatoshi:
    most = args.get(Pay.MAXFEE)
    percent, exempt = args.get(Pay.MAXFEEPERCENT), args.get(Pay.EXEMPTFEE)
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


async def listpays(api: Api, args: Args) -> Answer:
    """Our payments, all or those that fit."""
    memory = await api.memory()
    given, payment_hash = args.get(ListPays.BOLT11), args.get(ListPays.PAYMENT_HASH)
    text = None if given is None else bare_invoice(given)
    wanted = args.get(ListPays.STATUS)
    by_update = args.get(ListPays.INDEX) == "updated"
    chosen = [
        ((p.updated_index or 0) if by_update else p.created_index, p)
        for p in memory.payments.values()
        if text in (None, p.bolt11)
        and payment_hash in (None, p.payment_hash)
        and wanted in (None, p.status.value)
    ]
    shown = page(chosen, args.get(ListPays.START), args.get(ListPays.LIMIT))
    return {"pays": [shapes.payment(p) for p in shown]}
