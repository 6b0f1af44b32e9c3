"""What may be opened: our policy, what a person may ask for, what a peer may propose (BOLT 2).

Rule 1: nothing here has a state or sends; `opening.py` asks before each of its steps.
Rule 2: `Refused` is for our own caller, `PeerFault` for the peer.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.channel_tx.format import ANCHORS
from wallet.base.channel_tx.keys import Basepoints
from wallet.base.errors import PeerFault, Refused, Severity
from wallet.base.values.amounts import (
    FEERATE_FLOOR,
    SAT_PER_BTC,
    FeeratePerKw,
    MilliSatoshi,
    Satoshi,
)
from wallet.base.values.features import ASSUMED, Feature, Features
from wallet.base.values.ids import ChainHash, NodeId
from wallet.base.wire.channel import AcceptChannel, OpenChannel
from wallet.machines.channel.close_scripts import is_allowed, negotiated
from wallet.machines.channel.state import DEFAULT_RELAY, RelayPolicy, SideTerms
from wallet.machines.signing import ChannelKeys

ANCHOR_TYPE: Final = (Feature.OPTION_STATIC_REMOTEKEY.value, Feature.OPTION_ANCHORS.value)
"""The channel type that we open by default: bits 12 and 22."""
_ALIAS, _ZEROCONF = Feature.OPTION_SCID_ALIAS.value, Feature.OPTION_ZEROCONF.value
CHANNEL_TYPES: Final = tuple(
    ANCHOR_TYPE + more for more in ((), (_ALIAS,), (_ZEROCONF,), (_ALIAS, _ZEROCONF))
)
"""BOLT 2 "Defined Channel Types": those that we open and accept."""
MIN_FUNDING: Final = Satoshi(20_000)
"""Below this, reserve and anchors leave next to nothing to send."""
SUPPLY: Final = Satoshi(21_000_000 * SAT_PER_BTC)
"""No transaction output can hold more."""
LARGE_CHANNEL: Final = Satoshi(1 << 24)
"""BOLT 2: from here on `option_support_large_channel` must be negotiated."""
LEAST_DUST_LIMIT: Final = Satoshi(354)
MOST_DUST_LIMIT: Final = Satoshi(546)
MOST_TO_SELF_DELAY: Final = 2016
MOST_MINIMUM_DEPTH: Final = 144
MOST_HTLCS: Final = 483
LEAST_RESERVE: Final = Satoshi(1_000)
LEAST_HTLC: Final = MilliSatoshi(1)
NO_LIMIT: Final = MilliSatoshi((1 << 64) - 1)
MAX_OPEN_FEERATE: Final = FeeratePerKw(250_000)


@dataclass(frozen=True, slots=True)
class Policy:
    """What we say in `open_channel` and `accept_channel`, by chain and configuration."""

    chain_hash: ChainHash
    to_self_delay: int
    minimum_depth: int
    max_accepted_htlcs: int = MOST_HTLCS
    htlc_minimum: MilliSatoshi = LEAST_HTLC
    dust_limit: Satoshi = LEAST_DUST_LIMIT
    max_in_flight: MilliSatoshi = NO_LIMIT
    relay: RelayPolicy = DEFAULT_RELAY
    """What we ask of payments that leave through a new channel."""
    keeps_reserve: bool = False
    """Whether a channel is accepted only with coins on chain that could close it by force."""
    takes_zeroconf: bool = False
    """Whether this peer may open channels that are used before their funding is confirmed.

    Danger: until then the opener can spend the same coins otherwise, and whatever the channel paid
    us, or we passed on because of it, is lost.  For peers that a person trusts by name.
    """


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a person asks for."""

    peer: NodeId
    amount: Satoshi
    push: MilliSatoshi
    feerate: FeeratePerKw
    announce: bool
    channel_type: tuple[int, ...] = ANCHOR_TYPE
    minimum_depth: int | None = None
    """Confirmations that we wait for ourselves, if the peer does not ask for more."""
    close_to: bytes = b""
    """Script that a cooperative close is bound to; empty: wherever we like at the time."""


