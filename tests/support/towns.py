"""`leyden demo` from outside: start it, ask it, and see which of its processes run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wallet.faces.rpc.client import call

NAMES = ("you", "bob", "carol", "dave", "erin", "lsp")


def start(directory: Path, *words: str) -> subprocess.Popen[str]:
    """`leyden demo` as a process of a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "wallet", "demo", "--dir", str(directory), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def demo(directory: Path, *words: str) -> Any:
    """Run an action to its end; what it printed, which has to be JSON with exit code 0."""
    process = start(directory, *words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, f"leyden demo {' '.join(words)}: {err}{out}"
    return json.loads(out)


def refusal(directory: Path, *words: str) -> tuple[int, str]:
    """The exit code of an action that does not go well, and its sentence."""
    process = start(directory, *words)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert out == ""
    return process.returncode, err


@contextlib.contextmanager
def a_town(directory: Path, *words: str) -> Iterator[dict[str, Any]]:
    """A town that is taken down at the end, whatever happened in it."""
    try:
        yield demo(directory, "up", *words)
    finally:
        demo(directory, "down")


def ask(town: dict[str, Any], node: str, method: str, **params: object) -> Any:
    """A method of one of the town's nodes."""
    return call(Path(town["nodes"][node]["rpc-file"]), method, params, timeout=60)


def ask_town(town: dict[str, Any], method: str, **params: object) -> Any:
    """A method of `town-rpc`."""
    return call(Path(town["town-rpc"]), method, params, timeout=120)


def programs(directory: Path) -> list[tuple[int, str]]:
    """Number and command line of the programs that still run with `directory` in the latter."""
    processes = Path("/proc")
    found: list[tuple[int, str]] = []
    if (processes / "self").exists():  # Linux, where `ps` may be missing.
        for path in processes.glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append((int(path.parent.name), path.read_text().replace("\0", " ")))
    else:
        done = subprocess.run(["ps", "-Aww", "-o", "pid=,args="], capture_output=True, text=True)
        rows = [line.strip().partition(" ") for line in done.stdout.splitlines()]
        found = [(int(pid), line) for pid, _, line in rows]
    return [(pid, line) for pid, line in found if str(directory) in line]


def holders(directory: Path) -> list[str]:
    """Command lines of the programs that still run."""
    return [line for _, line in programs(directory)]


def nothing_is_left(directory: Path, seconds: float = 20) -> bool:
    """Whether every program of a directory ends in time."""
    deadline = time.monotonic() + seconds
    while holders(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holders(directory) == []


def kill(*pids: int) -> None:
    """SIGKILL, to all of them before any can react: whoever is stopped sees no other die."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
