"""An HTLC that came in to go on: what is remembered of it, and what each end is told.

Rule 1: a forward and the HTLC that carries it on are stored in one commit, or neither is.
Rule 2: a preimage goes back at once; a failure only when the HTLC that went on is gone for good.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from wallet.base.onion.returns import create_failure, wrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import ChannelId, PaymentHash, ShortChannelId
from wallet.base.wire.failures import Failure, TemporaryChannelFailure, bad_onion
from wallet.machines.channel.htlc import Failed, Malformed
from wallet.machines.payments.explain import NAMES
from wallet.machines.payments.incoming import Forward as Passing
from wallet.machines.payments.incoming import IncomingHtlc


class ForwardStatus(StrEnum):
    """Core Lightning's words."""

    OFFERED = "offered"
    SETTLED = "settled"
    FAILED = "failed"
    """The next node, or one behind it, gave it back."""
    LOCAL_FAILED = "local_failed"
    """We did not pass it on."""


@dataclass(frozen=True, slots=True)
class ForwardRecord:
    """A forward. Times are whole seconds since 1970."""

    in_channel: ChannelId
    in_htlc: int
    in_scid: ShortChannelId | None
    """Our name for the channel that it came by, as it was then."""
    in_amount: MilliSatoshi
    in_expiry: CltvExpiry
    payment_hash: PaymentHash
    asked_scid: ShortChannelId
    """Where the onion sends it."""
    amount: MilliSatoshi
    """What the onion tells us to pass on."""
    expiry: CltvExpiry
    shared_secret: bytes
    """Of the onion's layer for us: it seals failures on their way back."""
    received_at: int
    created_index: int
    status: ForwardStatus = ForwardStatus.OFFERED
    out_channel: ChannelId | None = None
    out_htlc: int | None = None
    out_scid: ShortChannelId | None = None
    resolved_at: int | None = None
    updated_index: int | None = None
    failure_code: int | None = None
    failure_name: str | None = None

    @property
    def fee(self) -> MilliSatoshi:
        """What we keep if it arrives."""
        return self.in_amount - self.amount

    def ended(
        self,
        status: ForwardStatus,
        now: int,
        updated_index: int | None,
        failure: Failure | None = None,
    ) -> "ForwardRecord":
        """The record once its outcome is known; one that never went on has not changed since."""
        return replace(
            self,
            status=status,
            resolved_at=now,
            updated_index=updated_index,
            failure_code=None if failure is None else failure.code,
            failure_name=None if failure is None else NAMES.get(failure.code, failure.name),
        )


def begun(
    htlc: IncomingHtlc,
    passing: Passing,
    in_scid: ShortChannelId | None,
    now: int,
    created_index: int,
) -> ForwardRecord:
    """The record of an HTLC that asks to go on; nobody has been offered it yet."""
    return ForwardRecord(
        in_channel=htlc.channel_id,
        in_htlc=htlc.id,
        in_scid=in_scid,
        in_amount=htlc.amount,
        in_expiry=htlc.cltv_expiry,
        payment_hash=htlc.payment_hash,
        asked_scid=passing.forward.short_channel_id,
        amount=passing.forward.amt_to_forward,
        expiry=passing.forward.outgoing_cltv_value,
        shared_secret=passing.shared_secret,
        received_at=now,
        created_index=created_index,
    )


def onward(
    record: ForwardRecord, channel_id: ChannelId, htlc_id: int, scid: ShortChannelId | None
) -> ForwardRecord:
    """The record once a channel has added the HTLC that carries it on."""
    return replace(record, out_channel=channel_id, out_htlc=htlc_id, out_scid=scid)


def reason_upstream(record: ForwardRecord, removal: Failed | Malformed) -> bytes:
    """BOLT 4's encrypted failure for whom we have the HTLC from."""
    match removal:
        case Failed(b""):
            # It never left: its channel ended before the peer had signed for it.
            return create_failure(record.shared_secret, TemporaryChannelFailure())
        case Failed(reason):
            return wrap(record.shared_secret, reason)
        case Malformed(digest, code):
            # BOLT 2: MUST return an error in the `update_fail_htlc` sent to the link which
            # originally sent the HTLC, using the `failure_code` given and setting the data to
            # `sha256_of_onion`.
            return create_failure(record.shared_secret, bad_onion(code, digest))
