"""`option_simple_close`: each side proposes a closing transaction and pays for it (BOLT 2).

The proposer is the *closer* and says `closing_complete`; the other, the *closee*, signs and answers
`closing_sig`.  There is nothing to agree on: both versions may be broadcast, the chain picks one.
Either may replace its own by one that pays more.

Rule 1: an offer of ours never pays less than the one before, whatever became of that.
Rule 2: what both have signed is state, with its scripts, until a block has one of them.
"""

from dataclasses import replace
from typing import Final, NoReturn, TypeAlias

from wallet.base.bitcoin.script import dust_limit
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.channel_tx.simple_closing import (
    ClosingOutputs,
    SimpleClosing,
    SimpleTerms,
    build_simple_closing,
    offered_outputs,
    selected_outputs,
)
from wallet.base.crypto.curve import verify
from wallet.base.errors import InvariantBroken, PeerFault, Refused, Severity
from wallet.base.values.amounts import FEERATE_FLOOR, ZERO_SAT, FeeratePerKw, Satoshi
from wallet.base.values.ids import Signature
from wallet.base.wire.channel import ClosingComplete, ClosingSig
from wallet.machines.channel.actions import Action, Broadcast, CloseSigned, Send
from wallet.machines.channel.clearing import is_clear, is_empty, is_simple, negotiating
from wallet.machines.channel.close_scripts import check_their_script
from wallet.machines.channel.close_versions import CloseVersion, Proposal
from wallet.machines.channel.commitments import spend_funding
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.machines.signing import FundingKey, SignDigest
from wallet.machines.step import Context, Step

ChannelStep = Step[Channel, Action]

_LOCKTIME: Final = 0
"""Valid at once, also for a node whose chain is a block behind ours."""
_REPLACEMENT_STEP: Final = FEERATE_FLOOR
"""BIP 125, rule 4: a replacement pays for its own relay on top of what it replaces."""
REPLACE_AFTER: Final = 4
"""Blocks between two offers that nobody asked for: eclair signs none within 3, and its tip may be
one behind ours."""
_Fields: TypeAlias = tuple[Signature | None, Signature | None, Signature | None]
_CLOSING: Final = frozenset({Phase.SHUTTING_DOWN, Phase.NEGOTIATING, Phase.MUTUALLY_CLOSED})


# --- as closer ----------------------------------------------------------------------------------


def propose(channel: Channel, ctx: Context) -> ChannelStep:
    """Say `closing_complete` where an offer is due: the first, or one that pays more."""
    talk, close = channel.negotiation, channel.simple_close
    # BOLT 2: if it wants to send another `closing_complete`: MUST wait until it has received
    # `closing_sig` first.  And `closee_scriptpubkey` is the last script it received from its peer:
    # after a reconnect that is in their `shutdown`, which is on its way.
    if talk.proposal is not None or not talk.heard_shutdown or not is_clear(channel):
        return Step(channel)
    fee = _next_fee(channel, ctx)
    if fee is None:
        return Step(channel)
    proposal = Proposal(channel.our_shutdown or b"", channel.their_shutdown or b"", fee, _LOCKTIME)
    asking = replace(
        channel,
        negotiation=replace(talk, proposal=proposal, since=ctx.now),
        simple_close=replace(close, highest_fee=fee, offered_height=ctx.height.height),
    )
    return Step(asking, (_closing_complete(channel, proposal),))


def _closing_complete(channel: Channel, proposal: Proposal) -> Send:
    terms = _terms(channel, proposal, we_are_closer=True)
    versions = {outputs: _build(terms, outputs) for outputs in offered_outputs(terms)}
    message = ClosingComplete(
        channel.id,
        proposal.closer_script,
        proposal.closee_script,
        proposal.fee,
        proposal.locktime,
        *_unsigned(*versions),
    )
    return Send(message, tuple(_to_sign(channel, closing) for closing in versions.values()))


