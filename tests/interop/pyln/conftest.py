"""Two daemons with a channel, and the Python that has pyln-client."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist import is_xdist_worker

from tests.interop.pyln.environment import PylnUnavailable, install_pyln
from tests.support.two import Two, two_daemons

ON_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


@pytest.fixture(scope="session")
def pyln_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pyln-client is there. Where it cannot be: a failure on CI, elsewhere one line says why."""
    try:
        # Beside the directories of single runs, which come and go; a worker's lies in its run's.
        run = tmp_path_factory.getbasetemp()
        return install_pyln((run.parent if is_xdist_worker(request) else run).parent)
    except PylnUnavailable as missing:
        if ON_CI:
            pytest.fail(f"pyln-client: {missing}")
        pytest.skip(f"pyln-client tests did not run: {missing}")


@pytest.fixture(scope="session")
def two(pyln_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Alice and Bob, for every story of the suite."""
    with two_daemons(tmp_path_factory.mktemp("pyln"), push_msat=400_000_000) as pair:
        yield pair
