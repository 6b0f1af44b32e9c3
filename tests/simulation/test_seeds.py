"""The default run: networks on a toy group and a model chain, many of them, and the known seeds."""

import pytest

from tests.simulation.play import known_seeds, play

SEEDS = 270
AT_ONCE = 30


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_seeds(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        play(seed)


def test_what_once_failed() -> None:
    for seed, profile in known_seeds():
        play(seed, profile)


def test_a_seed_is_the_same_each_time() -> None:
    told: list[list[str]] = [[], []]
    for lines in told:
        play(7, say=lines.append)
    assert told[0] == told[1]
    assert len(told[0]) > 100
