"""`leyden decode WHAT`: what a string asks for. Pays nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.amount import sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import word
from wallet.faces.cli.verbs.paper import facts, when
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden decode WHAT

Explains an invoice and pays nothing. The parameters and the JSON are those of the daemon's
decode; - reads standard input."""


def run(desk: Desk) -> int:
    """Carry it out."""
    found = desk.ask_as_method()
    return desk.show(found, lambda: lines(found))


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """As a person reads it."""
    amount = found.get("amount_msat")
    made, lasts = found.get("created_at"), found.get("expiry")
    return facts(
        (
            ("what", found.get("type")),
            ("for", found.get("description")),
            ("amount", "the payer chooses" if amount is None else f"{sat(amount)} sat"),
            ("payee", found.get("payee")),
            ("made", None if made is None else when(made)),
            ("expires", None if made is None or lasts is None else when(made + lasts)),
            ("hash", found.get("payment_hash")),
            ("network", found.get("currency")),
            ("hints", len(found.get("routes", ())) or None),
            ("valid", word("yes" if found.get("valid") else "no: do not pay this")),
        )
    )
