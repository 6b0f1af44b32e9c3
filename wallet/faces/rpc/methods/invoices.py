"""Money in: invoices are made, listed, waited for and forgotten; and what one says."""

from wallet.base.bitcoin.address import decode_address
from wallet.base.errors import DecodeError, Refused
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import ShortChannelId
from wallet.faces.rpc import payment_shapes as shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.methods.reading import bare_invoice, page
from wallet.faces.rpc.more_signatures import DelInvoice, WaitAnyInvoice
from wallet.faces.rpc.params import AnyParam, Args
from wallet.faces.rpc.signatures import (
    Decode,
    Invoice,
    ListInvoices,
    WaitInvoice,
)
from wallet.faces.rpc.table import Answer
from wallet.machines.payments.hints import Exposure
from wallet.machines.payments.incoming import MIN_FINAL_CLTV, WEEK, InvoiceRequest
from wallet.machines.payments.records import InvoiceStatus
from wallet.node.api import Api


async def invoice(api: Api, args: Args) -> Answer:
    """Make an invoice, with hints for the channels that `exposeprivatechannels` allows."""
    amount = args[Invoice.AMOUNT_MSAT]
    request = InvoiceRequest(
        label=args[Invoice.LABEL],
        amount=amount if isinstance(amount, MilliSatoshi) else None,
        description=args[Invoice.DESCRIPTION],
        expiry_seconds=args.get_or(Invoice.EXPIRY, WEEK),
        min_final_cltv=CltvDelta(args.get_or(Invoice.CLTV, MIN_FINAL_CLTV.blocks)),
        only_hash_of_description=args.get_or(Invoice.DESCHASHONLY, False),
        fallbacks=_fallbacks(args.get_or(Invoice.FALLBACKS, ()), api),
    )
    made = await api.create_hinted_invoice(
        request,
        args.get(Invoice.PREIMAGE),
        _exposure(args.get(Invoice.EXPOSEPRIVATECHANNELS)),
    )
    record = made.invoice
    return {
        "payment_hash": record.payment_hash.hex(),
        "expires_at": record.expires_at,
        "bolt11": record.bolt11,
        "payment_secret": record.payment_secret.hex(),
        "created_index": record.created_index,
        **dict(made.warnings),
    }


def _exposure(given: bool | tuple[ShortChannelId, ...] | None) -> Exposure:
    return Exposure(only=given) if isinstance(given, tuple) else Exposure(private=given)


def _fallbacks(addresses: tuple[str, ...], api: Api) -> tuple[bytes, ...]:
    try:
        return tuple(decode_address(address, api.chain) for address in addresses)
    except DecodeError as error:
        raise Refused(f"fallbacks: {error}", Code.INVALID_PARAMS) from None


async def listinvoices(api: Api, args: Args) -> Answer:
    """Our invoices, all or those that fit."""
    one_of: tuple[AnyParam, ...] = (
        ListInvoices.LABEL,
        ListInvoices.INVSTRING,
        ListInvoices.PAYMENT_HASH,
        ListInvoices.OFFER_ID,
    )
    if sum(args.get(param) is not None for param in one_of) > 1:
        raise Refused(
            "Can only specify one of {label}, {invstring}, {payment_hash} or {offer_id}",
            Code.INVALID_PARAMS,
        )
    memory = await api.memory()
    label, payment_hash = args.get(ListInvoices.LABEL), args.get(ListInvoices.PAYMENT_HASH)
    given = args.get(ListInvoices.INVSTRING)
    text = None if given is None else bare_invoice(given)
    by_update = args.get(ListInvoices.INDEX) == "updated"
    chosen = [
        ((i.updated_index or 0) if by_update else i.created_index, i)
        for i in memory.invoices.values()
        if label in (None, i.label)
        and text in (None, i.bolt11)
        and payment_hash in (None, i.payment_hash)
        # No invoice of ours was made for an offer.
        and args.get(ListInvoices.OFFER_ID) is None
    ]
    now = api.now()
    shown = page(chosen, args.get(ListInvoices.START), args.get(ListInvoices.LIMIT))
    return {"invoices": [shapes.invoice(i, now) for i in shown]}


async def waitinvoice(api: Api, args: Args) -> Answer:
    """Until an invoice is paid; 903 when it expires first."""
    record = await api.wait_invoice(args[WaitInvoice.LABEL])
    now = api.now()
    if record.as_of(now).status is not InvoiceStatus.PAID:
        raise Refused(
            f"invoice '{record.label}' expired before it was paid", Code.INVOICE_EXPIRED_DURING_WAIT
        )
    return shapes.invoice(record, now)


async def delinvoice(api: Api, args: Args) -> Answer:
    """Forget an invoice whose status is the one given; 906 when it has changed meanwhile."""
    record = await api.delete_invoice(
        args[DelInvoice.LABEL],
        InvoiceStatus(args[DelInvoice.STATUS]),
        only_description=args.get_or(DelInvoice.DESCONLY, False),
    )
    return shapes.invoice(record, api.now())


async def waitanyinvoice(api: Api, args: Args) -> Answer:
    """The next invoice that is paid after pay index `lastpay_index`; 904 after `timeout`."""
    after, seconds = args.get_or(WaitAnyInvoice.LASTPAY_INDEX, 0), args.get(WaitAnyInvoice.TIMEOUT)
    try:
        record = await api.wait_any_invoice(after, seconds)
    except TimeoutError:
        raise Refused("Timed out", Code.INVOICE_WAIT_TIMED_OUT) from None
    return shapes.invoice(record, api.now())


async def decode(_api: Api, args: Args) -> Answer:
    """What an invoice says, of whatever network."""
    try:
        return shapes.decoded(decode_invoice(bare_invoice(args[Decode.STRING])))
    except DecodeError as error:
        raise Refused(f"Unparsable string: {error}", Code.INVALID_PARAMS) from None
