"""Whether one transaction may enter the mempool: Core's checks in Core's order and words.

The order matters, because a transaction that breaks two rules is answered with the first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction, TxOut
from wallet.base.values.ids import OutPoint, Txid
from wallet.services.regtest import policy, truc
from wallet.services.regtest.chain import Chain
from wallet.services.regtest.clusters import Change, Member
from wallet.services.regtest.index import Coin
from wallet.services.regtest.mempool import (
    MIN_RELAY_FEE,
    Acceptance,
    Entry,
    Mempool,
    fee_at,
    format_money,
    unconfirmed,
)
from wallet.services.regtest.miner import COINBASE_MATURITY
from wallet.services.regtest.policy import MAX_MONEY, Rejected

_MAX_REPLACED_CLUSTERS: Final = 100
_LOCKTIME_IS_TIME: Final = 500_000_000
_SEQUENCE_NO_LOCK: Final = 1 << 31
_SEQUENCE_IS_TIME: Final = 1 << 22
_SEQUENCE_MASK: Final = 0xFFFF
_SEQUENCE_TIME_SHIFT: Final = 9


@dataclass(frozen=True, slots=True)
class Terms:
    """Which rules hold for a transaction, by how it comes."""

    limited: bool = True
    """Feerates, TRUC and the spending of dust."""
    pays_alone: bool = True
    """The minimum feerates hold for it alone, not for its package."""
    replaces: bool = True
    """It may conflict with what is here."""
    evicts_sibling: bool = True
    """It may replace the only other child of its TRUC parent, without conflicting with it."""
    max_feerate: int | None = None
    """Satoshi per 1,000 virtual bytes that its sender is willing to pay; None: anything."""


ALONE: Final = Terms()
RETURNED: Final = Terms(limited=False)
"""From a block that is no longer active, whose miner was not asked for it, or here before."""
TOGETHER: Final = Terms(pays_alone=False, evicts_sibling=False)
TESTED_TOGETHER: Final = Terms(replaces=False, evicts_sibling=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction that is good but for what it replaces, its cluster and its scripts."""

    entry: Entry
    prevouts: tuple[TxOut, ...]
    parents: frozenset[Txid]
    """Those in the mempool."""
    conflicts: frozenset[Txid]
    """What it replaces directly, an evicted sibling included."""
    sibling: Txid | None


def check(pool: Mempool, tx: Transaction, now: int, terms: Terms = ALONE) -> Acceptance:
    """Whether `tx` may enter by itself; raises `Rejected`."""
    candidate = check_apart(pool, tx, now, terms)
    entry, parents = candidate.entry, candidate.parents
    replaced = frozenset(pool.descendants(candidate.conflicts))
    if replaced:
        _check_replacement(pool, candidate, replaced)
    if spent := replaced & parents:
        raise Rejected(
            "bad-txns-spends-conflicting-tx",
            f"{tx.txid} spends conflicting transaction {min(spent)}",
        )
    changed = pool.change({tx.txid: Member(entry.fee, entry.weight, parents)}, replaced)
    check_cluster_limits(changed)
    if replaced and (words := no_gain(changed)):
        raise Rejected("replacement-failed", words, underpaid=True)
    check_max_feerate(entry, terms)
    if terms.limited:
        policy.check_dust_spent(tx, [pool.entries[parent].tx for parent in parents])
    check_scripts(pool, candidate)
    return Acceptance(entry, parents, replaced)


def refill(pool: Mempool, returned: Sequence[Transaction], now: int) -> list[Transaction]:
    """After a reorg: offer `returned` (oldest block first), then all that was here, anew.

    The other order would drop children whose parents come back later, and would let what was here
    keep out what had been confirmed. Returns the transactions that are gone.
    """
    kept = list(pool.entries.values())
    for entry in kept:
        pool.remove(entry.tx.txid)
    lost: list[Transaction] = []
    for tx, time in [(tx, now) for tx in returned] + [(e.tx, e.time) for e in kept]:
        try:
            pool.add(check(pool, tx, time, RETURNED))
        except Rejected:
            lost.append(tx)
    return lost


