"""An HTLC that is no money is given back, whoever it is for.

One that would burn as fee with too many others (BOLT 2), or whose channel has lost its funding.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

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


def too_much_dust(htlc: incoming.IncomingHtlc) -> incoming.IncomingHtlc:
    return replace(htlc, too_much_dust=True)


def funding_lost(htlc: incoming.IncomingHtlc) -> incoming.IncomingHtlc:
    return replace(htlc, funding_lost=True)


Why = Callable[[incoming.IncomingHtlc], incoming.IncomingHtlc]
UNSAFE = pytest.mark.parametrize("why", [too_much_dust, funding_lost])


@UNSAFE
def test_for_us__gives_no_preimage_away(why: Why) -> None:
    _, offer = tried()
    htlc = arrived(offer)
    assert isinstance(answered(htlc, invoiced()), incoming.Fulfill)
    given_back = answered(why(htlc), invoiced())
    assert isinstance(given_back, incoming.Fail)
    assert given_back.failure == TemporaryChannelFailure()


@UNSAFE
def test_for_us__once_paid_it_stays_paid(why: Why) -> None:
    """A start asks again about an HTLC whose answer is on disk; other dust may have come since."""
    _, offer = tried()
    htlc = arrived(offer)
    first = answered(htlc, invoiced())
    assert isinstance(first, incoming.Fulfill)
    again = answered(why(htlc), first.invoice)
    assert isinstance(again, incoming.Fulfill)
    assert again.preimage == first.preimage


@UNSAFE
def test_for_another__does_not_go_on(why: Why) -> None:
    to_next = Payload(
        amt_to_forward=final_payload().amt_to_forward,
        outgoing_cltv_value=final_payload().outgoing_cltv_value,
        short_channel_id=ShortChannelId(1, 2, 3),
    )
    htlc = sent(to_next, behind=PAYER)
    assert isinstance(answered(htlc, None), incoming.Forward)
    given_back = answered(why(htlc), None)
    assert isinstance(given_back, incoming.Fail)
    assert given_back.failure == TemporaryChannelFailure()
