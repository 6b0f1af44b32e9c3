"""Payments that this app has begun: they live beside the sheets, so closing one stops nothing.

A payment whose answer is lost is *on its way* until the history says otherwise: "unknown" is never
failed, and never paid a second time.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.facts import Item
from wallet.faces.tui.link import Link
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.words import STILL_ON_ITS_WAY

RETRY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Order:
    """What the person agreed to, read from the invoice. Amounts in millisatoshi."""

    bolt11: str
    payment_hash: str
    payee: str
    description: str
    amount: int
    max_fee: int
    amount_in_invoice: bool
    expires_at: int


class Outcome(Enum):
    """Where the money is."""

    MOVING = auto()
    ARRIVED = auto()
    NOT_SENT = auto()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One payment, as far as it is known."""

    order: Order
    began: float
    """By the monotonic clock."""
    outcome: Outcome = Outcome.MOVING
    took: float = 0.0
    fee: int = 0
    parts: int = 0
    proof: str = ""
    code: int = 0
    reason: str = ""
    unsure: bool = False
    """The answer was lost, or did not come in time."""


@dataclass(slots=True)
class Payer:
    """Begins payments and keeps them by payment hash."""

    monotonic: Callable[[], float]
    changed: Callable[[Outgoing], None]
    """Called whenever one has ended, or is known less well than before."""
    payments: dict[str, Outgoing] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def moving(self) -> int:
        """How many are on their way."""
        return sum(o.outcome is Outcome.MOVING for o in self.payments.values())

    def begin(self, link: Link, order: Order) -> Outgoing:
        """Pay; one that is on its way already, or has arrived, is not paid again."""
        known = self.payments.get(order.payment_hash)
        if known is not None and known.outcome is not Outcome.NOT_SENT:
            return known
        begun = Outgoing(order, self.monotonic())
        self.payments[order.payment_hash] = begun
        task = asyncio.create_task(self._pay(link, begun))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return begun

    async def _pay(self, link: Link, begun: Outgoing) -> None:
        order = begun.order
        params: dict[str, Any] = {"invstring": order.bolt11, "maxfee": order.max_fee}
        if not order.amount_in_invoice:
            params["amount_msat"] = order.amount
        method = "pay" if link.can("pay") else "xpay"
        try:
            answer = await link.ask(method, **params, retry_for=RETRY_SECONDS)
        except ConnectionLost:
            self._keep(replace(begun, unsure=True))
        except RpcError as fault:
            if fault.code == STILL_ON_ITS_WAY or await _may_be_moving(link, order):
                self._keep(replace(begun, unsure=True, code=fault.code))
            else:
                ended = self._ended(begun, Outcome.NOT_SENT)
                self._keep(replace(ended, code=fault.code, reason=safe(str(fault))))
        else:
            sent = answer.get("amount_sent_msat", order.amount)
            self._keep(
                replace(
                    self._ended(begun, Outcome.ARRIVED),
                    fee=max(0, sent - answer.get("amount_msat", order.amount)),
                    parts=int(answer.get("parts") or answer.get("successful_parts") or 1),
                    proof=safe(answer.get("payment_preimage"), 64),
                )
            )

    def learn(self, history: Iterable[Item]) -> None:
        """What the history says of payments whose answer was lost."""
        for item in history:
            known = self.payments.get(item.payment_hash)
            if known is None or not known.unsure or item.kind != "payment":
                continue
            if item.status == "complete":
                arrived = self._ended(known, Outcome.ARRIVED)
                self._keep(replace(arrived, fee=item.fee or 0, unsure=False))
            elif item.status == "failed":
                ended = self._ended(known, Outcome.NOT_SENT)
                self._keep(replace(ended, reason=item.failure, unsure=False))

    def _ended(self, payment: Outgoing, outcome: Outcome) -> Outgoing:
        return replace(payment, outcome=outcome, took=self.monotonic() - payment.began)

    def _keep(self, payment: Outgoing) -> None:
        self.payments[payment.order.payment_hash] = payment
        self.changed(payment)


async def _may_be_moving(link: Link, order: Order) -> bool:
    """A refusal is believed once the core has no such payment under way."""
    if not link.can("listpays"):
        return False
    try:
        found = await link.ask("listpays", payment_hash=order.payment_hash)
    except (ConnectionLost, RpcError):
        return True
    return any(one.get("status") == "pending" for one in found.get("pays", []))
