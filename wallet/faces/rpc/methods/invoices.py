"""Invoices that are forgotten, and waiting for the next one that is paid."""

from wallet.base.errors import Refused
from wallet.faces.rpc import payment_shapes as shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.more_signatures import DelInvoice, WaitAnyInvoice
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.table import Answer
from wallet.machines.payments.records import InvoiceStatus
from wallet.node.api import Api


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
