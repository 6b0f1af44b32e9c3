"""Two kernels on ports made for tests: what they do in the world is written into one journal.

The link between them is a call, the disk a dictionary, the chain a list of transactions.  Any of
them, and the signer, can be told to fail at its next use.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support import coins
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import ServiceFault
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import BlockHash, NodeId
from wallet.base.wire.message import Message, decode
from wallet.machines.chain_events import BlockConnected, BroadcastKind, BroadcastResult
from wallet.machines.channel.state import Channel
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.requests import PayRequest
from wallet.machines.signing import KeyAnswer, KeyRequest
from wallet.node import persist
from wallet.node.answers import ChannelOpened, InvoiceCreated, NewAddressGiven, PaymentDone
from wallet.node.build import make_board
from wallet.node.config import Config
from wallet.node.events import (
    CreateInvoice,
    NewAddress,
    OpenChannelTo,
    PayInvoice,
    PeerDown,
    PeerSaid,
    PeerUp,
)
from wallet.node.kernel import Kernel
from wallet.services.ports import ChainSource, Peer
from wallet.services.store.memory import MemoryStore
from wallet.services.store.tables import Row, Table, Value, Write
from wallet.services.vault.signer import LocalSigner
from wallet.services.world import SeededEntropy

NOW = 1_800_000_000.0
QUIET_TURNS = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    `what`: batch, sign, commit, stored, send, drop, broadcast or package.
    """

    who: str
    what: str
    detail: str = ""


class Clock:
    """Stands still. A kernel asks it once at the start of each batch, which is written down."""

    def __init__(self, house: "House") -> None:
        self._house = house

    def now(self) -> float:
        """Unix time."""
        self._house.note("batch")
        return NOW


class Signer(LocalSigner):
    """The real one, with a fault on demand."""

    def __init__(self, house: "House") -> None:
        super().__init__(sha256(house.name.encode()) * 2, REGTEST)
        self._house = house
        self.fail_with: Exception | None = None

    def answer(self, requests: Sequence[KeyRequest]) -> list[KeyAnswer]:
        """Answer each request, or raise what was asked for, once."""
        if requests:
            self._house.note("sign")
        fault, self.fail_with = self.fail_with, None
        if fault is not None:
            raise fault
        return super().answer(requests)


class Store:
    """A `MemoryStore` that can be slow and can fail."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._rows = MemoryStore()
        self.fail_at: int | None = None
        """The n-th commit from now on fails; 0: the next one."""
        self.gate = asyncio.Event()
        """While it is clear, commits wait."""
        self.gate.set()

    async def open(self) -> None:
        """Nothing to prepare."""
        await self._rows.open()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Store, after a few turns of the loop in which nobody may run ahead."""
        self._house.note("commit")
        for _ in range(3):
            await asyncio.sleep(0)
        await self.gate.wait()
        if self.fail_at is not None:
            self.fail_at -= 1
            if self.fail_at < 0:
                self.fail_at = None
                raise ServiceFault("the disk is full")
        await self._rows.commit(writes)
        self._house.note("stored")

    async def load(self, table: Table) -> list[Row]:
        """All rows of a table."""
        return await self._rows.load(table)

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """A SELECT."""
        return await self._rows.query(sql, parameters)

    async def close(self) -> None:
        """Nothing to let go."""


