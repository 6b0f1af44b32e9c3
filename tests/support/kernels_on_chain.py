"""Kernels on the embedded chain, all in this process: Core's engine, its mempool rules, reorgs.

Blocks reach the houses as the follower brings them: disconnects from the tip downwards, then
connects upwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support import faucet
from tests.support.kernels import House, World
from tests.support.regtest_node import block_at, coin
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.ids import BlockHash, OutPoint, Txid
from wallet.machines.chain_events import (
    BlockConnected,
    BlockDisconnected,
    BroadcastKind,
    BroadcastResult,
    ChainEvent,
)
from wallet.machines.coins.wallet import balance
from wallet.node.answers import NewAddressGiven
from wallet.node.events import NewAddress
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.packages import Accepted, AlreadyHere
from wallet.services.regtest.policy import Rejected

COINS = 8
COIN_SAT = 1_300_000
"""A house begins with so many coins of so much."""


class NodeChain:
    """What a house knows of the node: it offers transactions and asks for a fee rate."""

    def __init__(self, node: Regtest) -> None:
        self._node = node

    async def broadcast(self, tx: Transaction) -> BroadcastResult:
        """To the mempool."""
        if tx.txid in self._node.mempool.entries:
            return BroadcastResult(BroadcastKind.IN_MEMPOOL)
        if self._node.chain.index.has_unspent_of(tx.txid):
            return BroadcastResult(BroadcastKind.CONFIRMED)
        try:
            self._node.accept(self._node.check(tx))
        except Rejected as rejected:
            kind = BroadcastKind.MISSING_INPUTS if rejected.missing else BroadcastKind.REJECTED
            return BroadcastResult(kind, rejected.reason)
        return BroadcastResult(BroadcastKind.ACCEPTED)

    async def broadcast_package(
        self, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """To the mempool, together."""
        verdict = self._node.submit_package(transactions)
        return tuple(
            BroadcastResult(BroadcastKind.ACCEPTED)
            if isinstance(verdict.outcomes.get(tx.wtxid), Accepted | AlreadyHere)
            else BroadcastResult(BroadcastKind.REJECTED, verdict.failure)
            for tx in transactions
        )

    async def feerate(self, target: CltvDelta) -> FeeratePerKw:
        """The floor."""
        return FEERATE_FLOOR


class NodeSeeker:
    """Looks for fundings at the node, unless the node fails."""

    def __init__(self, node: Regtest) -> None:
        self._node = node
        self.fails = False
        self.asked = 0

    async def is_there(self, outpoint: OutPoint) -> bool | None:
        """In a block or in the mempool."""
        self.asked += 1
        return None if self.fails else self._node.mempool.created(outpoint) is not None


@dataclass
class ChainWorld(World):
    """Alice and Bob on a node of the embedded chain, which outlives them."""

    node: Regtest = field(kw_only=True)

    def __post_init__(self) -> None:
        self.seeker = NodeSeeker(self.node)
        super().__post_init__()
        self._told = [self.node.chain.hash_at(0)]

    def house(self, name: str) -> House:
        """On the node's chain."""
        made = House(name, self.journal, self.mempool, NodeChain(self.node))
        made.kernel.seeker = self.seeker
        return made

    @property
    def waiting(self) -> set[Txid]:
        """What is in the mempool."""
        return set(self.node.mempool.entries)

    async def mine(self, *transactions: Transaction) -> None:
        """A block with exactly these, or with the best of the mempool."""
        if transactions:
            self.node.generate_block(faucet.SCRIPT, transactions)
        else:
            self.node.generate(1, faucet.SCRIPT)
        await self.tell()

    async def blocks(self, count: int) -> None:
        """One after the other: each may be answered before the next."""
        for _ in range(count):
            await self.mine()

    async def mine_to(self, height: int) -> None:
        """Until the tip is there."""
        await self.blocks(height - self.height)

    async def pass_by(self, count: int) -> None:
        """Blocks that the houses hear of all at once."""
        self.node.generate(count, faucet.SCRIPT)
        await self.tell()

    async def reorg(self, depth: int) -> None:
        """The last blocks give way to one more that are empty; the mempool has what they held."""
        self.node.reorg(depth, faucet.SCRIPT)
        await self.tell()

    async def tell(self) -> None:
        """What the houses have not heard of the chain, and time to answer."""
        told, chain = self._told, self.node.chain
        events: list[ChainEvent] = []
        while len(told) - 1 > chain.height or told[-1] != chain.hash_at(len(told) - 1):
            events.append(BlockDisconnected(BlockHeight(len(told) - 1), told.pop()))
        for height in range(len(told), chain.height + 1):
            block = block_at(self.node, height)
            told.append(BlockHash(block.hash))
            found = tuple(block.transactions)
            latest = height == chain.height
            events.append(BlockConnected(BlockHeight(height), told[-1], told[-2], found, latest))
        for house in self.houses:
            house.kernel.inbox.put_all(events)
        self.height = chain.height
        await self.settle()

    async def give(self, house: House) -> None:
        """Coins for a house: several, for each HTLC transaction takes one."""
        given = await house.kernel.command(lambda t: NewAddress(t, 84))
        assert isinstance(given, NewAddressGiven)
        outputs = [TxOut(Satoshi(COIN_SAT), given.script_pubkey)] * COINS
        mature = next(
            h for h in range(1, 100) if self.node.mempool.coin(coin(self.node, h).outpoint)
        )
        await self.mine(faucet.spend([coin(self.node, mature)], 10_000, outputs=outputs))

    def wealth(self, house: House) -> int:
        """Satoshi on chain that are the house's, in blocks."""
        return balance(house.kernel.board.memory.wallet, self.height).confirmed.sat
