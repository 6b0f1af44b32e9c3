"""What happened, in words: the events of the core's journal, the last `KEPT` of them.

An event keeps its fields, made safe, and is put into words when it is drawn: amounts may be hidden
by then, and a peer may have got a name.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from wallet.faces.tui.answers import number
from wallet.faces.tui.safe_text import middle_cut, safe
from wallet.faces.tui.units import Money
from wallet.faces.tui.words import brief, name_of

KEPT: Final = 2_000
_MOST_FIELDS: Final = 40


class Source(StrEnum):
    """What an event is about."""

    MONEY = "money"
    CHANNEL = "channel"
    PEER = "peer"
    CHAIN = "chain"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `at` in Unix seconds; the texts in `fields` are safe."""

    seq: int
    at: int
    topic: str
    source: Source
    alarming: bool
    """Whether somebody should look at it."""
    fields: Mapping[str, int | str]

    def text(self, name: str, cut: int | None = None) -> str:
        """A field as text; an id can be shown by its ends."""
        value = str(self.fields.get(name, ""))
        return value if cut is None else middle_cut(value, cut)


class Journal:
    """The entries, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.changes = 0
        """Grows with every change."""

    def note(self, event: Mapping[str, Any]) -> None:
        """One more event."""
        self.entries.append(entry(event))
        self.changes += 1

    def note_before(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Events of before the first that is here, as far as there is room for them."""
        first = self.entries[0].seq if self.entries else None
        older = [e for e in map(entry, events) if first is None or e.seq < first]
        room = KEPT - len(self.entries)
        self.entries.extendleft(reversed(older[max(0, len(older) - room) :]))
        self.changes += 1


def entry(event: Mapping[str, Any]) -> Entry:
    """An event of `events`."""
    topic = safe(event.get("topic"), 40)
    told = [(name, value) for name, value in event.items() if name not in ("seq", "at", "topic")]
    fields = {
        safe(name, 30): value if isinstance(value, int) else safe(value, 400)
        for name, value in told[:_MOST_FIELDS]
    }
    source, _ = _TOPICS.get(topic, (Source.OTHER, _unknown))
    status = fields.get("status")
    alarming = topic in _ALARMING or status in ("failed", "local_failed")
    seq, at = number(event.get("seq")), number(event.get("at"))
    return Entry(seq, at, topic, source, alarming, fields)


def said(one: Entry, money: Money, names: Mapping[str, str]) -> str:
    """An entry in words."""
    return _TOPICS.get(one.topic, (Source.OTHER, _unknown))[1](one, money, names)


Names = Mapping[str, str]
Words = Callable[[Entry, Money, Names], str]

URGENT: Final = frozenset({"htlc_at_risk", "htlc_lost", "court_needs_coins", "funding_lost"})
"""Topics that are told on every screen as they come."""
_ALARMING: Final = URGENT | {"channel_frozen", "disconnect", "missed"}
_STATES: Final = {
    "CHANNELD_AWAITING_LOCKIN": "waits for its blocks",
    "CHANNELD_NORMAL": "is open",
    "CHANNELD_SHUTTING_DOWN": "is closing: no new payments",
    "CLOSINGD_SIGEXCHANGE": "is closing: the fee is agreed on",
    "CLOSINGD_COMPLETE": "is closed together, its transaction waits for a block",
    "AWAITING_UNILATERAL": "is closed by force, its transaction waits for a block",
    "ONCHAIN": "settles on chain",
    "CLOSED": "is settled",
}


def _amount(one: Entry, money: Money, name: str = "amount_msat") -> str:
    value = one.fields.get(name)
    return money.shown(value) if isinstance(value, int) else "any amount"


def _about(one: Entry) -> str:
    about = one.text("description") or one.text("label")
    return f"  {about}" if about else ""


def _invoice_made(one: Entry, money: Money, _: Names) -> str:
    return f"invoice made, {_amount(one, money)}{_about(one)}"


def _invoice_paid(one: Entry, money: Money, _: Names) -> str:
    return f"received {_amount(one, money)}{_about(one)}"


def _invoice_deleted(one: Entry, _money: Money, _: Names) -> str:
    return f"invoice deleted{_about(one)}"


def _payment(one: Entry, money: Money, names: Names) -> str:
    to = name_of(one.text("destination"), names)
    amount = f"{_amount(one, money)} to {to}{_about(one)}"
    match one.fields.get("status"):
        case "complete":
            return f"paid {amount}"
        case "failed":
            return f"not sent: {amount}{_because(one)}"
        case _:
            return f"on its way: {amount}"


def _part_arrived(one: Entry, money: Money, _: Names) -> str:
    return f"part {one.text('partid')} arrived, {_amount(one, money)}, {_hash(one)}"


def _part_back(one: Entry, money: Money, _: Names) -> str:
    return (
        f"part {one.text('partid')} came back, {_amount(one, money)}, {_hash(one)}{_because(one)}"
    )


def _because(one: Entry) -> str:
    return f" ({one.text('failure')})" if one.text("failure") else ""


def _hash(one: Entry) -> str:
    return f"hash {one.text('payment_hash', 9)}"


def _forward(one: Entry, money: Money, _: Names) -> str:
    way = f"{one.text('in_channel', 13)} to {one.text('out_channel', 13)}"
    amount = _amount(one, money, "out_msat")
    match one.fields.get("status"):
        case "settled":
            return f"passed on {amount}, {way}, earned {_amount(one, money, 'fee_msat')}"
        case "offered":
            return f"passing on {amount}, {way}"
        case _:
            return f"not passed on: {amount}, {way}"


def _channel_opened(one: Entry, money: Money, names: Names) -> str:
    return f"{_channel(one, names)} opened, {_amount(one, money, 'funding_msat')}"


