"""The search itself: Dijkstra from the payee back to us, over plain numbers.

Backwards, because each node takes its fee of what it forwards: only from the payee's end is that
known.  `Field` is the map with what one question adds to it; `cheapest` finds the way of least
cost, `widest` the most that any way carries.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from wallet.base.invoices.tagged import HintHop
from wallet.base.values.ids import NodeId
from wallet.machines.routing.graph import MILLIONTH, Edge, Graph, edge_key
from wallet.machines.routing.knowledge import Avoided
from wallet.machines.routing.routes import LocalChannel

_CLOSED: Final = float("-inf")
_FAR: Final = float("inf")
_ANY_AMOUNT: Final = 1 << 63
_SPARE: Final = 10_000
"""Nodes that the map may learn of on another thread while a search goes on."""

Label = tuple[float, int, int, int, int, int, int]
"""How to go on from a node: cost (msat), the node's index, amount (msat) and delay (blocks) of what
arrives there, hops after it, key of the next edge (-1 at the payee), index of the next node."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What no way may exceed."""

    amount_msat: int
    delay: int
    hops: int


@dataclass(frozen=True, slots=True)
class Prices:
    """What a way costs beside its fees, all in msat: each block of delay, and each hop.

    `per_msat_block` is multiplied with the amount that is locked up.  A hop costs something, so
    that of two ways with equal fees the shorter one wins.
    """

    per_msat_block: float = 0
    per_block: float = 0
    per_hop: float = 1


@dataclass(slots=True)
class Field:
    """The map for one question: with our own channels, hints, and without what is excluded."""

    graph: Graph
    source: NodeId
    target: NodeId
    first_hops: dict[int, list[LocalChannel]] = field(default_factory=dict)
    closed_nodes: set[int] = field(default_factory=set)
    closed_edges: set[int] = field(default_factory=set)
    avoided: Avoided = field(default_factory=dict)
    avoided_nodes: set[int] = field(default_factory=set)
    _guests: list[NodeId] = field(default_factory=list)
    """Nodes that only this question knows. Their indexes are below 0: the map's own may grow."""
    _hinted: dict[int, list[Edge]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Of a list with a place for every index."""
        return len(self.graph.ids) + _SPARE + len(self._guests)

    def index(self, node_id: NodeId) -> int:
        """The node's index; an unknown one becomes a guest."""
        if node_id in self._guests:
            return -1 - self._guests.index(node_id)
        known = self.graph.index(node_id)
        if known is not None:
            return known
        self._guests.append(node_id)
        return -len(self._guests)

    def id(self, index: int) -> NodeId:
        """The node with this index."""
        return self.graph.ids[index] if index >= 0 else self._guests[-1 - index]

    def add_hint(self, hops: Iterable[HintHop]) -> None:
        """BOLT 11 `r`: a chain of channels nobody announced, the last one to the payee."""
        hops = tuple(hops)
        ends = [hop.node_id for hop in hops[1:]] + [self.target]
        for hop, end in zip(hops, ends, strict=True):
            base, delta = hop.fee_base.msat, hop.cltv_expiry_delta.blocks
            ppm = hop.fee_proportional_millionths
            key = edge_key(hop.short_channel_id.to_int(), direction(hop.node_id, end))
            terms = (0, _ANY_AMOUNT, base, ppm, delta, key, 0, _ANY_AMOUNT)
            edge = (self.index(hop.node_id), float(base), float(ppm), float(delta), terms)
            self._hinted.setdefault(self.index(end), []).append(edge)

    def incoming(self, index: int) -> list[Edge]:
        """The directions that arrive at a node."""
        own = self.graph.incoming[index] if index >= 0 else []
        hinted = self._hinted.get(index)
        edges = own if hinted is None else own + hinted
        if self.closed_edges:
            edges = [edge for edge in edges if edge[4][5] not in self.closed_edges]
        return edges

    def closed(self) -> set[int]:
        """Nodes that nothing may go through. We are one of them: a way never comes by twice."""
        return {self.index(self.source), *self.closed_nodes, *self.avoided_nodes}


def direction(start: NodeId, end: NodeId) -> int:
    """BOLT 7: 0 when the lesser node id is the one that sends."""
    return 0 if start < end else 1


def cheapest(
    ground: Field, amount_msat: int, final_delay: int, limits: Limits, prices: Prices
) -> list[Label] | None:
    """The way of least cost within the limits, as labels from our peer to the payee.

    None when there is none. With `limits` that bind, a way may be missed that costs more than
    another one to a node on it: try again with other `prices`.
    """
    avoided, first_hops = ground.avoided, ground.first_hops
    most_amount, most_delay, most_hops = limits.amount_msat, limits.delay, limits.hops
    target, closed = ground.index(ground.target), ground.closed()
    best = [_FAR] * ground.size
    for index in closed:
        best[index] = _CLOSED
    if best[target] == _CLOSED:
        return None
    best[target] = 0
    bound = _FAR
    heap: list[Label] = [(0, target, amount_msat, final_delay, 0, -1, -1)]
    settled: dict[int, Label] = {}
    while heap:
        label = heappop(heap)
        cost, here, amount, delay, hops, _, _ = label
        if cost > best[here]:
            continue
        settled[here] = label
        hops += 1
        if here in first_hops and any(c.carries(amount) for c in first_hops[here]):
            return _way(settled, here)
        if hops >= most_hops:
            continue
        near = cost + prices.per_hop
        block_price = amount * prices.per_msat_block + prices.per_block
        # Of a busy node's edges most lead nowhere better, and this tells at a glance: a fee is
        # rounded down, so it is less by up to 1 msat than what is compared here.
        glance, millionths = near - 1, amount / MILLIONTH
        for there, base_fee, ppm_fee, blocks, terms in ground.incoming(here):
            far = best[there]
            rough = glance + base_fee + ppm_fee * millionths + blocks * block_price
            if rough >= far or rough >= bound:
                continue
            least, most, base, ppm, delta, key, _, _ = terms
            fee = base + amount * ppm // MILLIONTH
            total = near + fee + delta * block_price
            if (
                total >= far
                or not least <= amount <= most
                or amount + fee > most_amount
                or delay + delta > most_delay
            ):
                continue
            if key in avoided:
                least_failed, penalty = avoided[key]
                if amount >= least_failed:
                    total += penalty
                    if total >= far:
                        continue
            best[there] = total
            heappush(heap, (total, there, amount + fee, delay + delta, hops, key, here))
            arriving = amount + fee
            if there in first_hops and any(c.carries(arriving) for c in first_hops[there]):
                # A whole way is known: what is not cheaper needs no look.
                bound = total
    return None


def _way(settled: dict[int, Label], peer: int) -> list[Label]:
    way = [settled[peer]]
    while way[-1][5] >= 0:
        way.append(settled[way[-1][6]])
    return way


def widest(ground: Field) -> int:
    """The most (msat) that any way to the payee carries at once, fees aside; 0 without a way."""
    target, closed = ground.index(ground.target), ground.closed()
    width = [0] * ground.size
    width[target] = _ANY_AMOUNT
    heap = [(-_ANY_AMOUNT, target)]
    answer = 0
    while heap:
        negative, here = heappop(heap)
        if -negative < width[here]:
            continue
        for channel in ground.first_hops.get(here, ()):
            most = min(channel.spendable_msat, channel.htlc_maximum_msat)
            answer = max(answer, min(most, width[here]))
        for edge in ground.incoming(here):
            through = min(width[here], edge[4][1])
            if through > width[edge[0]] and edge[0] not in closed:
                width[edge[0]] = through
                heappush(heap, (-through, edge[0]))
    return answer
