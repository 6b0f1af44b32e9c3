"""Money through: an HTLC that names another channel of ours goes on by it, or comes back.

Rule 1: both HTLCs of a forward and its record are of one batch: on disk, or never said.
Rule 2: a preimage goes upstream in the batch in which it comes, although its removal downstream is
not committed; a failure only once the HTLC downstream is in no commitment that can be broadcast.
"""

from wallet.base.errors import Refused
from wallet.base.values.ids import ChannelId, Preimage, ShortChannelId
from wallet.base.wire.failures import Failure, TemporaryChannelFailure
from wallet.machines.channel import actions, events
from wallet.machines.channel.htlc import Failed, Htlc, Malformed
from wallet.machines.channel.limits import spendable
from wallet.machines.channel.names import forwardable_names
from wallet.machines.channel.state import Channel, Link, Phase, ScidKind, is_lost
from wallet.machines.payments import forwarding, forwards, incoming
from wallet.machines.payments.forwards import ForwardRecord, ForwardStatus
from wallet.node import terms_desk
from wallet.node.board import Board
from wallet.node.work import Notice


def forward(board: Board, htlc: incoming.IncomingHtlc, passing: incoming.Forward) -> None:
    """Pass an irrevocable HTLC on, or give it back with the reason sealed for its origin."""
    memory = board.memory
    memory.forward_index += 1
    record = forwards.begun(
        htlc,
        passing,
        name_of(memory.channels[htlc.channel_id]),
        board.ctx.now,
        memory.forward_index,
    )
    named = _named(board, passing.forward.short_channel_id)
    failure: Failure | None = None
    for channel in _ways(board, named):
        refusal = _refusal(board, htlc, passing, channel)
        # What is said is what stands in the way on the channel that the onion names.
        failure = failure or refusal
        if refusal is None and _offer(board, channel, record, passing):
            return
    if named is None:
        failure = forwarding.verdict(passing.forward, htlc, None, board.ctx)
    refused = incoming.refuse(passing.shared_secret, failure or TemporaryChannelFailure())
    _end(board, record, ForwardStatus.LOCAL_FAILED, refused.failure)
    board.run(htlc.channel_id, events.FailHtlc(htlc.id, refused.reason))


def _named(board: Board, scid: ShortChannelId) -> ChannelId | None:
    """The channel that an onion names, unless it may not be named so (BOLT 2 `alias`)."""
    channel_id = board.memory.names.get(scid)
    if channel_id is None or scid not in forwardable_names(board.memory.channels[channel_id]):
        return None
    return channel_id


def _ways(board: Board, named: ChannelId | None) -> list[Channel]:
    """The channel that the onion names, then others with the same peer.

    BOLT 4 "Non-strict Forwarding": a node MAY forward over another channel with the same peer.
    """
    if named is None:
        return []
    first = board.memory.channels[named]
    return [first, *(c for c in board.memory.channels_with(first.terms.peer) if c is not first)]


def _refusal(
    board: Board, htlc: incoming.IncomingHtlc, passing: incoming.Forward, channel: Channel
) -> Failure | None:
    """Why it may not go on by this channel, under our terms; None if it keeps to any of them."""
    refusals = [
        forwarding.verdict(passing.forward, htlc, _view(board, channel, policy), board.ctx)
        for policy in terms_desk.policies(board, channel)
    ]
    return None if None in refusals else refusals[0]


def _view(board: Board, channel: Channel, policy: forwarding.Policy) -> forwarding.OutgoingView:
    closing = channel.our_shutdown is not None or channel.their_shutdown is not None
    dead = channel.id in board.memory.frozen or is_lost(channel)
    closed = channel.phase is not Phase.READY or closing or dead
    return forwarding.OutgoingView(
        policy=policy,
        spendable=spendable(channel),
        peer_connected=channel.link is Link.LIVE,
        closed=closed,
    )


