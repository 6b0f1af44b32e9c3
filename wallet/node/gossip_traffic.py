"""What is under way between us and peers about gossip. Not stored; every part of it is bounded."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from wallet.base.values.ids import ChannelId, NodeId
from wallet.base.wire.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wallet.base.wire.message import Message
from wallet.machines.routing.gossip_queries import Lacking, TimeRange

PER_PEER: Final = 1_000
"""Messages of one peer that may be under check or wait for something."""
ALL_PEERS: Final = 20_000
"""Messages of all peers together that may be under check."""
WAITING: Final = 10_000
"""Messages of all peers together that may wait for a channel or a block."""
ANSWERS: Final = 500
"""Messages that one peer gets of its queries and its backlog within a second."""
ASK_AGAIN_SECONDS: Final = 60


@dataclass(slots=True)
class GossipPeer:
    """One connected peer."""

    wanted: TimeRange | None = None
    """Its filter; until it has sent one it gets no gossip of others."""
    asked_at: int | None = None
    """When we sent our filter."""
    missed: bool = False
    """Something of it was dropped unseen: it is asked again once there is room."""
    ahead: int = 0
    """The highest block beyond our tip of which it has told a channel that we could not check."""
    compared: bool = False
    """Whether it was asked for the names of its channels."""
    backlog: Iterator[Message | None] | None = None
    answers: dict[type[Message], Iterator[Message | None]] = field(default_factory=dict)
    """What it still gets of its filter, and of its queries, by their kind."""


@dataclass(slots=True)
class Sync:
    """The one peer that is asked what it knows and we do not."""

    peer: NodeId
    since: int
    extended: bool
    """Whether it gives timestamps and takes flags."""
    heard_at: int = 0
    """When it has last answered."""
    lacking: deque[Lacking] = field(default_factory=deque)
    """What is still to be asked for."""
    is_listed: bool = False
    """All names have come."""
    is_asked: bool = False
    """A `query_short_channel_ids` of ours is not answered yet."""


@dataclass(slots=True)
class Traffic:
    """All of it."""

    peers: dict[NodeId, GossipPeer] = field(default_factory=dict)
    unchecked: dict[NodeId, int] = field(default_factory=dict)
    """How many messages of a peer, connected or not, are under check or wait."""
    under_check: set[bytes] = field(default_factory=set)
    """Digests of messages: the same one comes from many peers."""
    channels_under_check: dict[int, int] = field(default_factory=dict)
    """By scid, how many announcements of it."""
    updates: dict[int, deque[tuple[NodeId, ChannelUpdate]]] = field(default_factory=dict)
    """By scid: for announcements that are under check."""
    nodes: dict[NodeId, tuple[NodeId, NodeAnnouncement]] = field(default_factory=dict)
    """By the node: for one of its channels that is under check."""
    young: dict[int, list[tuple[NodeId, ChannelAnnouncement]]] = field(default_factory=dict)
    """By scid: funding outputs that are not deep enough yet."""
    waiting: int = 0
    """How many messages are in the three above."""
    told: set[ChannelId] = field(default_factory=set)
    """Channels whose peer has heard our terms on this connection."""
    away_since: dict[ChannelId, int] = field(default_factory=dict)
    """When the peers of announced channels went away (or we started)."""
    looked_at: dict[ChannelId, tuple[object, ...]] = field(default_factory=dict)
    """What decides our terms for a channel, as it was when we last looked."""
    sync: Sync | None = None
    own_looked_at: int = 0
    pruned_at: int = 0

    def count(self, peer: NodeId) -> bool:
        """Take one more message of a peer; False when it has its share."""
        number = self.unchecked.get(peer, 0)
        if number >= PER_PEER or len(self.under_check) >= ALL_PEERS:
            if peer in self.peers:
                self.peers[peer].missed = True
            return False
        self.unchecked[peer] = number + 1
        return True

    def done(self, peer: NodeId) -> None:
        """One message of a peer less."""
        left = self.unchecked.get(peer, 0) - 1
        if left > 0:
            self.unchecked[peer] = left
        else:
            self.unchecked.pop(peer, None)

    def has_room(self) -> bool:
        """Whether one more message may wait."""
        return self.waiting < WAITING
