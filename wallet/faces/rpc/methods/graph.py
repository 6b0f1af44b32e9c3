"""The map of the network, and ways through it."""

from typing import Final

from wallet.base.errors import Refused
from wallet.base.values.ids import NodeId
from wallet.faces.rpc import graph_shapes as shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.graph_signatures import GetRoute, GetRoutes, ListChannels, ListNodes
from wallet.faces.rpc.params import Args
from wallet.faces.rpc.table import Answer, Method
from wallet.machines.channel.limits import spendable
from wallet.machines.channel.state import Link, Phase
from wallet.machines.routing.graph import MILLIONTH, DirectedPolicy
from wallet.machines.routing.knowledge import Knowledge
from wallet.machines.routing.pathfinding import (
    MAX_HOPS,
    NO_LIMIT,
    LocalChannel,
    Route,
    RouteHop,
    RouteQuery,
    channels_from,
    find_route,
    find_route_between,
)
from wallet.node.api import Api
from wallet.node.forward_desk import name_of
from wallet.node.memory import Memory

DEFAULT_CLTV: Final = 9
"""Core Lightning's, for `getroute`."""
MOST_DELAY: Final = 2016


async def listnodes(api: Api, args: Args) -> Answer:
    """Every node with a public channel, and what it says of itself."""
    graph = (await api.memory()).graph
    wanted = args.get(ListNodes.ID)
    if wanted is not None:
        return {"nodes": [shapes.node(graph, wanted)] if graph.index(wanted) is not None else []}
    return {"nodes": [shapes.node(graph, node_id) for node_id in graph.node_ids()]}


async def listchannels(api: Api, args: Args) -> Answer:
    """Public channels, one item for each direction whose terms are known."""
    graph = (await api.memory()).graph
    scid = args.get(ListChannels.SHORT_CHANNEL_ID)
    source, destination = args.get(ListChannels.SOURCE), args.get(ListChannels.DESTINATION)
    if sum(given is not None for given in (scid, source, destination)) > 1:
        raise Refused(
            "Can only specify one of `short_channel_id`, `source` or `destination`",
            Code.INVALID_PARAMS,
        )
    if scid is not None:
        one = graph.channel(scid)
        return {"channels": [] if one is None else list(shapes.directions(one))}
    end, node_id = ("destination", destination) if source is None else ("source", source)
    if node_id is None:
        return {"channels": [item for each in graph.channels() for item in shapes.directions(each)]}
    items = (item for each in graph.channels_of(node_id) for item in shapes.directions(each))
    return {"channels": [item for item in items if item[end] == node_id.hex()]}


async def getroute(api: Api, args: Args) -> Answer:
    """One route, in the form that `sendpay` takes; from us it begins with a channel with room."""
    memory = await api.memory()
    source = args.get_or(GetRoute.FROMID, api.node_id)
    destination, amount_msat = args[GetRoute.ID], args[GetRoute.AMOUNT_MSAT].msat
    cltv, riskfactor = args.get_or(GetRoute.CLTV, DEFAULT_CLTV), args[GetRoute.RISKFACTOR]
    left_out = args.get(GetRoute.EXCLUDE)
    excluded = frozenset(() if left_out is None else left_out)
    most_hops = min(args.get_or(GetRoute.MAXHOPS, MAX_HOPS), MAX_HOPS)
    if source != api.node_id:
        route = find_route_between(
            memory.graph, source, destination, amount_msat, riskfactor, cltv, excluded, most_hops
        )
    else:
        query = RouteQuery(
            source=source,
            destination=destination,
            amount_msat=amount_msat,
            final_delay=cltv,
            max_fee_msat=NO_LIMIT,
            max_delay=NO_LIMIT,
            local=_our_channels(memory),
            max_hops=most_hops,
            excluded=excluded,
            riskfactor=riskfactor,
            now=api.now(),
        )
        route = find_route(memory.graph, query, Knowledge())
    return {"route": [shapes.route_hop(hop) for hop in route.hops]}


