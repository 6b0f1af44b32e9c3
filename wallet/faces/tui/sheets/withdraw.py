"""Withdraw: coins to an address, at a fee rate; then `w`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from textual.binding import Binding
from textual.widget import Widget

from wallet.faces.tui import costs
from wallet.faces.tui.costs import Coins, Prices, Speed
from wallet.faces.tui.errands import Words
from wallet.faces.tui.link import Link
from wallet.faces.tui.paint import QUIET, STRONG, Row, row
from wallet.faces.tui.safe_text import middle_cut, safe
from wallet.faces.tui.sheets import rates
from wallet.faces.tui.sheets.fields import ALL, Digits, Named
from wallet.faces.tui.sheets.review import Reviewed, Step, cost, line, lines, warning
from wallet.faces.tui.sheets.sheet import Field
from wallet.faces.tui.state import State
from wallet.faces.tui.units import Unit, figure, read_sat

LARGE_SHARE: Final = 4
"""More than one part in four of the coins is large."""
_ADDRESS: Final = re.compile(r"[0-9A-Za-z]{14,100}", re.ASCII)
_PREFIXES: Final = {"bitcoin": "bc1", "testnet4": "tb1", "signet": "tb1", "regtest": "bcrt1"}
_SCHEME: Final = "bitcoin:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was pasted: an address, and what the link says beside it."""

    address: str
    sat: int | None = None
    said: str = ""


