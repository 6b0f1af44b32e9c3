"""What `status` shows: every node and every channel at a glance, as far as they answer.

The screen asks once a second: three short questions to each node, all nodes side by side.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.faces.demo.money import LIVING
from wallet.faces.demo.town import Node, Town, at_once
from wallet.faces.rpc.client import Asked, request_of

PATIENCE_SECONDS: Final = 2.0
"""A node that takes longer is shown as one that does not answer."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """One node: what is shown of it, and its channels as it lists them."""

    key: str
    shown: Json
    channels: list[Json] = field(default_factory=list)


def look(town: Town) -> list[Sight]:
    """All nodes, side by side."""
    return at_once(_look_at, town.nodes.values())


def ask(node: Node, **questions: Json) -> list[Json]:
    """Put questions to a node, method and params, all at once: none waits for another's batch.

    Raises what `call` raises.
    """
    with ExitStack() as stack:
        asked = [
            stack.enter_context(Asked(node.rpc_file, request_of(method, params), PATIENCE_SECONDS))
            for method, params in questions.items()
        ]
        return [question.result() for question in asked]


def _look_at(node: Node) -> Sight:
    known: Json = {
        "alias": node.name,
        "running": node.running,
        "frozen": node.frozen,
        "pid": node.child.pid if node.child is not None and node.running else None,
    }
    if not node.answers:
        return Sight(node.key, known)
    try:
        info, counted, listed = ask(node, getinfo={}, metrics={}, listpeerchannels={})
    except WalletError:  # It ended just now, or is frozen by somebody else.
        return Sight(node.key, {**known, "running": node.running})
    channels = listed["channels"]
    figures = {
        "blockheight": info["blockheight"],
        "channels": sum(channel["state"] in LIVING for channel in channels),
        "payments": {
            "made": counted["payments_complete"],
            "received": counted["invoices_paid"],
            "forwarded": counted["forwards_settled"],
        },
        "fees_earned_msat": info["fees_collected_msat"],
        "can_send_msat": _now(channels, "spendable_msat"),
        "can_receive_msat": _now(channels, "receivable_msat"),
    }
    return Sight(node.key, {**known, **figures}, channels)


def _now(channels: list[Json], what: str) -> int:
    """Over the channels that can be used at this moment."""
    return sum(channel[what] for channel in channels if channel["reestablished"])


class ChannelBook:
    """Every channel once; one that no node tells of any more stays until it is known to be over."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def update(self, sights: list[Sight], town: Town) -> list[Json]:
        """The channels now; of each side that answers what it counts as its own."""
        keys = {node.id: node.key for node in town.nodes.values()}
        answered = {sight.key for sight in sights if "blockheight" in sight.shown}
        for channel in self._known.values():
            channel.update(to_msat={}, htlcs=0, connected=False)
        told = set()
        for sight in sights:
            for row in sight.channels:
                told.add(row["channel_id"])
                peer_id = str(row["peer_id"])
                self._add(sight.key, keys.get(peer_id, peer_id), row)
        for channel_id in set(self._known) - told:
            if answered.intersection(self._known[channel_id]["nodes"]):
                del self._known[channel_id]
        return [dict(channel) for channel in self._known.values()]

    def _add(self, key: str, peer: str, row: Json) -> None:
        channel = self._known.setdefault(
            row["channel_id"],
            {
                "channel_id": row["channel_id"],
                "nodes": [key, peer],
                "short_channel_id": None,
                "state": "",
                "private": row["private"],
                "total_msat": row["total_msat"],
                "to_msat": {},
                "htlcs": 0,
                "connected": False,
            },
        )
        channel["short_channel_id"] = row.get("short_channel_id")
        channel["state"] = row["state"]
        channel["to_msat"][key] = row["to_us_msat"]
        if row["state"] in LIVING:
            channel["htlcs"] = max(channel["htlcs"], len(row["htlcs"]))
        channel["connected"] = channel["connected"] or row["reestablished"]
