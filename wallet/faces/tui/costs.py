"""What a transaction of ours will cost, estimated here: the node chooses the coins when it acts.

Satoshi and satoshi per 1,000 weight units (`per_kw`) throughout.  Weights are Core Lightning's and
ours: rounded up, so that a person sees rather too much than too little.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wallet.base.values.amounts import FEERATE_FLOOR
from wallet.faces.rpc.client import RpcError
from wallet.faces.tui.link import Link

EMERGENCY_SAT: Final = 25_000
"""What stays on chain for each channel that may be closed by force (`min-emergency-msat`)."""
LEAST_RESERVE_SAT: Final = 1_000
"""Of a channel; usually it is one part in a hundred (BOLT 2)."""

_FRAME: Final = (4 + 1 + 1 + 4 + 43 + 43) * 4 + 2
"""A transaction with one output to somebody and one back to us, without its inputs."""
_P2TR_INPUT, _INPUT = 230, 272
_COMMITMENT: Final = 1124
_HTLC_OUTPUT: Final = 172
ANCHORS_SAT: Final = 660
_SWEEP: Final = 42 + 43 * 4 + 320
"""Our output of a commitment, brought home."""
_SIMPLE_CLOSE: Final = 60
"""BOLT 9: the even bit of option_simple_close."""
_NAMES: Final = {2: "next block", 6: "hour", 100: "day"}
"""By blocks, of the estimates that Core Lightning gives."""


@dataclass(frozen=True, slots=True)
class Speed:
    """A fee rate by how soon a block should take it."""

    name: str
    per_kw: int

    @property
    def words(self) -> str:
        """`hour 2`."""
        return f"{self.name} {per_vbyte(self.per_kw)}"


@dataclass(frozen=True, slots=True)
class Coins:
    """What may be spent: amount and weight of each coin, the largest first."""

    coins: tuple[tuple[int, int], ...] = ()

    @property
    def total(self) -> int:
        """All of it."""
        return sum(amount for amount, _ in self.coins)

    def fee(self, wanted: int, per_kw: int) -> int:
        """About what sending so much costs: as few coins as will do."""
        taken, weight = 0, _FRAME
        for amount, of_input in self.coins:
            taken, weight = taken + amount, weight + of_input
            if taken >= wanted + fee_of(weight, per_kw):
                break
        return fee_of(weight, per_kw)

    def most(self, per_kw: int) -> int:
        """The most it can cost, and what sending everything costs: every coin is spent."""
        return fee_of(_FRAME + sum(of_input for _, of_input in self.coins), per_kw)


@dataclass(frozen=True, slots=True)
class Prices:
    """What the node says of fees now."""

    speeds: tuple[Speed, ...] = ()
    now_kw: int = FEERATE_FLOOR.per_kw
    """What commitments pay."""
    mutual: int = 0
    """A close together."""

    @property
    def force(self) -> int:
        """About what bringing money home by force takes: the commitment, its anchors, the sweep."""
        return fee_of(_COMMITMENT + _SWEEP, self.now_kw) + ANCHORS_SAT

    @property
    def spike_buffer(self) -> int:
        """What an opener cannot send: twice the fee of a commitment with two payments (BOLT 2)."""
        return ANCHORS_SAT + fee_of(_COMMITMENT + 2 * _HTLC_OUTPUT, 2 * self.now_kw, up=False)

    @property
    def sweep(self) -> int:
        """Our output of a commitment, brought home."""
        return fee_of(_SWEEP, self.now_kw)


def fee_of(weight: int, per_kw: int, *, up: bool = True) -> int:
    """Rounded up, or as commitments do it, down (BOLT 3)."""
    return -(-weight * per_kw // 1000) if up else weight * per_kw // 1000


def per_vbyte(per_kw: int) -> str:
    """As people speak of it: satoshi per virtual byte."""
    return f"{per_kw / 250:.1f}".removesuffix(".0")


def read_per_vbyte(text: str) -> int | None:
    """What a person typed, as `per_kw`; None when it is no fee rate."""
    whole, point, fraction = text.strip().partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(whole) > 4 or len(fraction) > 3:
        return None
    if point and not fraction:
        return None
    per_kvb = int(whole or "0") * 1000 + int(fraction.ljust(3, "0"))
    return max(-(-per_kvb // 4), FEERATE_FLOOR.per_kw) if per_kvb else None


def coins(answer: Mapping[str, Any], *statuses: str) -> Coins:
    """`listfunds`: the coins of these statuses that nothing else holds."""
    outputs = answer.get("outputs")
    found = [
        (_number(one.get("amount_msat")) // 1000, _input_weight(one))
        for one in (outputs if isinstance(outputs, list) else [])
        if one.get("status") in statuses and not one.get("reserved")
    ]
    return Coins(tuple(sorted(found, reverse=True)))


def _input_weight(output: Mapping[str, Any]) -> int:
    # Version 1 and 32 bytes: taproot, whose signature is shorter.
    return _P2TR_INPUT if str(output.get("scriptpubkey", "")).startswith("5120") else _INPUT


def prices(answer: Mapping[str, Any]) -> Prices:
    """`feerates` in the style `perkw`."""
    rates, costs = answer.get("perkw"), answer.get("onchain_fee_estimates")
    if not isinstance(rates, Mapping):
        return Prices()
    estimates = rates.get("estimates")
    speeds = tuple(
        Speed(_NAMES[one["blockcount"]], _number(one.get("feerate")))
        for one in (estimates if isinstance(estimates, list) else [])
        if one.get("blockcount") in _NAMES
    )
    now = max(_number(rates.get("opening")) or _number(rates.get("floor")), FEERATE_FLOOR.per_kw)
    of_mutual = costs.get("mutual_close_satoshis") if isinstance(costs, Mapping) else 0
    return Prices(speeds, now, _number(of_mutual))


async def ask_prices(link: Link) -> Prices:
    """As the node sees them now; plain ones when it cannot say. Raises `ConnectionLost`."""
    try:
        return prices(await link.ask("feerates", style="perkw"))
    except RpcError:
        return Prices()


async def each_pays(link: Link, peer_id: str) -> bool:
    """Whether both offer option_simple_close: each pays for a closing transaction of its own.

    A peer that is away offers nothing now.  Raises `ConnectionLost`.
    """
    try:
        own = (await link.ask("getinfo")).get("our_features")
        peers = (await link.ask("listpeers", id=peer_id)).get("peers")
    except RpcError:
        return False
    ours = own.get("init") if isinstance(own, Mapping) else None
    theirs = peers[0].get("features") if isinstance(peers, list) and peers else None
    return _offers_simple_close(ours) and _offers_simple_close(theirs)


def _offers_simple_close(features: object) -> bool:
    try:
        return bool(int(str(features), 16) >> _SIMPLE_CLOSE & 3)
    except ValueError:
        return False


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
