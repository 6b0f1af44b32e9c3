"""The map of the network: announced channels, the terms of their directions, announced nodes.

A mainnet of 51,000 channels has to fit into some 50 MiB and a search reads all of it, so inside
there are tuples of plain numbers; the values of this page are made when someone asks for one.
Tuples of numbers also cost the garbage collector nothing, where objects would make it stop us.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wallet.base.errors import ensure
from wallet.base.values.ids import NodeId, ShortChannelId

MILLIONTH: Final = 1_000_000
_UNUSABLE: Final = -1
_SMALL: Final = tuple(range(5001))
_SMALL_FLOAT: Final = tuple(map(float, _SMALL))
"""Fees, deltas and minimums are mostly small and alike: one number object serves them all.  That
saves memory, and what many edges share is in the processor's cache when a search comes by."""

Terms = tuple[int, int, int, int, int, int, int, int]
"""Least and most msat that a direction carries (-1 when disabled), base fee (msat), proportional
fee (millionths), CLTV delta, its key; then timestamp and `htlc_maximum_msat` as it was stated."""
Edge = tuple[int, float, float, float, Terms]
"""One direction as a search reads it: index of the node it leaves; base fee, proportional fee and
CLTV delta, which tell most edges' cost without another look; and all its terms."""
_Record = tuple[int, int, int, bytes, Edge | None, Edge | None]
"""One channel: indexes of both nodes, capacity (sat), features, terms of both directions."""


@dataclass(frozen=True, slots=True)
class DirectedPolicy:
    """What a `channel_update` says of one direction (BOLT 7)."""

    timestamp: int
    cltv_expiry_delta: int
    htlc_minimum_msat: int
    htlc_maximum_msat: int
    fee_base_msat: int
    fee_proportional_millionths: int
    disabled: bool = False

    def fee_msat(self, amount_msat: int) -> int:
        """BOLT 7 "HTLC Fees": what it costs to have `amount_msat` forwarded."""
        return self.fee_base_msat + amount_msat * self.fee_proportional_millionths // MILLIONTH


@dataclass(frozen=True, slots=True)
class GraphChannel:
    """An announced channel. `node_1` < `node_2`; policy 0 is that from `node_1` to `node_2`."""

    scid: ShortChannelId
    node_1: NodeId
    node_2: NodeId
    capacity_sat: int
    features: bytes
    policies: tuple[DirectedPolicy | None, DirectedPolicy | None] = (None, None)


@dataclass(frozen=True, slots=True)
class GraphNode:
    """An announced node. `alias` is any 32 bytes: make it safe before showing it."""

    node_id: NodeId
    timestamp: int
    features: bytes
    rgb_color: bytes
    alias: bytes
    addresses: bytes


