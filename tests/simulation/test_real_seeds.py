"""The slice for depth: real keys, and Bitcoin Core's engine judges whatever enters the mempool."""

from collections import Counter
from functools import cache
from typing import Final

import pytest

from tests.simulation.play import play
from tests.support.kernel_engine import VERIFIED

SEEDS: Final = 30
AT_ONCE: Final = 10
LEAST: Final = {
    "verified: commitment": 60,
    "verified: htlc": 20,
    "claim: HTLC-success": 3,
    "claim: HTLC-timeout": 5,
    "claim: expired HTLC": 8,
    "claim: HTLC by preimage": 2,
    "claim: penalty": 1,
    "claim: HTLC penalty": 1,
}
"""How often, together, they must meet each kind of thing."""


@cache
def played(first: int) -> Counter[str]:
    """What so many seeds meet, and what the kernel found valid in them."""
    before, met = VERIFIED.copy(), Counter[str]()
    for seed in range(first, first + AT_ONCE):
        met += play(seed, "real").met
    return met + Counter({f"verified: {kind}": n for kind, n in (VERIFIED - before).items()})


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_seeds(first: int) -> None:
    assert played(first)["verified: commitment"]


def test_together_they_go_where_scripts_are_shown() -> None:
    met = sum((played(first) for first in range(0, SEEDS, AT_ONCE)), Counter[str]())
    assert not {kind: met[kind] for kind, least in LEAST.items() if met[kind] < least}
