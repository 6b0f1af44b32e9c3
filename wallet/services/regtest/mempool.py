"""Unconfirmed transactions: Core's checks in Core's order, with Core's words for each refusal.

The order matters, because a transaction that breaks two rules is answered with the first. Fees are
in satoshi, feerates in satoshi per 1,000 virtual bytes. Kept in memory only, as a play chain may.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction
from wallet.base.values.ids import OutPoint, Txid
from wallet.services.regtest import policy, truc
from wallet.services.regtest.chain import Chain
from wallet.services.regtest.clusters import (
    MAX_CLUSTER_COUNT,
    MAX_CLUSTER_WEIGHT,
    Chunk,
    Member,
    by_feerate,
    chunks_of,
    cluster_of,
    improves,
)
from wallet.services.regtest.index import Coin
from wallet.services.regtest.miner import COINBASE_MATURITY, MAX_BLOCK_WEIGHT
from wallet.services.regtest.policy import MAX_MONEY, Rejected

MIN_RELAY_FEE: Final = 100
"""0.1 sat/vB: Core's default since version 30, for relay and for the step of a replacement."""
MIN_BLOCK_FEE: Final = 1
"""What a miner asks at least: Core's `-blockmintxfee` default."""

_MAX_REPLACED_CLUSTERS: Final = 100
_RESERVED_WEIGHT: Final = 8_000
_LOCKTIME_IS_TIME: Final = 500_000_000
_SEQUENCE_NO_LOCK: Final = 1 << 31
_SEQUENCE_IS_TIME: Final = 1 << 22
_SEQUENCE_MASK: Final = 0xFFFF
_SEQUENCE_TIME_SHIFT: Final = 9


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted transaction. `height` and `time` (Unix seconds) are those of its arrival."""

    tx: Transaction
    fee: int
    weight: int
    time: int
    height: int

    @property
    def vsize(self) -> int:
        """Virtual bytes, rounded up."""
        return -(-self.weight // 4)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What would happen if the transaction were taken in."""

    entry: Entry
    parents: frozenset[Txid]
    replaced: frozenset[Txid]


