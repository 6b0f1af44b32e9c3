"""The town's programs and how they end.

Each runs in a session of its own, so that Ctrl-C reaches only the demo, which then stops them in
order.  Should the demo be killed, the keeper stops them.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import wallet
from wallet.base.errors import ServiceFault
from wallet.faces.demo import keeper

START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_LAST_WORDS: Final = 400


def environment() -> dict[str, str]:
    """Ours, with this very package first: the demo must not start another leyden."""
    home = str(Path(wallet.__file__).resolve().parents[1])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{others}" if others else home}


def command(module: str, *words: str) -> list[str]:
    """The command line that runs a module of ours."""
    # -P: a folder called `wallet` where the user happens to stand is not our package.
    return [sys.executable, "-P", "-m", module, *words]


def last_words(log: Path) -> str:
    """The end of a log, for the sentence that tells why its program ended."""
    text = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
    return text[-_LAST_WORDS:] or "it said nothing"


class Keeper:
    """The process of keeper.py, and our end of its pipe."""

    def __init__(self, directory: Path) -> None:
        # The directory is not read there: it tells one town's processes from another's.
        self._process = subprocess.Popen(  # noqa: S603
            command(keeper.__name__, str(directory)),
            env=environment(),
            stdin=subprocess.PIPE,
            # Not ours: who reads them to their end would wait for the town's end.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._process.pid

    def note(self, sign: str, pid: int) -> None:
        """Tell it that a program runs (`+`) or has ended (`-`)."""
        if self._process.stdin is not None:
            # Should it be gone itself, the town still runs and is still stopped in order.
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), f"{sign}{pid}\n".encode())

    def dismiss(self) -> None:
        """Let it go: it stops what still runs."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


class Program:
    """A program in the background, which prints JSON lines: the first when it is ready."""

    def __init__(self, name: str, words: list[str], log: Path, keeper: Keeper) -> None:
        """Run the command line `words`; what it says on stderr goes to `log`."""
        self.name = name
        self._log = log
        self._keeper = keeper
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                words,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        keeper.note("+", self._process.pid)

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def write(self, line: str) -> None:
        """A line to its standard input; raises `ServiceFault` when it is gone."""
        try:
            if self._process.stdin is not None:
                os.write(self._process.stdin.fileno(), line.encode() + b"\n")
        except OSError:
            raise ServiceFault(f"{self.name} has ended: {last_words(self._log)}") from None

    def read(self) -> bytes:
        """What it has printed since; waits for it. Nothing when it has closed its output."""
        stdout = self._process.stdout
        return b"" if stdout is None else os.read(stdout.fileno(), 1 << 16)

    def ready(self) -> dict[str, Any]:
        """Wait for the ready line; raises `ServiceFault` if the program ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        line = b""
        stdout = self._process.stdout
        while stdout is not None and not line.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([stdout], [], [], left)[0]:
                raise ServiceFault(f"{self.name} did not start in {START_SECONDS:.0f} s")
            data = self.read()
            if not data:
                raise ServiceFault(f"{self.name} did not start: {last_words(self._log)}")
            line += data
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Until it has ended (by force if it does not hurry); its exit code."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._keeper.note("-", self._process.pid)
        return self._process.returncode