def _next_fee(channel: Channel, ctx: Context) -> Satoshi | None:
    """What we offer now, if anything."""
    close, wanted = channel.simple_close, _wanted(channel, ctx)
    if wanted is None:
        return None
    highest = close.highest_fee or ZERO_SAT
    if close.ours is None or close.ours.fee < highest:
        # They may hold our last offer, signed: their answer to it was lost with the connection.
        return max(wanted, highest)
    since = None if close.offered_height is None else ctx.height.height - close.offered_height
    waited = since is None or since >= REPLACE_AFTER
    return wanted if waited and wanted >= _least_replacement(channel, ctx) else None


def _wanted(channel: Channel, ctx: Context) -> Satoshi | None:
    """The fee that our estimate and the person's limits ask for, as far as we can pay it.

    None: we cannot pay for relay and have an output left.  The peer's version gives us more then.
    """
    weight, funding = _weight(channel), channel.funding
    low, high = channel.close_feerates or (FEERATE_FLOOR, None)
    rate = max(ctx.feerate, FEERATE_FLOOR, low)
    ideal = (rate if high is None else min(rate, high)).fee_ceil(weight)
    # BOLT 2: MUST set `fee_satoshis` so that at least one output is not dust.
    most = funding.to_us.floor_to_sat() - dust_limit(channel.our_shutdown or b"")
    fee = min(ideal, most)
    return fee if fee >= FEERATE_FLOOR.fee_ceil(weight) else None


def _least_replacement(channel: Channel, ctx: Context) -> Satoshi:
    """What takes the place of every version that a mempool may hold."""
    # One of theirs that is locked until later, or that nobody relays, must not keep us from raising
    # ours, whatever fee it names.
    built = [
        _rebuilt(channel, version)
        for version in channel.simple_close.versions
        if version.we_are_closer or version.locktime <= ctx.height.height
    ]
    held = [closing.fee_paid for closing in built if not closing.has_dust]
    least = max(held, default=ZERO_SAT) + _REPLACEMENT_STEP.fee_ceil(_weight(channel))
    return max(least, channel.simple_close.highest_fee or ZERO_SAT)


def _weight(channel: Channel) -> int:
    ours, theirs = channel.our_shutdown or b"", channel.their_shutdown or b""
    alone = channel.funding.to_them.floor_to_sat() < dust_limit(theirs)
    return closing_weight(ours) if alone else closing_weight(ours, theirs)