class Mempool:
    """The unconfirmed transactions on top of one chain."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.entries: dict[Txid, Entry] = {}
        self._spender: dict[OutPoint, Txid] = {}
        self._members: dict[Txid, Member] = {}
        self._children: dict[Txid, set[Txid]] = {}
        self.min_fee = MIN_RELAY_FEE
        """Knob: what a transaction must pay now, as if the mempool were full below it."""
        self.min_block_fee = MIN_BLOCK_FEE
        """Knob: the least feerate that our miner mines."""

    # Reading.

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """An output that no block and no unconfirmed transaction has spent."""
        return None if outpoint in self._spender else self._created(outpoint)

    def any_coin(self, outpoint: OutPoint) -> Coin | None:
        """An output that exists or existed, spent or not."""
        if (coin := self._created(outpoint)) is not None:
            return coin
        spent = self._chain.index.spent_coin(outpoint)
        return spent[0] if spent else None

    def spender(self, outpoint: OutPoint) -> Txid | None:
        """The unconfirmed transaction that spends an output."""
        return self._spender.get(outpoint)

    def _created(self, outpoint: OutPoint) -> Coin | None:
        entry = self.entries.get(outpoint.txid)
        if entry is None:
            return self._chain.index.coin(outpoint)
        outputs = entry.tx.outputs
        return Coin(outputs[outpoint.index], None, False) if outpoint.index < len(outputs) else None

    def parents(self, txid: Txid) -> frozenset[Txid]:
        """Unconfirmed transactions whose outputs an entry spends."""
        return self._members[txid].parents

    def children(self, txid: Txid) -> frozenset[Txid]:
        """Unconfirmed transactions that spend an entry's outputs."""
        return frozenset(self._children.get(txid, ()))

    def ancestors(self, txids: Iterable[Txid]) -> set[Txid]:
        """Entries and all their unconfirmed ancestors."""
        found: set[Txid] = set()
        todo = list(txids)
        while todo:
            txid = todo.pop()
            if txid not in found:
                found.add(txid)
                todo.extend(self._members[txid].parents)
        return found

    def descendants(self, txids: Iterable[Txid]) -> set[Txid]:
        """Entries and all their unconfirmed descendants."""
        found: set[Txid] = set()
        todo = [txid for txid in txids if txid in self.entries]
        while todo:
            txid = todo.pop()
            if txid not in found:
                found.add(txid)
                todo.extend(self._children.get(txid, ()))
        return found

    # Taking in.

    def check(self, tx: Transaction, now: int, *, returned: bool = False) -> Acceptance:
        """Whether `tx` may enter; raises `Rejected`.

        `returned`: it comes back from a disconnected block, where no fee was asked of it.
        """
        policy.check_transaction(tx)
        if policy.is_coinbase(tx):
            raise Rejected("coinbase")
        policy.check_standard(tx)
        if not self.is_final(tx):
            raise Rejected("non-final")
        if (known := self.entries.get(tx.txid)) is not None:
            raise Rejected(
                "txn-already-in-mempool"
                if known.tx.wtxid == tx.wtxid
                else "txn-same-nonwitness-data-in-mempool"
            )
        coins = self._coins_of(tx)
        self._check_sequence_locks(tx, coins)
        fee = self._fee(tx, coins)
        prevouts = [coin.output for coin in coins]
        policy.check_inputs_standard(tx, prevouts)
        if fee and policy.dust_outputs(tx):
            raise Rejected("dust", "tx with dust output must be 0-fee")
        entry = Entry(tx, fee, tx.weight, now, self._chain.height)
        if not returned:
            self._check_feerate(entry)
        parents = frozenset(i.outpoint.txid for i in tx.inputs if i.outpoint.txid in self.entries)
        conflicts = {self._spender[i.outpoint] for i in tx.inputs if i.outpoint in self._spender}
        conflicts |= truc.check(self, entry, parents, conflicts)
        replaced = self.descendants(conflicts)
        if spent := replaced & parents:
            raise Rejected(
                "bad-txns-spends-conflicting-tx",
                f"{tx.txid} spends conflicting transaction {min(spent)}",
            )
        if conflicts:
            self._check_pays_for_replaced(entry, conflicts, replaced)
        self._check_cluster(entry, parents, replaced)
        bad_input = self._chain.engine.verify(tx, prevouts)
        if bad_input is not None:
            raise Rejected("mempool-script-verify-flag-failed", f"input {bad_input} of {tx.txid}")
        return Acceptance(entry, parents, frozenset(replaced))

    def add(self, accepted: Acceptance) -> None:
        """Take in what `check` has just found acceptable, and drop what it replaces."""
        for txid in accepted.replaced:
            self._remove(txid)
        entry = accepted.entry
        txid = entry.tx.txid
        self.entries[txid] = entry
        self._members[txid] = Member(entry.fee, entry.weight, accepted.parents)
        for parent in accepted.parents:
            self._children.setdefault(parent, set()).add(txid)
        for txin in entry.tx.inputs:
            self._spender[txin.outpoint] = txid

    def _coins_of(self, tx: Transaction) -> list[Coin]:
        coins: list[Coin] = []
        for txin in tx.inputs:
            coin = self._created(txin.outpoint)
            if coin is None:
                if self._chain.index.has_unspent_of(tx.txid):
                    raise Rejected("txn-already-known")
                raise Rejected("bad-txns-inputs-missingorspent", missing=True)
            coins.append(coin)
        return coins

    def is_final(self, tx: Transaction) -> bool:
        """Whether `locktime` lets the next block have `tx` (BIP 113: by median time past)."""
        if not tx.locktime or all(i.sequence == SEQUENCE_FINAL for i in tx.inputs):
            return True
        if tx.locktime < _LOCKTIME_IS_TIME:
            return tx.locktime < self._chain.height + 1
        return tx.locktime < self._chain.median_time_past

    def _check_sequence_locks(self, tx: Transaction, coins: Sequence[Coin]) -> None:
        """BIP 68: relative locks must be open in the next block."""
        if tx.version < 2:
            return
        next_height = self._chain.height + 1
        for txin, coin in zip(tx.inputs, coins, strict=True):
            if txin.sequence & _SEQUENCE_NO_LOCK:
                continue
            # An unconfirmed parent counts as mined in the next block.
            height = next_height if coin.height is None else coin.height
            span = txin.sequence & _SEQUENCE_MASK
            if txin.sequence & _SEQUENCE_IS_TIME:
                before = self._chain.hash_at(max(height - 1, 0))
                opens = self._chain.index.median_time_past(before) + (span << _SEQUENCE_TIME_SHIFT)
                locked = opens > self._chain.median_time_past
            else:
                locked = height + span > next_height
            if locked:
                raise Rejected("non-BIP68-final")

    def _fee(self, tx: Transaction, coins: Sequence[Coin]) -> int:
        next_height = self._chain.height + 1
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

    def _check_feerate(self, entry: Entry) -> None:
        for least, reason in (
            (self.min_fee if self.min_fee > MIN_RELAY_FEE else 0, "mempool min fee not met"),
            (min(self.min_fee, MIN_RELAY_FEE), "min relay fee not met"),
        ):
            asked = fee_at(least, entry.vsize)
            if entry.fee < asked:
                raise Rejected(reason, f"{entry.fee} < {asked}")

    def _check_pays_for_replaced(
        self, entry: Entry, conflicts: set[Txid], replaced: set[Txid]
    ) -> None:
        """Full RBF with increment (Core's rules 3, 4 and 5 of its replacement policy)."""
        txid, fee = entry.tx.txid, entry.fee
        clusters = {min(cluster_of([c], self._members, self._children)) for c in conflicts}
        if len(clusters) > _MAX_REPLACED_CLUSTERS:
            raise Rejected(
                "too many potential replacements",
                f"rejecting replacement {txid}; too many conflicting clusters "
                f"({len(clusters)} > {_MAX_REPLACED_CLUSTERS})",
            )
        old_fees = sum(self.entries[t].fee for t in replaced)
        if fee < old_fees:
            raise Rejected(
                "insufficient fee",
                f"rejecting replacement {txid}, less fees than conflicting txs; "
                f"{format_money(fee)} < {format_money(old_fees)}",
            )
        step = fee_at(MIN_RELAY_FEE, entry.vsize)
        if fee - old_fees < step:
            raise Rejected(
                "insufficient fee",
                f"rejecting replacement {txid}, not enough additional fees to relay; "
                f"{format_money(fee - old_fees)} < {format_money(step)}",
            )

    def _check_cluster(self, entry: Entry, parents: frozenset[Txid], replaced: set[Txid]) -> None:
        txid = entry.tx.txid
        touched = cluster_of({*parents, *replaced}, self._members, self._children)
        after = {t: self._members[t] for t in touched if t not in replaced}
        after[txid] = Member(entry.fee, entry.weight, parents)
        # What stays of the touched clusters may have fallen apart: only what hangs together with
        # the new transaction counts against the limits.
        children = {t: self._children.get(t, set()) - replaced for t in after}
        for parent in parents:
            children[parent] = children[parent] | {txid}
        own = cluster_of([txid], after, children)
        weight = sum(after[t].weight for t in own)
        if len(own) > MAX_CLUSTER_COUNT or weight > MAX_CLUSTER_WEIGHT:
            raise Rejected("too-large-cluster")
        if replaced and not improves(chunks_of(touched, self._members), chunks_of(after, after)):
            raise Rejected(
                "replacement-failed", "insufficient feerate: does not improve feerate diagram"
            )

    # Blocks.

    def block_connected(self, block: Block) -> None:
        """Forget what the block confirms, and whatever conflicts with it."""
        for tx in block.transactions[1:]:
            self._remove(tx.txid)
            for txin in tx.inputs:
                rival = self._spender.get(txin.outpoint)
                for txid in self.descendants([rival] if rival else ()):
                    self._remove(txid)

    def refill(self, returned: Sequence[Transaction], now: int) -> list[Transaction]:
        """After a reorg: offer `returned` (oldest block first), then all that was here, anew.

        The other order would drop children whose parents come back later, and would let what was
        here keep out what had been confirmed. Returns the transactions that are gone.
        """
        kept = list(self.entries.values())
        for txid in list(self.entries):
            self._remove(txid)
        lost: list[Transaction] = []
        for tx, time in [(tx, now) for tx in returned] + [(e.tx, e.time) for e in kept]:
            try:
                self.add(self.check(tx, time, returned=True))
            except Rejected:
                lost.append(tx)
        return lost

    def _remove(self, txid: Txid) -> None:
        entry = self.entries.pop(txid, None)
        if entry is None:
            return
        for txin in entry.tx.inputs:
            self._spender.pop(txin.outpoint, None)
        for parent in self._members.pop(txid).parents:
            self._children.get(parent, set()).discard(txid)
        for child in self._children.pop(txid, ()):
            member = self._members[child]
            self._members[child] = Member(member.fee, member.weight, member.parents - {txid})

    def template(self) -> list[Entry]:
        """What a miner takes into the next block: best chunks first, parents before children."""
        chunks: list[Chunk] = []
        left = set(self.entries)
        while left:
            cluster = cluster_of([next(iter(left))], self._members, self._children)
            left -= cluster
            chunks.extend(chunks_of(cluster, self._members))
        taken: dict[Txid, Entry] = {}
        weight = _RESERVED_WEIGHT
        for chunk in by_feerate(chunks):
            enough = chunk.fee >= fee_at(self.min_block_fee, -(-chunk.weight // 4))
            fits = weight + chunk.weight <= MAX_BLOCK_WEIGHT
            # A chunk that stays out keeps out the later chunks of its cluster that build on it.
            ready = all(
                parent in taken or parent in chunk.txids
                for txid in chunk.txids
                for parent in self._members[txid].parents
            )
            if enough and fits and ready:
                taken.update((txid, self.entries[txid]) for txid in chunk.txids)
                weight += chunk.weight
        return list(taken.values())


def fee_at(per_kvb: int, vsize: int) -> int:
    """Fee of `vsize` virtual bytes at satoshi per 1,000 of them, rounded up as Core does."""
    return -(-per_kvb * vsize // 1000)


def format_money(sat: int) -> str:
    """Satoshi as Core prints them in messages: BTC with at least two decimals."""
    whole, rest = divmod(sat, 100_000_000)
    decimals = f"{rest:08d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{decimals}"
