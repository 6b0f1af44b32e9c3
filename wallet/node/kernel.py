"""The one loop, four beats: step, sign, commit, act.

Nothing leaves the house before the state that explains it is on disk.  If signing or the commit
fails, no action of the batch runs and memory is read back from disk: a crash and a full disk are
the same case.  Were the order another, a peer could hold a signature that we have forgotten giving.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import Refused, ServiceFault
from wallet.base.values.ids import ChannelId, NodeId, OutPoint, Txid
from wallet.machines.chain_events import (
    BlockDisconnected,
    BlockRef,
    BroadcastResult,
    ChainEvent,
)
from wallet.machines.payments.records import PaymentStatus
from wallet.machines.signing import KeyRequest
from wallet.machines.step import Context
from wallet.node import evidence, persist
from wallet.node.answers import PaymentDone
from wallet.node.board import Board
from wallet.node.events import BroadcastDone, Command, FundingSought, NodeEvent, PeerUp, Ticket
from wallet.node.filling import Filled, filled, requests_of
from wallet.node.flow import Flow
from wallet.node.gossip_worker import GossipWorker
from wallet.node.inbox import Inbox
from wallet.node.memory import Callers, Memory, PaymentKey
from wallet.node.router import Router
from wallet.node.switchboard import absorb
from wallet.node.tap import Tap
from wallet.node.work import (
    BroadcastTx,
    CheckGossip,
    DropPeer,
    FindRoutes,
    NodeAction,
    Notice,
    Reply,
    SeekFunding,
    SendTo,
    Work,
)
from wallet.services.chain.fundings import FundingSeeker
from wallet.services.ports import ChainSource, Clock, Entropy, Store, Transport

log: Final = logging.getLogger("leyden.kernel")


class Kernel:
    """Owns memory, through its board; the only writer of the store."""

    def __init__(
        self,
        board: Board,
        store: Store,
        transport: Transport,
        chain: ChainSource,
        clock: Clock,
        entropy: Entropy,
        tap: Tap | None = None,
    ) -> None:
        self.board = board
        self.inbox = Inbox()
        self._store = store
        self._transport = transport
        self._chain = chain
        self._clock = clock
        self._entropy = entropy
        self._tap = tap
        self._router = Router(self.inbox.put)
        self._waiters: dict[Ticket, asyncio.Future[object]] = {}
        self._last_ticket: Ticket = 0
        self._listeners: list[Callable[[Notice], None]] = []
        self._broadcasts: set[asyncio.Task[None]] = set()
        self._links_to_come: dict[NodeId, int] = {}
        self.gossip: GossipWorker | None = None
        """Who checks gossip; without one, none is believed."""
        self.seeker: FundingSeeker | None = None
        """Who looks for fundings that no block holds; without one, none is missed."""
        self.flow: Flow | None = None
        """Who notes what is sent about HTLCs, if anybody does."""
        self._unheard: dict[tuple[ChannelId | Txid, str, OutPoint], BroadcastTx] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._done = asyncio.Event()
        self.commits = 0
        self.rows = 0

    # --- callers --------------------------------------------------------------------------------

    async def command(self, make: Callable[[Ticket], NodeEvent]) -> object:
        """Put a command, wait for its answer. Raises `Refused`."""
        self._last_ticket += 1
        ticket = self._last_ticket
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiters[ticket] = future
        self.inbox.put(make(ticket))
        try:
            return await future
        finally:
            self._waiters.pop(ticket, None)

    async def settled(self) -> None:
        """Wait for the end of the batch under way: what memory says then is on disk."""
        await self._idle.wait()

    @property
    def busy(self) -> bool:
        """Whether a batch is under way."""
        return not self._idle.is_set()

    async def next_batch(self) -> None:
        """Wait for the end of the batch under way, or of the next one."""
        if self._idle.is_set():
            await asyncio.sleep(0)
        await self._idle.wait()

    async def changed(self) -> None:
        """Wait until another batch is done: whatever a caller waits for may be there then."""
        await self._done.wait()

    def knows(self, event: ChainEvent) -> bool:
        """Whether a block event is in what memory says."""
        block = BlockRef(event.height, event.hash)
        return (block in self.board.memory.blocks) is not isinstance(event, BlockDisconnected)

    def listen(self, listener: Callable[[Notice], None]) -> None:
        """Be told of notices, after the commit that makes them true."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[Notice], None]) -> None:
        """No more notices."""
        self._listeners.remove(listener)

    def link_is_up(self, event: PeerUp) -> None:
        """A link came up. Until its event is absorbed, nothing may be said on it."""
        waiting = self._links_to_come.get(event.node_id, 0)
        self._links_to_come[event.node_id] = waiting + 1
        self.inbox.put_peer(event.node_id, event)

    # --- the loop -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the inbox is closed. Raises `ServiceFault` only when the store cannot be read."""
        while batch := await self.inbox.take_batch():
            self._idle.clear()
            try:
                await self.process(batch)
            finally:
                self._idle.set()
        for task in list(self._broadcasts):
            task.cancel()
        self._router.close()

    async def process(self, batch: Sequence[NodeEvent]) -> None:
        """One batch: step → sign → commit → act."""
        now = int(self._clock.now())
        board = self.board
        board.work = work = Work(at=now)
        before, callers = persist.Before(board.memory), board.memory.callers()
        for event in batch:
            if isinstance(event, PeerUp):
                self._link_absorbed(event.node_id)
        try:
            batch = await evidence.gathered(self._store, board.memory, batch)
            for event in batch:
                entropy = self._entropy.draw()
                memory = board.memory
                board.ctx = Context(memory.height, memory.feerate, now, entropy)
                if self._tap is not None:
                    self._tap.record(event, now, entropy)
                absorb(board, event)
            board.flush()
            if self._tap is not None:
                self._tap.end_of_batch()
            signed = self._sign(work.actions)
            writes = persist.writes(board.memory, before, work)
            if writes:
                await self._store.commit(writes)
                self.commits += 1
                self.rows += len(writes)
        except ServiceFault as fault:
            await self._start_over(batch, callers, str(fault))
            return
        except Exception as error:
            # A bug of ours. Whatever it touched, disk is as before the batch; so is memory, soon.
            log.exception("a batch failed; memory is read back from disk")
            reason = f"internal error ({type(error).__name__})"
            await self._start_over(batch, callers, reason)
            return
        for line in board.log:
            log.info(line)
        board.log.clear()
        for ready in signed:
            self._act(ready)
        self._done.set()
        self._done = asyncio.Event()

    def _sign(self, actions: Sequence[NodeAction]) -> list[Filled]:
        """One call to the signer for all the open slots of the batch."""
        asked: list[KeyRequest] = []
        for action in actions:
            asked.extend(requests_of(action))
        answers = iter(self.board.signer.answer(asked))
        return [filled(action, [next(answers) for _ in requests_of(action)]) for action in actions]

    async def _start_over(self, batch: Sequence[NodeEvent], callers: Callers, reason: str) -> None:
        """Forget the batch: memory from disk, links closed, callers told.

        `callers` are those who waited before the batch: it may have answered some, had it not
        failed.
        """
        log.error("nothing of a batch of %d events was done: %s", len(batch), reason)
        lost = self.board.memory
        self.board.reset()
        memory, wishes = await persist.load(self._store, self.board)
        refused = Refused(f"{reason}. Nothing was sent or changed; try again")
        undone = {*callers.opening, *(e.ticket for e in batch if isinstance(e, Command))}
        undone -= _add_stored(callers, lost, memory)
        for ticket in undone:
            self._answer(ticket, refused)
        # Whoever waits for something that is on disk goes on waiting: its outcome is open.
        memory.awaiting_open = callers.open
        memory.awaiting_close = callers.close
        memory.awaiting_withdraw = callers.withdraw
        memory.awaiting_payment = self._still_waiting(memory, callers, refused)
        memory.feerate = lost.feerate
        # A bug that froze a channel is still there.
        memory.frozen = {c: why for c, why in lost.frozen.items() if c in memory.channels}
        # A fault may have struck before a link's event was absorbed: those links end as well.
        for peer in {*lost.peers, *(e.node_id for e in batch if isinstance(e, PeerUp))}:
            self._transport.disconnect(peer, "internal error")
        self.resume(wishes)

    def _still_waiting(
        self, memory: Memory, callers: Callers, refused: Refused
    ) -> dict[PaymentKey, list[Ticket]]:
        """Callers whose payment has its outcome before it; the others are answered now."""
        waiting = {}
        for key, tickets in callers.payment.items():
            payment = memory.payments.get(key)
            if payment is not None and payment.status is PaymentStatus.PENDING:
                waiting[key] = tickets
                continue
            # It was looking for a route: for its first try, or for another one.
            for ticket in tickets:
                self._answer(ticket, refused if payment is None else PaymentDone(payment))
        return waiting

    def _link_absorbed(self, node_id: NodeId) -> None:
        waiting = self._links_to_come.pop(node_id, 0) - 1
        if waiting > 0:
            self._links_to_come[node_id] = waiting

    # --- acting ---------------------------------------------------------------------------------

    def resume(self, wishes: Sequence[NodeAction]) -> None:
        """Perform what the stored state still promises, at start."""
        for ready in self._sign(wishes):
            self._act(ready)

    def _act(self, ready: Filled) -> None:
        action = ready.action
        match action:
            case SendTo(peer, message):
                if peer in self._links_to_come:
                    return
                if self._transport.send(peer, ready.data) and self.flow is not None:
                    self.flow.note(peer, message, self.board.memory.channels)
            case DropPeer(peer, reason):
                self._transport.disconnect(peer, reason)
            case BroadcastTx():
                self._spawn(self._broadcast(action, ready.transactions))
            case Reply(ticket, value):
                self._answer(ticket, value)
            case CheckGossip(candidate):
                if self.gossip is not None:
                    self.gossip.check(candidate)
            case SeekFunding():
                if self.seeker is not None:
                    self._spawn(self._seek(self.seeker, action))
            case FindRoutes():
                self._router.find(action, self.board.memory.graph, self.board.memory.knowledge)
            case Notice():
                for listener in tuple(self._listeners):
                    listener(action)

    def _answer(self, ticket: Ticket, value: object) -> None:
        future = self._waiters.get(ticket)
        if future is None or future.done():
            return
        if isinstance(value, Refused):
            future.set_exception(value)
        else:
            future.set_result(value)

    def _spawn(self, job: Awaitable[None]) -> None:
        task = asyncio.ensure_future(job)
        self._broadcasts.add(task)
        task.add_done_callback(self._broadcasts.discard)

    async def _broadcast(self, action: BroadcastTx, transactions: tuple[Transaction, ...]) -> None:
        """Offer a transaction, with its parents if it has any, and tell what became of each.

        While the chain is away it is kept for later: the state promises it.
        """
        *parents, tx = transactions
        # A newer transaction takes the place of an older one with the same first input: a channel
        # may claim several outputs at once, and each claim may pay more than the one before it.
        key = (action.channel_id or tx.txid, action.kind, tx.inputs[0].outpoint)
        results: Sequence[BroadcastResult | None]
        try:
            if parents:
                results = await self._chain.broadcast_package(transactions)
            else:
                results = [await self._chain.broadcast(tx)]
            self._unheard.pop(key, None)
        except ServiceFault as fault:
            log.warning("%s %s waits for the chain backend: %s", action.kind, tx.txid, fault)
            self._unheard[key] = action
            results = [None] * len(transactions)
        *above, result = results
        if action.channel_id is not None:
            for parent, outcome in zip(parents, above, strict=True):
                self.inbox.put(BroadcastDone(action.channel_id, "commitment", parent, outcome))
        self.inbox.put(BroadcastDone(action.channel_id, action.kind, tx, result))

    async def _seek(self, seeker: FundingSeeker, asked: SeekFunding) -> None:
        there = await seeker.is_there(asked.outpoint)
        if there is not None:
            self.inbox.put(FundingSought(asked.channel_id, asked.height, there))

    def chain_is_back(self) -> None:
        """Offer again what the chain has not heard."""
        waiting, self._unheard = self._unheard, {}
        self.resume(list(waiting.values()))


def _add_stored(callers: Callers, lost: Memory, memory: Memory) -> set[Ticket]:
    """Who asked in the lost batch for what is on disk all the same: its outcome is open.

    The disk may have taken the batch and failed to say so.  Who was told that nothing was sent
    would send it again.
    """
    found: set[Ticket] = set()
    for key, tickets in lost.awaiting_payment.items():
        if key in memory.payments:
            known = callers.payment.setdefault(key, [])
            known.extend(ticket for ticket in tickets if ticket not in known)
            found.update(tickets)
    for channel_id, ticket in lost.awaiting_open.items():
        if channel_id in memory.channels:
            callers.open[channel_id] = ticket
            found.add(ticket)
    for txid, ticket in lost.awaiting_withdraw.items():
        if txid in memory.wallet.sent:
            callers.withdraw[txid] = ticket
            found.add(ticket)
    return found
