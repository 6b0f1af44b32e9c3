"""The town's programs: `leyden` itself, several times, each with a log of its own.

A program runs in a session of its own, so that Ctrl-C reaches only the demo, which then stops
them in order.  Should the demo be killed, the keeper stops them.
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

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_LAST_WORDS: Final = 400


def _environment() -> dict[str, str]:
    """Ours, with this very package first: the demo must not start another leyden."""
    home = str(Path(wallet.__file__).resolve().parents[1])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{others}" if others else home}


def _command(module: str, *words: str) -> list[str]:
    # -P: a folder called `wallet` where the user happens to stand is not our package.
    return [sys.executable, "-P", "-m", module, *words]


def run_once(*words: str) -> str:
    """Run `leyden WORDS…` to its end and return what it printed; raises `ServiceFault`."""
    done = subprocess.run(  # noqa: S603
        _command("wallet", *words),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceFault(f"leyden {words[0]}: {done.stderr.strip()[-_LAST_WORDS:]}")
    return done.stdout


class Keeper:
    """The process of keeper.py, and our end of its pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            _command(keeper.__name__),
            env=_environment(),
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

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
    """`leyden WORDS…` in the background, which prints one JSON line when it is ready."""

    def __init__(self, name: str, words: list[str], log: Path, keeper: Keeper) -> None:
        self.name = name
        self._log = log
        self._keeper = keeper
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                _command("wallet", *words),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        keeper.note("+", self._process.pid)

    @property
    def pid(self) -> int:
        """The system's number for it."""
        return self._process.pid

    def ready(self) -> dict[str, Any]:
        """Wait for the ready line; raises `ServiceFault` if the program ends or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        line = b""
        stdout = self._process.stdout
        while stdout is not None and not line.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([stdout], [], [], left)[0]:
                raise ServiceFault(f"{self.name} did not start in {_START_SECONDS:.0f} s")
            data = os.read(stdout.fileno(), 4096)
            if not data:
                raise ServiceFault(f"{self.name} did not start: {self._last_words()}")
            line += data
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return text[-_LAST_WORDS:] or "it said nothing"

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as if the power had failed; returns when it is gone."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Until it has ended (by force if it does not hurry); its exit code."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._keeper.note("-", self._process.pid)
        return self._process.returncode
