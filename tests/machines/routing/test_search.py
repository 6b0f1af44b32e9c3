"""The search against a plain Dijkstra on random maps: it finds no less and nothing dearer."""

from dataclasses import dataclass
from heapq import heappop, heappush

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.maps import scid
from wallet.base.errors import Refused
from wallet.base.values.ids import NodeId, Point
from wallet.machines.routing.graph import DirectedPolicy, Graph, GraphChannel, edge_key
from wallet.machines.routing.knowledge import Knowledge
from wallet.machines.routing.pathfinding import (
    LocalChannel,
    Route,
    RouteQuery,
    find_route,
    price_of_delay,
)

NOW = 1_800_000_000
NODES = [NodeId(Point(b"\x02" + bytes([n]) * 32)) for n in range(12)]
US, *OTHERS = NODES
HOP_MSAT = 1


@dataclass(frozen=True)
class Case:
    """A map, a question and what was learned."""

    graph: Graph
    query: RouteQuery
    knowledge: Knowledge


amounts = st.sampled_from([1, 1_000, 50_000, 1_000_000, 20_000_000])
policies = st.none() | st.builds(
    DirectedPolicy,
    timestamp=st.just(1),
    cltv_expiry_delta=st.sampled_from([0, 1, 18, 40, 144, 900]),
    htlc_minimum_msat=st.sampled_from([0, 1, 1_000, 60_000]),
    htlc_maximum_msat=st.sampled_from([60_000, 1_010_000, 10**10]),
    fee_base_msat=st.sampled_from([0, 1, 1_000, 5_000]),
    fee_proportional_millionths=st.sampled_from([0, 1, 100, 5_000, 80_000]),
    disabled=st.sampled_from([False] * 4 + [True]),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(3, 12))
    graph, knowledge = Graph(), Knowledge()
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    ends = draw(st.lists(pairs.filter(lambda p: p[0] < p[1]), min_size=1, max_size=3 * count))
    for number, (one, two) in enumerate(ends):
        graph.add_channel(
            GraphChannel(
                scid(number),
                NODES[one],
                NODES[two],
                draw(st.sampled_from([50, 1_500, 10**7])),
                b"",
                (draw(policies), draw(policies)),
            )
        )
        match draw(st.sampled_from(["", "", "", "old", "fresh", "forbidden"])):
            case "old":
                knowledge.learn_failure(scid(number).to_int(), 0, draw(amounts), NOW - 5_000)
            case "fresh":
                knowledge.learn_failure(scid(number).to_int(), 1, draw(amounts), NOW)
            case "forbidden":
                knowledge.forbid(scid(number).to_int(), 0, NOW + 1)
            case _:
                pass
    peers = draw(st.lists(st.sampled_from(OTHERS[: count - 1]), min_size=1, max_size=3))
    local = tuple(
        LocalChannel(scid(1_000 + n), peer, draw(amounts), 1, 10**10)
        for n, peer in enumerate(peers)
    )
    query = RouteQuery(
        source=US,
        destination=draw(st.sampled_from(OTHERS[: count - 1])),
        amount_msat=draw(amounts),
        final_delay=18,
        max_fee_msat=draw(st.sampled_from([0, 1_500, 10**12])),
        max_delay=draw(st.sampled_from([18, 300, 2016])),
        local=local,
        max_hops=draw(st.sampled_from([1, 2, 3, 20])),
        riskfactor=draw(st.sampled_from([0, 10, 5_000])),
        now=NOW,
    )
    return Case(graph, query, knowledge)


def step_cost(case: Case, key: int, policy: DirectedPolicy, amount: int) -> float:
    """What forwarding `amount` over one direction adds to the cost; infinite when it cannot."""
    least, penalty = case.knowledge.avoided(NOW).get(key, (0, 0))
    return (
        HOP_MSAT
        + policy.fee_msat(amount)
        + policy.cltv_expiry_delta * amount * price_of_delay(case.query.riskfactor)
        + (penalty if amount >= least else 0)
    )


def reference(case: Case) -> float | None:
    """Plain Dijkstra without limits, then the limits: the cost of its route, or None."""
    query = case.query
    heap = [(0.0, query.destination, query.amount_msat, query.final_delay, 1)]
    done: set[NodeId] = {US}
    while heap:
        cost, here, amount, delay, hops = heappop(heap)
        if here in done:
            continue
        done.add(here)
        for own in query.local:
            if own.peer == here and 1 <= amount <= own.spendable_msat:
                fits = amount - query.amount_msat <= query.max_fee_msat and hops <= query.max_hops
                return cost if fits and delay <= query.max_delay else None
        for channel in case.graph.channels_of(here):
            side = int(channel.node_1 == here)
            policy = channel.policies[side]
            most = channel.capacity_sat * 1_000
            if policy is None or policy.disabled or amount > min(policy.htlc_maximum_msat, most):
                continue
            if amount < policy.htlc_minimum_msat:
                continue
            there = channel.node_1 if side else channel.node_2
            total = cost + step_cost(case, edge_key(channel.scid.to_int(), side), policy, amount)
            delta, fee = policy.cltv_expiry_delta, policy.fee_msat(amount)
            if total < float("inf"):
                heappush(heap, (total, there, amount + fee, delay + delta, hops + 1))
    return None


def checked_cost(case: Case, route: Route) -> float:
    """The cost of a route, after a check of every rule that it must keep."""
    query, cost = case.query, 0.0
    first, last = route.hops[0], route.hops[-1]
    assert last.node_id == query.destination
    assert (last.amount_msat, last.delay) == (query.amount_msat, query.final_delay)
    assert any(own.scid == first.scid and own.peer == first.node_id for own in query.local)
    assert first.amount_msat <= max(c.spendable_msat for c in query.local if c.scid == first.scid)
    assert route.fee_msat <= query.max_fee_msat
    assert route.delay <= query.max_delay
    assert len(route.hops) <= query.max_hops
    assert len({US, *(hop.node_id for hop in route.hops)}) == len(route.hops) + 1, "it has a loop"
    for before, hop in zip(route.hops, route.hops[1:], strict=False):
        channel = case.graph.channel(hop.scid)
        assert channel is not None
        ends = (channel.node_1, channel.node_2)
        assert (before.node_id, hop.node_id) == (ends[hop.direction], ends[1 - hop.direction])
        policy = channel.policies[hop.direction]
        assert policy is not None
        assert not policy.disabled
        assert policy.htlc_minimum_msat <= hop.amount_msat <= policy.htlc_maximum_msat
        assert hop.amount_msat <= channel.capacity_sat * 1_000
        assert before.amount_msat == hop.amount_msat + policy.fee_msat(hop.amount_msat)
        assert before.delay == hop.delay + policy.cltv_expiry_delta
        key = edge_key(hop.scid.to_int(), hop.direction)
        cost += step_cost(case, key, policy, hop.amount_msat)
    return cost


@settings(max_examples=400, deadline=None)
@given(cases())
def test_it_finds_no_less_than_a_plain_dijkstra_and_nothing_dearer(case: Case) -> None:
    expected = reference(case)
    try:
        route = find_route(case.graph, case.query, case.knowledge)
    except Refused as refused:
        assert expected is None, f"there is a route of cost {expected}, but: {refused.message}"
        assert refused.code in {205, 206, 215}
        return
    cost = checked_cost(case, route)
    assert cost < float("inf"), "a direction that has just failed was used again"
    assert expected is None or cost <= expected * (1 + 1e-9)
