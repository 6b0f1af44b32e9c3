"""The search against a plain Dijkstra on random maps: it finds no less and nothing dearer."""

from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

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


AMOUNTS = [1, 50_000, 1_000_000, 20_000_000]


def some_policy(random: Random) -> DirectedPolicy:
    # Open in the main, so that cost decides; fees differ, as two ways of one cost may end apart.
    return DirectedPolicy(
        timestamp=1,
        cltv_expiry_delta=random.choice([0, 18, 40, 144, 900]),
        htlc_minimum_msat=random.choice([0, 0, 0, 0, 1_000, 60_000]),
        htlc_maximum_msat=random.choice([10**10, 10**10, 10**10, 1_010_000, 60_000]),
        fee_base_msat=random.randrange(100_000),
        fee_proportional_millionths=random.randrange(5_000),
        disabled=random.random() < 0.1,
    )


def case_of(seed: int) -> Case:
    """A map of up to twelve nodes, and a question."""
    random = Random(seed)
    graph, knowledge = Graph(), Knowledge()
    count = random.randint(4, 12)
    for number in range(random.randint(count, 4 * count)):
        one, two = sorted(random.sample(range(count), 2))
        name = scid(number)
        policies = (some_policy(random), some_policy(random) if random.random() < 0.9 else None)
        capacity_sat = random.choice([10**7, 10**7, 10**7, 1_500, 50])
        graph.add_channel(GraphChannel(name, NODES[one], NODES[two], capacity_sat, b"", policies))
        match random.randrange(8):
            case 0:
                learned = NOW - random.choice([0, 100, 100, 3_600])
                knowledge.learn_failure(name.to_int(), number % 2, random.choice(AMOUNTS), learned)
            case 1:
                knowledge.forbid(name.to_int(), number % 2, NOW + 1)
            case _:
                pass
    *peers, payee = random.sample(OTHERS[: count - 1], random.randint(2, 3))
    query = RouteQuery(
        source=US,
        destination=payee,
        amount_msat=random.choice(AMOUNTS),
        final_delay=18,
        max_fee_msat=random.choice([10**12, 10**12, 80_000, 0]),
        max_delay=random.choice([2016, 2016, 300, 18]),
        local=tuple(
            LocalChannel(scid(1_000 + n), peer, random.choice([10**9, 1_010_000]), 1, 10**10)
            for n, peer in enumerate(peers)
        ),
        max_hops=random.choice([20, 20, 3, 2, 1]),
        riskfactor=random.choice([0, 10, 5_000]),
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
            there = channel.node_2 if side else channel.node_1
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


def test_the_plain_dijkstra_knows_what_a_way_costs() -> None:
    policy = DirectedPolicy(1, 144, 0, 10**10, 1_000, 100)
    graph = Graph()
    for number in (1, 2):
        one, two = NODES[number], NODES[number + 1]
        graph.add_channel(GraphChannel(scid(number), one, two, 10**7, b"", (policy, policy)))
    own = LocalChannel(scid(9), NODES[1], 10**10, 1, 10**10)
    query = RouteQuery(US, NODES[3], 1_000_000, 18, 10**6, 2016, (own,), riskfactor=0, now=NOW)
    assert reference(Case(graph, query, Knowledge())) == 2 * HOP_MSAT + 1_100 + 1_100


@settings(max_examples=1_500, deadline=None)
@given(st.integers(0, 2**32))
def test_it_finds_no_less_than_a_plain_dijkstra_and_nothing_dearer(seed: int) -> None:
    case = case_of(seed)
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
