"""Our own programs as child processes: the embedded chain and the daemon.

Both are started as a script would start them and asked through their own interfaces: Core's
JSON-RPC for the chain, the unix socket with Core Lightning's methods for the daemon.
"""

import base64
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.chains import REGTEST
from wallet.faces.rpc.client import call

Answer = TypeVar("Answer")

START_SECONDS = 15.0
ANSWER_SECONDS = 15.0
# The states of a channel, in Core Lightning's words, that nobody has begun to close.
OPEN_STATES = {"OPENINGD", "CHANNELD_AWAITING_LOCKIN", "CHANNELD_NORMAL"}
# Mined coins go here unless a test wants them: a P2WPKH script that nobody has a key for.
NOBODY = encode_address(bytes([0x00, 0x14]) + bytes(20), REGTEST)


class ChainRefused(Exception):
    """The chain answered a call with an error."""


def wait_for(
    ask: Callable[[], Answer | None], what: str, seconds: float = ANSWER_SECONDS
) -> Answer:
    """Ask until the answer is truthy and return it; an AssertionError says what never came."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
    return answer


class Program:
    """One `python -m wallet …` in the foreground, its words in `<directory>/<name>.log`."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.log = directory / f"{name}.log"
        self.process: subprocess.Popen[str] | None = None

    def launch(self, *arguments: str) -> "subprocess.Popen[str]":
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wallet", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self.process

    def kill(self) -> None:
        """SIGKILL."""
        self._end("kill")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help in time."""
        self._end("terminate")

    def log_tail(self, lines: int = 40) -> str:
        if not self.log.exists():
            return "(it said nothing)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _end(self, how: str) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        getattr(process, how)()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


class EmbeddedChain(Program):
    """`leyden regtest` on a port of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "chain")
        self.cookie = directory / "regtest" / ".cookie"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.cookie.unlink(missing_ok=True)
        process = self.launch("regtest", "--dir", str(self.directory), "--rpc-port", str(self.port))

        def serves() -> bool:
            assert process.poll() is None, f"the chain ended:\n{self.log_tail()}"
            try:
                return self.cookie.exists() and int(self.rpc("getblockcount")) >= 0
            except (OSError, http.client.HTTPException):
                return False

        wait_for(serves, "the chain's RPC", START_SECONDS)

    def rpc(self, method: str, *params: object) -> Any:
        """One call, one connection. Raises ChainRefused with the chain's words."""
        login = base64.b64encode(self.cookie.read_bytes().strip()).decode()
        body = json.dumps({"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", "/", body, {"Authorization": f"Basic {login}"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if answer["error"] is not None:
            raise ChainRefused(f"{method}: {answer['error']}")
        return answer["result"]

    def mine(self, blocks: int = 1, address: str = NOBODY) -> int:
        """Mine, and return the new height."""
        self.rpc("generatetoaddress", blocks, address)
        return int(self.rpc("getblockcount"))


class Daemon(Program):
    """`leyden daemon` on that chain. `start`, then methods by `call`; `kill` and `start` again."""

    def __init__(self, directory: Path, chain: EmbeddedChain) -> None:
        super().__init__(directory, "daemon")
        self.chain = chain
        self.node_id = ""
        self.port = 0
        self.socket = directory / "regtest" / "lightning-rpc"

    def create(self) -> None:
        """`leyden init`, unencrypted."""
        where = ("--dir", str(self.directory), "--network", "regtest")
        made = subprocess.run(
            [sys.executable, "-m", "wallet", "init", *where, "--no-encryption", "--json"],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start, wait for the line that says it serves, and keep the port across restarts."""
        process = self.launch(
            *("daemon", "--dir", str(self.directory), "--network", "regtest"),
            *("--chain", self.chain.url, "--chain-cookie", str(self.chain.cookie)),
            *("--listen", f"127.0.0.1:{self.port}"),
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, f"the daemon did not start:\n{self.log_tail()}"
        ready = json.loads(first)
        assert ready["ready"] is True
        self.node_id, self.socket = ready["id"], Path(ready["rpc-file"])
        self.port = int(str(ready["listen"]).rpartition(":")[2])

    def call(self, method: str, *, timeout: float = ANSWER_SECONDS, **params: object) -> Any:
        """One RPC method. Raises the client's RpcError with the daemon's code."""
        return call(self.socket, method, params, timeout=timeout)

    def channels(self) -> list[dict[str, Any]]:
        return list(self.call("listpeerchannels")["channels"])

    def channel(self) -> dict[str, Any]:
        """The one channel that is not closing."""
        [channel] = [c for c in self.channels() if c["state"] in OPEN_STATES]
        return channel
