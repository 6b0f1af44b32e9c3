"""What every test may use, and what the run says at its end."""

import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist import is_xdist_worker
from xdist.remote import Producer
from xdist.workermanage import WorkerController

from tests.support import workers
from tests.support.kernel_engine import VERIFIED, tally
from tests.support.regtest_node import TestClock

# How long an example takes says more about the neighbours on this machine than about the code.
settings.register_profile(
    "shared cores", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared cores")

# A shell that starts the run in the background has it ignore SIGINT, and so would every program
# that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` means."""
    return workers.worker_count(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> workers.Scheduling:
    """Who runs what."""
    return workers.Scheduling(config, log)


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """In which order."""
    if is_xdist_worker(session):
        workers.order(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over its tally."""
    if is_xdist_worker(session):
        session.config.workeroutput["verified"] = dict(VERIFIED)  # type: ignore[attr-defined]


def pytest_testnodedown(node: WorkerController) -> None:
    """Whoever runs the workers adds it to its own; a worker that crashed has none."""
    VERIFIED.update(getattr(node, "workeroutput", {}).get("verified", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why something did not run, what was measured, how much Bitcoin Core's code found valid.

    The reports of all tests are here, whichever process ran them.
    """
    reports = terminalreporter.stats
    reasons = {str(report.longrepr[2]) for report in reports.get("skipped", ())}
    measured = [told for report in reports.get("passed", ()) for told in report.user_properties]
    for reason in sorted(reasons):
        terminalreporter.write_line(reason.removeprefix("Skipped: "))
    for _, figure in measured:
        terminalreporter.write_line(str(figure))
    if (line := tally()) is not None:
        terminalreporter.write_line(line)


@pytest.fixture
def clock() -> TestClock:
    """Stands still at the real time: the kernel refuses blocks two hours ahead of it."""
    return TestClock(float(int(time.time())))


@pytest.fixture
def chain_directory(tmp_path: Path) -> Path:
    """A directory for an embedded chain."""
    return tmp_path / "chain"
