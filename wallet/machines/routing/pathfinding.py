"""From a question about a payment to a route, or to the reason why there is none.

BOLT 7 "HTLC Fees" and "Recommendations for Routing": every node but the first takes the fee and
the delay that it announced, on what it forwards.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

from wallet.base.values.ids import NodeId, ShortChannelId
from wallet.machines.routing import why_not
from wallet.machines.routing.graph import Graph, GraphChannel, edge_key
from wallet.machines.routing.knowledge import Knowledge
from wallet.machines.routing.routes import (
    MAX_HOPS,
    Excluded,
    LocalChannel,
    Route,
    RouteHop,
    RouteQuery,
)
from wallet.machines.routing.search import Field, Label, Limits, Prices, cheapest, direction

__all__ = [
    "MAX_HOPS",
    "LocalChannel",
    "Route",
    "RouteHop",
    "RouteQuery",
    "channels_from",
    "find_route",
    "find_route_between",
    "price_of_delay",
]

BLOCKS_PER_YEAR: Final = 52_596
NO_LIMIT: Final = 1 << 63


def price_of_delay(riskfactor: float) -> float:
    """What one msat that is locked for one block costs, in msat."""
    return riskfactor / 100 / BLOCKS_PER_YEAR


def find_route(graph: Graph, query: RouteQuery, knowledge: Knowledge) -> Route:
    """The cheapest way: by fees, delay times `riskfactor`, and what failed lately.

    Raises `Refused` with Core Lightning's code and the limit that stands in the way: 205 when there
    is no route, 206 when each costs or lasts too much, 215 when our channels cannot send so much.
    """
    why_not.refuse_hopeless(graph, query)
    ground = _ground(graph, query, knowledge)
    return _route(ground, query, _find(graph, ground, query))


def find_route_between(
    graph: Graph,
    source: NodeId,
    destination: NodeId,
    amount_msat: int,
    riskfactor: float,
    cltv: int,
    exclude: Excluded = frozenset(),
    maxhops: int = MAX_HOPS,
) -> Route:
    """The cheapest way between any two nodes by the map alone; raises `Refused` (205)."""
    query = RouteQuery(
        source=source,
        destination=destination,
        amount_msat=amount_msat,
        final_delay=cltv,
        max_fee_msat=NO_LIMIT,
        max_delay=NO_LIMIT,
        local=channels_from(graph, source),
        max_hops=maxhops,
        excluded=exclude,
        riskfactor=riskfactor,
    )
    ground = _ground(graph, query, Knowledge())
    for prices in _prices(query):
        way = cheapest(ground, amount_msat, cltv, _limits(query), prices)
        if way is not None:
            return _route(ground, query, way)
    raise why_not.no_way_between(graph, query)


def channels_from(graph: Graph, source: NodeId) -> tuple[LocalChannel, ...]:
    """The channels with which a node could begin a route, by the map: any may be full."""
    return tuple(c for known in graph.channels_of(source) for c in _sending(known, source))


def _sending(channel: GraphChannel, source: NodeId) -> Iterator[LocalChannel]:
    side = int(channel.node_1 != source)
    policy = channel.policies[side]
    if policy is not None and not policy.disabled:
        yield LocalChannel(
            channel.scid,
            channel.node_1 if side else channel.node_2,
            channel.capacity_sat * 1000,
            policy.htlc_minimum_msat,
            policy.htlc_maximum_msat,
        )


def _ground(graph: Graph, query: RouteQuery, knowledge: Knowledge) -> Field:
    """The map with our channels in place of what it says of us, and with the invoice's hints."""
    ground = Field(graph, query.source, query.destination)
    for channel in query.local:
        if (channel.scid.to_int(), direction(query.source, channel.peer)) not in query.excluded:
            ground.first_hops.setdefault(ground.index(channel.peer), []).append(channel)
    for hint in query.hints:
        ground.add_hint(hint)
    for entry in query.excluded:
        if isinstance(entry, tuple):
            ground.closed_edges.add(edge_key(*entry))
        else:
            ground.closed_nodes.add(ground.index(entry))
    ground.avoided = knowledge.avoided(query.now)
    ground.avoided_nodes.update(
        ground.index(node_id)
        for node_id in knowledge.avoided_nodes(query.now)
        if node_id != query.destination
    )
    return ground


def _limits(query: RouteQuery) -> Limits:
    return Limits(query.amount_msat + query.max_fee_msat, query.max_delay, query.max_hops)


def _prices(query: RouteQuery) -> Iterator[Prices]:
    """First what the caller wants to pay for; then, when no such way keeps to the limits, others.

    A limit is a budget, and Dijkstra knows one cost only: what is short of it must be made dear.
    """
    dear = float(NO_LIMIT)
    yield Prices(per_msat_block=price_of_delay(query.riskfactor))
    yield Prices()
    yield Prices(per_block=query.max_fee_msat / max(1, query.max_delay))
    yield Prices(per_block=dear)
    yield Prices(per_hop=dear)


def _find(graph: Graph, ground: Field, query: RouteQuery) -> list[Label]:
    limits = _limits(query)
    first, *others = _prices(query)
    way = cheapest(ground, query.amount_msat, query.final_delay, limits, first)
    if way is not None:
        return way
    free = why_not.any_way(ground, query)
    if free is None:
        trusting = _ground(graph, query, Knowledge())
        unlimited = _ground(graph, replace(query, excluded=frozenset()), Knowledge())
        raise why_not.closed(query, trusting, unlimited)
    for prices in others:
        way = cheapest(ground, query.amount_msat, query.final_delay, limits, prices)
        if way is not None:
            return way
    raise why_not.over_limits(ground, query, free)


def _route(ground: Field, query: RouteQuery, way: list[Label]) -> Route:
    _, peer, amount_msat, delay, *_ = way[0]
    # Of several channels with the peer the fullest: what we know of its room is not exact.
    first = max(
        (c for c in ground.first_hops[peer] if c.carries(amount_msat)),
        key=lambda channel: channel.spendable_msat,
    )
    side = direction(query.source, first.peer)
    hops = [RouteHop(first.scid, side, first.peer, amount_msat, delay)]
    for here, there in pairwise(way):
        scid = ShortChannelId.from_int(here[5] >> 1)
        hops.append(RouteHop(scid, here[5] & 1, ground.id(there[1]), there[2], there[3]))
    return Route(tuple(hops))