class Transport:
    """Whoever is linked hears it at once."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self.linked: dict[NodeId, House] = {}
        self.wire: list[bytes] = []
        """What was sent, in order."""
        self.tamper: Callable[[bytes], Sequence[bytes]] = lambda data: (data,)
        """What arrives in place of one message."""

    def send(self, node_id: NodeId, data: bytes) -> bool:
        """Into the other's inbox."""
        there = self.linked.get(node_id)
        if there is None:
            return False
        message = decode(data)
        assert isinstance(message, Message)
        self._house.note("send", message.name)
        self.wire.append(data)
        for said in self.tamper(data):
            there.kernel.inbox.put_peer(self._house.id, PeerSaid(self._house.id, said))
        return True

    def disconnect(self, node_id: NodeId, reason: str) -> None:
        """Both sides learn of it."""
        if there := self.linked.get(node_id):
            self._house.note("drop", reason)
            cut(self._house, there, reason)

    async def connect(self, node_id: NodeId, host: str, port: int) -> Peer:
        """The links of these tests are made by `link`."""
        raise ServiceFault(f"nobody listens at {host}:{port}")

    def peer(self, node_id: NodeId) -> Peer | None:
        """The peer if it is linked."""
        if node_id not in self.linked:
            return None
        return Peer(node_id, "127.0.0.1:9735", True, OUR_INIT, OUR_INIT)


