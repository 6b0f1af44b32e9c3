"""Money that comes in: making invoices, and answering HTLCs (BOLT 4, "the final node").

`answer` is asked once an HTLC is irrevocably committed, and asked again after a crash: the HTLCs
that paid an invoice get its preimage every time, any other HTLC with the same hash never.  A part
of a payment waits for the others (`parts.py`).
"""

import hmac
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from wallet.base.bitcoin.chains import Chain
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused
from wallet.base.invoices.bolt11 import MAX_AMOUNT, MAX_DESCRIPTION, InvoiceFields
from wallet.base.invoices.tagged import HintHop
from wallet.base.onion.packet import OnionError, OnionPacket, peel
from wallet.base.onion.payload import (
    FinalPayload,
    ForwardPayload,
    Payload,
    as_final,
    as_forward,
    decode_payload,
)
from wallet.base.onion.returns import create_failure
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi
from wallet.base.values.blocks import CltvDelta, CltvExpiry
from wallet.base.values.features import OUR_INVOICE
from wallet.base.values.ids import ChannelId, PaymentHash, Point, Preimage
from wallet.base.wire.failures import (
    Failure,
    FinalIncorrectCltvExpiry,
    FinalIncorrectHtlcAmount,
    IncorrectOrUnknownPaymentDetails,
    InvalidOnionBlinding,
    TemporaryChannelFailure,
)
from wallet.machines.payments import keysend, parts
from wallet.machines.payments.parts import CLAIM_BLOCKS, HeldPart, HeldSet
from wallet.machines.payments.records import InvoiceRecord, InvoiceStatus, ReceivedPart
from wallet.machines.step import Context

LATE_BLOCKS: Final = CltvDelta(3)
"""Blocks found while a payment is on its way must not make it fail."""
MIN_FINAL_CLTV: Final = CltvDelta(24)
"""What our invoices ask for: well over `CLAIM_BLOCKS` + `LATE_BLOCKS`."""
MAX_HTLC_CLTV: Final = CltvDelta(2016)
"""BOLT 4 "`max_htlc_cltv` Selection": nobody holds money for longer."""
WEEK: Final = 604_800
"""Core Lightning's default expiry, in seconds."""
MAX_EXPIRY: Final = (1 << 32) - 1


# --- invoices -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRequest:
    """What a person asks for; `amount` None lets the payer choose."""

    label: str
    amount: MilliSatoshi | None
    description: str
    expiry_seconds: int = WEEK
    min_final_cltv: CltvDelta = MIN_FINAL_CLTV
    only_hash_of_description: bool = False
    route_hints: tuple[tuple[HintHop, ...], ...] = ()
    fallbacks: tuple[bytes, ...] = ()
    """Output scripts on chain; what is paid there is not counted to the invoice."""


def make_invoice(
    request: InvoiceRequest, *, chain: Chain, preimage: Preimage, payment_secret: bytes, now: int
) -> InvoiceFields:
    """An invoice to be signed.

    `preimage` and `payment_secret` are 32 fresh random bytes each.  Raises `Refused` (-32602).
    """
    _check_request(request)
    written = request.description.encode()
    only_hash = request.only_hash_of_description
    return InvoiceFields(
        prefix=chain.invoice_prefix,
        timestamp=now,
        payment_hash=PaymentHash(sha256(preimage)),
        payment_secret=payment_secret,
        amount=request.amount,
        description=None if only_hash else request.description,
        description_hash=sha256(written) if only_hash else None,
        expiry=request.expiry_seconds,
        min_final_cltv=request.min_final_cltv,
        route_hints=request.route_hints,
        fallbacks=request.fallbacks,
        features=OUR_INVOICE,
    )


def _check_request(request: InvoiceRequest) -> None:
    if request.amount is not None and not ZERO_MSAT < request.amount <= MAX_AMOUNT:
        raise Refused(
            "An invoice is for at least 1 msat and at most all bitcoin. Without an amount (`any`) "
            "the payer chooses.",
            -32602,
        )
    if not 0 < request.expiry_seconds <= MAX_EXPIRY:
        raise Refused(f"An invoice lives from 1 to {MAX_EXPIRY:,} seconds.", -32602)
    if not CLAIM_BLOCKS <= request.min_final_cltv <= MAX_HTLC_CLTV:
        raise Refused(
            f"A final expiry of {request.min_final_cltv.blocks} blocks is not safe. From "
            f"{CLAIM_BLOCKS.blocks} to {MAX_HTLC_CLTV.blocks} blocks are possible.",
            -32602,
        )
    size = len(request.description.encode())
    if size > MAX_DESCRIPTION and not request.only_hash_of_description:
        raise Refused(
            f"The description has {size} bytes and an invoice holds {MAX_DESCRIPTION}. A shorter "
            "one, or only its hash (`deschashonly`), would fit.",
            -32602,
        )


