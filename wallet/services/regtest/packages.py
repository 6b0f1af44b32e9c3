"""Several transactions at once: a child with its parents for which it pays.

Each is tried alone first, so that no package keeps out what would get in by itself, and no parent's
fees help a child. What is refused for its fee only is then tried together, at the feerate of all
of them; to replace something they may be two only, with nothing unconfirmed above them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import SAT_PER_BTC
from wallet.base.values.ids import Txid
from wallet.services.regtest import truc
from wallet.services.regtest.acceptance import (
    ALONE,
    TESTED_TOGETHER,
    TOGETHER,
    Candidate,
    Terms,
    check,
    check_apart,
    check_cluster_limits,
    check_feerate,
    check_max_feerate,
    check_scripts,
    no_gain,
    pays_too_little,
    too_many_clusters,
)
from wallet.services.regtest.clusters import Member
from wallet.services.regtest.mempool import Acceptance, Entry, Mempool
from wallet.services.regtest.policy import Rejected, check_dust_spent

MAX_COUNT: Final = 25
MAX_WEIGHT: Final = 404_000

FAILED: Final = "transaction failed"
_UNSPENT_DUST: Final = "unspent-dust"
_NO_REPLACEMENT: Final = "package RBF failed: "


@dataclass(frozen=True, slots=True)
class Accepted:
    """In the mempool now (or it would be). `fee` and `vsize` are those of all that `includes`."""

    entry: Entry
    fee: int
    vsize: int
    includes: tuple[Txid, ...]
    """Wtxids whose fees counted together."""
    replaced: frozenset[Txid] = frozenset()

    @property
    def feerate(self) -> int:
        """Satoshi per 1,000 virtual bytes, rounded down as Core does."""
        return self.fee * 1000 // self.vsize


@dataclass(frozen=True, slots=True)
class AlreadyHere:
    """In the mempool before; `entry.tx` may bear another witness."""

    entry: Entry


Outcome = Accepted | AlreadyHere | Rejected


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a package."""

    outcomes: Mapping[Txid, Outcome]
    """By wtxid; without those that were not looked at."""
    failure: str = ""
    """Why not all of it is in the mempool, in Core's words; empty: all is."""
    malformed: bool = False
    """The fault is with the package, not with one of its transactions."""


class _Failed(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.failure)
        self.verdict = verdict


@contextmanager
def _blaming(tx: Transaction, failure: str = FAILED) -> Iterator[None]:
    """A rejection is this transaction's outcome, and the end of its package."""
    try:
        yield
    except Rejected as rejected:
        raise _Failed(Verdict({tx.wtxid: rejected}, failure)) from None


@contextmanager
def _blaming_package() -> Iterator[None]:
    """A rejection is the package's, and of none of its transactions."""
    try:
        yield
    except Rejected as rejected:
        raise _Failed(Verdict({}, str(rejected), malformed=True)) from None


def check_form(package: Sequence[Transaction]) -> None:
    """What can be seen without coins or mempool; raises `Rejected`."""
    if len(package) > MAX_COUNT:
        raise Rejected("package-too-many-transactions")
    if len(package) > 1 and sum(tx.weight for tx in package) > MAX_WEIGHT:
        raise Rejected("package-too-large")
    later = {tx.txid for tx in package}
    if len(later) != len(package):
        raise Rejected("package-contains-duplicates")
    for tx in package:
        if any(txin.outpoint.txid in later for txin in tx.inputs):
            raise Rejected("package-not-sorted")
        later.discard(tx.txid)
    # An input that one transaction has twice is that transaction's own fault.
    spent = [outpoint for tx in package for outpoint in {i.outpoint for i in tx.inputs}]
    if len(set(spent)) != len(spent):
        raise Rejected("conflict-in-package")


def is_child_with_parents(package: Sequence[Transaction]) -> bool:
    """Whether all but the last are parents of the last, and none of another."""
    *parents, child = package
    txids = {tx.txid for tx in parents}
    above = [txin.outpoint.txid for tx in parents for txin in tx.inputs]
    return txids <= {txin.outpoint.txid for txin in child.inputs} and txids.isdisjoint(above)


def submit(
    pool: Mempool, package: Sequence[Transaction], now: int, max_feerate: int | None = None
) -> Verdict:
    """Take in what may enter of a child with its parents, or of one transaction."""
    try:
        with _blaming_package():
            check_form(package)
    except _Failed as failed:
        return failed.verdict
    outcomes: dict[Txid, Outcome] = {}
    underpaid: list[Transaction] = []
    hopeless = False
    for tx in package:
        if (known := pool.entries.get(tx.txid)) is not None:
            outcomes[tx.wtxid] = AlreadyHere(known)
            continue
        try:
            accepted = check(pool, tx, now, replace(ALONE, max_feerate=max_feerate))
        except Rejected as rejected:
            outcomes[tx.wtxid] = rejected
            underpaid.append(tx)
            # A missing input may be an output of a parent that pays too little by itself.
            hopeless = hopeless or not (rejected.underpaid or rejected.missing)
        else:
            pool.add(accepted)
            outcomes[tx.wtxid] = by_itself(accepted)
    if not underpaid:
        return Verdict(outcomes)
    if hopeless or len(underpaid) == 1:
        return Verdict(outcomes, FAILED)
    together = _submit_together(pool, underpaid, now, replace(TOGETHER, max_feerate=max_feerate))
    return replace(together, outcomes={**outcomes, **together.outcomes})


