"""What a story says, for those who follow it from afar: each sentence when it is said.

A caption is an object: `at` (Unix time), `story` (its name), `kind` and `text`.  The kinds are
`begin`; `step`, with `step` (its name), `number` and `of`; `say`; `fault`, why a step did not hold;
and `end`, with `report`.
"""

import asyncio
from typing import Any, Final

from wallet.faces.demo.feed import Feed, unix_time
from wallet.faces.demo.telling import Heading

KEPT: Final = 1_000

Caption = dict[str, Any]


class Captions:
    """Of all stories that are told in a town, one after the other. Made on the loop's thread."""

    def __init__(self) -> None:
        self.feed: Feed[Caption] = Feed(KEPT)
        self._loop = asyncio.get_running_loop()

    def add(self, story: str, kind: str, text: str, **more: object) -> None:
        """One more, from any thread."""
        caption = {"at": unix_time(), "story": story, "kind": kind, "text": text, **more}
        self._loop.call_soon_threadsafe(self.feed.add, caption)


class Teller:
    """The audience of one telling: keeps what is told and lets it be followed."""

    def __init__(self, captions: Captions, story: str) -> None:
        self._captions = captions
        self._story = story
        self.told: list[str] = []

    def begin(self, title: str) -> None:
        """The story begins."""
        self._captions.add(self._story, "begin", title)

    def step(self, heading: Heading) -> None:
        """A step begins."""
        self.told.append(str(heading))
        more = {"step": heading.name, "number": heading.number, "of": heading.of}
        self._captions.add(self._story, "step", heading.title, **more)

    def say(self, sentence: str) -> None:
        """What is done in it, and what came of it."""
        self.told.append(sentence)
        self._captions.add(self._story, "say", sentence)

    def fault(self, sentence: str) -> None:
        """Why it did not hold."""
        self.told.append(sentence)
        self._captions.add(self._story, "fault", sentence)

    def end(self, report: dict[str, Any]) -> None:
        """It is over."""
        outcome = "Every step held." if report["ok"] else "Not everything held."
        self._captions.add(self._story, "end", outcome, report=report)
