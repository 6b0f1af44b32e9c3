"""wallet/machines/payments/outgoing.py: beginnings, tries and ends of a payment."""

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
    PAYER,
    PREIMAGE,
    SCID,
    SESSION,
    STRANGER,
    answered,
    arrived,
    asked,
    begun,
    invoiced,
    later,
    room,
    shared_secret_of,
    tried,
)
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.onion.packet import OnionPacket, peel
from wallet.base.onion.payload import as_final, decode_payload
from wallet.base.onion.returns import create_failure, wrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import PaymentHash, Preimage
from wallet.base.wire.failures import TemporaryNodeFailure
from wallet.machines.channel.htlc import Failed, Malformed
from wallet.machines.payments import incoming, outgoing, requests
from wallet.machines.payments.records import InvoiceRecord, Payment, PaymentStatus

PENDING, COMPLETE, FAILED = PaymentStatus.PENDING, PaymentStatus.COMPLETE, PaymentStatus.FAILED


def refusal(request: requests.PayRequest, seconds: int = 0) -> Refused:
    """Why this cannot be paid."""
    with pytest.raises(Refused) as refused:
        requests.start(request, ctx=later(seconds=seconds), our_id=PAYER, created_index=1)
    return refused.value


# --- beginning ----------------------------------------------------------------------------------


def test_start() -> None:
    invoice = invoiced()
    payment = begun(invoice)
    assert payment.payment_hash == invoice.payment_hash
    assert (payment.amount, payment.destination, payment.bolt11) == (AMOUNT, PAYEE, invoice.bolt11)
    assert (payment.status, payment.created_at, payment.groupid) == (PENDING, NOW, 1)
    assert (payment.label, payment.description) == ("my coffee", "coffee")
    assert payment.amount_sent == MilliSatoshi(0)


def test_start__amount_of_ours() -> None:
    assert begun(invoiced(None), MilliSatoshi(1)).amount == MilliSatoshi(1)
    assert begun(invoiced(), AMOUNT).amount == AMOUNT


@pytest.mark.parametrize(
    ("seconds", "since"),
    [(0, "less than a minute"), (60, "1 minute"), (7_300, "2 hours"), (90_000, "1 day")],
)
def test_refused__expired(seconds: int, since: str) -> None:
    refused = refusal(asked(invoiced()), 3_600 + seconds)
    assert refused.code == 207
    assert refused.message == f"This invoice expired {since} ago. Ask for a new one."


@pytest.mark.parametrize(
    ("invoice", "amount", "words"),
    [
        (invoiced(None), None, "say how much"),
        (invoiced(None), MilliSatoshi(0), "at least 1 msat"),
        (invoiced(), MilliSatoshi(0), "at least 1 msat"),
        (invoiced(), MilliSatoshi(50_001), "for 50,000 msat, not 50,001 msat"),
        (invoiced(None), MilliSatoshi(21 * 10**17 + 1), "all bitcoin"),
    ],
)
def test_refused__amount(invoice: InvoiceRecord, amount: MilliSatoshi | None, words: str) -> None:
    refused = refusal(asked(invoice, amount))
    assert refused.code == -32602
    assert words in refused.message


def test_refused__our_own_invoice() -> None:
    with pytest.raises(Refused, match="your own"):
        requests.start(asked(invoiced()), ctx=CTX, our_id=PAYEE, created_index=1)


def test_refused__locks_money_for_too_long() -> None:
    assert refusal(asked(invoiced(min_final_cltv=2014))).code == 206
    assert begun(invoiced(min_final_cltv=2013)).min_final_cltv == CltvDelta(2013)


@pytest.mark.parametrize(("text", "accepted"), [("coffee", True), ("tea", False), (None, True)])
def test_description_must_fit_its_hash(text: str | None, accepted: bool) -> None:
    request = asked(invoiced(), description=text)
    hashed = replace(request.invoice, description=None, description_hash=sha256(b"coffee"))
    request = replace(request, invoice=hashed)
    if accepted:
        made = requests.start(request, ctx=CTX, our_id=PAYER, created_index=1)
        assert made.description == text
    else:
        assert refusal(request).code == -32602


