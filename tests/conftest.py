"""What every test may use, and what the run says at its end."""

import time
from pathlib import Path

import pytest

from tests.support.kernel_engine import tally
from tests.support.regtest_node import TestClock


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many transactions Bitcoin Core's consensus code has found valid."""
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
