"""A net that catches nothing may have no knots: planted bugs must be found by the default seeds."""

import re

import pytest

from tests.simulation.planted import PLANTS
from tests.simulation.play import SeedFailed, play


@pytest.mark.parametrize("name", PLANTS)
def test_it_is_found(name: str) -> None:
    plant, told = PLANTS[name], []
    with plant.patch():
        for seed in range(plant.seeds):
            try:
                play(seed, plant.profile)
            except SeedFailed as failure:
                # Found is what is found by its own symptom, not by whatever else it breaks.
                if re.search(plant.found_as, str(failure)):
                    return
                told.append(str(failure))
    pytest.fail(f"no seed below {plant.seeds} says {plant.found_as!r}, but {told}")
