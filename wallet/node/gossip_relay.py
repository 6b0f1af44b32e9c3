"""What peers get of gossip: what is new at once, what they ask for a slice at a time.

BOLT 7: "MUST NOT relay any gossip messages it did not generate itself, unless explicitly
requested": nothing of others goes to a peer that has not sent a filter.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wallet.base.errors import PeerFault, Severity
from wallet.base.values.ids import NodeId
from wallet.base.wire.gossip import (
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
)
from wallet.base.wire.message import Message
from wallet.machines.routing.gossip import GossipMessage
from wallet.machines.routing.gossip_book import direction_of
from wallet.machines.routing.gossip_queries import (
    TimeRange,
    answer_ids,
    answer_range,
    backlog,
    range_of,
)
from wallet.node.board import Board
from wallet.node.gossip_traffic import ANSWERS, GossipPeer
from wallet.node.work import SendTo

_COSTLY: Final = 100


def take_filter(board: Board, peer: NodeId, message: GossipTimestampFilter) -> None:
    """A peer says what it wants to hear; it replaces what it has said before."""
    memory = board.memory
    if message.chain_hash != board.chain.chain_hash:
        return
    there = memory.traffic.peers[peer]
    first_time = there.wanted is None
    there.wanted = range_of(message)
    there.backlog = backlog(memory.gossip, there.wanted)
    # Later ones wait for the clock: a filter costs its sender nothing.
    if first_time:
        send_slice(board, peer, there)


def take_query(
    board: Board, peer: NodeId, message: QueryShortChannelIds | QueryChannelRange
) -> None:
    """A peer asks for a part of the map. Raises `PeerFault`."""
    memory = board.memory
    there = memory.traffic.peers[peer]
    kind = type(message)
    if kind in there.answers:
        # BOLT 7: one question of a kind at a time; otherwise "MAY send a `warning`".
        raise PeerFault(Severity.WARN, f"{message.name} before the last one is answered")
    chain_hash = board.chain.chain_hash
    if isinstance(message, QueryShortChannelIds):
        there.answers[kind] = answer_ids(memory.gossip, message, chain_hash)
    else:
        there.answers[kind] = answer_range(memory.gossip, message, chain_hash)
    # BOLT 7: "SHOULD NOT wait for the next outgoing gossip flush to send these."
    _answer(board, peer, there, kind)


def send_slice(board: Board, peer: NodeId, there: GossipPeer) -> None:
    """One more part of what a peer still gets."""
    for kind in list(there.answers):
        _answer(board, peer, there, kind)
    if there.backlog is not None:
        there.backlog = _take(board, peer, there.backlog)


def _answer(board: Board, peer: NodeId, there: GossipPeer, kind: type[Message]) -> None:
    if _take(board, peer, there.answers[kind]) is None:
        del there.answers[kind]


_Slices = Iterator[Message | None]


def _take(board: Board, peer: NodeId, messages: _Slices) -> _Slices | None:
    """Send up to a second's share; None when that was the end."""
    left = ANSWERS
    for message in messages:
        if message is not None:
            board.work.act(SendTo(peer, message))
        # A reply with hundreds of channels, or a look at a thousand, costs us many messages' time.
        left -= _COSTLY if message is None or isinstance(message, ReplyChannelRange) else 1
        if left <= 0:
            return messages
    return None


def relay(board: Board, message: GossipMessage, source: NodeId, *, first_update: bool) -> None:
    """Pass on what is new to everyone who wants it, but not to whom we have it from.

    `first_update`: the channel had none before.  Its announcement goes ahead of it then (BOLT 7:
    MUST NOT send a `channel_announcement` that has no `channel_update`), and its nodes follow.
    """
    for peer, there in board.memory.traffic.peers.items():
        if there.wanted is not None and peer != source:
            for part in _bundle(board, message, there.wanted, first_update=first_update):
                board.work.act(SendTo(peer, part))


def _bundle(
    board: Board, message: GossipMessage, wanted: TimeRange, *, first_update: bool
) -> Sequence[Message]:
    gossip = board.memory.gossip
    match message:
        case NodeAnnouncement():
            return (message,) if message.timestamp in wanted else ()
        case ChannelUpdate():
            if message.timestamp not in wanted:
                return ()
            if not first_update:
                return (message,)
            announcement = gossip.announcement(message.short_channel_id.to_int())
            nodes = (gossip.node(n) for n in (announcement.node_id_1, announcement.node_id_2))
            fresh = [n for n in nodes if n is not None and n.timestamp in wanted]
            return (announcement, message, *fresh)
        case _:
            # BOLT 7: an announcement is considered after its first `channel_update`.
            return ()


def publish(board: Board, messages: Sequence[GossipMessage]) -> None:
    """Tell everyone who has sent a filter, whatever it says, and all with whom we have a channel.

    BOLT 7: "SHOULD send gossip messages as it generates them regardless of `timestamp`."  A partner
    may ask for no gossip at all of us, and be the only one who could pass ours on.
    """
    partners = {channel.terms.peer for channel in board.memory.channels.values()}
    for peer, there in board.memory.traffic.peers.items():
        asked = there.wanted is not None
        if asked or peer in partners:
            for message in messages:
                if asked or _is_ours(board, message):
                    board.work.act(SendTo(peer, message))


def _is_ours(board: Board, message: GossipMessage) -> bool:
    match message:
        case NodeAnnouncement():
            return message.node_id == board.signer.node_id
        case ChannelUpdate():
            scid = message.short_channel_id.to_int()
            return board.memory.gossip.owner(scid, direction_of(message)) == board.signer.node_id
        case _:
            return True
