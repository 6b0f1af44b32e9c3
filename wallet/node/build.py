"""Puts a core together: which signer, store, chain and links serve one kernel."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Final

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.errors import DecodeError, Refused, ServiceFault
from wallet.base.values.amounts import FEERATE_FLOOR
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.values.features import OUR_INIT
from wallet.base.values.ids import Point
from wallet.machines.coins.wallet import Wallet
from wallet.machines.step import Context
from wallet.node import court_desk, gossip_own, payment_desk, persist
from wallet.node.board import Board
from wallet.node.config import Config, address_descriptors, card_for, policy_for
from wallet.node.dialler import Dialler
from wallet.node.events import FeerateChanged, Listening, Tick
from wallet.node.flow import Flow
from wallet.node.gossip_worker import GossipChecker
from wallet.node.intake import Intake
from wallet.node.kernel import Kernel
from wallet.node.memory import Memory, genesis_ref
from wallet.node.tap import Tap
from wallet.services.chain.bitcoind import Bitcoind
from wallet.services.chain.endpoint import Endpoint
from wallet.services.chain.follower import Follower
from wallet.services.chain.fundings import Fundings
from wallet.services.directory import DataDirectory
from wallet.services.peers.address import HostPort
from wallet.services.peers.handshake import Identity
from wallet.services.peers.transport import TcpTransport
from wallet.services.store.sqlite import SqliteStore
from wallet.services.vault.signer import LocalSigner
from wallet.services.world import SystemClock, SystemEntropy

log: Final = logging.getLogger("leyden.core")

COMMITMENT_TARGET: Final = CltvDelta(6)
"""Blocks within which a commitment or close should confirm."""
FEERATE_SECONDS: Final = 30.0
TICK_SECONDS: Final = 1.0


def make_board(config: Config, signer: LocalSigner) -> Board:
    """An empty board; `persist.load` fills its memory."""
    start = genesis_ref(config.chain.chain_hash)
    return Board(
        memory=Memory(wallet=Wallet(), tip=start),
        signer=signer,
        chain=config.chain,
        policy=policy_for(config.chain),
        neighbour=payment_desk.hear,
        ctx=Context(BlockHeight(0), FEERATE_FLOOR, 0, bytes(32)),
        trusted=config.trust_zeroconf,
        batch_ended=gossip_own.batch_ended,
        court=court_desk.see_to,
        card=card_for(config, signer.node_id),
    )


class Core:
    """One running core: everything behind the socket once the wallet is unlocked."""

    def __init__(
        self,
        config: Config,
        place: DataDirectory,
        seed: bytes,
        failed: Callable[[str], None],
        birthday: int = 0,
    ) -> None:
        """`failed` is told, once, why the core cannot go on (only a failing store does that).

        `birthday`: Unix seconds before which the seed had no money, 0 unknown.
        """
        self.config = config
        # On regtest a block's time is whatever its miner likes.
        self._birthday = 0 if config.chain is REGTEST else birthday
        self.signer = LocalSigner(seed, config.chain)
        self.clock = SystemClock()
        self._entropy = SystemEntropy()
        self.store = SqliteStore(place.database)
        endpoint = Endpoint.parse(config.chain_url, config.chain_cookie)
        self.chain = Bitcoind(endpoint)
        board = make_board(config, self.signer)
        self._tap = Tap(place.path / "tape.ndjson", config.chain) if config.record else None
        identity = Identity(self.signer.node_id, self._ecdh, self._entropy)
        # Kernel and transport need each other; the intake between them learns of the kernel last.
        self.intake = Intake()
        self.transport = TcpTransport(identity, config.chain, OUR_INIT, self.intake)
        self.kernel = Kernel(
            board, self.store, self.transport, self.chain, self.clock, self._entropy, self._tap
        )
        self.intake.serve(self.kernel)
        self.kernel.seeker = fundings = Fundings(self.chain)
        self._gossip = GossipChecker(fundings)
        self.kernel.gossip = self._gossip
        self.flow = self.kernel.flow = Flow(self.clock)
        self.listening: HostPort | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = failed

    def _ecdh(self, point: Point) -> bytes:
        return self.signer.node_ecdh(point)

    async def start(self) -> None:
        """Open the store, pick up what was promised, listen. Raises `Refused`, `ServiceFault`."""
        async with AsyncExitStack() as undo:
            await self.store.open()
            undo.push_async_callback(self.store.close)
            board = self.kernel.board
            board.ctx = Context(BlockHeight(0), FEERATE_FLOOR, int(self.clock.now()), bytes(32))
            memory, promised = await persist.load(self.store, board)
            self.listening = await self.transport.listen(HostPort.parse(self.config.listen))
            undo.push_async_callback(self.transport.close)
            undo.pop_all()
        there = self.listening
        addresses = address_descriptors(self.config.chain, there.host, there.port)
        self.kernel.inbox.put(Listening(addresses))
        self._spawn(self._run_kernel(), "kernel")
        self.kernel.resume(promised)
        follower = Follower(self.chain, self.config.chain, self.intake)
        self._spawn(follower.run(list(memory.blocks), self._birthday), "follower")
        self._spawn(self._watch_feerate(), "feerate")
        dialler = Dialler(self.kernel, self.transport, self.intake.peer_gone)
        self._spawn(dialler.run(), "dialler")
        self._spawn(self._tick(), "clock")
        self._spawn(self._gossip.run(self.kernel.inbox.put), "gossip")

    async def stop(self) -> None:
        """Close links, finish the batch under way, close the store."""
        await self.transport.close()
        self.kernel.inbox.close()
        kernel = [t for t in self._tasks if t.get_name() == "kernel"]
        for task in self._tasks:
            if task not in kernel:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.chain.close()
        await self.store.close()
        if self._tap is not None:
            self._tap.close()

    async def _run_kernel(self) -> None:
        try:
            await self.kernel.run()
        except ServiceFault as fault:
            log.error("the core stops: %s", fault)
            self._failed(str(fault))

    async def _watch_feerate(self) -> None:
        while True:
            try:
                feerate = await self.chain.feerate(COMMITMENT_TARGET)
                if feerate != self.kernel.board.memory.feerate:
                    self.kernel.inbox.put(FeerateChanged(feerate))
            except ServiceFault as fault:
                log.debug("no fee estimate: %s", fault)
            await asyncio.sleep(FEERATE_SECONDS)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.kernel.inbox.put(Tick())

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("%s ended: %s", task.get_name(), error, exc_info=error)
            self._failed(f"{task.get_name()} ended: {error}")


def check_config(config: Config) -> None:
    """Raise `Refused` for what cannot work, before anything is opened."""
    Endpoint.parse(config.chain_url, config.chain_cookie)
    try:
        HostPort.parse(config.listen)
    except DecodeError as error:
        raise Refused(f"--listen: {error}", -32602) from None
