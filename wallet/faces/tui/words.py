"""The app's words: times, outcomes, and what a failure means for the money.

Protocol names stay out.  A payment is *not sent*, *on its way* or *arrived*: "unknown" is never
shown as failed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from wallet.faces.tui.facts import ChannelFacts, Item
from wallet.faces.tui.paint import BAD, GOOD, PLAIN, QUIET, WARN, Span
from wallet.faces.tui.safe_text import cut, middle_cut

_SIGNS: Final = {"in": "+", "out": "-"}
"""Of amounts, by direction."""
_OF_COINS: Final = {"channel_open": "-", "channel_close": "+"}
"""By kind, of what goes between our coins and our channels: whether coins came or went."""
_BRIEF: Final = 20

_STATUS: Final[dict[tuple[str, str], Span]] = {
    ("payment", "complete"): ("✓ paid", GOOD),
    ("payment", "pending"): ("… on its way", WARN),
    ("payment", "failed"): ("✗ not paid", BAD),
    ("invoice", "complete"): ("✓ received", GOOD),
    ("forward", "complete"): ("✓ passed on", GOOD),
    ("forward", "pending"): ("… passing", WARN),
    ("forward", "failed"): ("✗ returned", QUIET),
    ("deposit", "complete"): ("✓ confirmed", GOOD),
    ("withdrawal", "complete"): ("✓ confirmed", GOOD),
    ("channel_open", "complete"): ("✓ open", GOOD),
    ("channel_open", "pending"): ("… opening", WARN),
    ("channel_open", "failed"): ("✗ not opened", BAD),
    ("channel_close", "complete"): ("✓ closed", GOOD),
    ("channel_close", "pending"): ("… closing", WARN),
}
_OTHERWISE: Final[dict[str, Span]] = {
    "complete": ("✓ done", GOOD),
    "pending": ("… unconfirmed", WARN),
    "failed": ("✗ failed", BAD),
}


def status(item: Item) -> Span:
    """How a line of the history stands."""
    known = _STATUS.get((item.kind, item.status)) or _OTHERWISE.get(item.status)
    return known or (item.status, PLAIN)


def name_of(node_id: str, names: Mapping[str, str]) -> str:
    """A node by the name it gave itself, or by the two ends of its id."""
    return names.get(node_id) or middle_cut(node_id, 11)


def brief(node_id: str, names: Mapping[str, str]) -> str:
    """As `name_of`, for sentences: a long name gives way to what is said of the node."""
    return cut(name_of(node_id, names), _BRIEF)


def sign(item: Item) -> str:
    """Of a line's amount; a channel that a peer paid for has none."""
    if item.opener == "remote":
        return ""
    return _SIGNS.get(item.direction) or _OF_COINS.get(item.kind, "")


def what(item: Item, names: Mapping[str, str]) -> str:
    """A line of the history in words."""
    peer = name_of(item.peer_id, names)
    match item.kind:
        case "deposit":
            return "On-chain deposit"
        case "withdrawal":
            return "On-chain payment"
        case "channel_open":
            return f"Open channel: {peer}"
        case "channel_close":
            return f"Close channel: {peer}"
        case "forward":
            return "Passed on for others"
        case "payment":
            return item.description or item.label or f"to {name_of(item.destination, names)}"
        case _:
            return item.description or item.label or item.kind


def state(channel: ChannelFacts) -> Span:
    """How a channel stands."""
    if channel.opening:
        return "… opening", WARN
    if not channel.usable:
        return "… closing", WARN
    return ("✓ online", GOOD) if channel.connected else ("! offline", WARN)


# --- times --------------------------------------------------------------------------------------


def when(at: int, now: datetime) -> str:
    """`12:03` today, `Tue 17` this week, `16 Nov`, `Nov 2024`."""
    then = datetime.fromtimestamp(at, now.tzinfo)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    if timedelta() <= now - then < timedelta(days=6):
        return f"{then:%a} {then.day}"
    return f"{then.day} {then:%b}" if then.year == now.year else f"{then:%b %Y}"


def moment(at: int, now: datetime) -> str:
    """A time in full, for details."""
    return f"{datetime.fromtimestamp(at, now.tzinfo):%a %d %b %Y, %H:%M:%S}"


def blocks(count: int) -> str:
    """`1 block`, `144 blocks`."""
    return f"{count} block{'' if count == 1 else 's'}"


def lasts(count: int) -> str:
    """About how long so many blocks take, at ten minutes each: `50 min`, `23 h`, `6 days`."""
    minutes = count * 10
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def span(seconds: int) -> str:
    """`59:12`, `2 h 10 m`, `4 d`."""
    seconds = max(0, seconds)
    if seconds < 3_600:
        return f"{seconds // 60}:{seconds % 60:02}"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} m"
    return f"{seconds // 86_400} d"


# --- failures -----------------------------------------------------------------------------------

STILL_ON_ITS_WAY: Final = 200
PAID_BEFORE: Final = 201

_FAILURES: Final = {
    200: ("Still on its way.", "It arrives or comes back by itself: do not pay it again."),
    201: ("Paid before. Not sent twice.", "The proof is kept with the first payment."),
    203: ("Not paid.", "The payee refused: ask for a new invoice."),
    205: ("Not paid.", "Nobody on the way has enough room: try less, or open a channel."),
    206: ("Not paid.", "The cheapest way costs more than your limit: raise the limit once."),
    207: ("Not sent. The invoice has ended.", "Ask for a new one."),
    210: ("Not paid.", "Every try came back: try again later, or with a higher fee limit."),
    215: ("Not sent. There is not enough to send.", "Try less, or open a channel."),
    220: ("Not paid.", "The payee can receive less than this: try less."),
    304: ("Not sent. The node still catches up.", "Wait until it has read the chain."),
    -32602: ("Not sent.", "This cannot be paid as it is."),
    -32001: ("Not sent. The wallet is locked.", "Unlock it: leyden unlock"),
    -32003: ("Not sent. The node is not ready.", "Wait until the chain is there."),
}


def failure(code: int) -> tuple[str, str]:
    """By error code: where the money is, and what can be done."""
    return _FAILURES.get(code, ("Not paid.", "The node gives the reason above."))
