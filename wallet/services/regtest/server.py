"""The embedded chain as a server: JSON-RPC over HTTP/1.1 on loopback, with Core's cookie.

`serve` runs until it is told to stop; nothing listens on any other address than 127.0.0.1, and
nobody is answered without the cookie, so that neither another user nor a web page gets in.
"""

import asyncio
import base64
import errno
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import h11

from wallet.base.errors import Refused
from wallet.services.regtest import chain_methods, node_methods, submit_methods, tx_methods
from wallet.services.regtest.context import Context
from wallet.services.regtest.json_text import dumps, loads
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.rpc import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, answer

# The files of methods fill the table by being imported.
__all__ = ["chain_methods", "node_methods", "serve", "submit_methods", "tx_methods"]

HOST: Final = "127.0.0.1"
COOKIE_USER: Final = "__cookie__"
WHERE: Final = "rpc.json"
"""In the chain's directory: the ready line's `url` and `cookie`, while it serves."""

_MAX_BODY: Final = 32 << 20
_CHUNK: Final = 1 << 16
_CHECK_CLIENT_SECONDS: Final = 5.0
_JSON_HEADERS: Final = [("Content-Type", "application/json")]
_STATUS_OF_ERROR: Final = {INVALID_REQUEST: 400, METHOD_NOT_FOUND: 404}


class _SystemClock:
    """Unix time of this machine."""

    def now(self) -> float:
        return time.time_ns() / 1e9


async def serve(
    directory: Path,
    rpc_port: int,
    *,
    ready: Callable[[dict[str, Any]], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve the chain of `directory`/regtest until `stop` is set or RPC `stop` is called.

    `rpc_port` 0 lets the system choose. `ready` is told once where we listen:
    `{"ready": True, "url": ..., "cookie": path, "height": n}`.  Whoever comes later reads url and
    cookie in `WHERE`, which a killed server leaves behind.
    Raises `Refused` when another process has the directory, or the port is taken.
    """
    home = directory / "regtest"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    node = Regtest(home / "chain", _SystemClock())
    cookie, where = home / ".cookie", home / "chain" / WHERE
    try:
        context = Context(node, stop or asyncio.Event())
        secret = _write_cookie(cookie)
        server = _Server(context, secret)
        listener = await _listen(server, rpc_port)
        port = listener.sockets[0].getsockname()[1]
        place = {"url": f"http://{HOST}:{port}", "cookie": str(cookie.absolute())}
        _write(where, dumps(place))
        ready({"ready": True, **place, "height": node.chain.height})
        await context.stop.wait()
        listener.close()
        await server.finish()
        where.unlink(missing_ok=True)
        cookie.unlink(missing_ok=True)
    finally:
        node.close()


async def _listen(server: "_Server", port: int) -> asyncio.Server:
    try:
        return await asyncio.start_server(server.client, HOST, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Refused(
            f"port {port} on {HOST} is taken; choose another with --rpc-port "
            "(or none: the system finds a free one)"
        ) from None


def _write_cookie(path: Path) -> str:
    """Write a fresh cookie where Core has it; returns its content."""
    content = f"{COOKIE_USER}:{secrets.token_hex(32)}"
    _write(path, content)
    return content


def _write(path: Path, content: str) -> None:
    """Wholly or not at all, readable by its owner only."""
    fresh = path.with_name(path.name + ".tmp")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    fresh.replace(path)


class _Server:
    """HTTP connections to one context."""

    def __init__(self, context: Context, secret: str) -> None:
        self._context = context
        self._authorization = b"Basic " + base64.b64encode(secret.encode())
        self._clients: set[asyncio.Task[None]] = set()

    async def finish(self) -> None:
        """Let answers that are on their way leave (long polls end with `stop`), then hang up."""
        if self._clients:
            await asyncio.wait(self._clients, timeout=0.2)
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side closes it."""
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            await self._converse(reader, writer)
        except (OSError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass  # The client is gone or speaks nonsense, or we are stopping: hang up.
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request, body = await _receive(connection, reader, writer)
            if request is None:
                return
            status, headers, payload = await self._respond(request, body, reader)
            headers = [*headers, ("Content-Length", str(len(payload)))]
            response = h11.Response(status_code=status, headers=headers)
            writer.write(connection.send(response) or b"")
            writer.write(connection.send(h11.Data(data=payload)) or b"")
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            if connection.our_state is not h11.DONE or self._context.stop.is_set():
                return
            connection.start_next_cycle()

    async def _respond(
        self, request: h11.Request, body: bytes | None, reader: asyncio.StreamReader
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        if request.method != b"POST":
            return 405, [("Allow", "POST")], b"JSONRPC server handles only POST requests"
        offered = dict(request.headers).get(b"authorization", b"")
        if not hmac.compare_digest(offered, self._authorization):
            return 401, [("WWW-Authenticate", 'Basic realm="jsonrpc"')], b""
        if body is None:
            return 413, [], b""
        call = asyncio.create_task(self._answer(body))
        try:
            # A long poll whose client has hung up would otherwise wait for ever.
            while not (await asyncio.wait({call}, timeout=_CHECK_CLIENT_SECONDS))[0]:
                if reader.at_eof():
                    raise ConnectionResetError
            return await call
        finally:
            call.cancel()

    async def _answer(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        try:
            request = loads(body)
        except (ValueError, RecursionError):
            request = None
        if isinstance(request, list):
            answers = [await answer(self._context, item) for item in request]
            kept = [a for a in answers if a is not None]
            if not kept and request:
                return 204, [], b""
            return 200, _JSON_HEADERS, _text(kept)
        if not isinstance(request, dict):
            words = "Parse error" if request is None else "Top-level object parse error"
            error = {"code": PARSE_ERROR, "message": words}
            return 500, _JSON_HEADERS, _text({"result": None, "error": error, "id": None})
        reply = await answer(self._context, request)
        if reply is None:
            return 204, [], b""
        # Core: JSON-RPC 2.0 keeps HTTP out of it, 1.0 says failures with the status too.
        failed = None if "jsonrpc" in reply else reply["error"]
        status = _STATUS_OF_ERROR.get(failed["code"], 500) if failed else 200
        return status, _JSON_HEADERS, _text(reply)


async def _receive(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[h11.Request | None, bytes | None]:
    """The next request and its body (None: too large); no request: the client has closed."""
    request: h11.Request | None = None
    body = bytearray()
    too_large = False
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    writer.write(connection.send(go_on) or b"")
                connection.receive_data(await reader.read(_CHUNK))
            case h11.Request():
                request = event
            case h11.Data():
                too_large = too_large or len(body) + len(event.data) > _MAX_BODY
                if not too_large:
                    body += event.data
            case h11.EndOfMessage():
                return request, None if too_large else bytes(body)
            case _:
                return None, None


def _text(value: Any) -> bytes:
    return dumps(value).encode() + b"\n"
