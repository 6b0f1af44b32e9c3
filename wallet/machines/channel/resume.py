"""After a restart: every action that the stored state still promises, worked out again."""

from wallet.machines.channel import announce
from wallet.machines.channel.actions import Action, Broadcast, HtlcCommitted, HtlcFulfilled, Watch
from wallet.machines.channel.htlc import Fulfilled
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.identify import rebuilt
from wallet.machines.channel.reconnect import disconnected
from wallet.machines.channel.shutdown import broadcast_close
from wallet.machines.channel.state import LIVING, Channel, Phase
from wallet.machines.channel.sweeps import rebroadcast
from wallet.machines.channel.unilateral import broadcast_commitment
from wallet.machines.step import Step

ChannelStep = Step[Channel, Action]


def resume(channel: Channel) -> ChannelStep:
    """The channel as it stands without its peer, and what it has promised.

    Idempotent: resuming what was resumed gives the same state and the same actions.
    """
    away = disconnected(channel)
    actions: list[Action] = []
    if away.phase is not Phase.CLOSED:
        actions.append(Watch(away.funding.outpoint))
    actions += promised(away)
    for htlc in away.htlcs.values():
        if htlc.stage is Stage.RCVD_ADD_ACK_REVOCATION and away.phase in LIVING:
            actions.append(HtlcCommitted(htlc))
        elif htlc.key.offered_by_us and isinstance(htlc.removal, Fulfilled):
            actions.append(HtlcFulfilled(htlc, htlc.removal.preimage))
    return Step(away, (*actions, *announce.again(away)))


def promised(channel: Channel) -> list[Action]:
    """What the channel wants of the chain as long as no block has it; harmless to repeat."""
    if channel.missing is not None and channel.missing.rival is not None:
        # No mempool takes the funding, nor what spends it, while a block has its rival.
        return []
    match channel.phase:
        case Phase.MUTUALLY_CLOSED:
            return [*_funding(channel), *broadcast_close(channel)]
        case Phase.FAILED:
            if not channel.terms.we_opened and channel.funding.confirmed is None:
                # Nothing of ours is in it, and no commitment can be valid before its funding is.
                return []
            return [*_funding(channel), *broadcast_commitment(channel)]
        case Phase.SPENT:
            return _claims(channel)
        case Phase.CLOSED:
            return []
        case Phase.AWAITING_CONFIRMATION | Phase.READY | Phase.SHUTTING_DOWN | Phase.NEGOTIATING:
            return _funding(channel)


def _funding(channel: Channel) -> list[Action]:
    """Ours until a block has it: nothing that spends it can be relayed before."""
    funding = channel.funding
    if funding.transaction is None or funding.confirmed is not None:
        return []
    return [Broadcast(funding.transaction, "funding")]


def _claims(channel: Channel) -> list[Action]:
    end = channel.onchain
    if end is None:
        return []
    built = rebuilt(channel, end)
    watched: list[Action] = [Watch(claim.outpoint) for claim in end.claims]
    return watched + [a for c in end.claims for a in rebroadcast(channel, end, c, built)]
