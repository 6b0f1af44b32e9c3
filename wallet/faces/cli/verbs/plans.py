"""The three ways to send: what each would do, what it costs at most, and doing it.

A plan is made by looking only.  `pay` is the one call that moves money, and what it asks for is
what was shown: the amount and the fee limit go to the daemon as they stand on the review.
"""

from collections.abc import Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import percent, read_fee, read_positive, sat, whole_sat
from wallet.faces.cli.verbs.balance import balance
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.limits import Ceilings, default_fee
from wallet.faces.cli.verbs.paper import short, when
from wallet.faces.cli.verbs.target import Target
from wallet.faces.cli.verbs.under_way import sent, settled
from wallet.faces.rpc.errors import Code

Facts = list[tuple[str, object]]
_WORTH_A_WARNING_MSAT: Final = 1_000_000
"""1,000 sat: a fee below that is never called high."""


class Payment:
    """Common to an invoice and a node: money that goes by Lightning."""

    method = ""

    def __init__(self, desk: Desk, payee: str, amount_msat: int, ceilings: Ceilings) -> None:
        self.desk = desk
        self.payee = payee
        self.amount_msat = amount_msat
        most = desk.flags.get("--max-fee")
        self.fee_msat = (
            default_fee(amount_msat, ceilings) if most is None else read_fee(most, amount_msat)
        )
        self.label = desk.flags.get("--idempotency-key") or desk.flags.get("--label")
        funds = balance((), desk.ask("listpeerchannels")["channels"])
        self.can_send_msat = int(funds["can_send_msat"])

    def asked(self) -> dict[str, Any]:
        """What the money goes to, in the daemon's words."""
        raise NotImplementedError

    def is_this(self, payment: Mapping[str, Any]) -> bool:
        """Whether a payment of `listpays` may be this one."""
        raise NotImplementedError

    def pay(self) -> dict[str, Any]:
        """Send it and wait for the outcome; with `--no-wait` only until it is on its way."""
        retry = self.desk.flags.get("--retry-for")
        params = {
            **self.asked(),
            "maxfee": self.fee_msat,
            "label": self.label,
            "retry_for": None if retry is None else _seconds(retry),
        }
        follow = sent if "--no-wait" in self.desk.flags else settled
        return result_of(follow(self.desk, self.method, params, self.is_this))

    def facts(self) -> Facts:
        """What a person should know before the yes."""
        left_msat = self.can_send_msat - self.amount_msat - self.fee_msat
        share = percent(self.fee_msat, self.amount_msat)
        return [
            ("to", f"{self.desk.alias(self.payee)} {short(self.payee)}".strip()),
            ("amount", f"{sat(self.amount_msat)} sat"),
            ("fee", f"at most {sat(self.fee_msat)} sat ({share})"),
            ("leaves", f"at least {whole_sat(max(left_msat, 0))} sat to send"),
            *self.warnings(),
        ]

    def warnings(self) -> Facts:
        """What is unusual."""
        found: Facts = []
        if self.amount_msat > self.can_send_msat:
            can = whole_sat(self.can_send_msat)
            found.append(("!", f"more than the {can} sat that can be sent now"))
        elif self.amount_msat * 4 > self.can_send_msat:
            share = percent(self.amount_msat, self.can_send_msat)
            found.append(("!", f"this is {share} of all that can be sent"))
        if self.fee_msat > _WORTH_A_WARNING_MSAT and self.fee_msat * 100 > self.amount_msat:
            found.append(("!", "the fee may be more than 1 %"))
        return found

    def preview(self) -> dict[str, Any]:
        """For a dry run: the same facts, and the way it would take if one is on the map."""
        found: dict[str, Any] = {
            "type": "payment",
            "destination": self.payee,
            "amount_msat": self.amount_msat,
            "max_fee_msat": self.fee_msat,
            "can_send_msat": self.can_send_msat,
        }
        routes = self.desk.ask_if_known(
            "getroutes",
            source=self.desk.ask("getinfo")["id"],
            destination=self.payee,
            amount_msat=self.amount_msat,
            layers=["auto.localchans", "auto.sourcefree"],
            maxfee_msat=self.fee_msat,
            final_cltv=18,
        )
        if routes and routes.get("routes"):
            found["routes"] = routes["routes"]
            found["probability_ppm"] = routes["probability_ppm"]
            firsts = (r["path"][0] for r in routes["routes"] if r.get("path"))
            gone = sum(first.get("amount_in_msat", first.get("amount_msat")) for first in firsts)
            found["fee_msat"] = gone - self.amount_msat
        return found


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise UsageError("--retry-for should be a number of seconds")
    return int(text)


