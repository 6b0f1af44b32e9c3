"""A route of 10 k sat on a map of mainnet's size, beside a plain Dijkstra; the map's memory.

`python -m tests.bench.bench_routing`.  The map is made from a seed: scale-free, as many nodes and
channels as mainnet had in February 2026.  LEYDEN_BENCH_GRAPH names a CSV file (.gz too) with a real
one: scid, node1, node2, capacity_sat, then for both directions has, base, ppm, cltv, min, max.
"""

import csv
import gc
import gzip
import os
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

from wallet.base.errors import Refused
from wallet.base.values.ids import NodeId, Point, ShortChannelId
from wallet.machines.routing.graph import DirectedPolicy, Graph, GraphChannel, edge_key
from wallet.machines.routing.knowledge import Knowledge
from wallet.machines.routing.pathfinding import (
    LocalChannel,
    Route,
    RouteQuery,
    find_route,
    price_of_delay,
)

NODES, CHANNELS, QUERIES = 17_324, 50_808, 200
AMOUNT_MSAT = 10_000_000
MUST_MS, MUST_P95_MS, MUST_MIB = 40.0, 100.0, 70.0
US = NodeId(Point(b"\x02" + b"\x11" * 32))
RISKFACTOR = 10


def drawn() -> Iterator[GraphChannel]:
    """Channels of a scale-free map: a newcomer takes partners by how many channels they have."""
    random = Random(7)
    ids = [NodeId(Point(b"\x03" + random.randbytes(32))) for _ in range(NODES)]
    ends = [0]

    def policy() -> DirectedPolicy | None:
        if random.random() < 0.1:
            return None
        return DirectedPolicy(
            timestamp=1_770_000_000 + random.randrange(1_000_000),
            cltv_expiry_delta=random.choice([34, 40, 80, 144]),
            htlc_minimum_msat=random.choice([1, 1_000]),
            htlc_maximum_msat=random.choice([10**7, 10**8, 10**9, 10**10]),
            fee_base_msat=random.choice([0, 0, 100, 1_000]),
            fee_proportional_millionths=int(random.lognormvariate(5, 1.8)),
            disabled=random.random() < 0.1,
        )

    for number in range(CHANNELS):
        newcomer = number + 1 if number + 1 < NODES else random.choice(ends)
        partner = random.choice(ends)
        while partner == newcomer:
            partner = random.randrange(NODES)
        ends += [newcomer, partner]
        one, two = sorted((ids[newcomer], ids[partner]))
        capacity_sat = int(random.lognormvariate(14.5, 1.5)) + 20_000
        yield GraphChannel(
            ShortChannelId(500_000 + number, 1, 0),
            one,
            two,
            capacity_sat,
            b"",
            (policy(), policy()),
        )


def read(path: str) -> Iterator[GraphChannel]:
    """Channels of a CSV file."""
    opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path)  # noqa: SIM115
    with opened as lines:
        for row in csv.DictReader(lines):
            nodes = [NodeId(Point(bytes.fromhex(row[f"node{n}"]))) for n in (1, 2)]
            policies = [
                DirectedPolicy(
                    1_770_000_000 + int(row["capacity_sat"]) % 1_000_000,
                    int(row[f"cltv{n}"]),
                    int(row[f"min{n}_msat"]),
                    int(row[f"max{n}_msat"]),
                    int(row[f"base{n}_msat"]),
                    int(row[f"ppm{n}"]),
                )
                if row[f"has{n}"] == "1"
                else None
                for n in (1, 2)
            ]
            if nodes[0] > nodes[1]:
                nodes.reverse()
                policies.reverse()
            yield GraphChannel(
                ShortChannelId.from_int(int(row["scid"])),
                nodes[0],
                nodes[1],
                int(row["capacity_sat"]),
                b"",
                (policies[0], policies[1]),
            )


Incoming = dict[NodeId, list[tuple[NodeId, int, int, DirectedPolicy]]]


def plain_map(graph: Graph) -> Incoming:
    """By node, what arrives: from whom, over what, at most how much, on what terms."""
    incoming: Incoming = {}
    for channel in graph.channels():
        ends = (channel.node_1, channel.node_2)
        for side, policy in enumerate(channel.policies):
            if policy is not None and not policy.disabled:
                most = min(policy.htlc_maximum_msat, channel.capacity_sat * 1_000)
                entry = (ends[side], edge_key(channel.scid.to_int(), side), most, policy)
                incoming.setdefault(ends[1 - side], []).append(entry)
    return incoming


