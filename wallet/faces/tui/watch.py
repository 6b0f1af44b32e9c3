"""Keeping the facts fresh: the journal of events says what is stale, ten times a second at most.

An event draws nothing by itself.  It marks parts of the facts as stale; whoever draws takes the
marks and asks for those parts, so a thousand events a second cost no more than ten.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from wallet.faces.rpc.client import ConnectionLost, RpcError, Unreachable
from wallet.faces.tui import facts
from wallet.faces.tui.facts import Facts
from wallet.faces.tui.link import Link
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.state import State

PARTS: Final = frozenset({"node", "coins", "channels", "history"})
PAGE: Final = 200
"""Rows of the history that are asked for at once."""

_PAYMENT: Final = frozenset({"channels", "history"})
_STALE: Final[dict[str, frozenset[str]]] = {
    "invoice_creation": frozenset(),
    "invoice_deleted": frozenset(),
    "invoice_payment": _PAYMENT,
    "payment": _PAYMENT,
    "sendpay_success": _PAYMENT,
    "sendpay_failure": _PAYMENT,
    "forward_event": _PAYMENT,
    "connect": frozenset({"channels"}),
    "disconnect": frozenset({"channels"}),
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
        self.stale |= _STALE.get(topic, PARTS)
        subject = event.get("payment_hash") or event.get("channel_id") or event.get("id")
        self.told[f"{topic} {subject}"] = event
        if len(self.told) > self.MOST_TOLD:
            del self.told[next(iter(self.told))]

    def take(self) -> tuple[frozenset[str], list[facts.Json]]:
        """All of it; afterwards nothing is stale."""
        taken = frozenset(self.stale), list(self.told.values())
        self.stale, self.told = set(), {}
        return taken


class Watcher:
    """Holds the connection: opens it, listens, and opens it again."""

    def __init__(self, path: Path, state: State, pump: UiPump) -> None:
        self._path = path
        self._state = state
        self._pump = pump

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
                self._pump.stale |= PARTS
            if since is None:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            answer = await link.ask("events", since=since, timeout=_LISTEN_SECONDS)
            since = answer["next"]
            if answer.get("missed"):
                self._pump.stale |= PARTS
            for event in answer["events"]:
                self._pump.note(event)

    async def _is_locked(self, link: Link) -> bool:
        return facts.node(await link.ask("getinfo")).locked


async def load(link: Link, parts: Iterable[str], known: Facts) -> Facts:
    """The facts with these parts asked for anew. Raises `RpcError` or `ConnectionLost`."""
    wanted = set(parts)
    node = facts.node(await link.ask("getinfo")) if "node" in wanted else known.node
    if node.locked:
        return replace(known, node=node)
    questions = {part: ask for part, ask in _QUESTIONS.items() if part in wanted and link.can(ask)}
    params = {"history": {"limit": PAGE}}
    answers = await asyncio.gather(
        *(link.ask(ask, **params.get(part, {})) for part, ask in questions.items())
    )
    return _with(replace(known, node=node), dict(zip(questions, answers, strict=True)))


_QUESTIONS: Final = {"coins": "listfunds", "channels": "listpeerchannels", "history": "history"}


def _with(known: Facts, answers: dict[str, Any]) -> Facts:
    if (found := answers.get("coins")) is not None:
        confirmed, unconfirmed = facts.coins(found)
        known = replace(known, on_chain=confirmed, unconfirmed=unconfirmed)
    if (found := answers.get("channels")) is not None:
        known = replace(known, channels=facts.channels(found))
    if (found := answers.get("history")) is not None:
        recent, more = facts.items(found)
        known = replace(known, recent=recent, more=more)
    return known


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