def check_apart(
    pool: Mempool,
    tx: Transaction,
    now: int,
    terms: Terms,
    package: Mapping[Txid, Transaction] | None = None,
) -> Candidate:
    """All checks but those of replacement, cluster, dust of parents and scripts.

    `package` are transactions whose outputs count as existing. Raises `Rejected`.
    """
    policy.check_transaction(tx)
    if policy.is_coinbase(tx):
        raise Rejected("coinbase")
    policy.check_standard(tx)
    if not _is_final(pool.chain, tx):
        raise Rejected("non-final")
    if (known := pool.entries.get(tx.txid)) is not None:
        raise Rejected(
            "txn-already-in-mempool"
            if known.tx.wtxid == tx.wtxid
            else "txn-same-nonwitness-data-in-mempool"
        )
    spenders = {pool.spender(txin.outpoint) for txin in tx.inputs}
    conflicts = frozenset(txid for txid in spenders if txid is not None)
    if conflicts and not terms.replaces:
        raise Rejected("bip125-replacement-disallowed")
    coins = _coins(pool, tx, package or {})
    _check_sequence_locks(pool.chain, tx, coins)
    fee = _fee(pool.chain, tx, coins)
    prevouts = tuple(coin.output for coin in coins)
    policy.check_inputs_standard(tx, prevouts)
    if fee and policy.dust_outputs(tx):
        raise Rejected("dust", "tx with dust output must be 0-fee")
    entry = Entry(tx, fee, tx.weight, now, pool.chain.height)
    if terms.limited and terms.pays_alone:
        check_feerate(pool, fee, entry.vsize)
    parents = frozenset(i.outpoint.txid for i in tx.inputs if i.outpoint.txid in pool.entries)
    sibling = None
    if terms.limited:
        sibling = truc.check(pool, entry, parents, conflicts, evicts_sibling=terms.evicts_sibling)
    return Candidate(
        entry, prevouts, parents, conflicts | {sibling} if sibling else conflicts, sibling
    )


def _coins(pool: Mempool, tx: Transaction, package: Mapping[Txid, Transaction]) -> list[Coin]:
    coins: list[Coin] = []
    for txin in tx.inputs:
        coin = _coin(pool, txin.outpoint, package)
        if coin is None:
            if pool.chain.index.has_unspent_of(tx.txid):
                raise Rejected("txn-already-known")
            raise Rejected("bad-txns-inputs-missingorspent", missing=True)
        coins.append(coin)
    return coins


def _coin(pool: Mempool, outpoint: OutPoint, package: Mapping[Txid, Transaction]) -> Coin | None:
    parent = package.get(outpoint.txid)
    return pool.created(outpoint) if parent is None else unconfirmed(parent, outpoint)


def _is_final(chain: Chain, tx: Transaction) -> bool:
    """Whether `locktime` lets the next block have `tx` (BIP 113: by median time past)."""
    if not tx.locktime or all(i.sequence == SEQUENCE_FINAL for i in tx.inputs):
        return True
    if tx.locktime < _LOCKTIME_IS_TIME:
        return tx.locktime < chain.height + 1
    return tx.locktime < chain.median_time_past


def _check_sequence_locks(chain: Chain, tx: Transaction, coins: Sequence[Coin]) -> None:
    """BIP 68: relative locks must be open in the next block."""
    if tx.version < 2:
        return
    next_height = chain.height + 1
    for txin, coin in zip(tx.inputs, coins, strict=True):
        if txin.sequence & _SEQUENCE_NO_LOCK:
            continue
        # An unconfirmed parent counts as mined in the next block.
        height = next_height if coin.height is None else coin.height
        span = txin.sequence & _SEQUENCE_MASK
        if txin.sequence & _SEQUENCE_IS_TIME:
            before = chain.hash_at(max(height - 1, 0))
            opens = chain.index.median_time_past(before) + (span << _SEQUENCE_TIME_SHIFT)
            locked = opens > chain.median_time_past
        else:
            locked = height + span > next_height
        if locked:
            raise Rejected("non-BIP68-final")


