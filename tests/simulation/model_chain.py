"""Bitcoin as a channel sees it, in plain Python: coins, a mempool with rivals, blocks that go.

Rule 1: the mempool takes what Bitcoin Core would: final for the next block, inputs there, a fee of
at least 1 sat/vB, and in place of rivals only for more than all of them together.
Rule 2: nothing is random here; whoever calls brings the dice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction, TxIn, TxOut
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import ZERO_SAT, sum_sat
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash, OutPoint, Txid
from wallet.machines.chain_events import BlockConnected, BroadcastKind, BroadcastResult, ChainEvent

START_HEIGHT = 100
_LOCK_DISABLED, _LOCK_SECONDS, _LOCK_MASK = 1 << 31, 1 << 22, 0xFFFF
_LOCKTIME_SECONDS = 500_000_000
_INCREMENT_PER_VBYTE = 1
_ACCEPTED = BroadcastKind.ACCEPTED
_POOR = BroadcastResult(BroadcastKind.REJECTED, "min relay fee not met")

Judge = Callable[[Transaction, Sequence[TxOut]], None]


class ScriptFailed(Exception):
    """A judge's verdict: the scripts of a transaction do not hold."""


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that nothing in a block has spent."""

    output: TxOut
    height: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction in the mempool."""

    tx: Transaction
    fee: int

    @property
    def feerate(self) -> float:
        """Satoshi per virtual byte."""
        return self.fee / self.tx.vsize


@dataclass(slots=True)
class Block:
    """A block, and what it took away: that comes back if it goes."""

    event: BlockConnected
    spent: dict[OutPoint, Coin]


class Refusal(Exception):
    """Why the mempool does not take a transaction."""

    def __init__(self, kind: BroadcastKind, reason: str = "") -> None:
        super().__init__(reason or kind.value)
        self.result = BroadcastResult(kind, reason)