class Graph:
    """Mutable; indexed by channel and by node. A node without a channel is not in it.

    A node's index is never given to another, and lists change in place: a search on another
    thread sees an old or a new map, never a wrong one.
    """

    def __init__(self) -> None:
        self._channels: dict[int, _Record] = {}
        self._nodes: dict[NodeId, GraphNode] = {}
        self._indexes: dict[NodeId, int] = {}
        self.ids: list[NodeId] = []
        """Node id by index. Read only."""
        self.incoming: list[list[Edge]] = []
        """Enabled directions that arrive at a node, by its index. Read only."""
        self._of_node: list[list[int]] = []
        self.capacity_sat = 0
        """Of all channels together. Read only."""

    def __len__(self) -> int:
        return len(self._channels)

    # --- changes --------------------------------------------------------------------------------

    def add_channel(self, channel: GraphChannel) -> None:
        """Add it, or put it in the place of the one with the same id."""
        ensure(channel.node_1 < channel.node_2, f"the nodes of {channel.scid} are not in order")
        scid = channel.scid.to_int()
        if scid in self._channels:
            self.remove_channel(channel.scid)
        first, second = self._index(channel.node_1), self._index(channel.node_2)
        for index in (first, second):
            self._of_node[index].append(scid)
        self.capacity_sat += channel.capacity_sat
        self._channels[scid] = (first, second, channel.capacity_sat, channel.features, None, None)
        for direction, policy in enumerate(channel.policies):
            if policy is not None:
                self.set_policy(channel.scid, direction, policy)

    def set_policy(self, scid: ShortChannelId, direction: int, policy: DirectedPolicy) -> None:
        """Set the terms of one direction (0 is from `node_1`). An unknown channel is ignored."""
        number = scid.to_int()
        record = self._channels.get(number)
        if record is None:
            return
        first, second, capacity_sat, features, *_ = record
        leaves, arrives = (first, second) if direction == 0 else (second, first)
        edges = [record[4], record[5]]
        old, new = (
            edges[direction],
            _edge(edge_key(number, direction), leaves, capacity_sat, policy),
        )
        into = self.incoming[arrives]
        if old is None or old[4][1] < 0:
            into.extend([new] if new[4][1] >= 0 else ())
        elif new[4][1] >= 0:
            into[into.index(old)] = new
        else:
            into.remove(old)
        edges[direction] = new
        self._channels[number] = (first, second, capacity_sat, features, edges[0], edges[1])

    def remove_channel(self, scid: ShortChannelId) -> None:
        """Forget it, and each of its nodes that has no other. An unknown channel is ignored."""
        number = scid.to_int()
        record = self._channels.pop(number, None)
        if record is None:
            return
        first, second, capacity_sat, _, *edges = record
        self.capacity_sat -= capacity_sat
        for edge, arrives in zip(edges, (second, first), strict=True):
            if edge is not None and edge[4][1] >= 0:
                self.incoming[arrives].remove(edge)
        for index in (first, second):
            self._of_node[index].remove(number)
            if not self._of_node[index]:
                del self._indexes[self.ids[index]]
                self._nodes.pop(self.ids[index], None)

    def set_node(self, node: GraphNode) -> None:
        """Set what a node says of itself.

        BOLT 7: "if `node_id` is NOT previously known from a `channel_announcement` message, [...]:
        SHOULD ignore the message."
        """
        if node.node_id in self._indexes:
            self._nodes[node.node_id] = node

    def remove_node(self, node_id: NodeId) -> None:
        """Forget a node and all its channels."""
        for channel in list(self.channels_of(node_id)):
            self.remove_channel(channel.scid)

    # --- questions ------------------------------------------------------------------------------

    def channel(self, scid: ShortChannelId) -> GraphChannel | None:
        """The channel, or None."""
        return self._made(scid.to_int()) if scid.to_int() in self._channels else None

    def channels(self) -> Iterator[GraphChannel]:
        """Every channel, in the order of their arrival."""
        return map(self._made, self._channels)

    def channels_of(self, node_id: NodeId) -> Iterator[GraphChannel]:
        """The channels of a node; none for an unknown one."""
        index = self._indexes.get(node_id)
        return map(self._made, () if index is None else self._of_node[index])

    def node(self, node_id: NodeId) -> GraphNode | None:
        """What the node announced, or None."""
        return self._nodes.get(node_id)

    def nodes(self) -> Iterator[GraphNode]:
        """Every announced node."""
        return iter(self._nodes.values())

    @property
    def node_count(self) -> int:
        """How many nodes have a channel."""
        return len(self._indexes)

    def node_ids(self) -> Iterator[NodeId]:
        """Every node with a channel, announced or not."""
        return iter(self._indexes)

    def index(self, node_id: NodeId) -> int | None:
        """The node's place in `ids` and `incoming`, or None."""
        return self._indexes.get(node_id)

    # --- within ---------------------------------------------------------------------------------

    def _index(self, node_id: NodeId) -> int:
        index = self._indexes.get(node_id)
        if index is None:
            index = self._indexes[node_id] = len(self.ids)
            self.ids.append(node_id)
            self.incoming.append([])
            self._of_node.append([])
        return index

    def _made(self, scid: int) -> GraphChannel:
        first, second, capacity_sat, features, one, two = self._channels[scid]
        return GraphChannel(
            ShortChannelId.from_int(scid),
            self.ids[first],
            self.ids[second],
            capacity_sat,
            features,
            (_policy(one), _policy(two)),
        )


def edge_key(scid: int, direction: int) -> int:
    """One number for one direction of a channel: what an `Edge` is known by."""
    return scid << 1 | direction


def _small(number: int) -> int:
    return _SMALL[number] if number < len(_SMALL) else number


def _float(number: int) -> float:
    return _SMALL_FLOAT[number] if number < len(_SMALL) else float(number)


def _edge(key: int, leaves: int, capacity_sat: int, policy: DirectedPolicy) -> Edge:
    # BOLT 7: "if `htlc_maximum_msat` is greater than channel capacity: [...] SHOULD ignore this
    # channel during route considerations."  Its capacity is the limit instead: the channel is
    # no worse for it, and a payee may have no other.
    most = min(policy.htlc_maximum_msat, capacity_sat * 1000)
    terms = (
        _small(policy.htlc_minimum_msat),
        _UNUSABLE if policy.disabled else most,
        _small(policy.fee_base_msat),
        _small(policy.fee_proportional_millionths),
        _small(policy.cltv_expiry_delta),
        key,
        policy.timestamp,
        policy.htlc_maximum_msat,
    )
    _, _, base, ppm, delta, *_ = terms
    return (leaves, _float(base), _float(ppm), _float(delta), terms)


def _policy(edge: Edge | None) -> DirectedPolicy | None:
    if edge is None:
        return None
    least, most, base, ppm, delta, _, timestamp, stated = edge[4]
    return DirectedPolicy(timestamp, delta, least, stated, base, ppm, most < 0)
