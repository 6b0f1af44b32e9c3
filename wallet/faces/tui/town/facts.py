"""What `town-rpc` says, as the control room needs it: every text is safe from here on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wallet.faces.tui.answers import items, known, number
from wallet.faces.tui.facts import Json
from wallet.faces.tui.safe_text import safe

NORMAL: Final = "CHANNELD_NORMAL"
_GONE: Final = frozenset({"ONCHAIN", "CLOSED"})
"""A block has ended such a channel: nothing can go through it ever again."""


@dataclass(frozen=True, slots=True)
class TownNode:
    """One node. `key` is its name in the town, `alias` what it calls itself."""

    key: str
    alias: str
    node_id: str
    rpc_file: str
    running: bool
    frozen: bool
    height: int | None
    paid: int
    received: int
    forwarded: int
    fees: int
    """Earned by forwarding, in millisatoshi."""

    @property
    def fault(self) -> str:
        """What is wrong with it, in a word."""
        return "down" if not self.running else "frozen" if self.frozen else ""


@dataclass(frozen=True, slots=True)
class TownChannel:
    """One channel, with what each side that answers counts as its own, in millisatoshi."""

    nodes: tuple[str, str]
    total: int
    ours: Mapping[str, int]
    htlcs: int
    usable: bool

    def share(self, key: str) -> int | None:
        """Percent of it that is `key`'s; None when neither side says."""
        other = self.nodes[1] if self.nodes[0] == key else self.nodes[0]
        if self.total <= 0:
            return None
        if key in self.ours:
            return round(100 * self.ours[key] / self.total)
        if other in self.ours:
            return round(100 * (self.total - self.ours[other]) / self.total)
        return None


@dataclass(frozen=True, slots=True)
class Move:
    """One HTLC message on its way from a node to the next. `at` in Unix seconds."""

    seq: int
    at: float
    source: str
    target: str
    kind: str
    """`add`, `fulfill` or `fail`."""
    htlc_id: int
    amount: int
    payment_hash: str
    expiry: int


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the town's chain; `words` say what its transactions are."""

    height: int
    at: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Money:
    """What the money check found, in satoshi. `why` it could not be made, or what is wrong."""

    ok: bool
    checked: bool
    mined_sat: int
    found_sat: int
    why: str


@dataclass(frozen=True, slots=True)
class Town:
    """All of it, as it was told last."""

    nodes: tuple[TownNode, ...] = ()
    channels: tuple[TownChannel, ...] = ()
    height: int | None = None
    rate: float = 0.0
    paid: int = 0
    failed: int = 0
    stories: tuple[tuple[str, str], ...] = ()
    """Those that can be told: name and title."""
    telling: str = ""
    """The story that is being told."""

    def node(self, key: str) -> TownNode | None:
        """By its name in the town."""
        return next((n for n in self.nodes if n.key == key), None)

    def alias(self, key: str) -> str:
        """What people call it."""
        found = self.node(key)
        return found.alias if found is not None else key


def town(answer: Json) -> Town:
    """`status`."""
    traffic = answer.get("traffic")
    counted = traffic if isinstance(traffic, Mapping) else {}
    rate = counted.get("rate")
    return Town(
        nodes=tuple(
            _node(safe(key, 20), one)
            for key, one in _pairs(answer, "nodes")
            if isinstance(one, Mapping)
        ),
        channels=tuple(
            _channel(one) for one in items(answer, "channels") if one.get("state") not in _GONE
        ),
        height=known(answer.get("blockheight")),
        rate=float(rate) if isinstance(rate, int | float) else 0.0,
        paid=number(counted.get("complete")),
        failed=number(counted.get("failed")) + number(counted.get("lost")),
        stories=tuple(
            (safe(name, 20), safe(title, 60)) for name, title in _pairs(answer, "stories")
        ),
        telling=safe(answer.get("telling"), 20),
    )


def _pairs(answer: Json, name: str) -> list[tuple[str, Any]]:
    """The fields of an object."""
    found = answer.get(name)
    return list(found.items()) if isinstance(found, Mapping) else []


def _node(key: str, one: Json) -> TownNode:
    payments = one.get("payments")
    counts = payments if isinstance(payments, Mapping) else {}
    return TownNode(
        key=key,
        alias=safe(one.get("alias"), 20) or key,
        node_id=safe(one.get("id"), 66),
        rpc_file=safe(one.get("rpc-file"), 4_096),
        running=one.get("running") is True,
        frozen=one.get("frozen") is True,
        height=known(one.get("blockheight")),
        paid=number(counts.get("made")),
        received=number(counts.get("received")),
        forwarded=number(counts.get("forwarded")),
        fees=number(one.get("fees_earned_msat")),
    )


def _channel(one: Json) -> TownChannel:
    ends = [safe(end, 66) for end in one.get("nodes", ())][:2]
    return TownChannel(
        nodes=(ends[0], ends[1]) if len(ends) == 2 else ("", ""),
        total=number(one.get("total_msat")),
        ours={safe(key, 20): number(msat) for key, msat in _pairs(one, "to_msat")},
        htlcs=number(one.get("htlcs")),
        usable=one.get("state") == NORMAL,
    )


def moves(answer: Json) -> list[Move]:
    """`flow`."""
    return [
        Move(
            seq=number(one.get("seq")),
            at=float(one["at"]) if isinstance(one.get("at"), int | float) else 0.0,
            source=safe(one.get("from"), 66),
            target=safe(one.get("to"), 66),
            kind=safe(one.get("type"), 10),
            htlc_id=number(one.get("htlc_id")),
            amount=number(one.get("amount_msat")),
            payment_hash=safe(one.get("payment_hash"), 64),
            expiry=number(one.get("expiry")),
        )
        for one in items(answer, "flow")
    ]


def blocks(answer: Json) -> tuple[Block, ...]:
    """`blocks`, newest first."""
    return tuple(
        Block(
            height=number(one.get("height")),
            at=number(one.get("time")),
            words=tuple(safe(tx.get("text"), 120) for tx in items(one, "what")),
        )
        for one in items(answer, "blocks")
    )


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence of a story; `kind` is `begin`, `step`, `say`, `fault` or `end`."""

    kind: str
    text: str
    number: int
    """Of the step."""


def captions(answer: Json) -> list[Caption]:
    """`captions`: what a story has told."""
    return [
        Caption(safe(one.get("kind"), 10), safe(one.get("text"), 400), number(one.get("number")))
        for one in items(answer, "captions")
    ]


def money(answer: Json) -> Money:
    """`money`."""
    said = [*_texts(answer.get("faults")), *_texts(answer.get("in_the_way"))]
    return Money(
        ok=answer.get("ok") is True,
        checked=answer.get("checked") is True,
        mined_sat=number(answer.get("mined_sat")),
        found_sat=number(answer.get("found_sat")),
        why="; ".join(said),
    )


def _texts(value: object) -> list[str]:
    return [safe(one, 200) for one in value] if isinstance(value, list) else []
