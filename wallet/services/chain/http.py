"""HTTP/1.1 POST over asyncio streams, the protocol itself by h11: what Core's JSON-RPC needs.

Knows nothing of JSON.  A connection is kept alive and serves one request at a time; whoever gives
up on a request closes it, because its answer would be taken for that of the next.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11

from wallet.base.errors import DecodeError

MAX_ANSWER: Final = 1 << 28
"""Bytes of one answer: many times the largest block, in hexadecimal."""

_READ_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Status code and whole body."""

    status: int
    body: bytes


class HungUp(Exception):
    """The server closed a kept connection before it began to answer: ask again on a new one."""


class HttpConnection:
    """One connection to a server; opened by the first request."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._state = h11.Connection(h11.CLIENT)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def usable(self) -> bool:
        """Whether another request may be sent on it."""
        return (
            self._writer is not None
            and not self._writer.is_closing()
            and self._state.our_state is h11.IDLE
        )

    def close(self) -> None:
        """Drop it. Closing twice is harmless."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
        self._state = h11.Connection(h11.CLIENT)

    async def post(self, headers: Sequence[tuple[str, str]], body: bytes) -> HttpAnswer:
        """Send and wait for the whole answer; on any exception the connection is closed.

        Raises `OSError`, `HungUp`, or `DecodeError` for what is not HTTP.
        """
        try:
            return await self._post(headers, body)
        except h11.RemoteProtocolError as error:
            self.close()
            raise DecodeError(f"not HTTP: {error}") from None
        except BaseException:
            self.close()
            raise

    async def _post(self, headers: Sequence[tuple[str, str]], body: bytes) -> HttpAnswer:
        kept = self.usable
        if self._reader is None or self._writer is None or not kept:
            self.close()
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        request = h11.Request(
            method="POST",
            target="/",
            headers=[
                ("Host", f"{self._host}:{self._port}"),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                *headers,
            ],
        )
        state = self._state
        parts = (state.send(request), state.send(h11.Data(body)), state.send(h11.EndOfMessage()))
        try:
            self._writer.write(b"".join(part or b"" for part in parts))
            await self._writer.drain()
            answer = await self._receive(self._reader, kept=kept)
        except ConnectionError:
            # A kept connection may have been closed while it lay idle.
            if kept and state.their_state is h11.SEND_RESPONSE:
                raise HungUp from None
            raise
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
        else:
            self.close()
        return answer

    async def _receive(self, reader: asyncio.StreamReader, *, kept: bool) -> HttpAnswer:
        state = self._state
        status = 0
        chunks: list[bytes] = []
        size = 0
        started = False
        while True:
            event = state.next_event()
            if event is h11.NEED_DATA:
                received = await reader.read(_READ_BYTES)
                if not received and not started:
                    raise HungUp if kept else ConnectionResetError("hung up without an answer")
                started = True
                state.receive_data(received)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > MAX_ANSWER:
                    raise DecodeError(f"an answer of more than {MAX_ANSWER} bytes")
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return HttpAnswer(status, b"".join(chunks))