def _offer(
    board: Board, channel: Channel, record: ForwardRecord, passing: incoming.Forward
) -> bool:
    """Whether the channel took it; if so both are remembered."""
    memory = board.memory
    offer = events.OfferHtlc(
        record.amount, record.payment_hash, record.expiry, passing.next_packet.encode()
    )
    try:
        said = board.run(channel.id, offer)
    except Refused:
        return False
    offered = [a.htlc for a in said if isinstance(a, actions.HtlcOffered)]
    if not offered:
        return False
    record = forwards.onward(record, channel.id, offered[0].key.id, name_of(channel))
    key = (record.in_channel, record.in_htlc)
    memory.forwards[key] = record
    memory.forwarded[channel.id, offered[0].key.id] = key
    board.work.forwards[key] = record
    _tell(board, record)
    return True


def under_way(board: Board, channel_id: ChannelId, htlc: Htlc) -> bool:
    """Whether their HTLC has gone on already: a restart says again that it is irrevocable."""
    return (channel_id, htlc.key.id) in board.memory.forwards


def fulfilled(board: Board, channel_id: ChannelId, htlc: Htlc, preimage: Preimage) -> None:
    """The next node gave the preimage: we are owed what it took."""
    record = _record_of(board, channel_id, htlc)
    if record is None:
        return
    _end(board, record, ForwardStatus.SETTLED)
    board.memory.fees_collected_msat += record.fee.msat
    board.memory.forwards_settled += 1
    _answer(board, record, events.FulfillHtlc(record.in_htlc, preimage))


def failed(board: Board, channel_id: ChannelId, htlc: Htlc, removal: Failed | Malformed) -> None:
    """The HTLC that went on is gone for good: the one that came in may go back."""
    record = _record_of(board, channel_id, htlc)
    if record is None:
        # A peer may give the preimage, lose the link before it is committed, and then fail the
        # HTLC: what was paid upstream stays paid.
        return
    _end(board, record, ForwardStatus.FAILED)
    reason = forwards.reason_upstream(record, removal)
    _answer(board, record, events.FailHtlc(record.in_htlc, reason))


def _record_of(board: Board, channel_id: ChannelId, htlc: Htlc) -> ForwardRecord | None:
    """The forward that is to be answered now, if there is one."""
    key = board.memory.forwarded.get((channel_id, htlc.key.id))
    if key is None or key[0] in board.memory.frozen:
        # A frozen channel hears nothing. Its forward stays open: a restart would find the HTLC
        # unanswered and send it on once more; instead it finds the outcome (`persist.load`).
        return None
    return board.memory.forwards[key]


def _answer(
    board: Board, record: ForwardRecord, event: events.FulfillHtlc | events.FailHtlc
) -> None:
    try:
        board.run(record.in_channel, event)
    except Refused as refused:
        # A frozen channel, or one whose end on chain has settled the HTLC: nothing to say to it.
        board.log.append(f"a forward on {record.in_channel.hex()} is not answered: {refused}")


def _end(
    board: Board, record: ForwardRecord, status: ForwardStatus, failure: Failure | None = None
) -> None:
    memory, number = board.memory, None
    if status is not ForwardStatus.LOCAL_FAILED:
        number = memory.forward_updates = memory.forward_updates + 1
    ended = record.ended(status, board.ctx.now, number, failure)
    key = (record.in_channel, record.in_htlc)
    memory.forwards.pop(key, None)
    if record.out_channel is not None and record.out_htlc is not None:
        del memory.forwarded[record.out_channel, record.out_htlc]
    board.work.forwards[key] = ended
    _tell(board, ended)


def _tell(board: Board, record: ForwardRecord) -> None:
    board.work.act(Notice("forward_event", f"{record.in_channel.hex()}/{record.in_htlc}"))


def name_of(channel: Channel) -> ShortChannelId | None:
    """What a channel is called in lists: its place in the chain, or our alias."""
    return channel.scid(ScidKind.REAL) or channel.scid(ScidKind.OURS)
