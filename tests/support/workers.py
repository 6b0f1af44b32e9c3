"""How several processes share one run of the whole suite (pytest-xdist).

A file stays in one process, so what its tests share is made once. The files of `CROWDED` share
one process: each fills the machine with programs of its own, and no two may do so at once.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

MANY_FILES = 30
"""From so many files on, workers bring more than their start costs."""
CROWDED = (
    "tests/interop/",
    "tests/faces/test_demo",
    "tests/node/test_sigkill.py",
    "tests/node/test_siege.py",
    "tests/node/test_power_cut",
    "tests/node/test_onchain.py",
    "tests/node/test_hostile_",
)
LATE = ("tests/architecture/", "tests/base/", "tests/vectors/")
"""Short files fill what is left when the long ones are done."""


def worker_count(config: pytest.Config) -> int:
    """One more than there are cores, for a quarter of the time is waiting; 0 for a few files."""
    option = config.option
    if option.keyword or option.collectonly or len(files(config.args)) < MANY_FILES:
        return 0
    return (os.cpu_count() or 1) + 1


def files(arguments: Iterable[str]) -> set[Path]:
    """The test files that the arguments of a command line name."""
    found: set[Path] = set()
    for argument in arguments:
        path = Path(argument.partition("::")[0])
        found |= set(path.rglob("test_*.py")) if path.is_dir() else {path}
    return found


def order(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: (not item.nodeid.startswith(CROWDED), item.nodeid.startswith(LATE)))


class Scheduling(LoadScopeScheduling):
    """By file, but the crowded ones are one piece of work."""

    def _split_scope(self, nodeid: str) -> str:
        return "crowded" if nodeid.startswith(CROWDED) else nodeid.partition("::")[0]
