"""The daemon's socket: Core Lightning's transport rules over any table of methods.

A request is one JSON object; several may follow each other without waiting, answers come as they
finish, each matched by its `id` and ended by an empty line.  Every exception of a method becomes
an `error` answer (faults.py); a stream that is not JSON gets a last answer and is closed.
"""

import asyncio
import json
import logging
import os
import select
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from wallet.base.errors import DecodeError, Refused
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.faults import error_answer
from wallet.faces.rpc.filters import apply_filter, check_filter
from wallet.faces.rpc.framing import JsonSplitter
from wallet.faces.rpc.notices import Caller, Switch, answering
from wallet.faces.rpc.paths import socket_address
from wallet.faces.rpc.table import Answer, Method, MethodTable

A = TypeVar("A")

_log: Final = logging.getLogger(__name__)
_READ_BYTES: Final = 1 << 16
_BACKLOG: Final = 128
_HANGUP_CHECK_SECONDS: Final = 0.5
MAX_PENDING_PER_CONNECTION: Final = 256
"""A caller with this many unanswered requests is read no further until one is answered."""


class RpcServer(Generic[A]):
    """Serves `methods` over `api` at a unix socket; `locked` says whether the wallet is locked."""

    def __init__(
        self, methods: MethodTable[A], api: A, locked: Callable[[], bool] = lambda: False
    ) -> None:
        self._methods = methods
        self._api = api
        self._locked = locked
        self._connections: set[asyncio.Task[None]] = set()
        self._held = ExitStack()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path) -> None:
        """Listen at `path`, mode 0600; a dead server's leftover socket is replaced.

        Raises `Refused` when another server answers there, when the path holds another kind of
        file, or is too long for this system; `OSError` when the directory cannot be written.
        """
        with ExitStack() as stack:
            listener = _open_listener(path, stack)
            self._server = await asyncio.start_unix_server(
                self._serve_connection, sock=listener, backlog=_BACKLOG
            )
            self._held = stack.pop_all()

    async def close(self) -> None:
        """Stop listening, drop every connection and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._held.close()
        self._server = None

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None:  # asyncio always runs this callback as a task
            return
        self._connections.add(task)
        try:
            await _Connection(self._methods, self._api, self._locked, reader, writer).run()
        except (ConnectionError, asyncio.CancelledError):
            # The caller hung up, or the server closes. Cancellation ends here: this task has no
            # awaiter but `close`, and asyncio would report it as an unhandled exception.
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()


class _Connection(Generic[A]):
    """One caller: reads requests, runs each as a task, writes answers as they finish."""

    def __init__(
        self,
        methods: MethodTable[A],
        api: A,
        locked: Callable[[], bool],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._methods = methods
        self._api = api
        self._locked = locked
        self._reader = reader
        self._writer = writer
        self._pending: dict[asyncio.Task[None], bool] = {}
        """Each running request, and whether it may be abandoned."""
        self._switch = Switch()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            # A caller that hangs up must not cancel what may have moved money.
            with suppress(ConnectionError):
                await self._read_requests(tasks)
            await self._until_pending_below(1)
        with suppress(ConnectionError):
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()

    async def _read_requests(self, tasks: asyncio.TaskGroup) -> None:
        splitter = JsonSplitter()
        while data := await self._reader.read(_READ_BYTES):
            try:
                for text in splitter.feed(data):
                    await self._until_pending_below(MAX_PENDING_PER_CONNECTION)
                    self._start(tasks, _Request.parse(text))
            except DecodeError as fault:
                self._write_error(None, _invalid_request(str(fault)))
                return
            # Answers that nobody reads must not pile up: read on only when they flow.
            await self._writer.drain()

    def _start(self, tasks: asyncio.TaskGroup, request: "_Request") -> None:
        method: Method[A] | None = None
        with suppress(Refused):
            method = self._methods.find(request.method)
        task = tasks.create_task(self._answer(request))
        self._pending[task] = method is not None and method.waits
        task.add_done_callback(self._pending.pop)

    async def _until_pending_below(self, limit: int) -> None:
        while len(self._pending) >= limit:
            if self._hung_up():
                for task, may_be_abandoned in self._pending.items():
                    if may_be_abandoned:
                        task.cancel()
            await asyncio.wait(
                set(self._pending),
                timeout=_HANGUP_CHECK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )

    def _hung_up(self) -> bool:
        """Whether the caller is gone. One that only ended its sending still listens."""
        connected: socket.socket = self._writer.get_extra_info("socket")
        if connected.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(connected.fileno(), 0)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    async def _answer(self, request: "_Request") -> None:
        answering(Caller(request.id, self._switch, self._notify))
        try:
            result = await self._result(request)
        except Exception as fault:  # the one place where a method's exception becomes an answer
            self._write_error(request.id, error_answer(fault))
        else:
            self._write(request.id, "result", result)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def _result(self, request: "_Request") -> Answer:
        if request.fault is not None:
            raise request.fault
        method = self._methods.find(request.method)
        if self._locked() and not method.allowed_when_locked:
            raise Refused("the wallet is locked: unlock it first (leyden unlock)", Code.LOCKED)
        args = self._methods.read_params(method, request.params)
        if request.filter is not None:
            check_filter(request.filter)
        result = await method.handler(self._api, args)
        if isinstance(request.filter, dict):
            result = apply_filter(result, request.filter)
        return result

    def _write_error(self, request_id: object, error: Answer) -> None:
        self._write(request_id, "error", error)

    def _notify(self, method: str, params: Answer) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _write(self, request_id: object, kind: str, value: Answer) -> None:
        self._send({"jsonrpc": "2.0", "id": request_id, kind: value})

    def _send(self, value: Answer) -> None:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        if not self._writer.is_closing():
            self._writer.write(text.encode() + b"\n\n")


class _Request:
    """A request's members, or the fault that makes it none."""

    __slots__ = ("fault", "filter", "id", "method", "params")

    def __init__(self, fault: Refused | None = None) -> None:
        self.id: object = None
        self.method: object = None
        self.params: object = None
        self.filter: object = None
        self.fault = fault

    @classmethod
    def parse(cls, text: bytes) -> "_Request":
        """Never raises a `Refused`: it is kept for the answer. `DecodeError` ends the stream."""
        try:
            value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_members)
        except Refused as fault:
            return cls(fault)
        except (ValueError, RecursionError):
            raise DecodeError(f"Invalid token in json input: '{text[:100]!r}'") from None
        if not isinstance(value, dict):
            return cls(_refused("Expected {} for json command"))
        if "id" not in value:
            return cls(_refused("No id"))
        if isinstance(value["id"], dict | list):
            return cls(_refused("Expected string/primitive for id"))
        if value.get("jsonrpc") != "2.0":
            return cls(_refused('jsonrpc: "2.0" must be specified in the request'))
        request = cls()
        request.id = value["id"]
        request.method = value.get("method")
        request.params = value.get("params")
        request.filter = value.get("filter")
        if request.method is None:
            request.fault = _refused("No method")
        elif not isinstance(request.method, str):
            request.fault = _refused("Expected string for method")
        return request


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are distinct: of two amounts, nobody should guess which was meant."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _refused(f"duplicate json names: {name[:100]}")
        members[name] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refused(sentence: str) -> Refused:
    return Refused(sentence, Code.INVALID_REQUEST)


def _invalid_request(sentence: str) -> Answer:
    return {"code": int(Code.INVALID_REQUEST), "message": sentence}


def _open_listener(path: Path, stack: ExitStack) -> socket.socket:
    """A socket bound to `path`, not yet listening; `stack` undoes it, the file included."""
    # The address stays open with the server: asyncio looks it up again when it closes.
    address = stack.enter_context(socket_address(path))
    _clear_stale(path, address)
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    listener.bind(address)
    stack.callback(path.unlink, missing_ok=True)
    # Between bind and listen nobody can connect, so no umask games are needed.
    path.chmod(0o600)
    listener.setblocking(False)
    return listener


def _clear_stale(path: Path, address: str) -> None:
    """Remove a socket that nobody serves; refuse to touch anything else."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Refused(f"{path} is in the way: it is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
            return
    raise Refused(f"another daemon serves {path}")
