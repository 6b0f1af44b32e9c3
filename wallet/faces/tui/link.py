"""One connection to a core's socket: many questions under way at once, answers by their number.

Core Lightning's transport, as `faces.rpc.client` speaks it, for a program with a loop.  A lost
connection fails every open question with `ConnectionLost`: whatever was asked may have been done.
"""

import asyncio
import json
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from wallet.faces.rpc.client import ConnectionLost, Params, RpcError, Unreachable
from wallet.faces.rpc.paths import socket_address

_READ_BYTES: Final = 1 << 16
_END_OF_ANSWER: Final = b"\n\n"
_HELP_SECONDS: Final = 10


class Link:
    """`open` it, then `ask`; closed for good once the connection is lost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.methods: frozenset[str] = frozenset()
        """What this core can do, as its `help` says."""
        self._open: dict[str, asyncio.Future[Any]] = {}
        self._numbers = count(1)
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and learn what this core can do. Raises `Unreachable`."""
        try:
            with socket_address(self.path) as address:
                reader, self._writer = await asyncio.open_unix_connection(address)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise Unreachable(f"no daemon at {self.path}: {reason}") from None
        self._reading = asyncio.create_task(self._read(reader))
        try:
            async with asyncio.timeout(_HELP_SECONDS):
                answer = await self.ask("help")
        except (ConnectionLost, RpcError, TimeoutError) as fault:
            await self.close()
            raise Unreachable(f"no answer from {self.path}: {fault}") from None
        lines = answer.get("help", []) if isinstance(answer, dict) else []
        self.methods = frozenset(str(line.get("command", "")).split(" ")[0] for line in lines)

    def can(self, *methods: str) -> bool:
        """Whether this core knows all of these."""
        return self.methods.issuperset(methods)

    async def ask(self, method: str, **params: object) -> Any:
        """A method's result. Raises `RpcError`, or `ConnectionLost` when the outcome is open."""
        return await self.call(method, params)

    async def call(self, method: str, params: Params) -> Any:
        """As `ask`, of parameters by name or by place."""
        writer = self._writer
        if writer is None or writer.is_closing():
            raise ConnectionLost("not connected")
        number = f"tui:{method}#{next(self._numbers)}"
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[number] = answered
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            writer.write(json.dumps(request).encode())
            with suppress(ConnectionError):  # the reader tells, and fails this question too
                await writer.drain()
            return await answered
        finally:
            self._open.pop(number, None)

    async def close(self) -> None:
        """Hang up. The core finishes what may move money, and forgets who only waited."""
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        pending = bytearray()
        searched = 0
        try:
            while True:
                end = pending.find(_END_OF_ANSWER, searched)
                if end >= 0:
                    self._answer(bytes(pending[:end]))
                    del pending[: end + len(_END_OF_ANSWER)]
                    searched = 0
                    continue
                # The mark may be cut in two by a read, so its first half is searched again.
                searched = max(0, len(pending) - 1)
                data = await reader.read(_READ_BYTES)
                if not data:
                    break
                pending += data
        except (ConnectionError, ValueError):
            pass
        finally:
            if self._writer is not None:
                self._writer.transport.abort()
            for answered in self._open.values():
                if not answered.done():
                    answered.set_exception(ConnectionLost("the core closed the connection"))

    def _answer(self, text: bytes) -> None:
        """Hand an answer to who asked; notifications and answers nobody waits for are dropped."""
        answer = json.loads(text)
        if not isinstance(answer, dict) or "method" in answer:
            return
        answered = self._open.get(str(answer.get("id")))
        if answered is None or answered.done():
            return
        if isinstance(error := answer.get("error"), dict):
            answered.set_exception(RpcError(error))
        else:
            answered.set_result(answer.get("result"))
