"""`leyden withdraw`: the method, and before it on a terminal the facts and a yes."""

from collections.abc import Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.amount import read_whole_sat
from wallet.faces.cli.verbs.coins import Coins
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.limits import approve, read_ceilings
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.to_chain import ToChain
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {"--yes": False, "--dry-run": False}
USAGE: Final = """\
leyden withdraw DESTINATION SATOSHI [FEERATE] [MINCONF] [UTXOS]

Sends coins on chain to an address; SATOSHI may be all. The parameters and the JSON are those of
the daemon's withdraw. On a terminal you see what is about to happen and type withdraw. In a pipe
it is the method and asks nothing (leyden send ADDRESS AMOUNT asks a script for --yes).

  --dry-run   show amount and fee, and send nothing
  --yes       no question; under max_amount and max_fee_percent of cli.toml"""

_PARAMS: Final = ("destination", "satoshi", "feerate", "minconf", "utxos")


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.look = "leyden history --kind withdrawal"
    if not (desk.flags.keys() & FLAGS.keys() or desk.at_terminal):
        done = desk.ask_as_method()
        return desk.show(done, lambda: lines(done))
    ceilings = read_ceilings(desk.options)
    params = desk.named_params(_PARAMS)
    plan = _plan(desk, params)
    if "--dry-run" in desk.flags:
        return desk.show(plan.preview(), lambda: [*facts(plan.facts()), desk.nothing])
    approve(desk, "withdraw", "send the coins", plan, ceilings)
    said = "offering the transaction to the chain; Ctrl-C detaches, it does not cancel"
    desk.progress("offering", said)
    # The rate that was shown is the one that is asked for, unless a word for one was given.
    done = desk.ask_as_method({"feerate": plan.feerate, **params})
    return desk.show(done, lambda: lines(done))


def _plan(desk: Desk, params: Mapping[str, Any]) -> ToChain:
    """What would happen, from parameters that the daemon has looked at."""
    desk.ask("check", command_to_check="withdraw", **params)
    rate, utxos = params.get("feerate"), params.get("utxos")
    # Coins that are named were looked at by whoever names them.
    least = params.get("minconf", 1 if utxos is None else 0)
    statuses = ("confirmed",) if int(least) > 0 else ("confirmed", "unconfirmed")
    coins = Coins(desk, None if rate is None else str(rate), *statuses, only=utxos or ())
    asked = str(params["satoshi"])
    amount = None if asked == "all" else read_whole_sat(asked)
    return ToChain(desk, str(params["destination"]), amount, coins)


def lines(done: Mapping[str, Any]) -> list[str]:
    """As a person reads it."""
    return ["sent to the chain; it waits for a block", *facts((("txid", done.get("txid")),))]
