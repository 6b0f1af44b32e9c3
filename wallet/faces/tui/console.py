"""A console that only reads: a line of words becomes a call, its answer lines of text.

What moves money has a sheet that shows the cost first, and what changes the node is for the
command line: here a slip of the hand does nothing.
"""

import json
import re
import shlex
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from wallet.faces.tui.safe_text import safe

KEPT_LINES: Final = 2_000
_MOST_CHUNKS: Final = 50_000
"""Of an answer as JSON; the rest of a longer one is not even made."""

_READING: Final = re.compile(
    r"(list|get|decode|bkpr-list|bkpr-inspect)[a-z0-9-]*|help|check|feerates|history|metrics|summary"
    r"|commitments"
)
_NOT: Final = frozenset({"getsharedsecret"})
_SHEETS: Final = (
    (re.compile(r"(x|rene)?pay|x?keysend|send\S*|fetchinvoice"), "s on any screen pays"),
    (re.compile(r"(multi)?withdraw|tx\S+|fundpsbt|utxopsbt|signpsbt|sendpsbt"),
     "5 and w sends coins"),
    (re.compile(r"(multi)?fundchannel\S*|openchannel\S*|splice\S*|dev-splice"),
     "3 and o opens a channel"),
    (re.compile(r"close"), "3 and c closes a channel"),
    (re.compile(r"setchannel"), "3 and f sets its fees"),
    (re.compile(r"invoice|offer\S*"), "r on any screen makes an invoice"),
    (re.compile(r"newaddr"), "5 and a makes an address"),
    (re.compile(r"connect"), "4 and c connects"),
    (re.compile(r"disconnect"), "4 and d disconnects"),
)  # fmt: skip
_NAMED: Final = re.compile(r"([a-z][a-z0-9_]*)=(.*)", re.DOTALL)
_LITERALS: Final = ("true", "false", "null")


class Wrong(Exception):
    """What was typed is not asked, and why."""


def reads(method: str) -> bool:
    """Whether a method only reads, and at once."""
    return _READING.fullmatch(method) is not None and method not in _NOT


def understood(line: str) -> tuple[str, dict[str, Any] | list[Any]]:
    """A method and its parameters, as the command line takes them. Raises `Wrong`."""
    try:
        method, *words = shlex.split(line)
    except ValueError as error:
        raise Wrong(f"Not asked: {str(error).lower()}.") from None
    if not reads(method):
        for pattern, instead in _SHEETS:
            if pattern.fullmatch(method):
                raise Wrong(f"Not asked: this console only reads. {instead}.")
        raise Wrong(f"Not asked: this console only reads. In a shell: leyden {method}")
    named = [_NAMED.fullmatch(word) for word in words]
    if not any(named):
        return method, [_value(word) for word in words]
    if not all(named):
        raise Wrong("Not asked: either all parameters have names, or none.")
    return method, {found[1]: _value(found[2]) for found in named if found is not None}


def _value(word: str) -> Any:
    """JSON where the word is clearly JSON, else text."""
    if word in _LITERALS or word[:1] in ("{", "[", '"') or (word.isascii() and word.isdigit()):
        try:
            return json.loads(word)
        except (ValueError, RecursionError):
            return word
    return word


def shown(answer: Any, cells: int) -> list[str]:
    """An answer as lines of so many cells, safe to draw; a long one ends early and says so."""
    encoder = json.JSONEncoder(indent=2, ensure_ascii=True)
    chunks = encoder.iterencode(_without_passwords(answer))
    lines = "".join(islice(chunks, _MOST_CHUNKS)).splitlines()
    # ASCII throughout, so that a character is a cell.
    found = [part for line in lines[:KEPT_LINES] for part in _wrapped(safe(line, 4_000), cells)]
    if next(chunks, None) is None and len(found) < KEPT_LINES and len(lines) < KEPT_LINES:
        return found
    return [*found[: KEPT_LINES - 1], "… and more: leyden on the command line shows all of it"]


def _wrapped(line: str, cells: int) -> list[str]:
    return [line[at : at + cells] for at in range(0, max(1, len(line)), cells)]


def _without_passwords(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: "•••••" if "password" in str(name) else _without_passwords(each)
            for name, each in value.items()
        }
    return [_without_passwords(each) for each in value] if isinstance(value, list) else value