async def getroutes(api: Api, args: Args) -> Answer:
    """The cheapest route within the limits, as the one path of a payment."""
    memory = await api.memory()
    source, layers = args[GetRoutes.SOURCE], args[GetRoutes.LAYERS]
    max_delay = args.get_or(GetRoutes.MAXDELAY, MOST_DELAY)
    if max_delay > MOST_DELAY:
        raise Refused(f"maxdelay: should be at most {MOST_DELAY}", Code.INVALID_PARAMS)
    ours = source == api.node_id
    query = RouteQuery(
        source=source,
        destination=args[GetRoutes.DESTINATION],
        amount_msat=args[GetRoutes.AMOUNT_MSAT].msat,
        final_delay=args[GetRoutes.FINAL_CLTV],
        max_fee_msat=args[GetRoutes.MAXFEE_MSAT].msat,
        max_delay=max_delay,
        local=_our_channels(memory)
        if ours and "auto.localchans" in layers
        else channels_from(memory.graph, source),
        now=api.now(),
    )
    try:
        route = find_route(memory.graph, query, memory.knowledge if ours else Knowledge())
    except Refused as refused:
        if ours or refused.code != Code.PAY_INSUFFICIENT_FUNDS:
            raise
        raise Refused(
            f"No public channel of {source.hex()} is known that can send this amount.",
            Code.PAY_ROUTE_NOT_FOUND,
        ) from None
    probability_ppm = _probability_ppm(memory, route)
    answer: Answer = {
        "probability_ppm": probability_ppm,
        "amount_msat": query.amount_msat,
        "final_cltv": query.final_delay,
        "path": _path(memory, source, route, "auto.sourcefree" in layers),
    }
    return {"probability_ppm": probability_ppm, "routes": [answer]}


def _our_channels(memory: Memory) -> tuple[LocalChannel, ...]:
    """Our channels that can send now."""
    return tuple(
        LocalChannel(
            scid,
            channel.terms.peer,
            spendable(channel).msat,
            channel.terms.theirs.htlc_minimum.msat,
            spendable(channel).msat,
        )
        for channel in memory.channels.values()
        if channel.phase is Phase.READY and channel.link is Link.LIVE
        if not (channel.our_shutdown or channel.their_shutdown)
        for scid in [name_of(channel)]
        if scid is not None
    )


def _probability_ppm(memory: Memory, route: Route) -> int:
    """How likely each channel after the first holds enough, if any split is as likely as another.

    What a channel has carried for us before it is taken to carry again.
    """
    share, whole = 1, 1
    for hop in route.hops[1:]:
        channel = memory.graph.channel(hop.scid)
        passed_msat = memory.knowledge.passed_msat(hop.scid.to_int(), hop.direction)
        if channel is not None and passed_msat < hop.amount_msat:
            capacity_msat = channel.capacity_sat * 1000
            share *= capacity_msat + 1 - hop.amount_msat
            whole *= capacity_msat + 1
    return MILLIONTH * share // whole


def _path(memory: Memory, source: NodeId, route: Route, free: bool) -> list[Answer]:
    first = route.hops[0]
    amount_msat, delay = first.amount_msat, first.delay
    policy = None if free else _policy(memory, first)
    if policy is not None:
        # Without auto.sourcefree the source pays itself, as if another sent through it.
        amount_msat += policy.fee_msat(amount_msat)
        delay += policy.cltv_expiry_delta
    path = []
    for hop in route.hops:
        path.append(shapes.path_hop(source, amount_msat, delay, hop))
        source, amount_msat, delay = hop.node_id, hop.amount_msat, hop.delay
    return path


def _policy(memory: Memory, hop: RouteHop) -> DirectedPolicy | None:
    channel = memory.graph.channel(hop.scid)
    return None if channel is None else channel.policies[hop.direction]


MAP: Final[tuple[Method[Api], ...]] = (
    Method("listnodes", ListNodes.PARAMS, listnodes, "lists nodes of the network"),
    Method("listchannels", ListChannels.PARAMS, listchannels, "lists channels of the network"),
    Method("getroute", GetRoute.PARAMS, getroute, "finds a route for `sendpay`"),
    Method("getroutes", GetRoutes.PARAMS, getroutes, "finds the cheapest route within limits"),
)
"""What the daemon serves of the map."""
