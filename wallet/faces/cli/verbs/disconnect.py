"""`leyden disconnect ID`: the link to a peer ends. The method's parameters, a line for a person."""

from typing import Final

from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.words import Flags
from wallet.faces.rpc.client import RpcError

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden disconnect ID [FORCE]

Ends the link to a peer; with FORCE true also while a channel needs it, and then the node calls it
again soon. No money moves and no channel ends. The parameters (id, force) and the JSON are those
of the daemon's disconnect; - reads standard input."""


def run(desk: Desk) -> int:
    """Carry it out."""
    try:
        found = desk.ask_as_method()
    except RpcError as fault:
        if desk.human and "channel" in str(fault):
            raise Halt(f"{fault}: leyden disconnect ID true does it", fault.code) from None
        raise
    return desk.show(found, lambda: ["disconnected; its channels stay open"])