def result_of(done: Mapping[str, Any]) -> dict[str, Any]:
    """A payment of `pay`, `keysend` or `listpays` as `send` answers it."""
    preimage = done.get("payment_preimage") or done.get("preimage")
    amount_msat, sent_msat = done.get("amount_msat"), done.get("amount_sent_msat")
    found: dict[str, Any] = {"type": "payment", "status": done.get("status", "complete")}
    if amount_msat is not None and sent_msat is not None:
        found |= {"amount_msat": amount_msat, "fee_msat": sent_msat - amount_msat}
    found |= {
        name: done[name]
        for name in ("amount_sent_msat", "destination", "payment_hash", "parts", "label")
        if name in done
    }
    return {**found, "payment_preimage": preimage} if preimage else found


class ToInvoice(Payment):
    """Pay a BOLT 11 invoice."""

    method = "pay"

    def __init__(self, desk: Desk, target: Target, ceilings: Ceilings) -> None:
        self.bolt11 = target.text
        self.decoded = desk.ask("decode", string=target.text)
        if not self.decoded.get("valid") or self.decoded.get("type") != "bolt11 invoice":
            raise Halt("this is no invoice that can be paid", Code.INVALID_PARAMS)
        self.payment_hash = str(self.decoded["payment_hash"])
        desk.look = f"leyden show {self.payment_hash}"
        self.asks_msat: int | None = self.decoded.get("amount_msat")
        amount_msat = self._amount(desk, target)
        super().__init__(desk, str(self.decoded["payee"]), amount_msat, ceilings)

    def _amount(self, desk: Desk, target: Target) -> int:
        """The invoice's, or one that was given; never two that differ."""
        given = [read_positive(word) for word in desk.words[1:]]
        given += [m for m in (target.amount_msat, self.asks_msat) if m is not None]
        if not given:
            raise UsageError("the invoice leaves the amount to you: send WHAT AMOUNT")
        if len(set(given)) > 1:
            asked = "the invoice" if self.asks_msat is not None else "the link"
            raise UsageError(f"{asked} asks for {sat(given[-1])} sat, not {sat(given[0])} sat")
        return given[0]

    def asked(self) -> dict[str, Any]:
        amount_msat = self.amount_msat if self.asks_msat is None else None
        return {"bolt11": self.bolt11, "amount_msat": amount_msat}

    def is_this(self, payment: Mapping[str, Any]) -> bool:
        return bool(payment.get("payment_hash") == self.payment_hash)

    def facts(self) -> Facts:
        ends = self.decoded.get("created_at", 0) + self.decoded.get("expiry", 0)
        found = super().facts()
        found.insert(1, ("for", self.decoded.get("description")))
        found.insert(4, ("expires", when(ends)))
        return found

    def preview(self) -> dict[str, Any]:
        found = super().preview()
        return {**found, "payment_hash": self.payment_hash,
                "description": self.decoded.get("description", "")}  # fmt: skip


class ToNode(Payment):
    """Pay a node that did not ask for it (keysend)."""

    method = "keysend"

    def __init__(self, desk: Desk, target: Target, ceilings: Ceilings) -> None:
        if len(desk.words) != 2:
            raise UsageError("a node names no amount: send NODE AMOUNT")
        super().__init__(desk, target.text, read_positive(desk.words[1]), ceilings)
        desk.look = "leyden history --kind payment"

    def asked(self) -> dict[str, Any]:
        return {"destination": self.payee, "amount_msat": self.amount_msat}

    def is_this(self, payment: Mapping[str, Any]) -> bool:
        paid = (payment.get("destination"), payment.get("amount_msat"))
        return paid == (self.payee, self.amount_msat)

    def warnings(self) -> Facts:
        return [("!", "nobody asked for this payment: there is no invoice"), *super().warnings()]
