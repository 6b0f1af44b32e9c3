"""A fresh town's first minutes: everybody gets money and opens the channels of layout.py.

All of it goes over the wire, as between strangers: no database was made ready.
"""

from collections.abc import Callable
from typing import Any, Final

from wallet.faces.demo.chain import MATURITY
from wallet.faces.demo.layout import EDGES, SPARE_SAT, ZERO_CONF_TYPE, Edge
from wallet.faces.demo.town import Node, Town, at_once

DEPTH: Final = 6
"""Blocks over a transaction that everybody takes for final, and after which it is announced."""

_FEES_SAT: Final = 50_000
"""What an opener has beside the amount of a channel, for the fee of its funding."""


def open_channels(town: Town) -> None:
    """From an empty chain to channels that everybody knows and can use."""
    town.chain.mine(MATURITY + 1)
    _fund(town)
    openers = {edge.opener for edge in EDGES}
    at_once(lambda opener: _open(town, opener), sorted(openers))
    town.mine(DEPTH)
    await_usable(town)
    town.settled()


def rejoin(town: Town) -> None:
    """After a restart of everybody: find each other again, also where a port has changed."""
    at_once(lambda edge: _connect(town, edge), EDGES)
    await_usable(town)


def await_usable(town: Town) -> None:
    """Until every channel works on both sides and every node knows every announced channel."""
    for node in town.nodes.values():
        town.wait_until(f"{node.key}'s channels work", _usable(node))
    wanted = 2 * sum(edge.announced for edge in EDGES)
    for node in town.nodes.values():
        town.wait_until(f"{node.key} has a map of the town", _knows(node, wanted))


def _fund(town: Town) -> None:
    """One transaction for all: a coin for each channel to be opened, and one to spare."""
    amounts = {key: [SPARE_SAT] for key in town.nodes}
    for edge in EDGES:
        amounts[edge.opener].append(edge.sat + _FEES_SAT)

    def gifts_of(key: str) -> list[tuple[str, int]]:
        node = town.nodes[key]
        return [(node.call("newaddr", addresstype="bech32")["bech32"], s) for s in amounts[key]]

    town.chain.pay_from_faucet(dict(g for gifts in at_once(gifts_of, amounts) for g in gifts))
    town.mine(1)


def _open(town: Town, opener: str) -> None:
    """One node's channels, one after the other: they are paid from one wallet."""
    node = town.nodes[opener]
    for edge in EDGES:
        if edge.opener == opener:
            peer = town.nodes[edge.peer]
            node.connect(peer)
            wishes: dict[str, object] = {"announce": edge.announced}
            if edge.trusted:
                peer.call("trustpeer", id=node.id)
                wishes["channel_type"] = list(ZERO_CONF_TYPE)
            half_msat = edge.sat * 1000 // 2
            node.call("fundchannel", id=peer.id, amount=edge.sat, push_msat=half_msat, **wishes)


def _connect(town: Town, edge: Edge) -> None:
    town.nodes[edge.opener].connect(town.nodes[edge.peer])


def _usable(node: Node) -> Callable[[], bool]:
    def look() -> bool:
        channels: list[dict[str, Any]] = node.call("listpeerchannels")["channels"]
        normal = [c for c in channels if c["state"] in _BECOMING]
        return bool(normal) and all(
            c["state"] == "CHANNELD_NORMAL" and c["reestablished"] for c in normal
        )

    return look


_BECOMING: Final = ("CHANNELD_AWAITING_LOCKIN", "CHANNELD_NORMAL")


def _knows(node: Node, wanted: int) -> Callable[[], bool]:
    return lambda: len(node.call("listchannels")["channels"]) >= wanted


def bring_up(town: Town, done: Callable[[str], object] = lambda _: None) -> None:
    """From nothing running to a town whose channels work, a new one or the last one.

    `done` is told of every step but the last.
    """
    town.start_chain()
    done("chain")
    town.start_nodes()
    done("nodes")
    if town.fresh:
        open_channels(town)
    else:
        rejoin(town)
