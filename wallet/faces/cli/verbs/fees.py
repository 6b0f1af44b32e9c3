"""`leyden fees ID`: what forwarding through a channel of ours costs, and changing it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import read_amount, sat
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.paper import short, table
from wallet.faces.cli.verbs.words import Flags
from wallet.faces.rpc.errors import Code

FLAGS: Final[Flags] = {"--base": True, "--ppm": True, "--min": True, "--max": True}
USAGE: Final = """\
leyden fees [ID] [--base AMOUNT] [--ppm MILLIONTHS] [--min AMOUNT] [--max AMOUNT]

Without flags what others pay for a payment through our channels, or the one that ID names (a
channel id, a short channel id, a peer). With flags it is changed: a base fee and a share, and
the least and the most that one payment may carry. ID may be all. JSON is as of setchannel."""

_AMOUNTS: Final = {"--base": "feebase", "--min": "htlcmin", "--max": "htlcmax"}


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) > 1:
        raise UsageError("fees takes one ID, or none")
    wanted = desk.words[0] if desk.words else "all"
    given: dict[str, Any] = {
        name: read_amount(desk.flags[flag]) for flag, name in _AMOUNTS.items() if flag in desk.flags
    }
    if (ppm := desk.flags.get("--ppm")) is not None:
        if not (ppm.isascii() and ppm.isdigit() and len(ppm) < 10):
            raise UsageError("--ppm should be a number of millionths")
        given["feeppm"] = int(ppm)
    if given:
        if not desk.words:
            raise UsageError("fees changes the channel that ID names, or all")
        found = desk.ask("setchannel", id=wanted, **given)
    else:
        found = {"channels": [_terms(c) for c in _chosen(desk, wanted)]}
    return desk.show(found, lambda: lines(found["channels"], desk.width))


def _chosen(desk: Desk, wanted: str) -> list[Mapping[str, Any]]:
    channels = desk.ask("listpeerchannels")["channels"]
    names = ("peer_id", "channel_id", "short_channel_id")
    chosen = [c for c in channels if wanted == "all" or wanted in (c.get(n) for n in names)]
    if not chosen and wanted != "all":
        raise Halt(f"there is no channel {wanted[:70]!r}", Code.INVALID_PARAMS)
    return chosen


def _terms(channel: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "peer_id",
        "channel_id",
        "short_channel_id",
        "fee_base_msat",
        "fee_proportional_millionths",
        "minimum_htlc_out_msat",
        "maximum_htlc_out_msat",
    )
    return {name: channel[name] for name in names if name in channel}


def lines(channels: Iterable[Mapping[str, Any]], width: int) -> list[str]:
    """As a person reads them."""
    rows = [
        (
            sat(c.get("fee_base_msat", 0)),
            c.get("fee_proportional_millionths", 0),
            sat(c.get("minimum_htlc_out_msat", 0)),
            sat(c.get("maximum_htlc_out_msat", 0)),
            short(c["peer_id"]),
            c.get("short_channel_id") or short(c.get("channel_id", "")),
        )
        for c in channels
    ]
    head = ("base fee", "millionths", "least", "most", "peer", "channel")
    return table(head, rows, width, "rrrr") or ["no channels: leyden open PEER AMOUNT"]
