"""Money in: invoices, and what one says."""

from wallet.base.bitcoin.address import decode_address
from wallet.base.errors import DecodeError, Refused
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.faces.rpc import payment_shapes as shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.methods.reading import bare_invoice, page
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.signatures import (
    Decode,
    Invoice,
    ListInvoices,
    WaitInvoice,
)
from wallet.faces.rpc.table import Answer
from wallet.machines.channel.limits import receivable
from wallet.machines.channel.state import Link, Phase
from wallet.machines.payments.incoming import MIN_FINAL_CLTV, WEEK, InvoiceRequest
from wallet.machines.payments.records import InvoiceStatus
from wallet.node.api import Api
from wallet.node.memory import Memory


async def invoice(api: Api, args: Args) -> Answer:
    """Make an invoice.

    `exposeprivatechannels` is taken and changes nothing: what our peers ask for a forward is not
    known before gossip, so no route hint could be true.
    """
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
    record = await api.create_invoice(request, args.get(Invoice.PREIMAGE))
    return {
        "payment_hash": record.payment_hash.hex(),
        "expires_at": record.expires_at,
        "bolt11": record.bolt11,
        "payment_secret": record.payment_secret.hex(),
        "created_index": record.created_index,
        **_warnings(await api.memory(), record.amount),
    }


def _fallbacks(addresses: tuple[str, ...], api: Api) -> tuple[bytes, ...]:
    try:
        return tuple(decode_address(address, api.chain) for address in addresses)
    except DecodeError as error:
        raise Refused(f"fallbacks: {error}", Code.INVALID_PARAMS) from None


def _warnings(memory: Memory, amount: MilliSatoshi | None) -> Answer:
    """Whether anybody could pay this invoice now."""
    ready = [c for c in memory.channels.values() if c.phase is Phase.READY]
    room = [receivable(c) for c in ready if c.link is Link.LIVE]
    most = max(room, default=ZERO_MSAT)
    if ready and not room:
        return {"warning_offline": "No peer of a channel is connected: nobody can pay this now."}
    if most < (amount or MilliSatoshi(1)):
        return {"warning_capacity": f"Your channels can receive {most} now, which is too little."}
    return {}


async def listinvoices(api: Api, args: Args) -> Answer:
    """Our invoices, all or those that fit."""
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


async def decode(_api: Api, args: Args) -> Answer:
    """What an invoice says, of whatever network."""
    try:
        return shapes.decoded(decode_invoice(bare_invoice(args[Decode.STRING])))
    except DecodeError as error:
        raise Refused(f"Unparsable string: {error}", Code.INVALID_PARAMS) from None
