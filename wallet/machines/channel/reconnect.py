"""Losing the peer and finding it again: what is forgotten, what is said again, in which order.

BOLT 2 "Message Retransmission".  Nothing here is remembered for the purpose: the table, the two
commitment numbers and `commit_sent_last` say everything.
"""

from dataclasses import replace

from wallet.base.errors import PeerFault, Severity
from wallet.base.values.ids import Secret
from wallet.base.wire.channel import ChannelReestablish, RevokeAndAck, UpdateFee
from wallet.base.wire.setup import error_for
from wallet.machines.channel.actions import Action, CheckProof, Send
from wallet.machines.channel.commitments import commitment_signed
from wallet.machines.channel.dance import LAST_INDEX
from wallet.machines.channel.events import ProofChecked
from wallet.machines.channel.htlc import Htlc, HtlcKey
from wallet.machines.channel.htlc_stages import ROWS, Stage
from wallet.machines.channel.ready import channel_ready
from wallet.machines.channel.shutdown import resend_shutdown
from wallet.machines.channel.state import AGREEING, Channel, Link, Negotiation, Phase
from wallet.machines.channel.updates import addition, removal_message
from wallet.machines.signing import ReleaseSecret
from wallet.machines.step import Step

ChannelStep = Step[Channel, Action]

_NO_SECRET = bytes(32)


def disconnected(channel: Channel) -> Channel:
    """BOLT 2: upon disconnection, reverse any uncommitted updates sent by the other side.

    A preimage that came with a reversed `update_fulfill_htlc` stays known: it went upstream.
    """
    table: dict[HtlcKey, Htlc] = {}
    forgotten = 0
    for key, htlc in channel.htlcs.items():
        stage = ROWS[htlc.stage].after_reconnect
        if stage is None:
            forgotten += 1
        elif stage is htlc.stage:
            table[key] = htlc
        else:
            table[key] = replace(htlc, stage=stage, removal=None)
    return replace(
        channel,
        link=Link.OFFLINE,
        htlcs=table,
        fees=tuple(f for f in channel.fees if f.stage is not Stage.RCVD_ADD_HTLC),
        their_next_htlc_id=channel.their_next_htlc_id - forgotten,
        negotiation=Negotiation(),
        announcement=replace(channel.announcement, said=False),
        early=(),
    )


def connected(channel: Channel) -> ChannelStep:
    """The first word about the channel on a new connection."""
    revoked = channel.their_number - int(channel.awaiting_revocation)
    last = channel.their_secrets.get(LAST_INDEX - (revoked - 1)) if revoked else None
    message = ChannelReestablish(
        channel.id,
        # LND closes for no `error`, and not for a copy that is one commitment behind either.
        next_commitment_number=0 if channel.fell_behind else channel.our_number + 1,
        next_revocation_number=revoked,
        your_last_per_commitment_secret=Secret(last or _NO_SECRET),
        my_current_per_commitment_point=channel.our_points[0],
    )
    return Step(replace(channel, link=Link.SYNCING), (Send(message),))


def of_no_channel(theirs: ChannelReestablish) -> tuple[ChannelReestablish, ...]:
    """What gets a peer to close a channel of which nothing is left here; an `error` follows it.

    LND closes for no `error`.  BOLT 2: if `next_commitment_number` is zero: MUST immediately fail
    the channel and broadcast any relevant latest commitment transaction.  A zero is not answered by
    another: two that both know nothing would never come to an end.
    """
    if theirs.next_commitment_number == 0:
        return ()
    point = theirs.my_current_per_commitment_point
    return (ChannelReestablish(theirs.channel_id, 0, 0, Secret(_NO_SECRET), point),)


def receive_reestablish(channel: Channel, message: ChannelReestablish) -> ChannelStep:
    """Compare numbers, then say again what they missed, in the order in which it was first said."""
    if channel.link is Link.OFFLINE:
        # A reorganisation brought the channel back in the middle of a connection: we greet now.
        greeted = connected(channel)
        answered = receive_reestablish(greeted.state, message)
        return Step(answered.state, (*greeted.actions, *answered.actions))
    if channel.link is not Link.SYNCING:
        raise PeerFault(Severity.WARN, "channel_reestablish in the middle of a connection")
    # Before all else: a peer that can prove our commitment revoked must not, with any other number,
    # get us to broadcast it.
    if proof := proof_in(channel, message):
        return Step(channel, proof)
    if message.next_commitment_number == 0:
        # BOLT 2: MUST immediately fail the channel and broadcast any relevant latest commitment.
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            "the peer failed the channel, as one that has lost its data does"
            " (its next_commitment_number is 0)",
        )
    revocation = _missed_revocation(channel, message)
    commitment = _missed_commitment(channel, message)
    if channel.phase in AGREEING:
        # The peer has gone on to the close without it (`clearing.is_empty`): it is not missed.
        commitment = ()
    # BOLT 2: if it has previously sent a `commitment_signed` that needs to be retransmitted: MUST
    # retransmit `revoke_and_ack` and `commitment_signed` in the same relative order as initially
    # transmitted.  Otherwise the peer verifies our signature against another commitment.
    missed = (*revocation, *commitment) if channel.commit_sent_last else (*commitment, *revocation)
    live = replace(channel, link=Link.LIVE)
    actions: list[Action] = []
    # BOLT 2: if `next_commitment_number` is 1 in both the `channel_reestablish` it sent and
    # received: MUST retransmit `channel_ready`.
    if message.next_commitment_number == 1 and channel.our_number == 0 and channel.ready_sent:
        actions.append(channel_ready(channel))
    # BOLT 2: if there are updates pending on the receiving node's commitment transaction: MUST NOT
    # send a `shutdown`.  What we said after it (removals) is said after it again.
    return Step(live, (*actions, *missed, *resend_shutdown(live), *_uncommitted(live)))


