"""Every failure code of BOLT 4: one test that yields it, one that acts on it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.payment_ends import (
    AMOUNT,
    CHANNEL,
    CTX,
    EXPIRY,
    HEIGHT,
    PAYEE,
    SCID,
    STRANGER,
    answered,
    arrived,
    final_payload,
    invoiced,
    later,
    sent,
    shared_secret_of,
    spoiled,
    tried,
)
from wallet.base.crypto.hashes import sha256
from wallet.base.onion.payload import ForwardPayload, Payload
from wallet.base.onion.returns import Returned, create_failure, unwrap
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta, CltvExpiry
from wallet.base.wire import failures as f
from wallet.machines.channel.htlc import Failed, Malformed
from wallet.machines.payments.forwarding import OutgoingView, Policy, Standing, verdict
from wallet.machines.payments.incoming import Answer, Fail, FailMalformed, Hold
from wallet.machines.payments.outgoing import failed
from wallet.machines.payments.parts import timed_out
from wallet.machines.payments.records import PaymentStatus

PAID = f.IncorrectOrUnknownPaymentDetails
FORWARD = ForwardPayload(AMOUNT, EXPIRY, SCID)
HTLC = replace(
    sent(final_payload()), amount=MilliSatoshi(52_000), cltv_expiry=HEIGHT + CltvDelta(67)
)
POLICY = Policy(
    MilliSatoshi(1_000), 20_000, CltvDelta(40), MilliSatoshi(1_000), MilliSatoshi(900_000)
)
VIEW = OutgoingView(POLICY, MilliSatoshi(800_000))
HASH = sha256(sent(final_payload()).onion)


def _forwarding(
    outgoing: OutgoingView | None = VIEW,
    *,
    forward: ForwardPayload = FORWARD,
    amount: MilliSatoshi = HTLC.amount,
    expiry: CltvExpiry = HTLC.cltv_expiry,
    standing: Standing = Standing.WELL,
) -> f.Failure | None:
    htlc = replace(HTLC, amount=amount, cltv_expiry=expiry)
    return verdict(forward, htlc, outgoing, CTX, standing)


def _failure(answer: Answer) -> f.Failure:
    if isinstance(answer, FailMalformed):
        return f.bad_onion(answer.failure_code, answer.sha256_of_onion)
    assert isinstance(answer, Fail)
    return answer.failure


def _final(payload: Payload | bytes, amount: MilliSatoshi = AMOUNT) -> f.Failure:
    return _failure(answered(sent(payload, amount=amount), invoiced()))


def _waited_in_vain(part: Payload) -> f.Failure:
    htlc = sent(part)
    held = answered(htlc, invoiced())
    assert isinstance(held, Hold)
    (removal,) = timed_out(held.held)
    returned = unwrap([shared_secret_of(htlc)], removal.reason)
    assert isinstance(returned, Returned)
    return returned.failure


def _policy(**changes: object) -> OutgoingView:
    return replace(VIEW, policy=replace(POLICY, **changes))  # type: ignore[arg-type]


NEAR = CltvExpiry(HEIGHT.height + 2)
FAR = CltvExpiry(HEIGHT.height + 2017)

# (what happens, what is answered), in BOLT 4's order.
YIELDS: list[tuple[Callable[[], f.Failure | None], f.Failure]] = [
    (lambda: _forwarding(standing=Standing.CATCHING_UP), f.TemporaryNodeFailure()),
    (lambda: _forwarding(standing=Standing.LEAVING), f.PermanentNodeFailure()),
    (
        lambda: _forwarding(replace(VIEW, node_feature_missing=True)),
        f.RequiredNodeFeatureMissing(),
    ),
    (
        lambda: _failure(answered(spoiled(sent(final_payload()), 0, 1), invoiced())),
        f.InvalidOnionVersion(sha256(spoiled(sent(final_payload()), 0, 1).onion)),
    ),
    (
        lambda: _failure(answered(spoiled(sent(final_payload()), 700, 1), invoiced())),
        f.InvalidOnionHmac(sha256(spoiled(sent(final_payload()), 700, 1).onion)),
    ),
    (
        lambda: _failure(answered(spoiled(sent(final_payload()), 1, 9), invoiced())),
        f.InvalidOnionKey(sha256(spoiled(sent(final_payload()), 1, 9).onion)),
    ),
    (
        lambda: _forwarding(replace(VIEW, spendable=MilliSatoshi(49_999))),
        f.TemporaryChannelFailure(),
    ),
    (lambda: _forwarding(replace(VIEW, closed=True)), f.PermanentChannelFailure()),
    (
        lambda: _forwarding(replace(VIEW, channel_feature_missing=True)),
        f.RequiredChannelFeatureMissing(),
    ),
    (lambda: _forwarding(None), f.UnknownNextPeer()),
    (
        lambda: _forwarding(_policy(htlc_minimum=MilliSatoshi(50_001))),
        f.AmountBelowMinimum(AMOUNT),
    ),
    (
        lambda: _forwarding(amount=MilliSatoshi(51_999)),
        f.FeeInsufficient(MilliSatoshi(51_999)),
    ),
    (
        lambda: _forwarding(expiry=HEIGHT + CltvDelta(66)),
        f.IncorrectCltvExpiry(EXPIRY),
    ),
    (
        lambda: _forwarding(forward=replace(FORWARD, outgoing_cltv_value=NEAR)),
        f.ExpiryTooSoon(),
    ),
    (
        lambda: _failure(answered(sent(final_payload()), None)),
        PAID(AMOUNT, HEIGHT),
    ),
    (
        lambda: _final(final_payload(expiry=HEIGHT + CltvDelta(28))),
        f.FinalIncorrectCltvExpiry(EXPIRY),
    ),
    (
        lambda: _final(final_payload(), amount=MilliSatoshi(49_999)),
        f.FinalIncorrectHtlcAmount(MilliSatoshi(49_999)),
    ),
    (lambda: _forwarding(_policy(disabled=True)), f.ChannelDisabled()),
    (lambda: _forwarding(expiry=FAR), f.ExpiryTooFar()),
    (
        lambda: _final(replace(final_payload(), amt_to_forward=None)),
        f.InvalidOnionPayload(2, 0),
    ),
    (
        lambda: _waited_in_vain(final_payload(MilliSatoshi(25_000), AMOUNT)),
        f.MppTimeout(),
    ),
    (
        lambda: _failure(answered(replace(sent(final_payload()), path_key=STRANGER), invoiced())),
        f.InvalidOnionBlinding(HASH),
    ),
]


def test_every_code_has_a_test_that_yields_it() -> None:
    assert [type(expected) for _, expected in YIELDS] == list(f.FAILURES)
    assert len(YIELDS) == 22
    print(f"failure codes yielded: {len(YIELDS)}/{len(f.FAILURES)}")


@pytest.mark.parametrize(("happens", "expected"), YIELDS, ids=[e.name for _, e in YIELDS])
def test_yields(happens: Callable[[], f.Failure | None], expected: f.Failure) -> None:
    assert happens() == expected


# From the payee, as everything is that a direct payment gets back: whether to try again, Core
# Lightning's code when it is over, and what the sentence must say.
ACTS: list[tuple[f.Failure, bool, int | None, str]] = [
    (f.TemporaryNodeFailure(), True, None, "just now"),
    (f.PermanentNodeFailure(), False, 203, "no payments any more"),
    (f.RequiredNodeFeatureMissing(), False, 203, "requires a feature"),
    (f.InvalidOnionVersion(HASH), False, 203, "Ask the payee for an invoice"),
    (f.InvalidOnionHmac(HASH), False, 203, "altered"),
    (f.InvalidOnionKey(HASH), False, 203, "the key in our packet"),
    (f.TemporaryChannelFailure(), True, None, "this amount just now"),
    (f.PermanentChannelFailure(), False, 203, "closed"),
    (f.RequiredChannelFeatureMissing(), False, 203, "requires a feature"),
    (f.UnknownNextPeer(), False, 203, "next node"),
    (f.AmountBelowMinimum(AMOUNT), False, 203, "Pay more at once"),
    (f.FeeInsufficient(AMOUNT), True, None, "higher fee than we knew of"),
    (f.IncorrectCltvExpiry(EXPIRY), True, None, "more blocks"),
    (f.ExpiryTooSoon(), True, None, "too near"),
    (PAID(AMOUNT, HEIGHT), False, 203, "Ask the payee for a new invoice"),
    (f.FinalIncorrectCltvExpiry(EXPIRY), True, None, "earlier expiry"),
    (f.FinalIncorrectHtlcAmount(AMOUNT), True, None, "smaller amount"),
    (f.ChannelDisabled(), True, None, "switched off"),
    (f.ExpiryTooFar(), False, 203, "as many blocks"),
    (f.InvalidOnionPayload(2, 0), False, 203, "could not use"),
    (f.MppTimeout(), True, None, "more parts"),
    (f.InvalidOnionBlinding(HASH), False, 203, "hidden route"),
]


def test_every_code_has_a_test_that_acts_on_it() -> None:
    assert [type(failure) for failure, *_ in ACTS] == list(f.FAILURES)
    assert len(ACTS) == 22
    print(f"failure codes acted on: {len(ACTS)}/{len(f.FAILURES)}")


@pytest.mark.parametrize(
    ("failure", "retry", "rpc_code", "words"), ACTS, ids=[row[0].name for row in ACTS]
)
def test_acts_on(failure: f.Failure, retry: bool, rpc_code: int | None, words: str) -> None:
    payment, offer = tried()
    removal: Failed | Malformed
    if failure.is_bad_onion:
        removal = Malformed(HASH, failure.code)
    else:
        removal = Failed(create_failure(shared_secret_of(arrived(offer)), failure))
    outcome = failed(payment, CHANNEL, 7, removal, later(seconds=3))
    assert outcome.retry is retry
    (part,) = outcome.payment.parts
    assert part.status is PaymentStatus.FAILED
    assert part.completed_at == CTX.now + 3
    reported = part.failure
    assert reported is not None
    assert (reported.code, reported.name, reported.hop) == (failure.code, failure.name, 0)
    assert reported.final is not retry
    assert reported.sentence.startswith("The money came back to you. The payee's node ")
    assert words in reported.sentence
    assert outcome.payment.failure_code == rpc_code
    if retry:
        assert outcome.payment.status is PaymentStatus.PENDING
        assert outcome.payment.failure is None
    else:
        assert outcome.payment.status is PaymentStatus.FAILED
        assert outcome.payment.failure == reported.sentence


def test_the_payee_is_ahead_of_us() -> None:
    payment, offer = tried()
    ahead = PAID(AMOUNT, BlockHeight(HEIGHT.height + 9))
    reason = create_failure(shared_secret_of(arrived(offer)), ahead)
    outcome = failed(payment, CHANNEL, 7, Failed(reason), CTX)
    assert "9 blocks ahead of your node" in str(outcome.payment.failure)
    assert payment.destination == PAYEE
