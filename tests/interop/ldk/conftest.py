"""One chain, one LDK node and one daemon of ours; new ones only after a failed scenario."""

import os
from collections.abc import Generator, Iterator

import pytest

from tests.interop.ldk.control import LdkUnavailable, install_ldk
from tests.interop.ldk.pair import Pair

ON_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}
PAIR = pytest.StashKey[Pair]()


@pytest.fixture(scope="session")
def ldk_package() -> None:
    """LDK is installed. Where it cannot be: a failure on CI, elsewhere one line says why."""
    try:
        install_ldk()
    except LdkUnavailable as missing:
        if ON_CI:
            pytest.fail(f"LDK interop: {missing}")
        pytest.skip(f"LDK interop tests did not run: {missing}")


@pytest.fixture(scope="session")
def last_pair(pytestconfig: pytest.Config) -> Iterator[None]:
    """Ends the processes when all is done."""
    yield
    _discard(pytestconfig)


@pytest.fixture
def pair(
    ldk_package: None,
    last_pair: None,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Pair:
    """Both nodes, running, funded and connected."""
    if PAIR not in pytestconfig.stash:
        pytestconfig.stash[PAIR] = Pair(tmp_path_factory.mktemp("ldk"))
    return pytestconfig.stash[PAIR]


def _discard(config: pytest.Config) -> None:
    if PAIR in config.stash:
        config.stash[PAIR].close()
        del config.stash[PAIR]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed scenario shows what both sides said last; what it leaves behind is thrown away."""
    report = yield
    pair = item.config.stash.get(PAIR, None)
    if report.failed and pair is not None:
        for name, program in (("LDK", pair.ldk), ("our daemon", pair.daemon)):
            report.sections.append((f"{name}: {program.log}", program.log_tail()))
        _discard(item.config)
    return report
