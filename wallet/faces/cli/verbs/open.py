"""`leyden open PEER AMOUNT`: a link if there is none, then a channel, after a yes."""

import re
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import MSAT_PER_SAT, percent, read_amount, read_whole_sat, sat
from wallet.faces.cli.verbs.coins import Coins, read_feerate
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.limits import approve, read_ceilings
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {
    "--yes": False,
    "--dry-run": False,
    "--private": False,
    "--push": True,
    "--feerate": True,
}
USAGE: Final = """\
leyden open PEER AMOUNT

Opens a channel with AMOUNT satoshi (or all) from the wallet on chain. PEER is a node id, or
ID@HOST:PORT to connect first. On a terminal you see what is about to happen and type open.

  --dry-run       show amount and fee, and open nothing
  --private       do not announce the channel
  --push AMOUNT   give so much of it to the peer at once: a gift
  --feerate RATE  of the funding transaction, as 1000perkw
  --yes           no question; under max_amount and max_fee_percent of cli.toml"""

_PEER: Final = re.compile(r"(0[23][0-9a-f]{64})(?:@(.+))?", re.ASCII)


class Opening:
    """What is about to be done."""

    def __init__(self, desk: Desk) -> None:
        if len(desk.words) != 2:
            raise UsageError("open needs PEER and AMOUNT")
        found = _PEER.fullmatch(desk.words[0])
        if found is None:
            raise UsageError(f"not a node: {desk.words[0][:80]!r} (ID or ID@HOST:PORT)")
        self.desk = desk
        self.peer, self.place = found[1], found[2]
        self.everything = desk.words[1] == "all"
        asked_sat = 0 if self.everything else read_whole_sat(desk.words[1])
        push = desk.flags.get("--push")
        self.push_msat = None if push is None else read_amount(push)
        rate = desk.flags.get("--feerate")
        coins = Coins(desk, rate and read_feerate(rate), "confirmed", "unconfirmed")
        self.feerate, self.fee_msat, self.has_msat = coins.feerate, coins.fee_msat, coins.has_msat
        self.amount_msat = self.has_msat if self.everything else asked_sat * MSAT_PER_SAT

    def facts(self) -> list[tuple[str, object]]:
        """What a person should know before the yes."""
        share = percent(self.fee_msat, self.amount_msat)
        found: list[tuple[str, object]] = [
            ("with", f"{self.desk.alias(self.peer)} {self.peer}".strip()),
            ("at", self.place),
            ("amount", "all" if self.everything else f"{sat(self.amount_msat)} sat"),
            ("gift", None if self.push_msat is None else f"{sat(self.push_msat)} sat of it"),
            ("fee", f"at most {sat(self.fee_msat)} sat ({share}) at {self.feerate}"),
            ("from", f"{sat(self.has_msat)} sat on chain"),
            ("seen by", "both of you" if "--private" in self.desk.flags else "everybody"),
        ]
        if self.amount_msat > self.has_msat:
            found.append(("!", "more than there is"))
        return found

    def preview(self) -> dict[str, Any]:
        """For a dry run."""
        return {
            "type": "channel_open",
            "peer_id": self.peer,
            "amount_msat": None if self.everything else self.amount_msat,
            "push_msat": self.push_msat or 0,
            "max_fee_msat": self.fee_msat,
            "feerate": self.feerate,
            "onchain_msat": self.has_msat,
        }

    def connect(self) -> None:
        """The link that an opening needs; one that is there already is kept."""
        peers = self.desk.ask("listpeers", id=self.peer)["peers"]
        if not any(peer["connected"] for peer in peers):
            where = self.peer if self.place is None else f"{self.peer}@{self.place}"
            self.desk.ask("connect", id=where)

    def open(self) -> dict[str, Any]:
        """Do it: the answer is that the chain has been offered the funding transaction."""
        done: dict[str, Any] = self.desk.ask(
            "fundchannel",
            id=self.peer,
            amount="all" if self.everything else self.amount_msat // MSAT_PER_SAT,
            feerate=self.feerate,
            announce=False if "--private" in self.desk.flags else None,
            push_msat=self.push_msat,
        )
        return done


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.nothing = "nothing was opened"
    ceilings = read_ceilings(desk.options)
    plan = Opening(desk)
    if "--dry-run" in desk.flags:
        found = plan.preview()
        return desk.show(found, lambda: [*facts(plan.facts()), desk.nothing])
    approve(desk, "open", "open the channel", plan, ceilings)
    desk.look = "leyden channels"
    said = "asking the peer; Ctrl-C detaches, it does not cancel"
    desk.progress("opening", said, peer_id=plan.peer)
    plan.connect()
    done = plan.open()
    return desk.show(
        done,
        lambda: [
            "the channel waits for the chain to confirm it",
            *facts((("channel", done["channel_id"]), ("txid", done["txid"]))),
        ],
    )