class Chain:
    """Takes every transaction; they wait in `mempool` for `World.mine`."""

    def __init__(self, house: "House", mempool: list[Transaction]) -> None:
        self._house = house
        self._mempool = mempool

    async def broadcast(self, tx: Transaction) -> BroadcastResult:
        """Accepted."""
        self._house.note("broadcast", str(tx.txid))
        if tx in self._mempool:
            return BroadcastResult(BroadcastKind.IN_MEMPOOL)
        self._mempool.append(tx)
        return BroadcastResult(BroadcastKind.ACCEPTED)

    async def broadcast_package(
        self, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """Accepted, each."""
        self._house.note("package", " ".join(str(tx.txid) for tx in transactions))
        return tuple([await self.broadcast(tx) for tx in transactions])

    async def feerate(self, target: CltvDelta) -> FeeratePerKw:
        """The floor."""
        return FEERATE_FLOOR


class House:
    """One kernel and its ports."""

    def __init__(
        self,
        name: str,
        journal: list[Entry],
        mempool: list[Transaction],
        chain: ChainSource | None = None,
    ) -> None:
        self.name = name
        self._journal = journal
        self.features = OUR_INIT
        """What its `init` offers."""
        self.signer = Signer(self)
        self.id = self.signer.node_id
        self.store = Store(self)
        self.transport = Transport(self)
        config = Config(Path(name), REGTEST, "", None, "", name)
        self.kernel = Kernel(
            make_board(config, self.signer),
            self.store,
            self.transport,
            chain or Chain(self, mempool),
            Clock(self),
            SeededEntropy(name.encode(), REGTEST.chain_hash),
        )

    def note(self, what: str, detail: str = "") -> None:
        """Into the journal."""
        self._journal.append(Entry(self.name, what, detail))

    @property
    def channel(self) -> Channel:
        """Its one channel."""
        [channel] = self.kernel.board.memory.channels.values()
        return channel

    async def invoice(self, label: str, amount_msat: int = 10_000_000) -> PayRequest:
        """An invoice of this house, as its payer will be asked."""
        request = InvoiceRequest(label=label, amount=MilliSatoshi(amount_msat), description=label)
        made = await self.kernel.command(lambda t: CreateInvoice(t, request, None))
        assert isinstance(made, InvoiceCreated)
        text = made.invoice.bolt11
        invoice = decode_invoice(text, REGTEST)
        return PayRequest(invoice=invoice, bolt11=text, max_fee=MilliSatoshi(0))

    def pay(self, request: PayRequest) -> "asyncio.Task[PaymentDone]":
        """Start to pay."""
        return asyncio.create_task(self._pay(request))

    async def _pay(self, request: PayRequest) -> PaymentDone:
        done = await self.kernel.command(lambda t: PayInvoice(t, request))
        assert isinstance(done, PaymentDone)
        return done


def link(one: House, other: House) -> None:
    """A new link between two houses; there was none."""
    for here, there in ((one, other), (other, one)):
        here.transport.linked[there.id] = there
        up = PeerUp(there.id, "127.0.0.1:9735", here is one, there.features.to_bytes())
        here.kernel.link_is_up(up)


def cut(one: House, other: House, reason: str = "cut") -> None:
    """The link is gone, and each side will hear of it."""
    for here, there in ((one, other), (other, one)):
        if here.transport.linked.pop(there.id, None):
            here.kernel.inbox.put_peer(there.id, PeerDown(there.id, reason))


@dataclass
class World:
    """Alice, Bob and whoever else is named, their journal and their chain."""

    others: tuple[str, ...] = ()

    journal: list[Entry] = field(default_factory=list)
    mempool: list[Transaction] = field(default_factory=list)
    height: int = 0
    tip: BlockHash = field(default_factory=lambda: BlockHash(REGTEST.chain_hash))
    alice: House = field(init=False)
    bob: House = field(init=False)

    def __post_init__(self) -> None:
        self.alice, self.bob = self.house("alice"), self.house("bob")
        more = [self.house(name) for name in self.others]
        self.houses = [self.alice, self.bob, *more]
        self._loops: list[asyncio.Task[None]] = []

    def house(self, name: str) -> House:
        """One more that stands on this chain."""
        return House(name, self.journal, self.mempool)

    async def __aenter__(self) -> Self:
        for house in self.houses:
            await house.store.open()
            _, wishes = await persist.load(house.store, house.kernel.board)
            house.kernel.resume(wishes)
            self._loops.append(asyncio.create_task(house.kernel.run()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for house in self.houses:
            house.store.gate.set()
            house.kernel.inbox.close()
        await asyncio.wait_for(asyncio.gather(*self._loops), 5)

    async def settle(self) -> None:
        """Until nothing has happened for a while."""
        seen, quiet = -1, 0
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self.journal) == seen else 0
            seen = len(self.journal)

    async def mine(self, *transactions: Transaction) -> None:
        """A block with these and everything that was broadcast."""
        self.height += 1
        block = BlockHash(sha256(self.tip + self.height.to_bytes(4, "little")))
        found = (*transactions, *self.mempool)
        self.mempool.clear()
        event = BlockConnected(BlockHeight(self.height), block, self.tip, found)
        self.tip = block
        for house in self.houses:
            house.kernel.inbox.put(event)
        await self.settle()

    async def funded(self) -> None:
        """Alice has 0.1 BTC and a link to Bob."""
        await self.give(self.alice)
        link(self.alice, self.bob)
        await self.settle()

    async def give(self, house: House) -> None:
        """0.1 BTC for a house."""
        given = await house.kernel.command(lambda t: NewAddress(t, 84))
        assert isinstance(given, NewAddressGiven)
        given_out = coins.out(10_000_000, given.script_pubkey)
        await self.mine(coins.payment(given_out, seed=self.height))

    async def open(self, one: House, other: House, *, announce: bool = False) -> ChannelOpened:
        """A channel of 1,000,000 sat between linked houses, 300,000 of them for the other."""
        amount, push = Satoshi(1_000_000), MilliSatoshi(300_000_000)
        opened = await one.kernel.command(
            lambda t: OpenChannelTo(t, other.id, amount, push, None, announce)
        )
        assert isinstance(opened, ChannelOpened)
        await self.mine()
        return opened

    def start_open(self) -> "asyncio.Task[object]":
        """Alice asks for a channel of 1,000,000 sat, 300,000 of them for Bob."""
        amount, push = Satoshi(1_000_000), MilliSatoshi(300_000_000)
        return asyncio.create_task(
            self.alice.kernel.command(
                lambda t: OpenChannelTo(t, self.bob.id, amount, push, None, False)
            )
        )

    async def opened(self) -> None:
        """A channel that both can use, and an empty journal."""
        await self.funded()
        assert isinstance(await self.start_open(), ChannelOpened)
        await self.mine()
        self.journal.clear()

    async def relink(self) -> None:
        """Cut what is left of the link and make a new one."""
        cut(self.alice, self.bob)
        await self.settle()
        link(self.alice, self.bob)
        await self.settle()

    def sent(self, house: House) -> list[str]:
        """The names of the messages that a house has sent."""
        return [e.detail for e in self.journal if e.who == house.name and e.what == "send"]
