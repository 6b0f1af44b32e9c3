"""When a person sees what moved: a payment crosses six nodes in 20 ms, and nobody would see that.

Each move takes a while on the map, and the next one of the same payment waits for it; other
payments go beside it.  The clock of what is shown can be slowed, hurried and stopped; the town
itself never waits.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wallet.faces.tui.town.facts import Move

TRAVEL_SECONDS: Final = 0.5
MOST_LAG_SECONDS: Final = 6.0
"""A payment that would be shown later is shown at once: the screen stays near the truth."""
KEPT: Final = 500
SPEEDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Seen:
    """A move and the time at which it starts on the map, by the clock of what is shown."""

    move: Move
    begins: float


class Playback:
    """What is shown now. Times are by any monotonic clock, in seconds."""

    def __init__(self, now: float) -> None:
        self.paused = False
        self._speed = SPEEDS.index(1.0)
        self._real = now
        self._shown = 0.0
        self._seen: deque[Seen] = deque(maxlen=KEPT)
        self._busy_until: dict[str, float] = {}

    @property
    def speed(self) -> float:
        """How fast it is shown."""
        return SPEEDS[self._speed]

    def hurry(self, steps: int) -> None:
        """Faster, or slower."""
        self._speed = max(0, min(len(SPEEDS) - 1, self._speed + steps))

    def tick(self, now: float) -> None:
        """The real clock has gone on."""
        if not self.paused:
            self._shown += (now - self._real) * self.speed
        self._real = now

    def add(self, moves: Iterable[Move]) -> None:
        """What the town has just told."""
        for move in moves:
            begins = max(self._shown, self._busy_until.get(move.payment_hash, self._shown))
            if begins - self._shown > MOST_LAG_SECONDS:
                begins = self._shown
            self._busy_until[move.payment_hash] = begins + TRAVEL_SECONDS
            self._seen.append(Seen(move, begins))
        self._busy_until = {h: t for h, t in self._busy_until.items() if t > self._shown}

    @property
    def on_the_map(self) -> list[tuple[Move, float]]:
        """What is between two nodes now, with how far it has come: 0 to 1."""
        return [
            (seen.move, (self._shown - seen.begins) / TRAVEL_SECONDS)
            for seen in self._seen
            if seen.begins <= self._shown < seen.begins + TRAVEL_SECONDS
        ]

    def told(self, count: int) -> list[Move]:
        """The last moves that were shown, in the order in which they were made."""
        shown = [seen.move for seen in self._seen if seen.begins <= self._shown]
        return sorted(shown, key=lambda move: (move.at, move.seq))[-count:] if count > 0 else []

    @property
    def moving(self) -> bool:
        """Whether anything is still to be shown."""
        return not self.paused and bool(self._busy_until) and self._last_end > self._shown

    @property
    def _last_end(self) -> float:
        return max(self._busy_until.values(), default=0.0)