def proof_in(channel: Channel, message: ChannelReestablish) -> tuple[CheckProof, ...]:
    """What is to be checked if the peer claims to hold the secret of our latest commitment."""
    if message.next_revocation_number <= channel.our_number:
        return ()
    number = message.next_revocation_number - 1
    if number > LAST_INDEX:
        # A u64 on the wire: there is no such commitment, and no secret to compare with.
        raise _unknown_future(channel, message.next_revocation_number)
    return (CheckProof(number, message.your_last_per_commitment_secret),)


def _missed_revocation(channel: Channel, message: ChannelReestablish) -> tuple[Action, ...]:
    """Our last revoke_and_ack if they have not got it; checks their number."""
    expected = message.next_revocation_number
    if expected not in (channel.our_number, channel.our_number - 1):
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            "the peer's copy of this channel is old, so we close it with our latest commitment"
            f" (next_revocation_number is {expected}, we have revoked {channel.our_number})",
        )
    if expected == channel.our_number:
        return ()
    number = channel.our_number - 1
    return (
        Send(
            RevokeAndAck(channel.id, Secret(_NO_SECRET), channel.our_points[1]),
            (ReleaseSecret(channel.terms.keys_id, number),),
        ),
    )


def _missed_commitment(channel: Channel, message: ChannelReestablish) -> tuple[Action, ...]:
    """The updates of our last commitment_signed and itself, if they have not got it."""
    expected = message.next_commitment_number
    if expected == channel.their_number + 1:
        return ()
    if expected != channel.their_number or not channel.awaiting_revocation:
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"next_commitment_number is {expected}, we have signed {channel.their_number}",
        )
    return (
        *_said(channel, Stage.SENT_ADD_COMMIT, Stage.SENT_REMOVE_COMMIT),
        *(commitment_signed(channel, funding) for funding in channel.fundings),
    )


def _uncommitted(channel: Channel) -> tuple[Action, ...]:
    """Our updates that no commitment holds yet: said again from the intention, ids unchanged."""
    return _said(channel, Stage.SENT_ADD_HTLC, Stage.SENT_REMOVE_HTLC)


def _said(channel: Channel, adding: Stage, removing: Stage) -> tuple[Action, ...]:
    """Updates in an order that the peer can accept, whatever the order in which they were made.

    A removal only frees limits.  A lower fee rate may have made room for an addition, and a higher
    one was checked with the additions: so the fee goes before them.
    """
    rows = channel.htlcs.values()
    added = sorted((h for h in rows if h.stage is adding), key=lambda h: h.key.id)
    removed = [h for h in rows if h.stage is removing]
    fees = [f for f in channel.fees if f.stage is adding]
    return (
        *(Send(removal_message(channel, h)) for h in removed),
        *(Send(UpdateFee(channel.id, f.feerate)) for f in fees),
        *(Send(addition(channel, h)) for h in added),
    )


def proof_checked(channel: Channel, event: ProofChecked, now: int) -> ChannelStep:
    """The peer claims to know more of our past than we do; the signer says whether it is true."""
    if not event.genuine:
        raise _unknown_future(channel, event.number + 1)
    # BOLT 2: MUST NOT broadcast its commitment transaction. SHOULD send an `error` to request the
    # peer to fail the channel.  Our commitment is revoked: broadcasting it would lose everything.
    reason = "our data is older than yours: please close this channel with your latest commitment"
    after = replace(channel, fell_behind=True, error=reason).with_phase(
        Phase.FAILED,
        now,
        "protocol",
        "Our copy of this channel is old; only the peer can close it safely",
    )
    return Step(after, (Send(error_for(channel.id, reason)),))


def _unknown_future(channel: Channel, claimed: int) -> PeerFault:
    return PeerFault(
        Severity.FAIL_CHANNEL,
        f"next_revocation_number is {claimed}, we have revoked {channel.our_number},"
        " and your_last_per_commitment_secret is not ours",
    )
