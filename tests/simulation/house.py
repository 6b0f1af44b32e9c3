"""One node of the world: the product's kernel on a disk that stays while processes come and go."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.disk import Disk, PowerCut, finish
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import ServiceFault
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import ChannelId, NodeId
from wallet.machines.chain_events import BlockDisconnected, BroadcastResult, ChainEvent
from wallet.machines.channel.state import Channel, Scid
from wallet.machines.step import Context
from wallet.node import persist
from wallet.node.build import make_board
from wallet.node.config import Config
from wallet.node.events import FeerateChanged, NodeEvent, Ticket
from wallet.node.kernel import Kernel
from wallet.node.memory import Callers, Memory
from wallet.services.ports import Peer
from wallet.services.vault.signer import LocalSigner
from wallet.services.world import SeededEntropy

if TYPE_CHECKING:
    from tests.simulation.world import World


class Violation(BaseException):
    """The product did what it must never do; not an `Exception`, as the kernel survives those."""


class SimKernel(Kernel):
    """The product's kernel; only what needs an asyncio loop or a fault on demand is replaced."""

    def bind(self, house: "House") -> None:
        """Whose kernel this is."""
        self._house = house

    def _spawn(self, job: Awaitable[None]) -> None:
        finish(cast(Coroutine[Any, Any, None], job))

    def _answer(self, ticket: Ticket, value: object) -> None:
        self._house.answers[ticket] = value

    def _act(self, ready: Any) -> None:
        self._house.about_to_act()
        super()._act(ready)

    async def _start_over(self, batch: Sequence[NodeEvent], callers: Callers, reason: str) -> None:
        if reason != "the disk is full":
            raise Violation(f"{self._house.name}: a batch failed: {reason}")
        self._house.world.met["full disk"] += 1
        self._house.world.note(f"{self._house.name} has a full disk")
        await super()._start_over(batch, callers, reason)


