"""Everything the kernel knows, in memory. It equals what the store holds between two batches."""

from collections import deque
from dataclasses import dataclass, field

from wallet.base.errors import Refused
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.features import Features
from wallet.base.values.ids import (
    BlockHash,
    ChannelId,
    NodeId,
    OutPoint,
    PaymentHash,
    ShortChannelId,
    Txid,
)
from wallet.base.wire.gossip import ChannelUpdate
from wallet.machines.chain_events import BlockRef
from wallet.machines.channel.htlc import HtlcKey
from wallet.machines.channel.opening import Opening
from wallet.machines.channel.state import LIVING, Channel, Phase, RelayPolicy
from wallet.machines.coins.records import TxRecord
from wallet.machines.coins.selection import Selection
from wallet.machines.coins.wallet import Wallet
from wallet.machines.payments.forwards import ForwardRecord
from wallet.machines.payments.parts import HeldSet
from wallet.machines.payments.records import InvoiceRecord, Payment, PaymentStatus
from wallet.machines.routing.gossip_book import Gossip
from wallet.machines.routing.graph import Graph
from wallet.machines.routing.knowledge import Knowledge
from wallet.node.events import Ticket
from wallet.node.gossip_traffic import Traffic
from wallet.node.journal import Journal

KEPT_BLOCKS = 200
"""Hashes of past blocks that are kept to find the fork of a reorganisation."""

PaymentKey = tuple[PaymentHash, int]
"""Hash and group: one attempt of a person to pay an invoice."""

HtlcName = tuple[ChannelId, int]
"""An HTLC of ours, or one of theirs: which of the two, the map says that has it."""


@dataclass(frozen=True, slots=True)
class ConnectedPeer:
    """A peer that is there now."""

    node_id: NodeId
    address: str
    outbound: bool
    features: Features


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """A peer that we remember: where to dial it, and what a person said of it."""

    node_id: NodeId
    address: str | None
    features: bytes
    trusted: bool = False
    """It may open channels that are used before their funding is confirmed."""


@dataclass(slots=True)
class PendingOpening:
    """An opening and what it holds until it is a channel or is given up."""

    state: Opening
    ticket: Ticket = 0
    selection: Selection | None = None
    all_coins: bool = False
    since: int = 0
    """When the last word was said (Unix time)."""


@dataclass(frozen=True, slots=True)
class OldTerms:
    """What we asked before, accepted until that second."""

    relay: RelayPolicy
    until: int


@dataclass(frozen=True, slots=True)
class CloseWaiter:
    """Who asked a channel to close, and which closing transactions were signed before."""

    ticket: Ticket
    older: frozenset[Txid] = frozenset()
    """Offered to the chain again with every block: none of them is the answer."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Who waits for the outcome of something, at one moment."""

    opening: frozenset[Ticket]
    """For an opening that no disk knows of yet."""
    open: dict[ChannelId, Ticket]
    close: dict[ChannelId, list[CloseWaiter]]
    payment: dict[PaymentKey, list[Ticket]]
    withdraw: dict[Txid, Ticket]


