"""What is remembered of money coming in and going out: invoices, payments and their parts.

Rule 1: a record is what happened, for ever; it is replaced by a newer one, never forgotten.
Rule 2: an invoice is received as a set of parts, a payment is keyed (hash, group, part), although
today each has one part: the formats are for ever.
`created_index`, `updated_index` and `pay_index` are Core Lightning's counters; the store counts.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi, sum_msat
from wallet.base.values.blocks import CltvDelta, CltvExpiry
from wallet.base.values.ids import ChannelId, NodeId, PaymentHash, Preimage, ShortChannelId

MOST_DELAY: Final = CltvDelta(2016)
"""BOLT 4 "`max_htlc_cltv` Selection": nobody holds money for longer."""
RISKFACTOR_MILLIONTHS: Final = 10_000_000
"""Core Lightning's: what a year of locked money is worth, in millionths of a percent of it."""


class InvoiceStatus(StrEnum):
    """Core Lightning's words."""

    UNPAID = "unpaid"
    PAID = "paid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """An HTLC that paid an invoice, or a part of one."""

    channel_id: ChannelId
    htlc_id: int
    amount: MilliSatoshi
    """What the HTLC held, which may be more than was asked for."""
    received_at: int


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    """An invoice of ours. Times are whole seconds since 1970."""

    payment_hash: PaymentHash
    preimage: Preimage
    payment_secret: bytes
    label: str
    bolt11: str
    amount: MilliSatoshi | None
    """None: the payer chooses."""
    description: str | None
    expires_at: int
    min_final_cltv: CltvDelta
    created_at: int
    created_index: int
    updated_index: int | None = None
    status: InvoiceStatus = InvoiceStatus.UNPAID
    pay_index: int | None = None
    paid_at: int | None = None
    parts: tuple[ReceivedPart, ...] = ()

    @property
    def amount_received(self) -> MilliSatoshi:
        """The sum of the parts; zero while unpaid."""
        return sum_msat([part.amount for part in self.parts])

    def is_due(self, now: int) -> bool:
        """Whether it is unpaid and its time is over."""
        return self.status is InvoiceStatus.UNPAID and now >= self.expires_at

    def as_of(self, now: int) -> "InvoiceRecord":
        """The record with its status brought up to `now`."""
        return replace(self, status=InvoiceStatus.EXPIRED) if self.is_due(now) else self

    def part(self, channel_id: ChannelId, htlc_id: int) -> ReceivedPart | None:
        """The part that came in that HTLC, if it is one of this invoice's."""
        found = (p for p in self.parts if p.channel_id == channel_id and p.htlc_id == htlc_id)
        return next(found, None)


class PaymentStatus(StrEnum):
    """Core Lightning's words, for payments and for parts."""

    PENDING = "pending"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PartFailure:
    """Why a part came back."""

    code: int
    """BOLT 4's code; 0 when the part failed here or nobody can be held to the failure."""
    name: str
    """The BOLT's word."""
    sentence: str
    """For a person: what happened, where the money is, why, and what to do."""
    hop: int | None
    """Which node of the route said so, 0 for the first."""
    final: bool
    """Trying again is useless."""
    rpc_code: int
    """Core Lightning's code for a payment that ends with this."""
    reply: bytes = b""
    """What came back, if nobody could read it."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One channel of a route, and the node behind it (BOLT 4)."""

    node_id: NodeId
    scid: ShortChannelId
    """What the node before it calls the channel; its alias if it is not announced."""
    direction: int
    """As in `channel_update`: 0 from the lesser node id to the greater."""
    amount: MilliSatoshi
    """What arrives at `node_id`."""
    cltv_expiry: CltvExpiry
    """Of the HTLC that arrives there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One try to move one part of a payment: an HTLC of ours."""

    partid: int
    """Counts from 1 within the payment, or as `sendpay` says; no number is used twice."""
    channel_id: ChannelId
    htlc_id: int | None
    """None until the channel has added it."""
    amount: MilliSatoshi
    """What arrives."""
    amount_sent: MilliSatoshi
    """What leaves: fees included."""
    cltv_expiry: CltvExpiry
    hops: tuple[Hop, ...]
    shared_secrets: tuple[bytes, ...]
    """One per hop: they read a returned failure, and nothing else."""
    status: PaymentStatus
    created_at: int
    failure: PartFailure | None = None
    completed_at: int | None = None
    created_index: int = 0
    """Core Lightning counts parts ("sendpays"); 0 until the channel has added it."""
    updated_index: int | None = None


class PaymentKind(StrEnum):
    """Who decides about tries, and what the payee gets to see."""

    PAY = "pay"
    KEYSEND = "keysend"
    """The onion brings the preimage (BLIP 3): there is no invoice."""
    SENDPAY = "sendpay"
    """The caller gives each part and its route; nothing is tried again."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of ours, with every try. `amount` is what the payee gets, fees not included."""

    payment_hash: PaymentHash
    groupid: int
    bolt11: str | None
    destination: NodeId
    amount: MilliSatoshi
    payment_secret: bytes | None
    payment_metadata: bytes | None
    min_final_cltv: CltvDelta
    max_fee: MilliSatoshi
    status: PaymentStatus
    created_at: int
    created_index: int
    """That of its first part."""
    updated_index: int | None = None
    completed_at: int | None = None
    preimage: Preimage | None = None
    parts: tuple[Part, ...] = ()
    label: str | None = None
    description: str | None = None
    failure_code: int | None = None
    """Core Lightning's RPC error code."""
    failure: str | None = None
    """The sentence for a person."""
    kind: PaymentKind = PaymentKind.PAY
    retry_until: int = 0
    """No try begins from this second on; 0: tries are not limited by time."""
    max_delay: CltvDelta = MOST_DELAY
    """Most blocks for which a try may lock our money."""
    excluded: tuple[str, ...] = ()
    """Channel directions (`103x1x0/1`) and node ids that the caller leaves out."""
    keysend_preimage: Preimage | None = None
    """What the onion brings to the payee; not a proof of anything before it comes back."""
    extra_tlvs: tuple[tuple[int, bytes], ...] = ()
    """More records for the payee."""
    hints: tuple[tuple[HintHop, ...], ...] = ()
    """Ways to the payee that no map shows, beside those of the invoice."""
    riskfactor_millionths: int = RISKFACTOR_MILLIONTHS

    @property
    def amount_sent(self) -> MilliSatoshi:
        """What has left us for good, fees included: the parts that are or may become complete."""
        return sum_msat([p.amount_sent for p in self.parts if p.status is not PaymentStatus.FAILED])

    @property
    def pending_parts(self) -> tuple[Part, ...]:
        """The parts whose outcome is not known."""
        return tuple(p for p in self.parts if p.status is PaymentStatus.PENDING)

    def part_of(self, channel_id: ChannelId, htlc_id: int) -> Part | None:
        """The part that this HTLC carries, if it is one of this payment's.

        The newest: the id of an HTLC that nobody ever signed for is used again.
        """
        found = [p for p in self.parts if p.channel_id == channel_id and p.htlc_id == htlc_id]
        return max(found, key=lambda part: part.created_index, default=None)

    def with_part(self, part: Part) -> "Payment":
        """The payment with the part of that number added or replaced."""
        kept = tuple(p for p in self.parts if p.partid != part.partid)
        return replace(self, parts=tuple(sorted((*kept, part), key=lambda p: p.partid)))
