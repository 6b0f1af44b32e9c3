"""Small maps of the network, written down as what is different about each channel."""

from typing import Self, TypedDict, Unpack

from wallet.base.crypto.curve import point_of
from wallet.base.values.ids import NodeId, Secret, ShortChannelId
from wallet.machines.routing.graph import DirectedPolicy, Graph, GraphChannel
from wallet.machines.routing.pathfinding import LocalChannel

ALICE, BOB, CAROL, DAVE, ERIN, US = (NodeId(point_of(Secret(bytes([n]) * 32))) for n in range(1, 7))


def scid(number: int) -> ShortChannelId:
    """A name for channel `number`."""
    return ShortChannelId(700_000, number, 0)


def local(
    number: int, peer: NodeId, spendable: int = 10**10, least: int = 1, most: int = 10**10
) -> LocalChannel:
    """A channel of ours; amounts in msat."""
    return LocalChannel(scid(number), peer, spendable, least, most)


class Terms(TypedDict, total=False):
    """What one channel asks for, the same in both directions; amounts in msat."""

    base: int
    ppm: int
    delta: int
    least: int
    most: int
    disabled: bool
    capacity_sat: int


class Map:
    """Builds a graph; every method gives the map back."""

    def __init__(self) -> None:
        self.graph = Graph()

    def both(self, number: int, one: NodeId, two: NodeId, **terms: Unpack[Terms]) -> Self:
        """A channel of 500,000 sat: 1 sat, 1% and 40 blocks, unless it says otherwise."""
        policy = DirectedPolicy(
            timestamp=1,
            cltv_expiry_delta=terms.get("delta", 40),
            htlc_minimum_msat=terms.get("least", 1),
            htlc_maximum_msat=terms.get("most", 10**12),
            fee_base_msat=terms.get("base", 1_000),
            fee_proportional_millionths=terms.get("ppm", 10_000),
            disabled=terms.get("disabled", False),
        )
        first, second = min(one, two), max(one, two)
        capacity_sat = terms.get("capacity_sat", 500_000)
        self.graph.add_channel(
            GraphChannel(scid(number), first, second, capacity_sat, b"", (policy, policy))
        )
        return self
