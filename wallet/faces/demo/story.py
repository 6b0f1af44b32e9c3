"""What every story has: a town, somebody to tell it to, steps, and the money check at its end.

Each step does something real through the nodes' sockets, looks at the outcome, and raises when it
is not what it should be.  A story can be told in one town again and again, and leaves it as it was
but for some small change.
"""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from typing import Any, ClassVar, Final

from wallet.base.errors import WalletError
from wallet.faces.demo.audit import count_money
from wallet.faces.demo.looks import at_rest, expect, linked
from wallet.faces.demo.money import MoneyCheck
from wallet.faces.demo.town import Node, Town
from wallet.faces.demo.traffic import Traffic

Say = Callable[[str], None]
"""Tell a sentence."""
Step = tuple[str, str, Callable[[], None]]
"""Name, title, and what is done."""

READY: Final = ("ready", "everybody is there")
MONEY_CHECK: Final = ("money check", "whose is every coin?")


class Story(ABC):
    """One telling, in one town."""

    TITLE: ClassVar[str]
    """What it is about, for a list of stories."""

    def __init__(self, town: Town, say: Say, traffic: Traffic | None = None) -> None:
        self._town = town
        self._say = say
        self._traffic = traffic
        self._label = f"story {os.urandom(4).hex()}"
        self._payments = 0
        self._sent = 0
        self._first_height = 0
        self._mending = ExitStack()
        """What has to be undone, whatever happens."""
        self.money: MoneyCheck | None = None

    @property
    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """In order; each raises when something is not as it should be."""

    def mend(self) -> None:
        """Put right what a step that failed has left behind; harmless after one that held."""
        self._mending.close()

    @property
    def footprint(self) -> dict[str, int]:
        """What went over Lightning and what the chain had to bear for it."""
        count, vbytes, fees = self._town.chain.footprint_since(self._first_height)
        return {
            "payments": self._payments,
            "chain_transactions": count,
            "vbytes": vbytes,
            "fees_sat": fees,
        }

    @property
    def comparison(self) -> str:
        """The footprint in words."""
        found = self.footprint
        payments, transactions = found["payments"], found["chain_transactions"]
        paid = "1 payment" if payments == 1 else f"{payments} payments"
        return f"{paid} took {transactions or 'no'} transactions on the chain."

    def _node(self, name: str) -> Node:
        return self._town.nodes[name]

    # --- steps of many stories -----------------------------------------------------------------

    def _ready(self) -> None:
        """Everybody is there, and every open channel works."""
        nodes = self._town.nodes.values()
        for node in nodes:
            mending = "thaw" if node.frozen else "start"
            how = "frozen" if node.frozen else "down"
            expect(
                node.answers,
                f"{node.name} is {how}: `leyden demo fault {node.key} {mending}` mends that",
            )
        self._town.wait_until("every channel works", lambda: all(map(linked, nodes)))
        self._first_height = self._town.chain.height

    def _ready_and_quiet(self) -> None:
        """As `_ready`, and traffic rests until the story's end: it would move what is looked at."""
        self._ready()
        if self._traffic is not None:
            self._mending.enter_context(self._traffic.paused())
            self._say("Traffic rests meanwhile.")

    def _bring_back(self, node: Node) -> None:
        """For mending: it runs and answers."""
        # Somebody else may have done it, or stopped the town.
        with suppress(WalletError):
            node.thaw()
            if not node.running:
                self._town.start(node)

    def _check(self) -> None:
        nodes = self._town.nodes.values()
        with nullcontext() if self._traffic is None else self._traffic.paused():
            self._town.wait_until("every channel is at rest", lambda: all(map(at_rest, nodes)))
            self.money = count_money(self._town)
        for owner, sat in self.money.owners.items():
            self._say(f"{sat:>17,} sat  {owner}")
        self._say(f"{self.money.found_sat:>17,} sat  found in {self.money.coins} coins")
        self._say(f"{self.money.mined_sat:>17,} sat  mined")
        expect(self.money.ok, "; ".join(self.money.faults) or "found and mined differ")

    # --- payments ------------------------------------------------------------------------------

    def _strangers(self, one: str, other: str) -> None:
        """Whoever has a channel with the payee needs nobody in between."""
        payer, payee = self._node(one), self._node(other)
        usable = [
            channel["short_channel_id"]
            for channel in payer.call("listpeerchannels", id=payee.id)["channels"]
            if channel["state"] == "CHANNELD_NORMAL"
        ]
        expect(
            not usable,
            f"{payer.name} has a channel with {payee.name}, so nobody would forward: close it with"
            f" `leyden --dir {payer.directory} close {' '.join(usable)}`, or begin with --fresh",
        )

    def _invoice(self, payee: Node, sat: int, what: str, **more: object) -> str:
        made = payee.call(
            "invoice",
            amount_msat=sat * 1000,
            label=f"{self._label} {what}",
            description=what,
            **more,
        )
        return str(made["bolt11"])

    def _settle(self, payer: str, payee: str, sat: int, what: str) -> dict[str, Any]:
        """An invoice, its payment, and a look at both ends; the payer's receipt."""
        one, other = self._node(payer), self._node(payee)
        answer, receipt = self._pay_invoice(one, other, self._invoice(other, sat, what), what)
        self._say(receipt)
        return answer

    def _pay_invoice(
        self, one: Node, other: Node, bolt11: str, what: str
    ) -> tuple[dict[str, Any], str]:
        """The payer's receipt, and the same in words."""
        begun = time.monotonic()
        answer: dict[str, Any] = one.call("pay", bolt11=bolt11)
        took_ms = (time.monotonic() - begun) * 1000
        self._look_at_ends(one, other, bolt11, answer)
        fee = answer["amount_sent_msat"] - answer["amount_msat"]
        return answer, (
            f"{one.name} pays {other.name} {answer['amount_msat'] // 1000:,} sat for “{what}” in"
            f" {took_ms:.0f} ms, for a fee of {fee:,} msat; the receipt is"
            f" {answer['payment_preimage'][:16]}…"
        )

    def _look_at_ends(self, one: Node, other: Node, bolt11: str, answer: dict[str, Any]) -> None:
        listed = other.call("listinvoices", invstring=bolt11)["invoices"][0]
        expect(answer["status"] == "complete", f"{one.name}'s payment is {answer['status']}")
        expect(listed["status"] == "paid", f"{other.name}'s invoice is {listed['status']}")
        proof = answer["payment_preimage"]
        expect(listed["payment_preimage"] == proof, "payer and payee hold different proofs")
        self._payments += 1

    def _send(self, one: Node, other: Node, route: list[dict[str, Any]]) -> None:
        """Along this route, whatever a wallet would choose."""
        self._sent += 1
        made = other.call(
            "invoice",
            amount_msat=route[-1]["amount_msat"],
            label=f"{self._label} by hand {self._sent}",
            description="by hand",
        )
        of = {"payment_hash": made["payment_hash"]}
        one.call("sendpay", route=route, payment_secret=made["payment_secret"], **of)
        answer = one.call("waitsendpay", **of)
        expect(answer["status"] == "complete", f"{one.name}'s payment is {answer['status']}")
        self._town.wait_until(
            "the payment has come to rest", lambda: at_rest(one) and at_rest(other)
        )
        self._payments += 1
