"""The filter of `history`: which kinds, ways, outcomes, words and times are wanted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wallet.faces.rpc.params import Unfit
from wallet.faces.rpc.parsers import string, u64

KINDS: Final = (
    "payment",
    "invoice",
    "forward",
    "deposit",
    "withdrawal",
    "channel_open",
    "channel_close",
)
"""In the order in which those of one second are listed, the last first."""
DIRECTIONS: Final = ("in", "out", "through", "self")
STATUSES: Final = ("pending", "complete", "failed")


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """What an item must be. An empty `text` fits all; times are Unix seconds, both included."""

    kinds: frozenset[str] = frozenset(KINDS)
    directions: frozenset[str] = frozenset(DIRECTIONS)
    statuses: frozenset[str] = frozenset(STATUSES)
    text: str = ""
    since: int = 0
    until: int = (1 << 62) - 1

    def fits(self, item: Mapping[str, object]) -> bool:
        """Whether an item of the answer is wanted."""
        return (
            item["kind"] in self.kinds
            and item["direction"] in self.directions
            and item["status"] in self.statuses
            and (
                not self.text
                or any(self.text in v.casefold() for v in item.values() if isinstance(v, str))
            )
        )


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the list: time, kind and number of the item that comes next or before."""

    at: int
    rank: int
    number: int

    def __str__(self) -> str:
        return f"{self.at}.{self.rank}.{self.number}"


def cursor(value: object) -> Cursor:
    """What an answer gave as `next`."""
    parts = string(value).split(".")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 19 for p in parts):
        raise Unfit("should be what the answer before gave as `next`")
    return Cursor(*map(int, parts))


def history_filter(value: object) -> HistoryFilter:
    """An object, or one spelled as a string: `{"kind": ["payment"], "text": "coffee"}`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise Unfit("should be an object") from None
    if not isinstance(value, dict):
        raise Unfit("should be an object")
    unknown = sorted(value.keys() - {"kind", "direction", "status", "text", "since", "until"})
    if unknown:
        raise Unfit(f"has no member '{str(unknown[0])[:50]}'")
    every = HistoryFilter()
    return HistoryFilter(
        kinds=_words(value, "kind", KINDS),
        directions=_words(value, "direction", DIRECTIONS),
        statuses=_words(value, "status", STATUSES),
        text=string(value.get("text") or "").casefold(),
        since=u64(value.get("since", every.since)),
        until=min(u64(value.get("until", every.until)), every.until),
    )


def _words(value: Mapping[str, object], name: str, known: tuple[str, ...]) -> frozenset[str]:
    given = value.get(name)
    if given is None:
        return frozenset(known)
    words = given if isinstance(given, list) else [given]
    if not words or not all(word in known for word in words):
        raise Unfit(f"{name} should be one or several of {', '.join(known)}")
    return frozenset(str(word) for word in words)
