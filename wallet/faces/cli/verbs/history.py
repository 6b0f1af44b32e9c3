"""`leyden history`: one list of all that moved money, newest first."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.verbs.amount import sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import GOOD, in_tone, word
from wallet.faces.cli.verbs.paper import short, table, when
from wallet.faces.cli.verbs.words import Flags

_WORDS: Final = ("kind", "direction", "status", "text")
_TIMES: Final = ("since", "until")
FLAGS: Final[Flags] = {
    **{f"--{name}": True for name in (*_WORDS, *_TIMES)},
    "--limit": True,
    "--start": True,
}
USAGE: Final = """\
leyden history [--kind K] [--direction D] [--status S] [--text T] [--since WHEN] [--until WHEN]
               [--limit N] [--start NEXT]

Payments, invoices paid, forwards, deposits, withdrawals, channels opened and closed, newest
first. Several words go with commas:
  K  payment, invoice, forward, deposit, withdrawal, channel_open, channel_close
  D  in, out, through (a forward), self (between our coins and our channels)
  S  pending, complete, failed
WHEN is a Unix time, 2026-11-24 or 2026-11-24T15:30. In place of flags it takes the parameters of
the daemon's history; the JSON is the same."""

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2})?", re.ASCII)
_SIGNS: Final = {"in": "+", "out": "-"}
_MARKS: Final = {"complete": "arrived", "pending": "on its way", "failed": "not sent"}


def run(desk: Desk) -> int:
    """Carry it out."""
    given = desk.flags.keys() & FLAGS.keys()
    if desk.words and given:
        raise UsageError("history takes flags or the method's parameters, not both")
    if given:
        found = desk.ask(
            "history",
            filter=filter_of(desk.flags),
            limit=desk.flags.get("--limit"),
            start=desk.flags.get("--start"),
        )
    else:
        found = desk.ask_as_method()
    return desk.show(found, lambda: lines(found, desk.width, _height(desk, found)))


def _height(desk: Desk, found: Mapping[str, Any]) -> int:
    """The chain's, if a line needs it."""
    if any(is_confirmed_close(item) for item in found.get("history", ())):
        return int(desk.ask("getinfo")["blockheight"])
    return 0


def is_confirmed_close(item: Mapping[str, Any]) -> bool:
    """A channel's end that a block has, though some of its money may have to wait."""
    return item["kind"] == "channel_close" and item.get("blockheight") is not None


def filter_of(flags: Mapping[str, str]) -> dict[str, Any]:
    """The method's filter object. Raises `UsageError`."""
    wanted: dict[str, Any] = {}
    for name in _WORDS:
        if (text := flags.get(f"--{name}")) is not None:
            wanted[name] = text if name == "text" else text.split(",")
    for name in _TIMES:
        if (text := flags.get(f"--{name}")) is not None:
            wanted[name] = read_time(text)
    return wanted


def read_time(text: str) -> int:
    """A Unix time, or a day or minute by the clock on the wall. Raises `UsageError`."""
    if text.isascii() and text.isdigit() and len(text) < 13:
        return int(text)
    if _DAY.fullmatch(text):
        form = "%Y-%m-%dT%H:%M" if "T" in text else "%Y-%m-%d"
        try:
            return max(int(time.mktime(time.strptime(text, form))), 0)
        except (ValueError, OverflowError):
            pass
    raise UsageError(f"not a time: {text[:40]!r} (2026-11-24, 2026-11-24T15:30, 1795536000)")


def lines(found: Mapping[str, Any], width: int, height: int = 0) -> Iterable[str]:
    """As a person reads it; `height` is the chain's."""
    rows = [
        (
            when(item.get("at")),
            str(item["kind"]).replace("_", " "),
            _SIGNS.get(item["direction"], "") + sat(int(item.get("amount_msat") or 0)),
            "" if item.get("fee_msat") is None else sat(int(item["fee_msat"])),
            _mark(item, height),
            name_of(item),
            what_of(item),
        )
        for item in found.get("history", ())
    ]
    head = ("when", "what", "amount", "fee", "money", "id", "about")
    yield from table(head, rows, width, "  rr   ") or ["nothing has happened yet"]
    if "next" in found:
        yield f"more: leyden history --start {found['next']}"


def _mark(item: Mapping[str, Any], height: int) -> str:
    if not is_confirmed_close(item):
        return word(_MARKS.get(item["status"], item["status"]))
    blocks = max(height - int(item["blockheight"]) + 1, 1)
    return in_tone(f"confirmed, {blocks} block{'' if blocks == 1 else 's'}", GOOD)


def name_of(item: Mapping[str, Any]) -> str:
    """What `show` takes to say more."""
    name = item.get("payment_hash") or item.get("txid") or item.get("channel_id") or "-"
    return str(name)[:8]


def what_of(item: Mapping[str, Any]) -> str:
    """What it was about: a label, a description, a reason, a peer, a way."""
    if item["kind"] == "forward":
        return f"{item.get('in_channel', '?')} to {item.get('out_channel', '?')}"
    if item.get("failure"):
        return str(item["failure"])
    # Our own words for what we paid; of an invoice the label may be a mere number.
    ours_first = ("label", "description") if item["kind"] == "payment" else ("description", "label")
    for name in ours_first:
        if item.get(name):
            return str(item[name])
    return short(str(item.get("destination") or item.get("peer_id") or ""))