def _fee(chain: Chain, tx: Transaction, coins: Sequence[Coin]) -> int:
    next_height = chain.height + 1
    total = 0
    for coin in coins:
        depth = next_height - (next_height if coin.height is None else coin.height)
        if coin.coinbase and depth < COINBASE_MATURITY:
            raise Rejected(
                "bad-txns-premature-spend-of-coinbase",
                f"tried to spend coinbase at depth {depth}",
            )
        total += coin.output.amount.sat
    if total > MAX_MONEY:
        raise Rejected("bad-txns-inputvalues-outofrange")
    spent = sum(out.amount.sat for out in tx.outputs)
    if total < spent:
        raise Rejected(
            "bad-txns-in-belowout",
            f"value in ({format_money(total)}) < value out ({format_money(spent)})",
        )
    return total - spent


def check_feerate(pool: Mempool, fee: int, vsize: int) -> None:
    """A transaction, or a package, pays what the mempool asks now; raises `Rejected`."""
    for least, reason in (
        (pool.min_fee, "mempool min fee not met"),
        (pool.min_relay_fee, "min relay fee not met"),
    ):
        asked = fee_at(least, vsize)
        if fee < asked:
            raise Rejected(reason, f"{fee} < {asked}", underpaid=True)


def check_max_feerate(entry: Entry, terms: Terms) -> None:
    """A transaction pays no more than its sender meant to; raises `Rejected`."""
    if terms.max_feerate is not None and entry.fee * 1000 > terms.max_feerate * entry.vsize:
        raise Rejected("max feerate exceeded")


def _check_replacement(pool: Mempool, candidate: Candidate, replaced: frozenset[Txid]) -> None:
    entry = candidate.entry
    evicting = " (including sibling eviction)" if candidate.sibling else ""
    if words := too_many_clusters(pool, entry.tx.txid, candidate.conflicts):
        raise Rejected(f"too many potential replacements{evicting}", words)
    if words := pays_too_little(pool, entry.tx.txid, entry.fee, entry.vsize, replaced):
        raise Rejected(f"insufficient fee{evicting}", words, underpaid=True)


def too_many_clusters(pool: Mempool, txid: Txid, conflicts: Collection[Txid]) -> str:
    """Rule 5 of Core's replacement policy: why the miner's work would be too much, or nothing."""
    count = len(pool.clusters(conflicts))
    if count <= _MAX_REPLACED_CLUSTERS:
        return ""
    return (
        f"rejecting replacement {txid}; too many conflicting clusters "
        f"({count} > {_MAX_REPLACED_CLUSTERS})"
    )


def pays_too_little(
    pool: Mempool, txid: Txid, fee: int, vsize: int, replaced: Collection[Txid]
) -> str:
    """Rules 3 and 4: why `fee` does not pay for what it replaces and for its relay, or nothing."""
    old_fees = sum(pool.entries[t].fee for t in replaced)
    if fee < old_fees:
        return (
            f"rejecting replacement {txid}, less fees than conflicting txs; "
            f"{format_money(fee)} < {format_money(old_fees)}"
        )
    step = fee_at(MIN_RELAY_FEE, vsize)
    if fee - old_fees < step:
        return (
            f"rejecting replacement {txid}, not enough additional fees to relay; "
            f"{format_money(fee - old_fees)} < {format_money(step)}"
        )
    return ""


def check_cluster_limits(changed: Change) -> None:
    """Clusters stay small enough to be thought about; raises `Rejected`."""
    if changed.too_large:
        raise Rejected("too-large-cluster")


def no_gain(changed: Change) -> str:
    """Why a replacement is no gain to miners, or nothing."""
    return "" if changed.pays else "insufficient feerate: does not improve feerate diagram"


def check_scripts(pool: Mempool, candidate: Candidate) -> None:
    """The engine's verdict, last because it is dear; raises `Rejected`."""
    tx = candidate.entry.tx
    bad_input = pool.chain.engine.verify(tx, candidate.prevouts)
    if bad_input is not None:
        raise Rejected("mempool-script-verify-flag-failed", f"input {bad_input} of {tx.txid}")