def plain(incoming: Incoming, query: RouteQuery) -> float | None:
    """Dijkstra as one writes it down: the cost of the cheapest way, fees aside from any limit."""
    price = price_of_delay(query.riskfactor)
    peers = {channel.peer for channel in query.local}
    best = {query.destination: 0.0}
    heap = [(0.0, query.destination, query.amount_msat)]
    done = set()
    while heap:
        cost, here, amount = heappop(heap)
        if here in peers:
            return cost
        if here in done:
            continue
        done.add(here)
        for there, _, most, policy in incoming.get(here, ()):
            if there in done or not policy.htlc_minimum_msat <= amount <= most:
                continue
            fee = policy.fee_msat(amount)
            total = cost + 1 + fee + policy.cltv_expiry_delta * amount * price
            if total < best.get(there, float("inf")):
                best[there] = total
                heappush(heap, (total, there, amount + fee))
    return None


def cost_of(graph: Graph, route: Route) -> float:
    """The cost of a route in the same money."""
    total = 0.0
    for hop in route.hops[1:]:
        channel = graph.channel(hop.scid)
        policy = channel.policies[hop.direction] if channel is not None else None
        if policy is not None:
            price = hop.amount_msat * price_of_delay(RISKFACTOR)
            total += 1 + policy.fee_msat(hop.amount_msat) + policy.cltv_expiry_delta * price
    return total


def main() -> None:
    """Print `name  value unit  target`."""
    path = os.environ.get("LEYDEN_BENCH_GRAPH")
    channels = list(read(path) if path else drawn())
    gc.collect()
    tracemalloc.start()
    graph = Graph()
    for channel in channels:
        graph.add_channel(channel)
    gc.collect()
    traced_mib = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    ids = list(graph.node_ids())
    # The node ids came with `channels`; a map that had read them from the wire would own them.
    mib = traced_mib + len(ids) * 80 / 2**20
    start = time.perf_counter()
    again = Graph()
    for channel in channels:
        again.add_channel(channel)
    load_s = time.perf_counter() - start
    del channels, again
    gc.collect()

    incoming = plain_map(graph)
    random = Random(1)
    hubs = sorted(ids, key=lambda node_id: -len(incoming.get(node_id, ())))
    ours_ms, plain_ms, found, plain_found, dearer = [], [], 0, 0, 0
    for number in range(QUERIES):
        peer = random.choice(hubs[:300] if number % 2 else ids)
        query = RouteQuery(
            source=US,
            destination=random.choice(ids),
            amount_msat=AMOUNT_MSAT,
            final_delay=18,
            max_fee_msat=10**12,
            max_delay=100_000,
            local=(LocalChannel(ShortChannelId(1, 1, 1), peer, 10**12, 1, 10**12),),
            max_hops=100,
            riskfactor=RISKFACTOR,
        )
        start = time.perf_counter()
        expected = plain(incoming, query)
        middle = time.perf_counter()
        try:
            route = find_route(graph, query, Knowledge())
        except Refused:
            plain_found += expected is not None
            continue
        end = time.perf_counter()
        found += 1
        plain_found += expected is not None
        dearer += expected is None or cost_of(graph, route) > expected * (1 + 1e-9)
        plain_ms.append((middle - start) * 1e3)
        ours_ms.append((end - middle) * 1e3)
    print(f"map                {len(ids):8,} nodes, {len(graph):,} channels")
    print(f"memory             {mib:8.1f} MiB, must {MUST_MIB:.0f}")
    print(f"load               {load_s:8.2f} s")
    for name, times in (("route", ours_ms), ("plain Dijkstra", plain_ms)):
        p95 = statistics.quantiles(times, n=20)[-1]
        print(
            f"{name:<18} {statistics.median(times):8.1f} ms median (must {MUST_MS:.0f}), "
            f"{p95:.1f} ms p95 (must {MUST_P95_MS:.0f})"
        )
    ratio = statistics.median(plain_ms) / statistics.median(ours_ms)
    print(f"routes found       {found:8} of {QUERIES}; plain Dijkstra {plain_found}; {ratio:.1f}x")
    print(f"dearer than plain  {dearer:8}")


if __name__ == "__main__":
    main()
