"""What is true of a channel, from its first commitment to the last claim on chain.

A `Channel` has commitments; `phase` says how far its life has come and `link` whether the peer is
there.  Everything here is frozen: an exception in the middle of a step leaves the old state as it
was.  Balances are *settled*: an HTLC in the table still belongs to who offered it, and moves when
its row is gone; `commitments.py` computes what each transaction holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wallet.base.channel_tx.format import CommitmentFormat
from wallet.base.channel_tx.keys import Basepoints
from wallet.base.crypto.shachain import Shachain
from wallet.base.values.amounts import ZERO_MSAT, FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import (
    ChainHash,
    ChannelId,
    KeysId,
    NodeId,
    OutPoint,
    Point,
    ShortChannelId,
    Signature,
    Txid,
)
from wallet.base.wire.message import Message
from wallet.machines.channel.close_versions import NO_VERSION, Proposal, SimpleClose
from wallet.machines.channel.ending import Bump, OnChain
from wallet.machines.channel.htlc import NOTHING_LET_GO, Htlc, HtlcKey, LetGo
from wallet.machines.channel.htlc_stages import ROWS, Stage
from wallet.machines.signing import UnsignedTx


class Phase(StrEnum):
    """How far a channel's life has come. Stored by name; the values are Core Lightning's words."""

    AWAITING_CONFIRMATION = "CHANNELD_AWAITING_LOCKIN"
    READY = "CHANNELD_NORMAL"
    SHUTTING_DOWN = "CHANNELD_SHUTTING_DOWN"
    NEGOTIATING = "CLOSINGD_SIGEXCHANGE"
    MUTUALLY_CLOSED = "CLOSINGD_COMPLETE"
    FAILED = "AWAITING_UNILATERAL"
    SPENT = "ONCHAIN"
    CLOSED = "CLOSED"


LIVING = frozenset(
    {Phase.AWAITING_CONFIRMATION, Phase.READY, Phase.SHUTTING_DOWN, Phase.NEGOTIATING}
)
"""Phases in which the peers still talk about commitments."""

AGREEING = frozenset({Phase.NEGOTIATING, Phase.MUTUALLY_CLOSED})
"""Phases in which they talk about the fee of a cooperative close, and of no other commitment."""


class Link(StrEnum):
    """Whether the peer is there. Never stored: after a restart everyone is away."""

    OFFLINE = "offline"
    SYNCING = "syncing"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class SideTerms:
    """What one side said in `open_channel` or `accept_channel`. It binds the *other* side."""

    dust_limit: Satoshi
    max_htlc_value_in_flight: MilliSatoshi
    channel_reserve: Satoshi
    htlc_minimum: MilliSatoshi
    to_self_delay: int
    max_accepted_htlcs: int
    basepoints: Basepoints
    upfront_shutdown_script: bytes
    """Empty: none was given."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What never changes in the life of a channel, but for `their_features`."""

    channel_id: ChannelId
    peer: NodeId
    keys_id: KeysId
    payment_index: int
    chain_hash: ChainHash
    format: CommitmentFormat
    channel_type: tuple[int, ...]
    we_opened: bool
    """Who opened pays the fee; who put money in is a fact of each funding."""
    announce: bool
    minimum_depth: int
    ours: SideTerms
    theirs: SideTerms
    opened_at: int
    close_to: bytes
    """Script of our wallet that a cooperative close pays to unless another is named."""
    their_features: bytes
    """As in their `init` of the latest connection."""
    our_id: NodeId | None = None
    """Our own node. None in rows older than announcements: such a channel stays private."""
    opened_height: int | None = None
    """Height of our tip when the channel was opened; None in rows older than this field."""


