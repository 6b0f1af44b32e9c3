"""Gossip: what peers say of the network, and what of it is true, kept and passed on.

Rule 1: nothing enters the book before its signatures and its funding output are checked, and
nothing of that is done here: `CheckGossip` asks for it, `GossipChecked` brings it.
Rule 2: what one peer may have under way is bounded; beyond that its words are dropped, and it is
asked for them again once there is room.
"""

from collections import deque
from typing import Final

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.features import Feature
from wallet.base.values.ids import ALL_CHANNELS, NodeId
from wallet.base.wire.gossip import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)
from wallet.base.wire.message import Message, encode
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.chain_events import BlockConnected, BlockDisconnected
from wallet.machines.routing import gossip
from wallet.machines.routing.gossip import (
    AtHeight,
    Candidate,
    Checked,
    GossipMessage,
    NotYet,
    Verdict,
    View,
)
from wallet.node import gossip_own, gossip_relay, gossip_rows, gossip_sync
from wallet.node.board import Board
from wallet.node.events import GossipChecked
from wallet.node.gossip_traffic import ASK_AGAIN_SECONDS, GossipPeer
from wallet.node.work import CheckGossip, DropPeer, SendTo

GOSSIP: Final = (
    ChannelAnnouncement,
    ChannelUpdate,
    NodeAnnouncement,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)
"""The messages that are this desk's."""

FORGET_AFTER: Final = 72
PRUNE_SECONDS: Final = 3_600
LONGEST: Final = 4_096
"""Bytes of a message that we keep: hundreds of them must fit into a link's queue."""
UPDATES_WAITING: Final = 4
"""For one channel whose announcement is under check: two directions, and a newer one of each."""
_ALL_TIME: Final = 0xFFFFFFFF


def view(board: Board) -> View:
    """What a check may know."""
    return View(
        board.chain.chain_hash, board.signer.node_id, board.memory.height.height, board.ctx.now
    )


# --- peers come and go --------------------------------------------------------------------------


def peer_up(board: Board, peer: NodeId) -> None:
    """A link is up. It is asked for gossip at the next tick: its channels speak first."""
    board.memory.traffic.peers[peer] = GossipPeer()


def peer_down(board: Board, peer: NodeId) -> None:
    """A link is gone, and with it what was still to be sent."""
    board.memory.traffic.peers.pop(peer, None)
    gossip_sync.peer_down(board, peer)
    gossip_own.peer_down(board, peer)


def tick(board: Board) -> None:
    """Ask whom we have not asked, send the next slices, see whose peer is away."""
    for peer, there in list(board.memory.traffic.peers.items()):
        _ask(board, peer, there)
        gossip_relay.send_slice(board, peer, there)
    gossip_sync.tick(board)
    gossip_own.tick(board)


def _ask(board: Board, peer: NodeId, there: GossipPeer) -> None:
    memory, now = board.memory, board.ctx.now
    if 0 < there.ahead <= memory.height.height:
        there.ahead, there.missed = 0, True
    if there.asked_at is not None:
        idle = peer not in memory.traffic.unchecked
        if not (there.missed and idle and now - there.asked_at >= ASK_AGAIN_SECONDS):
            return
    first, span = 0, _ALL_TIME
    connected = memory.peers.get(peer)
    if connected is None or not connected.features.supports(Feature.GOSSIP_QUERIES):
        # BOLT 7: such a peer is not worth asking: "SHOULD set `first_timestamp` to 0xFFFFFFFF and
        # `timestamp_range` to 0".
        first, span = _ALL_TIME, 0
    elif not there.missed and gossip_own.knows_others(board):
        # What is older would be pruned.
        first = max(0, now - gossip.TWO_WEEKS)
        span = _ALL_TIME - first
    if there.asked_at is None:
        gossip_own.greet(board, peer, there)
    there.asked_at, there.missed = now, False
    board.work.act(SendTo(peer, GossipTimestampFilter(board.chain.chain_hash, first, span)))


# --- what peers say -----------------------------------------------------------------------------


def heard(board: Board, peer: NodeId, message: Message) -> None:
    """One message of BOLT 7."""
    if peer not in board.memory.traffic.peers:
        return
    try:
        match message:
            case ChannelAnnouncement() | ChannelUpdate() | NodeAnnouncement():
                _consider(board, peer, message)
            case GossipTimestampFilter():
                gossip_relay.take_filter(board, peer, message)
            case QueryShortChannelIds() | QueryChannelRange():
                gossip_relay.take_query(board, peer, message)
            case ReplyChannelRange():
                gossip_sync.take_range(board, peer, message)
            case ReplyShortChannelIdsEnd():
                gossip_sync.take_end(board, peer, message)
            case _:
                pass
    except PeerFault as fault:
        _blame(board, peer, fault)


