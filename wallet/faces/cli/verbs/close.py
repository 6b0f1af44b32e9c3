"""`leyden close ID`: the method, and before it on a terminal what comes back, and a yes."""

from collections.abc import Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ending import Ending, chosen
from wallet.faces.cli.verbs.limits import approve, read_ceilings
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {"--force": False, "--yes": False, "--dry-run": False}
USAGE: Final = """\
leyden close ID [UNILATERALTIMEOUT] [DESTINATION] [--force] [--dry-run] [--yes]

Ends a channel for good: its money comes back on chain. ID is a channel id, a short channel id, or
a peer's with one channel. The parameters (id, unilateraltimeout, destination, feerange) and the
JSON are those of the daemon's close: after UNILATERALTIMEOUT seconds without an agreement (two
days; 0: never) our own commitment goes to the chain by itself. A channel that is closed together
and still waits for its block pays more when it is closed again with a higher feerange, if the peer
offers option_simple_close.

On a terminal you see what comes back, when and what it costs, and type close. In a pipe it is the
method and asks nothing.

  --force     do not ask the peer: our commitment goes to the chain at once. It costs more, takes
              longer, and payments in flight may be lost: this node cannot settle them on chain
              yet. On a terminal you type force close; elsewhere it needs --yes as well
  --dry-run   show what would come back, and close nothing
  --yes       no question; to a DESTINATION under max_amount and max_fee_percent of cli.toml"""

_PARAMS: Final = (
    "id",
    "unilateraltimeout",
    "destination",
    "fee_negotiation_step",
    "wrong_funding",
    "force_lease_closed",
    "feerange",
)
_AT_ONCE: Final = 1
"""Of `unilateraltimeout`: the peer is not waited for."""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.look = "leyden channels"
    if not (desk.flags.keys() & FLAGS.keys() or desk.at_terminal):
        return _closed(desk, desk.ask_as_method())
    desk.nothing = "nothing was closed"
    ceilings = read_ceilings(desk.options)
    params = desk.named_params(_PARAMS)
    if "--force" in desk.flags:
        params.setdefault("unilateraltimeout", _AT_ONCE)
    force = str(params.get("unilateraltimeout")) == str(_AT_ONCE)
    if "--force" in desk.flags and not force:
        raise UsageError("--force waits for nobody: give it no unilateraltimeout")
    if "--force" in desk.flags and not (desk.flags.keys() & {"--yes", "--dry-run"}):
        # Where nobody could be asked nothing is looked at either.
        desk.needs_a_person("close the channel by force")
    desk.ask("check", command_to_check="close", **params)
    channel = chosen(desk.ask("listpeerchannels")["channels"], str(params["id"]))
    plan = Ending(desk, channel, params, force=force)
    if "--dry-run" in desk.flags:
        return desk.show(plan.preview(), lambda: [*facts(plan.facts()), desk.nothing])
    word = "force close" if force else "close"
    what = "pay the higher fee" if plan.raises else f"{word} the channel"
    if "destination" in params:
        # Coins that go to somebody else's address are spent.
        approve(desk, word, what, plan, ceilings)
    elif "--yes" not in desk.flags:
        desk.confirm(word, what, lambda: facts(plan.facts()))
    said = "closing; Ctrl-C detaches, it does not cancel"
    desk.progress("closing", said, channel_id=plan.channel_id)
    return _closed(desk, desk.ask_as_method(params))


def _closed(desk: Desk, done: Mapping[str, Any]) -> int:
    return desk.show(done, lambda: lines(done))


def lines(done: Mapping[str, Any]) -> list[str]:
    """As a person reads it."""
    outcome = {
        "mutual": "closed together with the peer; the money comes with a block",
        "unilateral": "our commitment is on its way to the chain; the money follows later",
    }
    txids = " ".join(map(str, done.get("txids", ())))
    return [outcome.get(str(done.get("type")), "closed"), *facts((("txid", txids),))]
