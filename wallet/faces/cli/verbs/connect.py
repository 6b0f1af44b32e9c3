"""`leyden connect ID`: a link to a peer. The method's parameters, and a line for a person."""

from collections.abc import Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import GOOD, in_tone, joined
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden connect ID[@HOST[:PORT]] [HOST] [PORT]

Links to a peer; without a place to where it was met last. No money moves. The parameters (id,
host, port) and the JSON are those of the daemon's connect; - reads standard input."""


def run(desk: Desk) -> int:
    """Carry it out."""
    found = desk.ask_as_method()
    peer = str(found.get("id", ""))
    alias = desk.alias(peer) if desk.human and peer else ""
    desk.asked = desk.name
    return desk.show(found, lambda: lines(found, alias))


def lines(found: Mapping[str, Any], alias: str) -> list[str]:
    """As a person reads it."""
    address = found.get("address") or {}
    place = ":".join(str(address[n]) for n in ("address", "port") if n in address)
    who = "we called them" if found.get("direction") == "out" else "they called us"
    return [
        joined((in_tone("connected", GOOD), f", {who}")),
        *facts((("peer", alias), ("id", found.get("id")), ("at", place))),
    ]