@dataclass(slots=True)
class Memory:
    """Mutable maps of frozen states. Only the board changes them."""

    wallet: Wallet
    tip: BlockRef
    blocks: deque[BlockRef] = field(default_factory=deque)
    feerate: FeeratePerKw = FEERATE_FLOOR
    channels: dict[ChannelId, Channel] = field(default_factory=dict)
    frozen: dict[ChannelId, str] = field(default_factory=dict)
    invoices: dict[PaymentHash, InvoiceRecord] = field(default_factory=dict)
    labels: dict[str, PaymentHash] = field(default_factory=dict)
    payments: dict[PaymentKey, Payment] = field(default_factory=dict)
    known_peers: dict[NodeId, KnownPeer] = field(default_factory=dict)
    invoice_index: int = 0
    invoice_updates: int = 0
    invoice_deletions: int = 0
    pay_index: int = 0
    payment_index: int = 0
    payment_updates: int = 0
    forwards: dict[HtlcName, ForwardRecord] = field(default_factory=dict)
    """Those under way, by the HTLC that came in; the store has those that ended."""
    htlc_numbers: dict[tuple[ChannelId, HtlcKey], int] = field(default_factory=dict)
    """`created_index` of those that may still change."""
    htlc_index: int = 0
    htlc_updates: int = 0
    forward_index: int = 0
    forward_updates: int = 0
    forwards_settled: int = 0
    fees_collected_msat: int = 0
    payments_complete: int = 0

    graph: Graph = field(default_factory=Graph)
    gossip: Gossip = field(init=False)
    """The words behind the graph; whatever changes the graph goes through it."""
    channel_updates: dict[tuple[ChannelId, bool], ChannelUpdate] = field(default_factory=dict)
    """The newest terms of our channels, by channel and whether they are ours."""

    journal: Journal = field(default_factory=Journal)
    transactions: dict[Txid, TxRecord] = field(default_factory=dict)
    """Of the wallet on chain, oldest first."""
    transaction_index: int = 0

    # Not stored: what a restart begins without.
    peers: dict[NodeId, ConnectedPeer] = field(default_factory=dict)
    openings: dict[tuple[NodeId, ChannelId], PendingOpening] = field(default_factory=dict)
    awaiting_open: dict[ChannelId, Ticket] = field(default_factory=dict)
    awaiting_close: dict[ChannelId, list[CloseWaiter]] = field(default_factory=dict)
    awaiting_payment: dict[PaymentKey, list[Ticket]] = field(default_factory=dict)
    complaints: dict[tuple[NodeId, int], int] = field(default_factory=dict)
    """How often each peer has complained in the present hour: what the log has room for."""
    awaiting_withdraw: dict[Txid, Ticket] = field(default_factory=dict)
    waiting_parts: dict[PaymentHash, HeldSet] = field(default_factory=dict)
    """What has arrived of payments to us that are not whole yet."""
    old_terms: dict[ChannelId, OldTerms] = field(default_factory=dict)
    searching: dict[PaymentKey, Payment] = field(default_factory=dict)
    """Payments for which a route is being looked for."""

    knowledge: Knowledge = field(default_factory=Knowledge)
    """What payments taught of other nodes' channels."""

    traffic: Traffic = field(default_factory=Traffic)
    """Gossip under way."""

    # Derived: where to look something up.
    watched: dict[OutPoint, ChannelId] = field(default_factory=dict)
    payment_groups: dict[PaymentHash, tuple[int, ...]] = field(default_factory=dict)
    """The groups of `payments` by their hash."""
    htlc_payments: dict[HtlcName, tuple[PaymentKey, int]] = field(default_factory=dict)
    forwarded: dict[HtlcName, HtlcName] = field(default_factory=dict)
    """From the HTLC that went on to the one that came in."""
    names: dict[ShortChannelId, ChannelId] = field(default_factory=dict)
    """Which channel an onion means: by our alias or by the channel's place in the chain."""

    def __post_init__(self) -> None:
        self.gossip = Gossip(self.graph)

    @property
    def height(self) -> BlockHeight:
        """Height of the last block that was absorbed."""
        return self.tip.height

    def channel(self, channel_id: ChannelId) -> Channel:
        """The channel; raises `Refused` when there is none."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise Refused(f"there is no channel {channel_id.hex()}", -32602)
        return channel

    def channels_with(self, node_id: NodeId) -> list[Channel]:
        """All channels with a peer, oldest first."""
        return [c for c in self.channels.values() if c.terms.peer == node_id]

    @property
    def guarded(self) -> int:
        """How many channels may still need coins of ours to end on chain: for each a reserve."""
        return len(self.openings) + sum(_may_need_coins(c) for c in self.channels.values())

    def callers(self) -> Callers:
        """A copy of who waits now."""
        return Callers(
            frozenset(pending.ticket for pending in self.openings.values()),
            dict(self.awaiting_open),
            {key: list(waiting) for key, waiting in self.awaiting_close.items()},
            {key: list(tickets) for key, tickets in self.awaiting_payment.items()},
            dict(self.awaiting_withdraw),
        )

    def keep_payment(self, payment: Payment) -> None:
        """Remember a payment, in place of what it was."""
        key = (payment.payment_hash, payment.groupid)
        before = self.payments.get(key)
        self.payments_complete += _is_complete(payment) - _is_complete(before)
        if before is None:
            groups = self.payment_groups.get(payment.payment_hash, ())
            self.payment_groups[payment.payment_hash] = (*groups, payment.groupid)
        self.payments[key] = payment

    def payments_of(self, payment_hash: PaymentHash) -> list[Payment]:
        """Every payment with that hash."""
        groups = self.payment_groups.get(payment_hash, ())
        return [self.payments[payment_hash, group] for group in groups]

    def push_block(self, block: BlockRef) -> None:
        """A new tip."""
        self.tip = block
        self.blocks.append(block)
        while len(self.blocks) > KEPT_BLOCKS:
            self.blocks.popleft()

    def pop_block(self, parent: BlockRef) -> None:
        """The tip was taken away."""
        self.blocks.pop()
        self.tip = parent


def _may_need_coins(channel: Channel) -> bool:
    if channel.onchain is None:
        return channel.phase in LIVING or channel.phase is Phase.FAILED
    claims = channel.onchain.claims
    return any(c.kind.is_funded and c.resolved_at is None for c in claims)


def _is_complete(payment: Payment | None) -> bool:
    return payment is not None and payment.status is PaymentStatus.COMPLETE


def genesis_ref(chain_hash: bytes) -> BlockRef:
    """The block every chain starts from."""
    return BlockRef(BlockHeight(0), BlockHash(chain_hash))
