"""The embedded node: chain, mempool and miner moved together, and every move announced.

All of it runs on the event loop's thread: a block takes a few milliseconds, and nothing can come
between a block and what it does to the mempool.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.errors import Refused
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import BlockHash, OutPoint
from wallet.services.regtest import packages
from wallet.services.regtest.acceptance import check, refill
from wallet.services.regtest.chain import Chain, ChainChange, OpenEngine
from wallet.services.regtest.engine import KernelEngine
from wallet.services.regtest.events import EventLog
from wallet.services.regtest.mempool import Acceptance, Mempool
from wallet.services.regtest.miner import coinbase, mine, subsidy
from wallet.services.regtest.policy import Rejected

if TYPE_CHECKING:  # Importing the ports loads machines that this process never needs.
    from wallet.services.ports import Clock

MAX_REORG: Final = 1000
_EXPLAINABLE: Final = "block-script-verify-flag-failed"
_EXPLAINED: Final = "mempool-script-verify-flag-failed"


class Regtest:
    """A regtest chain with its mempool and miner, in one directory."""

    def __init__(
        self, directory: Path, clock: "Clock", open_engine: OpenEngine = KernelEngine
    ) -> None:
        """Open or create; raises `Refused` when another process has the directory."""
        self._clock = clock
        self.chain = Chain(directory, open_engine)
        self.mempool = Mempool(self.chain)
        self.events = EventLog()
        self.started = self.now()
        self._built = 0

    def close(self) -> None:
        """Close everything and let the directory go."""
        self.chain.close()

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock.now())

    # Blocks.

    def submit(self, block: Block) -> str | None:
        """Offer a block; None, or Core's reason why not."""
        submission = self.chain.submit(block)
        self._moved(submission.change)
        return submission.rejected

    def generate(self, count: int, script_pubkey: bytes) -> list[BlockHash]:
        """Mine `count` blocks with the best of the mempool, paying to `script_pubkey`."""
        return [self._mine_on_tip(script_pubkey) for _ in range(count)]

    def _mine_on_tip(self, script_pubkey: bytes) -> BlockHash:
        entries = self.mempool.template()
        fees = sum(e.fee for e in entries)
        return self._submit_own(
            self._block(self.chain.tip, script_pubkey, [e.tx for e in entries], fees)
        )

    def generate_block(
        self, script_pubkey: bytes, transactions: Sequence[Transaction], *, submit: bool = True
    ) -> Block:
        """Mine exactly these transactions, in this order; raises `Refused` if they are not valid.

        Unlike Core's generateblock the coinbase collects their fees, so that the UTXO set always
        adds up to the subsidies.
        """
        block = self._block(self.chain.tip, script_pubkey, transactions, self._fees(transactions))
        if submit:
            self._submit_own(block)
        return block

    def reorg(self, depth: int, script_pubkey: bytes, extra: int = 1) -> list[BlockHash]:
        """Replace the last `depth` blocks by `depth + extra` empty ones.

        What they held goes back to the mempool. Raises `Refused` where the chain is too short.
        """
        if not 0 < depth <= min(self.chain.height, MAX_REORG) or not 0 < extra <= MAX_REORG:
            raise Refused(
                f"a reorg replaces 1 to {min(self.chain.height, MAX_REORG)} blocks "
                "by at least one more"
            )
        parent = self.chain.hash_at(self.chain.height - depth)
        mined: list[BlockHash] = []
        for _ in range(depth + extra):
            parent = self._submit_own(self._block(parent, script_pubkey, (), 0))
            mined.append(parent)
        return mined

    def invalidate(self, block_hash: BlockHash) -> None:
        """Core's invalidateblock, by rebuilding the engine without the block."""
        self._moved(self.chain.invalidate(block_hash))

    def reconsider(self, block_hash: BlockHash) -> None:
        """Core's reconsiderblock."""
        self._moved(self.chain.reconsider(block_hash))

    def _block(
        self,
        parent: BlockHash,
        script_pubkey: bytes,
        transactions: Sequence[Transaction],
        fees: int,
    ) -> Block:
        found = self.chain.index.header(parent)
        if found is None:
            raise Refused("the parent block is not known")
        height = found[1] + 1
        # No two blocks of ours are the same, not even on one parent in one second: the count of
        # logged blocks tells this one from any that was logged, the second number from the rest.
        self._built += 1
        nonce = self.chain.index.logged << 32 | self._built
        first = coinbase(
            height,
            script_pubkey,
            subsidy(height) + Satoshi(fees),
            [tx.wtxid for tx in transactions],
            nonce,
        )
        time = max(self.chain.index.median_time_past(parent) + 1, self.now())
        return mine(parent, time, first, transactions)

    def _submit_own(self, block: Block) -> BlockHash:
        reason = self.submit(block)
        if reason is not None:
            raise Refused(f"TestBlockValidity failed: {reason}", code=-25)
        return block.hash

    def _fees(self, transactions: Sequence[Transaction]) -> int:
        """Fees of transactions to be mined together; 0 for one that the engine will refuse."""
        made: dict[OutPoint, TxOut] = {}
        total = 0
        for tx in transactions:
            spent = 0
            for txin in tx.inputs:
                out = made.get(txin.outpoint)
                coin = self.chain.index.coin(txin.outpoint) if out is None else None
                amount = out.amount if out else coin.output.amount if coin else Satoshi(0)
                spent += amount.sat
            total += max(0, spent - sum(out.amount.sat for out in tx.outputs))
            made.update((tx.outpoint(i), out) for i, out in enumerate(tx.outputs))
        return total

    def _moved(self, change: ChainChange) -> None:
        """Bring the mempool to the new tip and announce every step."""
        for height, block in change.disconnected:
            self.events.append("disconnect", height, block.hash[::-1].hex())
        for height, block in change.connected:
            self.mempool.block_connected(block)
            self.events.append("connect", height, block.hash[::-1].hex())
        if change.disconnected:
            # Oldest block first, in the order of the block: parents before their children.
            returned = [
                tx for _, block in reversed(change.disconnected) for tx in block.transactions[1:]
            ]
            refill(self.mempool, returned, self.now())
        if change.disconnected or change.connected:
            self.events.ring()

    # Transactions.

    def check(self, tx: Transaction) -> Acceptance:
        """Whether the mempool would take `tx`; raises `Rejected`, for a script with its reason."""
        try:
            return check(self.mempool, tx, self.now())
        except Rejected as rejected:
            raise self._explained(rejected, tx) from None

    def accept(self, accepted: Acceptance) -> None:
        """Take in what `check` has found acceptable, and announce it."""
        self.mempool.add(accepted)
        self.events.append("tx", None, str(accepted.entry.tx.txid))
        self.events.ring()

    def submit_package(
        self, package: Sequence[Transaction], max_feerate: int | None = None
    ) -> packages.Verdict:
        """Take in what may enter of a child with its parents, and announce that."""
        verdict = packages.submit(self.mempool, package, self.now(), max_feerate)
        for tx in package:
            if isinstance(verdict.outcomes.get(tx.wtxid), packages.Accepted):
                self.events.append("tx", None, str(tx.txid))
        self.events.ring()
        return self._with_reasons(verdict, package)

    def rehearse(self, package: Sequence[Transaction]) -> packages.Verdict:
        """What would become of transactions that may build on each other."""
        verdict = packages.rehearse(self.mempool, package, self.now())
        return self._with_reasons(verdict, package)

    def _with_reasons(
        self, verdict: packages.Verdict, package: Sequence[Transaction]
    ) -> packages.Verdict:
        outcomes = dict(verdict.outcomes)
        for position, tx in enumerate(package):
            outcome = outcomes.get(tx.wtxid)
            if isinstance(outcome, Rejected):
                outcomes[tx.wtxid] = self._explained(outcome, tx, package[:position])
        return replace(verdict, outcomes=outcomes)

    def _explained(
        self, rejected: Rejected, tx: Transaction, package: Sequence[Transaction] = ()
    ) -> Rejected:
        """A script's failure in the interpreter's words; any other rejection as it is."""
        if rejected.reason != _EXPLAINED:
            return rejected
        return Rejected(f"{_EXPLAINED} ({self._why(tx, package)})", rejected.detail)

    def _why(self, tx: Transaction, package: Sequence[Transaction]) -> str:
        """What the interpreter says: from a block, with all ancestors, that must be refused."""
        pool = self.mempool
        family = [tx]
        parents = {txin.outpoint.txid for txin in tx.inputs}
        for other in reversed(package):
            if other.txid in parents - pool.entries.keys():
                family.insert(0, other)
                parents |= {txin.outpoint.txid for txin in other.inputs}
        above = pool.ancestors(parents & pool.entries.keys())
        # Arrival order has parents before their children.
        before = [e.tx for txid, e in pool.entries.items() if txid in above]
        reason = self.chain.explain(self._block(self.chain.tip, b"\x51", [*before, *family], 0))
        if reason is None or not reason.startswith(_EXPLAINABLE):
            return "unknown error"
        words = reason.removeprefix(_EXPLAINABLE).lstrip()
        return words[1:].partition("), input")[0].removesuffix(")")
