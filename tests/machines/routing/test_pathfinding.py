"""Ways through small maps: what is cheapest, what is allowed, and what is said when nothing is."""

from dataclasses import replace

import pytest

from tests.support.maps import ALICE, BOB, CAROL, DAVE, ERIN, US, Map, Terms, local, scid
from wallet.base.errors import Refused
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import NodeId
from wallet.machines.routing.knowledge import FRESH_SECONDS, Knowledge
from wallet.machines.routing.pathfinding import (
    Route,
    RouteHop,
    RouteQuery,
    find_route,
    find_route_between,
)

NOW = 1_800_000_000
AMOUNT = 1_000_000


def query(destination: NodeId, **changes: object) -> RouteQuery:
    asked = RouteQuery(
        source=US,
        destination=destination,
        amount_msat=AMOUNT,
        final_delay=18,
        max_fee_msat=50_000,
        max_delay=2016,
        local=(local(0, ALICE),),
        now=NOW,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def find(known: Map, destination: NodeId, **changes: object) -> Route:
    return find_route(known.graph, query(destination, **changes), Knowledge())


def through(route: Route) -> list[NodeId]:
    return [hop.node_id for hop in route.hops]


def refusal(known: Map, destination: NodeId, **changes: object) -> Refused:
    with pytest.raises(Refused) as caught:
        find(known, destination, **changes)
    return caught.value


LINE = Map().both(1, ALICE, BOB).both(2, BOB, CAROL)


def test_each_node_but_the_first_takes_its_fee_of_what_it_forwards() -> None:
    route = find(LINE, CAROL)
    # 1000 msat and 1% each; the first channel is ours and costs nothing.
    bobs = AMOUNT
    alices = bobs + 1_000 + bobs // 100
    ours = alices + 1_000 + alices // 100
    assert route == Route(
        (
            RouteHop(scid(0), int(US > ALICE), ALICE, ours, 18 + 40 + 40),
            RouteHop(scid(1), int(ALICE > BOB), BOB, alices, 18 + 40),
            RouteHop(scid(2), int(BOB > CAROL), CAROL, bobs, 18),
        )
    )
    assert route.amount_sent_msat == ours
    assert route.fee_msat == ours - AMOUNT
    assert route.delay == 98


def test_a_peer_is_paid_directly_without_a_fee_and_without_any_map() -> None:
    route = find(Map(), ALICE, max_fee_msat=0)
    assert through(route) == [ALICE]
    assert (route.fee_msat, route.delay) == (0, 18)


def test_the_direct_channel_wins_a_tie() -> None:
    free = Map().both(1, ALICE, BOB, base=0, ppm=0, delta=0)
    assert through(find(free, BOB, local=(local(5, ALICE), local(6, BOB)))) == [BOB]


def test_a_direct_channel_without_room_is_gone_around() -> None:
    channels = (local(5, BOB, spendable=AMOUNT - 1), local(6, ALICE))
    assert through(find(LINE, BOB, local=channels)) == [ALICE, BOB]


def test_of_several_channels_with_a_peer_the_fullest_that_takes_it_is_used() -> None:
    channels = (
        local(5, ALICE, spendable=3 * AMOUNT),
        local(6, ALICE, spendable=5 * AMOUNT),
        local(7, ALICE, spendable=9 * AMOUNT, most=AMOUNT - 1),
    )
    assert find(LINE, ALICE, local=channels).hops[0].scid == scid(6)


@pytest.mark.parametrize(
    "worse",
    [{"base": 5_000}, {"ppm": 50_000}, {"delta": 2_000}],
    ids=["base fee", "proportional fee", "delay"],
)
def test_the_cheaper_way_is_taken(worse: Terms) -> None:
    known = (
        Map()
        .both(1, ALICE, BOB, **worse)
        .both(2, BOB, DAVE)
        .both(3, ALICE, CAROL)
        .both(4, CAROL, DAVE)
    )
    assert through(find(known, DAVE, max_delay=5_000)) == [ALICE, CAROL, DAVE]


@pytest.mark.parametrize(
    "closed",
    [
        {"disabled": True},
        {"capacity_sat": 999},
        {"most": AMOUNT - 1},
        {"least": AMOUNT + 100_000},
    ],
    ids=["disabled", "too little capacity", "above the maximum", "below the minimum"],
)
def test_a_direction_that_cannot_carry_it_is_gone_around(closed: Terms) -> None:
    known = (
        Map()
        .both(1, ALICE, BOB, **closed)
        .both(2, BOB, DAVE)
        .both(3, ALICE, CAROL, base=9_000)
        .both(4, CAROL, DAVE)
    )
    assert through(find(known, DAVE)) == [ALICE, CAROL, DAVE]


def test_the_maximum_counts_what_is_forwarded_fees_of_later_nodes_included() -> None:
    known = Map().both(1, ALICE, BOB, most=AMOUNT + 11_000).both(2, BOB, CAROL)
    assert find(known, CAROL).hops[1].amount_msat == AMOUNT + 11_000
    tight = Map().both(1, ALICE, BOB, most=AMOUNT + 10_999).both(2, BOB, CAROL)
    assert "No route carries" in refusal(tight, CAROL).message


def test_we_are_never_in_the_middle_of_our_own_route() -> None:
    known = Map().both(1, US, BOB).both(2, US, ALICE).both(3, BOB, CAROL)
    assert refusal(known, CAROL).code == 205


# --- hints --------------------------------------------------------------------------------------


def hint(node_id: NodeId, number: int, base: int = 7) -> HintHop:
    return HintHop(node_id, scid(number), MilliSatoshi(base), 0, CltvDelta(30))


def test_a_hint_leads_to_a_payee_on_no_map_over_several_hops() -> None:
    route = find(LINE, ERIN, hints=((hint(BOB, 70), hint(DAVE, 71)),))
    assert through(route) == [ALICE, BOB, DAVE, ERIN]
    assert [hop.scid for hop in route.hops[2:]] == [scid(70), scid(71)]
    assert [hop.direction for hop in route.hops[2:]] == [int(BOB > DAVE), int(DAVE > ERIN)]
    assert [hop.amount_msat for hop in route.hops[1:]] == [AMOUNT + 14, AMOUNT + 7, AMOUNT]
    assert [hop.delay for hop in route.hops[1:]] == [18 + 60, 18 + 30, 18]


def test_a_hint_from_our_own_peer_needs_no_map() -> None:
    assert through(find(Map(), ERIN, hints=((hint(ALICE, 70),),))) == [ALICE, ERIN]


def test_a_hint_from_ourselves_is_our_own_channel() -> None:
    channels = (local(0, ALICE), local(8, ERIN))
    route = find(LINE, ERIN, hints=((hint(US, 8),),), local=channels)
    assert through(route) == [ERIN]
    assert refusal(LINE, ERIN, hints=((hint(US, 8),),)).code == 205


def test_the_best_of_several_hints_is_taken() -> None:
    hints = ((hint(CAROL, 70),), (hint(ALICE, 71, base=20_000),), (hint(BOB, 72),))
    assert through(find(LINE, ERIN, hints=hints)) == [ALICE, BOB, ERIN]


# --- what is left out ---------------------------------------------------------------------------

SQUARE = (
    Map()
    .both(1, ALICE, BOB)
    .both(2, BOB, DAVE)
    .both(3, ALICE, CAROL, base=9_000)
    .both(4, CAROL, DAVE)
)
TO_BOB = (scid(1).to_int(), int(ALICE > BOB))


def test_what_is_excluded_is_not_used_and_is_named_as_the_reason() -> None:
    assert through(find(SQUARE, DAVE)) == [ALICE, BOB, DAVE]
    for excluded in ({TO_BOB}, {BOB}):
        assert through(find(SQUARE, DAVE, excluded=frozenset(excluded))) == [ALICE, CAROL, DAVE]
    away = (TO_BOB[0], 1 - TO_BOB[1])
    assert through(find(SQUARE, DAVE, excluded=frozenset({away}))) == [ALICE, BOB, DAVE]
    refused = refusal(SQUARE, DAVE, excluded=frozenset({BOB, CAROL}))
    assert refused.code == 205
    assert "excluded" in refused.message
    ours = frozenset({(scid(0).to_int(), int(US > ALICE))})
    assert "excluded" in refusal(SQUARE, DAVE, excluded=ours).message


def test_what_failed_is_gone_around_at_once_and_later_only_if_cheap() -> None:
    knowledge = Knowledge()
    knowledge.learn_failure(*TO_BOB, AMOUNT, NOW)
    asked = query(DAVE)
    assert through(find_route(SQUARE.graph, asked, knowledge)) == [ALICE, CAROL, DAVE]
    less = replace(asked, amount_msat=AMOUNT // 2)
    assert through(find_route(SQUARE.graph, less, knowledge)) == [ALICE, BOB, DAVE]
    next_day = replace(asked, now=NOW + 86_400)
    assert through(find_route(SQUARE.graph, next_day, knowledge)) == [ALICE, BOB, DAVE]


def test_when_all_ways_have_just_failed_it_says_to_wait() -> None:
    knowledge = Knowledge()
    knowledge.forbid_node(CAROL, NOW + 1)
    knowledge.learn_failure(*TO_BOB, AMOUNT, NOW)
    with pytest.raises(Refused, match="failed within the last minute"):
        find_route(SQUARE.graph, query(DAVE), knowledge)
    later = query(DAVE, now=NOW + FRESH_SECONDS)
    assert through(find_route(SQUARE.graph, later, knowledge)) == [ALICE, CAROL, DAVE]


# --- limits -------------------------------------------------------------------------------------

CHEAP_BUT_SLOW = (
    Map()
    .both(1, ALICE, BOB, base=0, delta=1_500)
    .both(2, BOB, ERIN, base=0, delta=600)
    .both(3, ALICE, DAVE, base=20_000)
    .both(4, DAVE, ERIN)
    .both(5, ALICE, ERIN, base=70_000, delta=9)
)


def test_a_dearer_way_is_found_when_the_cheapest_is_too_slow() -> None:
    assert through(find(CHEAP_BUT_SLOW, ERIN, max_delay=5_000, riskfactor=0)) == [ALICE, BOB, ERIN]
    assert through(find(CHEAP_BUT_SLOW, ERIN, riskfactor=0)) == [ALICE, DAVE, ERIN]
    quick = find(CHEAP_BUT_SLOW, ERIN, max_delay=30, max_fee_msat=90_000)
    assert through(quick) == [ALICE, ERIN]


def test_a_longer_way_is_left_for_a_shorter_one_when_hops_are_few() -> None:
    known = Map().both(1, ALICE, BOB, base=0).both(2, BOB, CAROL, base=0).both(3, ALICE, CAROL)
    known.both(4, ALICE, CAROL, base=40_000)
    cheap = Map().both(1, ALICE, BOB, base=0, ppm=0).both(2, BOB, CAROL, base=0, ppm=0)
    cheap.both(3, ALICE, CAROL, base=40_000)
    assert through(find(cheap, CAROL, max_hops=3)) == [ALICE, BOB, CAROL]
    assert through(find(cheap, CAROL, max_hops=2)) == [ALICE, CAROL]
    assert through(find(known, CAROL, max_hops=2)) == [ALICE, CAROL]


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"max_fee_msat": 22_000}, 206, "costs 22,110 msat in fees, more than the limit of 22 sat"),
        ({"max_delay": 97}, 206, "for 98 blocks, more than the limit of 97"),
        ({"max_delay": 17}, 206, "wants the payment to be locked for 18 blocks"),
        ({"max_hops": 2}, 205, "has 3 hops, more than the limit of 2"),
        ({"local": ()}, 215, "None of our channels can send now"),
        ({"local": (local(0, ALICE, spendable=AMOUNT - 1),)}, 215, "the most is 999,999 msat"),
        ({"local": (local(0, ALICE, least=AMOUNT + 1),)}, 215, "the least is 1,000,001 msat"),
        ({"local": (local(0, ERIN),)}, 205, "no way from our channels"),
        ({"amount_msat": 600_000_000}, 205, "the most that can reach the payee is 500,000 sat"),
        ({"local": (local(0, ALICE, spendable=AMOUNT + 1),)}, 205, "No route carries 1,000 sat"),
    ],
)
def test_the_limit_that_stands_in_the_way_is_named(
    changes: dict[str, object], code: int, sentence: str
) -> None:
    refused = refusal(LINE, CAROL, **changes)
    assert sentence in refused.message
    assert refused.code == code


