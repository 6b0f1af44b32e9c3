"""wallet/machines/payments/incoming.py: invoices, and BOLT 4's rules for the final node."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.payment_ends import (
    AMOUNT,
    CHANNEL,
    CTX,
    HEIGHT,
    NOW,
    OTHER_CHANNEL,
    PAYEE,
    PAYMENT_SECRET,
    PREIMAGE,
    SCID,
    STRANGER,
    answered,
    arrived,
    final_payload,
    invoiced,
    later,
    sent,
    shared_secret_of,
    tried,
)
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Refused
from wallet.base.invoices.bolt11 import decode_invoice, signing_digest
from wallet.base.onion.payload import ForwardPayload
from wallet.base.onion.returns import Returned, unwrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import OUR_INVOICE
from wallet.base.values.ids import PaymentHash
from wallet.base.wire.failures import (
    Failure,
    IncorrectOrUnknownPaymentDetails,
    InvalidOnionBlinding,
    InvalidOnionHmac,
    InvalidOnionPayload,
)
from wallet.machines.payments.incoming import (
    Fail,
    FailMalformed,
    Forward,
    Fulfill,
    IncomingHtlc,
    InvoiceRequest,
    make_invoice,
)
from wallet.machines.payments.records import InvoiceRecord, InvoiceStatus, ReceivedPart
from wallet.machines.step import Context

UNKNOWN = IncorrectOrUnknownPaymentDetails(AMOUNT, HEIGHT)


def failure_of(
    htlc: IncomingHtlc, invoice: InvoiceRecord | None, ctx: Context = CTX
) -> Failure | None:
    """What the payee answers; None: the preimage."""
    answer = answered(htlc, invoice, ctx)
    if isinstance(answer, Fulfill):
        assert sha256(answer.preimage) == htlc.payment_hash
        return None
    assert isinstance(answer, Fail)
    # What is reported is also what the origin reads.
    assert unwrap([shared_secret_of(htlc)], answer.reason) == Returned(0, answer.failure)
    return answer.failure


# --- invoices -----------------------------------------------------------------------------------


def test_invoice__says_what_was_asked_for() -> None:
    invoice = invoiced()
    read = decode_invoice(invoice.bolt11, REGTEST)
    assert (read.amount, read.description, read.payee) == (AMOUNT, "coffee", PAYEE)
    assert (read.payment_hash, read.payment_secret) == (invoice.payment_hash, PAYMENT_SECRET)
    assert (read.timestamp, read.expires_at) == (NOW, invoice.expires_at)
    # Our own default differs from BOLT 11's, so it is always written.
    assert read.min_final_cltv == CltvDelta(24)
    assert read.features == OUR_INVOICE
    assert invoice.status is InvoiceStatus.UNPAID
    assert invoice.amount_received == MilliSatoshi(0)


def test_invoice__only_hash_of_description() -> None:
    text = "a long story " * 100
    request = InvoiceRequest(
        label="x", amount=None, description=text, only_hash_of_description=True
    )
    fields = make_invoice(
        request, chain=REGTEST, preimage=PREIMAGE, payment_secret=PAYMENT_SECRET, now=NOW
    )
    assert (fields.description, fields.description_hash) == (None, sha256(text.encode()))
    assert len(signing_digest(fields)) == 32


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (InvoiceRequest(label="x", amount=MilliSatoshi(0), description=""), "at least 1 msat"),
        (InvoiceRequest(label="x", amount=MilliSatoshi(-1), description=""), "at least 1 msat"),
        (
            InvoiceRequest(label="x", amount=MilliSatoshi(21 * 10**17 + 1), description=""),
            "all bitcoin",
        ),
        (InvoiceRequest(label="x", amount=None, description="", expiry_seconds=0), "1 to"),
        (InvoiceRequest(label="x", amount=None, description="", expiry_seconds=1 << 32), "1 to"),
        (
            InvoiceRequest(label="x", amount=None, description="", min_final_cltv=CltvDelta(17)),
            "not safe",
        ),
        (
            InvoiceRequest(label="x", amount=None, description="", min_final_cltv=CltvDelta(2017)),
            "not safe",
        ),
        (InvoiceRequest(label="x", amount=None, description="ä" * 320), "640 bytes"),
    ],
)
def test_invoice__refused(request_: InvoiceRequest, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        make_invoice(
            request_, chain=REGTEST, preimage=PREIMAGE, payment_secret=PAYMENT_SECRET, now=NOW
        )
    assert refused.value.code == -32602


# --- the final node -----------------------------------------------------------------------------


def test_fulfill__round_trip() -> None:
    _, offer = tried()
    answer = answered(arrived(offer), invoiced())
    assert answer == Fulfill(
        PREIMAGE,
        replace(
            invoiced(),
            status=InvoiceStatus.PAID,
            pay_index=5,
            paid_at=NOW,
            parts=(ReceivedPart(CHANNEL, 7, AMOUNT, NOW),),
        ),
        ((CHANNEL, 7),),
    )


def test_fulfill__again_after_a_crash() -> None:
    htlc = sent(final_payload())
    first = answered(htlc, invoiced())
    assert isinstance(first, Fulfill)
    # The invoice has expired meanwhile and the HTLC is nearly over: it is ours all the same.
    again = answered(htlc, first.invoice, later(seconds=10_000, blocks=26))
    assert again == first


@pytest.mark.parametrize("change", [{"id": 8}, {"channel_id": OTHER_CHANNEL}])
def test_fail__hash_paid_already(change: dict[str, object]) -> None:
    htlc = sent(final_payload())
    paid = answered(htlc, invoiced())
    assert isinstance(paid, Fulfill)
    assert failure_of(replace(htlc, **change), paid.invoice) == UNKNOWN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "payload",
    [
        final_payload(secret=bytes(32)),
        replace(final_payload(), payment_data=None),
    ],
)
def test_fail__payment_secret(payload: object) -> None:
    assert failure_of(sent(payload), invoiced()) == UNKNOWN  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("msat", "fulfilled"),
    [(49_999, False), (50_000, True), (100_000, True), (100_001, False)],
)
def test_amount__at_least_and_at_most_twice(msat: int, fulfilled: bool) -> None:
    amount = MilliSatoshi(msat)
    failure = failure_of(sent(final_payload(amount), amount=amount), invoiced())
    assert failure == (None if fulfilled else IncorrectOrUnknownPaymentDetails(amount, HEIGHT))


@pytest.mark.parametrize(("msat", "fulfilled"), [(0, False), (1, True), (10**9, True)])
def test_amount__open(msat: int, fulfilled: bool) -> None:
    amount = MilliSatoshi(msat)
    htlc = sent(final_payload(amount), amount=amount)
    assert (failure_of(htlc, invoiced(None)) is None) is fulfilled


def test_amount__more_than_the_onion_says() -> None:
    answer = answered(sent(final_payload(), amount=MilliSatoshi(50_100)), invoiced())
    assert isinstance(answer, Fulfill)
    assert answer.invoice.amount_received == MilliSatoshi(50_100)


@pytest.mark.parametrize(("msat", "fulfilled"), [(60_000, True), (100_001, False)])
def test_amount__more_than_was_promised(msat: int, fulfilled: bool) -> None:
    """BOLT 4 lets a payer send more than `total_msat`; we take no gross overpayment."""
    amount = MilliSatoshi(msat)
    failure = failure_of(sent(final_payload(amount, AMOUNT), amount=amount), invoiced())
    assert failure == (None if fulfilled else IncorrectOrUnknownPaymentDetails(amount, HEIGHT))


@pytest.mark.parametrize(
    ("asked", "left", "fulfilled"),
    [(24, 21, True), (24, 20, False), (18, 18, True), (18, 17, False), (144, 140, False)],
)
def test_expiry__too_near(asked: int, left: int, fulfilled: bool) -> None:
    # Three blocks of grace for blocks found on the way, and never less than a claim needs.
    expiry = HEIGHT + CltvDelta(left)
    htlc = sent(final_payload(expiry=expiry), expiry=expiry)
    failure = failure_of(htlc, invoiced(min_final_cltv=asked))
    assert failure == (None if fulfilled else UNKNOWN)


def test_expiry__far_away_is_no_fault_at_the_final_node() -> None:
    # BOLT 4: a forwarding node MAY, but a final node MUST NOT return `expiry_too_far`.
    expiry = HEIGHT + CltvDelta(100_000)
    assert failure_of(sent(final_payload(expiry=expiry), expiry=expiry), invoiced()) is None


@pytest.mark.parametrize(("seconds", "fulfilled"), [(3_599, True), (3_600, False)])
def test_invoice_expires(seconds: int, fulfilled: bool) -> None:
    failure = failure_of(sent(final_payload()), invoiced(), later(seconds=seconds))
    assert failure == (None if fulfilled else UNKNOWN)


def test_fail__marked_expired() -> None:
    gone = replace(invoiced(), status=InvoiceStatus.EXPIRED)
    assert failure_of(sent(final_payload()), gone) == UNKNOWN


def test_fail__payload_is_no_tlv_stream() -> None:
    assert failure_of(sent(b"\x02\x09\x01"), invoiced()) == InvalidOnionPayload(2, 1)


# --- not for us ---------------------------------------------------------------------------------


def test_forward() -> None:
    payload = replace(final_payload(), short_channel_id=SCID, payment_data=None)
    answer = answered(sent(payload, behind=STRANGER), None)
    assert isinstance(answer, Forward)
    expiry = payload.outgoing_cltv_value
    assert expiry is not None
    assert answer.forward == ForwardPayload(AMOUNT, expiry, SCID)
    assert len(answer.next_packet.encode()) == 1366


def test_forward__path_key_inside() -> None:
    htlc = sent(replace(final_payload(), current_path_key=STRANGER), behind=STRANGER)
    answer = answered(htlc, None)
    assert isinstance(answer, Fail)
    assert answer.failure == InvalidOnionBlinding(sha256(htlc.onion))


def test_malformed__made_for_another_hash() -> None:
    htlc = replace(sent(final_payload()), payment_hash=PaymentHash(bytes(32)))
    answer = answered(htlc, invoiced())
    assert answer == FailMalformed(sha256(htlc.onion), InvalidOnionHmac.CODE)


@settings(max_examples=60)
@given(st.binary(min_size=1366, max_size=1366), st.booleans())
def test_any_onion_is_answered(onion: bytes, plausible: bool) -> None:
    head = sent(final_payload()).onion[:34] if plausible else b""
    htlc = replace(sent(final_payload()), onion=head + onion[len(head) :])
    answer = answered(htlc, invoiced())
    assert isinstance(answer, FailMalformed)
    assert answer.failure_code & 0xC000 == 0xC000


@settings(max_examples=60)
@given(st.binary(min_size=2, max_size=200))
def test_any_payload_is_answered(payload: bytes) -> None:
    assert failure_of(sent(payload), invoiced()) is not None
