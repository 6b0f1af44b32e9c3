"""An environment of its own for Core Lightning's Python client: it never enters ours."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Final

PINNED: Final = "pyln-client==26.6.9"
INSTALL_SECONDS: Final = 300.0


class PylnUnavailable(Exception):
    """This machine cannot install pyln-client; the message says what is missing."""


def install_pyln(place: Path) -> Path:
    """Make the environment under `place`, once, whoever asks first; the path of its Python.

    Raises `PylnUnavailable` with pip's own words.
    """
    environment = place / PINNED
    python = environment / "bin" / "python"
    with (place / f"{PINNED}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held by this file until it is closed
        # pip installs in place: only the stamp, written last, says that it is whole.
        stamp = environment / ".installed"
        if not stamp.exists():
            _run(sys.executable, "-m", "venv", "--clear", str(environment))
            _run(str(python), "-m", "pip", "install", "--disable-pip-version-check", PINNED)
            stamp.touch()
    return python


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise PylnUnavailable(f"{PINNED} was not installed in time") from None
    if done.returncode != 0:
        last_words = (done.stderr or done.stdout).strip().splitlines()[-2:]
        raise PylnUnavailable(f"pip could not install {PINNED}: {' '.join(last_words)}")
