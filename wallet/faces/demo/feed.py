"""Things that come one by one, numbered, and callers of `town-rpc` who wait for the next."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from wallet.base.values.recent import Page, Recent

T = TypeVar("T")

MOST_AT_ONCE: Final = 1_000
LONGEST_WAIT: Final = 3_600
"""Seconds; a caller who is still there asks again."""


def unix_time() -> float:
    """Seconds since 1970, to the microsecond."""
    return datetime.now(UTC).timestamp()


class Feed(Generic[T]):
    """Belongs to a loop: only its thread touches it."""

    def __init__(self, kept: int) -> None:
        self._recent: Recent[T] = Recent(kept, unix_time())
        self._added = asyncio.Event()

    @property
    def next_seq(self) -> int:
        """The number of what comes next."""
        return self._recent.next_seq

    def add(self, item: T) -> None:
        """One more, for all who wait."""
        self._recent.append(item)
        self._added.set()
        self._added = asyncio.Event()

    async def page(
        self, since: int | None, seconds: float = 0, limit: int = MOST_AT_ONCE
    ) -> Page[T]:
        """What came from number `since` on; waits for so many seconds while there is nothing.

        Without `since` nothing, and where the end is.
        """
        limit = max(1, min(limit, MOST_AT_ONCE))
        if since is None:
            return Page([], self._recent.next_seq, missed=False)
        page = self._recent.page(since, limit)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LONGEST_WAIT)):
                while not page.worth_telling:
                    await self._added.wait()
                    page = self._recent.page(since, limit)
        return page