@pytest.mark.parametrize("status", [PENDING, COMPLETE])
def test_standing__the_earlier_outcome_counts(status: PaymentStatus) -> None:
    earlier = replace(begun(), status=status)
    assert requests.standing(replace(begun(), groupid=2), [earlier]) is earlier


def test_standing__a_failed_one_does_not() -> None:
    stranger = replace(begun(), payment_hash=PaymentHash(bytes(32)))
    assert requests.standing(begun(), [replace(begun(), status=FAILED), stranger]) is None


@pytest.mark.parametrize("change", [{"amount": MilliSatoshi(1)}, {"destination": STRANGER}])
def test_standing__hash_used_for_something_else(change: dict[str, object]) -> None:
    earlier = replace(begun(), **change)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="is being paid already") as refused:
        requests.standing(begun(), [earlier])
    assert refused.value.code == 201


# --- a try --------------------------------------------------------------------------------------


def hops(payment: Payment) -> outgoing.Hops:
    """Straight to the payee."""
    return outgoing.straight(payment, SCID, PAYER, CTX)


def test_direct__most_room() -> None:
    small, large = room(CHANNEL, 50_000), room(OTHER_CHANNEL, 60_000)
    assert outgoing.direct(begun(), [small, large]) == large


def test_direct__room_for_just_this() -> None:
    assert outgoing.direct(begun(), [room(spendable=50_000)]) == room(spendable=50_000)


def test_direct__not_tried_before_room() -> None:
    payment, _ = tried(channel_id=OTHER_CHANNEL)
    small, large = room(CHANNEL, 50_000), room(OTHER_CHANNEL, 60_000)
    assert outgoing.direct(payment, [small, large]) == small
    assert outgoing.direct(payment, [large]) == large


@pytest.mark.parametrize(
    "candidate",
    [
        outgoing.Candidate(CHANNEL, STRANGER, MilliSatoshi(10**9)),
        replace(room(), unusable="its peer is not connected"),
        room(spendable=49_999),
    ],
)
def test_direct__none(candidate: outgoing.Candidate) -> None:
    assert outgoing.direct(begun(), [candidate]) is None


@pytest.mark.parametrize(
    ("candidates", "code", "words"),
    [
        ([], 205, "no channel"),
        (
            [replace(room(), unusable="its peer is not connected")] * 2,
            205,
            "now: its peer is not connected.",
        ),
        ([room(spendable=49_999)], 215, "at most 49,999 msat at once now, and this needs 50,000"),
        ([room(spendable=30_000), room(OTHER_CHANNEL, 40_000)], 215, "at most 40,000 msat"),
    ],
)
def test_cannot_send(candidates: list[outgoing.Candidate], code: int, words: str) -> None:
    refused = outgoing.cannot_send(begun(), candidates)
    assert refused is not None
    assert refused.code == code
    assert words in refused.message


def test_cannot_send__a_stranger_may_know_the_way() -> None:
    stranger = outgoing.Candidate(CHANNEL, STRANGER, MilliSatoshi(50_000))
    assert outgoing.cannot_send(begun(), [stranger]) is None


def test_attempt__tells_the_payee_what_bolt_4_asks_for() -> None:
    invoice = asked(invoiced())
    request = replace(invoice, invoice=replace(invoice.invoice, metadata=b"meta"))
    payment = requests.start(request, ctx=CTX, our_id=PAYER, created_index=1)
    payment, offer = outgoing.attempt(payment, CHANNEL, hops(payment), SESSION, CTX)
    expiry = HEIGHT + CltvDelta(24 + 3)
    assert (offer.amount, offer.cltv_expiry) == (AMOUNT, expiry)
    htlc = arrived(offer)
    peeled = peel(OnionPacket.decode(offer.onion), shared_secret_of(htlc), offer.payment_hash)
    assert peeled.is_final
    final = as_final(decode_payload(peeled.payload))
    assert (final.amt_to_forward, final.total_msat) == (AMOUNT, AMOUNT)
    assert final.outgoing_cltv_value == expiry
    assert final.payment_secret == payment.payment_secret
    assert final.payment_metadata == b"meta"
    (part,) = payment.parts
    assert (part.partid, part.htlc_id, tuple(h.node_id for h in part.hops)) == (1, None, (PAYEE,))
    assert (part.amount, part.amount_sent, part.created_at) == (AMOUNT, AMOUNT, NOW)
    assert part.shared_secrets == (shared_secret_of(htlc),)
    assert payment.amount_sent == AMOUNT


