"""The map: channels and terms come, change and go; indexes follow; a big one stays small."""

from random import Random

import pytest

from wallet.base.errors import InvariantBroken
from wallet.base.values.ids import NodeId, Point, ShortChannelId
from wallet.machines.routing.graph import DirectedPolicy, Graph, GraphChannel, GraphNode

ALICE, BOB, CAROL = (NodeId(Point(b"\x02" + bytes([n]) * 32)) for n in (1, 2, 3))
SCID = ShortChannelId(100, 1, 0)
OTHER = ShortChannelId(101, 2, 1)
POLICY = DirectedPolicy(1_700_000_000, 34, 1_000, 99_000_000, 1_000, 10)
BACK = DirectedPolicy(1_700_000_001, 80, 1, 100_000_000, 0, 5_001, disabled=True)
BETWEEN = GraphChannel(SCID, ALICE, BOB, 100_000, b"\x01", (POLICY, BACK))


def announced(node_id: NodeId) -> GraphNode:
    return GraphNode(node_id, 7, b"\x80", b"\x01\x02\x03", b"bob".ljust(32, b"\0"), b"\x01")


def arriving(graph: Graph, node_id: NodeId) -> list[int]:
    """The channels by which something can arrive at a node."""
    index = graph.index(node_id)
    return [] if index is None else [edge[4][5] >> 1 for edge in graph.incoming[index]]


def test_a_channel_comes_back_as_it_was_put_in() -> None:
    graph = Graph()
    graph.add_channel(BETWEEN)
    assert graph.channel(SCID) == BETWEEN
    assert list(graph.channels()) == [BETWEEN]
    assert list(graph.channels_of(ALICE)) == list(graph.channels_of(BOB)) == [BETWEEN]
    assert len(graph) == 1
    assert graph.channel(OTHER) is None
    assert list(graph.channels_of(CAROL)) == []


def test_only_an_enabled_direction_arrives_anywhere() -> None:
    graph = Graph()
    graph.add_channel(BETWEEN)
    assert arriving(graph, BOB) == [SCID.to_int()]
    assert arriving(graph, ALICE) == []


def test_new_terms_take_the_place_of_the_old() -> None:
    graph = Graph()
    graph.add_channel(GraphChannel(SCID, ALICE, BOB, 100_000, b""))
    assert arriving(graph, ALICE) == arriving(graph, BOB) == []
    for policy in (POLICY, BACK, POLICY, POLICY):
        graph.set_policy(SCID, 0, policy)
    channel = graph.channel(SCID)
    assert channel is not None
    assert channel.policies == (POLICY, None)
    assert arriving(graph, BOB) == [SCID.to_int()]
    graph.set_policy(SCID, 0, BACK)
    assert arriving(graph, BOB) == []


def test_terms_of_an_unknown_channel_are_ignored() -> None:
    graph = Graph()
    graph.set_policy(SCID, 0, POLICY)
    graph.remove_channel(SCID)
    assert len(graph) == 0


def test_more_than_the_capacity_is_not_carried_but_still_shown() -> None:
    graph = Graph()
    graph.add_channel(GraphChannel(SCID, ALICE, BOB, 1, b"", (POLICY, None)))
    index = graph.index(BOB)
    assert index is not None
    assert graph.incoming[index][0][4][1] == 1_000
    channel = graph.channel(SCID)
    assert channel is not None
    assert channel.policies == (POLICY, None)


def test_a_node_without_a_channel_is_forgotten_and_may_come_back() -> None:
    graph = Graph()
    graph.set_node(announced(BOB))
    assert graph.node(BOB) is None, "a node that has no channel was believed"
    graph.add_channel(BETWEEN)
    graph.add_channel(GraphChannel(OTHER, BOB, CAROL, 5, b"", (POLICY, POLICY)))
    graph.set_node(announced(BOB))
    before = graph.index(ALICE)
    graph.remove_channel(SCID)
    assert graph.index(ALICE) is None
    assert graph.node(BOB) == announced(BOB)
    assert list(graph.node_ids()) == [BOB, CAROL]
    graph.add_channel(BETWEEN)
    assert graph.index(ALICE) not in {None, before}, "a search may still hold the old index"
    graph.remove_node(BOB)
    assert len(graph) == 0
    assert list(graph.nodes()) == []
    assert list(graph.node_ids()) == []


def test_the_same_channel_again_replaces_the_first() -> None:
    graph = Graph()
    graph.add_channel(BETWEEN)
    again = GraphChannel(SCID, BOB, CAROL, 3, b"", (None, POLICY))
    graph.add_channel(again)
    assert list(graph.channels()) == [again]
    assert arriving(graph, BOB) == [SCID.to_int()]
    assert graph.index(ALICE) is None


def test_the_nodes_of_a_channel_are_in_the_order_of_bolt_7() -> None:
    with pytest.raises(InvariantBroken, match="not in order"):
        Graph().add_channel(GraphChannel(SCID, BOB, ALICE, 1, b""))


def test_fees_are_those_of_bolt_7() -> None:
    assert DirectedPolicy(0, 0, 0, 0, 100, 1_000).fee_msat(4_999_999) == 100 + 4_999


@pytest.mark.parametrize("seed", range(20))
def test_after_any_story_the_indexes_hold_what_the_channels_say(seed: int) -> None:
    random, graph, model = Random(seed), Graph(), dict[ShortChannelId, GraphChannel]()
    nodes = [NodeId(Point(b"\x03" + bytes([n]) * 32)) for n in range(6)]
    for _ in range(200):
        scid = ShortChannelId(1, random.randrange(12), 0)
        match random.randrange(4):
            case 0:
                one, two = sorted(random.sample(nodes, 2))
                model[scid] = GraphChannel(scid, one, two, random.randrange(9), b"")
                graph.add_channel(model[scid])
            case 1:
                model.pop(scid, None)
                graph.remove_channel(scid)
            case _ if scid in model:
                policy = DirectedPolicy(1, 2, 3, 4, 5, 6, disabled=random.random() < 0.3)
                direction = random.randrange(2)
                graph.set_policy(scid, direction, policy)
                old, policies = model[scid], list(model[scid].policies)
                policies[direction] = policy
                model[scid] = GraphChannel(
                    scid, old.node_1, old.node_2, old.capacity_sat, b"", (policies[0], policies[1])
                )
            case _:
                pass
    assert {channel.scid: channel for channel in graph.channels()} == model
    assert graph.capacity_sat == sum(channel.capacity_sat for channel in model.values())
    assert graph.node_count == len({n for c in model.values() for n in (c.node_1, c.node_2)})
    for node in nodes:
        own = [c for c in model.values() if node in {c.node_1, c.node_2}]
        assert sorted(graph.channels_of(node), key=lambda c: c.scid) == sorted(
            own, key=lambda c: c.scid
        )
        usable = [
            c.scid.to_int()
            for c in own
            if (terms := c.policies[node == c.node_1]) is not None and not terms.disabled
        ]
        assert sorted(arriving(graph, node)) == sorted(usable)
