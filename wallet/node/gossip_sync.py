"""Asking one peer at a time what it knows and we do not (BOLT 7 queries).

A filter brings what is old from Core Lightning, LND and LDK, but not from eclair, which answers
queries only.  LDK answers no `query_short_channel_ids`; and a link may lose what it is told.  So
every peer is asked once on each connection for the names of its channels, when its answer to our
filter should be here, and then for what of them we lack.
"""

from typing import Final

from wallet.base.errors import PeerFault
from wallet.base.values.features import Feature
from wallet.base.values.ids import NodeId
from wallet.base.wire.gossip import (
    QueryChannelRange,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)
from wallet.machines.routing import gossip
from wallet.machines.routing.gossip_queries import (
    EVERY_BLOCK,
    WANTS_TIMESTAMPS,
    Lacking,
    is_last,
    lacking,
    query_for,
)
from wallet.node import gossip_traffic
from wallet.node.board import Board
from wallet.node.gossip_traffic import GossipPeer, Sync
from wallet.node.work import SendTo

QUIET_SECONDS: Final = 30
"""After our filter: by then what a peer sends because of it has begun to arrive."""
PATIENCE: Final = 60
"""Seconds for the next word of an answer."""
LONGEST: Final = 3_600
"""Seconds for one peer: it may answer without end, and others have their turn."""
IDS_AT_ONCE: Final = 100
"""In one `query_short_channel_ids`: what comes of them stays below `PER_PEER`."""
MOST_LACKING: Final = 200_000
"""Several times the channels of the network: a peer may make names up without end."""


def tick(board: Board) -> None:
    """Begin with the next peer, or go on with this one."""
    traffic, now = board.memory.traffic, board.ctx.now
    sync = traffic.sync
    if sync is not None:
        last = max(sync.since, sync.heard_at)
        if now - last > PATIENCE or now - sync.since > LONGEST:
            traffic.sync = None
        else:
            _go_on(board, sync)
    if traffic.sync is None:
        for peer, there in traffic.peers.items():
            if _is_due(board, peer, there):
                _begin(board, peer, there)
                return


def _is_due(board: Board, peer: NodeId, there: GossipPeer) -> bool:
    connected = board.memory.peers.get(peer)
    arriving = peer in board.memory.traffic.unchecked or there.missed or there.ahead
    return (
        not there.compared
        and not arriving
        and there.asked_at is not None
        and board.ctx.now - there.asked_at >= QUIET_SECONDS
        and connected is not None
        and connected.features.supports(Feature.GOSSIP_QUERIES)
    )


def _begin(board: Board, peer: NodeId, there: GossipPeer) -> None:
    there.compared = True
    features = board.memory.peers[peer].features
    extended = features.supports(Feature.GOSSIP_QUERIES_EX)
    board.memory.traffic.sync = Sync(peer, board.ctx.now, extended)
    option = WANTS_TIMESTAMPS if extended else None
    board.work.act(SendTo(peer, QueryChannelRange(board.chain.chain_hash, 0, EVERY_BLOCK, option)))


def peer_down(board: Board, peer: NodeId) -> None:
    """Its answers will not come."""
    traffic = board.memory.traffic
    if traffic.sync is not None and traffic.sync.peer == peer:
        traffic.sync = None


def _under_way(board: Board, peer: NodeId) -> Sync | None:
    sync = board.memory.traffic.sync
    return sync if sync is not None and sync.peer == peer else None


def take_range(board: Board, peer: NodeId, message: ReplyChannelRange) -> None:
    """Names of channels that the peer knows. Raises `PeerFault`."""
    sync = _under_way(board, peer)
    if sync is None or sync.is_listed or message.chain_hash != board.chain.chain_hash:
        return
    sync.heard_at = board.ctx.now
    oldest = board.ctx.now - gossip.TWO_WEEKS
    try:
        found = lacking(board.memory.gossip, message, oldest)
    except PeerFault:
        board.memory.traffic.sync = None
        raise
    room = MOST_LACKING - len(sync.lacking)
    sync.lacking.extend(found[:room])
    sync.is_listed = is_last(message)
    _go_on(board, sync)


def take_end(board: Board, peer: NodeId, _: ReplyShortChannelIdsEnd) -> None:
    """All of our last question has come."""
    sync = _under_way(board, peer)
    if sync is not None and sync.is_asked:
        sync.is_asked, sync.heard_at = False, board.ctx.now
        _go_on(board, sync)


def _go_on(board: Board, sync: Sync) -> None:
    traffic = board.memory.traffic
    if sync.is_asked:
        return
    if not sync.lacking:
        if sync.is_listed:
            traffic.sync = None
        return
    # What was checked too late for this peer's share would be dropped.
    if traffic.unchecked.get(sync.peer, 0) > gossip_traffic.PER_PEER // 2:
        sync.heard_at = board.ctx.now
        return
    part: list[Lacking] = [
        sync.lacking.popleft() for _ in range(min(IDS_AT_ONCE, len(sync.lacking)))
    ]
    sync.is_asked = True
    query = query_for(board.chain.chain_hash, part, with_flags=sync.extended)
    board.work.act(SendTo(sync.peer, query))