class House:
    """A node's keys, disk and, while it runs, its kernel. Is its own clock, links and chain."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.signer = LocalSigner(sha256(name.encode()) * 2, REGTEST)
        self.id = self.signer.node_id
        self.disk = Disk()
        self.kernel: SimKernel | None = None
        self.answers: dict[Ticket, object] = {}
        self.acts_left: int | None = None
        """After so many actions more the power goes."""
        self.copy: bytes | None = None
        """Of its disk, to cheat with."""
        self.copied: dict[ChannelId, int] = {}
        """The numbers of its commitments in that copy."""
        self.cheats = False
        """It runs on that copy, and nothing is asked of it any more."""
        self.height = 0
        """Of the last block that it heard of."""
        self.expected: dict[ChannelId, Channel] = {}
        """What the disk must say of channels at the next start."""
        self._lives = 0
        self._tickets = 0
        self._acted = 0

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> bool:
        """A new process on what the disk has; False when it ends before it is up."""
        self._lives += 1
        config = Config(Path(self.name), REGTEST, "", None, "", self.name)
        entropy = SeededEntropy(
            f"{self.world.seed} {self.name} {self._lives}".encode(), REGTEST.chain_hash
        )
        kernel = SimKernel(make_board(config, self.signer), self.disk, self, self, self, entropy)
        kernel.bind(self)
        self._compare(finish(persist.load_channels(self.disk)))
        kernel.board.ctx = Context(BlockHeight(0), FEERATE_FLOOR, self.world.now, bytes(32))
        _, wishes = finish(persist.load(self.disk, kernel.board))
        self.kernel = kernel
        self._acted = 0
        try:
            kernel.resume(wishes)
        except PowerCut:
            self._fell("while it starts")
            self.die(dict(self.memory.channels))
            return False
        self.height = self.memory.height.height
        if self.world.feerate != FEERATE_FLOOR:
            kernel.inbox.put(FeerateChanged(self.world.feerate))
        return True

    def _compare(self, loaded: list[Channel]) -> None:
        for channel in loaded:
            known = self.expected.get(channel.id, channel)
            differing = [
                field.name
                for field in fields(channel)
                if _unordered(getattr(channel, field.name))
                != _unordered(getattr(known, field.name))
            ]
            if differing:
                raise Violation(f"{self.name}: the disk tells another story of {differing}")
        if missing := set(self.expected) - {channel.id for channel in loaded}:
            raise Violation(f"{self.name}: {len(missing)} channels are not on disk")

    def die(self, before: dict[ChannelId, Channel]) -> None:
        """The process is gone; `before` are the channels as its last commit left them."""
        self.expected = {i: persist.durable(channel) for i, channel in before.items()}
        self.kernel = None
        self.relieve()
        self.answers.clear()

    @property
    def is_doomed(self) -> bool:
        """Whether a fault waits for its moment."""
        disk = self.disk
        return disk.cut_before or disk.cut_after or disk.full or self.acts_left is not None

    def relieve(self) -> None:
        """No fault is due any more."""
        self.acts_left = None
        self.disk.relieve()

    def about_to_act(self) -> None:
        """One action more, if there is still power."""
        if self.acts_left == 0:
            raise PowerCut
        if self.acts_left is not None:
            self.acts_left -= 1
        self._acted += 1

    def _fell(self, how: str) -> None:
        self.world.met[f"crash {how}"] += 1
        self.world.note(f"{self.name} crashes {how}")

    def keep_a_copy(self) -> None:
        """Of the disk; what has changed since can be betrayed."""
        self.copy = self.disk.image()
        self.copied = {i: c.our_number for i, c in self.memory.channels.items()}

    def betray(self) -> None:
        """What ran ends; from now on the copy does, and nobody hears it but the chain."""
        assert self.copy is not None
        if self.kernel is not None:
            self.die({})
        self.disk = Disk(self.copy)
        self.expected = {}
        self.cheats = True

    @property
    def memory(self) -> Memory:
        """Of the running kernel."""
        assert self.kernel is not None, f"{self.name} is down"
        return self.kernel.board.memory

    @property
    def is_up(self) -> bool:
        """Whether a process runs."""
        return self.kernel is not None

    @property
    def has_work(self) -> bool:
        """Whether something waits in the inbox."""
        return self.kernel is not None and bool(
            self.kernel.inbox._urgent or self.kernel.inbox._peers
        )

    def turn(self) -> bool:
        """One batch; False when the power went."""
        assert self.kernel is not None
        before = dict(self.memory.channels)
        commits = self.disk.commits
        self._acted = 0
        try:
            finish(self.kernel.process(finish(self.kernel.inbox.take_batch())))
        except PowerCut:
            stored = self.disk.commits > commits
            acted = "while it acts" if self._acted else "after its commit"
            self._fell(acted if stored else "before its commit")
            self.die(dict(self.memory.channels) if stored else before)
            return False
        self.height = self.memory.height.height
        return True

    def ask(self, make: Callable[[Ticket], NodeEvent]) -> Ticket:
        """Put a command; its answer will be in `answers`."""
        assert self.kernel is not None
        self._tickets += 1
        self.kernel.inbox.put(make(self._tickets))
        return self._tickets

    def hear_of_blocks(self, most: int) -> int:
        """Take up to `most` steps towards the world's chain; returns how many."""
        assert self.kernel is not None
        steps = self._way()[:most]
        self.world.heard += len(steps)
        self.kernel.inbox.put_all(steps)
        return len(steps)

    def _way(self) -> list[ChainEvent]:
        """Disconnects down to the fork, then connects."""
        chain, known = self.world.chain, list(self.memory.blocks)
        steps: list[ChainEvent] = []
        while known and not chain.has(known[-1].height.height, known[-1].hash):
            gone = known.pop()
            steps.append(BlockDisconnected(gone.height, gone.hash))
        return steps + chain.after(known[-1].height.height if known else None)

    @property
    def is_behind(self) -> bool:
        """Whether there are blocks that the kernel has not heard of."""
        return self.is_up and self.memory.tip.hash != self.world.chain.tip

    # --- ports ------------------------------------------------------------------------------------

    def now(self) -> float:
        """The `Clock`."""
        return self.world.now

    def send(self, node_id: NodeId, data: bytes) -> bool:
        """The `Transport`: onto the wire."""
        return self.world.send(self, node_id, data)

    def disconnect(self, node_id: NodeId, reason: str) -> None:
        """The `Transport`: hang up."""
        self.world.hang_up(self, node_id, reason)

    async def connect(self, node_id: NodeId, host: str, port: int) -> Peer:
        """The `Transport`: the world makes the links."""
        raise ServiceFault(f"nobody listens at {host}:{port}")

    def peer(self, node_id: NodeId) -> Peer | None:
        """The `Transport`: who is there."""
        if not self.world.are_linked(self, node_id):
            return None
        return Peer(node_id, "127.0.0.1:9735", True, OUR_INIT, OUR_INIT)

    async def broadcast(self, tx: Transaction) -> BroadcastResult:
        """The `ChainSource`."""
        return self.world.broadcast(self, tx)

    async def broadcast_package(
        self, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """The `ChainSource`."""
        return self.world.broadcast_package(self, transactions)

    async def feerate(self, target: CltvDelta) -> FeeratePerKw:
        """The `ChainSource`."""
        return self.world.feerate


def _unordered(value: object) -> object:
    """Names of a channel have no order on disk."""
    return (
        frozenset(value)
        if isinstance(value, tuple) and value and isinstance(value[0], Scid)
        else value
    )