@pytest.mark.parametrize(
    ("payee", "sentence"), [(US, "this node itself"), (ERIN, "The payee is on no map")]
)
def test_a_payee_that_no_route_can_lead_to_is_refused(payee: NodeId, sentence: str) -> None:
    refused = refusal(LINE, payee)
    assert sentence in refused.message
    assert refused.code == 205


def test_limits_that_only_together_close_every_way_are_named_together() -> None:
    refused = refusal(CHEAP_BUT_SLOW, ERIN, max_delay=97, max_fee_msat=31_309)
    assert refused.code == 206
    assert "limits, 31,309 msat in fees, 97 blocks and 20 hops" in refused.message
    assert "the cheapest costs 20,100 msat and 2118 blocks, the quickest 80 sat and 27 blocks" in (
        refused.message
    )


# --- between any two nodes ----------------------------------------------------------------------


def test_a_route_between_others_begins_with_the_sources_own_channel() -> None:
    route = find_route_between(SQUARE.graph, ALICE, DAVE, AMOUNT, 10, 9)
    assert through(route) == [BOB, DAVE]
    assert route.hops[0].amount_msat == AMOUNT + 11_000
    assert [hop.delay for hop in route.hops] == [49, 9]


def test_a_route_between_others_heeds_exclusions_and_hops() -> None:
    graph = SQUARE.graph
    excluded = frozenset({TO_BOB})
    assert through(find_route_between(graph, ALICE, DAVE, AMOUNT, 10, 9, excluded)) == [CAROL, DAVE]
    for nodes, hops in ((frozenset[tuple[int, int] | NodeId](), 1), (frozenset({BOB, CAROL}), 20)):
        with pytest.raises(Refused, match="Could not find a route") as caught:
            find_route_between(graph, ALICE, DAVE, AMOUNT, 10, 9, nodes, hops)
        assert caught.value.code == 205
    with pytest.raises(Refused, match=f"the source {ERIN.hex()}"):
        find_route_between(graph, ERIN, DAVE, AMOUNT, 10, 9)
