"""What a transaction of ours can cost at most: as if it spent every coin that it may."""

import re
from collections.abc import Collection
from typing import Final

from wallet.base.values.amounts import FEERATE_FLOOR
from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import MSAT_PER_SAT
from wallet.faces.cli.verbs.desk import Desk

_FRAME_WEIGHT: Final = 50 + 2 * 4 * 43
"""Version, counts of any size, locktime, witness marker, two outputs of the largest usual kind."""
_NUMBER: Final = re.compile(r"([0-9]{1,8})(perkw|perkb)?", re.ASCII)
_INPUT_WEIGHT: Final = 272
"""Of a P2WPKH coin with the longest signature; a P2TR coin is lighter."""


class Coins:
    """Coins of some statuses that nothing else holds, and the fee rate that they would pay.

    `only` are the coins that were named, as `txid:output`; none: any.
    """

    def __init__(
        self, desk: Desk, feerate: str | None, *statuses: str, only: Collection[str] = ()
    ) -> None:
        named = _NUMBER.fullmatch(feerate or "")
        coins = [
            o
            for o in desk.ask("listfunds")["outputs"]
            if o["status"] in statuses
            and not o.get("reserved")
            and (not only or f"{o['txid']}:{o['output']}" in only)
        ]
        confirmed = "unconfirmed" not in statuses
        self.where = "on chain and confirmed" if confirmed else "on chain"
        self.has_msat = sum(int(o["amount_msat"]) for o in coins)
        per_kw = _per_kw(named) if named else _looked_up(desk, at_most=feerate is not None)
        self.feerate = f"{per_kw}perkw"
        weight = _FRAME_WEIGHT + _INPUT_WEIGHT * len(coins)
        self.fee_msat = MSAT_PER_SAT * -(-per_kw * weight // 1000)


def read_feerate(text: str) -> str:
    """A fee rate that was given by its number. Raises `UsageError`."""
    if not _NUMBER.fullmatch(text):
        raise UsageError("--feerate should be a number with perkw or perkb, as 1000perkw")
    return text


def _per_kw(named: re.Match[str]) -> int:
    # A bare number is per kilobyte, as the daemon reads it.
    per_kw = int(named[1]) if named[2] == "perkw" else -(-int(named[1]) // 4)
    return max(per_kw, FEERATE_FLOOR.per_kw)


def _looked_up(desk: Desk, *, at_most: bool) -> int:
    """The rate that the daemon would take by itself, or the highest that any of its words means."""
    answer = desk.ask("feerates", style="perkw")["perkw"]
    usual = int(answer.get("opening") or answer["floor"])
    words = [int(e["feerate"]) for e in answer.get("estimates", ())] if at_most else []
    return max([usual, *words])