def raise_fee(channel: Channel, ctx: Context) -> Channel:
    """A person wants the agreed close to pay more; raises `Refused` when it would not."""
    wanted, least = _wanted(channel, ctx), _least_replacement(channel, ctx)
    if wanted is None or wanted < least:
        rate = FeeratePerKw((least.sat - 1) * 1000 // _weight(channel) + 1)
        raise Refused(
            f"this channel is closed already and waits for its block ({channel.phase}). To replace"
            f" the closing transaction, ask for a fee rate of at least {rate}, which costs us"
            f" {least} of our {channel.funding.to_us.floor_to_sat()} in it"
        )
    return at_once(channel)


def at_once(channel: Channel) -> Channel:
    """Another offer need not wait for blocks."""
    return replace(channel, simple_close=replace(channel.simple_close, offered_height=None))


def receive_closing_sig(channel: Channel, message: ClosingSig, ctx: Context) -> ChannelStep:
    """BOLT 2 `closing_sig`: the closee signed one of the versions that we offered."""
    proposal = channel.negotiation.proposal
    # BOLT 2: If `closer_scriptpubkey`, `closee_scriptpubkey`, `fee_satoshis` or `locktime` don't
    # match what was sent in `closing_complete`: MUST either send a `warning` and close the
    # connection, or send an `error` and fail the channel.
    if proposal is None or proposal != _said(message):
        raise PeerFault(Severity.DISCONNECT, "closing_sig for another closing_complete than ours")
    signatures = _signatures(message)
    if len(signatures) != 1:
        _breach(channel, f"closing_sig with {len(signatures)} signatures")
    ((outputs, signature),) = signatures.items()
    terms = _terms(channel, proposal, we_are_closer=True)
    if outputs not in offered_outputs(terms):
        _breach(channel, f"closing_sig for {outputs}, which we did not offer")
    _check_signature(channel, _build(terms, outputs), signature, message.name)
    version = _version(proposal, outputs, signature, we_are_closer=True)
    answered = replace(
        channel,
        negotiation=replace(channel.negotiation, proposal=None),
        simple_close=replace(channel.simple_close, ours=version),
    )
    closed = _closed(answered, f"Closing for a fee of {proposal.fee}, which we pay", ctx)
    return Step(closed, _agreed_on(channel, version))


# --- as closee ----------------------------------------------------------------------------------


def receive_closing_complete(
    channel: Channel, message: ClosingComplete, ctx: Context
) -> ChannelStep:
    """BOLT 2 `closing_complete`: the peer pays, so whatever it offers is signed."""
    if not is_simple(channel):
        raise PeerFault(Severity.WARN, "closing_complete without option_simple_close")
    if channel.phase not in _CLOSING or not is_empty(channel):
        raise PeerFault(Severity.WARN, "closing_complete before the channel is clear of HTLCs")
    # BOLT 2: If `closee_scriptpubkey` does not match the last script it sent: SHOULD ignore
    # `closing_complete`. SHOULD send a `warning`. SHOULD close the connection.
    if message.closee_scriptpubkey != channel.our_shutdown:
        raise PeerFault(Severity.DISCONNECT, "closing_complete pays us to another script than ours")
    # BOLT 2: If `closer_scriptpubkey` is invalid: SHOULD ignore `closing_complete`. SHOULD send a
    # `warning`. SHOULD close the connection.
    check_their_script(channel, message.closer_scriptpubkey, Severity.DISCONNECT)
    if message.closer_scriptpubkey != channel.their_shutdown and channel.signed_close is not None:
        # Agreed by `closing_signed` on an earlier connection: it is built from their `shutdown`.
        raise PeerFault(Severity.DISCONNECT, "closing_complete to another script than agreed on")
    proposal = _said(message)
    # BOLT 2: If `fee_satoshis` is greater than the closer's outstanding balance: MUST either send a
    # `warning` and close the connection, or send an `error` and fail the channel.
    if proposal.fee > channel.funding.to_them.floor_to_sat():
        _breach(channel, f"closing_complete with a fee of {proposal.fee}, more than the peer has")
    terms = _terms(channel, proposal, we_are_closer=False)
    signatures = _signatures(message)
    outputs = selected_outputs(terms, frozenset(signatures))
    signature = signatures.get(outputs)
    if signature is None:
        _breach(channel, f"closing_complete without {outputs}")
    closing = _build(terms, outputs)
    _check_signature(channel, closing, signature, message.name)
    version = _version(proposal, outputs, signature, we_are_closer=False)
    # BOLT 2: MUST use `closer_scriptpubkey` for its own future `closing_complete` messages.
    signed = replace(
        negotiating(channel, ctx, asked=True),
        their_shutdown=message.closer_scriptpubkey,
        simple_close=replace(channel.simple_close, theirs=version),
    )
    closed = _closed(signed, f"Closing for a fee of {proposal.fee}, which the peer pays", ctx)
    answer = ClosingSig(
        channel.id,
        proposal.closer_script,
        proposal.closee_script,
        proposal.fee,
        proposal.locktime,
        *_unsigned(outputs),
    )
    # BOLT 2: MUST sign and broadcast the corresponding closing transaction.
    send = Send(answer, (_to_sign(channel, closing),))
    return Step(closed, (send, *_agreed_on(channel, version)))


# --- both ---------------------------------------------------------------------------------------


def _said(message: ClosingComplete | ClosingSig) -> Proposal:
    return Proposal(
        message.closer_scriptpubkey,
        message.closee_scriptpubkey,
        message.fee_satoshis,
        message.locktime,
    )


def _signatures(message: ClosingComplete | ClosingSig) -> dict[ClosingOutputs, Signature]:
    found = {outputs: getattr(message, outputs.value) for outputs in ClosingOutputs}
    return {outputs: signature for outputs, signature in found.items() if signature is not None}


def _unsigned(*named: ClosingOutputs) -> _Fields:
    """The signature fields of a message, in TLV order: those named wait to be filled."""
    closer, closee, both = (
        Signature(bytes(64)) if outputs in named else None for outputs in ClosingOutputs
    )
    return closer, closee, both


def _terms(channel: Channel, said: Proposal | CloseVersion, *, we_are_closer: bool) -> SimpleTerms:
    funding = channel.funding
    us, them = (funding.our_pubkey, funding.to_us), (funding.their_pubkey, funding.to_them)
    closer, closee = (us, them) if we_are_closer else (them, us)
    return SimpleTerms(
        funding=funding.outpoint,
        funding_amount=funding.amount,
        closer_funding_pubkey=closer[0],
        closee_funding_pubkey=closee[0],
        to_closer=closer[1],
        to_closee=closee[1],
        closer_script=said.closer_script,
        closee_script=said.closee_script,
        fee=said.fee,
        locktime=said.locktime,
    )


def _build(terms: SimpleTerms, outputs: ClosingOutputs) -> SimpleClosing:
    closing = build_simple_closing(terms, outputs)
    if closing is None:
        raise InvariantBroken(f"a closing fee of {terms.fee} is more than the closer has")
    return closing


def _rebuilt(channel: Channel, version: CloseVersion) -> SimpleClosing:
    terms = _terms(channel, version, we_are_closer=version.we_are_closer)
    return _build(terms, version.outputs)


def _to_sign(channel: Channel, closing: SimpleClosing) -> SignDigest:
    return SignDigest(FundingKey(channel.terms.keys_id, channel.funding.number), closing.digest)


def _version(
    said: Proposal, outputs: ClosingOutputs, signature: Signature, *, we_are_closer: bool
) -> CloseVersion:
    return CloseVersion(
        we_are_closer,
        said.closer_script,
        said.closee_script,
        said.fee,
        said.locktime,
        outputs,
        signature,
    )


def _check_signature(
    channel: Channel, closing: SimpleClosing, signature: Signature, name: str
) -> None:
    # BOLT 2: If the signature field is not valid for the corresponding closing transaction, or
    # non-compliant with LOW-S-standard rule: MUST either send a `warning` and close the connection,
    # or send an `error` and fail the channel.
    if not verify(channel.funding.their_pubkey, closing.digest, signature):
        _breach(channel, f"bad signature in {name} for {closing.tx.txid}")


def _breach(channel: Channel, reason: str) -> NoReturn:
    """A peer that cannot sign a close would not learn it by a reconnect: the money comes home by
    our commitment.  Where a version is signed already, that one brings it."""
    living = channel.phase in LIVING
    raise PeerFault(Severity.FAIL_CHANNEL if living else Severity.DISCONNECT, reason)


def _closed(channel: Channel, sentence: str, ctx: Context) -> Channel:
    return channel.with_phase(Phase.MUTUALLY_CLOSED, ctx.now, "remote", sentence)


def _agreed_on(channel: Channel, version: CloseVersion) -> tuple[Action, ...]:
    sending = broadcast_version(channel, version)
    if version in channel.simple_close.versions:
        # Signed again, after a reconnect.
        return (sending,)
    fee = _rebuilt(channel, version).fee_paid
    return (sending, CloseSigned(sending.transaction.tx.txid, fee, version.we_are_closer))


def broadcast_version(channel: Channel, version: CloseVersion) -> Broadcast:
    """A closing transaction that both have signed."""
    closing = _rebuilt(channel, version)
    transaction = spend_funding(
        channel.terms,
        channel.funding,
        closing.tx,
        closing.digest,
        closing.funding_script,
        version.their_signature,
    )
    return Broadcast(transaction, "mutual close")
