"""The facade: what a face may ask of a core. Everything it shows is on disk already.

Rule 1: questions wait for the end of the batch under way, so no answer tells of what a crash could
still take back.
Rule 2: a command is an event with a ticket; its answer comes after its commit.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from wallet.base.bitcoin.chains import Chain
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import ChannelId, NodeId, Preimage
from wallet.machines.chain_events import ChainStatus
from wallet.machines.payments.forwarding import TermsChange
from wallet.machines.payments.hints import BY_DEFAULT, Exposure
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import InvoiceRecord, InvoiceStatus
from wallet.machines.payments.requests import KeysendRequest, PartRequest, PayRequest
from wallet.node.answers import (
    ChannelClosed,
    ChannelOpened,
    InvoiceCreated,
    InvoiceDeleted,
    NewAddressGiven,
    PartSent,
    PaymentDone,
    PeerTrusted,
    TermsSet,
)
from wallet.node.build import Core
from wallet.node.config import Config
from wallet.node.events import (
    PLAIN,
    ChannelWish,
    CloseChannel,
    CreateInvoice,
    DeleteInvoice,
    Keysend,
    NewAddress,
    NodeEvent,
    OpenChannelTo,
    PayInvoice,
    SendPart,
    SetTerms,
    Ticket,
    TrustPeer,
)
from wallet.node.memory import Memory
from wallet.node.work import Notice
from wallet.services.directory import DataDirectory
from wallet.services.ports import Peer
from wallet.services.vault.seed_file import open_seed_file, read_seed_header

LOCKED: Final = -32001
"""The seed file is encrypted and nobody has given the password yet."""
NOT_READY: Final = -32003
"""The chain backend is away, or we have not caught up with it."""
_CHAIN_PATIENCE: Final = 10.0
"""Seconds that a `connect` waits for the chain after a start."""

A = TypeVar("A")


class Api:
    """One core, locked or running."""

    def __init__(self, config: Config, place: DataDirectory) -> None:
        self.config = config
        self.place = place
        self.stop_requested = asyncio.Event()
        self.failure: str | None = None
        """Why the core cannot go on; then `stop_requested` is set too."""
        self._core: Core | None = None
        self._unlocking = asyncio.Lock()

    # --- life -----------------------------------------------------------------------------------

    @property
    def locked(self) -> bool:
        """Whether the password is still missing."""
        return self._core is None

    @property
    def chain(self) -> Chain:
        """Which chain the core is on."""
        return self.config.chain

    def needs_password(self) -> bool:
        """Whether the seed file is encrypted. Raises `Refused` when there is no wallet."""
        return read_seed_header(self.place.seed_file).encrypted

    async def unlock(self, password: str | None) -> None:
        """Open the seed file and start the core. Raises `Refused` for a wrong password."""
        async with self._unlocking:
            if self._core is not None:
                return
            opened = await asyncio.to_thread(
                open_seed_file, self.place.seed_file, password, network=self.chain.name
            )
            birthday = opened.header.birthday
            core = Core(self.config, self.place, opened.recovery.seed(), self._fail, birthday)
            await core.start()
            self._core = core

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.stop_requested.set()

    async def close(self) -> None:
        """Stop the core."""
        core, self._core = self._core, None
        if core is not None:
            await core.stop()

    @property
    def core(self) -> Core:
        """The running core. Raises `Refused` (locked)."""
        if self._core is None:
            raise Refused("the wallet is locked: `leyden unlock` opens it", LOCKED)
        return self._core

    # --- questions ------------------------------------------------------------------------------

    async def memory(self) -> Memory:
        """Everything as of the last commit. To be read at once, not kept."""
        core = self.core
        await core.kernel.settled()
        return core.kernel.board.memory

    @property
    def node_id(self) -> NodeId:
        """Our public key."""
        return self.core.signer.node_id

    @property
    def listening(self) -> str:
        """`host:port` on which peers are awaited."""
        return str(self.core.listening)

    @property
    def chain_status(self) -> ChainStatus | None:
        """How things stand with the chain backend; None before its first answer."""
        return self.core.intake.status

    @property
    def commits(self) -> int:
        """Durable commits since the start."""
        return self.core.kernel.commits

    @property
    def rows(self) -> int:
        """Rows written since the start."""
        return self.core.kernel.rows

    def now(self) -> int:
        """Unix time."""
        return int(self.core.clock.now())

    async def estimate(self, target: CltvDelta) -> FeeratePerKw:
        """What confirms within `target` blocks. Raises `ServiceFault` when nobody can say."""
        return await self.core.chain.feerate(target)

    def check_synced(self) -> None:
        """Raise `Refused` unless we have seen the chain up to its tip."""
        status = self.chain_status
        if status is None:
            raise Refused("the chain backend has not answered yet; try again in a moment", 304)
        if status.problem:
            raise Refused(f"the chain backend is away: {status.problem}", NOT_READY)
        # The status is told after the blocks: what memory has absorbed already counts.
        seen = self.core.kernel.board.memory.height
        if seen < max(status.backend_height, status.headers):
            raise Refused(
                f"still reading the chain: block {seen.height} of"
                f" {max(status.backend_height, status.headers).height}; try again in a moment",
                304,
            )

    # --- commands -------------------------------------------------------------------------------

    async def new_address(self, purpose: int) -> bytes:
        """A fresh script of ours (84: P2WPKH, 86: P2TR)."""
        answer = await self._ask(lambda t: NewAddress(t, purpose), NewAddressGiven)
        return answer.script_pubkey

    async def connect(self, node_id: NodeId, host: str | None, port: int | None) -> Peer:
        """A link to the peer, by default where we met it last. Raises `Refused` 400, 401."""
        core = self.core
        if node_id == core.signer.node_id:
            raise Refused("that is this node itself", -32602)
        present = core.transport.peer(node_id)
        if present is not None:
            await self._absorbed(node_id)
            return present
        if host is None or port is None:
            known = (await self.memory()).known_peers.get(node_id)
            if known is None or known.address is None:
                raise Refused(
                    f"no address of {node_id.hex()} is known: `leyden connect ID@HOST:PORT`", 400
                )
            host, _, text = known.address.rpartition(":")
            host, port = host.strip("[]"), int(text)
        if not await core.intake.at_the_tip(_CHAIN_PATIENCE):
            # Until then no peer is listened to: say why instead of letting the caller wait.
            self.check_synced()
        peer = await core.transport.connect(node_id, host, port)
        await self._absorbed(node_id)
        return peer

    async def _absorbed(self, node_id: NodeId) -> None:
        """Until the kernel knows of the link: what is asked next may need it."""
        memory = await self.memory()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while node_id not in memory.peers:
                    await asyncio.sleep(0.002)
                    memory = await self.memory()

    async def open_channel(
        self,
        peer: NodeId,
        amount: Satoshi | None,
        push: MilliSatoshi,
        feerate: FeeratePerKw | None,
        *,
        announce: bool,
        min_confirmations: int = 0,
        wish: ChannelWish = PLAIN,
    ) -> ChannelOpened:
        """Fund a channel; returns when the funding is with the chain. Raises `Refused` 3xx.

        Without confirmations only our own change is spent.
        """
        self.check_synced()
        return await self._ask(
            lambda t: OpenChannelTo(
                t, peer, amount, push, feerate, announce, min_confirmations, wish
            ),
            ChannelOpened,
        )

    async def trust_peer(self, peer: NodeId, trusted: bool) -> PeerTrusted:
        """Say whether a peer may open channels that are used before they are confirmed."""
        return await self._ask(lambda t: TrustPeer(t, peer, trusted), PeerTrusted)

    async def close_channel(
        self,
        channel_id: ChannelId,
        script_pubkey: bytes | None,
        feerates: tuple[FeeratePerKw, FeeratePerKw] | None,
        unilateral_after: float | None,
    ) -> ChannelClosed:
        """Close cooperatively; by force after so many seconds (0: at once, None: never).

        `feerates` are the least and the greatest that we may agree to.  Asked again while the
        close waits for its block, higher ones replace it (`option_simple_close`).
        """
        if unilateral_after != 0:
            closing = asyncio.ensure_future(
                self._ask(
                    lambda t: CloseChannel(t, channel_id, script_pubkey, feerates, False),
                    ChannelClosed,
                )
            )
            done, _ = await asyncio.wait({closing}, timeout=unilateral_after)
            if done:
                return closing.result()
            closing.cancel()
        return await self._ask(
            lambda t: CloseChannel(t, channel_id, None, None, True), ChannelClosed
        )

    async def create_invoice(
        self, request: InvoiceRequest, preimage: Preimage | None
    ) -> InvoiceRecord:
        """A signed invoice. Raises `Refused` 900, 901."""
        return (await self.create_hinted_invoice(request, preimage, BY_DEFAULT)).invoice

    async def create_hinted_invoice(
        self, request: InvoiceRequest, preimage: Preimage | None, exposure: Exposure
    ) -> InvoiceCreated:
        """A signed invoice with route hints, and warnings. Raises `Refused` 900, 901, 902."""
        return await self._ask(
            lambda t: CreateInvoice(t, request, preimage, exposure), InvoiceCreated
        )

    async def delete_invoice(
        self, label: str, status: InvoiceStatus, *, only_description: bool
    ) -> InvoiceRecord:
        """Forget an invoice, or its description. Raises `Refused` 905, 906, 908."""
        answer = await self._ask(
            lambda t: DeleteInvoice(t, label, status, only_description), InvoiceDeleted
        )
        return answer.invoice

    async def pay(self, request: PayRequest, seconds: float) -> PaymentDone:
        """Pay; the payment as it ended. Raises `Refused` (nothing was sent), `TimeoutError`.

        After `TimeoutError` the payment goes on: its outcome is open.
        """
        async with asyncio.timeout(seconds):
            return await self._ask(lambda t: PayInvoice(t, request), PaymentDone)

    async def keysend(self, request: KeysendRequest, seconds: float) -> PaymentDone:
        """Pay a node without an invoice. Raises as `pay`."""
        async with asyncio.timeout(seconds):
            return await self._ask(lambda t: Keysend(t, request), PaymentDone)

    async def send_part(self, request: PartRequest) -> PartSent:
        """Send one part along a route; returns once it is on its way. Raises `Refused`."""
        return await self._ask(lambda t: SendPart(t, request), PartSent)

    async def set_terms(
        self, channel_ids: tuple[ChannelId, ...], change: TermsChange, enforce_after: int
    ) -> TermsSet:
        """Other terms for channels of ours; the old ones are good for `enforce_after` seconds more.

        Raises `Refused`; then none has changed.
        """
        return await self._ask(lambda t: SetTerms(t, channel_ids, change, enforce_after), TermsSet)

    async def wait_invoice(self, label: str) -> InvoiceRecord:
        """Until an invoice is paid or expired. Raises `Refused` 905 when there is none (more)."""
        with self._changes("invoice_payment", "invoice_deleted") as changed:
            while True:
                invoice = await self.invoice(label)
                seconds = invoice.expires_at - self.core.clock.now()
                if invoice.as_of(self.now()).status is not InvoiceStatus.UNPAID:
                    return invoice
                changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(seconds, 0) + 0.1):
                        await changed.wait()

    async def wait_any_invoice(self, after: int, seconds: float | None) -> InvoiceRecord:
        """The first invoice that was or is paid after pay index `after`. Raises `TimeoutError`."""
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        with self._changes("invoice_payment") as changed:
            while True:
                memory = await self.memory()
                paid = [i for i in memory.invoices.values() if (i.pay_index or 0) > after]
                if paid:
                    return min(paid, key=lambda invoice: invoice.pay_index or 0)
                changed.clear()
                async with asyncio.timeout_at(deadline):
                    await changed.wait()

    @contextlib.contextmanager
    def _changes(self, *topics: str) -> Iterator[asyncio.Event]:
        """An event that is set by notices of these topics."""
        changed = asyncio.Event()

        def heard(notice: Notice) -> None:
            if notice.topic in topics:
                changed.set()

        kernel = self.core.kernel
        kernel.listen(heard)
        try:
            yield changed
        finally:
            kernel.unlisten(heard)

    async def invoice(self, label: str) -> InvoiceRecord:
        """The invoice of that label. Raises `Refused` 905."""
        memory = await self.memory()
        payment_hash = memory.labels.get(label)
        if payment_hash is None:
            raise Refused(f"there is no invoice with the label '{label}'", 905)
        return memory.invoices[payment_hash]

    async def _ask(self, make: Callable[[Ticket], NodeEvent], kind: type[A]) -> A:
        answer = await self.core.kernel.command(make)
        if not isinstance(answer, kind):
            raise InvariantBroken(f"a command was answered with {type(answer).__name__}")
        return answer
