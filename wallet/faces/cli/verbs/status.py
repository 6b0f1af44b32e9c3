"""`leyden status`: the node, its chain and its channels, at a glance."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.base.values.text import safe_text
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import WARN, in_tone
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden status

Who this node is, how far it has read the chain, what it has open. JSON is the daemon's getinfo."""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    node = desk.ask("getinfo")
    return desk.show(node, lambda: lines(node))


def lines(node: Mapping[str, Any]) -> Iterable[str]:
    """As a person reads it."""
    if node.get("locked"):
        return facts(
            (
                ("node", "locked: leyden unlock"),
                ("network", node.get("network")),
                ("directory", node.get("lightning-dir")),
            )
        )
    opening, shut = node.get("num_pending_channels", 0), node.get("num_inactive_channels", 0)
    channels = f"{node.get('num_active_channels', 0)} open"
    channels += f", {opening} opening" if opening else ""
    channels += f", {shut} closing" if shut else ""
    warning = str(node.get("warning_bitcoind_sync") or node.get("warning_lightningd_sync") or "")
    places = (f"{a.get('address')}:{a.get('port')}" for a in node.get("binding", ()))
    return facts(
        (
            ("node", node.get("alias")),
            ("id", node.get("id")),
            ("network", f"{node.get('network')}, block {node.get('blockheight')}"),
            ("chain", in_tone(safe_text(warning), WARN)),
            ("channels", channels),
            ("peers", node.get("num_peers")),
            ("listens", " ".join(places)),
            ("directory", node.get("lightning-dir")),
            ("version", node.get("version")),
        )
    )
