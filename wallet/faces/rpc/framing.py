"""Where one JSON text ends and the next begins, in a stream without delimiters.

Core Lightning's socket carries bare JSON objects one after the other.  The splitter looks at each
byte once, whatever the sizes of the reads: a large invoice in small pieces stays linear.  It only
counts brackets and quotes; `json` then judges the text.
"""

import re
from collections.abc import Iterator
from typing import Final

from wallet.base.errors import DecodeError

MAX_REQUEST_BYTES: Final = 8 << 20
MAX_DEPTH: Final = 64

_WHITESPACE: Final = re.compile(rb"[ \t\r\n]*")
_OUTSIDE_STRING: Final = re.compile(rb'["{}\[\]]')
_INSIDE_STRING: Final = re.compile(rb'["\\]')
_OPENING: Final = b"{["


class JsonSplitter:
    """Collects bytes and hands out whole JSON objects and arrays.

    Not checked here: that brackets match in kind, and everything between them.
    """

    def __init__(self, max_bytes: int = MAX_REQUEST_BYTES, max_depth: int = MAX_DEPTH) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._skip_next = False
        self._max_bytes = max_bytes
        self._max_depth = max_depth

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take `data` and yield each text that is now complete.

        Raises `DecodeError` when the stream cannot be JSON objects, nests deeper than the limit or
        holds a text longer than the limit; the stream has no use after that.
        """
        self._buffer += data
        while (text := self._next()) is not None:
            yield text
        if len(self._buffer) > self._max_bytes:
            raise DecodeError(f"a request longer than {self._max_bytes} bytes")

    def _next(self) -> bytes | None:
        if self._at == 0:
            self._skip_whitespace()
            if not self._buffer:
                return None
            if self._buffer[0] not in _OPENING:
                raise DecodeError("Invalid token in json input")
        while self._at < len(self._buffer):
            if self._in_string:
                self._pass_string()
            elif self._pass_bracket():
                text = bytes(self._buffer[: self._at])
                del self._buffer[: self._at]
                self._at = 0
                return text
        return None

    def _skip_whitespace(self) -> None:
        if found := _WHITESPACE.match(self._buffer):
            del self._buffer[: found.end()]

    def _pass_string(self) -> None:
        """Move behind the string's end, behind a backslash, or to the end of what is here."""
        if self._skip_next:
            self._at += 1
            self._skip_next = False
            return
        found = _INSIDE_STRING.search(self._buffer, self._at)
        if found is None:
            self._at = len(self._buffer)
            return
        self._at = found.end()
        if found[0] == b'"':
            self._in_string = False
        else:
            self._skip_next = True

    def _pass_bracket(self) -> bool:
        """Move behind the next quote or bracket; whether it closed the outermost one."""
        found = _OUTSIDE_STRING.search(self._buffer, self._at)
        if found is None:
            self._at = len(self._buffer)
            return False
        self._at = found.end()
        match found[0]:
            case b'"':
                self._in_string = True
            case b"{" | b"[":
                self._depth += 1
                if self._depth > self._max_depth:
                    raise DecodeError(f"JSON nested deeper than {self._max_depth}")
            case _:
                self._depth -= 1
        return self._depth == 0
