"""One encrypted connection: messages in and out, and what BOLT 1 says about keeping it alive.

Rule 1: the peer can only ever end its own link. Whatever it sends is a message, a warning to it,
or the end; never an exception in our log.
Rule 2: nothing grows without bound. The link reads no further while its owner is busy with a
message, and a peer that does not read what we send is dropped.
Rule 3: what was queued before `close` is still sent, so that an `error` reaches the peer.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from wallet.base.bitcoin.chains import Chain
from wallet.base.errors import DecodeError, PeerFault, Refused, Severity
from wallet.base.values.features import Features, negotiate
from wallet.base.values.ids import ALL_CHANNELS, NodeId
from wallet.base.wire import LAYOUTS, Message, decode, encode
from wallet.base.wire.setup import (
    NO_PONG_FROM,
    Init,
    Ping,
    Pong,
    check_networks,
    features_of,
    our_init,
    pong_for,
    warning_for,
)
from wallet.machines.noise import Session

M = TypeVar("M", bound=Message)

MAX_UNSENT: Final = 1 << 23
"""Bytes that may wait for a slow peer: many times what all HTLCs of a channel need."""

MAX_PING_BYTES: Final = 65_535 - 6
"""Of a ping's padding: what a message has room for beside its type and two numbers."""

_READ_BYTES: Final = 1 << 16

Deliver = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """Seconds of patience."""

    dial: float = 10.0
    handshake: float = 10.0
    init: float = 30.0
    ping_after: float = 30.0
    """Silence after which we ask whether the peer is still there (BOLT 1: not more often)."""
    pong_within: float = 30.0
    linger: float = 2.0
    """How long a closed link waits for the peer to take what was still queued."""


PATIENT: Final = LinkTimes()


class LinkEnded(Exception):
    """The link is down. Its text is a sentence for people."""


