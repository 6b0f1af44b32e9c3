"""`leyden channels [PEER]`: each channel, and whose money is in it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import whole_sat
from wallet.faces.cli.verbs.balance import usable
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import word
from wallet.faces.cli.verbs.paper import bar, short, table
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden channels [PEER]

Every channel that is not settled, with bars: ours from the left, theirs to the right. PEER is a
node id, the beginning of one, or what the node calls itself. JSON is the daemon's
listpeerchannels, with peer_alias."""

_WORDS: Final = {
    "OPENINGD": "opening",
    "CHANNELD_AWAITING_LOCKIN": "opening",
    "CHANNELD_NORMAL": "open",
    "CHANNELD_SHUTTING_DOWN": "closing",
    "CLOSINGD_SIGEXCHANGE": "closing",
    "CLOSINGD_COMPLETE": "closing",
    "AWAITING_UNILATERAL": "force closing",
    "FUNDING_SPEND_SEEN": "on chain",
    "ONCHAIN": "on chain",
    "CLOSED": "closed",
}


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) > 1:
        raise UsageError("channels takes one PEER, or none")
    channels = desk.ask("listpeerchannels")["channels"]
    names = {peer: desk.alias(peer) for peer in dict.fromkeys(c["peer_id"] for c in channels)}
    named = [{**c, **({"peer_alias": names[c["peer_id"]]} if names[c["peer_id"]] else {})}
             for c in channels]  # fmt: skip
    wanted = desk.words[0].lower() if desk.words else ""
    chosen = [c for c in named if is_with(c, wanted)]
    return desk.show({"channels": chosen}, lambda: lines(chosen, desk.width))


def is_with(channel: Mapping[str, Any], wanted: str) -> bool:
    """Whether a channel's peer is meant: the beginning of its id, or its alias (`peer_alias`)."""
    alias = str(channel.get("peer_alias", "")).lower()
    return str(channel["peer_id"]).startswith(wanted) or alias == wanted


def state_of(channel: Mapping[str, Any]) -> str:
    """A channel's state in a word or two."""
    state = str(channel["state"])
    if state == "CHANNELD_NORMAL" and not usable(channel):
        return "peer away"
    return _WORDS.get(state, state.lower())


def lines(channels: Iterable[Mapping[str, Any]], width: int) -> list[str]:
    """As a person reads them."""
    rows = [
        (
            c.get("peer_alias") or short(c["peer_id"]),
            word(state_of(c)),
            whole_sat(int(c.get("spendable_msat") or 0)),
            bar(int(c.get("to_us_msat") or 0), int(c.get("total_msat") or 0)),
            whole_sat(int(c.get("receivable_msat") or 0)),
            c.get("short_channel_id") or short(c.get("channel_id") or "-"),
        )
        for c in channels
    ]
    head = ("peer", "state", "can send", "yours / theirs", "can receive", "channel")
    return table(head, rows, width, "  r r ") or ["no channels: leyden open PEER AMOUNT"]
