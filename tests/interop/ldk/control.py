"""A whole LDK node as a child process (`ldk_node.mjs`), driven by JSON lines.

`python -m tests.interop.ldk.control` installs what it needs and says where. LDK's own words,
every message in and out decoded, are in `<directory>/ldk.log`.
"""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OLDEST_NODE = 20
ANSWER_SECONDS = 20.0
INTEGER_FIELD = re.compile(r"(\w+): (?:Some\()?(\d+)\b")


class LdkUnavailable(Exception):
    """This machine cannot run the LDK node; the message says what is missing."""


class LdkRefused(Exception):
    """LDK (or its driver) answered a command with an error."""


def require_node() -> None:
    """Node.js and npm are there and new enough, or LdkUnavailable."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise LdkUnavailable(f"needs Node.js {OLDEST_NODE} or newer with npm; none is installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().removeprefix("v").split(".")[0]) < OLDEST_NODE:
        raise LdkUnavailable(f"needs Node.js {OLDEST_NODE} or newer; this is {version.strip()}")


def install_ldk() -> Path:
    """Install the pinned LDK package beside package.json, once, whoever asks first.

    Returns its directory; raises LdkUnavailable with npm's own words.
    """
    require_node()
    manifest = HERE / "package.json"
    with manifest.open() as package:
        fcntl.flock(package, fcntl.LOCK_EX)  # held by this file until it is closed
        dependencies: dict[str, str] = json.load(package)["dependencies"]
        [(name, version)] = dependencies.items()
        # npm unpacks in place: only the stamp, written last, says that the package is whole.
        stamp = HERE / "node_modules" / f".installed-{name}-{version}"
        if not stamp.exists():
            npm = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit"]
            done = subprocess.run(npm, cwd=HERE, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                last_words = done.stderr.strip().splitlines()[-3:]
                raise LdkUnavailable(f"npm could not install {name} {version}: {last_words}")
            stamp.touch()
    return HERE / "node_modules" / name


class LdkNode:
    """One LDK node. `start`, then commands by `call`; `kill` and `start` again as you like.

    The node keeps its keys, channels and port across restarts. Commands are those of
    `ldk_node.mjs`; amounts and names are LDK's.
    """

    def __init__(
        self,
        directory: Path,
        chain_url: str,
        chain_cookie: Path | None = None,
        *,
        config: dict[str, dict[str, Any]] | None = None,
        log_level: str = "trace",
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.log = directory / "ldk.log"
        self.node_id = ""
        self.port = 0
        self._arguments = [
            *("--datadir", str(directory), "--rpc", chain_url),
            *(("--rpc-cookie", str(chain_cookie)) if chain_cookie else ()),
            *("--log", str(self.log), "--log-level", log_level),
            *("--config", json.dumps(config or {})),
        ]
        self._process: subprocess.Popen[str] | None = None
        self._answers: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._asked = 0

    def start(self) -> dict[str, Any]:
        """Start the process and wait until it listens. Returns its first line."""
        self._process = process = subprocess.Popen(
            ["node", "ldk_node.mjs", *self._arguments, "--ln-port", str(self.port)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        if not first:
            self.kill()
            raise LdkRefused(f"the node did not start:\n{self.log_tail()}")
        ready: dict[str, Any] = json.loads(first)
        self.node_id, self.port = ready["node_id"], ready["port"]
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return ready

    def submit(self, command: str, **parameters: Any) -> "Future[Any]":
        """Send a command; its answer (or LdkRefused) arrives in the future."""
        process = self._process
        if process is None or process.stdin is None:
            raise LdkRefused("the node is not running")
        answer: Future[Any] = Future()
        with self._lock:
            self._asked += 1
            self._answers[self._asked] = answer
            line = json.dumps({"id": self._asked, "cmd": command, **parameters})
            process.stdin.write(line + "\n")
            process.stdin.flush()
        return answer

    def call(self, command: str, **parameters: Any) -> Any:
        """Send a command and return its answer. Raises LdkRefused, or TimeoutError."""
        return self.submit(command, **parameters).result(ANSWER_SECONDS)

    def channel(self) -> dict[str, Any]:
        """The one channel of this node."""
        [channel] = self.call("list_channels")
        return dict(channel)

    def kill(self) -> None:
        """SIGKILL: nothing is saved that was not saved already."""
        self._end("kill")

    def stop(self) -> None:
        """End the process in peace (SIGTERM)."""
        self._end("terminate")

    def log_tail(self, lines: int = 40) -> str:
        """The end of what LDK said, for a failure's message."""
        if not self.log.exists():
            return "(it said nothing)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def sent(self, message: str) -> list[dict[str, int]]:
        """The integer fields of each message of this type that LDK sent, oldest first.

        By the names of LDK's structs ("OpenChannel", "UpdateAddHTLC"), from the log (level trace).
        """
        return self._messages(f"Enqueueing message {message} {{")

    def received(self, message: str) -> list[dict[str, int]]:
        """The integer fields of each message of this type that LDK received, oldest first."""
        return self._messages(f"Received message {message}(")

    def _messages(self, words: str) -> list[dict[str, int]]:
        said = self.log.read_text(errors="replace").splitlines()
        return [
            {name: int(value) for name, value in INTEGER_FIELD.findall(line)}
            for line in said
            if words in line
        ]

    def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        getattr(process, how)()
        process.wait(timeout=60)
        if process.stdin is not None:
            process.stdin.close()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        """Thread: hand each answer to the one who waits for it, until the process ends."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                message = json.loads(line)
                waiting = self._answers.pop(message["id"])
                if "error" in message:
                    waiting.set_exception(LdkRefused(message["error"]))
                else:
                    waiting.set_result(message["result"])
        with self._lock:
            left, self._answers = self._answers, {}
        for waiting in left.values():
            waiting.set_exception(LdkRefused("the node ended before it answered"))


if __name__ == "__main__":
    try:
        print(install_ldk())
    except LdkUnavailable as missing:
        sys.exit(str(missing))
