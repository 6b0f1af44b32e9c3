"""What a core's answers say, as the screens need it: every text is safe from here on.

One function per answer.  Nothing is trusted to be there: a core of another make may leave a field
out, and a screen should not fall over that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from wallet.faces.tui.answers import items as items_of
from wallet.faces.tui.answers import known, number
from wallet.faces.tui.court import Timelock
from wallet.faces.tui.facts_chain import Coin, Fees, Settings
from wallet.faces.tui.facts_network import Peer
from wallet.faces.tui.safe_text import middle_cut, safe

Json: TypeAlias = Mapping[str, Any]

NORMAL: Final = "CHANNELD_NORMAL"
_OPENING: Final = frozenset({"OPENINGD", "CHANNELD_AWAITING_LOCKIN"})
_ENDED: Final = frozenset({"CLOSED"})
_ON_CHAIN: Final = frozenset({"FUNDING_SPEND_SEEN", "ONCHAIN"})
_LIVING: Final = _OPENING | {NORMAL, "CHANNELD_SHUTTING_DOWN", "CLOSINGD_SIGEXCHANGE"}
_GUARDED: Final = _LIVING | {"AWAITING_UNILATERAL"}


@dataclass(frozen=True, slots=True)
class Node:
    """Who this core is, and how it is."""

    alias: str = ""
    node_id: str = ""
    network: str = ""
    height: int = 0
    locked: bool = False
    warning: str = ""
    """Why it is not ready, in its own words."""


@dataclass(frozen=True, slots=True)
class Inside:
    """A payment that is inside a channel. Amount in millisatoshi."""

    outgoing: bool
    amount: int
    expiry: int | None
    """Height from which it can be taken back on chain by whom it came from."""
    payment_hash: str


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel. Amounts in millisatoshi."""

    channel_id: str
    peer_id: str
    connected: bool
    state: str
    capacity: int
    ours: int
    spendable: int
    receivable: int
    reserve: int
    """Of what is ours, what has to stay."""
    sent_on: int
    """Ours that is on its way out."""
    coming: int
    """Theirs that is on its way in."""
    moving: int
    """How many payments are inside."""
    scid: str
    fee_base: int
    fee_ppm: int
    private: bool
    status: str
    """The core's sentence."""
    inside: tuple[Inside, ...] = ()
    """Those payments, the nearest deadline first."""

    @property
    def opening(self) -> bool:
        """Not usable yet."""
        return self.state in _OPENING

    @property
    def usable(self) -> bool:
        """Payments can go through it when the peer is there."""
        return self.state == NORMAL

    @property
    def living(self) -> bool:
        """No transaction ends it yet."""
        return self.state in _LIVING

    @property
    def guarded(self) -> bool:
        """A close by force may need coins of ours, so some are kept for it."""
        return self.state in _GUARDED

    @property
    def on_chain(self) -> bool:
        """A block has ended it; what is left is waited for."""
        return self.state in _ON_CHAIN

    @property
    def theirs(self) -> int:
        """What is the peer's and does not move."""
        return max(0, self.capacity - self.ours - self.coming)

    @property
    def still(self) -> int:
        """What is ours and does not move."""
        return max(0, self.ours - self.sent_on)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the history. Amounts in millisatoshi, `at` in Unix seconds."""

    kind: str
    at: int
    amount: int
    direction: str
    status: str
    fee: int | None = None
    label: str = ""
    description: str = ""
    payment_hash: str = ""
    destination: str = ""
    peer_id: str = ""
    txid: str = ""
    bolt11: str = ""
    failure: str = ""
    completed_at: int | None = None
    blockheight: int | None = None
    opener: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the screens show, as it was told last."""

    node: Node = Node()
    channels: tuple[ChannelFacts, ...] = ()
    on_chain: int = 0
    unconfirmed: int = 0
    recent: tuple[Item, ...] = ()
    more: str = ""
    """Where the next page of the history begins; empty at its end."""
    coins: tuple[Coin, ...] = ()
    moves: tuple[Item, ...] | None = None
    """The newest transactions of the wallet; None until they were asked for."""
    more_moves: str = ""
    fees: Fees | None = None
    peers: tuple[Peer, ...] = ()
    settings: Settings = field(default_factory=Settings)
    waiting: Mapping[str, int] | None = None
    """What of each channel that ended is no coin of ours yet, by channel id, if the core tells."""
    dockets: Mapping[str, tuple[Timelock, ...]] = field(default_factory=dict)
    """What is waited for in each channel that is on chain, by channel id."""

    @property
    def can_send(self) -> int:
        """By channels whose peer is there."""
        return sum(c.spendable for c in self.channels if c.connected and c.usable)

    @property
    def can_receive(self) -> int:
        """By channels whose peer is there."""
        return sum(c.receivable for c in self.channels if c.connected and c.usable)

    @property
    def in_flight(self) -> int:
        """Of all channels, both ways."""
        return sum(c.sent_on + c.coming for c in self.channels)

    @property
    def reserve(self) -> int:
        """What is ours but has to stay in channels that are in use."""
        return sum(min(c.reserve, c.ours) for c in self.channels if c.usable)

    @property
    def guarded(self) -> int:
        """How many channels coins are kept for."""
        return sum(c.guarded for c in self.channels)

    def kept(self, more: int = 0) -> int:
        """What has to stay on chain for closing by force, with so many channels more."""
        return (self.guarded + more) * self.settings.emergency

    @property
    def missing(self) -> int:
        """What of that is not there: no coins, no place in a dear block for a close by force."""
        return max(0, self.kept() - self.on_chain)

    def to_come(self, channel: ChannelFacts) -> int:
        """What a channel that ended still brings; all that is ours if the core does not tell."""
        return channel.ours if self.waiting is None else self.waiting.get(channel.channel_id, 0)