@dataclass
class ModelChain:
    """The one chain of a world. `judge` looks at the scripts of everything that enters."""

    judge: Judge | None = None
    least_per_vbyte: int = 1
    """Satoshi below which nothing enters the mempool."""
    blocks: list[Block] = field(default_factory=list)
    coins: dict[OutPoint, Coin] = field(default_factory=dict)
    mempool: dict[Txid, Entry] = field(default_factory=dict)
    """Parents before children."""
    confirmed: dict[Txid, int] = field(default_factory=dict)
    seen: dict[Txid, Transaction] = field(default_factory=dict)
    """Whatever was accepted, ever."""
    fees: dict[Txid, int] = field(default_factory=dict)
    _rivals: dict[OutPoint, Txid] = field(default_factory=dict)
    _mined: int = 0

    @property
    def height(self) -> int:
        """Of the tip."""
        return START_HEIGHT + len(self.blocks)

    @property
    def tip(self) -> BlockHash:
        """Hash of the tip."""
        return self.blocks[-1].event.hash if self.blocks else BlockHash(REGTEST.chain_hash)

    def has(self, height: int, block_hash: BlockHash) -> bool:
        """Whether that block is of the best chain."""
        place = height - START_HEIGHT - 1
        return place < len(self.blocks) and self.blocks[place].event.hash == block_hash

    def after(self, height: int | None) -> list[ChainEvent]:
        """The blocks above a height; all of them for None."""
        first = 0 if height is None else height - START_HEIGHT
        return [block.event for block in self.blocks[first:]]

    # --- the mempool ------------------------------------------------------------------------------

    def broadcast(self, tx: Transaction) -> BroadcastResult:
        """Offer a transaction."""
        return self._offer(tx, self._floor(tx.vsize))

    def _floor(self, vsize: int) -> int:
        """The least fee for so many virtual bytes."""
        return vsize * self.least_per_vbyte

    def _offer(self, tx: Transaction, floor: int) -> BroadcastResult:
        txid = tx.txid
        if txid in self.confirmed:
            return BroadcastResult(BroadcastKind.CONFIRMED)
        if txid in self.mempool:
            return BroadcastResult(BroadcastKind.IN_MEMPOOL)
        try:
            self._accept(tx, floor)
        except Refusal as refusal:
            return refusal.result
        return BroadcastResult(BroadcastKind.ACCEPTED)

    def broadcast_package(self, transactions: Sequence[Transaction]) -> tuple[BroadcastResult, ...]:
        """Offer parents and the child that pays for them: the floor counts for all together."""
        before = (self.mempool.copy(), self._rivals.copy())
        results = [self._offer(tx, 0) for tx in transactions]
        new = [tx for tx, r in zip(transactions, results, strict=True) if r.kind is _ACCEPTED]
        fee = sum(self.mempool[tx.txid].fee for tx in new if tx.txid in self.mempool)
        poor = fee < self._floor(sum(tx.vsize for tx in new))
        if poor or not results[-1].is_known:
            # As Core does: the parents that can stand alone stay.
            self.mempool, self._rivals = before
            alone = [self.broadcast(tx) for tx in transactions[:-1]]
            last = results[-1] if not results[-1].is_known else _POOR
            return (*alone, last)
        return tuple(results)

    def _accept(self, tx: Transaction, floor: int) -> None:
        prevouts = self._inputs_of(tx)
        self._check_final(tx, prevouts)
        fee = sum(c.output.amount.sat for c in prevouts) - sum(o.amount.sat for o in tx.outputs)
        if fee < 0:
            raise Refusal(BroadcastKind.REJECTED, "bad-txns-in-belowout")
        if fee < floor:
            raise Refusal(BroadcastKind.REJECTED, "min relay fee not met")
        entry = Entry(tx, fee)
        evicted = self._beaten(entry)
        if self.judge is not None:
            try:
                self.judge(tx, [coin.output for coin in prevouts])
            except ScriptFailed as failed:
                raise Refusal(BroadcastKind.REJECTED, str(failed)) from failed
        for txid in evicted:
            self._remove(txid)
        self.mempool[tx.txid] = entry
        self.seen[tx.txid] = tx
        self.fees[tx.txid] = fee
        for txin in tx.inputs:
            self._rivals[txin.outpoint] = tx.txid

    def _inputs_of(self, tx: Transaction) -> list[Coin]:
        found = []
        for txin in tx.inputs:
            coin = self.coins.get(txin.outpoint)
            parent = self.mempool.get(txin.outpoint.txid)
            place = txin.outpoint.index
            if coin is None and parent is not None and place < len(parent.tx.outputs):
                coin = Coin(parent.tx.outputs[place], self.height + 1)
            if coin is None:
                raise Refusal(BroadcastKind.MISSING_INPUTS, "bad-txns-inputs-missingorspent")
            found.append(coin)
        return found

    def _check_final(self, tx: Transaction, prevouts: Sequence[Coin]) -> None:
        """For the next block (BIP 65, BIP 68)."""
        following = self.height + 1
        # A commitment's locktime holds its obscured number: seconds, and long ago.
        early = following <= tx.locktime < _LOCKTIME_SECONDS
        if early and any(txin.sequence != SEQUENCE_FINAL for txin in tx.inputs):
            raise Refusal(BroadcastKind.REJECTED, "non-final")
        for txin, coin in zip(tx.inputs, prevouts, strict=True):
            lock = txin.sequence
            if tx.version < 2 or lock & (_LOCK_DISABLED | _LOCK_SECONDS):
                continue
            if coin.height + (lock & _LOCK_MASK) > following:
                raise Refusal(BroadcastKind.REJECTED, "non-BIP68-final")

    def _beaten(self, entry: Entry) -> list[Txid]:
        """The rivals that this one takes the place of, with what builds on them (BIP 125)."""
        rivals = {self._rivals[i.outpoint] for i in entry.tx.inputs if i.outpoint in self._rivals}
        evicted = self._with_children(rivals)
        if any(i.outpoint.txid in evicted for i in entry.tx.inputs):
            raise Refusal(BroadcastKind.REJECTED, "bad-txns-spends-conflicting-tx")
        lost = sum(self.mempool[txid].fee for txid in evicted)
        more = entry.fee >= lost + entry.tx.vsize * _INCREMENT_PER_VBYTE
        better = all(entry.feerate > self.mempool[txid].feerate for txid in rivals)
        if evicted and not (more and better):
            raise Refusal(BroadcastKind.REJECTED, "insufficient fee, rejecting replacement")
        return evicted

    def _with_children(self, roots: Iterable[Txid]) -> list[Txid]:
        found = dict.fromkeys(roots)
        for txid, entry in self.mempool.items():
            if any(i.outpoint.txid in found for i in entry.tx.inputs):
                found[txid] = None
        return list(found)

    def _remove(self, txid: Txid) -> None:
        entry = self.mempool.pop(txid)
        for txin in entry.tx.inputs:
            if self._rivals.get(txin.outpoint) == txid:
                del self._rivals[txin.outpoint]

    # --- blocks -----------------------------------------------------------------------------------

    def give(self, outputs: Sequence[TxOut]) -> None:
        """A block with a payment from outside: these outputs come to be."""
        source = OutPoint(Txid(sha256(b"outside")), self.height)
        self.coins[source] = Coin(TxOut(sum_sat([o.amount for o in outputs]), b""), self.height)
        self._mine([Transaction(2, (TxIn(source),), tuple(outputs))])

    def mine(self, least_feerate: float = 0.0) -> None:
        """A block of everything that pays as much, alone or together with what it waits for."""
        taken: set[Txid] = set()
        for txid in self.mempool:
            package = self._with_parents(txid) - taken
            fee = sum(self.mempool[one].fee for one in package)
            if fee >= least_feerate * sum(self.mempool[one].tx.vsize for one in package):
                taken |= package
        self._mine([entry.tx for txid, entry in self.mempool.items() if txid in taken])

    def _with_parents(self, txid: Txid) -> set[Txid]:
        found, ahead = {txid}, [txid]
        while ahead:
            spent = (i.outpoint.txid for i in self.mempool[ahead.pop()].tx.inputs)
            new = [parent for parent in spent if parent in self.mempool and parent not in found]
            found.update(new)
            ahead += new
        return found

    def _mine(self, transactions: Sequence[Transaction]) -> None:
        self._mined += 1
        height = self.height + 1
        script_sig = height.to_bytes(4, "little") + self._mined.to_bytes(4, "little")
        null = TxIn(OutPoint(Txid(bytes(32)), 0xFFFFFFFF), script_sig=script_sig)
        coinbase = Transaction(2, (null,), (TxOut(ZERO_SAT, b"\x6a"),))
        block_hash = BlockHash(sha256(self.tip + script_sig))
        spent: dict[OutPoint, Coin] = {}
        for tx in transactions:
            for txin in tx.inputs:
                spent[txin.outpoint] = self.coins.pop(txin.outpoint)
            self._add_coins(tx, height)
            self.confirmed[tx.txid] = height
            if tx.txid in self.mempool:
                self._remove(tx.txid)
        self._add_coins(coinbase, height)
        event = BlockConnected(BlockHeight(height), block_hash, self.tip, (coinbase, *transactions))
        self.blocks.append(Block(event, spent))

    def _add_coins(self, tx: Transaction, height: int) -> None:
        for index, output in enumerate(tx.outputs):
            self.coins[tx.outpoint(index)] = Coin(output, height)

    def unmine(self, depth: int) -> None:
        """Take the last blocks away; what they held waits again, as far as it still may."""
        back: list[Transaction] = []
        for _ in range(depth):
            block = self.blocks.pop()
            coinbase, *transactions = block.event.transactions
            for tx in (*reversed(transactions), coinbase):
                for index in range(len(tx.outputs)):
                    self.coins.pop(tx.outpoint(index), None)
                self.confirmed.pop(tx.txid, None)
            # What was made and spent within the block is no coin before it.
            made = {tx.txid for tx in transactions}
            self.coins |= {o: c for o, c in block.spent.items() if o.txid not in made}
            back = transactions + back
        waiting = [entry.tx for entry in self.mempool.values()]
        self.mempool.clear()
        self._rivals.clear()
        for tx in (*back, *waiting):
            self.broadcast(tx)

    def forget(self, dropped: Iterable[Txid] | None = None) -> None:
        """The mempool drops these and what builds on them; without a list, everything."""
        for txid in self._with_children(list(self.mempool) if dropped is None else dropped):
            self._remove(txid)

    def spender(self, outpoint: OutPoint) -> Transaction | None:
        """The transaction in a block that spends an output."""
        for block in reversed(self.blocks):
            if outpoint in block.spent:
                return next(
                    tx
                    for tx in block.event.transactions
                    if any(i.outpoint == outpoint for i in tx.inputs)
                )
        return None
