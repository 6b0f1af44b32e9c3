"""commitment_signed and revoke_and_ack: the four beats that move every row of the table.

Rule 1: one function per beat; `_beat` moves all rows that wait for it, and nothing else does.
Rule 2: a secret is released only after the signatures that replace its commitment were verified.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from wallet.base.crypto.curve import is_secret, point_of
from wallet.base.errors import DecodeError, PeerFault, Severity, ensure
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.ids import Secret
from wallet.base.wire.channel import CommitmentSigned, RevokeAndAck
from wallet.machines.channel.actions import (
    Action,
    HtlcCommitted,
    HtlcGone,
    Release,
    Send,
    TheirCommitmentSigned,
)
from wallet.machines.channel.commitments import (
    build,
    check_signatures,
    commitment_signed,
    in_ours,
    in_theirs,
    split,
)
from wallet.machines.channel.htlc import CommitmentRange, Fulfilled, Htlc, HtlcKey
from wallet.machines.channel.htlc_stages import FINAL, ROWS, SETTLED, Beat, Stage, advance
from wallet.machines.channel.state import AGREEING, Channel, FeeUpdate, Funding, Link, Tally
from wallet.machines.signing import ReleasedSecret
from wallet.machines.step import Step

ChannelStep = Step[Channel, Action]

LAST_INDEX: Final = (1 << 48) - 1
"""BOLT 3: per-commitment secrets count down from here."""


def has_news(channel: Channel) -> bool:
    """Whether a commitment_signed of ours would contain any update."""
    return any(ROWS[h.stage].beat is Beat.WE_COMMIT for h in channel.htlcs.values()) or any(
        ROWS[f.stage].beat is Beat.WE_COMMIT for f in channel.fees
    )


def commit(channel: Channel) -> ChannelStep:
    """Sign their next commitment when there is news and nothing is unacknowledged.

    No timer: while one is unacknowledged, updates gather for the next (group commit under load).
    """
    if channel.link is not Link.LIVE or channel.awaiting_revocation or channel.revoking:
        return Step(channel)
    # A peer that talks of the close already takes a commitment_signed for a broken rule.
    if not has_news(channel) or channel.phase in AGREEING:
        return Step(channel)
    number = channel.their_number + 1
    moved = _beat(channel, Beat.WE_COMMIT, theirs=number)
    after = replace(moved, their_number=number, awaiting_revocation=True, commit_sent_last=True)
    actions: list[Action] = []
    for funding in after.fundings:
        content = split(after, funding, in_theirs)
        actions.append(
            TheirCommitmentSigned(
                number, funding.number, content.to_us, content.to_them, content.feerate
            )
        )
        actions.append(commitment_signed(after, funding))
    return Step(after, tuple(actions))


def receive_commitment_signed(channel: Channel, message: CommitmentSigned) -> ChannelStep:
    """BOLT 2 `commitment_signed`: verify, then ask for the secret of the commitment it replaces."""
    if channel.revoking:
        raise PeerFault(Severity.FAIL_CHANNEL, "commitment_signed before our revoke_and_ack")
    number = channel.our_number + 1
    moved = _beat(channel, Beat.THEY_COMMIT, ours=number)
    funding = moved.funding
    if message.funding_txid is not None and message.funding_txid != funding.outpoint.txid:
        # BOLT 2: no pending splice: MUST ignore `commitment_signed` where `funding_txid` does not
        # match the current funding transaction.
        return Step(channel)
    content = split(moved, funding, in_ours)
    built = build(channel.terms, funding, content, number, channel.our_points[1], ours=True)
    check_signatures(funding, built, message.signature, message.htlc_signatures)
    signed = replace(funding, signature=message.signature, htlc_signatures=message.htlc_signatures)
    after = replace(moved.with_funding(signed), our_number=number, revoking=True)
    return Step(after, (Release(number - 1),))


def revoke(channel: Channel, released: ReleasedSecret) -> ChannelStep:
    """The signer gave the secret: send revoke_and_ack for the commitment before the latest."""
    ensure(channel.revoking, "a secret was released that nobody asked for")
    ensure(
        released.point == channel.our_points[0],
        "the signer released the secret of another commitment",
    )
    moved = _beat(channel, Beat.WE_REVOKE)
    after = replace(
        moved,
        revoking=False,
        our_points=(channel.our_points[1], released.next_point),
        commit_sent_last=False,
    )
    send = Send(RevokeAndAck(channel.id, released.secret, released.next_point))
    settled = _settle(after)
    return Step(settled.state, (send, *settled.actions))


def receive_revoke_and_ack(channel: Channel, message: RevokeAndAck) -> ChannelStep:
    """BOLT 2 `revoke_and_ack`."""
    if not channel.awaiting_revocation:
        raise PeerFault(Severity.FAIL_CHANNEL, "revoke_and_ack without a commitment to revoke")
    # BOLT 2: if `per_commitment_secret` is not a valid secret key or does not generate the previous
    # `per_commitment_point`: MUST send an `error` and fail the channel.
    secret = Secret(message.per_commitment_secret)
    if not is_secret(secret) or point_of(secret) != channel.their_points[0]:
        raise PeerFault(Severity.FAIL_CHANNEL, "per_commitment_secret is not of their last point")
    try:
        secrets = channel.their_secrets.insert(LAST_INDEX - (channel.their_number - 1), secret)
    except DecodeError as error:
        raise PeerFault(Severity.FAIL_CHANNEL, f"per_commitment_secret: {error}") from None
    moved = _beat(channel, Beat.THEY_REVOKE)
    after = replace(
        moved,
        awaiting_revocation=False,
        their_secrets=secrets,
        their_points=(channel.their_points[1], message.next_per_commitment_point),
    )
    settled = _settle(after)
    committed = tuple(
        HtlcCommitted(h)
        for key, h in settled.state.htlcs.items()
        if h.stage is Stage.RCVD_ADD_ACK_REVOCATION
        and channel.htlcs[key].stage is not Stage.RCVD_ADD_ACK_REVOCATION
    )
    return Step(settled.state, (*settled.actions, *committed))


def _beat(
    channel: Channel, beat: Beat, *, ours: int | None = None, theirs: int | None = None
) -> Channel:
    """Move every row that waits for `beat`; note the first or last commitment that has it."""
    table: dict[HtlcKey, Htlc] = dict(channel.htlcs)
    for key, htlc in channel.htlcs.items():
        stage = advance(htlc.stage, beat)
        if stage is htlc.stage:
            continue
        before, now = ROWS[htlc.stage], ROWS[stage]
        table[key] = replace(
            htlc,
            stage=stage,
            # Irrevocably in their hands: the onion need not be sent again.
            onion=b"" if stage is Stage.RCVD_ADD_REVOCATION else htlc.onion,
            in_ours=_ranged(htlc.in_ours, before.in_ours, now.in_ours, ours),
            in_theirs=_ranged(htlc.in_theirs, before.in_theirs, now.in_theirs, theirs),
        )
    # By stage: of two fee rates that are agreed equally far the later one counts.  A peer that says
    # new ones and never revokes would pile them up otherwise.
    fees = {stage: u.feerate for u in channel.fees for stage in (advance(u.stage, beat),)}
    return replace(
        channel, htlcs=table, fees=tuple(FeeUpdate(rate, stage) for stage, rate in fees.items())
    )


def _ranged(
    known: CommitmentRange, was_in: bool, is_in: bool, number: int | None
) -> CommitmentRange:
    if number is None or was_in == is_in:
        return known
    return replace(known, first=number) if is_in else replace(known, last=number - 1)


def _settle(channel: Channel) -> ChannelStep:
    """Take rows that are gone out of the table and their money to the settled balances."""
    gone = [h for h in channel.htlcs.values() if h.stage in FINAL]
    fees = channel.fees
    settled = [at for at, update in enumerate(fees) if update.stage in SETTLED]
    after = replace(channel, fees=fees[settled[-1] :]) if settled[-1] else channel
    if not gone:
        return Step(after)
    table: Mapping[HtlcKey, Htlc] = {k: h for k, h in channel.htlcs.items() if h.stage not in FINAL}
    moved = sum(
        -h.amount.msat if h.key.offered_by_us else h.amount.msat
        for h in gone
        if isinstance(h.removal, Fulfilled)
    )
    after = replace(
        after,
        htlcs=table,
        fundings=tuple(_moved(f, moved) for f in channel.fundings),
        in_tally=_counted(channel.in_tally, [h for h in gone if not h.key.offered_by_us]),
        out_tally=_counted(channel.out_tally, [h for h in gone if h.key.offered_by_us]),
    )
    actions = tuple(HtlcGone(h, h.removal) for h in gone if h.removal is not None)
    return Step(after, actions)


def _moved(funding: Funding, to_us: int) -> Funding:
    balance = funding.to_us + MilliSatoshi(to_us)
    return replace(
        funding,
        least_to_us=min(funding.least_to_us, balance),
        most_to_us=max(funding.most_to_us, balance),
        to_us=balance,
        to_them=funding.to_them - MilliSatoshi(to_us),
    )


def _counted(tally: Tally, gone: list[Htlc]) -> Tally:
    paid = [h for h in gone if isinstance(h.removal, Fulfilled)]
    return Tally(
        tally.offered + len(gone),
        tally.offered_msat + sum(h.amount.msat for h in gone),
        tally.fulfilled + len(paid),
        tally.fulfilled_msat + sum(h.amount.msat for h in paid),
    )
