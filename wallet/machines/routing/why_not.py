"""Why there is no route: which limit stands in the way, for a person to change.

Each question here is another search, with one thing let go: what then has a way is the reason.
"""

from dataclasses import replace
from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.amounts import MSAT_PER_SAT, MilliSatoshi
from wallet.machines.routing.graph import Graph
from wallet.machines.routing.routes import RouteQuery
from wallet.machines.routing.search import Field, Label, Limits, Prices, cheapest, widest

NO_ROUTE: Final = 205
TOO_MUCH: Final = 206
INSUFFICIENT: Final = 215
"""Core Lightning's: no route; too expensive or too long; our own channels cannot send it."""
_NONE: Final = 1 << 63
_DEAR: Final = float(_NONE)
_FREE: Final = Limits(_NONE, _NONE, _NONE)


def refuse_hopeless(graph: Graph, query: RouteQuery) -> None:
    """Raise `Refused` when it is plain without a search that there is no route."""
    if query.destination == query.source:
        raise Refused("That is this node itself: no route leads there.", NO_ROUTE)
    if not query.local:
        raise Refused(
            "None of our channels can send now. Open one, or wait until one is ready and its peer "
            "is connected.",
            INSUFFICIENT,
        )
    if not any(c.carries(query.amount_msat) for c in query.local):
        raise _own_channels(query)
    if query.final_delay > query.max_delay:
        raise Refused(
            f"The payee wants the payment to be locked for {query.final_delay} blocks, more than "
            f"the limit of {query.max_delay}. A higher maxdelay would allow it.",
            TOO_MUCH,
        )
    known = graph.index(query.destination) is not None
    if not known and not query.hints and all(c.peer != query.destination for c in query.local):
        raise Refused(
            "The payee is on no map: it has no public channel that we know of, and the invoice has "
            "no route hint. Wait for gossip, or ask for an invoice with a route hint.",
            NO_ROUTE,
        )


def _own_channels(query: RouteQuery) -> Refused:
    most_msat = max(min(c.spendable_msat, c.htlc_maximum_msat) for c in query.local)
    if query.amount_msat > most_msat:
        return Refused(
            f"None of our channels can send {sats(query.amount_msat)} at once: the most is "
            f"{sats(most_msat)}. Pay less, receive first, or open a channel.",
            INSUFFICIENT,
        )
    least_msat = min(c.htlc_minimum_msat for c in query.local)
    return Refused(
        f"Our channels that have room take no payment as small as {sats(query.amount_msat)}: the "
        f"least is {sats(least_msat)}.",
        INSUFFICIENT,
    )


def is_limited(ground: Field, query: RouteQuery) -> bool:
    """Whether there is a way once nothing is said of fee, delay and hops."""
    return _way(ground, query, _FREE, Prices()) is not None


def over_limits(ground: Field, query: RouteQuery, limits: Limits) -> Refused:
    """There are ways, each with too much of something: say of what, and how much it needs."""
    way = _way(ground, query, replace(limits, amount_msat=_NONE), Prices())
    if way is not None:
        return Refused(
            f"The cheapest route costs {sats(way[0][2] - query.amount_msat)} in fees, more than "
            f"the limit of {sats(query.max_fee_msat)}. A higher maxfee would allow it.",
            TOO_MUCH,
        )
    way = _way(ground, query, replace(limits, delay=_NONE), Prices(per_block=_DEAR))
    if way is not None:
        return Refused(
            f"The quickest route may lock the money for {way[0][3]} blocks, more than the limit of "
            f"{query.max_delay}. A higher maxdelay would allow it.",
            TOO_MUCH,
        )
    way = _way(ground, query, replace(limits, hops=_NONE), Prices(per_hop=_DEAR))
    if way is not None:
        return Refused(
            f"The shortest route has {way[0][4] + 1} hops, more than the limit of "
            f"{query.max_hops}.",
            NO_ROUTE,
        )
    return Refused(
        f"No route keeps to all limits: {sats(query.max_fee_msat)} in fees, {query.max_delay} "
        f"blocks, {query.max_hops} hops. Higher ones would allow it.",
        TOO_MUCH,
    )


def closed(ground: Field, query: RouteQuery) -> Refused:
    """There is no way at all as things are: say what closes it."""
    amount = sats(query.amount_msat)
    trusting = replace(ground, avoided={}, avoided_nodes=set())
    if is_limited(trusting, query):
        return Refused(
            f"Every route to the payee for {amount} failed within the last minute. Try again in a "
            "minute, or pay less.",
            NO_ROUTE,
        )
    open_ground = replace(trusting, closed_nodes=set(), closed_edges=set())
    if is_limited(open_ground, query):
        return Refused("Every route to the payee leads through what was excluded.", NO_ROUTE)
    most_msat = widest(open_ground)
    if most_msat == 0:
        return Refused(
            "No route: the map shows no way from our channels to the payee. Open a channel with "
            "the payee, or with a node that is better connected.",
            NO_ROUTE,
        )
    if most_msat < query.amount_msat:
        return Refused(
            f"No route carries {amount} at once: the most that can reach the payee is "
            f"{sats(most_msat)}, less fees. Pay less, or open a channel closer to the payee.",
            NO_ROUTE,
        )
    return Refused(
        f"No route carries {amount}: with fees it is too much for some channel on each way, or it "
        f"is less than one there takes. Another amount, or another channel of ours, may do.",
        NO_ROUTE,
    )


def no_way_between(graph: Graph, query: RouteQuery) -> Refused:
    """For a question about any two nodes."""
    for name, node_id in (("source", query.source), ("destination", query.destination)):
        if graph.index(node_id) is None:
            return Refused(
                f"Could not find a route: the {name} {node_id.hex()} has no public channel that we "
                "know of.",
                NO_ROUTE,
            )
    return Refused(
        f"Could not find a route for {sats(query.amount_msat)} of at most {query.max_hops} hops. A "
        "smaller amount or fewer exclusions may have one.",
        NO_ROUTE,
    )


def sats(amount_msat: int) -> str:
    """An amount for people: whole satoshi where it is whole."""
    amount = MilliSatoshi(amount_msat)
    return str(amount if amount_msat % MSAT_PER_SAT else amount.floor_to_sat())


def _way(ground: Field, query: RouteQuery, limits: Limits, prices: Prices) -> list[Label] | None:
    return cheapest(ground, query.amount_msat, query.final_delay, limits, prices)