def node(answer: Json) -> Node:
    """`getinfo`."""
    warning = answer.get("warning_bitcoind_sync") or answer.get("warning_lightningd_sync")
    node_id = safe(answer.get("id"), 66)
    return Node(
        alias=safe(answer.get("alias"), 32) or middle_cut(node_id, 13),
        node_id=node_id,
        network=safe(answer.get("network"), 16),
        height=number(answer.get("blockheight")),
        locked=answer.get("locked") is True,
        warning=safe(warning, 200),
    )


def channels(answer: Json) -> tuple[ChannelFacts, ...]:
    """`listpeerchannels`, without those that are settled."""
    found = [channel(item) for item in items_of(answer, "channels")]
    return tuple(c for c in found if c.state not in _ENDED)


def channel(item: Json) -> ChannelFacts:
    """One item of `listpeerchannels`."""
    htlcs = items_of(item, "htlcs")
    status = item.get("status")
    sentence = safe(status[-1] if isinstance(status, list) and status else "")
    return ChannelFacts(
        channel_id=safe(item.get("channel_id"), 64),
        peer_id=safe(item.get("peer_id"), 66),
        connected=item.get("peer_connected") is True,
        state=safe(item.get("state"), 40),
        capacity=number(item.get("total_msat")),
        ours=number(item.get("to_us_msat")),
        spendable=number(item.get("spendable_msat")),
        receivable=number(item.get("receivable_msat")),
        reserve=number(item.get("our_reserve_msat")),
        sent_on=sum(number(h.get("amount_msat")) for h in htlcs if h.get("direction") == "out"),
        coming=sum(number(h.get("amount_msat")) for h in htlcs if h.get("direction") == "in"),
        moving=len(htlcs),
        scid=safe(item.get("short_channel_id"), 24),
        fee_base=number(item.get("fee_base_msat")),
        fee_ppm=number(item.get("fee_proportional_millionths")),
        private=item.get("private") is True,
        status=sentence.partition(":")[2] or sentence,
        inside=tuple(sorted(map(_inside, htlcs), key=lambda one: one.expiry or 0)),
    )


def _inside(htlc: Json) -> Inside:
    return Inside(
        outgoing=htlc.get("direction") == "out",
        amount=number(htlc.get("amount_msat")),
        expiry=known(htlc.get("expiry")),
        payment_hash=safe(htlc.get("payment_hash"), 64),
    )


def coins(answer: Json) -> tuple[int, int]:
    """`listfunds`: what is confirmed and what is not, in millisatoshi."""
    amounts = {"confirmed": 0, "unconfirmed": 0}
    for item in items_of(answer, "outputs"):
        status = item.get("status")
        if status in amounts:
            amounts[status] += number(item.get("amount_msat"))
    return amounts["confirmed"], amounts["unconfirmed"]


def items(answer: Json) -> tuple[tuple[Item, ...], str]:
    """A page of `history`, and where the next begins."""
    found = tuple(item(one) for one in items_of(answer, "history"))
    return found, safe(answer.get("next"), 100)


def item(one: Json) -> Item:
    """One item of `history`."""
    return Item(
        kind=safe(one.get("kind"), 16),
        at=number(one.get("at")),
        amount=number(one.get("amount_msat")),
        direction=safe(one.get("direction"), 8),
        status=safe(one.get("status"), 10),
        fee=known(one.get("fee_msat")),
        label=safe(one.get("label")),
        description=safe(one.get("description")),
        payment_hash=safe(one.get("payment_hash"), 64),
        destination=safe(one.get("destination"), 66),
        peer_id=safe(one.get("peer_id"), 66),
        txid=safe(one.get("txid"), 64),
        bolt11=safe(one.get("bolt11"), 4_000),
        failure=safe(one.get("failure")),
        completed_at=known(one.get("completed_at")),
        blockheight=known(one.get("blockheight")),
        opener=safe(one.get("opener"), 8),
    )


def transactions(answer: Json) -> tuple[Item, ...]:
    """`listtransactions`, newest first: of a core without `history`, which does not say why."""
    found = [
        Item("transaction", 0, 0, "self", "complete" if height else "pending",
             txid=safe(one.get("hash"), 64), blockheight=height)
        for one in items_of(answer, "transactions")
        for height in [known(one.get("blockheight")) or None]
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda i: i.blockheight or 1 << 62, reverse=True))


def aliases(answer: Json) -> dict[str, str]:
    """`listnodes`: names that nodes gave themselves, by id."""
    named = {safe(n.get("nodeid"), 66): safe(n.get("alias"), 32) for n in items_of(answer, "nodes")}
    return {node_id: alias.strip() for node_id, alias in named.items() if alias.strip()}
