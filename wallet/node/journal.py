"""What happened, numbered, for `events`: every notice with enough beside it to redraw a line.

Rule 1: an entry is a row of the same commit as what it tells.  A batch that writes nothing else
(links that come and go) writes no entry either: those live in memory until the next start.
Rule 2: a number is never used twice.  As a crash forgets what was only in memory, each start goes
on at the next multiple of `STRIDE`.
Rule 3: the last `KEPT` entries are kept.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeAlias

from wallet.services.store.tables import JOURNAL, Delete, Put, Row, Write

KEPT: Final = 10_000
STRIDE: Final = 1_000_000_000
"""More entries than one run can write between two durable commits; 9 million starts fit 53 bits."""

Payload: TypeAlias = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `at` is Unix time; ids in `payload` are text as people know it."""

    seq: int
    at: int
    topic: str
    payload: Payload


@dataclass(slots=True)
class Journal:
    """The entries, oldest first. Part of memory: a failed batch takes its entries with it."""

    entries: deque[Entry] = field(default_factory=deque)
    next_seq: int = 1
    _stored: set[int] = field(default_factory=set)
    _stale: list[int] = field(default_factory=list)

    def append(self, at: int, topic: str, payload: Payload) -> Entry:
        """Number one more thing that happened."""
        entry = Entry(self.next_seq, at, topic, payload)
        self.next_seq += 1
        self.entries.append(entry)
        while len(self.entries) > KEPT:
            gone = self.entries.popleft().seq
            if gone in self._stored:
                self._stored.remove(gone)
                self._stale.append(gone)
        return entry

    def since(self, seq: int, limit: int) -> list[Entry]:
        """The entries from number `seq` on, at most `limit` of them."""
        if not self.entries or seq > self.entries[-1].seq:
            return []
        late = sum(1 for _ in _while_newer(reversed(self.entries), seq))
        return list(
            islice(self.entries, len(self.entries) - late, len(self.entries) - late + limit)
        )

    def has_lost(self, seq: int) -> bool:
        """Whether entries between `seq` and the oldest that is kept are no longer here."""
        return len(self.entries) == KEPT and 0 < seq < self.entries[0].seq

    def rows(self, entries: Iterable[Entry]) -> list[Write]:
        """What a commit must write to hold these entries, and no more than the last `KEPT`."""
        written: list[Write] = []
        for entry in entries:
            self._stored.add(entry.seq)
            state = json.dumps(entry.payload, separators=(",", ":"))
            written.append(Put(JOURNAL, (entry.seq, entry.at, entry.topic, state)))
        written += [Delete(JOURNAL, (seq,)) for seq in self._stale]
        self._stale.clear()
        return written


def restored(rows: Iterable[Row]) -> Journal:
    """The journal of stored rows (number, at, topic, state), in any order."""
    entries = sorted(
        (Entry(int(str(r[0])), int(str(r[1])), str(r[2]), json.loads(str(r[3]))) for r in rows),
        key=lambda entry: entry.seq,
    )
    journal = Journal(deque(entries[-KEPT:]))
    journal._stored = {entry.seq for entry in journal.entries}
    journal._stale = [entry.seq for entry in entries[:-KEPT]]
    if entries:
        journal.next_seq = (entries[-1].seq // STRIDE + 1) * STRIDE
    return journal


def _while_newer(entries: Iterable[Entry], seq: int) -> Iterable[Entry]:
    for entry in entries:
        if entry.seq < seq:
            return
        yield entry
