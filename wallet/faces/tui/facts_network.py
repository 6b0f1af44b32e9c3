"""What a core says of others: its peers, and the nodes and channels of the public network."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any, Final

from wallet.base.values.features import Feature, Features
from wallet.faces.tui.answers import items, known, number
from wallet.faces.tui.safe_text import safe

_OFFERS: Final = {
    Feature.OPTION_ANCHORS: "anchors",
    Feature.OPTION_SPLICE: "splice",
    Feature.OPTION_ONION_MESSAGES: "offers",
    Feature.OPTION_DUAL_FUND: "dual funding",
    Feature.OPTION_ZEROCONF: "zero-conf",
    Feature.OPTION_SUPPORT_LARGE_CHANNEL: "large channels",
    Feature.BASIC_MPP: "payments in parts",
    Feature.OPTION_ROUTE_BLINDING: "blinded routes",
    Feature.OPTION_SIMPLE_CLOSE: "simple close",
    Feature.OPTION_PROVIDE_STORAGE: "backup storage",
}
"""In plain words, those first that matter to a person who opens a channel."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A node we are connected to, or have a channel with."""

    node_id: str
    connected: bool
    channels: int
    address: str = ""
    offers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublicChannel:
    """One direction of a channel, by the terms of the node that it leaves. Millisatoshi."""

    scid: str
    source: str
    destination: str
    capacity: int
    fee_base: int
    fee_ppm: int
    active: bool


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node of the public network. `channels` and what follows are None until counted."""

    node_id: str
    name: str = ""
    addresses: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    seen: int = 0
    """When it announced itself last, Unix seconds; 0 if it never did."""
    channels: int | None = None
    capacity: int | None = None
    fee: tuple[int, int] | None = None
    """Its usual terms: the median of its base in millisatoshi, and of its millionths."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network as a whole. A figure is None where it would cost too much to count."""

    nodes: int | None = None
    channels: int | None = None
    capacity: int | None = None
    known: tuple[KnownNode, ...] = ()
    """The node with most channels first."""
    whole: bool = False
    """Whether `known` are all of them."""


def peers(answer: Mapping[str, Any]) -> tuple[Peer, ...]:
    """`listpeers`, those that are there first."""
    found = [_peer(one) for one in items(answer, "peers")]
    return tuple(sorted(found, key=lambda p: (not p.connected, -p.channels, p.node_id)))


def _peer(one: Mapping[str, Any]) -> Peer:
    addresses = one.get("netaddr")
    return Peer(
        node_id=safe(one.get("id"), 66),
        connected=one.get("connected") is True,
        channels=number(one.get("num_channels")),
        address=safe(addresses[0], 80) if isinstance(addresses, list) and addresses else "",
        offers=offers(one.get("features")),
    )


def offers(features: object) -> tuple[str, ...]:
    """A feature field in words; nothing for one that is none."""
    try:
        known_bits = Features.from_bytes(
            bytes.fromhex(features if isinstance(features, str) else "")
        )
    except ValueError:
        return ()
    return tuple(word for feature, word in _OFFERS.items() if known_bits.supports(feature))


def nodes(answer: Mapping[str, Any]) -> tuple[KnownNode, ...]:
    """`listnodes`."""
    return tuple(_node(one) for one in items(answer, "nodes"))


def _node(one: Mapping[str, Any]) -> KnownNode:
    return KnownNode(
        node_id=safe(one.get("nodeid"), 66),
        name=safe(one.get("alias"), 32).strip(),
        addresses=tuple(_address(each) for each in items(one, "addresses")),
        offers=offers(one.get("features")),
        seen=number(one.get("last_timestamp")),
    )


def _address(one: Mapping[str, Any]) -> str:
    host = safe(one.get("address"), 80)
    return (
        f"[{host}]:{number(one.get('port'))}"
        if ":" in host
        else f"{host}:{number(one.get('port'))}"
    )


def channels(answer: Mapping[str, Any]) -> tuple[PublicChannel, ...]:
    """`listchannels`: each direction is an item of its own."""
    return tuple(_channel(one) for one in items(answer, "channels"))


def _channel(one: Mapping[str, Any]) -> PublicChannel:
    return PublicChannel(
        scid=safe(one.get("short_channel_id"), 24),
        source=safe(one.get("source"), 66),
        destination=safe(one.get("destination"), 66),
        capacity=known(one.get("amount_msat")) or 0,
        fee_base=number(one.get("base_fee_millisatoshi")),
        fee_ppm=number(one.get("fee_per_millionth")),
        active=one.get("active") is True,
    )


def usual_fee(own: Iterable[PublicChannel]) -> tuple[int, int] | None:
    """What a node asks for in the middle of its channels."""
    terms = [(c.fee_base, c.fee_ppm) for c in own]
    if not terms:
        return None
    return median_low(base for base, _ in terms), median_low(ppm for _, ppm in terms)


def counted(found: Iterable[KnownNode], public: Iterable[PublicChannel]) -> Network:
    """The network from its two lists, every channel counted once."""
    whole: dict[str, PublicChannel] = {}
    of_node: dict[str, dict[str, int]] = defaultdict(dict)
    leaving: dict[str, list[PublicChannel]] = defaultdict(list)
    for channel in public:
        whole[channel.scid] = channel
        leaving[channel.source].append(channel)
        for end in (channel.source, channel.destination):
            of_node[end][channel.scid] = channel.capacity
    listed = [
        replace(
            node,
            channels=len(of_node[node.node_id]),
            capacity=sum(of_node[node.node_id].values()),
            fee=usual_fee(leaving[node.node_id]),
        )
        for node in found
    ]
    listed.sort(key=lambda n: (-(n.channels or 0), -(n.capacity or 0), n.node_id))
    capacity = sum(c.capacity for c in whole.values())
    return Network(len(listed), len(whole), capacity, tuple(listed), whole=True)