def _channel_state(one: Entry, _: Money, names: Names) -> str:
    new = one.text("new_state")
    return f"{_channel(one, names)} {_STATES.get(new, new)}{_why(one)}"


def _close_signed(one: Entry, money: Money, names: Names) -> str:
    payer = "we pay" if one.text("fee_payer") == "local" else "the peer pays"
    fee = _amount(one, money, "fee_msat")
    return f"{_channel(one, names)} closes by {one.text('txid', 9)}: {payer} its fee, {fee}"


def _channel_frozen(one: Entry, _: Money, names: Names) -> str:
    return f"{_channel(one, names)} is frozen by a fault of ours{_why(one)}"


def _at_risk(one: Entry, money: Money, names: Names) -> str:
    peer = name_of(one.text("peer_id"), names)
    amount, cost = _amount(one, money), one.fields.get("cost_sat")
    price = money.shown(cost * 1000, up=True) if isinstance(cost, int) else "more than that"
    what = (
        f"passed to {peer} may be lost: it was neither paid nor returned in time"
        if one.text("direction") == "out"
        else f"from {peer} may be lost: it has the proof of payment and has not paid yet"
    )
    return (
        f"{amount} {what}. To take it on chain would cost {price}, so the channel stays open."
        " No more than this is at risk; there is nothing to do"
    )


def _lost(one: Entry, money: Money, names: Names) -> str:
    peer = name_of(one.text("peer_id"), names)
    return (
        f"{_amount(one, money)} from {peer} is lost: it took the payment back on chain before our"
        " claim was in a block. Keep more coins on chain: they pay for claims that come in time"
    )


def _funding_lost(one: Entry, _: Money, names: Names) -> str:
    return f"{_channel(one, names)} has lost its funding{_why(one)}"


def _funding_back(one: Entry, _: Money, names: Names) -> str:
    return f"{_channel(one, names)} has its funding back: payments go on over it"


def _needs_coins(one: Entry, _: Money, names: Names) -> str:
    return (
        f"{_channel(one, names)} goes on chain, and no coin pays for it{_why(one)}:"
        " 5 Chain, a gives an address"
    )


def urgent(one: Entry, money: Money, names: Names) -> str:
    """A topic of `URGENT` on one line: what is wrong, and where to look."""
    peer = brief(one.text("peer_id"), names)
    if one.topic == "htlc_lost":
        return f"✗ {_amount(one, money)} from {peer} is lost: 8 Log says why"
    if one.topic == "htlc_at_risk":
        return f"! {_amount(one, money)} with {peer} may be lost: 8 Log says why"
    if one.topic == "funding_lost":
        return f"✗ The channel with {peer} has lost its funding: 8 Log says why"
    return f"! The channel with {peer} needs coins for a fee: 5 Chain, a  (8 Log says why)"


def _why(one: Entry) -> str:
    return f": {one.text('message')}" if one.text("message") else ""


def _channel(one: Entry, names: Names) -> str:
    return f"the channel with {name_of(one.text('peer_id'), names)}"


def _connected(one: Entry, _: Money, names: Names) -> str:
    way = "called us" if one.text("direction") == "in" else "answered"
    return f"{name_of(one.text('id'), names)} {way}  {one.text('address')}".rstrip()


def _disconnected(one: Entry, _: Money, names: Names) -> str:
    return f"{name_of(one.text('id'), names)} is gone"


def _block(one: Entry, _: Money, __: Names) -> str:
    height = one.fields.get("height")
    return f"block {height:,}" if isinstance(height, int) else "a block"


def _transaction(one: Entry, money: Money, _: Names) -> str:
    came = "came in" if one.text("direction") == "in" else "went out"
    waits = "" if one.text("status") == "confirmed" else ", in no block yet"
    return f"{_amount(one, money)} {came} on chain{waits}, {one.text('txid', 9)}"


def _missed(_: Entry, __: Money, ___: Names) -> str:
    return "more happened than was kept: what stood here is lost to this screen"


def _unknown(one: Entry, _: Money, __: Names) -> str:
    told = "  ".join(f"{name}={middle_cut(str(v), 24)}" for name, v in one.fields.items())
    return f"{one.topic}  {told}".rstrip()


_TOPICS: Final[dict[str, tuple[Source, Words]]] = {
    "invoice_creation": (Source.MONEY, _invoice_made),
    "invoice_payment": (Source.MONEY, _invoice_paid),
    "invoice_deleted": (Source.MONEY, _invoice_deleted),
    "payment": (Source.MONEY, _payment),
    "sendpay_success": (Source.MONEY, _part_arrived),
    "sendpay_failure": (Source.MONEY, _part_back),
    "forward_event": (Source.MONEY, _forward),
    "channel_opened": (Source.CHANNEL, _channel_opened),
    "channel_state_changed": (Source.CHANNEL, _channel_state),
    "close_signed": (Source.CHANNEL, _close_signed),
    "channel_frozen": (Source.CHANNEL, _channel_frozen),
    "htlc_at_risk": (Source.CHANNEL, _at_risk),
    "htlc_lost": (Source.CHANNEL, _lost),
    "funding_lost": (Source.CHANNEL, _funding_lost),
    "funding_back": (Source.CHANNEL, _funding_back),
    "court_needs_coins": (Source.CHANNEL, _needs_coins),
    "connect": (Source.PEER, _connected),
    "disconnect": (Source.PEER, _disconnected),
    "block_added": (Source.CHAIN, _block),
    "transaction": (Source.CHAIN, _transaction),
    "missed": (Source.OTHER, _missed),
}
"""What an event is about, and how it is said."""
