"""`leyden` in a pseudo-terminal, and what stands on its screen."""

import os
import pty
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from fcntl import ioctl
from termios import TIOCSWINSZ
from typing import Self

import pyte


class Terminal:
    """A pseudo-terminal, and what stands on it. A context manager that ends it."""

    def __init__(self, words: list[str], size: tuple[int, int] = (80, 24)) -> None:
        """`size`: columns and rows."""
        self.screen = pyte.Screen(*size)
        self.written = bytearray()
        """All bytes that it was given."""
        self._stream = pyte.ByteStream(self.screen)
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        # A parallel run gives its workers those of its own terminal.
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            # Here, not by the parent: a signal before the app listens for it would be lost.
            ioctl(0, TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", "wallet", *words], environment)

    @property
    def shown(self) -> str:
        """What stands there now, as far as it was read."""
        return "\n".join(self.rows)

    @property
    def rows(self) -> list[str]:
        """Its lines. Not pyte's `display`: that fails on a wide character drawn over by half."""
        columns, buffer = range(self.screen.columns), self.screen.buffer
        return ["".join(buffer[y][x].data for x in columns) for y in range(self.screen.lines)]

    def until(self, words: str, seconds: float = 60) -> str:
        """Read until the words stand there."""
        return self.until_true(lambda shown: words in shown, repr(words), seconds)

    def until_true(
        self, holds: Callable[[str], bool], what: str = "it", seconds: float = 60
    ) -> str:
        """Read until it holds of the screen."""
        end = time.monotonic() + seconds
        while not holds(self.shown):
            assert time.monotonic() < end, f"waited for {what}; there is\n{self.shown}"
            try:
                self._read()
            except OSError:
                raise AssertionError(f"{what} never came; there was\n{self.shown}") from None
        return self.shown

    def until_key(self, words: str) -> None:
        """Read until a key works: its letter, the first of the words, is bold then."""

        def holds(_: str) -> bool:
            at = [(y, row.find(words)) for y, row in enumerate(self.rows) if words in row]
            return any(self.screen.buffer[y][x].bold for y, x in at)

        self.until_true(holds, f"the key of {words!r}")

    def _read(self) -> None:
        if select.select([self._end], [], [], 0.1)[0]:
            self._feed(os.read(self._end, 1 << 16))

    def _feed(self, data: bytes) -> None:
        self.written += data
        self._stream.feed(data)

    def drain(self, until: str = "", seconds: float = 5) -> float:
        """Read what is there, or on until the words have come; the time of the last bytes.

        What follows the words at once is the rest of their frame.  The screen is drawn only
        afterwards, so that an emulator's own work is not in that time.
        """
        end, data, arrived = time.monotonic() + seconds, b"", time.perf_counter()
        missing = until.encode()
        while select.select([self._end], [], [], 0.1 if missing else 0.003)[0] or missing:
            assert time.monotonic() < end, f"waited for {until!r}; there is\n{self.shown}"
            if select.select([self._end], [], [], 0)[0]:
                data += os.read(self._end, 1 << 16)
                arrived = time.perf_counter()
            if missing in data:
                missing = b""
        self._feed(data)
        return arrived

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self._end, text.encode())

    def ended(self, seconds: float = 60) -> int:
        """The exit code."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self._read()
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> int:
        """Close the window; the exit code, or minus the signal."""
        os.close(self._end)
        self._end = -1
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """Whatever happens."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        if self._end >= 0:
            os.close(self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
