"""wallet/machines/payments/parts.py: a payment in parts is taken whole or not at all (BOLT 4)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payment_ends import (
    AMOUNT,
    CHANNEL,
    CTX,
    HEIGHT,
    NOW,
    OTHER_CHANNEL,
    PREIMAGE,
    answered,
    final_payload,
    invoiced,
    later,
    sent,
    shared_secret_of,
)
from wallet.base.onion.returns import Returned, unwrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import ChannelId
from wallet.base.wire.failures import Failure, IncorrectOrUnknownPaymentDetails, MppTimeout
from wallet.machines.payments import parts
from wallet.machines.payments.incoming import (
    Answer,
    Fail,
    FailSet,
    Fulfill,
    Hold,
    IncomingHtlc,
)
from wallet.machines.payments.parts import HeldSet, Removal
from wallet.machines.payments.records import InvoiceStatus
from wallet.machines.step import Context


def part(
    msat: int,
    number: int,
    channel_id: ChannelId = CHANNEL,
    *,
    total: int = AMOUNT.msat,
    secret: bytes | None = None,
    blocks: int = 27,
    carries: int | None = None,
) -> IncomingHtlc:
    """HTLC `number` with `msat` of a payment of `total`."""
    expiry = HEIGHT + CltvDelta(blocks)
    payload = final_payload(MilliSatoshi(msat), MilliSatoshi(total), expiry)
    if secret is not None:
        payload = final_payload(MilliSatoshi(msat), MilliSatoshi(total), expiry, secret)
    htlc = sent(payload, amount=MilliSatoshi(carries or msat), expiry=expiry)
    return replace(htlc, id=number, channel_id=channel_id)


def held_after(*htlcs: IncomingHtlc, ctx: Context = CTX) -> HeldSet:
    """The set after parts that were not the whole."""
    held: HeldSet | None = None
    for htlc in htlcs:
        answer = answered(htlc, invoiced(), ctx, held)
        assert isinstance(answer, Hold), answer
        held = answer.held
    assert held is not None
    return held


def said_to(htlc: IncomingHtlc, removals: tuple[Removal, ...]) -> Failure:
    """What the origin of an HTLC reads."""
    (removal,) = [r for r in removals if (r.channel_id, r.htlc_id) == (htlc.channel_id, htlc.id)]
    returned = unwrap([shared_secret_of(htlc)], removal.reason)
    assert isinstance(returned, Returned)
    return returned.failure


def test_the_last_part_fulfils_all_of_them() -> None:
    held = held_after(part(20_000, 1), part(20_000, 2, OTHER_CHANNEL))
    answer = answered(part(10_000, 1, OTHER_CHANNEL), invoiced(), later(seconds=59), held)
    assert isinstance(answer, Fulfill)
    assert answer.preimage == PREIMAGE
    assert answer.htlcs == ((CHANNEL, 1), (OTHER_CHANNEL, 2), (OTHER_CHANNEL, 1))
    invoice = answer.invoice
    assert (invoice.status, invoice.pay_index, invoice.paid_at) == (
        InvoiceStatus.PAID,
        5,
        NOW + 59,
    )
    assert [(p.channel_id, p.htlc_id, p.amount.msat, p.received_at) for p in invoice.parts] == [
        (CHANNEL, 1, 20_000, NOW),
        (OTHER_CHANNEL, 2, 20_000, NOW),
        (OTHER_CHANNEL, 1, 10_000, NOW + 59),
    ]
    assert invoice.amount_received == AMOUNT


def test_what_counts_is_what_the_origin_meant_to_arrive() -> None:
    """BOLT 4 adds up `amt_to_forward`; what an HTLC carries beyond it is kept."""
    held = held_after(part(30_000, 1, carries=49_000))
    answer = answered(part(20_000, 2), invoiced(), CTX, held)
    assert isinstance(answer, Fulfill)
    assert answer.invoice.amount_received == MilliSatoshi(69_000)


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=12))
def test_no_part_is_fulfilled_before_the_whole_is_there(amounts: list[int]) -> None:
    held: HeldSet | None = None
    arrived = 0
    for number, msat in enumerate(amounts):
        answer = answered(part(msat, number), invoiced(), CTX, held)
        arrived += msat
        if arrived >= AMOUNT.msat:
            assert isinstance(answer, Fulfill)
            assert len(answer.htlcs) == number + 1
            return
        assert isinstance(answer, Hold)
        held = answer.held
        assert len(held.parts) == number + 1


def test_a_part_that_is_told_again_counts_once() -> None:
    held = held_after(part(20_000, 1), part(20_000, 1), part(20_000, 1))
    assert len(held.parts) == 1


@pytest.mark.parametrize("total", [50_001, 100_000])
def test_another_whole_fails_the_set(total: int) -> None:
    """BOLT 4: SHOULD fail the entire HTLC set if `total_msat` is not the same for all HTLCs."""
    first, second = part(20_000, 1), part(30_000, 2, total=total)
    answer = answered(second, invoiced(), CTX, held_after(first))
    assert isinstance(answer, FailSet)
    for htlc in (first, second):
        expected = IncorrectOrUnknownPaymentDetails(htlc.amount, HEIGHT)
        assert said_to(htlc, answer.removals) == expected


@pytest.mark.parametrize(
    "stranger",
    [
        part(30_000, 2, secret=bytes(32)),
        part(30_000, 2, total=49_999),
        part(30_000, 2, total=100_001),
        part(30_000, 2, blocks=20),
    ],
    ids=["payment_secret", "too little", "too much", "expiry"],
)
def test_what_is_no_part_is_failed_alone(stranger: IncomingHtlc) -> None:
    """Else a node on the way, who knows the hash, could end the payments of others."""
    held = held_after(part(20_000, 1))
    answer = answered(stranger, invoiced(), CTX, held)
    assert isinstance(answer, Fail)
    assert answer.failure == IncorrectOrUnknownPaymentDetails(MilliSatoshi(30_000), HEIGHT)


def test_a_part_after_the_whole_is_failed_and_its_own_are_fulfilled_again() -> None:
    first, last = part(20_000, 1), part(30_000, 2)
    whole = answered(last, invoiced(), CTX, held_after(first))
    assert isinstance(whole, Fulfill)
    assert isinstance(answered(part(30_000, 3), whole.invoice), Fail)
    for htlc in (first, last):
        again = answered(htlc, whole.invoice, later(seconds=100_000, blocks=26))
        assert again == Fulfill(PREIMAGE, whole.invoice, ((CHANNEL, htlc.id),))


# --- the end of waiting -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "blocks", "over"),
    [(0, 0, False), (60, 0, False), (61, 0, True), (0, 6, False), (0, 7, True)],
)
def test_a_set_waits_a_minute_and_not_into_the_last_blocks(
    seconds: int, blocks: int, over: bool
) -> None:
    held = held_after(part(20_000, 1, blocks=60), part(20_000, 2, blocks=24))
    ctx = later(seconds=seconds, blocks=blocks)
    assert held.is_over(ctx) is over
    last = part(10_000, 3, blocks=60)
    answer: Answer = answered(last, invoiced(), ctx, held)
    assert isinstance(answer, FailSet if over else Fulfill)
    if isinstance(answer, FailSet):
        assert said_to(last, answer.removals) == MppTimeout()
        assert len(answer.removals) == 3


def test_in_vain__every_part_says_mpp_timeout() -> None:
    htlcs = [part(20_000, 1), part(10_000, 1, OTHER_CHANNEL)]
    removals = parts.timed_out(held_after(*htlcs))
    assert [said_to(htlc, removals) for htlc in htlcs] == [MppTimeout(), MppTimeout()]


def test_crumbs_without_end_go_back() -> None:
    crumb = held_after(part(1, 0))
    full = replace(crumb, parts=tuple(replace(crumb.parts[0], htlc_id=n) for n in range(499)))
    last = answered(part(1, 1_000), invoiced(), CTX, full)
    assert isinstance(last, Hold)
    answer = answered(part(1, 1_001), invoiced(), CTX, last.held)
    assert isinstance(answer, FailSet)
    assert len(answer.removals) == 501
    assert said_to(part(1, 1_001), answer.removals) == MppTimeout()


def test_the_minute_begins_with_the_first_part() -> None:
    first = held_after(part(10_000, 1))
    answer = answered(part(10_000, 2), invoiced(), later(seconds=50), first)
    assert isinstance(answer, Hold)
    assert (answer.held.begun_at, answer.held.parts[1].received_at) == (NOW, NOW + 50)
