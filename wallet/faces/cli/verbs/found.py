"""What an ID means: a payment of ours, an invoice of ours, or something else in the history."""

import re
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.rpc.errors import Code

PAYMENT: Final = "payment"
INVOICE: Final = "invoice"
OTHER: Final = "other"
_BEGINNING: Final = re.compile(r"[0-9a-f]{4,64}", re.ASCII)

Found = tuple[str, dict[str, Any]]


def find(desk: Desk, text: str) -> Found:
    """The one thing that is meant: by hash or its beginning, by invoice, or by label.

    Raises `UsageError` when several begin so, `Halt` when there is none.
    """
    text = text.strip()
    if not text:
        raise UsageError("an empty text names nothing")
    pays, invoices = desk.ask("listpays")["pays"], desk.ask("listinvoices")["invoices"]
    chosen = [(PAYMENT, p) for p in pays if _fits(p, text)]
    # An invoice of our own that we paid ourselves would be both; the payment tells more.
    chosen += [(INVOICE, i) for i in invoices if _fits(i, text)]
    if not chosen and _BEGINNING.fullmatch(text):
        items = (desk.ask_if_known("history", filter={"text": text}) or {}).get("history", ())
        chosen = [(OTHER, i) for i in items if _begins(i, text)]
    exact = [c for c in chosen if text in (c[1].get("payment_hash"), c[1].get("txid"))]
    chosen = exact or chosen
    if not chosen:
        raise Halt(f"nothing here is called {text[:70]!r}", Code.PAY_NO_SUCH_PAYMENT)
    names = {_name(item) for _, item in chosen}
    if len(names) > 1:
        raise UsageError(f"{len(names)} things begin with {text[:40]!r}: give more of the ID")
    # The newest attempt under one hash is the one that counts.
    return max(chosen, key=lambda c: (c[0] == PAYMENT, c[1].get("created_index", 0)))


def _name(item: dict[str, Any]) -> str:
    return str(item.get("payment_hash") or item.get("txid") or item.get("channel_id"))


def _fits(item: dict[str, Any], text: str) -> bool:
    lowered = text.lower()
    if _BEGINNING.fullmatch(lowered) and str(item["payment_hash"]).startswith(lowered):
        return True
    invoice = lowered.removeprefix("lightning:")
    return text == item.get("label") or invoice == str(item.get("bolt11", "")).lower()


def _begins(item: dict[str, Any], text: str) -> bool:
    names = ("txid", "channel_id", "payment_hash")
    return any(str(item.get(name, "")).startswith(text) for name in names)
