"""What a transaction of ours can cost at most: as if it spent every coin that it may."""

from typing import Final

from wallet.base.values.amounts import FEERATE_FLOOR
from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import MSAT_PER_SAT
from wallet.faces.cli.verbs.desk import Desk

_FRAME_WEIGHT: Final = 50 + 2 * 4 * 43
"""Version, counts of any size, locktime, witness marker, two outputs of the largest usual kind."""
_INPUT_WEIGHT: Final = 272
"""Of a P2WPKH coin with the longest signature; a P2TR coin is lighter."""


class Coins:
    """Coins of some statuses that nothing else holds, and a fee rate that is asked for as shown."""

    def __init__(self, desk: Desk, feerate: str | None, *statuses: str) -> None:
        per_kw = None if feerate is None else _per_kw(feerate)
        coins = [
            o
            for o in desk.ask("listfunds")["outputs"]
            if o["status"] in statuses and not o.get("reserved")
        ]
        self.has_msat = sum(int(o["amount_msat"]) for o in coins)
        if per_kw is None:
            answer = desk.ask("feerates", style="perkw")["perkw"]
            per_kw = int(answer.get("opening") or answer["floor"])
        self.feerate = f"{per_kw}perkw"
        weight = _FRAME_WEIGHT + _INPUT_WEIGHT * len(coins)
        self.fee_msat = MSAT_PER_SAT * -(-per_kw * weight // 1000)


def _per_kw(text: str) -> int:
    digits = text.removesuffix("perkw").removesuffix("perkb")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 9):
        raise UsageError("--feerate should be a number with perkw or perkb, as 1000perkw")
    # A bare number is per kilobyte, as the daemon reads it.
    per_kw = int(digits) if text.endswith("perkw") else -(-int(digits) // 4)
    return max(per_kw, FEERATE_FLOOR.per_kw)
