"""A core that answers from a script, at a real unix socket: fixed data, no clock, no money."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wallet.faces.rpc.framing import JsonSplitter

Reply = Any | Callable[[dict[str, Any]], Any]


class Refusal(Exception):
    """An error answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class FakeCore:
    """`replies` by method: a value, or a function (async too) of the params. `calls` remembers."""

    def __init__(self, path: Path, replies: dict[str, Reply]) -> None:
        self.path = path
        self.replies = replies
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._events: list[dict[str, Any]] = []
        self._told = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Serve at `path`."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def close(self) -> None:
        """Hang up on everybody."""
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def tell(self, topic: str, **payload: Any) -> None:
        """An event, to whoever waits for one."""
        async with self._told:
            self._events.append({"seq": len(self._events) + 1, "topic": topic, **payload})
            self._told.notify_all()

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The params of all calls of a method."""
        return [params for name, params in self.calls if name == method]

    async def until_asked(self, method: str, times: int = 1) -> None:
        """Until a method was called so often."""
        async with asyncio.timeout(30):
            while len(self.asked(method)) < times:
                await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        splitter = JsonSplitter()
        tasks = set()
        try:
            while data := await reader.read(1 << 16):
                for text in splitter.feed(data):
                    tasks.add(asyncio.create_task(self._answer(json.loads(text), writer)))
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            for task in tasks:
                task.cancel()
            writer.transport.abort()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        method, params = request["method"], request["params"]
        self.calls.append((method, params))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = await self._result(method, params)
        except Refusal as refusal:
            answer["error"] = refusal.error
        if not writer.is_closing():
            writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n\n")

    async def _result(self, method: str, params: dict[str, Any]) -> Any:
        if method == "help":
            return {"help": [{"command": name} for name in ("help", *self.replies)]}
        if method not in self.replies:
            raise Refusal(-32601, f"Unknown command '{method}'")
        if method == "events":
            return await self._events_since(params)
        reply = self.replies[method]
        if callable(reply):
            reply = reply(params)
            if asyncio.iscoroutine(reply):
                reply = await reply
        if isinstance(reply, Refusal):
            raise reply
        return reply

    async def _events_since(self, params: dict[str, Any]) -> Any:
        since = params.get("since")
        if since is None:
            return {"events": [], "next": len(self._events) + 1}
        async with self._told:
            await self._told.wait_for(lambda: len(self._events) >= since)
            found = self._events[since - 1 :]
        return {"events": found, "next": since + len(found)}
