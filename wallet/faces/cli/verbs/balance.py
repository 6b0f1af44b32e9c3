"""`leyden balance`: can I pay, can I be paid, what lies on chain?"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wallet.faces.cli.verbs.amount import whole_sat
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import joined
from wallet.faces.cli.verbs.paper import bar
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden balance

What can be sent and received by Lightning now, what waits for a peer to come back, what is
being opened or closed, and what lies on chain. JSON has the same figures in millisatoshi."""

_NORMAL: Final = "CHANNELD_NORMAL"
_MINED: Final = frozenset({"confirmed", "immature"})
_OPENING: Final = frozenset({"OPENINGD", "CHANNELD_AWAITING_LOCKIN"})
_GUARDED: Final = _OPENING | {
    _NORMAL,
    "CHANNELD_SHUTTING_DOWN",
    "CLOSINGD_SIGEXCHANGE",
    "AWAITING_UNILATERAL",
}
"""States in which a close by force may need coins of ours."""
_BAR: Final = 32


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    funds, channels = desk.ask("listfunds"), desk.ask("listpeerchannels")
    found = balance(funds["outputs"], channels["channels"], _closes(desk, channels["channels"]))
    found["reserve_msat"] = reserve_of(desk, channels["channels"])
    return desk.show(found, lambda: lines(found))


def _closes(desk: Desk, channels: Iterable[Any]) -> Iterable[Any] | None:
    """The closes that are not at their end; None if the node does not tell (a CLN has no such)."""
    if not any(_has_ended(c) for c in channels):
        return ()
    wanted = {"kind": "channel_close", "status": "pending"}
    found = desk.ask_if_known("history", filter=wanted, limit=1_000)
    return None if found is None else found["history"]


def reserve_of(desk: Desk, channels: Iterable[Mapping[str, Any]]) -> int:
    """What stays on chain to close channels by force; 0 from a node that does not say."""
    count = sum(c["state"] in _GUARDED for c in channels)
    known = desk.ask_if_known("listconfigs", config="min-emergency-msat") if count else None
    value = ((known or {}).get("configs") or {}).get("min-emergency-msat") or {}
    return count * int(value.get("value_msat") or 0)


def balance(
    outputs: Iterable[Mapping[str, Any]],
    channels: Iterable[Any],
    closes: Iterable[Mapping[str, Any]] | None = (),
) -> dict[str, Any]:
    """The figures, from `listfunds.outputs`, `listpeerchannels.channels` and pending closes.

    What of an ended channel is a coin already is among the outputs: `closes` say what is not.
    """
    channels = list(channels)
    live = [c for c in channels if usable(c)]
    away = [c for c in channels if c["state"] == _NORMAL and not usable(c)]
    opening = [c for c in channels if c["state"] in _OPENING]
    ended = [c for c in channels if _has_ended(c)]
    if closes is None:
        closing_msat = _sum([c for c in ended if not _is_paid_out(c)], "to_us_msat")
    else:
        ids = {c["channel_id"] for c in ended}
        closing_msat = _sum([c for c in closes if c["channel_id"] in ids], "waiting_msat")
    coins = [o for o in outputs if o["status"] != "spent"]
    return {
        "can_send_msat": _sum(live, "spendable_msat"),
        "can_receive_msat": _sum(live, "receivable_msat"),
        "in_flight_msat": sum(
            h["amount_msat"] for c in live for h in c.get("htlcs", ()) if h["direction"] == "out"
        ),
        "offline_msat": _sum(away, "to_us_msat"),
        "opening_msat": _sum(opening, "to_us_msat"),
        "closing_msat": closing_msat,
        "onchain_msat": _sum([o for o in coins if o["status"] == "confirmed"], "amount_msat"),
        "immature_msat": _sum([o for o in coins if o["status"] == "immature"], "amount_msat"),
        "unconfirmed_msat": _sum([o for o in coins if o["status"] not in _MINED], "amount_msat"),
        "channels": len(live),
    }


def usable(channel: Mapping[str, Any]) -> bool:
    """Whether a channel can carry a payment now."""
    return (
        channel["state"] == _NORMAL
        and bool(channel.get("peer_connected"))
        and bool(channel.get("reestablished", True))
    )


def _has_ended(channel: Mapping[str, Any]) -> bool:
    return channel["state"] != _NORMAL and channel["state"] not in _OPENING


def _is_paid_out(channel: Mapping[str, Any]) -> bool:
    # What both have closed together is among the coins as soon as a block has it.
    changes = channel.get("state_changes") or [{}]
    return (str(channel["state"]), changes[-1].get("old_state")) == ("ONCHAIN", "CLOSINGD_COMPLETE")


def _sum(items: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int(item.get(name) or 0) for item in items)


def _about_reserve(onchain_msat: int, reserve_msat: int) -> str:
    if onchain_msat >= reserve_msat:
        return "of that stays, to close channels by force"
    missing = whole_sat(reserve_msat - onchain_msat)
    return f"is needed there to close channels by force: deposit {missing} more"


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """As a person reads it."""
    send, receive = found["can_send_msat"], found["can_receive_msat"]
    channels, reserve = found["channels"], found.get("reserve_msat", 0)
    shown = [
        ("can send", send, ""),
        ("can receive", receive, ""),
        ("in flight", found["in_flight_msat"], "on its way"),
        ("peer away", found["offline_msat"], "ours, in channels whose peer is not here"),
        ("opening", found["opening_msat"], "ours, until the chain has confirmed it"),
        ("closing", found["closing_msat"], "ours, on its way back to the chain"),
        ("on chain", found["onchain_msat"], ""),
        ("reserve", reserve, _about_reserve(found["onchain_msat"], reserve)),
        ("immature", found["immature_msat"], "mined; a reward rests for 100 blocks"),
        ("unconfirmed", found["unconfirmed_msat"], "on chain, without a block"),
    ]
    always = ("can send", "can receive", "on chain")
    size = max(len(whole_sat(amount)) for _, amount, _ in shown)
    if channels:
        count = "1 channel" if channels == 1 else f"{channels} channels"
        yield joined((bar(send, send + receive, _BAR), f"  {count}"))
    for name, amount, what in shown:
        if amount or name in always:
            yield f"{name:<12}{whole_sat(amount):>{size}} sat  {what}".rstrip()
    if not channels:
        yield "no channel can be used: leyden open PEER AMOUNT"