def _submit_together(
    pool: Mempool, package: Sequence[Transaction], now: int, terms: Terms
) -> Verdict:
    try:
        together = list(_judged(pool, package, now, terms))
    except _Failed as failed:
        return failed.verdict
    for accepted in together:
        pool.add(accepted)
    fee = sum(a.entry.fee for a in together)
    vsize = sum(a.entry.vsize for a in together)
    includes = tuple(tx.wtxid for tx in package)
    return Verdict(
        {a.entry.tx.wtxid: Accepted(a.entry, fee, vsize, includes, a.replaced) for a in together}
    )


def rehearse(pool: Mempool, package: Sequence[Transaction], now: int) -> Verdict:
    """What would become of transactions that may build on each other, pay each for itself and
    replace nothing; the mempool stays as it is.
    """
    outcomes: dict[Txid, Outcome] = {}
    try:
        with _blaming_package():
            check_form(package)
        for accepted in _judged(pool, package, now, TESTED_TOGETHER):
            outcomes[accepted.entry.tx.wtxid] = by_itself(accepted)
    except _Failed as failed:
        return replace(failed.verdict, outcomes={**outcomes, **failed.verdict.outcomes})
    return Verdict(outcomes)


def by_itself(accepted: Acceptance) -> Accepted:
    entry = accepted.entry
    return Accepted(entry, entry.fee, entry.vsize, (entry.tx.wtxid,), accepted.replaced)


def _judged(
    pool: Mempool, package: Sequence[Transaction], now: int, terms: Terms
) -> Iterator[Acceptance]:
    """Each transaction when all has been checked, parents first; raises `_Failed`."""
    by_txid: dict[Txid, Transaction] = {}
    candidates: list[Candidate] = []
    for tx in package:
        with _blaming(tx):
            candidate = check_apart(pool, tx, now, terms, by_txid)
            check_max_feerate(candidate.entry, terms)
        candidates.append(candidate)
        by_txid[tx.txid] = tx
    with _blaming_package():
        truc.check_package(pool, candidates)
    if not terms.pays_alone:
        with _blaming(package[-1]):
            check_feerate(pool, *_fee_and_vsize(candidates))
    members = {c.entry.tx.txid: _member(c, by_txid) for c in candidates}
    with _blaming_package():
        replaced = _check_replacement(pool, candidates, members)
    for tx in package:
        parents = members[tx.txid].parents
        with _blaming(tx, _UNSPENT_DUST):
            check_dust_spent(tx, [by_txid.get(t) or pool.entries[t].tx for t in parents])
    for candidate in candidates:
        tx = candidate.entry.tx
        with _blaming(tx):
            check_scripts(pool, candidate)
        yield Acceptance(candidate.entry, members[tx.txid].parents, replaced)
        replaced = frozenset()  # Gone with the first that enters.


def _fee_and_vsize(candidates: Sequence[Candidate]) -> tuple[int, int]:
    return sum(c.entry.fee for c in candidates), sum(c.entry.vsize for c in candidates)


def _member(candidate: Candidate, package: Mapping[Txid, Transaction]) -> Member:
    entry = candidate.entry
    beside = {i.outpoint.txid for i in entry.tx.inputs if i.outpoint.txid in package}
    return Member(entry.fee, entry.weight, candidate.parents | beside)


def _check_replacement(
    pool: Mempool, candidates: Sequence[Candidate], members: Mapping[Txid, Member]
) -> frozenset[Txid]:
    """Clusters, and what a package may replace as a whole; raises `Rejected`."""
    conflicts = frozenset(txid for c in candidates for txid in c.conflicts)
    replaced = frozenset(pool.descendants(conflicts))
    if replaced:
        _check_pays_for_replaced(pool, candidates, conflicts, replaced)
    changed = pool.change(members, replaced)
    check_cluster_limits(changed)
    if replaced and (words := no_gain(changed)):
        raise Rejected(_NO_REPLACEMENT + words)
    return replaced


def _check_pays_for_replaced(
    pool: Mempool,
    candidates: Sequence[Candidate],
    conflicts: frozenset[Txid],
    replaced: frozenset[Txid],
) -> None:
    if len(candidates) != 2:
        raise Rejected(_NO_REPLACEMENT + "package must be 1-parent-1-child")
    # So nothing of the package can build on what it replaces.
    if any(c.parents for c in candidates):
        raise Rejected(_NO_REPLACEMENT + "new transaction cannot have mempool ancestors")
    parent, child = (c.entry for c in candidates)
    if words := too_many_clusters(pool, child.tx.txid, conflicts):
        raise Rejected(_NO_REPLACEMENT + "too many potential replacements", words)
    fee, vsize = _fee_and_vsize(candidates)
    if words := pays_too_little(pool, child.tx.txid, fee, vsize, replaced):
        raise Rejected(_NO_REPLACEMENT + "insufficient anti-DoS fees", words)
    # Or a miner would take the parent without the child, whose fee then counted for nothing.
    if fee * parent.vsize <= parent.fee * vsize:
        raise Rejected(
            _NO_REPLACEMENT + "package feerate is less than or equal to parent feerate",
            f"package feerate {_feerate(fee, vsize)} <= parent feerate is "
            f"{_feerate(parent.fee, parent.vsize)}",
        )


def _feerate(fee: int, vsize: int) -> str:
    whole, rest = divmod(fee * 1000 // vsize, SAT_PER_BTC)
    return f"{whole}.{rest:08d} BTC/kvB"
