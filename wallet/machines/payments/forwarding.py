"""Whether an HTLC may be passed on (BOLT 4, "A forwarding node").

`RULES` is the BOLT's list in the BOLT's order: when more than one stands in the way, the first is
answered.  A failure never carries a `channel_update`: applying one would show who made the payment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from wallet.base.onion.payload import ForwardPayload
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta
from wallet.base.wire.failures import (
    AmountBelowMinimum,
    ChannelDisabled,
    ExpiryTooFar,
    ExpiryTooSoon,
    Failure,
    FeeInsufficient,
    IncorrectCltvExpiry,
    PermanentChannelFailure,
    PermanentNodeFailure,
    RequiredChannelFeatureMissing,
    RequiredNodeFeatureMissing,
    TemporaryChannelFailure,
    TemporaryNodeFailure,
    UnknownNextPeer,
)
from wallet.machines.channel.state import Channel
from wallet.machines.payments.incoming import MAX_HTLC_CLTV, IncomingHtlc
from wallet.machines.payments.parts import CLAIM_BLOCKS
from wallet.machines.step import Context

OFFER_BLOCKS: Final = CltvDelta(3)
"""An HTLC of ours that ends sooner could be late before the peer has answered it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What we ask of payments through a channel (BOLT 7 `channel_update`)."""

    fee_base: MilliSatoshi
    fee_proportional_millionths: int
    cltv_expiry_delta: CltvDelta
    htlc_minimum: MilliSatoshi
    htlc_maximum: MilliSatoshi
    disabled: bool = False

    def fee(self, amount: MilliSatoshi) -> MilliSatoshi:
        """BOLT 7: what passing on `amount` costs, rounded down."""
        share = amount.msat * self.fee_proportional_millionths // 1_000_000
        return self.fee_base + MilliSatoshi(share)


@dataclass(frozen=True, slots=True)
class TermsChange:
    """Other terms that a person asks for; None leaves one as it is."""

    fee_base: MilliSatoshi | None = None
    fee_proportional_millionths: int | None = None
    htlc_minimum: MilliSatoshi | None = None
    htlc_maximum: MilliSatoshi | None = None


def policy_of(channel: Channel) -> Policy:
    """What we ask of payments that leave by a channel: what its `channel_update` says."""
    relay, peer, most = channel.relay, channel.terms.theirs, most_of(channel)
    return Policy(
        fee_base=relay.fee_base,
        fee_proportional_millionths=relay.fee_proportional_millionths,
        cltv_expiry_delta=relay.cltv_expiry_delta,
        htlc_minimum=max(relay.htlc_minimum, peer.htlc_minimum),
        htlc_maximum=min(relay.htlc_maximum or most, most),
    )


def most_of(channel: Channel) -> MilliSatoshi:
    """The greatest HTLC that the channel could ever carry from us."""
    peer = channel.terms.theirs
    return min(
        (channel.funding.amount - peer.channel_reserve).to_msat(),
        peer.max_htlc_value_in_flight,
    )


class Standing(Enum):
    """How we ourselves are."""

    WELL = "takes payments"
    CATCHING_UP = "the chain is ahead of what we have seen"
    LEAVING = "ends its service for good"


@dataclass(frozen=True, slots=True)
class OutgoingView:
    """What forwarding has to know of the channel that the onion names."""

    policy: Policy
    spendable: MilliSatoshi
    peer_connected: bool = True
    closed: bool = False
    channel_feature_missing: bool = False
    """The channel has a requirement that the onion does not meet."""
    node_feature_missing: bool = False
    """We, or the next node, have a requirement that the onion does not meet."""


@dataclass(frozen=True, slots=True)
class _Question:
    """Everything that a rule looks at."""

    forward: ForwardPayload
    incoming: IncomingHtlc
    outgoing: OutgoingView
    height: BlockHeight

    @property
    def policy(self) -> Policy:
        return self.outgoing.policy


Rule: TypeAlias = tuple[Callable[[_Question], bool], Callable[[_Question], Failure]]


def _has_no_room(q: _Question) -> bool:
    amount = q.forward.amt_to_forward
    return (
        not q.outgoing.peer_connected
        or amount > q.outgoing.spendable
        or amount > q.policy.htlc_maximum
    )


def _pays_too_little(q: _Question) -> bool:
    amount = q.forward.amt_to_forward
    return q.incoming.amount < amount + q.policy.fee(amount)


def _delta_too_small(q: _Question) -> bool:
    delta = q.incoming.cltv_expiry - q.forward.outgoing_cltv_value
    return delta < q.policy.cltv_expiry_delta


def _ends_too_soon(q: _Question) -> bool:
    # Both ways: ours must not be late at once, and theirs must leave time for a claim on chain, or
    # we pay the next node and can no longer collect.
    return (
        q.forward.outgoing_cltv_value < q.height + OFFER_BLOCKS
        or q.incoming.cltv_expiry < q.height + CLAIM_BLOCKS
    )


RULES: Final[tuple[Rule, ...]] = (
    (lambda q: q.outgoing.node_feature_missing, lambda _: RequiredNodeFeatureMissing()),
    # A closed channel has no room either, and only one of the two answers stops the next try.
    (lambda q: not q.outgoing.closed and _has_no_room(q), lambda _: TemporaryChannelFailure()),
    (lambda q: q.outgoing.closed, lambda _: PermanentChannelFailure()),
    (lambda q: q.outgoing.channel_feature_missing, lambda _: RequiredChannelFeatureMissing()),
    (
        lambda q: q.forward.amt_to_forward < q.policy.htlc_minimum,
        lambda q: AmountBelowMinimum(q.forward.amt_to_forward),
    ),
    (_pays_too_little, lambda q: FeeInsufficient(q.incoming.amount)),
    (_delta_too_small, lambda q: IncorrectCltvExpiry(q.forward.outgoing_cltv_value)),
    (_ends_too_soon, lambda _: ExpiryTooSoon()),
    (lambda q: q.policy.disabled, lambda _: ChannelDisabled()),
    (lambda q: q.incoming.cltv_expiry > q.height + MAX_HTLC_CLTV, lambda _: ExpiryTooFar()),
)


def verdict(
    forward: ForwardPayload,
    incoming: IncomingHtlc,
    outgoing: OutgoingView | None,
    ctx: Context,
    standing: Standing = Standing.WELL,
) -> Failure | None:
    """The failure to answer, or None when the HTLC may be offered on `outgoing`.

    `outgoing` is None when no channel of ours has the `short_channel_id` of the onion.
    """
    match standing:
        case Standing.CATCHING_UP:
            return TemporaryNodeFailure()
        case Standing.LEAVING:
            return PermanentNodeFailure()
        case Standing.WELL:
            pass
    if outgoing is None:
        return UnknownNextPeer()
    question = _Question(forward, incoming, outgoing, ctx.height)
    return next((answer(question) for applies, answer in RULES if applies(question)), None)
