"""wallet/machines/payments/forwarding.py: the order of the rules, and their edges."""

from dataclasses import replace

import pytest

from tests.support.payment_ends import AMOUNT, CTX, EXPIRY, HEIGHT, SCID, final_payload, sent
from wallet.base.onion.payload import ForwardPayload
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta, CltvExpiry
from wallet.base.wire.failures import (
    ExpiryTooSoon,
    Failure,
    PermanentChannelFailure,
    RequiredNodeFeatureMissing,
    TemporaryChannelFailure,
)
from wallet.machines.payments.forwarding import OutgoingView, Policy, verdict

FORWARD = ForwardPayload(AMOUNT, EXPIRY, SCID)
POLICY = Policy(MilliSatoshi(1_000), 20_000, CltvDelta(34), AMOUNT, AMOUNT)
VIEW = OutgoingView(POLICY, AMOUNT)
HTLC = replace(
    sent(final_payload()), amount=MilliSatoshi(52_000), cltv_expiry=HEIGHT + CltvDelta(61)
)


def test_passes__exactly_at_every_limit() -> None:
    assert verdict(FORWARD, HTLC, VIEW, CTX) is None
    furthest = replace(HTLC, cltv_expiry=HEIGHT + CltvDelta(2016))
    assert verdict(FORWARD, furthest, VIEW, CTX) is None


@pytest.mark.parametrize(
    ("amount", "fee"), [(0, 1_000), (49, 1_000), (50, 1_001), (50_000, 2_000), (10**12, 2 * 10**10)]
)
def test_fee_rounds_down(amount: int, fee: int) -> None:
    policy = replace(POLICY, fee_base=MilliSatoshi(0 if amount == 10**12 else 1_000))
    assert policy.fee(MilliSatoshi(amount)) == MilliSatoshi(fee)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (replace(VIEW, peer_connected=False), TemporaryChannelFailure()),
        (
            replace(VIEW, policy=replace(POLICY, htlc_maximum=MilliSatoshi(49_999))),
            TemporaryChannelFailure(),
        ),
        (replace(VIEW, closed=True, peer_connected=False), PermanentChannelFailure()),
        (replace(VIEW, closed=True, node_feature_missing=True), RequiredNodeFeatureMissing()),
    ],
)
def test_first_rule_that_applies_is_answered(view: OutgoingView, expected: Failure) -> None:
    assert verdict(FORWARD, HTLC, view, CTX) == expected


@pytest.mark.parametrize(
    ("outgoing", "incoming", "passes"), [(3, 18, True), (2, 18, False), (3, 17, False)]
)
def test_expiry_too_soon__on_either_side(outgoing: int, incoming: int, passes: bool) -> None:
    # With a policy that asks for few blocks, the safety of a claim on chain still holds.
    view = replace(VIEW, policy=replace(POLICY, cltv_expiry_delta=CltvDelta(1)))
    forward = replace(FORWARD, outgoing_cltv_value=CltvExpiry(HEIGHT.height + outgoing))
    htlc = replace(HTLC, cltv_expiry=CltvExpiry(HEIGHT.height + incoming))
    assert verdict(forward, htlc, view, CTX) == (None if passes else ExpiryTooSoon())
