"""`leyden receive [AMOUNT]`: an invoice, and waiting for it."""

import os
from collections.abc import Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import read_positive, sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.paper import facts, when
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {
    "--description": True,
    "--label": True,
    "--expiry": True,
    "--wait": False,
    "--qr": False,
}
USAGE: Final = """\
leyden receive [AMOUNT] [--description TEXT] [--label NAME] [--expiry SECONDS] [--wait] [--qr]

Makes an invoice; without AMOUNT (satoshi; msat, sat, btc may follow) the payer chooses.

  --qr     draw it for a phone (on a terminal)
  --wait   print it at once, then wait until it is paid: two JSON objects in a pipe. With
           --timeout SECONDS the wait ends with 5; the invoice stays good"""


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) > 1:
        raise UsageError("receive takes one AMOUNT, or none; --description says what it is for")
    amount_msat = read_positive(desk.words[0]) if desk.words else None
    # Labels are unique in a wallet, and nobody was asked for this one.
    label = desk.flags.get("--label") or f"leyden-{os.urandom(6).hex()}"
    made = desk.ask(
        "invoice",
        amount_msat="any" if amount_msat is None else amount_msat,
        label=label,
        description=desk.flags.get("--description", ""),
        expiry=desk.flags.get("--expiry"),
    )
    asked = {} if amount_msat is None else {"amount_msat": amount_msat}
    invoice = {"bolt11": made["bolt11"], "label": label, **asked, **made}
    code = desk.qr(invoice["bolt11"]) if "--qr" in desk.flags and desk.human else []
    shown = desk.show(invoice, lambda: [*code, *lines(invoice)])
    if "--wait" not in desk.flags:
        return shown
    said = "waiting for the payment; Ctrl-C ends the wait, the invoice stays good"
    desk.progress("waiting", said, label=label)
    paid = desk.ask("waitinvoice", label=label)
    return desk.show(paid, lambda: [f"received {sat(paid['amount_received_msat'])} sat"])


def lines(invoice: Mapping[str, Any]) -> list[str]:
    """As a person reads it: the invoice alone on its line, ready to be copied."""
    amount = invoice.get("amount_msat")
    warnings = [("!", text) for name, text in invoice.items() if name.startswith("warning_")]
    return [
        str(invoice["bolt11"]),
        *facts(
            (
                ("amount", "the payer chooses" if amount is None else f"{sat(amount)} sat"),
                ("expires", when(invoice["expires_at"])),
                ("label", invoice["label"]),
                *warnings,
            )
        ),
    ]
