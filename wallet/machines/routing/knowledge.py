"""What payments taught us of other nodes' channels. Memory only: it is stale after a restart.

Times are seconds and arrive as arguments. Nobody tells how much a channel can carry; each attempt
answers that for one amount, and the answer ages.
"""

from typing import Final

from wallet.base.values.ids import NodeId
from wallet.machines.routing.graph import edge_key

FRESH_SECONDS: Final = 60
"""For so long a channel that failed is not tried again: longer than one payment goes on trying,
short enough that a person who pressed the key again finds the channel someone has repaired."""
HALF_LIFE_SECONDS: Final = 3_600
PENALTY_MSAT: Final = 100_000
"""What another attempt is worth to us: a channel that failed must be so much cheaper."""
_FORGET_SECONDS: Final = 24 * HALF_LIFE_SECONDS
_ENTRIES: Final = 10_000
_NEVER: Final = float("inf")

Avoided = dict[int, tuple[int, float]]
"""By edge key: from which amount on (msat), and what it then costs beside its fee (msat)."""


class Knowledge:
    """What failed, what passed, and what is not to be used for a while; by channel direction."""

    def __init__(self) -> None:
        self._failed: dict[int, tuple[int, int]] = {}
        self._passed: dict[int, int] = {}
        self._forbidden: dict[int, int] = {}
        self._nodes: dict[NodeId, int] = {}

    def learn_failure(self, scid: int, direction: int, amount_msat: int, now: int) -> None:
        """The direction could not carry `amount_msat`."""
        key = edge_key(scid, direction)
        least, when = self._failed.get(key, (amount_msat, now))
        if now - when >= HALF_LIFE_SECONDS:
            least = amount_msat
        self._failed[key] = (min(least, amount_msat), now)
        if self._passed.get(key, 0) >= amount_msat:
            del self._passed[key]
        self._shrink(now)

    def learn_success(self, scid: int, direction: int, amount_msat: int, now: int) -> None:
        """The direction carried `amount_msat`, and so the other one can carry it back."""
        for key in (edge_key(scid, direction), edge_key(scid, 1 - direction)):
            if self._failed.get(key, (_NEVER, 0))[0] <= amount_msat:
                del self._failed[key]
        key = edge_key(scid, direction)
        self._passed[key] = max(self._passed.get(key, 0), amount_msat)
        self._shrink(now)

    def forbid(self, scid: int, direction: int, until: int) -> None:
        """Do not use the direction for any amount before `until`."""
        key = edge_key(scid, direction)
        self._forbidden[key] = max(until, self._forbidden.pop(key, 0))
        while len(self._forbidden) > _ENTRIES:
            del self._forbidden[next(iter(self._forbidden))]

    def forbid_node(self, node_id: NodeId, until: int) -> None:
        """Do not go through the node before `until`."""
        self._nodes[node_id] = max(until, self._nodes.pop(node_id, 0))
        while len(self._nodes) > _ENTRIES:
            del self._nodes[next(iter(self._nodes))]

    def passed_msat(self, scid: int, direction: int) -> int:
        """The most that the direction has carried for us; 0 when nothing is known."""
        return self._passed.get(edge_key(scid, direction), 0)

    def avoided(self, now: int) -> Avoided:
        """The directions that a search has to look at twice."""
        # Copies, made in one go: a search on another thread may ask while we learn.
        edges: Avoided = {}
        for key, (least, when) in list(self._failed.items()):
            age = now - when
            if age < FRESH_SECONDS:
                edges[key] = (least, _NEVER)
            elif age < _FORGET_SECONDS:
                edges[key] = (least, PENALTY_MSAT * 0.5 ** (age / HALF_LIFE_SECONDS))
        for key, until in list(self._forbidden.items()):
            if now < until:
                edges[key] = (0, _NEVER)
        return edges

    def avoided_nodes(self, now: int) -> list[NodeId]:
        """The nodes through which nothing goes now."""
        return [node_id for node_id, until in list(self._nodes.items()) if now < until]

    def _shrink(self, now: int) -> None:
        """Drop what has no effect any more once there is too much of it, and then the oldest."""
        if len(self._failed) > _ENTRIES:
            kept = [e for e in self._failed.items() if now - e[1][1] < _FORGET_SECONDS]
            self._failed = dict(sorted(kept, key=lambda e: e[1][1])[-_ENTRIES // 2 :])
        if len(self._passed) > _ENTRIES:
            self._passed = dict(list(self._passed.items())[-_ENTRIES // 2 :])
