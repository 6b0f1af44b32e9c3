"""Keeping the facts fresh: the journal of events says what is stale, ten times a second at most.

An event draws nothing by itself.  It marks parts of the facts as stale; whoever draws takes the
marks and asks for those parts, so a thousand events a second cost no more than ten.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from wallet.faces.rpc.client import ConnectionLost, RpcError, Unreachable
from wallet.faces.tui import court, facts, facts_chain, facts_network
from wallet.faces.tui.court import Case
from wallet.faces.tui.facts import Facts
from wallet.faces.tui.link import Link
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.state import State

PAGE: Final = 200
"""Rows of the history that are asked for at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the facts: whose answer it is, and where that answer goes."""

    method: str
    absorb: Callable[[Facts, Any], Facts]
    params: Mapping[str, object] = field(default_factory=dict)
    otherwise: "Part | None" = None
    """What a core that has no such method is asked instead."""


def _history(known: Facts, answer: Any) -> Facts:
    recent, more = facts.items(answer)
    return replace(known, recent=recent, more=more)


def _coins(known: Facts, answer: Any) -> Facts:
    confirmed, unconfirmed = facts.coins(answer)
    return replace(
        known, on_chain=confirmed, unconfirmed=unconfirmed, coins=facts_chain.coins(answer)
    )


def _moves(known: Facts, answer: Any) -> Facts:
    moves, more = facts.items(answer)
    return replace(known, moves=moves, more_moves=more)


ON_CHAIN: Final = {"kind": ["deposit", "withdrawal", "channel_open", "channel_close"]}
"""The filter of `history` for what transactions do."""
CLOSES: Final = {"kind": "channel_close", "status": "pending"}
"""The filter of `history` for what is on its way back from channels."""
_MOST_CLOSES: Final = 1_000
NODE: Final = "node"
PARTS: Final = {
    NODE: Part("getinfo", lambda known, answer: replace(known, node=facts.node(answer))),
    "channels": Part(
        "listpeerchannels",
        lambda known, answer: replace(known, channels=facts.channels(answer)),
    ),
    "coins": Part("listfunds", _coins),
    "history": Part("history", _history, {"limit": PAGE}),
    "moves": Part(
        "history",
        _moves,
        {"limit": PAGE, "filter": ON_CHAIN},
        Part(
            "listtransactions",
            lambda known, answer: replace(known, moves=facts.transactions(answer)),
        ),
    ),
    "closes": Part(
        "history",
        lambda known, answer: replace(known, waiting=facts_chain.waiting(answer)),
        {"limit": _MOST_CLOSES, "filter": CLOSES},
    ),
    "fees": Part(
        "feerates",
        lambda known, answer: replace(known, fees=facts_chain.fees(answer)),
        {"style": "perkw"},
    ),
    "peers": Part(
        "listpeers",
        lambda known, answer: replace(known, peers=facts_network.peers(answer)),
    ),
    "settings": Part(
        "listconfigs",
        lambda known, answer: replace(known, settings=facts_chain.settings(answer)),
    ),
}
BASE: Final = frozenset({NODE, "channels", "coins", "history"})
"""Parts that are kept fresh whatever is in front; a screen's `WANTS` adds to them."""
EVERYTHING: Final = frozenset(PARTS)

_PAYMENT: Final = frozenset({"channels", "history"})
_PEER: Final = frozenset({"channels", "peers"})
_STALE: Final[dict[str, frozenset[str]]] = {
    "invoice_creation": frozenset(),
    "invoice_deleted": frozenset(),
    "invoice_payment": _PAYMENT,
    "payment": _PAYMENT,
    "sendpay_success": _PAYMENT,
    "sendpay_failure": _PAYMENT,
    "forward_event": _PAYMENT,
    "connect": _PEER,
    "disconnect": _PEER,
}
"""By topic; any other makes everything stale."""

_LISTEN_SECONDS: Final = 60
_LOOK_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0


class UiPump:
    """What is stale, and what was told since the last look."""

    MOST_TOLD: Final = 100

    def __init__(self) -> None:
        self.stale: set[str] = set()
        self.told: dict[str, facts.Json] = {}
        """The last event of each subject, oldest first."""

    def note(self, event: facts.Json) -> None:
        """One event of the core's journal."""
        topic = str(event.get("topic", ""))
        self.stale |= _STALE.get(topic, EVERYTHING)
        subject = event.get("payment_hash") or event.get("channel_id") or event.get("id")
        self.told[f"{topic} {subject}"] = event
        if len(self.told) > self.MOST_TOLD:
            del self.told[next(iter(self.told))]

    def take(self, wanted: frozenset[str]) -> tuple[frozenset[str], list[facts.Json]]:
        """What is stale of the wanted parts, and what was told; both are done with."""
        taken = wanted & self.stale, list(self.told.values())
        self.stale -= wanted
        self.told = {}
        return taken


