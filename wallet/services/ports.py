"""The sockets in the wall: what the kernel needs of the world, as protocols.

Tests and the real services implement the same ports, so a whole network can run inside one test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import Features
from wallet.base.values.ids import NodeId
from wallet.machines.chain_events import BroadcastResult, ChainEvent, ChainStatus
from wallet.machines.signing import KeyAnswer, KeyRequest
from wallet.services.store.tables import Row, Table, Value, Write


class Clock(Protocol):
    """Unix time."""

    def now(self) -> float:
        """Seconds since 1970."""


class Entropy(Protocol):
    """Fresh randomness."""

    def draw(self) -> bytes:
        """32 bytes nobody can guess (except `SeededEntropy`, on regtest)."""


class Signer(Protocol):
    """The holder of secrets."""

    @property
    def node_id(self) -> NodeId:
        """Our node's public key."""

    def answer(self, requests: Sequence[KeyRequest]) -> list[KeyAnswer]:
        """Answer each request, in order. Pure computation; may take tens of microseconds each."""


class Store(Protocol):
    """The keeper of tables. A failing disk is a `ServiceFault`, a row that cannot be, a bug.

    Rows are written as `Put` and `Delete` (`services/store/tables.py` declares the tables).
    """

    async def open(self) -> None:
        """Make or migrate the database. Raises `ServiceFault` when it cannot be trusted."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """Apply in order, in one transaction; durable once this returns. Nothing when empty."""

    async def load(self, table: Table) -> list[Row]:
        """All committed rows of a table, by key."""

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """The rows of a SELECT over what is committed, for lists and search."""

    async def close(self) -> None:
        """Let go of the database."""


class ChainSource(Protocol):
    """The chain: what to send, what to pay. Blocks come to a `ChainListener`."""

    async def broadcast(self, tx: Transaction) -> BroadcastResult:
        """Offer a transaction; repeating is harmless. Raises `ServiceFault` when nobody answers."""

    async def broadcast_package(
        self, transactions: Sequence[Transaction]
    ) -> tuple[BroadcastResult, ...]:
        """Offer parents and, last, the child that pays for them: one result each, in order.

        The parents must not spend each other. Raises `ServiceFault` when nobody answers.
        """

    async def feerate(self, target: CltvDelta) -> FeeratePerKw:
        """What confirms within `target` blocks, enough to enter a mempool now.

        At least `FEERATE_FLOOR`. Raises `ServiceFault`.
        """


class ChainListener(Protocol):
    """Who wants to hear of blocks."""

    async def absorb(self, events: Sequence[ChainEvent]) -> None:
        """Take events in order. The follower reads no further until this returns."""

    def chain_status(self, status: ChainStatus) -> None:
        """Told whenever the status changes. Must not block."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A connected peer: `init` was exchanged and its features are acceptable.

    `address` is `host:port` as dialled, or where an inbound connection comes from; `features` is
    what the peer offers, `negotiated` what holds on this connection (BOLT 1, BOLT 9).
    """

    node_id: NodeId
    address: str
    outbound: bool
    features: Features
    negotiated: Features


class Transport(Protocol):
    """Encrypted links to peers, at most one each."""

    def send(self, node_id: NodeId, data: bytes) -> bool:
        """Queue one encoded message; never blocks. False if the peer is not connected now."""

    def disconnect(self, node_id: NodeId, reason: str) -> None:
        """Close the link once what was queued is on its way. Nothing happens if there is none."""

    async def connect(self, node_id: NodeId, host: str, port: int) -> Peer:
        """The peer, dialled unless it is connected already.

        Raises `Refused` with Core Lightning's code: 401 nobody there, 402 it hung up.
        """

    def peer(self, node_id: NodeId) -> Peer | None:
        """The peer if it is connected."""


class PeerListener(Protocol):
    """Who talks to peers. For one peer: connected, messages, disconnected, strictly in turn."""

    def is_partner(self, node_id: NodeId) -> bool:
        """Whether we share a channel that cost somebody money: such a peer always gets a place."""

    async def peer_connected(self, peer: Peer) -> None:
        """A link is up. Returns when there is room for its messages."""

    async def peer_message(self, node_id: NodeId, data: bytes) -> None:
        """One message, type included; not init, ping or pong, and no unknown type.

        The link reads no further until this returns: a bounded queue here bounds the peer.
        """

    def peer_disconnected(self, node_id: NodeId, reason: str) -> None:
        """The link is down; `reason` is a sentence for people. Must not block."""
