"""Kernels whose gossip is checked: against the chain of their world, in the turn after they ask."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from tests.support import coins
from tests.support.gossip import Signatory
from tests.support.kernels import House, World, cut, link
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.hashes import sha256
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import BlockHash, NodeId, OutPoint, ShortChannelId
from wallet.base.wire.message import Message, decode, encode
from wallet.machines.chain_events import BlockConnected, BlockDisconnected
from wallet.machines.routing.gossip import ANNOUNCE_DEPTH, Candidate, FundingQuery, Verdict
from wallet.machines.routing.gossip_book import FundingFound
from wallet.node.events import GossipChecked, PeerDown, PeerSaid, PeerUp, Tick
from wallet.node.gossip_worker import all_signed, judge
from wallet.services.chain.fundings import Found


@dataclass
class Ledger:
    """What a chain backend would say of outputs."""

    blocks: list[BlockConnected] = field(default_factory=list)
    down: bool = False

    async def look_up(self, queries: Sequence[FundingQuery]) -> list[Found]:
        """One answer for each query."""
        return [Verdict.UNKNOWN if self.down else self._find(query) for query in queries]

    def _find(self, query: FundingQuery) -> Found:
        at = query.scid
        spent = {i.outpoint for b in self.blocks for tx in b.transactions for i in tx.inputs}
        try:
            tx = self.blocks[at.block - 1].transactions[at.tx_index]
            output = tx.outputs[at.output]
        except IndexError:
            return Verdict.NO_FUNDING
        deep = len(self.blocks) - at.block + 1 >= ANNOUNCE_DEPTH
        if output.script_pubkey != query.script_pubkey or tx.outpoint(at.output) in spent:
            return Verdict.NO_FUNDING
        return FundingFound(tx.outpoint(at.output), output.amount) if deep else Verdict.NO_FUNDING


class Checker:
    """Implements `GossipWorker`. While `held`, it only counts."""

    def __init__(self, house: House, ledger: Ledger) -> None:
        self._house = house
        self._ledger = ledger
        self.held = False
        self.waiting: list[Candidate] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, candidate: Candidate) -> None:
        """In the next turns of the loop."""
        self.waiting.append(candidate)
        if not self.held:
            self.go_on()

    def go_on(self, number: int | None = None) -> None:
        """Check what waits, or so many of them."""
        batch, self.waiting = self.waiting[:number], self.waiting[number or len(self.waiting) :]
        task = asyncio.ensure_future(self._check(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, batch: list[Candidate]) -> None:
        results = await judge(batch, all_signed(batch), self._ledger)
        self._house.kernel.inbox.put(GossipChecked(results))
        self._house.note("checked")


class Stranger:
    """A peer that says what a test wants, and remembers what it is told."""

    def __init__(self, who: Signatory, features: bytes = OUR_INIT.to_bytes()) -> None:
        self.id: NodeId = who.id
        self.heard: list[Message] = []
        self.dropped: str | None = None
        self.kernel = SimpleNamespace(inbox=self)
        self.transport = SimpleNamespace(linked={})
        self._features = features

    def put_peer(self, _: NodeId, event: PeerSaid | PeerDown) -> None:
        """What the transport of a house brings."""
        if isinstance(event, PeerDown):
            self.dropped = event.reason
            return
        message = decode(event.data)
        assert isinstance(message, Message)
        self.heard.append(message)

    def link(self, house: House) -> None:
        """Come to a house."""
        self.dropped = None
        house.transport.linked[self.id] = cast(House, self)
        self.transport.linked[house.id] = house
        house.kernel.link_is_up(PeerUp(self.id, "127.0.0.1:9", False, self._features))

    def says(self, house: House, *messages: Message) -> None:
        """Into the house's inbox."""
        for message in messages:
            house.kernel.inbox.put_peer(self.id, PeerSaid(self.id, encode(message)))


class GossipWorld(World):
    """A world with a ledger; every house has a checker."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ledger = Ledger()
        self.checkers = {house.name: Checker(house, self.ledger) for house in self.houses}
        for house in self.houses:
            house.kernel.gossip = self.checkers[house.name]

    @property
    def carol(self) -> House:
        """The third house."""
        return self.houses[2]

    async def mine(self, *transactions: Transaction) -> None:
        """A block, also for the ledger. Its transaction 0 is nobody's."""
        found = (coins.coinbase(coins.out(50), height=self.height), *transactions, *self.mempool)
        block = BlockHash(sha256(self.tip + self.height.to_bytes(4, "little")))
        event = BlockConnected(BlockHeight(self.height + 1), block, self.tip, found)
        self.ledger.blocks.append(event)
        self.mempool.clear()
        self.height += 1
        self.tip = block
        for house in self.houses:
            house.kernel.inbox.put(event)
        await self.settle()

    async def unmine(self) -> None:
        """The last block is gone, and what it held with it."""
        gone = self.ledger.blocks.pop()
        self.height -= 1
        self.tip = gone.prev
        for house in self.houses:
            house.kernel.inbox.put(BlockDisconnected(gone.height, gone.hash))
        await self.settle()

    async def bury(self, blocks: int = ANNOUNCE_DEPTH) -> None:
        """Some empty blocks."""
        for _ in range(blocks):
            await self.mine()

    async def tick(self) -> None:
        """A second for everyone."""
        for house in self.houses:
            house.kernel.inbox.put(Tick())
        await self.settle()

    async def announced(self) -> ShortChannelId:
        """Alice and Bob have an announced channel; its name."""
        await self.funded()
        await self.tick()
        await self.open(self.alice, self.bob, announce=True)
        await self.bury()
        [scid] = self.alice.kernel.board.memory.gossip.channels
        return ShortChannelId.from_int(scid)

    async def join(self, house: House, other: House) -> None:
        """A link, and the first tick on it."""
        link(house, other)
        await self.settle()
        await self.tick()

    async def fund(self, one: Signatory, other: Signatory, sat: int = 1_000_000) -> ShortChannelId:
        """A funding output of two nodes that are not here; deep enough."""
        script = funding_output(one.funding_key, other.funding_key)
        tx = coins.payment(coins.out(sat, script), seed=1_000 + self.height)
        await self.mine(tx)
        at = ShortChannelId(self.height, 1, 0)
        await self.bury(ANNOUNCE_DEPTH - 1)
        return at

    def outpoint(self, at: ShortChannelId) -> OutPoint:
        """What a name names."""
        return self.ledger.blocks[at.block - 1].transactions[at.tx_index].outpoint(at.output)

    async def spend(self, at: ShortChannelId) -> None:
        """A block that spends a funding output."""
        await self.mine(coins.payment(TxOut(*_DUST), spending=[self.outpoint(at)]))


_DUST = (coins.out(600).amount, coins.ELSEWHERE)


def gossip_of(house: House) -> set[bytes]:
    """Every message in the book of a house."""
    book = house.kernel.board.memory.gossip
    channels = {channel.raw for channel in book.channels.values()}
    return channels | set(book.updates.values()) | set(book.nodes.values())


__all__ = ["Checker", "GossipWorld", "Stranger", "cut", "gossip_of", "link"]