class Watcher:
    """Holds the connection: opens it, listens, and opens it again."""

    def __init__(
        self, path: Path, state: State, pump: UiPump, everything_is_stale: Callable[[], None]
    ) -> None:
        """`everything_is_stale` is called when all is to be asked anew: no tick is waited for."""
        self._path = path
        self._state = state
        self._pump = pump
        self._everything_is_stale = everything_is_stale

    async def run(self) -> None:
        """For as long as the app lives."""
        while True:
            link = Link(self._path)
            try:
                await link.open()
                self._state.link, self._state.trouble = link, ""
                await self._listen(link)
            except (Unreachable, ConnectionLost) as fault:
                self._state.trouble = f"{safe(str(fault), 120)}; trying again"
            except RpcError as fault:
                self._state.trouble = safe(str(fault), 160)
            finally:
                self._state.link = None
                await link.close()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self, link: Link) -> None:
        since: int | None = None
        while True:
            if since is None:
                # Where the journal ends is asked before the lists are: nothing falls between.
                if link.can("events") and not await self._is_locked(link):
                    since = (await link.ask("events"))["next"]
                self._pump.stale |= EVERYTHING
                self._everything_is_stale()
            if since is None:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            answer = await link.ask("events", since=since, timeout=_LISTEN_SECONDS)
            since = answer["next"]
            if answer.get("missed"):
                self._pump.stale |= EVERYTHING
                now = int(self._state.clock().timestamp())
                self._state.journal.note({"topic": "missed", "seq": since, "at": now})
            for event in answer["events"]:
                self._pump.note(event)
                self._state.journal.note(event)

    async def _is_locked(self, link: Link) -> bool:
        return facts.node(await link.ask("getinfo")).locked


async def load(link: Link, parts: Iterable[str], known: Facts) -> Facts:
    """The facts with these parts asked for anew. Raises `RpcError` or `ConnectionLost`."""
    wanted, before = set(parts), known
    node = facts.node(await link.ask("getinfo")) if NODE in wanted else known.node
    known = replace(known, node=node)
    if node.locked:
        return known
    parts_of = [_asked_of(link, PARTS[name]) for name in sorted(wanted - {NODE})]
    asked = [part for part in parts_of if part is not None]
    answers = await asyncio.gather(*(link.ask(part.method, **part.params) for part in asked))
    for part, answer in zip(asked, answers, strict=True):
        known = part.absorb(known, answer)
    return await learn_dockets(link, known, before)


async def learn_dockets(link: Link, known: Facts, before: Facts) -> Facts:
    """What each channel on chain waits for: asked again with every block and every change of it."""
    on_chain = [c for c in known.channels if c.on_chain] if link.can("court") else []
    new_block = known.node.height != before.node.height
    changed = [
        c for c in on_chain
        if new_block or c.channel_id not in before.dockets or c not in before.channels
    ]  # fmt: skip
    answers = await asyncio.gather(
        *(link.ask("court", channel_id=c.channel_id) for c in changed), return_exceptions=True
    )
    heard: dict[str, Case] = {}
    for answer in answers:
        match answer:
            case RpcError():
                continue  # the channel is not there any more
            case BaseException():
                raise answer
            case _:
                heard |= court.cases(answer)
    dockets = {name: case.docket for name, case in heard.items()}
    kept = {c.channel_id: before.dockets.get(c.channel_id, ()) for c in on_chain}
    return replace(known, dockets=kept | {n: d for n, d in dockets.items() if n in kept})


def _asked_of(link: Link, part: Part | None) -> Part | None:
    while part is not None and not link.can(part.method):
        part = part.otherwise
    return part


async def learn_names(link: Link, known: Facts, names: dict[str, str]) -> None:
    """Ask once for the name of each peer, and of whom the newest payments went to."""
    if not link.can("listnodes"):
        return
    wanted = {c.peer_id for c in known.channels}
    wanted |= {n for i in known.recent[:40] for n in (i.destination, i.peer_id)}
    for node_id in sorted(wanted - names.keys() - {""}):
        names[node_id] = ""
        try:
            names |= facts.aliases(await link.ask("listnodes", id=node_id))
        except RpcError:
            continue
