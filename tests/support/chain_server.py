"""The embedded chain as a process of its own, and a blocking client of Core's JSON-RPC."""

import base64
import http.client
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_ROOT = Path(__file__).resolve().parents[2]


class RpcFailure(AssertionError):
    """The server answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]


class RpcClient:
    """JSON-RPC 1.0 over one kept connection."""

    def __init__(self, url: str, cookie: Path) -> None:
        where = urlsplit(url)
        self._address = (where.hostname or "", where.port or 0)
        credentials = base64.b64encode(cookie.read_bytes()).decode()
        self.headers = {"Authorization": f"Basic {credentials}"}
        self._connection = http.client.HTTPConnection(*self._address, timeout=30)

    def call(self, method: str, *params: object) -> Any:
        """The result; raises `RpcFailure`. Amounts are `Decimal`."""
        status, body = self.post(json.dumps({"id": 1, "method": method, "params": params}))
        answer = json.loads(body, parse_float=Decimal) if body else {"error": {"code": status}}
        if answer["error"] is not None:
            raise RpcFailure({"message": "", **answer["error"]})
        return answer["result"]

    def post(self, body: str | bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of a raw POST."""
        self._connection.request("POST", "/", body, self.headers if headers is None else headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class ChainServer:
    """`leyden regtest` on a directory; a context manager that always ends the process."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        """Start and wait until it serves; raises `RuntimeError` with its words if it cannot."""
        options = ["--dir", str(directory), "--rpc-port", str(port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wallet", "regtest", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, complaint = self._process.communicate()
            raise RuntimeError(complaint.strip())
        self.ready: dict[str, Any] = json.loads(line)
        self.url: str = self.ready["url"]
        self.cookie = Path(self.ready["cookie"])
        self.client = RpcClient(self.url, self.cookie)

    def call(self, method: str, *params: object) -> Any:
        """Call a method; raises `RpcFailure`."""
        return self.client.call(method, *params)

    def another_client(self) -> RpcClient:
        """A second connection (a long poll holds the first)."""
        return RpcClient(self.url, self.cookie)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; the exit code."""
        return self._end(number)

    def _end(self, number: signal.Signals) -> int:
        self.client.close()
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
