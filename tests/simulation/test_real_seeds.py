"""The slice for depth: real keys, and Bitcoin Core's engine judges whatever enters the mempool."""

import pytest

from tests.simulation.play import play
from tests.support.kernel_engine import VERIFIED

SEEDS = 30
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_seeds(first: int) -> None:
    before = VERIFIED["simulated"]
    for seed in range(first, first + AT_ONCE):
        play(seed, "real")
    assert VERIFIED["simulated"] > before
