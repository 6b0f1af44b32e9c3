"""An HTLC that would burn as fee with too many others is given back, whoever it is for (BOLT 2)."""

from dataclasses import replace

from tests.support.payment_ends import (
    PAYER,
    answered,
    arrived,
    final_payload,
    invoiced,
    sent,
    tried,
)
from wallet.base.onion.payload import Payload
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.failures import TemporaryChannelFailure
from wallet.machines.payments import incoming


def test_for_us__gives_no_preimage_away() -> None:
    _, offer = tried()
    htlc = arrived(offer)
    assert isinstance(answered(htlc, invoiced()), incoming.Fulfill)
    given_back = answered(replace(htlc, too_much_dust=True), invoiced())
    assert isinstance(given_back, incoming.Fail)
    assert given_back.failure == TemporaryChannelFailure()


def test_for_us__once_paid_it_stays_paid() -> None:
    """A start asks again about an HTLC whose answer is on disk; other dust may have come since."""
    _, offer = tried()
    htlc = arrived(offer)
    first = answered(htlc, invoiced())
    assert isinstance(first, incoming.Fulfill)
    again = answered(replace(htlc, too_much_dust=True), first.invoice)
    assert isinstance(again, incoming.Fulfill)
    assert again.preimage == first.preimage


def test_for_another__does_not_go_on() -> None:
    to_next = Payload(
        amt_to_forward=final_payload().amt_to_forward,
        outgoing_cltv_value=final_payload().outgoing_cltv_value,
        short_channel_id=ShortChannelId(1, 2, 3),
    )
    htlc = sent(to_next, behind=PAYER)
    assert isinstance(answered(htlc, None), incoming.Forward)
    given_back = answered(replace(htlc, too_much_dust=True), None)
    assert isinstance(given_back, incoming.Fail)
    assert given_back.failure == TemporaryChannelFailure()
