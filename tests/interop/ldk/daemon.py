"""Our daemon as a child process, asked through its socket as any client would ask it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from wallet.faces.rpc.client import call

Answer = TypeVar("Answer")

START_SECONDS = 60.0
ANSWER_SECONDS = 60.0
# The states of a channel, in Core Lightning's words, that nobody has begun to close.
OPEN_STATES = {"OPENINGD", "CHANNELD_AWAITING_LOCKIN", "CHANNELD_NORMAL"}


def wait_for(
    ask: Callable[[], Answer | None], what: str, seconds: float = ANSWER_SECONDS
) -> Answer:
    """Ask until the answer is truthy and return it; an AssertionError says what never came."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
    return answer


class Daemon:
    """`leyden daemon`. `create` and `start`, then methods by `call`; `kill` and `start` again.

    Its words go to `<directory>/daemon.log`.
    """

    def __init__(
        self, directory: Path, chain_url: str, chain_cookie: Path, network: str = "regtest"
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "daemon.log"
        self.node_id = ""
        self.port = 0
        self.socket = directory / network / "lightning-rpc"
        self._where = ("--dir", str(directory), "--network", network)
        self._chain = ("--chain", chain_url, "--chain-cookie", str(chain_cookie))
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not ended by us."""
        return self._process is not None

    def create(self) -> None:
        """`leyden init`, unencrypted."""
        made = subprocess.run(
            [sys.executable, "-m", "wallet", "init", *self._where, "--no-encryption", "--json"],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start, wait for the line that says it serves, and keep the port across restarts."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start, and do not wait."""
        listen = ("--listen", f"127.0.0.1:{self.port}")
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wallet", "daemon", *self._where, *self._chain, *listen],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def wait_ready(self) -> None:
        """After `launch`: until it serves."""
        assert self._process is not None
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert first, f"the daemon did not start:\n{self.log_tail()}"
        ready = json.loads(first)
        assert ready["ready"] is True
        self.node_id, self.socket = ready["id"], Path(ready["rpc-file"])
        self.port = int(str(ready["listen"]).rpartition(":")[2])

    def call(self, method: str, *, timeout: float = ANSWER_SECONDS, **params: object) -> Any:
        """One RPC method. Raises the client's RpcError with the daemon's code."""
        return call(self.socket, method, params, timeout=timeout)

    def channel(self) -> dict[str, Any]:
        """The one channel that is not closing."""
        channels: list[dict[str, Any]] = self.call("listpeerchannels")["channels"]
        [channel] = [c for c in channels if c["state"] in OPEN_STATES]
        return channel

    def signal(self, number: int) -> None:
        """Any signal; the process must run."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        self._end("kill")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help in time."""
        self._end("terminate")

    def log_tail(self, lines: int = 40) -> str:
        """The end of what it said, for a failure's message."""
        if not self.log.exists():
            return "(it said nothing)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        getattr(process, how)()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()