@pytest.mark.parametrize("blocks", [0, 3])
def test_attempt__payee_has_seen_blocks_that_we_have_not(blocks: int) -> None:
    _, offer = tried()
    assert isinstance(answered(arrived(offer), invoiced(), later(blocks=blocks)), incoming.Fulfill)


def test_attempt__never_two_at_once() -> None:
    payment, _ = tried()
    with pytest.raises(InvariantBroken, match="under way"):
        outgoing.attempt(payment, CHANNEL, hops(payment), SESSION, CTX)


@pytest.mark.parametrize("status", [COMPLETE, FAILED])
def test_attempt__never_after_the_end(status: PaymentStatus) -> None:
    with pytest.raises(InvariantBroken):
        outgoing.attempt(replace(begun(), status=status), CHANNEL, hops(begun()), SESSION, CTX)


def test_attempt__metadata_too_long() -> None:
    with pytest.raises(Refused, match="too long for an onion"):
        payment = replace(begun(), payment_metadata=bytes(1_300))
        outgoing.attempt(payment, CHANNEL, hops(payment), SESSION, CTX)


def test_offered__once_and_for_all() -> None:
    payment, _ = tried()
    assert outgoing.offered(payment, 1, 7) == payment
    with pytest.raises(InvariantBroken):
        outgoing.offered(payment, 1, 8)
    with pytest.raises(InvariantBroken):
        outgoing.offered(payment, 2, 7)


# --- ends ---------------------------------------------------------------------------------------


def test_fulfilled__and_again() -> None:
    payment, _ = tried()
    done = outgoing.fulfilled(payment, CHANNEL, 7, PREIMAGE, NOW + 2)
    assert (done.status, done.preimage, done.completed_at) == (COMPLETE, PREIMAGE, NOW + 2)
    assert done.parts[0].status is COMPLETE
    assert (done.amount_sent, done.pending_parts) == (AMOUNT, ())
    assert outgoing.fulfilled(done, CHANNEL, 7, PREIMAGE, NOW + 9) == done
    late = outgoing.failed(done, CHANNEL, 7, Failed(b""), CTX)
    assert late == outgoing.Outcome(done, retry=False)


def test_fulfilled__not_ours() -> None:
    payment, _ = tried()
    assert outgoing.fulfilled(payment, OTHER_CHANNEL, 7, PREIMAGE, NOW) == payment
    with pytest.raises(InvariantBroken):
        outgoing.fulfilled(payment, CHANNEL, 7, Preimage(bytes(32)), NOW)


def test_round_trip__refused_by_the_payee() -> None:
    payment, offer = tried()
    answer = answered(arrived(offer), None)
    assert isinstance(answer, incoming.Fail)
    outcome = outgoing.failed(payment, CHANNEL, 7, Failed(answer.reason), later(seconds=1))
    assert not outcome.retry
    assert (outcome.payment.status, outcome.payment.failure_code) == (FAILED, 203)
    assert outcome.payment.completed_at == NOW + 1
    assert str(outcome.payment.failure).startswith("The money came back to you.")
    assert outcome.payment.amount_sent == MilliSatoshi(0)
    again = outgoing.failed(outcome.payment, CHANNEL, 7, Failed(answer.reason), CTX)
    assert again == outgoing.Outcome(outcome.payment, retry=False)