class Link:
    """A connection whose handshake is done."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        session: Session,
        times: LinkTimes,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._session = session
        self._times = times
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._unsent = 0
        self._received: deque[bytes] = deque()
        self._closed_for = ""
        self._abort_timer: asyncio.TimerHandle | None = None
        self._pong: tuple[int, asyncio.Future[int]] | None = None
        """The padding that an awaited pong has, and who awaits it."""

    @property
    def their_id(self) -> NodeId:
        """Whom we are talking to."""
        return self._session.their_id

    def send(self, data: bytes) -> None:
        """Queue one encoded message; nothing happens once the link is closed."""
        if self._closed_for or self._writer.is_closing():
            return
        frame = self._session.send.encrypt(data)
        if not self._frames:
            # What one turn of the loop sends goes out in one piece.
            self._loop.call_soon(self._flush)
        self._frames.append(frame)
        self._unsent += len(frame)
        if self.unsent > MAX_UNSENT:
            self.abort("the peer does not read what we send")

    def close(self, reason: str) -> None:
        """End the link after sending what is queued. The first reason counts."""
        if self._closed_for:
            return
        self._flush()
        self._closed_for = reason
        if not self._writer.is_closing():
            # Half a close: with our sockets' buffers full of unread bytes, a whole one would make
            # the system throw away what is still on its way to the peer.
            self._writer.write_eof()
            self._abort_timer = self._loop.call_later(
                self._times.linger, self._writer.transport.abort
            )

    def abort(self, reason: str) -> None:
        """End the link at once."""
        self._closed_for = self._closed_for or reason
        self._frames.clear()
        self._unsent = 0
        self._writer.transport.abort()

    async def exchange_init(self, ours: Features, chain: Chain) -> tuple[Features, Features]:
        """Send our `init`, wait for theirs; gives their features and the negotiated ones.

        Raises `LinkEnded`; a peer with unacceptable features is told why.  One that does not begin
        with `init` is not: BOLT 1 lets us send nothing else before it.
        """
        self.send(encode(our_init(ours, (chain.chain_hash,))))
        init = await self._receive_init()
        try:
            check_networks(init, chain.chain_hash)
            theirs = features_of(init)
            return theirs, negotiate(ours, theirs)
        except PeerFault as fault:
            await self._warn_and_drain(fault.reason)
        raise LinkEnded(self._closed_for)

    async def run(self, deliver: Deliver) -> str:
        """Give every message to `deliver` until the link ends; returns why it ended.

        Given are messages that are declared in `base.wire`, not `init`, `ping` or `pong`.
        """
        try:
            while True:
                await self._take(self._at_hand() or await self._next_or_ping(), deliver)
        except LinkEnded as ended:
            self.abort(str(ended))
        except OSError as error:
            self.abort(_lost(error))
        except PeerFault as fault:
            await self._warn_and_drain(fault.reason)
        finally:
            if self._abort_timer is not None:
                self._abort_timer.cancel()
            self._writer.transport.abort()
            if self._pong is not None and not self._pong[1].done():
                sentence = f"no pong came: {self._closed_for}"
                self._pong[1].set_exception(Refused(sentence))
        return self._closed_for

    async def ping(self, length: int, pong_length: int) -> int:
        """Ask whether the peer is there; how long its `pong` was, type and length included.

        `length` and `pong_length` are bytes of padding; 0 at once when `pong_length` is one that
        BOLT 1 lets nobody answer.  Raises `Refused` when the link ends first, and -32602 while
        another ping waits or for one that no message has room for.
        """
        if length > MAX_PING_BYTES:
            raise Refused(f"{length} would result in oversize ping", -32602)
        if self._pong is not None:
            raise Refused("already waiting for a ping response from this peer", -32602)
        self.send(encode(Ping(pong_length, bytes(length))))
        if pong_length >= NO_PONG_FROM:
            return 0
        answered: asyncio.Future[int] = self._loop.create_future()
        self._pong = pong_length, answered
        try:
            return await answered
        finally:
            self._pong = None

    async def _receive_init(self) -> Init:
        try:
            async with asyncio.timeout(self._times.init):
                # BOLT 1: MUST wait to receive `init` before sending: so no ping.
                return _as_init(await self._next_message())
        except TimeoutError:
            self.abort("the peer sent no init in time")
        except OSError as error:
            self.abort(_lost(error))
        except PeerFault as fault:
            self.abort(fault.reason)
        raise LinkEnded(self._closed_for)

    async def _take(self, data: bytes, deliver: Deliver) -> None:
        if self._closed_for:
            return
        if len(data) < 2:
            raise _fault("a message without a type")
        number = int.from_bytes(data[:2], "big")
        if number not in LAYOUTS:
            # BOLT 1: upon receiving a message of odd, unknown type: MUST ignore the received
            # message; of even, unknown type: MUST close the connection.
            if number % 2 == 0:
                raise _fault(f"unknown message type {number}")
        elif number == Ping.type:
            if pong := pong_for(_decode(data, Ping)):
                self.send(encode(pong))
                await self.until_flowing()
        elif number == Init.type:
            raise _fault("a second init")
        elif number == Pong.type:
            self._ponged(_decode(data, Pong), len(data))
        else:
            await deliver(data)

    def _ponged(self, pong: Pong, length: int) -> None:
        # A pong of another length answers a ping of ours that nobody waits for, or none at all.
        if self._pong is None or len(pong.ignored) != self._pong[0]:
            return
        if not self._pong[1].done():
            self._pong[1].set_result(length)

    def _at_hand(self) -> bytes | None:
        return self._received.popleft() if self._received else None

    async def _next_message(self) -> bytes:
        while (message := self._at_hand()) is None:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise LinkEnded(self._closed_for or "the peer hung up")
            self._received.extend(self._session.receive.feed(data))
        return message

    async def _next_or_ping(self) -> bytes:
        """The next message; after a long silence the peer is asked whether it is still there.

        Bytes that are not yet a message do not count: a peer could send one a minute for ever.
        """
        try:
            async with asyncio.timeout(self._times.ping_after):
                return await self._next_message()
        except TimeoutError:
            self.send(encode(Ping(0, b"")))
        try:
            async with asyncio.timeout(self._times.pong_within):
                return await self._next_message()
        except TimeoutError:
            raise LinkEnded("the peer does not answer a ping") from None

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer to read."""
        return self._unsent + self._writer.transport.get_write_buffer_size()

    async def until_flowing(self) -> None:
        """Wait for the peer to read: whoever asks for answers must take them."""
        self._flush()
        try:
            async with asyncio.timeout(self._times.pong_within):
                await self._writer.drain()
        except TimeoutError:
            raise LinkEnded("the peer does not read what we send") from None

    async def _warn_and_drain(self, reason: str) -> None:
        """Tell the peer what it did wrong, and wait until it hangs up or `linger` is over."""
        self.send(encode(warning_for(ALL_CHANNELS, reason)))
        self.close(reason)
        try:
            while await self._reader.read(_READ_BYTES):
                pass
        except OSError:
            return

    def _flush(self) -> None:
        if self._frames and not self._writer.is_closing() and not self._closed_for:
            self._writer.write(b"".join(self._frames))
        self._frames.clear()
        self._unsent = 0


def _as_init(data: bytes) -> Init:
    if data[:2] != Init.type.to_bytes(2, "big"):
        raise _fault("the first message is not init")
    return _decode(data, Init)


def _decode(data: bytes, cls: type[M]) -> M:
    try:
        message = decode(data)
    except DecodeError as error:
        raise _fault(str(error)) from None
    if not isinstance(message, cls):
        raise _fault(f"not {cls.__name__}")
    return message


def _fault(reason: str) -> PeerFault:
    return PeerFault(Severity.DISCONNECT, reason)


def _lost(error: OSError) -> str:
    return f"the connection broke ({error.strerror or str(error) or type(error).__name__})"
