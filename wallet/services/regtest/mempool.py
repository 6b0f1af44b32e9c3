"""Unconfirmed transactions: which there are, how they hang together, and what a miner takes.

What may enter is acceptance.py's and packages.py's to say. Fees are in satoshi, feerates in satoshi
per 1,000 virtual bytes. Kept in memory only, as a play chain may.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import OutPoint, Txid
from wallet.services.regtest.chain import Chain
from wallet.services.regtest.clusters import (
    Change,
    Chunk,
    Member,
    by_feerate,
    change,
    chunks_of,
    cluster_of,
)
from wallet.services.regtest.index import Coin
from wallet.services.regtest.miner import MAX_BLOCK_WEIGHT

MIN_RELAY_FEE: Final = 100
"""0.1 sat/vB: Core's default since version 30, for relay and for the step of a replacement."""
MIN_BLOCK_FEE: Final = 1
"""What a miner asks at least: Core's `-blockmintxfee` default."""

_RESERVED_WEIGHT: Final = 8_000


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
    """What taking a transaction in would do."""

    entry: Entry
    parents: frozenset[Txid]
    replaced: frozenset[Txid]


class Mempool:
    """The unconfirmed transactions on top of one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.entries: dict[Txid, Entry] = {}
        self._spender: dict[OutPoint, Txid] = {}
        self._members: dict[Txid, Member] = {}
        self._children: dict[Txid, set[Txid]] = {}
        self.min_fee = 0
        """Knob: what a package must pay now, as if the mempool were full below it."""
        self.min_relay_fee = MIN_RELAY_FEE
        """Knob: Core's `-minrelaytxfee`."""
        self.min_block_fee = MIN_BLOCK_FEE
        """Knob: the least feerate that our miner mines."""

    # Reading.

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """An output that no block and no unconfirmed transaction has spent."""
        return None if outpoint in self._spender else self.created(outpoint)

    def any_coin(self, outpoint: OutPoint) -> Coin | None:
        """An output that exists or existed, spent or not."""
        if (coin := self.created(outpoint)) is not None:
            return coin
        spent = self.chain.index.spent_coin(outpoint)
        return spent[0] if spent else None

    def created(self, outpoint: OutPoint) -> Coin | None:
        """An output that no block has spent; an unconfirmed transaction may have."""
        entry = self.entries.get(outpoint.txid)
        return self.chain.index.coin(outpoint) if entry is None else unconfirmed(entry.tx, outpoint)

    def spender(self, outpoint: OutPoint) -> Txid | None:
        """The unconfirmed transaction that spends an output."""
        return self._spender.get(outpoint)

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

    def clusters(self, txids: Iterable[Txid]) -> list[set[Txid]]:
        """The different clusters that entries belong to."""
        found: list[set[Txid]] = []
        seen: set[Txid] = set()
        for txid in txids:
            if txid not in seen:
                cluster = cluster_of([txid], self._members, self._children)
                found.append(cluster)
                seen |= cluster
        return found

    def change(self, new: Mapping[Txid, Member], replaced: Collection[Txid]) -> Change:
        """What adding `new` and dropping `replaced` (with all descendants) would do to clusters."""
        return change(self._members, self._children, new, replaced)

    # Changing.

    def add(self, accepted: Acceptance) -> None:
        """Take in what has just been found acceptable, and drop what it replaces."""
        for txid in accepted.replaced:
            self.remove(txid)
        entry = accepted.entry
        txid = entry.tx.txid
        self.entries[txid] = entry
        self._members[txid] = Member(entry.fee, entry.weight, accepted.parents)
        for parent in accepted.parents:
            self._children.setdefault(parent, set()).add(txid)
        for txin in entry.tx.inputs:
            self._spender[txin.outpoint] = txid

    def block_connected(self, block: Block) -> None:
        """Drop what a block has confirmed, and whatever conflicts with it."""
        for tx in block.transactions[1:]:
            self.remove(tx.txid)
            for txin in tx.inputs:
                rival = self._spender.get(txin.outpoint)
                for txid in self.descendants([rival] if rival else ()):
                    self.remove(txid)

    def remove(self, txid: Txid) -> None:
        """Take out one entry; its children, if they stay, have one unconfirmed parent less."""
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

    # Mining.

    def template(self) -> list[Entry]:
        """What a miner takes into the next block: best chunks first, parents before children."""
        chunks: list[Chunk] = []
        for cluster in self.clusters(self.entries):
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


def unconfirmed(tx: Transaction, outpoint: OutPoint) -> Coin | None:
    """An output of an unconfirmed transaction, if it has that many."""
    outputs = tx.outputs
    return Coin(outputs[outpoint.index], None, False) if outpoint.index < len(outputs) else None


def fee_at(per_kvb: int, vsize: int) -> int:
    """Fee of `vsize` virtual bytes at satoshi per 1,000 of them, rounded up as Core does."""
    return -(-per_kvb * vsize // 1000)


def format_money(sat: int) -> str:
    """Satoshi as Core prints them in messages: BTC with at least two decimals."""
    whole, rest = divmod(sat, 100_000_000)
    decimals = f"{rest:08d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{decimals}"
