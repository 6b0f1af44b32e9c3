"""An HTTP server whose every answer a test decides, down to the bytes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Answer = bytes | None
"""Raw bytes of an answer; empty hangs up, None never answers."""


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    """A well-formed answer."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def result(request: Any, value: object, **members: object) -> bytes:
    """A JSON-RPC answer to a single request."""
    return http(
        json.dumps({"result": value, "error": None, "id": request["id"], **members}).encode()
    )


class ScriptedServer:
    """Counts connections and keeps the requests; `script` gets each request's JSON."""

    def __init__(self, script: Callable[[Any], Answer]) -> None:
        self.script = script
        self.connections = 0
        self.requests: list[Any] = []
        self.authorizations: list[str] = []
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cut_all(self) -> None:
        """Cut every connection."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
                self.authorizations.append(fields["Authorization"])
                request = json.loads(await reader.readexactly(int(fields["Content-Length"])))
                self.requests.append(request)
                answer = self.script(request)
                if answer is None:
                    await asyncio.Event().wait()
                elif not answer:
                    break
                else:
                    writer.write(answer)
                    await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def scripted(script: Callable[[Any], Answer]) -> AsyncIterator[ScriptedServer]:
    """A server on loopback for the time of a test."""
    served = ScriptedServer(script)
    server = await asyncio.start_server(served.accepted, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        served.cut_all()
        await asyncio.sleep(0)
