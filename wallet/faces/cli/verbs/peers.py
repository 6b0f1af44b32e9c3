"""`leyden peers`: who is connected, and who should be."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import word
from wallet.faces.cli.verbs.paper import short, table
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden peers

Peers that are connected or that we share a channel with. JSON is the daemon's listpeers, with
alias. Connect to more with: leyden connect ID@HOST:PORT"""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    peers = [
        {**peer, **({"alias": alias} if (alias := desk.alias(peer["id"])) else {})}
        for peer in desk.ask("listpeers")["peers"]
    ]
    return desk.show({"peers": peers}, lambda: lines(peers, desk.width))


def lines(peers: Iterable[Mapping[str, Any]], width: int) -> list[str]:
    """As a person reads them."""
    rows = [
        (
            peer.get("alias") or "-",
            word("here" if peer["connected"] else "away"),
            peer.get("num_channels", 0),
            " ".join(map(str, peer.get("netaddr", ()))) or "-",
            short(peer["id"]),
        )
        for peer in peers
    ]
    head = ("peer", "is", "channels", "address", "id")
    return table(head, rows, width, "  r  ") or ["no peers: leyden connect ID@HOST:PORT"]
