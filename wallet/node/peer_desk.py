"""Peers: who is there, and what they say."""

from typing import Final

from wallet.base.errors import DecodeError
from wallet.base.values.features import Features
from wallet.base.values.ids import ALL_CHANNELS, ChannelId, NodeId
from wallet.base.wire.channel import (
    AcceptChannel,
    ChannelReestablish,
    FundingCreated,
    FundingSigned,
    OpenChannel,
)
from wallet.base.wire.message import Message, UnknownMessage, decode
from wallet.base.wire.setup import Error, reason_of
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import events, reconnect
from wallet.node import gossip_desk, opening_desk
from wallet.node.board import Board
from wallet.node.events import PeerDown, PeerSaid, PeerUp
from wallet.node.memory import ConnectedPeer
from wallet.node.work import DropPeer, Notice, SendTo

COMPLAINTS_PER_HOUR: Final = 20
"""Errors and warnings of one peer that are logged."""
COMPLAINERS_PER_HOUR: Final = 200
"""Peers whose complaints are logged: an opening gives anybody the right to one."""


def peer_up(board: Board, event: PeerUp) -> None:
    """A link is up: remember the peer, and let its channels speak first."""
    memory = board.memory
    features = Features.from_bytes(event.features)
    memory.peers[event.node_id] = ConnectedPeer(
        event.node_id, event.address, event.outbound, features
    )
    if event.outbound or memory.channels_with(event.node_id):
        opening_desk.remember(board, event.node_id)
    gossip_desk.peer_up(board, event.node_id)
    for channel in memory.channels_with(event.node_id):
        board.tell(channel.id, events.PeerConnected(event.features))
    board.work.act(Notice("connect", event.node_id.hex()))


def peer_down(board: Board, event: PeerDown) -> None:
    """A link is gone: openings end, channels wait."""
    memory = board.memory
    memory.peers.pop(event.node_id, None)
    gossip_desk.peer_down(board, event.node_id)
    # What this batch would have said on the old link must not be said on a new one: there
    # channel_reestablish comes first, and it finds out what was missed.
    board.work.actions = [
        a for a in board.work.actions if not (isinstance(a, SendTo) and a.peer == event.node_id)
    ]
    for key in [k for k in memory.openings if k[0] == event.node_id]:
        opening_desk.give_up(
            board, key, f"the peer went away while the channel was opened: {event.reason}"
        )
    for channel in memory.channels_with(event.node_id):
        board.tell(channel.id, events.PeerDisconnected())
    board.work.act(Notice("disconnect", event.node_id.hex()))


def peer_said(board: Board, event: PeerSaid) -> None:
    """One message; whatever it is, the worst that follows is a closed link or a failed channel."""
    if event.node_id not in board.memory.peers:
        return
    try:
        message = decode(event.data)
        if isinstance(message, UnknownMessage):
            return
        _route(board, event.node_id, message)
    except DecodeError as error:
        _warn_and_drop(board, event.node_id, ALL_CHANNELS, str(error))


def _warn_and_drop(board: Board, peer: NodeId, channel_id: ChannelId, reason: str) -> None:
    board.work.act(SendTo(peer, PeerWarning(channel_id, reason.encode())))
    board.work.act(DropPeer(peer, reason))


def _route(board: Board, peer: NodeId, message: Message) -> None:
    match message:
        case OpenChannel():
            opening_desk.accept(board, peer, message)
        case AcceptChannel() | FundingCreated():
            opening_desk.advance(board, peer, message.temporary_channel_id, message)
        case FundingSigned():
            opening_desk.advance(board, peer, message.channel_id, message)
        case Error() | PeerWarning():
            _complaint(board, peer, message)
        case _ if isinstance(message, gossip_desk.GOSSIP):
            gossip_desk.heard(board, peer, message)
        case _:
            _to_channel(board, peer, message)


def _to_channel(board: Board, peer: NodeId, message: Message) -> None:
    channel_id = getattr(message, "channel_id", None)
    if channel_id is None:
        return
    channel = board.memory.channels.get(channel_id)
    if channel is not None and channel.terms.peer == peer:
        board.tell(channel_id, events.MessageReceived(message))
        return
    if isinstance(message, ChannelReestablish):
        for zero in reconnect.of_no_channel(message):
            board.work.act(SendTo(peer, zero))
        board.work.act(SendTo(peer, Error(channel_id, b"we do not know this channel")))
    else:
        board.work.act(SendTo(peer, PeerWarning(channel_id, b"we do not know this channel")))


def _complaint(board: Board, peer: NodeId, message: Error | PeerWarning) -> None:
    reason = reason_of(message)
    everything = message.channel_id == ALL_CHANNELS
    # A warning that names no channel is of gossip or the like: it ends no opening.
    all_openings = everything and isinstance(message, Error)
    openings = [
        k
        for k in board.memory.openings
        if k[0] == peer
        and (all_openings or message.channel_id in (k[1], opening_desk.drafted_id(board, k)))
    ]
    channels = [
        c for c in board.memory.channels_with(peer) if everything or c.id == message.channel_id
    ]
    if (openings or channels) and _has_room_in_log(board, peer):
        # Words about channels that nobody has would let a stranger fill the log.
        board.log.append(f"{peer.hex()} says ({message.name}): {reason}")
    for key in openings:
        opening_desk.give_up(board, key, f"the peer refused the channel: {reason}")
    for channel in channels:
        board.tell(channel.id, events.MessageReceived(message))


def _has_room_in_log(board: Board, peer: NodeId) -> bool:
    """Whether one more complaint of this peer may be logged: a disk is easily filled with words."""
    hour, said = board.ctx.now // 3600, board.memory.complaints
    if said and next(iter(said))[1] != hour:
        said.clear()
    count = said.get((peer, hour), 0)
    if count >= COMPLAINTS_PER_HOUR or len(said) >= COMPLAINERS_PER_HOUR:
        return False
    said[peer, hour] = count + 1
    return True
