"""Legacy `closing_signed`: the opener pays, and both look for one fee (BOLT 2).

The modern method: the opener sends a fee range, the other side picks a fee in it; without a range,
between the two last offers.  Spoken with peers that did not negotiate `option_simple_close`.
"""

from dataclasses import replace
from typing import Final

from wallet.base.channel_tx.closing import Closing, ClosingTerms, build_closing, closing_weight
from wallet.base.crypto.curve import verify
from wallet.base.errors import InvariantBroken, PeerFault, Severity, ensure
from wallet.base.values.amounts import FEERATE_FLOOR, Satoshi
from wallet.base.values.ids import Signature
from wallet.base.wire.channel import ClosingSigned, FeeRange
from wallet.base.wire.setup import warning_for
from wallet.machines.channel.actions import Action, Broadcast, CloseSigned, Send
from wallet.machines.channel.clearing import is_clear, is_empty, is_simple, negotiating
from wallet.machines.channel.commitments import spend_funding
from wallet.machines.channel.state import Channel, Negotiation, Phase, SignedClose
from wallet.machines.signing import FundingKey, SignDigest
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

OFFERED_FACTOR: Final = 2
OFFERED_MORE: Final = Satoshi(1_000)
"""As opener we offer all from the relay floor to this multiple of our estimate, or this much more
than it if that is greater. No further: LDK takes the most that a range offers."""
MAX_FEE_FACTOR: Final = 10
"""As opener we go up to this multiple of our estimate with a peer that knows no range."""
STEPS: Final = 8
"""Of what is left to our limit an offer takes this part."""


def _terms(channel: Channel) -> ClosingTerms:
    funding, terms = channel.funding, channel.terms
    ours, theirs = channel.our_shutdown, channel.their_shutdown
    ensure(ours is not None and theirs is not None, "closing before both said shutdown")
    us = (funding.our_pubkey, funding.to_us, ours or b"")
    them = (funding.their_pubkey, funding.to_them, theirs or b"")
    opener, accepter = (us, them) if terms.we_opened else (them, us)
    return ClosingTerms(
        funding=funding.outpoint,
        funding_amount=funding.amount,
        opener_funding_pubkey=opener[0],
        accepter_funding_pubkey=accepter[0],
        to_opener=opener[1],
        to_accepter=accepter[1],
        opener_script=opener[2],
        accepter_script=accepter[2],
    )


def our_closing(channel: Channel, fee: Satoshi) -> Closing:
    """The transaction we sign at `fee`; `PeerFault` when the opener cannot pay it."""
    closing = build_closing(_terms(channel), fee, channel.terms.ours.dust_limit)
    if closing is None:
        raise PeerFault(Severity.FAIL_CHANNEL, f"no closing transaction can pay a fee of {fee}")
    return closing


def _weight(channel: Channel) -> int:
    return closing_weight(channel.our_shutdown or b"", channel.their_shutdown or b"")


def _our_range(channel: Channel, ctx: Context) -> tuple[Satoshi, Satoshi, Satoshi]:
    """Our ideal, least and greatest fee."""
    weight = _weight(channel)
    low, high = channel.close_feerates or (FEERATE_FLOOR, None)
    wanted = max(ctx.feerate, FEERATE_FLOOR, low)
    ideal = (wanted if high is None else min(wanted, high)).fee_ceil(weight)
    least = low.fee_ceil(weight)
    balance = (
        channel.funding.to_us if channel.terms.we_opened else channel.funding.to_them
    ).floor_to_sat()
    if high is not None:
        greatest = high.fee_ceil(weight)
    else:
        offered = max(Satoshi(ideal.sat * OFFERED_FACTOR), ideal + OFFERED_MORE)
        greatest = offered if channel.terms.we_opened else balance
    return min(ideal, balance), min(least, balance), min(greatest, balance)


def _most_without_range(channel: Channel, ideal: Satoshi, greatest: Satoshi) -> Satoshi:
    """Our greatest fee with a peer that names no range."""
    if not channel.terms.we_opened or channel.close_feerates is not None:
        return greatest
    most = Satoshi(ideal.sat * MAX_FEE_FACTOR)
    return max(greatest, min(most, channel.funding.to_us.floor_to_sat()))


def _propose(channel: Channel, fee: Satoshi, fee_range: tuple[Satoshi, Satoshi]) -> Send:
    closing = our_closing(channel, fee)
    key = FundingKey(channel.terms.keys_id, channel.funding.number)
    message = ClosingSigned(channel.id, fee, Signature(bytes(64)), FeeRange(*fee_range))
    return Send(message, (SignDigest(key, closing.digest),))


def open_negotiation(channel: Channel, ctx: Context) -> ChannelStep:
    """The opener's first fee on this connection."""
    if channel.negotiation.our_fee is not None or not is_clear(channel):
        return Step(channel)
    ideal, least, greatest = _our_range(channel, ctx)
    if channel.signed_close is not None:
        ideal = channel.signed_close.fee
        least, greatest = min(least, ideal), max(greatest, ideal)
    send = _propose(channel, ideal, (least, greatest))
    said = replace(channel.negotiation, our_fee=ideal, our_range=(least, greatest), since=ctx.now)
    return Step(replace(channel, negotiation=said), (send,))


