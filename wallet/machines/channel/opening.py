"""Opening a channel, BOLT 2 v1: from a wish to a `Channel` with its first commitments.

Nothing of an `Opening` is stored: until `funding_signed` was sent or received there is nothing at
stake, and a lost connection simply ends it.  The opener's coins stay reserved for as long.
"""

from dataclasses import dataclass
from typing import TypeAlias

from wallet.base.channel_tx.format import ANCHORS
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.errors import ensure
from wallet.base.values.amounts import ZERO_MSAT, FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.features import Feature, Features
from wallet.base.values.ids import (
    ChannelId,
    KeysId,
    NodeId,
    OutPoint,
    ShortChannelId,
    Signature,
    channel_id_of,
)
from wallet.base.wire.channel import AcceptChannel, FundingCreated, FundingSigned, OpenChannel
from wallet.machines.channel.actions import Action, Broadcast, Send, Watch
from wallet.machines.channel.close_scripts import negotiated
from wallet.machines.channel.drafts import draft as draft_of
from wallet.machines.channel.drafts import first_commitment, first_record, with_signature
from wallet.machines.channel.opening_rules import (
    MOST_MINIMUM_DEPTH,
    OpenRequest,
    Policy,
    check_open,
    check_request,
    check_side,
    fault,
    our_side,
    their_side,
    type_bytes,
    type_of,
)
from wallet.machines.channel.state import Channel, Funding, RelayPolicy, SideTerms, Terms
from wallet.machines.signing import ChannelKeys, FundingKey, SignDigest, UnsignedTx
from wallet.machines.step import Context, Step


@dataclass(frozen=True, slots=True)
class AwaitingAccept:
    """We sent `open_channel`."""

    peer: NodeId
    temporary_id: ChannelId
    keys_id: KeysId
    payment_index: int
    keys: ChannelKeys
    ours: SideTerms
    close_to: bytes
    amount: Satoshi
    push: MilliSatoshi
    feerate: FeeratePerKw
    announce: bool
    channel_type: tuple[int, ...]
    minimum_depth: int | None
    their_features: Features
    sent: OpenChannel
    relay: RelayPolicy


@dataclass(frozen=True, slots=True)
class AwaitingFunding:
    """They accepted; the wallet builds the funding transaction that pays to `output_script`."""

    before: AwaitingAccept
    accepted: AcceptChannel
    output_script: bytes


@dataclass(frozen=True, slots=True)
class AwaitingFundingSigned:
    """We sent `funding_created`."""

    before: AwaitingFunding
    draft: Channel


@dataclass(frozen=True, slots=True)
class AwaitingFundingCreated:
    """We sent `accept_channel`."""

    peer: NodeId
    temporary_id: ChannelId
    keys_id: KeysId
    payment_index: int
    keys: ChannelKeys
    ours: SideTerms
    close_to: bytes
    received: OpenChannel
    minimum_depth: int
    their_features: Features
    relay: RelayPolicy


Opening: TypeAlias = (
    AwaitingAccept | AwaitingFunding | AwaitingFundingSigned | AwaitingFundingCreated
)


# --- as the opener ------------------------------------------------------------------------------


def open_channel(
    request: OpenRequest,
    policy: Policy,
    keys_id: KeysId,
    payment_index: int,
    keys: ChannelKeys,
    close_to: bytes,
    their_features: Features,
    ctx: Context,
) -> Step[AwaitingAccept, Action]:
    """Begin: send `open_channel`. Raises `Refused`."""
    check_request(request, their_features)
    upfront = negotiated(Feature.OPTION_UPFRONT_SHUTDOWN_SCRIPT, their_features)
    bound_to = request.close_to if upfront else b""
    ours = our_side(policy, keys, request.amount, bound_to)
    temporary_id = ChannelId(ctx.entropy)
    message = OpenChannel(
        chain_hash=policy.chain_hash,
        temporary_channel_id=temporary_id,
        funding_satoshis=request.amount,
        push_msat=request.push,
        dust_limit_satoshis=ours.dust_limit,
        max_htlc_value_in_flight_msat=ours.max_htlc_value_in_flight,
        channel_reserve_satoshis=ours.channel_reserve,
        htlc_minimum_msat=ours.htlc_minimum,
        feerate_per_kw=request.feerate,
        to_self_delay=ours.to_self_delay,
        max_accepted_htlcs=ours.max_accepted_htlcs,
        funding_pubkey=keys.funding_pubkey,
        revocation_basepoint=keys.basepoints.revocation,
        payment_basepoint=keys.basepoints.payment,
        delayed_payment_basepoint=keys.basepoints.delayed_payment,
        htlc_basepoint=keys.basepoints.htlc,
        first_per_commitment_point=keys.first_points[0],
        channel_flags=int(request.announce),
        # BOLT 2: with `option_upfront_shutdown_script`: MUST include it, a script or zero-length.
        upfront_shutdown_script=bound_to,
        channel_type=type_bytes(request.channel_type),
    )
    state = AwaitingAccept(
        request.peer,
        temporary_id,
        keys_id,
        payment_index,
        keys,
        ours,
        request.close_to or close_to,
        request.amount,
        request.push,
        request.feerate,
        request.announce,
        request.channel_type,
        request.minimum_depth,
        their_features,
        message,
        policy.relay,
    )
    return Step(state, (Send(message),))


