"""Keeping the control room fresh: the town's state once a second, what moves as it moves.

Everything goes over the socket `town-rpc`.  While the room is not in front only what moves is
heard, so that nothing is missing from its list when a person comes back.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wallet.faces.rpc.client import ConnectionLost, RpcError, Unreachable
from wallet.faces.tui.link import Link
from wallet.faces.tui.safe_text import safe
from wallet.faces.tui.town import facts
from wallet.faces.tui.town.facts import Block, Caption, Money, Town
from wallet.faces.tui.town.moves import Playback

LOOK_SECONDS: Final = 1.0
_LISTEN_SECONDS: Final = 30
_RETRY_SECONDS: Final = 1.0
_MOST_CAPTIONS: Final = 200
_BLOCKS: Final = 5


@dataclass(slots=True)
class TownState:
    """What is known of the town. Changed by the watcher and by what a person does."""

    playback: Playback
    town: Town = field(default_factory=Town)
    link: Link | None = None
    trouble: str = ""
    told: bool = False
    blocks: tuple[Block, ...] = ()
    money: Money | None = None
    captions: list[Caption] = field(default_factory=list)
    in_front: bool = False

    @property
    def connected(self) -> Link:
        """The connection; raises `ConnectionLost` when there is none."""
        if self.link is None:
            raise ConnectionLost("the town does not answer")
        return self.link


class TownWatcher:
    """Holds the connection to `town-rpc`: opens it, listens, and opens it again."""

    def __init__(self, path: Path, state: TownState, say: Callable[[str], None]) -> None:
        self._path = path
        self._state = state
        self._say = say
        """Called with each caption of a story."""

    async def run(self) -> None:
        """For as long as the app lives."""
        while True:
            link = Link(self._path)
            try:
                await link.open()
                self._state.link, self._state.trouble = link, ""
                async with asyncio.TaskGroup() as all_of_them:
                    all_of_them.create_task(self._look(link))
                    all_of_them.create_task(self._follow(link))
                    all_of_them.create_task(self._listen(link))
            except* (Unreachable, ConnectionLost, RpcError) as faults:
                self._state.trouble = safe(str(faults.exceptions[0]), 120)
            finally:
                self._state.link = None
                await link.close()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _look(self, link: Link) -> None:
        """The town's state while somebody looks; its blocks whenever there is a new one."""
        height: int | None = None
        while True:
            if self._state.in_front or not self._state.told:
                town = facts.town(await link.ask("status"))
                self._state.town, self._state.told = town, True
                if town.height != height and link.can("blocks"):
                    height = town.height
                    self._state.blocks = facts.blocks(await link.ask("blocks", limit=_BLOCKS))
                    self._state.money = None
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self, link: Link) -> None:
        """Every HTLC message in the town."""
        if not link.can("flow"):
            return
        since = (await link.ask("flow"))["next"]
        while True:
            answer = await link.ask("flow", since=since, timeout=_LISTEN_SECONDS)
            since = answer["next"]
            self._state.playback.add(facts.moves(answer))

    async def _listen(self, link: Link) -> None:
        """What a story says, as it says it."""
        if not link.can("captions"):
            return
        since = (await link.ask("captions"))["next"]
        while True:
            answer = await link.ask("captions", since=since, timeout=_LISTEN_SECONDS)
            since = answer["next"]
            for caption in facts.captions(answer):
                known = [] if caption.kind == "begin" else self._state.captions
                self._state.captions = [*known, caption][-_MOST_CAPTIONS:]
                self._say(caption.text)
