"""Version 3 transactions (TRUC, BIP 431): while unconfirmed, a parent and a child at most.

The bounds make replacing them cheap to think about: whoever wants to bump one knows the most that
anybody can have hung on it. Reorgs may break these rules; they are asked of arrivals only.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import Txid
from wallet.services.regtest.policy import Rejected, described

if TYPE_CHECKING:
    from wallet.services.regtest.acceptance import Candidate
    from wallet.services.regtest.mempool import Entry, Mempool

VERSION: Final = 3
MAX_VSIZE: Final = 10_000
MAX_CHILD_VSIZE: Final = 1_000


def check(
    pool: "Mempool",
    entry: "Entry",
    parents: Collection[Txid],
    conflicts: Collection[Txid],
    *,
    evicts_sibling: bool,
) -> Txid | None:
    """One arrival and its `parents` in the mempool; raises `Rejected`.

    Returns the sibling to evict: with `evicts_sibling`, a second child may replace the only other
    one if it pays for it.
    """
    tx = entry.tx
    for parent in sorted(parents):
        _check_inherited(tx, pool.entries[parent].tx)
    if tx.version != VERSION:
        return None
    if entry.vsize > MAX_VSIZE:
        raise _violation(
            f"version=3 {described(tx)} is too big: {entry.vsize} > {MAX_VSIZE} virtual bytes"
        )
    if not parents:
        return None
    if len(pool.ancestors(parents)) > 1:
        raise _too_many_ancestors(tx)
    _check_child_size(entry)
    [parent] = parents
    others = pool.descendants([parent]) - {parent}
    # One of several children (a reorg may leave them) may be replaced for its own sake.
    if not others or not others.isdisjoint(conflicts):
        return None
    sibling = min(others)
    if evicts_sibling and len(others) == 1 and len(pool.ancestors([sibling])) == 2:
        return sibling
    raise _too_many_descendants(pool.entries[parent].tx)


def check_package(pool: "Mempool", package: Sequence["Candidate"]) -> None:
    """Arrivals that each passed `check`, and each other; raises `Rejected`."""
    txs = [candidate.entry.tx for candidate in package]
    for candidate in package:
        _check_member(pool, candidate, txs)


def _check_member(pool: "Mempool", candidate: "Candidate", package: Sequence[Transaction]) -> None:
    tx = candidate.entry.tx
    parents = [pool.entries[txid].tx for txid in sorted(candidate.parents)]
    parents += [other for other in package if _spends(tx, other)]
    if tx.version != VERSION:
        for parent in parents:
            _check_inherited(tx, parent)
        return
    if not parents:
        return
    if len(parents) > 1:
        raise _too_many_ancestors(tx)
    _check_child_size(candidate.entry)
    [parent] = parents
    _check_inherited(tx, parent)
    for other in package:
        if other is not tx and _spends(other, parent):
            raise _too_many_descendants(parent)
        if _spends(other, tx):
            raise _too_many_ancestors(other)


def _spends(child: Transaction, parent: Transaction) -> bool:
    return any(txin.outpoint.txid == parent.txid for txin in child.inputs)


def _check_inherited(tx: Transaction, parent: Transaction) -> None:
    """All of a family is TRUC, or none."""
    if (tx.version == VERSION) == (parent.version == VERSION):
        return
    mine, theirs = (
        ("version=3", "non-version=3") if tx.version == VERSION else ("non-version=3", "version=3")
    )
    raise _violation(f"{mine} {described(tx)} cannot spend from {theirs} {described(parent)}")


def _check_child_size(entry: "Entry") -> None:
    if entry.vsize > MAX_CHILD_VSIZE:
        raise _violation(
            f"version=3 child {described(entry.tx)} is too big: "
            f"{entry.vsize} > {MAX_CHILD_VSIZE} virtual bytes"
        )


def _too_many_ancestors(tx: Transaction) -> Rejected:
    return _violation(f"{described(tx)} would have too many ancestors")


def _too_many_descendants(parent: Transaction) -> Rejected:
    return _violation(f"{described(parent)} would exceed descendant count limit")


def _violation(detail: str) -> Rejected:
    return Rejected("TRUC-violation", detail)