def receive_accept(state: AwaitingAccept, message: AcceptChannel) -> AwaitingFunding:
    """BOLT 2 `accept_channel`; raises `PeerFault`."""
    if message.channel_type != state.sent.channel_type:
        raise fault("accept_channel names another channel_type than open_channel")
    if message.minimum_depth > MOST_MINIMUM_DEPTH:
        raise fault(f"minimum_depth {message.minimum_depth} is unreasonably large")
    zeroconf = Feature.OPTION_ZEROCONF in state.channel_type
    # BOLT 2: if `channel_type` includes `option_zeroconf`: MUST set `minimum_depth` to zero.
    if zeroconf and message.minimum_depth:
        raise fault(f"minimum_depth {message.minimum_depth} of a channel with option_zeroconf")
    check_side(message, state.ours, state.amount, state.their_features)
    script = funding_output(state.keys.funding_pubkey, message.funding_pubkey)
    return AwaitingFunding(state, message, script)


def fund(
    state: AwaitingFunding, transaction: UnsignedTx, index: int, alias: ShortChannelId, ctx: Context
) -> Step[AwaitingFundingSigned, Action]:
    """The wallet has built the funding transaction: sign their first commitment."""
    before, accepted = state.before, state.accepted
    output = transaction.tx.outputs[index]
    ensure(
        output.amount == before.amount and output.script_pubkey == state.output_script,
        "the funding transaction does not pay to the channel",
    )
    outpoint = OutPoint(transaction.tx.txid, index)
    terms = Terms(
        channel_id=channel_id_of(outpoint),
        peer=before.peer,
        keys_id=before.keys_id,
        payment_index=before.payment_index,
        chain_hash=before.sent.chain_hash,
        format=ANCHORS,
        channel_type=before.channel_type,
        we_opened=True,
        announce=before.announce,
        minimum_depth=max(accepted.minimum_depth, before.minimum_depth or 0),
        ours=before.ours,
        theirs=their_side(accepted, before.their_features),
        opened_at=ctx.now,
        close_to=before.close_to,
        their_features=before.their_features.to_bytes(),
        our_id=before.keys.node_id,
        opened_height=ctx.height.height,
    )
    funding = Funding(
        number=0,
        outpoint=outpoint,
        amount=before.amount,
        our_pubkey=before.keys.funding_pubkey,
        their_pubkey=accepted.funding_pubkey,
        our_contribution=before.amount.to_msat(),
        pushed=before.push,
        least_to_us=before.amount.to_msat() - before.push,
        most_to_us=before.amount.to_msat() - before.push,
        to_us=before.amount.to_msat() - before.push,
        to_them=before.push,
        signature=Signature(bytes(64)),
        htlc_signatures=(),
        confirmed=None,
        transaction=transaction,
    )
    draft = draft_of(
        terms,
        funding,
        before.keys.first_points,
        accepted.first_per_commitment_point,
        before.feerate,
        alias,
        before.relay,
        ctx,
    )
    theirs = first_commitment(draft, accepted.first_per_commitment_point)
    message = FundingCreated(before.temporary_id, outpoint.txid, index, Signature(bytes(64)))
    request = SignDigest(FundingKey(before.keys_id, 0), theirs)
    return Step(AwaitingFundingSigned(state, draft), (Send(message, (request,)),))


def receive_funding_signed(
    state: AwaitingFundingSigned, message: FundingSigned
) -> Step[Channel, Action]:
    """BOLT 2 `funding_signed`: the channel exists; its funding may be broadcast."""
    draft = state.draft
    if message.channel_id != draft.id:
        raise fault("funding_signed for another channel_id")
    channel = with_signature(draft, message.signature)
    transaction = channel.funding.transaction
    broadcast = (Broadcast(transaction, "funding"),) if transaction else ()
    return Step(channel, (first_record(channel), Watch(channel.funding.outpoint), *broadcast))


# --- as the accepter ----------------------------------------------------------------------------