def record(
    request: InvoiceRequest,
    fields: InvoiceFields,
    bolt11: str,
    *,
    preimage: Preimage,
    created_index: int,
) -> InvoiceRecord:
    """What to store of an invoice that has just been signed."""
    return InvoiceRecord(
        payment_hash=fields.payment_hash,
        preimage=preimage,
        payment_secret=fields.payment_secret,
        label=request.label,
        bolt11=bolt11,
        amount=fields.amount,
        description=request.description,
        expires_at=fields.expires_at,
        min_final_cltv=fields.min_final_cltv,
        created_at=fields.timestamp,
        created_index=created_index,
    )


# --- HTLCs --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IncomingHtlc:
    """An HTLC that a peer offered and that both sides have committed for good."""

    channel_id: ChannelId
    id: int
    amount: MilliSatoshi
    payment_hash: PaymentHash
    cltv_expiry: CltvExpiry
    onion: bytes
    path_key: Point | None = None
    """`path_key` of `update_add_htlc`: the HTLC runs in a blinded route."""
    too_much_dust: bool = False
    """Over what may burn as fee if the channel closes: BOLT 2 SHOULD NOT reveal a preimage."""
    funding_lost: bool = False
    """The funding of its channel was double-spent: it would be paid with money that is not."""

    @property
    def is_unsafe(self) -> bool:
        """Whether it is given back, whatever it wants."""
        return self.too_much_dust or self.funding_lost


@dataclass(frozen=True, slots=True)
class Fulfill:
    """Give the preimage for every one of `htlcs`; store `invoice`, paid, in the same batch."""

    preimage: Preimage
    invoice: InvoiceRecord
    htlcs: tuple[tuple[ChannelId, int], ...]


