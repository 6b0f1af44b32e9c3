"""A small client for the socket, ours or a Core Lightning node's. Standard library only.

The command line starts with this file, so nothing heavy may be imported here: no asyncio, no
dataclasses.  One connection per call, as Core Lightning's own clients do.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from wallet.base.errors import Refused, WalletError
from wallet.faces.rpc.paths import socket_address

Params = dict[str, Any] | list[Any]

_READ_BYTES: Final = 1 << 16
_END_OF_ANSWER: Final = b"\n\n"


class RpcError(WalletError):
    """The daemon answered with an error: Core Lightning's code and a sentence."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", error)))
        self.error = error
        self.code = int(error.get("code", -1))


class Unreachable(WalletError):
    """Nobody serves the socket. Nothing was sent."""


class ConnectionLost(WalletError):
    """The request may have been received, the answer was not: its outcome is open."""


class TimedOut(ConnectionLost):
    """The caller's own patience ended before the answer came."""


class Interrupted(ConnectionLost):
    """Ctrl-C after the request had been sent. It goes on in the daemon."""


class Asked:
    """A request that was sent and whose answer is read later: a context, which hangs up at its end.

    It has a `fileno`, so that several can be waited for at once.  What hung up on only waits ends
    in the daemon; what moves money goes on there.
    """

    def __init__(self, path: Path, request: dict[str, Any], timeout: float | None = None) -> None:
        """Send it. `timeout` is in seconds. Raises `Unreachable`, `ConnectionLost`."""
        self._id = request.get("id")
        self._connected = _connect(path, timeout)
        try:
            with _open_outcome():
                self._connected.sendall(json.dumps(request).encode())
        except BaseException:
            self._connected.close()
            raise

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, *_: object) -> None:
        self._connected.close()

    def fileno(self) -> int:
        """Of the socket: it is readable when the answer comes."""
        return self._connected.fileno()

    def result(self) -> Any:
        """The answer's result. Raises `RpcError`, `ConnectionLost`."""
        with _open_outcome():
            return _result(_receive(self._connected, self._id))


def request_of(
    method: str, params: Params | None = None, answer_filter: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The request object of a call."""
    request: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": f"leyden:{method}#{os.getpid()}",
        "method": method,
        "params": {} if params is None else params,
    }
    return request if answer_filter is None else {**request, "filter": answer_filter}


def call(
    path: Path,
    method: str,
    params: Params | None = None,
    *,
    answer_filter: dict[str, Any] | None = None,
    timeout: float | None = None,
) -> Any:
    """Call `method` at the socket `path` and return its result.

    `timeout` is in seconds and covers each wait for the daemon; None waits for ever.  Raises
    `RpcError`, `Unreachable` or `ConnectionLost` (`TimedOut`, `Interrupted`).
    """
    return _result(exchange(path, request_of(method, params, answer_filter), timeout=timeout))


def exchange(
    path: Path, request: dict[str, Any], *, timeout: float | None = None
) -> dict[str, Any]:
    """Send one request object as it is and return the whole answer object that has its `id`.

    Raises as `call` does, but an `error` is returned and not raised.
    """
    # Not by `Asked`: here no instant lies outside between sending and reading.
    with _connect(path, timeout) as connected, _open_outcome():
        connected.sendall(json.dumps(request).encode())
        return _receive(connected, request.get("id"))


def _result(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise RpcError(answer["error"])
    return answer.get("result")


@contextmanager
def _open_outcome() -> Iterator[None]:
    """From the first byte sent on, whatever breaks leaves the outcome open."""
    try:
        yield
    except TimeoutError:
        raise TimedOut("no answer in time; the request goes on in the daemon") from None
    except KeyboardInterrupt:
        raise Interrupted("detached; the request goes on in the daemon") from None
    except OSError as error:
        raise ConnectionLost(f"the connection broke: {error.strerror or error}") from None


def _connect(path: Path, timeout: float | None) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(timeout)
        with socket_address(path) as address:
            connected.connect(address)
    except (OSError, Refused) as error:
        connected.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Unreachable(f"no daemon at {path}: {reason}") from None
    return connected


def _receive(connected: socket.socket, request_id: object) -> dict[str, Any]:
    """Read until the answer with our id; notifications and others' answers are passed over."""
    pending = bytearray()
    searched = 0
    while True:
        end = pending.find(_END_OF_ANSWER, searched)
        if end < 0:
            # The mark may be cut in two by a read, so its first half is searched again.
            searched = max(0, len(pending) - 1)
            data = connected.recv(_READ_BYTES)
            if not data:
                raise ConnectionLost("the daemon closed the connection without an answer")
            pending += data
            continue
        text = bytes(pending[:end])
        del pending[: end + len(_END_OF_ANSWER)]
        searched = 0
        try:
            answer = json.loads(text)
        except ValueError:
            raise ConnectionLost("the answer is not JSON") from None
        if isinstance(answer, dict) and _is_for(answer, request_id):
            return answer


def _is_for(answer: dict[str, Any], request_id: object) -> bool:
    """Whether it has our id, or is an error about the stream, which has none; no notification."""
    if "method" in answer:
        return False
    return answer.get("id") == request_id or (answer.get("id") is None and "error" in answer)