def check_request(request: OpenRequest, their_features: Features) -> None:
    """Raise `Refused` for what no peer could accept."""
    check_amount(request.amount, their_features)
    if request.push > request.amount.to_msat():
        raise Refused("push_msat is more than the channel holds", -32602)
    check_peer(their_features)
    unfit = _misfit(request.channel_type, their_features, announce=request.announce)
    if unfit is not None:
        raise Refused(unfit, -32602)
    if request.close_to and not is_allowed(request.close_to, their_features):
        raise Refused("close_to: a channel with this peer closes to a segwit address only", -32602)
    fee = FeeratePerKw(request.feerate.per_kw).fee(ANCHORS.commitment_weight)
    left = request.amount.to_msat() - request.push
    needed_msat = (fee + ANCHORS.anchors_total + reserve_of(request.amount)).to_msat()
    if left < needed_msat:
        raise Refused(
            f"after push_msat the channel cannot pay its fee and keep its reserve"
            f" ({needed_msat.ceil_to_sat()})",
            -32602,
        )


def check_amount(amount: Satoshi, their_features: Features) -> None:
    """Raise `Refused` for a channel too small to be useful, or larger than the peer takes."""
    if amount < MIN_FUNDING:
        raise Refused(f"a channel of {amount} is too small: at least {MIN_FUNDING}", -32602)
    if amount > SUPPLY:
        raise Refused(f"a channel of {amount} is more than all bitcoin there will be", -32602)
    large = negotiated(Feature.OPTION_SUPPORT_LARGE_CHANNEL, their_features)
    if amount >= LARGE_CHANNEL and not large:
        raise Refused(f"this peer takes no channel of {LARGE_CHANNEL} or more", 300)


def check_peer(their_features: Features) -> None:
    """Raise `Refused` unless the peer speaks the one channel type that we open."""
    # option_static_remotekey is ASSUMED (BOLT 9): a peer may leave it out.
    if not their_features.supports(Feature.OPTION_ANCHORS):
        raise Refused("the peer does not offer option_anchors, which we need", 312)


