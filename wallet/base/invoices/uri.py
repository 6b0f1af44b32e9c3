"""What people paste or scan: an invoice, `lightning:…` (BOLT 11) or `bitcoin:…` (BIP 21, 321).

Only the parts are taken apart here; the invoice and the address are checked by their own rooms.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from wallet.base.errors import DecodeError
from wallet.base.values.amounts import SAT_PER_BTC, Satoshi

_AMOUNT: Final = re.compile(r"([0-9]{1,8})(?:\.([0-9]{0,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What a pasted text asks for. At least one of `invoice` and `address` is set."""

    invoice: str | None = None
    address: str | None = None
    amount: Satoshi | None = None
    label: str | None = None
    message: str | None = None


def parse_request(text: str) -> PaymentRequest:
    """Take a pasted text apart; raises `DecodeError` with a sentence.

    The scheme may have any case. A text without one is an invoice when it begins with `ln`, else an
    address.
    """
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    if not colon:
        if not text:
            raise DecodeError("there is nothing to pay in an empty text")
        invoice = text[:2].lower() == "ln"
        return PaymentRequest(invoice=text) if invoice else PaymentRequest(address=text)
    if scheme.lower() == "lightning":
        # BOLT 11 says `lightning:`, but wallets that write `lightning://` exist.
        invoice_text = rest.removeprefix("//").partition("?")[0]
        if not invoice_text:
            raise DecodeError("nothing follows lightning:")
        return PaymentRequest(invoice=invoice_text)
    if scheme.lower() == "bitcoin":
        return _parse_bitcoin(rest)
    raise DecodeError(f"neither an invoice nor an address: {text[:60]!r}")


def _parse_bitcoin(rest: str) -> PaymentRequest:
    address, _, query = rest.partition("?")
    values: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        raw, _, value = pair.partition("=")
        key = raw.lower()
        if key in values:
            raise DecodeError(f"{key[:40]!r} stands twice in this bitcoin: link")
        # BIP 21: a variable with `req-` that is not understood makes the whole link invalid.
        if key.startswith("req-"):
            raise DecodeError(f"this bitcoin: link requires {key[:40]!r}, which is not known here")
        values[key] = unquote(value)
    invoice = values.get("lightning")
    if not address and not invoice:
        raise DecodeError("this bitcoin: link has neither an address nor an invoice")
    return PaymentRequest(
        invoice=invoice or None,
        address=address or None,
        amount=_parse_amount(values["amount"]) if "amount" in values else None,
        label=values.get("label"),
        message=values.get("message"),
    )


def _parse_amount(text: str) -> Satoshi:
    # BIP 21: decimal bitcoin, no exponent, no sign, a full stop as separator.
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise DecodeError(f"{text[:40]!r} is not an amount in bitcoin")
    fraction = (found[2] or "").ljust(8, "0")
    return Satoshi(int(found[1]) * SAT_PER_BTC + int(fraction))


def lightning_uri(invoice: str) -> str:
    """The link for a QR code: upper case makes the code smaller (BOLT 11)."""
    return "LIGHTNING:" + invoice.upper()
