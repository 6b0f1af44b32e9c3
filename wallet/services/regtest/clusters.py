"""Clusters of unconfirmed transactions: how a miner would order them, and whether a change pays.

Pure. A cluster is what hangs together by spending; a linearisation is an order in which parents
come first; its chunks are the runs that a miner takes together, by falling feerate. Fees in
satoshi, sizes in weight units. Feerates are compared by cross-multiplying: never a division.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from wallet.base.values.ids import Txid

MAX_CLUSTER_COUNT: Final = 64
MAX_CLUSTER_WEIGHT: Final = 101_000 * 4


@dataclass(frozen=True, slots=True)
class Member:
    """One unconfirmed transaction as a miner sees it."""

    fee: int
    weight: int
    parents: frozenset[Txid]
    """Those of its inputs' transactions that are unconfirmed too."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Transactions to be mined together, parents first."""

    fee: int
    weight: int
    txids: tuple[Txid, ...]

    def pays_more_than(self, other: "Chunk") -> bool:
        """Whether the feerate is strictly higher."""
        return self.fee * other.weight > other.fee * self.weight


Pool = Mapping[Txid, Member]


@dataclass(frozen=True, slots=True)
class Change:
    """Clusters that new transactions touch or form: as they are, and as they would be."""

    before: Pool
    after: Pool
    new: frozenset[Txid]

    @property
    def too_large(self) -> bool:
        """Whether one that holds a new transaction would be above Core's limits.

        What stays of the touched clusters may have fallen apart: only what hangs together with a
        new transaction counts.
        """
        children: dict[Txid, set[Txid]] = {}
        for txid, member in self.after.items():
            for parent in member.parents:
                children.setdefault(parent, set()).add(txid)
        left = set(self.new)
        while left:
            own = cluster_of([next(iter(left))], self.after, children)
            weight = sum(self.after[txid].weight for txid in own)
            if len(own) > MAX_CLUSTER_COUNT or weight > MAX_CLUSTER_WEIGHT:
                return True
            left -= own
        return False

    @property
    def pays(self) -> bool:
        """Whether a miner gains by it, with any amount of space."""
        return improves(
            chunks_of(self.before, self.before),
            chunks_of(self.after, self.after),
        )


def change(
    pool: Pool, children: Mapping[Txid, set[Txid]], new: Pool, replaced: Collection[Txid]
) -> Change:
    """What adding `new` and dropping `replaced` (with all their descendants) does to clusters."""
    parents = {parent for member in new.values() for parent in member.parents}
    before = {t: pool[t] for t in cluster_of({*parents, *replaced}, pool, children)}
    after = {t: member for t, member in before.items() if t not in replaced}
    return Change(before, {**after, **new}, frozenset(new))


def cluster_of(
    roots: Collection[Txid], pool: Pool, children: Mapping[Txid, set[Txid]]
) -> set[Txid]:
    """Everything that hangs together with `roots`, through parents and children."""
    found: set[Txid] = set()
    todo = list(roots)
    while todo:
        txid = todo.pop()
        if txid in found or txid not in pool:
            continue
        found.add(txid)
        todo.extend(pool[txid].parents)
        todo.extend(children.get(txid, ()))
    return found


def chunks_of(txids: Collection[Txid], pool: Pool) -> list[Chunk]:
    """Linearise transactions (with their unconfirmed ancestors among them) into chunks.

    Takes the ancestor set with the best feerate again and again: not always optimal, as Core's
    search is, but it never places a child before its parent, and it finds every package that
    a child pays for.
    """
    left = {txid: pool[txid] for txid in txids}
    out: list[Chunk] = []
    while left:
        best: Chunk | None = None
        for txid in left:
            chunk = _ancestor_set(txid, left)
            # Between equals the smaller one, so that unrelated transactions are not glued together.
            if (
                best is None
                or chunk.pays_more_than(best)
                or (
                    chunk.fee * best.weight == best.fee * chunk.weight
                    and chunk.weight < best.weight
                )
            ):
                best = chunk
        if best is None:
            break
        for txid in best.txids:
            del left[txid]
        out.append(best)
        while len(out) > 1 and out[-1].pays_more_than(out[-2]):
            last, before = out.pop(), out.pop()
            out.append(
                Chunk(before.fee + last.fee, before.weight + last.weight, before.txids + last.txids)
            )
    return out


def _ancestor_set(txid: Txid, left: Pool) -> Chunk:
    ordered: list[Txid] = []
    seen: set[Txid] = set()
    todo: list[tuple[Txid, bool]] = [(txid, False)]
    while todo:
        current, parents_done = todo.pop()
        if parents_done:
            ordered.append(current)
        elif current not in seen:
            seen.add(current)
            todo.append((current, True))
            todo.extend((p, False) for p in sorted(left[current].parents) if p in left)
    return Chunk(
        sum(left[t].fee for t in ordered), sum(left[t].weight for t in ordered), tuple(ordered)
    )


def improves(before: Sequence[Chunk], after: Sequence[Chunk]) -> bool:
    """Whether the feerate diagram of `after` is nowhere below `before`'s, and somewhere above.

    The diagram draws fees collected over weight mined, best chunks first (Core's rule for
    replacements: a miner with any amount of space must not lose).
    """
    old, new = _diagram(before), _diagram(after)
    ends = sorted({weight for weight, _ in (*old, *new)})
    differences = [_height_at(new, weight) - _height_at(old, weight) for weight in ends]
    return all(d >= 0 for d in differences) and any(d > 0 for d in differences)


def _diagram(chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
    points = [(0, 0)]
    for chunk in by_feerate(chunks):
        weight, fee = points[-1]
        points.append((weight + chunk.weight, fee + chunk.fee))
    return points


def by_feerate(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Best feerate first; equals stay in their order, so a cluster's own order is kept."""
    # Exact: weights are below 2**19, so two different feerates differ by more than 2**-38.
    return sorted(chunks, key=lambda c: -((c.fee << 64) // c.weight))


def _height_at(diagram: list[tuple[int, int]], weight: int) -> Fraction:
    """Fees collected at `weight`, by straight lines; flat after the last point."""
    for (left, low), (right, high) in pairwise(diagram):
        if weight <= right:
            return low + Fraction((high - low) * (weight - left), right - left)
    return Fraction(diagram[-1][1])
