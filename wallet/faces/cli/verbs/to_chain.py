"""Coins to an address: a transaction, whose fee is bounded by all coins that it could spend."""

from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import MSAT_PER_SAT, percent, read_whole_sat, sat
from wallet.faces.cli.verbs.coins import Coins, read_feerate
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.plans import Facts
from wallet.faces.cli.verbs.target import Target

_EVERYTHING: Final = "all, but for the 25,000 sat that stay while a channel is open"
"""What the node keeps to pay for the end of its channels."""


class ToChain:
    """So much of these coins to an address; `asked_sat` None is all of them."""

    def __init__(
        self, desk: Desk, address: str, asked_sat: int | None, coins: Coins, said: str = ""
    ) -> None:
        self.desk = desk
        self.address = address
        self.said = said
        """What a link calls the payee or the purchase. A stranger's words."""
        self.where = coins.where
        self.everything = asked_sat is None
        self.feerate, self.fee_msat, self.has_msat = coins.feerate, coins.fee_msat, coins.has_msat
        self.amount_msat = self.has_msat if asked_sat is None else asked_sat * MSAT_PER_SAT
        desk.look = "leyden history --kind withdrawal"

    def facts(self) -> Facts:
        """What a person should know before the yes."""
        share = percent(self.fee_msat, self.amount_msat)
        found: Facts = [
            ("to", self.address),
            ("for", self.said),
            ("amount", _EVERYTHING if self.everything else f"{sat(self.amount_msat)} sat"),
            ("fee", f"at most {sat(self.fee_msat)} sat ({share}) at {self.feerate}"),
            ("from", f"{sat(self.has_msat)} sat {self.where}"),
            ("!", "a transaction cannot be taken back: compare the whole address"),
        ]
        if self.amount_msat > self.has_msat:
            found.append(("!", "more than there is"))
        elif self.fee_msat * 2 > self.amount_msat:
            found.append(("!", "the fee may be more than half the amount"))
        return found

    def preview(self) -> dict[str, Any]:
        """For a dry run."""
        return {
            "type": "withdrawal",
            "destination": self.address,
            "amount_msat": None if self.everything else self.amount_msat,
            "max_fee_msat": self.fee_msat,
            "feerate": self.feerate,
            "onchain_msat": self.has_msat,
        }


class ToAddress(ToChain):
    """What `send` does with an address on chain."""

    method = "withdraw"

    def __init__(self, desk: Desk, target: Target) -> None:
        for flag in ("--max-fee", "--label", "--idempotency-key", "--retry-for", "--no-wait"):
            if flag in desk.flags:
                raise UsageError(f"{flag} is for Lightning; an address takes --feerate")
        words = list(desk.words[1:])
        if target.amount_msat is not None:
            words.append(f"{target.amount_msat}msat")
        if not words:
            raise UsageError("an address names no amount: send ADDRESS AMOUNT (or all)")
        amounts = [] if words == ["all"] else [read_whole_sat(word) for word in words]
        if len(set(amounts)) > 1:
            raise UsageError(f"the link asks for {amounts[1]:,} sat, not {amounts[0]:,} sat")
        rate = desk.flags.get("--feerate")
        coins = Coins(desk, rate and read_feerate(rate), "confirmed")
        super().__init__(desk, target.text, amounts[0] if amounts else None, coins, target.said)

    def pay(self) -> dict[str, Any]:
        """Send it: the answer is that the chain has been offered the transaction."""
        said = "offering the transaction to the chain; Ctrl-C detaches, it does not cancel"
        self.desk.progress("offering", said)
        done = self.desk.ask(
            self.method,
            destination=self.address,
            satoshi="all" if self.everything else self.amount_msat // MSAT_PER_SAT,
            feerate=self.feerate,
        )
        found = {"type": "withdrawal", "status": "pending", "txid": done["txid"]}
        known = {} if self.everything else {"amount_msat": self.amount_msat}
        return {**found, **known, "destination": self.address}
