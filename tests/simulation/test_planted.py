"""The net has teeth: each planted bug is found, and by what it breaks."""

import pytest

from tests.simulation.planted import BUGS, Bug
from tests.simulation.play import SeedFailed, play


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.plant.__name__)
def test_planted(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seeds are clean without it: they are those of the default run."""
    bug.plant(monkeypatch)
    for seed in bug.seeds:
        try:
            play(seed, bug.profile)
        except SeedFailed as failure:
            assert bug.says in str(failure)
            return
    pytest.fail(f"none of {len(bug.seeds)} seeds has found it")