def accept_channel(
    message: OpenChannel,
    peer: NodeId,
    policy: Policy,
    keys_id: KeysId,
    payment_index: int,
    keys: ChannelKeys,
    close_to: bytes,
    their_features: Features,
) -> Step[AwaitingFundingCreated, Action]:
    """Answer `open_channel`; raises `PeerFault`."""
    channel_type = check_open(message, policy, their_features)
    # BOLT 2: if `channel_type` includes `option_zeroconf`: MUST set `minimum_depth` to zero.
    minimum_depth = 0 if Feature.OPTION_ZEROCONF in channel_type else policy.minimum_depth
    amount = message.funding_satoshis
    ours = our_side(policy, keys, amount)
    check_side(message, ours, amount, their_features)
    fee = message.feerate_per_kw.fee(ANCHORS.commitment_weight)
    # BOLT 2: MUST fail the channel if the funder's amount for the initial commitment transaction is
    # not sufficient for full fee payment, or if both amounts are at or below the reserve.
    to_opener = amount.to_msat() - message.push_msat
    if to_opener < (fee + ANCHORS.anchors_total).to_msat():
        raise fault("the opener cannot pay the fee of the first commitment")
    greater = max(to_opener - (fee + ANCHORS.anchors_total).to_msat(), message.push_msat)
    reserve = max(ours.channel_reserve, message.channel_reserve_satoshis)
    if greater <= reserve.to_msat():
        raise fault("both sides would start at or below their reserve")
    answer = AcceptChannel(
        temporary_channel_id=message.temporary_channel_id,
        dust_limit_satoshis=ours.dust_limit,
        max_htlc_value_in_flight_msat=ours.max_htlc_value_in_flight,
        channel_reserve_satoshis=ours.channel_reserve,
        htlc_minimum_msat=ours.htlc_minimum,
        minimum_depth=minimum_depth,
        to_self_delay=ours.to_self_delay,
        max_accepted_htlcs=ours.max_accepted_htlcs,
        funding_pubkey=keys.funding_pubkey,
        revocation_basepoint=keys.basepoints.revocation,
        payment_basepoint=keys.basepoints.payment,
        delayed_payment_basepoint=keys.basepoints.delayed_payment,
        htlc_basepoint=keys.basepoints.htlc,
        first_per_commitment_point=keys.first_points[0],
        upfront_shutdown_script=b"",
        channel_type=message.channel_type,
    )
    state = AwaitingFundingCreated(
        peer,
        message.temporary_channel_id,
        keys_id,
        payment_index,
        keys,
        ours,
        close_to,
        message,
        minimum_depth,
        their_features,
        policy.relay,
    )
    return Step(state, (Send(answer),))


def receive_funding_created(
    state: AwaitingFundingCreated, message: FundingCreated, alias: ShortChannelId, ctx: Context
) -> Step[Channel, Action]:
    """BOLT 2 `funding_created`: check their signature, sign for them; the channel exists."""
    opened = state.received
    outpoint = OutPoint(message.funding_txid, message.funding_output_index)
    terms = Terms(
        channel_id=channel_id_of(outpoint),
        peer=state.peer,
        keys_id=state.keys_id,
        payment_index=state.payment_index,
        chain_hash=opened.chain_hash,
        format=ANCHORS,
        channel_type=type_of(opened.channel_type),
        we_opened=False,
        announce=bool(opened.channel_flags & 1),
        minimum_depth=state.minimum_depth,
        ours=state.ours,
        theirs=their_side(opened, state.their_features),
        opened_at=ctx.now,
        close_to=state.close_to,
        their_features=state.their_features.to_bytes(),
        our_id=state.keys.node_id,
        opened_height=ctx.height.height,
    )
    funding = Funding(
        number=0,
        outpoint=outpoint,
        amount=opened.funding_satoshis,
        our_pubkey=state.keys.funding_pubkey,
        their_pubkey=opened.funding_pubkey,
        our_contribution=ZERO_MSAT,
        pushed=opened.push_msat,
        least_to_us=opened.push_msat,
        most_to_us=opened.push_msat,
        to_us=opened.push_msat,
        to_them=opened.funding_satoshis.to_msat() - opened.push_msat,
        signature=Signature(bytes(64)),
        htlc_signatures=(),
        confirmed=None,
        transaction=None,
    )
    draft = draft_of(
        terms,
        funding,
        state.keys.first_points,
        opened.first_per_commitment_point,
        opened.feerate_per_kw,
        alias,
        state.relay,
        ctx,
    )
    channel = with_signature(draft, message.signature)
    theirs = first_commitment(channel, opened.first_per_commitment_point)
    answer = FundingSigned(channel.id, Signature(bytes(64)))
    request = SignDigest(FundingKey(state.keys_id, 0), theirs)
    return Step(channel, (first_record(channel), Watch(outpoint), Send(answer, (request,))))
