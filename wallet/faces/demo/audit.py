"""The money check in a town that lives: it waits for a moment of rest, or says what is in the way.

While a payment is under way its money is in neither side's share, and a transaction in no block yet
is known to wallets but not to the chain's set of coins; nor can books be read that a node which
does not answer keeps.  None of that is a fault, and none of it may be guessed.
"""

import time
from collections.abc import Sized
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.faces.demo.chain import FAUCET_SCRIPT
from wallet.faces.demo.money import LIVING, Books, MoneyCheck, check_money
from wallet.faces.demo.sights import look
from wallet.faces.demo.town import Node, Town, at_once
from wallet.faces.demo.traffic import Traffic

PATIENCE_SECONDS: Final = 5.0
_LOOK_AGAIN_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Audit:
    """The check, or why it could not be made: a sentence for each thing in the way."""

    money: MoneyCheck | None
    in_the_way: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """A sentence, and whether it goes by itself."""

    sentence: str
    passing: bool


def count_money(town: Town) -> MoneyCheck:
    """The check as the books stand now; all nodes have to answer, and all channels to be at rest.

    Raises what a call of a node raises.
    """
    books = at_once(_books, town.nodes.values())
    chain = town.chain
    return check_money(chain.call("listutxos"), FAUCET_SCRIPT.hex(), books, chain.parents)


def _books(node: Node) -> Books:
    return Books(
        node.name,
        node.call("listfunds")["outputs"],
        node.call("listpeerchannels")["channels"],
        node.call("commitments")["commitments"],
        node.call("listclosedchannels")["closedchannels"],
    )


def audit(town: Town, traffic: Traffic | None, patience: float = PATIENCE_SECONDS) -> Audit:
    """Count the money once the town is at rest, for which traffic pauses.

    What others do meanwhile may still look like a fault: that is looked at again, until `patience`
    (seconds) is at its end.
    """
    deadline = time.monotonic() + patience
    with nullcontext() if traffic is None else traffic.paused(patience):
        while True:
            late = time.monotonic() >= deadline
            obstacles = _obstacles(town)
            money, fault = _try(town) if not obstacles else (None, None)
            if late or (money is not None and money.ok) or not all(o.passing for o in obstacles):
                sentences = [obstacle.sentence for obstacle in obstacles]
                return Audit(money, tuple(sentences if fault is None else [*sentences, fault]))
            time.sleep(_LOOK_AGAIN_SECONDS)


def _try(town: Town) -> tuple[MoneyCheck | None, str | None]:
    try:
        return count_money(town), None
    except WalletError as error:
        return None, f"somebody stopped answering: {error}"


def _obstacles(town: Town) -> list[_Obstacle]:
    tip = town.chain.height
    found = []
    held: dict[str, tuple[str, str, list[dict[str, Any]]]] = {}
    names = {node.id: node.name for node in town.nodes.values()}
    for sight in look(town):
        shown = sight.shown
        if "blockheight" not in shown:
            how = "frozen" if shown["frozen"] else "down" if not shown["running"] else "silent"
            found.append(_Obstacle(f"{shown['alias']} is {how}: the books cannot be read", False))
        elif shown["blockheight"] < tip:
            said = f"{shown['alias']} has read block {shown['blockheight']} of {tip}"
            found.append(_Obstacle(said, True))
        for row in sight.channels:
            if row["state"] not in LIVING:
                # The chain decides about its payments, and says whose the coins are.
                continue
            # A side may know of one that the other has not heard of yet.
            known = held.get(row["channel_id"])
            if row["htlcs"] and (known is None or len(known[2]) < len(row["htlcs"])):
                peer = names.get(row["peer_id"], "somebody")
                held[row["channel_id"]] = (shown["alias"], peer, row["htlcs"])
    for one, other, htlcs in held.values():
        amount = sum(htlc["amount_msat"] for htlc in htlcs)
        between = f"between {one} and {other}"
        found.append(
            _Obstacle(f"{_count(htlcs, 'payment')} under way {between}: {amount:,} msat", True)
        )
    if waiting := town.chain.call("getrawmempool"):
        said = f"{_count(waiting, 'transaction')} in no block yet: mine one"
        found.append(_Obstacle(said, False))
    return found


def _count(things: Sized, name: str) -> str:
    return f"1 {name} is" if len(things) == 1 else f"{len(things)} {name}s are"
