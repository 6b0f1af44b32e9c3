"""Our own terms of payments that leave by a channel (Core Lightning's `setchannel`).

Rule 1: what is changed is `Channel.relay`; gossip sees the difference at the end of the batch.
Rule 2: the network hears of new terms late, so dearer ones may begin late.  Until then an HTLC may
also keep to the old ones; those are kept in memory alone, one set per channel, so that after a
restart the new terms hold at once.
"""

from dataclasses import dataclass, replace
from typing import Final

from wallet.base.errors import Refused
from wallet.machines.channel.events import ChangeRelay
from wallet.machines.channel.state import LIVING, Channel, RelayPolicy
from wallet.machines.payments.forwarding import Policy, TermsChange, most_of, policy_of
from wallet.node.answers import TermsSet
from wallet.node.board import Board
from wallet.node.events import SetTerms
from wallet.node.memory import OldTerms

TOO_LOW: Final = "warning_htlcmin_too_low"
TOO_HIGH: Final = "warning_htlcmax_too_high"
"""Core Lightning's names."""


@dataclass(frozen=True, slots=True)
class _Change:
    relay: RelayPolicy
    warnings: tuple[tuple[str, str], ...]


def set_terms(board: Board, command: SetTerms) -> None:
    """All of the channels, or none: raises `Refused`."""
    memory = board.memory
    channels = [memory.channel(channel_id) for channel_id in command.channel_ids]
    for channel in channels:
        if channel.phase not in LIVING or channel.id in memory.frozen:
            raise Refused(
                f"channel {channel.id.hex()} is in state {channel.phase}: nothing passes through it"
            )
    changes = [(channel, _changed(channel, command.change)) for channel in channels]
    answers = []
    for channel, change in changes:
        if change.relay != channel.relay:
            _keep_old(board, channel, command.enforce_after)
            board.run(channel.id, ChangeRelay(change.relay))
        answers.append((memory.channels[channel.id], change.warnings))
    board.work.reply(command.ticket, TermsSet(tuple(answers)))


def _changed(channel: Channel, asked: TermsChange) -> _Change:
    relay, warnings = channel.relay, []
    if asked.fee_base is not None:
        relay = replace(relay, fee_base=asked.fee_base)
    if asked.fee_proportional_millionths is not None:
        relay = replace(relay, fee_proportional_millionths=asked.fee_proportional_millionths)
    if asked.htlc_minimum is not None:
        least = channel.terms.theirs.htlc_minimum
        relay = replace(relay, htlc_minimum=max(asked.htlc_minimum, least))
        if asked.htlc_minimum < least:
            warnings.append((TOO_LOW, f"Set to {least}: the peer takes nothing smaller."))
    if asked.htlc_maximum is not None:
        most = most_of(channel)
        relay = replace(relay, htlc_maximum=min(asked.htlc_maximum, most))
        if asked.htlc_maximum > most:
            warnings.append((TOO_HIGH, f"Set to {most}: the channel can carry no more."))
    if relay.htlc_minimum > (relay.htlc_maximum or most_of(channel)):
        raise Refused("htlcmin: nothing is at least this and at most htlcmax", -32602)
    return _Change(relay, tuple(warnings))


def _keep_old(board: Board, channel: Channel, seconds: int) -> None:
    if seconds:
        until = board.ctx.now + seconds
        board.memory.old_terms[channel.id] = OldTerms(channel.relay, until)
    else:
        board.memory.old_terms.pop(channel.id, None)


def policies(board: Board, channel: Channel) -> list[Policy]:
    """What an HTLC has to keep to: one of these, the newest first."""
    old = board.memory.old_terms.get(channel.id)
    relays = [channel.relay]
    if old is not None and board.ctx.now < old.until:
        relays.append(old.relay)
    return [policy_of(replace(channel, relay=relay)) for relay in relays]
