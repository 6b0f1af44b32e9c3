"""The newest of many things, numbered, for whoever asks again and again what has come since.

Numbers are never used twice, not even by another run of the program that has forgotten everything:
they begin at the microsecond of the start, and nobody adds a million things in each second.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_PER_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """An answer: things by number, oldest first, and the number to ask from next.

    `missed`: the number that was asked from is older than what is kept, or of another run.
    """

    items: list[tuple[int, T]]
    next_seq: int
    missed: bool

    @property
    def worth_telling(self) -> bool:
        """Whether somebody who waits for news should hear of it."""
        return bool(self.items) or self.missed


class Recent(Generic[T]):
    """The last `kept` things, oldest first. `started` is Unix time in seconds."""

    def __init__(self, kept: int, started: float) -> None:
        self._items: deque[T] = deque(maxlen=kept)
        self.next_seq = max(1, int(started * _PER_SECOND))
        """The number of what comes next."""

    def append(self, item: T) -> None:
        """One more; the oldest goes when there are too many."""
        self._items.append(item)
        self.next_seq += 1

    def page(self, since: int, limit: int) -> Page[T]:
        """What has number `since` or a later one, at most `limit`; 0: from the oldest on.

        If `since` is not a number of this run, or is no longer kept, from the oldest on, too.
        """
        first = self.next_seq - len(self._items)
        missed = since > self.next_seq or 0 < since < first
        begin = first if missed else max(since, first)
        found = islice(self._items, begin - first, begin - first + limit)
        items = list(enumerate(found, begin))
        return Page(items, begin + len(items), missed)
