"""The map as Core Lightning shows it. What strangers wrote of themselves is made safe here."""

from base64 import b32encode
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from unicodedata import category

from wallet.base.values.ids import NodeId
from wallet.faces.rpc.shapes import Json
from wallet.machines.routing.graph import DirectedPolicy, Graph, GraphChannel, GraphNode
from wallet.machines.routing.pathfinding import RouteHop

_HOSTNAME: Final = 5
_KINDS: Final = {1: ("ipv4", 4), 2: ("ipv6", 16), 3: ("torv2", 10), 4: ("torv3", 35)}
"""BOLT 7 address descriptors: type, bytes before the port."""
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MUST_BE_ONE: Final = 1
"""BOLT 7: `message_flags` has `must_be_one`."""


def node(graph: Graph, node_id: NodeId) -> Json:
    """An item of `listnodes`; only the id when the node announced nothing."""
    known = graph.node(node_id)
    return {"nodeid": node_id.hex()} if known is None else _announced(known)


def _announced(known: GraphNode) -> Json:
    return {
        "nodeid": known.node_id.hex(),
        "alias": alias(known.alias),
        "color": known.rgb_color.hex(),
        "last_timestamp": known.timestamp,
        "features": known.features.hex(),
        "addresses": list(addresses(known.addresses)),
    }


def alias(raw: bytes) -> str:
    """Text from a stranger: nothing in it moves a cursor, turns its direction or breaks a line."""
    return _safe(raw.rstrip(b"\0").decode("utf-8", "replace"))


def _safe(text: str) -> str:
    return "".join("\ufffd" if category(each) in _HIDDEN else each for each in text)


def addresses(raw: bytes) -> Iterator[Json]:
    """BOLT 7 `addresses`, up to the first of an unknown type or cut short."""
    at = 0
    while at < len(raw):
        kind = raw[at]
        at += 1
        if kind == _HOSTNAME:
            name, size = "dns", raw[at] if at < len(raw) else 0
            at += 1
        elif kind in _KINDS:
            name, size = _KINDS[kind]
        else:
            return
        host, port = raw[at : at + size], raw[at + size : at + size + 2]
        at += size + 2
        if at > len(raw):
            return
        yield {"type": name, "address": _host(name, host), "port": int.from_bytes(port, "big")}


def _host(kind: str, host: bytes) -> str:
    if kind == "dns":
        return _safe(host.decode("ascii", "replace"))
    if kind in {"torv2", "torv3"}:
        return b32encode(host).decode().lower() + ".onion"
    return str(ip_address(host))


def directions(channel: GraphChannel) -> Iterator[Json]:
    """The items of `listchannels`: one for each direction with known terms."""
    ends = (channel.node_1, channel.node_2)
    for direction, policy in enumerate(channel.policies):
        if policy is not None:
            yield _direction(channel, direction, ends[direction], ends[1 - direction], policy)


def _direction(
    channel: GraphChannel,
    direction: int,
    source: NodeId,
    destination: NodeId,
    policy: DirectedPolicy,
) -> Json:
    return {
        "source": source.hex(),
        "destination": destination.hex(),
        "short_channel_id": str(channel.scid),
        "direction": direction,
        "public": True,
        "amount_msat": channel.capacity_sat * 1000,
        "message_flags": _MUST_BE_ONE,
        "channel_flags": direction | policy.disabled << 1,
        "active": not policy.disabled,
        "last_update": policy.timestamp,
        "base_fee_millisatoshi": policy.fee_base_msat,
        "fee_per_millionth": policy.fee_proportional_millionths,
        "delay": policy.cltv_expiry_delta,
        "htlc_minimum_msat": policy.htlc_minimum_msat,
        "htlc_maximum_msat": policy.htlc_maximum_msat,
        "features": channel.features.hex(),
    }


def route_hop(hop: RouteHop) -> Json:
    """An item of `getroute`'s route: what `sendpay` takes."""
    return {
        "id": hop.node_id.hex(),
        "channel": str(hop.scid),
        "direction": hop.direction,
        "amount_msat": hop.amount_msat,
        "delay": hop.delay,
        "style": "tlv",
    }


def path_hop(source: NodeId, amount_msat: int, delay: int, hop: RouteHop) -> Json:
    """An item of a path of `getroutes`; amount and delay are those before this hop."""
    return {
        "short_channel_id_dir": f"{hop.scid}/{hop.direction}",
        "node_id_in": source.hex(),
        "node_id_out": hop.node_id.hex(),
        "amount_in_msat": amount_msat,
        "amount_out_msat": hop.amount_msat,
        "cltv_in": delay,
        "cltv_out": hop.delay,
        "next_node_id": hop.node_id.hex(),
        "amount_msat": amount_msat,
        "delay": delay,
    }
