"""`leyden show ID`: a payment with each attempt and its reason; an invoice, a transaction."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.amount import sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.found import INVOICE, PAYMENT, find
from wallet.faces.cli.verbs.history import is_confirmed_close
from wallet.faces.cli.verbs.ink import GOOD, in_tone, word
from wallet.faces.cli.verbs.paper import facts, short, table, when
from wallet.faces.cli.verbs.words import Flags
from wallet.faces.rpc.client import RpcError

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden show ID

ID is a payment hash, a transaction id or a channel id, or four digits and more of its beginning;
or an invoice, or a label. A payment is shown with every attempt and why it failed."""

_MONEY: Final = {
    "complete": "arrived",
    "pending": "on its way: it may still arrive",
    "failed": "not sent: nothing was paid",
    "paid": "arrived",
    "unpaid": "not here yet",
    "expired": "never came: the invoice expired",
}
_MOST_REASONS: Final = 50
"""Each reason is a call; of a payment with more attempts than this the newest are explained."""


def run(desk: Desk) -> int:
    """Carry it out."""
    kind, item = find(desk, desk.one_word("an ID"))
    if kind == PAYMENT:
        payment = {
            "type": "payment",
            **item,
            **_failure(desk, item),
            "attempts": attempts(desk, item),
        }
        return desk.show(payment, lambda: payment_lines(payment, desk.width))
    found = {"type": "invoice" if kind == INVOICE else item["kind"], **item}
    return desk.show(found, lambda: other_lines(found))


def attempts(desk: Desk, payment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts that were sent, oldest first, with the reason of each that failed."""
    parts = desk.ask("listsendpays", payment_hash=payment["payment_hash"])["payments"]
    failed = [p for p in parts if p["status"] == "failed"][-_MOST_REASONS:]
    reasons = {p["id"]: _reason(desk, p) for p in failed}
    return [{**p, **reasons.get(p["id"], {})} for p in parts]


def _reason(desk: Desk, part: Mapping[str, Any]) -> dict[str, Any]:
    try:
        desk.ask(
            "waitsendpay",
            payment_hash=part["payment_hash"],
            partid=part.get("partid"),
            groupid=part.get("groupid"),
            timeout=1,
        )
    except RpcError as fault:
        data = fault.error.get("data")
        said = data if isinstance(data, dict) else {}
        names = ("erring_node", "erring_channel", "failcodename")
        return {"reason": str(fault), **{n: said[n] for n in names if n in said}}
    return {}


def _failure(desk: Desk, payment: Mapping[str, Any]) -> dict[str, Any]:
    """Why the whole payment failed, as the history knows it."""
    if payment["status"] != "failed":
        return {}
    wanted = {"kind": "payment", "text": payment["payment_hash"]}
    found = desk.ask_if_known("history", filter=wanted, limit=1) or {}
    said = next((i["failure"] for i in found.get("history", ()) if i.get("failure")), None)
    return {} if said is None else {"failure": said}


def payment_lines(payment: Mapping[str, Any], width: int) -> Iterable[str]:
    """As a person reads it: first where the money is."""
    amount, sent = payment.get("amount_msat"), payment.get("amount_sent_msat")
    complete = payment["status"] == "complete"
    fee = f"{sat(sent - amount)} sat" if complete and amount is not None and sent else None
    yield from facts(
        (
            ("money", word(_MONEY.get(payment["status"], payment["status"]))),
            ("why", payment.get("failure")),
            ("amount", None if amount is None else f"{sat(amount)} sat"),
            ("fee", fee),
            ("for", payment.get("description")),
            ("label", payment.get("label")),
            ("to", payment.get("destination")),
            ("began", when(payment.get("created_at"))),
            ("ended", when(payment["completed_at"]) if payment.get("completed_at") else None),
            ("hash", payment["payment_hash"]),
            ("proof", payment.get("preimage")),
        )
    )
    rows = [
        (
            n,
            sat(part.get("amount_sent_msat") or part.get("amount_msat") or 0),
            word(_MONEY.get(part["status"], part["status"]).partition(":")[0]),
            short(part.get("erring_node", "")),
            part.get("erring_channel", ""),
            part.get("reason", ""),
        )
        for n, part in enumerate(payment["attempts"], 1)
    ]
    lines = table(("part", "sent", "money", "said by", "of channel", "reason"), rows, width, "rr")
    if lines:
        yield ""
        yield from lines


def other_lines(found: Mapping[str, Any]) -> list[str]:
    """An invoice or a transaction as a person reads it."""
    amount = found.get("amount_received_msat", found.get("amount_msat"))
    skipped = {"type", "kind", "status", "amount_msat", "amount_received_msat", "direction"}
    rest = [(n, v) for n, v in found.items() if n not in skipped and not n.endswith("_index")]
    times = ("at", "paid_at", "expires_at", "completed_at", "created_at")
    return facts(
        (
            ("what", str(found["type"]).replace("_", " ")),
            ("money", _money(found)),
            ("amount", "the payer chooses" if amount is None else f"{sat(amount)} sat"),
            *((n.removesuffix("_msat").replace("_", " "), _value(n, v, times)) for n, v in rest),
        )
    )


def _money(found: Mapping[str, Any]) -> str:
    if "kind" in found and is_confirmed_close(found):
        return in_tone("confirmed", GOOD)
    return word(_MONEY.get(found["status"], found["status"]).partition(":")[0])


def _value(name: str, value: Any, times: tuple[str, ...]) -> object:
    if name in times:
        return when(value)
    return f"{sat(value)} sat" if name.endswith("_msat") else value