def _blame(board: Board, peer: NodeId, fault: PeerFault) -> None:
    board.work.act(SendTo(peer, PeerWarning(ALL_CHANNELS, fault.reason.encode())))
    if fault.severity >= Severity.DISCONNECT:
        board.work.act(DropPeer(peer, fault.reason))


def _consider(board: Board, peer: NodeId, message: GossipMessage) -> None:
    """Check it, keep it for later, or forget it. Raises `PeerFault`."""
    looked: gossip.Look = None
    if isinstance(message, ChannelUpdate):
        looked = gossip_own.candidate(board, peer, message)
    if looked is None:
        looked = gossip.look(board.memory.gossip, peer, message, view(board))
    if looked is NotYet.CHANNEL_FIRST:
        # Behind the peer's half of a proof, in one batch with it, comes what needs the channel.
        gossip_own.batch_ended(board)
        looked = gossip.look(board.memory.gossip, peer, message, view(board))
    match looked:
        case Candidate():
            _check(board, looked)
        case AtHeight() if isinstance(message, ChannelAnnouncement):
            _hold_young(board, peer, message)
        case NotYet.CHANNEL_FIRST if isinstance(message, ChannelUpdate):
            _hold_update(board, peer, message)
        case NotYet.CHANNEL_FIRST if isinstance(message, NodeAnnouncement):
            _hold_node(board, peer, message)
        case None if isinstance(message, ChannelAnnouncement):
            # While we catch up with the chain, what is new to the network is beyond our tip.
            there = board.memory.traffic.peers.get(peer)
            block = message.short_channel_id.block
            if there is not None and block > board.memory.height.height:
                there.ahead = max(there.ahead, block)
        case _:
            pass


def _check(board: Board, candidate: Candidate) -> None:
    traffic, message = board.memory.traffic, candidate.message
    data = encode(message)
    # With its signatures: somebody may have sent the same words with wrong ones first.
    digest = sha256(data)
    # BOLT 7: "MAY choose NOT to [pass on] messages longer than the minimum expected length".
    if len(data) > LONGEST or digest in traffic.under_check or not traffic.count(candidate.peer):
        return
    traffic.under_check.add(digest)
    if isinstance(message, ChannelAnnouncement):
        scid = message.short_channel_id.to_int()
        traffic.channels_under_check[scid] = traffic.channels_under_check.get(scid, 0) + 1
    board.work.act(CheckGossip(candidate))


# --- waiting ------------------------------------------------------------------------------------


def _hold_young(board: Board, peer: NodeId, message: ChannelAnnouncement) -> None:
    traffic = board.memory.traffic
    waiting = traffic.young.get(message.short_channel_id.to_int(), [])
    if (peer, message) not in waiting and traffic.has_room() and traffic.count(peer):
        traffic.young[message.short_channel_id.to_int()] = [*waiting, (peer, message)]
        traffic.waiting += 1


def _hold_update(board: Board, peer: NodeId, message: ChannelUpdate) -> None:
    traffic = board.memory.traffic
    scid = message.short_channel_id.to_int()
    if scid not in traffic.channels_under_check and scid not in traffic.young:
        return
    waiting = traffic.updates.get(scid, deque())
    if (peer, message) in waiting or not traffic.has_room() or not traffic.count(peer):
        return
    waiting.append((peer, message))
    traffic.updates[scid] = waiting
    traffic.waiting += 1
    if len(waiting) > UPDATES_WAITING:
        lost, _ = waiting.popleft()
        traffic.waiting -= 1
        traffic.done(lost)


def _hold_node(board: Board, peer: NodeId, message: NodeAnnouncement) -> None:
    traffic = board.memory.traffic
    nothing_comes = not traffic.channels_under_check and not traffic.young
    if nothing_comes or not traffic.has_room() or not traffic.count(peer):
        return
    before = traffic.nodes.get(message.node_id)
    if before is not None:
        traffic.done(before[0])
        traffic.waiting -= 1
    traffic.nodes[message.node_id] = (peer, message)
    traffic.waiting += 1


def _again(board: Board, peer: NodeId, message: GossipMessage) -> None:
    """Look once more at a message that has waited."""
    board.memory.traffic.waiting -= 1
    board.memory.traffic.done(peer)
    try:
        _consider(board, peer, message)
    except PeerFault as fault:
        _blame(board, peer, fault)


def _release(board: Board, scid: int) -> None:
    """Updates that waited for a channel."""
    for peer, message in board.memory.traffic.updates.pop(scid, ()):
        _again(board, peer, message)


def _release_nodes(board: Board, nodes: tuple[NodeId, ...]) -> None:
    for node_id in nodes:
        held = board.memory.traffic.nodes.pop(node_id, None)
        if held is not None:
            _again(board, *held)


# --- what the check said ------------------------------------------------------------------------


