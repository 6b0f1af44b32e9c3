"""What the network has told us, word for word: announcements are passed on as they were signed.

The graph holds what they mean, this page the bytes.  A mainnet has 50,000 channels and 100,000
updates, so here are plain numbers and bytes too: a channel is known by its scid as a number, one
direction of it by `edge_key`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, cast

from wallet.base.errors import DecodeError
from wallet.base.values.amounts import Satoshi
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.values.ids import NodeId, OutPoint, Point, ShortChannelId
from wallet.base.wire.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wallet.base.wire.message import decode, encode
from wallet.machines.routing.graph import (
    DirectedPolicy,
    Graph,
    GraphChannel,
    GraphNode,
    edge_key,
)

DIRECTION_BIT: Final = 1
DISABLE_BIT: Final = 2
"""BOLT 7 `channel_flags`."""

_TIMESTAMP: Final = slice(106, 110)
"""In a `channel_update`: after type, signature, chain_hash and short_channel_id."""
_TERMS: Final = struct.Struct(">QIBBHQIIQ")
"""A `channel_update` from `short_channel_id` to `htlc_maximum_msat`."""
_TERMS_AT: Final = 98
_FEATURES_AT: Final = 260
_IDS_AT: Final = 40
"""In a `channel_announcement`: features after type, signatures and their length; then, after
chain_hash and short_channel_id, two node ids and two keys."""
_POINT: Final = 33
_KNOWN: Final = sum(1 << feature for feature in Feature)


@dataclass(frozen=True, slots=True)
class FundingFound:
    """The output that an announcement names: it pays both keys, is unspent and deep enough."""

    outpoint: OutPoint
    amount: Satoshi


class Announced(NamedTuple):
    """A channel as it was announced; `place` is its funding output, 36 bytes."""

    raw: bytes
    place: bytes
    capacity_sat: int


def place_of(outpoint: OutPoint) -> bytes:
    """An output as 36 bytes: txid in wire order, index little endian."""
    return bytes(outpoint.txid) + outpoint.index.to_bytes(4, "little")


def update_timestamp(raw: bytes) -> int:
    """The `timestamp` of an encoded `channel_update`."""
    return int.from_bytes(raw[_TIMESTAMP], "big")


def direction_of(update: ChannelUpdate) -> int:
    """0: from `node_id_1`; 1: from `node_id_2`."""
    return update.channel_flags & DIRECTION_BIT


def policy_of(update: ChannelUpdate) -> DirectedPolicy:
    """The terms that an update states."""
    return DirectedPolicy(
        timestamp=update.timestamp,
        cltv_expiry_delta=update.cltv_expiry_delta.blocks,
        htlc_minimum_msat=update.htlc_minimum_msat.msat,
        htlc_maximum_msat=update.htlc_maximum_msat.msat,
        fee_base_msat=update.fee_base_msat.msat,
        fee_proportional_millionths=update.fee_proportional_millionths,
        disabled=bool(update.channel_flags & DISABLE_BIT),
    )


def _requires_unknown(features: bytes) -> bool:
    """BOLT 7: "unknown even bits" of a node: "MUST NOT route a payment through the node".

    Known is what BOLT 9 names: what a node asks of its own peers is no matter of a payer.
    """
    even = int.from_bytes(b"\x55" * len(features), "big")
    return bool(int.from_bytes(features, "big") & even & ~_KNOWN)


class Gossip:
    """Mutable, and the only one to change its graph. What enters here has been checked."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.channels: dict[int, Announced] = {}
        self.updates: dict[int, bytes] = {}
        self.nodes: dict[NodeId, bytes] = {}
        self.spent: dict[int, int] = {}
        """Height at which the funding output was spent."""
        self._unroutable: set[int] = set()
        self._no_way: set[NodeId] = set()
        """Nodes that require of a payer what nobody here knows."""
        self._places: dict[bytes, int] = {}

    # --- changes --------------------------------------------------------------------------------

    def add_channel(self, message: ChannelAnnouncement, funding: FundingFound) -> None:
        """A channel that exists."""
        scid = message.short_channel_id.to_int()
        place = place_of(funding.outpoint)
        self.channels[scid] = Announced(encode(message), place, funding.amount.sat)
        self._places[place] = scid
        # BOLT 7: "if there is an unknown even bit in the `features` field: MUST NOT attempt to
        # route messages through the channel."  It stays known and is passed on, without terms.
        if Features.from_bytes(message.features).unknown_required(OUR_INIT):
            self._unroutable.add(scid)
        self.graph.add_channel(
            GraphChannel(
                message.short_channel_id,
                message.node_id_1,
                message.node_id_2,
                funding.amount.sat,
                message.features,
            )
        )

    def restore_channel(self, scid: int, channel: Announced, spent_at: int | None) -> None:
        """A channel from disk: it was read with care when it came, and there may be 50,000."""
        raw = channel.raw
        ids = _FEATURES_AT + int.from_bytes(raw[_FEATURES_AT - 2 : _FEATURES_AT], "big") + _IDS_AT
        features = raw[_FEATURES_AT : ids - _IDS_AT]
        one, other = raw[ids : ids + _POINT], raw[ids + _POINT : ids + 2 * _POINT]
        if len(raw) < ids + 4 * _POINT or not one < other:
            raise DecodeError("a stored channel_announcement cannot be read")
        self.channels[scid] = channel
        self._places[channel.place] = scid
        if spent_at is not None:
            self.spent[scid] = spent_at
        if features and Features.from_bytes(features).unknown_required(OUR_INIT):
            self._unroutable.add(scid)
        name, capacity = ShortChannelId.from_int(scid), channel.capacity_sat
        self.graph.add_channel(
            GraphChannel(name, NodeId(Point(one)), NodeId(Point(other)), capacity, features)
        )

    def restore_update(self, raw: bytes) -> None:
        """Terms from disk."""
        try:
            terms = _TERMS.unpack_from(raw, _TERMS_AT)
        except struct.error:
            raise DecodeError("a stored channel_update cannot be read") from None
        scid, timestamp, _, flags, delta, least, base, millionths, most = terms
        direction = flags & DIRECTION_BIT
        self.updates[edge_key(scid, direction)] = raw
        disabled = bool(flags & DISABLE_BIT)
        policy = DirectedPolicy(timestamp, delta, least, most, base, millionths, disabled)
        self._set_policy(scid, direction, policy)

    def add_update(self, message: ChannelUpdate) -> None:
        """The newest terms of one direction of a known channel."""
        scid, direction = message.short_channel_id.to_int(), direction_of(message)
        self.updates[edge_key(scid, direction)] = encode(message)
        self._set_policy(scid, direction, policy_of(message))

    def _set_policy(self, scid: int, direction: int, policy: DirectedPolicy) -> None:
        if scid in self._unroutable:
            return
        if self._no_way and self.owner(scid, direction) in self._no_way:
            policy = replace(policy, disabled=True)
        self.graph.set_policy(ShortChannelId.from_int(scid), direction, policy)

    def add_node(self, message: NodeAnnouncement) -> None:
        """What a node that has a channel says of itself."""
        self.nodes[message.node_id] = encode(message)
        self.graph.set_node(
            GraphNode(
                message.node_id,
                message.timestamp,
                message.features,
                message.rgb_color,
                message.alias,
                message.addresses,
            )
        )
        if _requires_unknown(message.features) is not (message.node_id in self._no_way):
            self._no_way ^= {message.node_id}
            for channel in list(self.graph.channels_of(message.node_id)):
                key = edge_key(channel.scid.to_int(), int(channel.node_2 == message.node_id))
                if key in self.updates:
                    self.restore_update(self.updates[key])

    def remove_channel(self, scid: int) -> tuple[NodeId, ...]:
        """Forget a channel and its terms; the announced nodes that are forgotten with it."""
        channel = self.graph.channel(ShortChannelId.from_int(scid))
        gone = self.channels.pop(scid, None)
        if channel is None or gone is None:
            return ()
        for direction in (0, 1):
            self.updates.pop(edge_key(scid, direction), None)
        self.spent.pop(scid, None)
        self._unroutable.discard(scid)
        if self._places.get(gone.place) == scid:
            del self._places[gone.place]
        self.graph.remove_channel(channel.scid)
        ends = (channel.node_1, channel.node_2)
        lost = tuple(n for n in ends if n in self.nodes and not self.knows_node(n))
        for node_id in lost:
            del self.nodes[node_id]
        self._no_way.difference_update(lost)
        return lost

    # --- questions ------------------------------------------------------------------------------

    def owner(self, scid: int, direction: int) -> NodeId | None:
        """The node whose key signs the updates of a direction; None for an unknown channel."""
        channel = self.graph.channel(ShortChannelId.from_int(scid))
        if channel is None:
            return None
        return channel.node_2 if direction else channel.node_1

    def knows_node(self, node_id: NodeId) -> bool:
        """Whether a channel of this node was announced."""
        return self.graph.index(node_id) is not None

    def everything(self) -> Iterator[bytes]:
        """Every message, in an order that does not depend on when it came."""
        yield from (channel.raw for _, channel in sorted(self.channels.items()))
        yield from (raw for _, raw in sorted(self.updates.items()))
        yield from (raw for _, raw in sorted(self.nodes.items()))

    def channel_on(self, outpoint: OutPoint) -> int | None:
        """The channel whose funding output this is."""
        return self._places.get(place_of(outpoint))

    def announcement(self, scid: int) -> ChannelAnnouncement:
        """The announcement of a known channel."""
        return cast(ChannelAnnouncement, decode(self.channels[scid].raw))

    def update(self, scid: int, direction: int) -> ChannelUpdate | None:
        """The newest update of a direction, if any."""
        raw = self.updates.get(edge_key(scid, direction))
        return None if raw is None else cast(ChannelUpdate, decode(raw))

    def node(self, node_id: NodeId) -> NodeAnnouncement | None:
        """What a node says of itself, if anything."""
        raw = self.nodes.get(node_id)
        return None if raw is None else cast(NodeAnnouncement, decode(raw))

    def update_time(self, scid: int, direction: int) -> int:
        """Timestamp of the newest update; 0 if there is none (BOLT 7: it is never 0)."""
        raw = self.updates.get(edge_key(scid, direction))
        return 0 if raw is None else update_timestamp(raw)

    def node_time(self, node_id: NodeId) -> int:
        """Timestamp of the newest announcement; -1 if there is none."""
        node = self.graph.node(node_id)
        return -1 if node is None else node.timestamp
