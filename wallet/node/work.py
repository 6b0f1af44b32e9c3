"""What one batch will do once it is on disk: rows to write, then actions, in this order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from wallet.base.errors import Refused
from wallet.base.values.ids import ChannelId, NodeId, OutPoint, PaymentHash, Txid
from wallet.base.wire.message import Message
from wallet.machines.channel.actions import TheirCommitmentSigned
from wallet.machines.channel.htlc import Htlc
from wallet.machines.payments.forwards import ForwardRecord
from wallet.machines.routing.gossip import Candidate
from wallet.machines.routing.pathfinding import RouteQuery
from wallet.machines.signing import ReleaseSecret, SignDigest, UnsignedTx
from wallet.node.events import Ticket
from wallet.services.store.tables import Write


@dataclass(frozen=True, slots=True)
class SendTo:
    """A message; open fields are filled from the answers to `slots`."""

    peer: NodeId
    message: Message
    slots: tuple[SignDigest | ReleaseSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class DropPeer:
    """Close the link."""

    peer: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class BroadcastTx:
    """Give a transaction to the chain and come back with `BroadcastDone`.

    `parents` may pay too little to enter a mempool alone: they are offered with it, as a package.
    """

    channel_id: ChannelId | None
    kind: str
    transaction: UnsignedTx
    parents: tuple[UnsignedTx, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a caller: a value, or the exception that it gets."""

    ticket: Ticket
    value: object


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people and scripts may be waiting for; `topic` is a word, `subject` its key.

    `payload` is what the journal tells beside what memory knows of the subject.
    """

    topic: str
    subject: str
    payload: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FindRoutes:
    """Look for a way, off the loop; comes back as `RoutesFound`."""

    payment_hash: PaymentHash
    groupid: int
    query: RouteQuery


@dataclass(frozen=True, slots=True)
class CheckGossip:
    """Verify signatures and look up a funding output, off the loop; comes as `GossipChecked`."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class SeekFunding:
    """Ask the backend for a funding output that no block holds; comes back as `FundingSought`."""

    channel_id: ChannelId
    outpoint: OutPoint
    height: int
    """Of the tip at which it is asked."""


NodeAction: TypeAlias = (
    SendTo | DropPeer | BroadcastTx | Reply | Notice | FindRoutes | CheckGossip | SeekFunding
)


@dataclass(slots=True)
class Work:
    """The running account of a batch."""

    at: int = 0
    """Unix time of the batch."""
    actions: list[NodeAction] = field(default_factory=list)
    touched: set[ChannelId] = field(default_factory=set)
    invoices: set[PaymentHash] = field(default_factory=set)
    payments: set[tuple[PaymentHash, int]] = field(default_factory=set)
    forwards: dict[tuple[ChannelId, int], ForwardRecord] = field(default_factory=dict)
    peers: set[NodeId] = field(default_factory=set)
    transactions: set[Txid] = field(default_factory=set)
    wallet: bool = False
    blocks: bool = False
    gone: list[tuple[ChannelId, Htlc]] = field(default_factory=list)
    their_commitments: list[tuple[ChannelId, TheirCommitmentSigned]] = field(default_factory=list)
    gossip: list[Write] = field(default_factory=list)
    """Rows of what the network said, in the order in which it changed."""

    def reply(self, ticket: Ticket, value: object) -> None:
        """Answer `ticket` once the batch is on disk."""
        if ticket:
            self.actions.append(Reply(ticket, value))

    def refuse(self, ticket: Ticket, error: Refused) -> None:
        """Answer `ticket` with a refusal."""
        self.reply(ticket, error)

    def act(self, action: NodeAction) -> None:
        """Do this once the batch is on disk."""
        self.actions.append(action)
