"""`leyden court [ID]`: what the chain would rule if a channel ended in the next block."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.amount import whole_sat
from wallet.faces.cli.verbs.channels import is_with
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.paper import short, table
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden court [ID]

For each channel, or those with this channel id, short channel id or peer: if it ended now,
together, by your commitment, by theirs or by the commitment of the past that would pay them most,
which outputs there are, whose each is and from when, and what taking it costs at 1, 10 and 100
sat/vB; then the open timelocks. Every transaction that could be sent then is really built, signed
and judged by Bitcoin Core's script engine. Nothing is sent. JSON is the daemon's court."""

_TITLES: Final = {
    "together": "Closed together",
    "alone": "Closed by you alone",
    "by them": "Closed by them alone",
    "by their cheat": "Closed by their cheat",
}
_VERDICTS: Final = {True: "valid", False: "INVALID", None: "-"}


def run(desk: Desk) -> int:
    """Carry it out."""
    if any("=" in word or word[:1] in "{[" for word in desk.words):
        found = desk.ask_as_method()
    else:
        wanted = desk.one_word("an ID, or nothing").strip().lower() if desk.words else ""
        found = desk.ask("court")
        found["channels"] = [c for c in found["channels"] if _is_meant(desk, c, wanted)]
    return desk.show(found, lambda: lines(desk, found))


def _is_meant(desk: Desk, channel: Mapping[str, Any], wanted: str) -> bool:
    names = {str(channel["channel_id"]), str(channel.get("short_channel_id", ""))}
    named = {**channel, "peer_alias": desk.alias(channel["peer_id"])}
    return wanted in names or is_with(named, wanted)


def lines(desk: Desk, found: Mapping[str, Any]) -> list[str]:
    """As a person reads them."""
    shown: list[str] = []
    for channel in found["channels"]:
        name = desk.alias(channel["peer_id"]) or short(channel["peer_id"])
        shown += ["", f"{name}  {short(channel['channel_id'])}  {channel['state']}"]
        for way in channel["ways"]:
            shown += _way(way, desk.width)
        shown += _docket(channel["docket"], int(found["blockheight"]), desk.width)
    return shown[1:] or ["no channels: leyden open PEER AMOUNT"]


def _way(way: Mapping[str, Any], width: int) -> list[str]:
    title = _TITLES.get(way["way"], way["way"])
    number = f", number {way['commitment_number']}" if "commitment_number" in way else ""
    mine = whole_sat(int(way["ours_msat"]))
    rows = [
        (
            whole_sat(int(output["amount_msat"])),
            output["what"],
            "you" if output["owner"] == "us" else "them",
            _when(output),
            " ".join("-" if cost is None else f"{cost:,}" for cost in output["costs_sat"]) or "-",
            _VERDICTS[output["verified"]],
        )
        for output in way["outputs"]
    ]
    head = ("sat", "output", "whose", "from", "cost at 1 10 100 sat/vB", "judged")
    costs = " / ".join(f"{cost:,}" for cost in dict.fromkeys(way["costs_sat"]))
    summary = f"  {title}{number}: {mine} sat are yours; your part of its fee is {costs} sat"
    return ["", summary, *(f"  {line}" for line in table(head, rows, width - 2, "r"))]


def _when(output: Mapping[str, Any]) -> str:
    if "from_height" in output:
        when = f"block {output['from_height']:,}"
    elif output["after_blocks"]:
        count = output["after_blocks"]
        when = f"{count} block{'s' if count != 1 else ''} later"
    else:
        when = "at once"
    return f"{when}, {output['condition']}" if "condition" in output else when


def _docket(docket: Iterable[Mapping[str, Any]], height: int, width: int) -> list[str]:
    rows = [
        (
            f"{line['height']:,}",
            f"{max(int(line['height']) - height, 0):,}",
            whole_sat(int(line["amount_msat"])),
            line["what"],
        )
        for line in docket
    ]
    if not rows:
        return ["", "  No timelock is open."]
    head = ("block", "in blocks", "sat", "open timelock")
    return ["", *(f"  {line}" for line in table(head, rows, width - 2, "rrr"))]