@dataclass(frozen=True, slots=True)
class FeeUpdate:
    """A fee rate and how far it is agreed; it rides the rows of an HTLC's addition."""

    feerate: FeeratePerKw
    stage: Stage


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Where the funding transaction was mined."""

    height: int
    tx_index: int


@dataclass(frozen=True, slots=True)
class Funding:
    """One funding transaction: capacity, keys, balances, and their signatures on our commitment."""

    number: int
    outpoint: OutPoint
    amount: Satoshi
    our_pubkey: Point
    their_pubkey: Point
    our_contribution: MilliSatoshi
    pushed: MilliSatoshi
    """What the opener gave away with the open."""
    least_to_us: MilliSatoshi
    most_to_us: MilliSatoshi
    to_us: MilliSatoshi
    to_them: MilliSatoshi
    signature: Signature
    htlc_signatures: tuple[Signature, ...]
    confirmed: Confirmation | None
    transaction: UnsignedTx | None
    """Ours to broadcast until it is confirmed; None when the peer funds."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A funding that payments stand on was not found where an unmined transaction must be."""

    since: int
    """Height of the first tip without it; with a rival, of the block that holds that."""
    lost: bool = False
    """At another tip neither, or a rival is in a block: nothing is promised over the channel."""
    rival: Txid | None = None
    """What spends the coins of the funding instead. Only the opener can know."""


class ScidKind(StrEnum):
    """Which of the names of a channel."""

    OURS = "ours"
    THEIRS = "theirs"
    REAL = "real"


@dataclass(frozen=True, slots=True)
class Scid:
    """A name of the channel. Old ones keep working; `until` is the height at which one ended."""

    scid: ShortChannelId
    kind: ScidKind
    funding_number: int
    until: int | None = None


RELAY_FEE_BASE: Final = MilliSatoshi(1)
RELAY_CLTV_DELTA: Final = CltvDelta(34)
"""Well over the 18 blocks that claiming an incoming HTLC on chain may take."""


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """What we ask of payments that leave through this channel (BOLT 7 `channel_update`)."""

    fee_base: MilliSatoshi = RELAY_FEE_BASE
    fee_proportional_millionths: int = 10
    cltv_expiry_delta: CltvDelta = RELAY_CLTV_DELTA
    htlc_minimum: MilliSatoshi = ZERO_MSAT
    htlc_maximum: MilliSatoshi | None = None
    """None: whatever the channel itself can carry."""


DEFAULT_RELAY: Final = RelayPolicy()


@dataclass(frozen=True, slots=True)
class Proof:
    """Their half of a `channel_announcement`, verified for `scid` (BOLT 7)."""

    scid: ShortChannelId
    node_signature: Signature
    bitcoin_signature: Signature


@dataclass(frozen=True, slots=True)
class Announcement:
    """How far both have come with telling the network."""

    sent: ShortChannelId | None = None
    """The name for which we have said `announcement_signatures`."""
    said: bool = False
    """On this connection; never true in a stored state."""
    theirs: Proof | None = None


@dataclass(frozen=True, slots=True)
class SignedClose:
    """A legacy close that both agreed to, with the peer's signature."""

    fee: Satoshi
    their_signature: Signature