@dataclass(frozen=True, slots=True)
class Keysend:
    """A payment that nobody asked for: `paid` makes an invoice for it the one that it paid."""

    preimage: Preimage
    part: HeldPart
    description: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The HTLC waits in `held`, which takes the place of the set that it joined."""

    held: HeldSet


@dataclass(frozen=True, slots=True)
class FailSet:
    """Give back everything that waits, the HTLC that was asked about included."""

    removals: tuple[parts.Removal, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """Give the HTLC back; `reason` is sealed for the origin, `failure` what it says."""

    reason: bytes
    failure: Failure


@dataclass(frozen=True, slots=True)
class FailMalformed:
    """Give the HTLC back to a peer whose onion we could not read."""

    sha256_of_onion: bytes
    failure_code: int


@dataclass(frozen=True, slots=True)
class Forward:
    """The HTLC is not for us: `forwarding.verdict` says whether it may be passed on."""

    forward: ForwardPayload
    next_packet: OnionPacket
    shared_secret: bytes


Answer: TypeAlias = Fulfill | Keysend | Hold | Fail | FailSet | FailMalformed | Forward


def refuse(shared_secret: bytes, failure: Failure) -> Fail:
    """`failure`, sealed for the origin."""
    return Fail(create_failure(shared_secret, failure), failure)


def ephemeral_point(htlc: IncomingHtlc) -> Point | FailMalformed:
    """What to ask the ECDH of, or the answer to an onion that cannot be read at all."""
    if htlc.path_key is not None:
        # BOLT 4: if `path_key` is set in the incoming `update_add_htlc`: MUST return an
        # `invalid_onion_blinding` error.  We make no blinded routes.
        return FailMalformed(sha256(htlc.onion), InvalidOnionBlinding.CODE)
    try:
        return OnionPacket.decode(htlc.onion).public_key
    except OnionError as fault:
        return FailMalformed(sha256(htlc.onion), fault.failure.code)


def answer(
    htlc: IncomingHtlc,
    shared_secret: bytes,
    invoice: InvoiceRecord | None,
    ctx: Context,
    pay_index: int,
    held: HeldSet | None = None,
) -> Answer:
    """What to do with an HTLC.

    `shared_secret` is the ECDH of `ephemeral_point(htlc)` with our node key, `invoice` ours with
    that payment hash, `pay_index` the number it gets if this pays it, `held` what waits for it.
    """
    try:
        peeled = peel(OnionPacket.decode(htlc.onion), shared_secret, htlc.payment_hash)
        payload = decode_payload(peeled.payload)
        if peeled.next_packet is not None:
            return _pass_on(htlc, shared_secret, payload, peeled.next_packet)
        final = as_final(payload)
    except OnionError as fault:
        if fault.failure.is_bad_onion:
            return FailMalformed(sha256(htlc.onion), fault.failure.code)
        return refuse(shared_secret, fault.failure)
    if invoice is not None and invoice.part(htlc.channel_id, htlc.id) is not None:
        return Fulfill(invoice.preimage, invoice, ((htlc.channel_id, htlc.id),))
    failure = _final_failure(htlc, final, invoice, ctx)
    if failure is not None:
        return refuse(shared_secret, failure)
    part = HeldPart(
        htlc.channel_id,
        htlc.id,
        htlc.amount,
        final.amt_to_forward,
        htlc.cltv_expiry,
        shared_secret,
        ctx.now,
    )
    if final.keysend_preimage is not None:
        return Keysend(final.keysend_preimage, part, keysend.description(final))
    if invoice is None:
        return refuse(shared_secret, _unknown(htlc, ctx))
    return _joined(held or HeldSet(final.total_msat, ctx.now), part, final, invoice, ctx, pay_index)


def _joined(
    held: HeldSet,
    part: HeldPart,
    final: FinalPayload,
    invoice: InvoiceRecord,
    ctx: Context,
    pay_index: int,
) -> Fulfill | Hold | FailSet:
    # BOLT 4: MUST add it to the HTLC set corresponding to that `payment_hash`.
    joined = held.with_part(part)
    # BOLT 4: SHOULD fail the entire HTLC set if `total_msat` is not the same for all HTLCs in the
    # set.
    if held.total_msat != final.total_msat:
        return FailSet(parts.refused(joined, ctx))
    if joined.is_over(ctx):
        return FailSet(parts.timed_out(joined))
    if not joined.is_whole:
        return Hold(joined)
    # BOLT 4: if it fulfills any HTLCs in the HTLC set: MUST fulfill the entire HTLC set.
    htlcs = tuple((p.channel_id, p.htlc_id) for p in joined.parts)
    return Fulfill(invoice.preimage, paid(invoice, joined.parts, ctx, pay_index), htlcs)


def _pass_on(
    htlc: IncomingHtlc, shared_secret: bytes, payload: Payload, next_packet: OnionPacket
) -> Answer:
    if payload.current_path_key is not None:
        # BOLT 4: if `current_path_key` is set in the onion payload and it is not the final node:
        # MUST return an `invalid_onion_blinding` error.
        return refuse(shared_secret, InvalidOnionBlinding(sha256(htlc.onion)))
    if htlc.is_unsafe:
        return refuse(shared_secret, TemporaryChannelFailure())
    return Forward(as_forward(payload), next_packet, shared_secret)


def _unknown(htlc: IncomingHtlc, ctx: Context) -> Failure:
    return IncorrectOrUnknownPaymentDetails(htlc.amount, ctx.height)


def _final_failure(
    htlc: IncomingHtlc, final: FinalPayload, invoice: InvoiceRecord | None, ctx: Context
) -> Failure | None:
    if htlc.is_unsafe:
        return TemporaryChannelFailure()
    # In the order of BOLT 4's list.  `expiry_too_far` is not in it: a final node MUST NOT say so,
    # and a payment that can be claimed within a minute locks nothing of ours.
    if final.keysend_preimage is not None:
        expected = invoice is None and keysend.is_genuine(final, htlc.payment_hash)
        nearest = CLAIM_BLOCKS.blocks
    else:
        expected = invoice is not None and _is_asked_for(final, invoice, ctx)
        asked = invoice.min_final_cltv if invoice is not None else MIN_FINAL_CLTV
        nearest = max(CLAIM_BLOCKS.blocks, asked.blocks - LATE_BLOCKS.blocks)
    # An HTLC that is about to end could be taken back on chain while we give the preimage away.
    # One answer for all of these, or an onlooker could ask us which hashes we know.
    if not expected or (htlc.cltv_expiry - ctx.height).blocks < nearest:
        return _unknown(htlc, ctx)
    if htlc.cltv_expiry < final.outgoing_cltv_value:
        return FinalIncorrectCltvExpiry(htlc.cltv_expiry)
    if htlc.amount < final.amt_to_forward:
        return FinalIncorrectHtlcAmount(htlc.amount)
    return None


def _is_asked_for(final: FinalPayload, invoice: InvoiceRecord, ctx: Context) -> bool:
    if invoice.as_of(ctx.now).status is not InvoiceStatus.UNPAID:
        return False
    # BOLT 4: MUST require `payment_secret` for all HTLCs in the set.
    if not hmac.compare_digest(final.payment_secret or b"", invoice.payment_secret):
        return False
    # BOLT 4: "amount paid" is the `total_msat` field; less is refused, so is more than twice.
    asked, offered = invoice.amount, final.total_msat.msat
    if offered == 0 or (asked is not None and not asked.msat <= offered <= 2 * asked.msat):
        return False
    # BOLT 4 lets a part carry more than was promised, for the `htlc_minimum_msat` of a channel on
    # the way; gross overpayment by accident is given back here too.
    return final.amt_to_forward.msat <= 2 * offered


def paid(
    invoice: InvoiceRecord, held: tuple[HeldPart, ...], ctx: Context, pay_index: int
) -> InvoiceRecord:
    """The invoice, paid by these parts."""
    received = tuple(ReceivedPart(p.channel_id, p.htlc_id, p.amount, p.received_at) for p in held)
    return replace(
        invoice,
        status=InvoiceStatus.PAID,
        pay_index=pay_index,
        paid_at=ctx.now,
        parts=(*invoice.parts, *received),
    )
