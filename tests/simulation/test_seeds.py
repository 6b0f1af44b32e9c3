"""The default run: networks on a toy group and a model chain, many of them, and the known seeds."""

from collections import Counter
from functools import cache
from typing import Final

import pytest

from tests.simulation.play import known_seeds, play

SEEDS: Final = 270
AT_ONCE: Final = 18
LEAST: Final = {
    # Ends, by which commitment.
    "end: mutual": 500,
    "end: ours": 200,
    "end: theirs": 200,
    "end: their next": 30,
    "end: revoked": 15,
    "end with HTLCs both ways": 70,
    "closed for a deadline": 12,
    # Claims that a block has taken.
    "claim: to_local": 200,
    "claim: to_remote": 200,
    "claim: HTLC-success": 40,
    "claim: HTLC-timeout": 35,
    "claim: expired HTLC": 50,
    "claim: HTLC by preimage": 12,
    "claim: penalty": 12,
    "claim: HTLC penalty": 8,
    "output of a cheat taken": 30,
    "feerate raised": 25,
    "reorganisation of 1 under a claim": 5,
    "reorganisation of 2 under a claim": 5,
    "reorganisation of 3 under a claim": 4,
    "reorganisation of 4 under a claim": 5,
    "reorganisation of 5 under a claim": 8,
    "reorganisation of 6 under a claim": 10,
    # Payments.
    "payment complete": 450,
    "payment failed": 450,
    "payment in parts complete": 70,
    "forward settled": 60,
    "keysend": 150,
    # Faults.
    "crash before its commit": 300,
    "crash after its commit": 300,
    "crash while it acts": 160,
    "crash while it starts": 5,
    "kill": 140,
    "full disk": 100,
    "cut": 300,
    "fall_silent": 240,
    "swizzle-clog": 50,
    "blocks heard of late": 800,
    "blocks heard of twice": 350,
    "reorganise": 300,
    "forget_unconfirmed": 35,
    "fee spike": 35,
    "update_fee": 250,
    "wrong signature": 15,
    "cheat": 12,
}
"""How often the default seeds must meet each kind of thing: about half of what they do."""


@cache
def played(first: int) -> Counter[str]:
    """What so many seeds meet."""
    return sum((play(seed).met for seed in range(first, first + AT_ONCE)), Counter[str]())


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_seeds(first: int) -> None:
    assert played(first)["payment complete"]


def test_together_they_meet_everything() -> None:
    met = sum((played(first) for first in range(0, SEEDS, AT_ONCE)), Counter[str]())
    assert not {kind: met[kind] for kind, least in LEAST.items() if met[kind] < least}


def test_what_once_failed() -> None:
    for seed, profile in known_seeds():
        play(seed, profile)


def test_a_seed_is_the_same_each_time() -> None:
    told: list[list[str]] = [[], []]
    for lines in told:
        play(7, say=lines.append)
    assert told[0] == told[1]
    assert len(told[0]) > 100
