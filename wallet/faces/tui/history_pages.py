"""The history as a list of any length: pages of 200 rows, asked for when they are looked at.

The newest page comes with the facts; older ones hang on it by the core's cursor.  An item stays on
its page whatever happens, so only the newest page is ever read again.
"""

from collections.abc import Callable, Mapping, Sequence

from wallet.faces.tui import facts
from wallet.faces.tui.facts import Item
from wallet.faces.tui.link import Link
from wallet.faces.tui.watch import PAGE


class HistoryPages:
    """All items that were read so far, newest first.

    `wanted` is the filter that the core applies, `fits` what it cannot look for; then few of a
    page may be left, so that more is asked for at once.
    """

    def __init__(
        self,
        wanted: Mapping[str, object] | None = None,
        fits: Callable[[Item], bool] = lambda _: True,
        limit: int = PAGE,
    ) -> None:
        self._limit = limit
        self._filter = {"filter": dict(wanted)} if wanted else {}
        self._fits = fits
        self._newest: tuple[Item, ...] = ()
        self._older: list[Item] = []
        self._next = ""
        self._reading = False
        self._begun = False

    def __len__(self) -> int:
        return len(self._newest) + len(self._older)

    def slice(self, first: int, count: int) -> Sequence[Item]:
        """`count` items from number `first` on."""
        edge = len(self._newest)
        newer = self._newest[first : first + count]
        older = self._older[max(0, first - edge) : max(0, first + count - edge)]
        return [*newer, *older]

    @property
    def complete(self) -> bool:
        """Whether the oldest item is here."""
        return not self._next

    def renew(self, newest: tuple[Item, ...], more: str) -> None:
        """The newest page as it is now; older ones stay as long as they still join it."""
        newest = tuple(filter(self._fits, newest))
        if newest == self._newest and self._begun:
            return
        self._begun = True
        known = [*self._newest, *self._older]
        self._newest = newest
        if not more or not newest:
            self._older, self._next = [], more
            return
        last = newest[-1]
        place = next((n for n, i in enumerate(known) if _same(i, last)), None)
        if place is None or not self._older:
            self._older, self._next = [], more
        else:
            self._older = known[place + 1 :]

    async def read_first(self, link: Link) -> None:
        """The newest page, of a filter that the facts know nothing of."""
        answer = await link.ask("history", limit=self._limit, **self._filter)
        self.renew(*facts.items(answer))

    async def read_on(self, link: Link) -> bool:
        """One more page; False when there is none, or one is being read."""
        if not self._next or self._reading:
            return False
        self._reading = True
        cursor = self._next
        try:
            answer = await link.ask("history", start=cursor, limit=self._limit, **self._filter)
        finally:
            self._reading = False
        if cursor != self._next:
            return False
        found, self._next = facts.items(answer)
        self._older += filter(self._fits, found)
        return True


def _same(one: Item, other: Item) -> bool:
    return (one.kind, one.at, one.payment_hash, one.txid, one.peer_id) == (
        other.kind,
        other.at,
        other.payment_hash,
        other.txid,
        other.peer_id,
    )
