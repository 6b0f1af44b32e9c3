"""What `send` is pointed at: an invoice, a node, or an address on chain."""

import re
from typing import Final

from wallet.base.errors import DecodeError
from wallet.base.invoices.uri import parse_request
from wallet.faces.cli.arguments import UsageError

INVOICE: Final = "invoice"
NODE: Final = "node"
ADDRESS: Final = "address"
_NODE_ID: Final = re.compile(r"0[23][0-9a-f]{64}", re.ASCII)
_OFFER: Final = ("lno1", "lnr1", "lni1")
_ADDRESS: Final = re.compile(r"[0-9A-Za-z]{14,100}", re.ASCII)


class Target:
    """One of the three kinds and its text; what a link said beside it."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text
        self.amount_msat: int | None = None
        """From a `bitcoin:` link."""
        self.said = ""
        """What a link calls the payee or the purchase. A stranger's words."""
        self.address: str | None = None
        """The other way to pay that a link offers beside its invoice."""


def read_target(text: str) -> Target:
    """Take what was pasted apart. Raises `UsageError` with a sentence."""
    text = text.strip()
    if _NODE_ID.fullmatch(text.lower()):
        return Target(NODE, text.lower())
    try:
        request = parse_request(text)
    except DecodeError as error:
        raise UsageError(str(error)) from None
    if request.invoice is not None:
        if request.invoice.lower().startswith(_OFFER):
            raise UsageError("this is an offer (BOLT 12): this wallet cannot pay offers yet")
        target = Target(INVOICE, request.invoice)
        target.address = request.address
    else:
        address = request.address or ""
        if not _ADDRESS.fullmatch(address):
            raise UsageError(f"neither an invoice, a node id nor an address: {text[:60]!r}")
        target = Target(ADDRESS, address)
    if request.amount is not None:
        target.amount_msat = request.amount.to_msat().msat
    target.said = request.message or request.label or ""
    return target
