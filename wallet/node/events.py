"""What the kernel is told: by peers, by the chain, by people. Each can be recorded and replayed."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.ids import ChannelId, NodeId, OutPoint, PaymentHash, Preimage, Txid
from wallet.machines.chain_events import (
    BlockConnected,
    BlockDisconnected,
    BroadcastResult,
    ChainStart,
)
from wallet.machines.channel.htlc import Split
from wallet.machines.channel.opening_rules import ANCHOR_TYPE
from wallet.machines.payments.forwarding import TermsChange
from wallet.machines.payments.hints import BY_DEFAULT, Exposure
from wallet.machines.payments.incoming import InvoiceRequest
from wallet.machines.payments.records import InvoiceStatus
from wallet.machines.payments.requests import KeysendRequest, PartRequest, PayRequest
from wallet.machines.routing.gossip import Checked
from wallet.machines.routing.pathfinding import Route

Ticket = int
"""Number of a caller who waits for an answer; 0: nobody does."""


# --- peers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A link is up and `init` was exchanged; `features` as the peer offers them."""

    node_id: NodeId
    address: str
    outbound: bool
    features: bytes


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The link is gone."""

    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class PeerSaid:
    """One message, type included."""

    node_id: NodeId
    data: bytes


# --- the chain ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a commitment that the peer had revoked holds: read from disk before its block."""

    channel_id: ChannelId
    txid: Txid
    content: Split


@dataclass(frozen=True, slots=True)
class FundingSought:
    """The answer to `SeekFunding`: whether the backend has it. Without an answer there is none."""

    channel_id: ChannelId
    height: int
    found: bool


@dataclass(frozen=True, slots=True)
class FeerateChanged:
    """The backend's estimate for a commitment or close."""

    feerate: FeeratePerKw


@dataclass(frozen=True, slots=True)
class BroadcastDone:
    """What became of a transaction that we gave to the chain; None: nobody answered.

    Of a channel's package each parent is told of first, as a `commitment`, then the child.
    What nobody has heard is offered again when the backend is back: the state promises it.
    """

    channel_id: ChannelId | None
    kind: str
    tx: Transaction
    result: BroadcastResult | None


# --- the map ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoutesFound:
    """The answer to `FindRoutes`: a route, or why there is none, with Core Lightning's code."""

    payment_hash: PaymentHash
    groupid: int
    route: Route | None
    code: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GossipChecked:
    """The answer to `CheckGossip`: verdicts, in the order in which they were asked for."""

    results: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Listening:
    """We can be reached: BOLT 7 `addresses`, empty when nobody else could use ours."""

    addresses: bytes


# --- the clock ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """About a second has passed. Commits nothing by itself."""


# --- people -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewAddress:
    """Hand out the next address of a kind (84: P2WPKH, 86: P2TR)."""

    ticket: Ticket
    purpose: int


@dataclass(frozen=True, slots=True)
class ChannelWish:
    """What a person may ask of a new channel beside its size."""

    channel_type: tuple[int, ...] = ANCHOR_TYPE
    min_depth: int | None = None
    """0: to be used at once, which the peer must trust us with; None: as the peer asks."""
    close_to: bytes = b""
    """Script that a cooperative close is bound to."""


PLAIN: Final = ChannelWish()


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Send coins to a script; `amount` None means all that may leave.

    `outpoints` are the coins to spend, all of them; None leaves the choice to the wallet.
    """

    ticket: Ticket
    script_pubkey: bytes
    amount: Satoshi | None
    feerate: FeeratePerKw | None
    min_confirmations: int = 1
    outpoints: tuple[OutPoint, ...] | None = None


@dataclass(frozen=True, slots=True)
class OpenChannelTo:
    """Fund a channel; `amount` None means all that the wallet can spare."""

    ticket: Ticket
    peer: NodeId
    amount: Satoshi | None
    push: MilliSatoshi
    feerate: FeeratePerKw | None
    announce: bool
    min_confirmations: int = 0
    wish: ChannelWish = PLAIN


@dataclass(frozen=True, slots=True)
class TrustPeer:
    """Let a peer, or no longer, open channels that are used before they are confirmed."""

    ticket: Ticket
    peer: NodeId
    trusted: bool


@dataclass(frozen=True, slots=True)
class CloseChannel:
    """Close cooperatively within two fee rates, or with `unilateral` by our commitment."""

    ticket: Ticket
    channel_id: ChannelId
    script_pubkey: bytes | None
    feerates: tuple[FeeratePerKw, FeeratePerKw] | None
    unilateral: bool


@dataclass(frozen=True, slots=True)
class CreateInvoice:
    """Make and sign an invoice; a preimage is drawn unless one is given."""

    ticket: Ticket
    request: InvoiceRequest
    preimage: Preimage | None
    exposure: Exposure = BY_DEFAULT


@dataclass(frozen=True, slots=True)
class DeleteInvoice:
    """Forget an invoice that is in that state, or only its description."""

    ticket: Ticket
    label: str
    status: InvoiceStatus
    only_description: bool


@dataclass(frozen=True, slots=True)
class PayInvoice:
    """Pay a decoded invoice."""

    ticket: Ticket
    request: PayRequest


@dataclass(frozen=True, slots=True)
class Keysend:
    """Pay a node that did not ask for it."""

    ticket: Ticket
    request: KeysendRequest


@dataclass(frozen=True, slots=True)
class SendPart:
    """Send one part along a route that the caller chose."""

    ticket: Ticket
    request: PartRequest


@dataclass(frozen=True, slots=True)
class SetTerms:
    """Ask other terms of payments that leave by these channels.

    For `enforce_after` seconds the present terms are good too.
    """

    ticket: Ticket
    channel_ids: tuple[ChannelId, ...]
    change: TermsChange
    enforce_after: int


Command: TypeAlias = (
    NewAddress
    | Withdraw
    | OpenChannelTo
    | TrustPeer
    | CloseChannel
    | CreateInvoice
    | DeleteInvoice
    | PayInvoice
    | Keysend
    | SendPart
    | SetTerms
)
NodeEvent: TypeAlias = (
    PeerUp
    | PeerDown
    | PeerSaid
    | ChainStart
    | BlockConnected
    | BlockDisconnected
    | Recalled
    | FundingSought
    | FeerateChanged
    | BroadcastDone
    | RoutesFound
    | GossipChecked
    | Listening
    | Tick
    | Command
)
