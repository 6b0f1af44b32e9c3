"""What attempts teach: for which amounts, for how long, and in which direction."""

import pytest

from wallet.base.values.ids import NodeId, Point
from wallet.machines.routing.graph import edge_key
from wallet.machines.routing.knowledge import (
    FRESH_SECONDS,
    HALF_LIFE_SECONDS,
    PENALTY_MSAT,
    Knowledge,
)

NOW = 1_800_000_000
SCID = 700_000 << 40 | 1
FORTH, BACK = edge_key(SCID, 0), edge_key(SCID, 1)
NEVER = float("inf")
BOB = NodeId(Point(b"\x02" * 33))


def test_a_failure_closes_the_direction_from_its_amount_on() -> None:
    knowledge = Knowledge()
    knowledge.learn_failure(SCID, 0, 5_000, NOW)
    assert knowledge.avoided(NOW) == {FORTH: (5_000, NEVER)}


def test_the_least_failure_counts_as_long_as_it_is_young() -> None:
    knowledge = Knowledge()
    knowledge.learn_failure(SCID, 0, 5_000, NOW)
    knowledge.learn_failure(SCID, 0, 9_000, NOW + 10)
    knowledge.learn_failure(SCID, 0, 7_000, NOW + 20)
    assert knowledge.avoided(NOW + 20) == {FORTH: (5_000, NEVER)}
    late = NOW + 20 + HALF_LIFE_SECONDS
    knowledge.learn_failure(SCID, 0, 9_000, late)
    assert knowledge.avoided(late) == {FORTH: (9_000, NEVER)}


@pytest.mark.parametrize("half_lives", [1, 2, 5])
def test_a_failure_loses_half_its_weight_in_an_hour(half_lives: int) -> None:
    knowledge = Knowledge()
    knowledge.learn_failure(SCID, 0, 5_000, NOW)
    penalty = PENALTY_MSAT / 2**half_lives
    at = NOW + half_lives * HALF_LIFE_SECONDS
    least_msat, cost_msat = knowledge.avoided(at)[FORTH]
    assert least_msat == 5_000
    assert cost_msat == pytest.approx(penalty)


def test_it_is_never_tried_while_fresh_and_forgotten_after_a_day() -> None:
    knowledge = Knowledge()
    knowledge.learn_failure(SCID, 0, 5_000, NOW)
    assert knowledge.avoided(NOW + FRESH_SECONDS - 1)[FORTH][1] == NEVER
    assert knowledge.avoided(NOW + FRESH_SECONDS)[FORTH][1] < PENALTY_MSAT
    assert knowledge.avoided(NOW + 86_400) == {}


@pytest.mark.parametrize("direction", [0, 1])
def test_a_success_opens_both_directions_up_to_its_amount(direction: int) -> None:
    knowledge = Knowledge()
    knowledge.learn_failure(SCID, 0, 5_000, NOW)
    knowledge.learn_failure(SCID, 1, 5_001, NOW)
    knowledge.learn_success(SCID, direction, 5_000, NOW)
    assert knowledge.avoided(NOW) == {BACK: (5_001, NEVER)}
    assert knowledge.passed_msat(SCID, direction) == 5_000
    assert knowledge.passed_msat(SCID, 1 - direction) == 0


def test_a_failure_takes_back_what_had_passed() -> None:
    knowledge = Knowledge()
    knowledge.learn_success(SCID, 0, 5_000, NOW)
    knowledge.learn_failure(SCID, 0, 6_000, NOW)
    assert knowledge.passed_msat(SCID, 0) == 5_000
    knowledge.learn_failure(SCID, 0, 5_000, NOW)
    assert knowledge.passed_msat(SCID, 0) == 0


def test_what_is_forbidden_is_so_for_any_amount_until_its_time() -> None:
    knowledge = Knowledge()
    knowledge.forbid(SCID, 1, NOW + 30)
    knowledge.forbid(SCID, 1, NOW + 20)
    knowledge.forbid_node(BOB, NOW + 30)
    assert knowledge.avoided(NOW + 29) == {BACK: (0, NEVER)}
    assert knowledge.avoided_nodes(NOW + 29) == [BOB]
    assert knowledge.avoided(NOW + 30) == {}
    assert knowledge.avoided_nodes(NOW + 30) == []


def test_it_does_not_grow_for_ever_and_keeps_the_newest() -> None:
    knowledge = Knowledge()
    for number in range(30_000):
        knowledge.learn_failure(number, 0, 1, NOW + number // 1_000)
        knowledge.learn_success(number, 1, 0, NOW)
        knowledge.forbid(100_000 + number, 0, NOW + 60)
    avoided = knowledge.avoided(NOW + 30)
    assert len(avoided) <= 20_000
    assert {edge_key(29_999, 0), edge_key(129_999, 0)} <= avoided.keys()