def reserve_of(amount: Satoshi) -> Satoshi:
    """What we ask the other side to keep: 1 %, at least 1,000 sat (less is refused as dust)."""
    return max(Satoshi(amount.sat // 100), LEAST_RESERVE)


def our_side(
    policy: Policy, keys: ChannelKeys, amount: Satoshi, upfront_script: bytes = b""
) -> SideTerms:
    return SideTerms(
        dust_limit=policy.dust_limit,
        max_htlc_value_in_flight=policy.max_in_flight,
        channel_reserve=reserve_of(amount),
        htlc_minimum=policy.htlc_minimum,
        to_self_delay=policy.to_self_delay,
        max_accepted_htlcs=policy.max_accepted_htlcs,
        basepoints=keys.basepoints,
        upfront_shutdown_script=upfront_script,
    )


# --- channel types -------------------------------------------------------------------------------


def type_bytes(channel_type: tuple[int, ...] = ANCHOR_TYPE) -> bytes:
    """The smallest bitmap of a channel type, as BOLT 2 wants it on the wire."""
    return Features(frozenset(channel_type)).to_bytes()


_TYPES: Final = {type_bytes(known): known for known in CHANNEL_TYPES}


def type_of(field: bytes | None) -> tuple[int, ...]:
    """The channel type that a message names; raises `PeerFault` for one that we do not take."""
    known = _TYPES.get(field or b"")
    if known is None:
        raise fault(_ONLY)
    return known


_ONLY: Final = (
    "we open channels of type option_static_remotekey and option_anchors only (12, 22),"
    " with or without option_scid_alias (46) and option_zeroconf (50)"
)


def _misfit(
    channel_type: tuple[int, ...], their_features: Features, *, announce: bool
) -> str | None:
    """Why both sides together cannot open a channel of this type; None: they can."""
    if channel_type not in CHANNEL_TYPES:
        return _ONLY
    for bit in channel_type:
        # option_static_remotekey is ASSUMED (BOLT 9): a peer may leave it out.
        if Feature(bit) not in ASSUMED and not negotiated(Feature(bit), their_features):
            return f"channel_type with {Feature(bit).word}, which was not negotiated"
    # BOLT 2: if `announce_channel` is `true`: MUST NOT send `channel_type` with the
    # `option_scid_alias` bit set.
    if announce and _ALIAS in channel_type:
        return "channel_type with option_scid_alias: such a channel cannot be announced"
    return None


# --- the peer ------------------------------------------------------------------------------------


def check_open(message: OpenChannel, policy: Policy, their_features: Features) -> tuple[int, ...]:
    """BOLT 2 `open_channel`, "The receiving node MUST fail the channel if"; raises `PeerFault`.

    Answers the channel type.
    """
    if message.chain_hash != policy.chain_hash:
        raise fault("unknown chain_hash")
    if message.channel_type is None:
        raise fault("open_channel without channel_type")
    channel_type = type_of(message.channel_type)
    unfit = _misfit(channel_type, their_features, announce=bool(message.channel_flags & 1))
    if unfit is not None:
        raise fault(unfit)
    if _ZEROCONF in channel_type and not policy.takes_zeroconf:
        raise fault("option_zeroconf: this node has not been told to trust you with that")
    if message.funding_satoshis < MIN_FUNDING:
        raise fault(f"funding_satoshis {message.funding_satoshis} is below our {MIN_FUNDING}")
    large = negotiated(Feature.OPTION_SUPPORT_LARGE_CHANNEL, their_features)
    if message.funding_satoshis >= LARGE_CHANNEL and not large:
        raise fault("funding_satoshis needs option_support_large_channel")
    if message.funding_satoshis > SUPPLY:
        raise fault("funding_satoshis is more than all bitcoin there will be")
    if message.push_msat > message.funding_satoshis.to_msat():
        raise fault("push_msat is more than funding_satoshis")
    if not FEERATE_FLOOR <= message.feerate_per_kw <= MAX_OPEN_FEERATE:
        raise fault(f"feerate_per_kw {message.feerate_per_kw.per_kw} is out of reason")
    return channel_type


def their_side(message: OpenChannel | AcceptChannel, their_features: Features) -> SideTerms:
    """What they said; an upfront script counts only if both offered to keep to one (BOLT 2)."""
    upfront = negotiated(Feature.OPTION_UPFRONT_SHUTDOWN_SCRIPT, their_features)
    return SideTerms(
        dust_limit=message.dust_limit_satoshis,
        max_htlc_value_in_flight=message.max_htlc_value_in_flight_msat,
        channel_reserve=message.channel_reserve_satoshis,
        htlc_minimum=message.htlc_minimum_msat,
        to_self_delay=message.to_self_delay,
        max_accepted_htlcs=message.max_accepted_htlcs,
        basepoints=Basepoints(
            message.revocation_basepoint,
            message.payment_basepoint,
            message.delayed_payment_basepoint,
            message.htlc_basepoint,
        ),
        upfront_shutdown_script=(message.upfront_shutdown_script or b"") if upfront else b"",
    )


def check_side(
    message: OpenChannel | AcceptChannel, ours: SideTerms, amount: Satoshi, their_features: Features
) -> None:
    """The requirements that `open_channel` and `accept_channel` share; raises `PeerFault`."""
    dust_limit = message.dust_limit_satoshis
    if not LEAST_DUST_LIMIT <= dust_limit <= MOST_DUST_LIMIT:
        raise fault(
            f"dust_limit_satoshis {dust_limit.sat} is not between {LEAST_DUST_LIMIT.sat}"
            f" and {MOST_DUST_LIMIT.sat}"
        )
    if message.to_self_delay > MOST_TO_SELF_DELAY:
        raise fault(f"to_self_delay {message.to_self_delay} is unreasonably large")
    if not 1 <= message.max_accepted_htlcs <= MOST_HTLCS:
        raise fault(f"max_accepted_htlcs {message.max_accepted_htlcs} is not between 1 and 483")
    # Each reserve must stand above either dust limit, or all outputs could be trimmed at once.
    if message.channel_reserve_satoshis < max(dust_limit, ours.dust_limit):
        raise fault("channel_reserve_satoshis is below a dust limit")
    if ours.channel_reserve < dust_limit:
        raise fault("dust_limit_satoshis is above the reserve that we ask for")
    if message.channel_reserve_satoshis.sat * 5 > amount.sat:
        raise fault(
            f"channel_reserve_satoshis {message.channel_reserve_satoshis.sat} is more than a fifth"
            " of the channel"
        )
    if message.htlc_minimum_msat.floor_to_sat().sat * 10 > amount.sat:
        raise fault("htlc_minimum_msat is more than a tenth of the channel")
    bound_to = their_side(message, their_features).upfront_shutdown_script
    if bound_to and not is_allowed(bound_to, their_features):
        raise fault(f"upfront_shutdown_script of no allowed form: {bound_to.hex()}")


def fault(reason: str) -> PeerFault:
    return PeerFault(Severity.FAIL_CHANNEL, reason)
