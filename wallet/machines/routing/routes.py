"""What a search is asked and what it answers. Raw numbers, with the unit in the name (DESIGN 5)."""

from dataclasses import dataclass
from typing import Final

from wallet.base.invoices.tagged import HintHop
from wallet.base.values.ids import NodeId, ShortChannelId

MAX_HOPS: Final = 20
"""Of an onion of 1,300 bytes, with room for each hop's payload (BOLT 4)."""

Excluded = frozenset[tuple[int, int] | NodeId]
"""Directions, as (short channel id, direction), and nodes."""


@dataclass(frozen=True, slots=True)
class RouteHop:
    """One channel of a route."""

    scid: ShortChannelId
    direction: int
    node_id: NodeId
    """The node at its end."""
    amount_msat: int
    """What that node receives over it."""
    delay: int
    """Blocks above the current height at which the HTLC that arrives there expires."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way from the source to the destination: at least one hop."""

    hops: tuple[RouteHop, ...]

    @property
    def amount_sent_msat(self) -> int:
        """What the source sends."""
        return self.hops[0].amount_msat

    @property
    def fee_msat(self) -> int:
        """What the nodes on the way keep."""
        return self.hops[0].amount_msat - self.hops[-1].amount_msat

    @property
    def delay(self) -> int:
        """Blocks for which the source's money can be locked up."""
        return self.hops[0].delay


@dataclass(frozen=True, slots=True)
class LocalChannel:
    """A channel of ours that can be the first hop; `scid` is the name that we use for it."""

    scid: ShortChannelId
    peer: NodeId
    spendable_msat: int
    htlc_minimum_msat: int
    htlc_maximum_msat: int

    def carries(self, amount_msat: int) -> bool:
        """Whether an HTLC of this amount can be offered on it."""
        most_msat = min(self.spendable_msat, self.htlc_maximum_msat)
        return self.htlc_minimum_msat <= amount_msat <= most_msat


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """What to look for. Amounts in msat, delays in blocks, `now` in seconds.

    `final_delay` is what the HTLC has at the payee; `max_delay` and `max_fee_msat` are for the
    whole way.  `riskfactor` is Core Lightning's: what a year of locked money costs, in percent.
    """

    source: NodeId
    destination: NodeId
    amount_msat: int
    final_delay: int
    max_fee_msat: int
    max_delay: int
    local: tuple[LocalChannel, ...]
    max_hops: int = MAX_HOPS
    hints: tuple[tuple[HintHop, ...], ...] = ()
    excluded: Excluded = frozenset()
    riskfactor: float = 10
    now: int = 0