def read_link(text: str) -> Asked | str:
    """An address or a `bitcoin:` link (BIP 21); else a sentence that says what is wrong."""
    if not text.lower().startswith(_SCHEME):
        return Asked(text) if _ADDRESS.fullmatch(text) else "That is no address."
    address, _, query = text[len(_SCHEME) :].partition("?")
    values: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = name.lower()
        if name in values:
            return f"{safe(name, 20)} stands twice in this link."
        # BIP 21: what is required and not understood makes the whole link invalid.
        if name.startswith("req-"):
            return f"This link requires {safe(name, 20)}, which is not known here."
        values[name] = unquote(value)
    if not _ADDRESS.fullmatch(address):
        return "This link has no address; an invoice is paid with s."
    sat = read_sat(values["amount"], Unit.BTC) if "amount" in values else None
    if "amount" in values and (sat is None or set(values["amount"]) - set("0123456789.")):
        return "The amount in this link is no figure."
    return Asked(address, sat, safe(values.get("message") or values.get("label"), 200))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the form says. Satoshi."""

    asked: Asked
    sat: int
    everything: bool
    speed: Speed
    fee: int
    most: int


class Withdraw(Reviewed):
    """The whole way of a withdrawal, up to its transaction."""

    NAME = "Withdraw"
    LETTER = "w"
    VERB = "withdraw"
    BINDINGS: ClassVar = [Binding("w", "act", show=False), Binding("a", "all", show=False)]

    def __init__(self, state: State, address: str = "") -> None:
        super().__init__(state)
        self._given = address
        self._coins = Coins()
        self._prices = Prices()
        self._plan: Plan | None = None

    # --- the form -------------------------------------------------------------------------------

    def fields(self) -> Iterator[Widget]:
        yield Named("To", Field(self._given, id="to", placeholder="an address, or bitcoin:…"))
        amount = f"in {self.state.money.unit}; a: all"
        yield Named("Amount", Digits(id="amount", placeholder=amount))
        yield from rates.rate_fields()

    async def learn(self, link: Link) -> None:
        self._coins = costs.coins(await link.ask("listfunds"), "confirmed")
        self._prices = await costs.ask_prices(link)
        if self.is_attached:
            rates.offer(self, self._prices)

    def on_choice_changed(self) -> None:
        rates.offer(self, self._prices)

    def action_all(self) -> None:
        if self.step is Step.FORM:
            self.query_one("#amount", Digits).value = ALL

    @property
    def _keep(self) -> int:
        return self.state.facts.kept() // 1000

    def check(self) -> str:
        asked = read_link("".join(self.query_one("#to", Field).value.split()))
        if isinstance(asked, str):
            return asked
        ours = _PREFIXES.get(self.state.facts.node.network, "")
        if any(asked.address.lower().startswith(p) for p in set(_PREFIXES.values()) - {ours}):
            return "This address is of another network."
        speed = rates.chosen(self, self._prices)
        if speed is None:
            return "The fee rate is no figure: satoshi per virtual byte, such as 2.5."
        return self._check_amount(asked, speed)

    def _check_amount(self, asked: Asked, speed: Speed) -> str:
        unit, coins = self.state.money.unit, self._coins
        field = self.query_one("#amount", Digits)
        if asked.sat is not None and not field.value.strip():
            field.value = figure(asked.sat, unit)
        typed = field.value.strip()
        most = coins.most(speed.per_kw)
        everything = typed == ALL
        sat = coins.total - most - self._keep if everything else read_sat(typed, unit)
        if not everything and not sat:
            return "The amount is no figure: whole satoshi, commas allowed; or a for all."
        if sat is None or sat <= 0 or sat > coins.total:
            return f"There is not so much: {self.sat(coins.total)} is confirmed on chain."
        if asked.sat is not None and asked.sat != sat:
            return f"The link asks for {self.sat(asked.sat)}."
        fee = most if everything else coins.fee(sat, speed.per_kw)
        self._plan = Plan(asked, sat, everything, speed, fee, most)
        return ""

    def form(self, cells: int) -> list[Row]:
        del cells
        keep = f"; {self.sat(self._keep)} has to stay" if self._keep else ""
        return [
            row((f"{self.sat(self._coins.total)} is confirmed on chain{keep}.", QUIET)),
            row(("Nothing is sent before you have seen and confirmed it.", QUIET)),
        ]

    # --- the review -----------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """What the form said; there is one as soon as there is a review."""
        if self._plan is None:
            raise ValueError("the form was not read")
        return self._plan

    def typed_amount(self) -> tuple[int, str]:
        plan = self._plan
        if plan is None:
            return 0, ""
        if plan.everything:
            return plan.sat * 1000, "You send everything"
        if plan.most * 2 > plan.sat:
            return plan.sat * 1000, "The fee may be over half the amount"
        if plan.sat * LARGE_SHARE > self._coins.total:
            return plan.sat * 1000, "A large part of your coins"
        return 0, ""

    def review(self, cells: int) -> list[Row]:
        plan = self.plan
        remains = self._coins.total - plan.sat - plan.fee
        about = "about " if plan.everything else ""
        parts = grouped(plan.asked.address)
        found = [
            *(row((f"{'' if number else 'To':11}", QUIET), (part, STRONG))
              for number, part in enumerate(parts)),
            *(lines("For", plan.asked.said, cells, 2) if plan.asked.said else []),
            line("Amount", f"{about}{self.sat(plan.sat)}", self.money.other(plan.sat * 1000)),
            *cost(self, plan.fee, plan.most, plan.speed),
            line("Total", f"about {self.sat(plan.sat + plan.fee)}",
                 f"{self.sat(max(0, remains))} remains confirmed"),
        ]  # fmt: skip
        if self._keep:
            found.append(line("Reserve", f"{self.sat(self._keep)} stays", "for closing channels"))
        if remains < self._keep:
            found.append(warning("That leaves less than has to stay: the node may refuse."))
        worst = "a transaction cannot be taken back: compare the whole address."
        return found + lines("At worst", worst, cells, 2)

    # --- doing it -------------------------------------------------------------------------------

    def words(self) -> Words:
        where = middle_cut(self.plan.asked.address, 17)
        amount = self.sat(self.plan.sat)
        return Words(
            doing=f"Sending {amount} to {where}",
            done=f"Sent {amount} to {where}",
            not_done="Not sent. Your coins are where they were.",
            look="2 Activity shows it, if it was sent.",
        )

    async def act(self, link: Link) -> Any:
        plan = self.plan
        return await link.ask(
            "withdraw",
            destination=plan.asked.address,
            satoshi=ALL if plan.everything else plan.sat,
            feerate=f"{plan.speed.per_kw}perkw",
        )

    def done(self, cells: int) -> list[Row]:
        return [
            *lines("Now", "it waits for its block; 2 Activity shows when it is there.", cells),
            line("Transaction", ""),
            row(self.copied()[0]),
        ]

    def copied(self) -> tuple[str, str]:
        answer = self.errand.answer if self.errand is not None else {}
        return safe(answer.get("txid"), 64), "the transaction id"


def grouped(address: str) -> list[str]:
    """An address as a person compares it: four characters at a time, eight groups on a line."""
    fours = [address[at : at + 4] for at in range(0, len(address), 4)]
    return [" ".join(fours[at : at + 8]) for at in range(0, len(fours), 8)]
