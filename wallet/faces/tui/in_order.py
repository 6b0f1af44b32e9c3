"""Keys, pastes and clicks one after the other: each finds what the one before it has made.

Textual hands a key to the widget that has the focus when the key arrives, while the key before it
may still be on its way up to the action that moves the focus.  What a quick hand or a macro types
would then act on the tab, the field or the sheet that was in front before.
"""

import asyncio
from contextlib import suppress
from typing import Final, TypeVar

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.errors import NoWidget
from textual.message_pump import MessagePump

Ended = TypeVar("Ended")
Typed = events.Key | events.Paste | events.MouseEvent

_PATIENCE_SECONDS: Final = 2.0
"""What is typed after a key that takes longer goes to what is in front now, still in order."""
_ROUNDS: Final = 2
"""A key climbs from the field to the app; what its handlers posted on the way climbs after it."""


class InOrder(App[Ended]):
    """An app in which whatever is typed waits until all before it has taken effect."""

    def __init__(self) -> None:
        super().__init__()
        self._typed: asyncio.Queue[Typed] = asyncio.Queue()

    def on_mount(self) -> None:
        self.run_worker(self._hand_on(), name="typed", group="typed")

    async def on_event(self, event: events.Event) -> None:
        """For Textual: what comes from the terminal waits for its turn."""
        moves_only = isinstance(event, events.MouseMove)
        if isinstance(event, Typed) and not moves_only and not event.is_forwarded:
            self._typed.put_nowait(event)
        else:
            await super().on_event(event)

    async def _hand_on(self) -> None:
        while True:
            event = await self._typed.get()
            target = self._target(event)
            self.call_later(super().on_event, event)
            if not _is_text(event, target):
                await self._settled(target)

    def _target(self, event: Typed) -> DOMNode:
        """The widget that is the first to get it."""
        if not isinstance(event, events.MouseEvent):
            return self.focused or self.screen
        with suppress(NoWidget):
            return self.get_widget_at(event.x, event.y)[0]
        return self.screen

    async def _settled(self, target: DOMNode) -> None:
        """What was handed to `target` has taken effect, and a new screen has its focus."""
        climbed = target.ancestors_with_self
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                for pump in (self, *climbed * _ROUNDS):
                    await _passed(pump)
                # Only now it is known which screen is in front.
                for pump in (self.screen, self):
                    await _passed(pump)


def _is_text(event: Typed, target: DOMNode) -> bool:
    """Whether it only becomes text in the field that all that follows is for, too."""
    if isinstance(event, events.Key):
        return target.check_consume_key(event.key, event.character)
    return False


async def _passed(pump: MessagePump) -> None:
    """All that was in this queue by now has been handled."""
    passed = asyncio.Event()
    if pump.call_later(passed.set):
        await passed.wait()
