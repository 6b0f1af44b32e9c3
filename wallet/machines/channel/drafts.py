"""A channel's first state, the same for both sides: what is agreed, and commitments number 0."""

from dataclasses import replace

from wallet.base.crypto.shachain import Shachain
from wallet.base.values.amounts import FeeratePerKw
from wallet.base.values.ids import Point, ShortChannelId, Signature
from wallet.machines.channel.actions import TheirCommitmentSigned
from wallet.machines.channel.commitments import build, check_signatures
from wallet.machines.channel.htlc import Split
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.state import (
    Change,
    Channel,
    FeeUpdate,
    Funding,
    Link,
    Negotiation,
    Phase,
    RelayPolicy,
    Scid,
    ScidKind,
    Tally,
    Terms,
)
from wallet.machines.step import Context


def draft(
    terms: Terms,
    funding: Funding,
    our_points: tuple[Point, Point],
    their_first_point: Point,
    feerate: FeeratePerKw,
    alias: ShortChannelId,
    relay: RelayPolicy,
    ctx: Context,
) -> Channel:
    """The channel before their signature on our first commitment is known."""
    return Channel(
        terms=terms,
        phase=Phase.AWAITING_CONFIRMATION,
        link=Link.LIVE,
        fundings=(funding,),
        our_number=0,
        their_number=0,
        awaiting_revocation=False,
        revoking=False,
        commit_sent_last=False,
        our_points=our_points,
        # The second point comes with channel_ready; until then nothing can be signed with it.
        their_points=(their_first_point, their_first_point),
        their_secrets=Shachain(),
        htlcs={},
        fees=(
            FeeUpdate(
                feerate,
                Stage.SENT_ADD_ACK_REVOCATION if terms.we_opened else Stage.RCVD_ADD_ACK_REVOCATION,
            ),
        ),
        our_next_htlc_id=0,
        their_next_htlc_id=0,
        ready_sent=False,
        ready_received=False,
        scids=(Scid(alias, ScidKind.OURS, 0),),
        our_shutdown=None,
        shutdown_sent=False,
        their_shutdown=None,
        negotiation=Negotiation(),
        close_feerates=None,
        signed_close=None,
        fell_behind=False,
        error=None,
        onchain=None,
        changes=(Change(ctx.now, None, Phase.AWAITING_CONFIRMATION, "user", "Funding signed"),),
        in_tally=Tally(),
        out_tally=Tally(),
        relay=relay,
    )


def _content(channel: Channel) -> Split:
    return Split(channel.funding.to_us, channel.funding.to_them, channel.feerate, ())


def first_commitment(channel: Channel, their_point: Point) -> bytes:
    """The digest that we sign of their commitment 0."""
    built = build(channel.terms, channel.funding, _content(channel), 0, their_point, ours=False)
    return built.commitment.digest


def with_signature(channel: Channel, signature: Signature) -> Channel:
    """The channel with their signature on our commitment 0; raises `PeerFault` for a wrong one."""
    terms, funding = channel.terms, channel.funding
    built = build(terms, funding, _content(channel), 0, channel.our_points[0], ours=True)
    check_signatures(funding, built, signature, ())
    return channel.with_funding(replace(funding, signature=signature))


def first_record(channel: Channel) -> TheirCommitmentSigned:
    """What rebuilds their commitment 0."""
    content = _content(channel)
    return TheirCommitmentSigned(0, 0, content.to_us, content.to_them, content.feerate)
