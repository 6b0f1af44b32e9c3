"""Version 3 transactions (TRUC, BIP 431): small families, of a parent and a child at most."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from wallet.base.values.ids import Txid
from wallet.services.regtest.policy import Rejected

if TYPE_CHECKING:
    from wallet.services.regtest.mempool import Entry, Mempool

VERSION: Final = 3
MAX_VSIZE: Final = 10_000
MAX_CHILD_VSIZE: Final = 1_000


def check(
    pool: "Mempool", entry: "Entry", parents: Collection[Txid], conflicts: Collection[Txid]
) -> set[Txid]:
    """Check BIP 431's topology; raises `Rejected`.

    Returns the sibling to evict: a second child may replace the first one if it pays for it.
    """
    tx = entry.tx
    name = f"tx {tx.txid} (wtxid={tx.wtxid})"
    for parent in parents:
        other = pool.entries[parent].tx
        if (other.version == VERSION) != (tx.version == VERSION):
            mine, theirs = (
                ("version=3", "non-version=3")
                if tx.version == VERSION
                else ("non-version=3", "version=3")
            )
            raise _violation(
                f"{mine} {name} cannot spend from {theirs} tx {other.txid} (wtxid={other.wtxid})"
            )
    if tx.version != VERSION:
        return set()
    if entry.vsize > MAX_VSIZE:
        raise _violation(f"version=3 {name} is too big: {entry.vsize} > {MAX_VSIZE} virtual bytes")
    if not parents:
        return set()
    if len(pool.ancestors(parents)) > 1:
        raise _violation(f"{name} would have too many ancestors")
    if entry.vsize > MAX_CHILD_VSIZE:
        raise _violation(
            f"version=3 child {name} is too big: {entry.vsize} > {MAX_CHILD_VSIZE} virtual bytes"
        )
    return {
        sibling
        for parent in parents
        for sibling in pool.children(parent)
        if sibling not in conflicts
    }


def _violation(detail: str) -> Rejected:
    return Rejected("TRUC-violation", detail)