def receive_closing_signed(channel: Channel, message: ClosingSigned, ctx: Context) -> ChannelStep:
    """BOLT 2 `closing_signed`: agree, answer with another fee, or refuse."""
    # BOLT 2: these requirements only apply if `option_simple_close` is NOT negotiated.
    if is_simple(channel):
        raise PeerFault(Severity.WARN, "closing_signed although simple close is negotiated")
    closing = {Phase.SHUTTING_DOWN, Phase.NEGOTIATING, Phase.MUTUALLY_CLOSED}
    if channel.phase not in closing or not is_empty(channel):
        raise PeerFault(Severity.WARN, "closing_signed before the channel is clear of HTLCs")
    channel = negotiating(channel, ctx, asked=True)
    _check_signature(channel, message)
    fee = message.fee_satoshis
    talk = channel.negotiation
    if fee == talk.our_fee:
        return _agree(channel, message, ctx)
    ideal, least, greatest = _our_range(channel, ctx)
    theirs = message.fee_range
    if theirs is not None:
        low, high = max(least, theirs.min_fee_satoshis), min(greatest, theirs.max_fee_satoshis)
        if low > high:
            refusal = (
                f"no closing fee suits both: we take {least} to {greatest},"
                f" they offer {theirs.min_fee_satoshis} to {theirs.max_fee_satoshis}"
            )
            # Not raised: that the peer talks of the close already must be remembered.
            return Step(channel, (Send(warning_for(channel.id, refusal)),))
        if channel.terms.we_opened or talk.our_fee is not None:
            # BOLT 2: if it is the funder and `fee_satoshis` is not in the overlap between the sent
            # and received `fee_range`: MUST fail the channel.
            if not channel.terms.we_opened or not low <= fee <= high:
                raise PeerFault(Severity.FAIL_CHANNEL, f"closing fee {fee} is not what was agreed")
            answer = fee
        else:
            answer = fee if low <= fee <= high else min(max(ideal, low), high)
    elif not _moves(talk, fee):
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"closing fee {fee} is not between {talk.our_fee} and {talk.their_fee}",
        )
    else:
        most = _most_without_range(channel, ideal, greatest)
        inside = least <= fee <= most
        answer = fee if inside else _step_towards(fee, talk.our_fee, ideal, (least, most))
        least, greatest = min(least, answer), max(greatest, answer)
    talking = replace(
        talk,
        our_fee=answer,
        our_range=(least, greatest),
        their_fee=fee,
        since=talk.since or ctx.now,
    )
    said = replace(channel, negotiation=talking)
    send = _propose(said, answer, (least, greatest))
    if answer != fee:
        return Step(said, (send,))
    agreed = _agree(said, message, ctx)
    return Step(agreed.state, (send, *agreed.actions))


def _step_towards(
    fee: Satoshi, last: Satoshi | None, ideal: Satoshi, limits: tuple[Satoshi, Satoshi]
) -> Satoshi:
    """Our next offer to a peer whose fee is beyond our limits.

    LND gives way by a tenth each time: our steps are small enough to meet it, and shrink towards
    the limit, so that there is nearly always one left.
    """
    if last is None:
        return ideal
    least, greatest = limits
    left = min(max(fee, least), greatest).sat - last.sat
    if not left:
        raise PeerFault(Severity.FAIL_CHANNEL, f"no closing fee between {last} and {fee}")
    step = max(abs(left) // STEPS, 1)
    return Satoshi(last.sat + (step if left > 0 else -step))


def _moves(talk: Negotiation, fee: Satoshi) -> bool:
    """BOLT 2: without a range, each fee is strictly between the last of both sides."""
    if talk.our_fee is None or talk.their_fee is None:
        return True
    return min(talk.our_fee, talk.their_fee) < fee < max(talk.our_fee, talk.their_fee)


def _check_signature(channel: Channel, message: ClosingSigned) -> None:
    """BOLT 2: the signature must be valid for either variant of the closing transaction."""
    if _signed_by_them(channel, message.fee_satoshis, message.signature) is None:
        raise PeerFault(
            Severity.FAIL_CHANNEL,
            f"bad signature in closing_signed for a fee of {message.fee_satoshis}",
        )


def _signed_by_them(channel: Channel, fee: Satoshi, signature: Signature) -> Closing | None:
    """Their variant that this signature is for: with their own output, or without it."""
    terms = _terms(channel)
    they_opened = not channel.terms.we_opened
    variants = (
        build_closing(terms, fee, channel.terms.theirs.dust_limit),
        build_closing(terms, fee, channel.terms.ours.dust_limit),
        build_closing(
            terms,
            fee,
            channel.terms.theirs.dust_limit,
            with_opener=not they_opened,
            with_accepter=they_opened,
        ),
    )
    for closing in variants:
        if closing and verify(channel.funding.their_pubkey, closing.digest, signature):
            return closing
    return None


def _agree(channel: Channel, message: ClosingSigned, ctx: Context) -> ChannelStep:
    signed = replace(
        channel, signed_close=SignedClose(message.fee_satoshis, message.signature)
    ).with_phase(
        Phase.MUTUALLY_CLOSED,
        ctx.now,
        "remote",
        f"Agreed on a closing fee of {message.fee_satoshis}",
    )
    broadcasts = broadcast_signed(signed)
    if signed.signed_close == channel.signed_close:
        return Step(signed, broadcasts)
    fee, we_pay = message.fee_satoshis, channel.terms.we_opened
    told = [CloseSigned(b.transaction.tx.txid, fee, we_pay) for b in broadcasts]
    return Step(signed, (*broadcasts, *told))


def broadcast_signed(channel: Channel) -> tuple[Broadcast, ...]:
    """The agreed closing transaction, to be broadcast (again, after a restart)."""
    close = channel.signed_close
    if close is None:
        return ()
    closing = _signed_by_them(channel, close.fee, close.their_signature)
    if closing is None:
        raise InvariantBroken("the signed close no longer matches the channel")
    transaction = spend_funding(
        channel.terms,
        channel.funding,
        closing.tx,
        closing.digest,
        closing.funding_script,
        close.their_signature,
    )
    return (Broadcast(transaction, "mutual close"),)
