"""`leyden` as people and scripts run it: in a pseudo-terminal that answers, or in a pipe."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LEYDEN = (sys.executable, "-m", "wallet")
_QUESTION = re.compile(r"to stop: $")


def environment(**more: str) -> dict[str, str]:
    """The test's own, without what would change the output."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LEYDEN_")}
    plain = {"TZ": "UTC", "TERM": "xterm-256color", "COLUMNS": "100", "PYTHONUTF8": "1"}
    return {**kept, **plain, "NO_COLOR": "1", **more}


def piped(
    socket: Path, *words: str, stdin: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Without a terminal; `stdin` None is /dev/null."""
    return subprocess.run(
        [*LEYDEN, "--rpc-file", str(socket), *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(**env),
        **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
    )


def answer(socket: Path, *words: str, **env: str) -> Any:
    """The JSON of a call that must succeed and say nothing else."""
    done = piped(socket, *words, **env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return json.loads(done.stdout)


def typed(socket: Path, *words: str, answers: tuple[str, ...] = (), **env: str) -> tuple[int, str]:
    """On a terminal; each question is answered with the next line. Exit code and what was seen."""
    control, terminal = pty.openpty()
    process = subprocess.Popen(
        [*LEYDEN, "--rpc-file", str(socket), *words],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(**env),
        start_new_session=True,
    )
    os.close(terminal)
    seen, pending = b"", list(answers)
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if not select.select([control], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(control, 65_536)
            except OSError:
                break  # Linux says so when the last one has closed the terminal
            if not data:
                break
            seen += data
            if pending and _QUESTION.search(seen.decode(errors="replace")):
                os.write(control, pending.pop(0).encode() + b"\n")
        return process.wait(timeout=60), seen.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(control)
