"""SIGKILL at random moments of three daemons that pay, close and open: nothing is lost or doubled.

`LEYDEN_LONG` plays it at length; `python -m tests.tools.siege` with any seed.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.siege import besieged

SEEDS = range(1, 6) if "LEYDEN_LONG" in os.environ else (1,)
KILLS = 50 if "LEYDEN_LONG" in os.environ else 5


@pytest.mark.parametrize("seed", SEEDS)
def test_books_are_right_after_kills(tmp_path: Path, record_property: Any, seed: int) -> None:
    with besieged(tmp_path, seed) as town:
        figures = town.run(KILLS)
    record_property("siege", f"siege, seed {seed}: {figures}")
    assert figures.kills >= KILLS
    assert figures.complete > KILLS
    assert figures.by_force > 0
    assert figures.transactions > figures.opened + figures.by_force + figures.mutual
