"""Looking at the whole network: seldom, and never at more of it than the node can give cheaply.

The lists of the main network have tens of megabytes, and whoever asks for them holds the node up.
So a node that counts is asked for its counts, and only a small network is listed whole.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from wallet.faces.tui import facts_network
from wallet.faces.tui.answers import known
from wallet.faces.tui.facts_network import KnownNode, Network, PublicChannel
from wallet.faces.tui.link import Link

MOST_NODES: Final = 2_000
MOST_CHANNELS: Final = 10_000
"""A network of up to so many is listed whole."""
AGAIN_SECONDS: Final = 60


async def survey(link: Link, *, by_name: bool = False) -> Network:
    """The network as it is now; `by_name` lists the nodes of a large one as well.

    Raises `RpcError` or `ConnectionLost`.
    """
    counts = Network()
    if link.can("metrics"):
        counts = _counts(await link.ask("metrics"))
    if not link.can("listnodes"):
        return counts
    large = (counts.nodes or 0) > MOST_NODES or (counts.channels or 0) > MOST_CHANNELS
    if large and not by_name:
        return counts
    found = facts_network.nodes(await link.ask("listnodes"))
    if large or len(found) > MOST_NODES or not link.can("listchannels"):
        by_seen = tuple(sorted(found, key=lambda n: n.seen, reverse=True))
        return replace(counts, nodes=len(found), known=by_seen, whole=True)
    return facts_network.counted(found, facts_network.channels(await link.ask("listchannels")))


def _counts(answer: Mapping[str, Any]) -> Network:
    return Network(
        known(answer.get("gossip_nodes")),
        known(answer.get("gossip_channels")),
        known(answer.get("gossip_capacity_msat")),
    )


async def look_at(link: Link, node_id: str) -> tuple[KnownNode, tuple[PublicChannel, ...]]:
    """One node and the channels that leave it. Raises `RpcError` or `ConnectionLost`."""
    wanted = [link.ask("listnodes", id=node_id)] if link.can("listnodes") else []
    wanted += [link.ask("listchannels", source=node_id)] if link.can("listchannels") else []
    answers: dict[str, Any] = {}
    for answer in await asyncio.gather(*wanted):
        answers |= answer
    found = facts_network.nodes(answers)
    own = facts_network.channels(answers)
    node = found[0] if found else KnownNode(node_id)
    if link.can("listchannels"):
        capacity = sum(c.capacity for c in own)
        fee = facts_network.usual_fee(own)
        node = replace(node, channels=len(own), capacity=capacity, fee=fee)
    return node, own
