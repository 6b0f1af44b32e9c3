"""`send` to an address: a transaction, whose fee is bounded by all coins that it could spend."""

from typing import Any, Final

from wallet.base.values.amounts import MSAT_PER_SAT
from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import percent, read_whole_sat, sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.plans import Facts
from wallet.faces.cli.verbs.target import Target

_FRAME_WEIGHT: Final = 42 + 2 * 4 * 43
"""Version, counts, locktime, witness marker, and two outputs of the largest usual kind."""
_INPUT_WEIGHT: Final = 272
"""Of a P2WPKH coin with the longest signature; a P2TR coin is lighter."""


class ToAddress:
    """Send coins to an address on chain."""

    method = "withdraw"

    def __init__(self, desk: Desk, target: Target) -> None:
        for flag in ("--max-fee", "--label", "--idempotency-key", "--retry-for"):
            if flag in desk.flags:
                raise UsageError(f"{flag} is for Lightning; an address takes --feerate")
        self.desk = desk
        self.address = target.text
        self.said = target.said
        words = list(desk.words[1:])
        if target.amount_msat is not None:
            words.append(f"{target.amount_msat}msat")
        if not words:
            raise UsageError("an address names no amount: send ADDRESS AMOUNT (or all)")
        self.everything = words == ["all"]
        amounts = [] if self.everything else [read_whole_sat(word) for word in words]
        if len(set(amounts)) > 1:
            raise UsageError(f"the link asks for {amounts[1]:,} sat, not {amounts[0]:,} sat")
        coins = [
            o
            for o in desk.ask("listfunds")["outputs"]
            if o["status"] == "confirmed" and not o.get("reserved")
        ]
        self.has_msat = sum(int(o["amount_msat"]) for o in coins)
        self.feerate = desk.flags.get("--feerate") or f"{_rate_per_kw(desk)}perkw"
        self.fee_msat = MSAT_PER_SAT * -(-_per_kw(self.feerate) * self._weight(len(coins)) // 1000)
        self.amount_msat = self.has_msat if self.everything else amounts[0] * MSAT_PER_SAT
        desk.look = "leyden history --kind withdrawal"

    @staticmethod
    def _weight(coins: int) -> int:
        return _FRAME_WEIGHT + _INPUT_WEIGHT * coins

    def facts(self) -> Facts:
        """What a person should know before the yes."""
        share = percent(self.fee_msat, self.amount_msat)
        found: Facts = [
            ("to", self.address),
            ("for", self.said),
            ("amount", "all" if self.everything else f"{sat(self.amount_msat)} sat"),
            ("fee", f"at most {sat(self.fee_msat)} sat ({share}) at {self.feerate}"),
            ("from", f"{sat(self.has_msat)} sat on chain"),
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

    def pay(self) -> dict[str, Any]:
        """Send it: the answer is that the chain has been offered the transaction."""
        done = self.desk.ask(
            self.method,
            destination=self.address,
            satoshi="all" if self.everything else self.amount_msat // MSAT_PER_SAT,
            feerate=self.feerate,
        )
        found = {"type": "withdrawal", "status": "pending", "txid": done["txid"]}
        known = {} if self.everything else {"amount_msat": self.amount_msat}
        return {**found, **known, "destination": self.address}


def _rate_per_kw(desk: Desk) -> int:
    """What an opening would pay now; the same rate is then asked for."""
    answer = desk.ask("feerates", style="perkw")["perkw"]
    return int(answer.get("opening") or answer["floor"])


def _per_kw(text: str) -> int:
    digits = text.removesuffix("perkw").removesuffix("perkb")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 9):
        raise UsageError("--feerate should be a number with perkw or perkb, as 1000perkw")
    # A bare number is per kilobyte, as the daemon reads it.
    return int(digits) if text.endswith("perkw") else -(-int(digits) // 4)
