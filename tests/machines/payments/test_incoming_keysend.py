"""wallet/machines/payments/keysend.py: payments that nobody asked for."""

from dataclasses import replace

import pytest

from tests.support.payment_ends import (
    AMOUNT,
    CHANNEL,
    CTX,
    EXPIRY,
    HEIGHT,
    NOW,
    PREIMAGE,
    answered,
    final_payload,
    invoiced,
    sent,
)
from wallet.base.onion.payload import Payload
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta, CltvExpiry
from wallet.base.values.ids import Preimage
from wallet.base.wire.failures import (
    Failure,
    FinalIncorrectCltvExpiry,
    FinalIncorrectHtlcAmount,
    IncorrectOrUnknownPaymentDetails,
)
from wallet.machines.payments.incoming import Fail, Keysend, paid
from wallet.machines.payments.records import InvoiceRecord, InvoiceStatus

UNKNOWN = IncorrectOrUnknownPaymentDetails(AMOUNT, HEIGHT)
PLAIN = Payload(amt_to_forward=AMOUNT, outgoing_cltv_value=EXPIRY, keysend_preimage=PREIMAGE)


def failure_of(
    payload: Payload,
    invoice: InvoiceRecord | None = None,
    *,
    amount: MilliSatoshi = AMOUNT,
    expiry: CltvExpiry = EXPIRY,
) -> Failure | None:
    """Why a keysend is given back; None: it is taken."""
    answer = answered(sent(payload, amount=amount, expiry=expiry), invoice)
    if isinstance(answer, Keysend):
        return None
    assert isinstance(answer, Fail)
    return answer.failure


def test_taken__pays_an_invoice_that_is_made_for_it() -> None:
    answer = answered(sent(PLAIN), None)
    assert isinstance(answer, Keysend)
    assert (answer.preimage, answer.description) == (PREIMAGE, "keysend")
    made = paid(invoiced(None), (answer.part,), CTX, 5)
    assert (made.status, made.pay_index, made.paid_at) == (InvoiceStatus.PAID, 5, NOW)
    assert [(p.channel_id, p.htlc_id, p.amount) for p in made.parts] == [(CHANNEL, 7, AMOUNT)]


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (b"hello", "keysend: hello"),
        ("grüezi".encode(), "keysend: grüezi"),
        (b"\xff\xfe", "keysend"),
        (b"", "keysend"),
    ],
)
def test_a_text_is_kept(text: bytes, description: str) -> None:
    answer = answered(sent(replace(PLAIN, unknown=((7_629_169, text),))), None)
    assert isinstance(answer, Keysend)
    assert answer.description == description


def test_a_long_text_is_cut_to_what_an_invoice_holds() -> None:
    answer = answered(sent(replace(PLAIN, unknown=((7_629_169, b"x" * 700),))), None)
    assert isinstance(answer, Keysend)
    assert len(answer.description) == 609


@pytest.mark.parametrize("with_secret", [False, True])
def test_a_single_part_may_name_its_total(with_secret: bool) -> None:
    data = final_payload().payment_data if with_secret else None
    assert failure_of(replace(PLAIN, payment_data=data)) is None


def test_refused__one_of_many_parts() -> None:
    data = final_payload(MilliSatoshi(25_000), AMOUNT).payment_data
    part = replace(PLAIN, payment_data=data, amt_to_forward=MilliSatoshi(25_000))
    assert failure_of(part) == UNKNOWN


def test_refused__preimage_of_another_hash() -> None:
    assert failure_of(replace(PLAIN, keysend_preimage=Preimage(bytes(32)))) == UNKNOWN


def test_refused__an_invoice_has_that_hash() -> None:
    assert failure_of(PLAIN, invoiced()) == UNKNOWN


@pytest.mark.parametrize(("blocks", "failure"), [(18, None), (17, UNKNOWN)])
def test_expiry__enough_for_a_claim(blocks: int, failure: Failure | None) -> None:
    expiry = HEIGHT + CltvDelta(blocks)
    assert failure_of(replace(PLAIN, outgoing_cltv_value=expiry), expiry=expiry) == failure


def test_refused__less_than_the_onion_says() -> None:
    less = MilliSatoshi(49_999)
    assert failure_of(PLAIN, amount=less) == FinalIncorrectHtlcAmount(less)
    sooner = HEIGHT + CltvDelta(20)
    assert failure_of(PLAIN, expiry=sooner) == FinalIncorrectCltvExpiry(sooner)
