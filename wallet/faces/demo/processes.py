"""Processes of this machine by number, also those that are nobody's children any more."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LOOK_AGAIN_SECONDS: Final = 0.02


def command_line(pid: int) -> str:
    """How a living process was started; nothing when there is none (a zombie is none)."""
    if (_PROC / "self").exists():  # Linux, where `ps` may be missing.
        with contextlib.suppress(OSError):
            return (_PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
        return ""
    words = ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    state, _, line = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else line


def of_town(pids: Iterable[int], directory: Path) -> list[int]:
    """Those that still run and have `directory` in their command line.

    A number alone proves nothing: the system gives it to another process once ours has ended.
    """
    marks = (f" {directory} ", f" {directory}/")
    lines = {pid: f"{command_line(pid)} " for pid in pids}
    return [pid for pid, line in lines.items() if any(mark in line for mark in marks)]


def send(pid: int, number: signal.Signals) -> None:
    """A signal, if the process is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end(pids: Iterable[int], directory: Path, seconds: float) -> None:
    """Ask the town's processes among `pids` to stop; after `seconds` they are killed."""
    pids = list(pids)
    for pid in of_town(pids, directory):
        send(pid, signal.SIGTERM)
        # A frozen one would never hear of it.
        send(pid, signal.SIGCONT)
    deadline = time.monotonic() + seconds
    while left := of_town(pids, directory):
        if time.monotonic() > deadline:
            for pid in left:
                send(pid, signal.SIGKILL)
        time.sleep(_LOOK_AGAIN_SECONDS)
