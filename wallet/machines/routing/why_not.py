"""Why there is no route: which limit stands in the way, for a person to change.

Each question here is another search, with one thing let go: what then has a way is the reason.
"""

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


def any_way(ground: Field, query: RouteQuery) -> list[Label] | None:
    """The way of least fees, whatever it takes in fees, delay and hops."""
    return cheapest(ground, query.amount_msat, query.final_delay, _FREE, Prices())


def over_limits(ground: Field, query: RouteQuery, cheapest_way: list[Label]) -> Refused:
    """There are ways, each with too much of something: say of what, and how much it needs."""
    dear = float(_NONE)
    others = [
        cheapest(ground, query.amount_msat, query.final_delay, _FREE, prices) or cheapest_way
        for prices in (Prices(per_block=dear), Prices(per_hop=dear))
    ]
    (cheap, cheap_delay, _), (quick_fee, quick, _), (_, _, short) = (
        (way[0][2] - query.amount_msat, way[0][3], way[0][4] + 1) for way in (cheapest_way, *others)
    )
    if cheap > query.max_fee_msat:
        return Refused(
            f"The cheapest route costs {sats(cheap)} in fees, more than the limit of "
            f"{sats(query.max_fee_msat)}. A higher maxfee would allow it.",
            TOO_MUCH,
        )
    if quick > query.max_delay:
        return Refused(
            f"The quickest route may lock the money for {quick} blocks, more than the limit of "
            f"{query.max_delay}. A higher maxdelay would allow it.",
            TOO_MUCH,
        )
    if short > query.max_hops:
        return Refused(
            f"The shortest route has {short} hops, more than the limit of {query.max_hops}.",
            NO_ROUTE,
        )
    return Refused(
        f"No route keeps to all limits, {sats(query.max_fee_msat)} in fees, {query.max_delay} "
        f"blocks and {query.max_hops} hops: the cheapest costs {sats(cheap)} and {cheap_delay} "
        f"blocks, the quickest {sats(quick_fee)} and {quick} blocks.",
        TOO_MUCH,
    )


def closed(query: RouteQuery, trusting: Field, unlimited: Field) -> Refused:
    """There is no way as things are: say what closes it.

    `trusting` is the map without what we learned from failures, `unlimited` also without what the
    caller excluded.
    """
    amount = sats(query.amount_msat)
    if any_way(trusting, query):
        return Refused(
            f"Every route to the payee for {amount} failed within the last minute. Try again in a "
            "minute, or pay less.",
            NO_ROUTE,
        )
    if any_way(unlimited, query):
        return Refused("Every route to the payee leads through what was excluded.", NO_ROUTE)
    most_msat = widest(unlimited)
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
        "is less than one there takes. Another amount, or another channel of ours, may do.",
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