@dataclass(frozen=True, slots=True)
class Negotiation:
    """The talk about a closing fee; it starts anew with every connection (BOLT 2)."""

    our_fee: Satoshi | None = None
    our_range: tuple[Satoshi, Satoshi] | None = None
    their_fee: Satoshi | None = None
    since: int = 0
    """When we first named a fee that is not agreed (Unix time)."""
    heard_shutdown: bool = False
    """On this connection: it may name another script than the one before."""
    proposal: Proposal | None = None
    """Our `closing_complete` that waits for `closing_sig`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a channel's life, for people (Core Lightning's `state_changes`)."""

    at: int
    old: Phase | None
    new: Phase
    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Counters of finished HTLCs in one direction."""

    offered: int = 0
    offered_msat: int = 0
    fulfilled: int = 0
    fulfilled_msat: int = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with commitments.

    Points: `[0]` belongs to the oldest commitment that is not revoked, `[1]` to the next one.
    """

    terms: Terms
    phase: Phase
    link: Link
    fundings: tuple[Funding, ...]
    our_number: int
    """Number of our latest commitment, which the peer has signed."""
    their_number: int
    """Number of the latest commitment that we signed for them."""
    awaiting_revocation: bool
    """They have not yet revoked `their_number - 1`."""
    revoking: bool
    """A released secret is on its way within this batch; never true in a stored state."""
    commit_sent_last: bool
    """Which was sent later, our last commitment_signed or revoke_and_ack (retransmission)."""
    our_points: tuple[Point, Point]
    their_points: tuple[Point, Point]
    their_secrets: Shachain
    htlcs: Mapping[HtlcKey, Htlc]
    fees: tuple[FeeUpdate, ...]
    """The first is settled; later ones are on their way."""
    our_next_htlc_id: int
    their_next_htlc_id: int
    ready_sent: bool
    ready_received: bool
    scids: tuple[Scid, ...]
    our_shutdown: bytes | None
    """Our script, from the moment we want to close; sent once `shutdown_sent`."""
    shutdown_sent: bool
    their_shutdown: bytes | None
    negotiation: Negotiation
    close_feerates: tuple[FeeratePerKw, FeeratePerKw] | None
    """Least and greatest that a person set for the cooperative close."""
    signed_close: SignedClose | None
    fell_behind: bool
    """The peer proved that our state is old: nothing of it may ever be broadcast."""
    error: str | None
    """Why the channel failed; sent again to a peer that reconnects."""
    onchain: OnChain | None
    changes: tuple[Change, ...]
    in_tally: Tally
    out_tally: Tally
    relay: RelayPolicy = DEFAULT_RELAY
    announcement: Announcement = Announcement()
    bump: Bump | None = None
    """What pays for our commitment to enter a block, once that is broadcast (BOLT 5)."""
    let_go: LetGo = NOTHING_LET_GO
    simple_close: SimpleClose = NO_VERSION
    missing: Missing | None = None
    """Set while the funding is in no block and in no mempool that we know."""
    early: tuple[Message, ...] = ()
    """What came before the peer's `channel_reestablish`; always empty in a stored state."""

    @property
    def id(self) -> ChannelId:
        """BOLT 2 `channel_id`."""
        return self.terms.channel_id

    @property
    def funding(self) -> Funding:
        """The funding that commitments spend now."""
        return self.fundings[-1]

    @property
    def feerate(self) -> FeeratePerKw:
        """The settled fee rate."""
        return self.fees[0].feerate

    def scid(self, kind: ScidKind) -> ShortChannelId | None:
        """The current name of that kind, if any."""
        found = [s.scid for s in self.scids if s.kind is kind and s.until is None]
        return found[-1] if found else None

    def with_htlc(self, htlc: Htlc) -> "Channel":
        """The channel with one row added or replaced."""
        table = dict(self.htlcs)
        table[htlc.key] = htlc
        return replace(self, htlcs=table)

    def with_funding(self, funding: Funding) -> "Channel":
        """The channel with the funding of that number replaced."""
        return replace(
            self,
            fundings=tuple(funding if f.number == funding.number else f for f in self.fundings),
        )

    def with_phase(self, phase: Phase, now: int, cause: str, message: str) -> "Channel":
        """The channel in another phase, with the change remembered for people."""
        if phase is self.phase:
            return self
        change = Change(now, self.phase, phase, cause, message)
        return replace(self, phase=phase, changes=(*self.changes, change))


def in_flight(channel: Channel) -> bool:
    """Whether any HTLC or unsettled fee change is in the table."""
    return bool(channel.htlcs) or len(channel.fees) > 1


def is_agreed(channel: Channel) -> bool:
    """Whether both have signed a closing transaction: the peer may broadcast it at any time."""
    return channel.signed_close is not None or bool(channel.simple_close.versions)


def is_lost(channel: Channel) -> bool:
    """Whether the funding counts as double-spent: what the channel holds may not exist."""
    return channel.missing is not None and channel.missing.lost


def is_unsent(htlc: Htlc) -> bool:
    """Whether no commitment of either side has ever held this HTLC."""
    return htlc.stage in {Stage.SENT_ADD_HTLC, Stage.RCVD_ADD_HTLC}


def is_removing(htlc: Htlc) -> bool:
    """Whether a fulfil or failure has been said."""
    return ROWS[htlc.stage].removing