def test_failed__gives_up_after_three_tries() -> None:
    payment = begun()
    for number in (1, 2, 3):
        payment, offer = tried(payment, htlc_id=number)
        assert payment.parts[-1].partid == number
        reason = create_failure(shared_secret_of(arrived(offer)), TemporaryNodeFailure())
        outcome = outgoing.failed(payment, CHANNEL, number, Failed(reason), CTX)
        assert outcome.retry is (number < 3)
        payment = outcome.payment
    assert (payment.status, payment.failure_code) == (FAILED, 210)
    assert str(payment.failure).startswith("Gave up after 3 tries. The money came back to you.")
    assert [part.status for part in payment.parts] == [FAILED] * 3


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (b"", "local_failure"),
        (b"junk", "unreadable_failure"),
        (wrap(bytes(32), bytes(292)), "unreadable_failure"),
    ],
)
def test_failed__nobody_to_blame(reason: bytes, name: str) -> None:
    payment, _ = tried()
    outcome = outgoing.failed(payment, CHANNEL, 7, Failed(reason), CTX)
    failure = outcome.payment.parts[0].failure
    assert outcome.retry
    assert failure is not None
    assert (failure.code, failure.name, failure.hop) == (0, name, None)


@settings(max_examples=80)
@given(st.binary(max_size=400))
def test_failed__any_reason_is_read(reason: bytes) -> None:
    payment, _ = tried()
    assert outgoing.failed(payment, CHANNEL, 7, Failed(reason), CTX).retry


@settings(max_examples=80)
@given(st.integers(0, 0xFFFF), st.binary(min_size=32, max_size=32))
def test_failed__any_malformed_is_read(code: int, digest: bytes) -> None:
    payment, _ = tried()
    outcome = outgoing.failed(payment, CHANNEL, 7, Malformed(digest, code), CTX)
    failure = outcome.payment.parts[0].failure
    assert failure is not None
    assert (failure.code, failure.hop) == (code, 0)
    # BOLT 4: from the final node, if the PERM bit is set: SHOULD fail the payment.
    assert outcome.retry is not bool(code & 0x4000)


def test_gave_up__at_once() -> None:
    over = outgoing.gave_up(begun(), Refused("No way.", 205), NOW)
    assert (over.status, over.failure_code, over.failure) == (FAILED, 205, "No way.")
    assert outgoing.gave_up(over, Refused("Other.", 1), NOW + 1) == over


def test_gave_up__after_a_try() -> None:
    payment, _ = tried()
    payment = outgoing.failed(payment, CHANNEL, 7, Failed(b"junk"), CTX).payment
    over = outgoing.gave_up(payment, Refused("No channel left.", 205), NOW)
    assert over.failure_code == 210
    assert str(over.failure).startswith("No other way is left after one try. The money came back")
    over = outgoing.gave_up(payment, Refused("Too dear.", 206), NOW)
    assert over.failure_code == 206
    assert str(over.failure).startswith("Too dear. Before that: The money came back")


def test_gave_up__with_the_part_that_was_not_added() -> None:
    payment, _ = outgoing.attempt(begun(), CHANNEL, hops(begun()), SESSION, CTX)
    over = outgoing.gave_up(payment, Refused("The channel is full.", 215), NOW)
    assert (over.status, over.parts[0].status) == (FAILED, FAILED)
    assert over.amount_sent == MilliSatoshi(0)


def test_gave_up__never_while_an_htlc_is_out() -> None:
    payment, _ = tried()
    with pytest.raises(InvariantBroken, match="still has an HTLC"):
        outgoing.gave_up(payment, Refused("No.", 205), NOW)


def test_not_offered__another_channel_comes_first() -> None:
    payment, _ = outgoing.attempt(begun(), CHANNEL, hops(begun()), SESSION, CTX)
    payment = outgoing.not_offered(payment, 1, Refused("The channel is full.", 215), NOW)
    assert payment.status is PENDING
    assert payment.parts[0].status is FAILED
    assert outgoing.direct(payment, [room(), room(OTHER_CHANNEL, 50_000)]) == room(
        OTHER_CHANNEL, 50_000
    )


def test_records_are_stored_and_read_back() -> None:
    payment, _ = tried()
    payment = outgoing.failed(payment, CHANNEL, 7, Failed(b"junk"), CTX).payment
    payment = outgoing.fulfilled(tried(payment, htlc_id=8)[0], CHANNEL, 8, PREIMAGE, NOW)
    assert from_json(Payment, to_json(payment)) == payment
    invoice = answered(arrived(tried()[1]), invoiced())
    assert isinstance(invoice, incoming.Fulfill)
    assert from_json(InvoiceRecord, to_json(invoice.invoice)) == invoice.invoice