def checked(board: Board, event: GossipChecked) -> None:
    """Verdicts, in the order in which the messages came."""
    traffic = board.memory.traffic
    for result in event.results:
        message = result.message
        traffic.under_check.discard(sha256(encode(message)))
        traffic.done(result.peer)
        if result.verdict is Verdict.VALID:
            _accept(board, result)
        elif result.verdict is Verdict.BAD_SIGNATURE:
            _bad_signature(board, result)
        if isinstance(message, ChannelAnnouncement):
            _no_longer_under_check(board, message.short_channel_id.to_int())


def _no_longer_under_check(board: Board, scid: int) -> None:
    traffic = board.memory.traffic
    left = traffic.channels_under_check.pop(scid, 1) - 1
    if left > 0:
        traffic.channels_under_check[scid] = left
        return
    _release(board, scid)
    if not traffic.channels_under_check and not traffic.young:
        # Nodes whose channels did not come after all.
        _release_nodes(board, tuple(traffic.nodes))


def _bad_signature(board: Board, result: Checked) -> None:
    memory, message = board.memory, result.message
    own = isinstance(message, ChannelUpdate) and gossip_own.channel_of(board, result.peer, message)
    if result.peer in memory.traffic.peers and (own or gossip.is_to_blame(memory.gossip, message)):
        _blame(board, result.peer, gossip.fault_of(message))


def _accept(board: Board, result: Checked) -> None:
    book, message = board.memory.gossip, result.message
    if isinstance(message, ChannelUpdate):
        gossip_own.learn(board, result.peer, message)
    first = False
    if isinstance(message, ChannelUpdate):
        scid = message.short_channel_id.to_int()
        first = not any(book.update_time(scid, direction) for direction in (0, 1))
    if not gossip.accept(book, result, view(board)):
        return
    match message:
        case ChannelAnnouncement():
            board.work.gossip.append(gossip_rows.message_row(book, message))
            _release(board, message.short_channel_id.to_int())
            _release_nodes(board, (message.node_id_1, message.node_id_2))
        case ChannelUpdate() | NodeAnnouncement():
            board.work.gossip.append(gossip_rows.message_row(book, message))
            gossip_relay.relay(board, message, result.peer, first_update=first)
        case _:
            pass


# --- the chain ----------------------------------------------------------------------------------


def block_connected(board: Board, event: BlockConnected) -> None:
    """What a block spends and what it makes deep enough; now and then, what has grown old."""
    memory, height = board.memory, event.height.height
    book, traffic = memory.gossip, memory.traffic
    if book.channels:
        for tx in event.transactions:
            for spent in tx.inputs:
                scid = book.channel_on(spent.outpoint)
                if scid is not None and scid not in book.spent:
                    book.spent[scid] = height
                    board.work.gossip.append(gossip_rows.channel_row(book, scid))
    # BOLT 7: "once its funding output has been spent OR reorganized out: SHOULD forget a channel
    # after a 72-block delay", in which a splice may be announced.
    for scid in [s for s, at in book.spent.items() if height >= at + FORGET_AFTER]:
        _forget(board, scid)
    for scid in [s for s in traffic.young if height >= (s >> 40) + gossip.ANNOUNCE_DEPTH - 1]:
        for peer, message in traffic.young.pop(scid):
            _again(board, peer, message)
        if scid not in traffic.channels_under_check:
            _release(board, scid)
    if board.ctx.now - traffic.pruned_at >= PRUNE_SECONDS:
        traffic.pruned_at = board.ctx.now
        _prune(board)


def block_disconnected(board: Board, event: BlockDisconnected) -> None:
    """What the block had spent is unspent; channels that were opened in it are gone."""
    book, height = board.memory.gossip, event.height.height
    for scid in [s for s, at in book.spent.items() if at == height]:
        del book.spent[scid]
        board.work.gossip.append(gossip_rows.channel_row(book, scid))
    # It was six blocks deep when it was announced: nobody waits for it to come back, and if it
    # does, at this place or another, it is announced again.
    for scid in [s for s in book.channels if s >> 40 == height]:
        _forget(board, scid)


def _forget(board: Board, scid: int) -> None:
    board.work.gossip += gossip_rows.removal(scid, board.memory.gossip.remove_channel(scid))


def _prune(board: Board) -> None:
    """BOLT 7: when "the latest `channel_update` in either direction is older than two weeks"."""
    book, our_id = board.memory.gossip, board.signer.node_id
    oldest = board.ctx.now - gossip.TWO_WEEKS
    for scid in list(book.channels):
        times = [t for t in (book.update_time(scid, d) for d in (0, 1)) if t]
        if times and min(times) < oldest:
            ours = our_id in (book.owner(scid, 0), book.owner(scid, 1))
            if not ours:
                _forget(board, scid)
