"""The clipboard, and plain text: how something leaves the screen.

A terminal may drop what is sent to its clipboard without a word (tmux does by default), so a
program of the desktop or of tmux is asked first.  What is secret never comes here.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from textual.app import SuspendNotSupported

from wallet.faces.rpc.client import ConnectionLost, RpcError
from wallet.faces.tui.in_order import InOrder
from wallet.faces.tui.paint import GOOD, QUIET, WARN
from wallet.faces.tui.safe_text import safe

TOOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("", ("pbcopy",)),
    ("", ("clip.exe",)),
    ("TMUX", ("tmux", "load-buffer", "-w", "-")),
)
"""What must be set in the environment, and the program; the first that is there is used."""
PATIENCE_SECONDS = 2.0
_ENDING: Final = 4


@dataclass(frozen=True, slots=True)
class Thing:
    """What a person may want to take elsewhere. Both are safe to show."""

    name: str
    text: str

    @property
    def copied(self) -> str:
        """What is said then: its end, so that what is pasted can be compared."""
        ending = self.text[-_ENDING:]
        return f"✓ {self.name} copied ({len(self.text)} chars …{ending}): check before pasting"


def tool() -> tuple[str, ...] | None:
    """The program that has the clipboard, if there is one."""
    for needed, words in TOOLS:
        if (not needed or os.environ.get(needed)) and shutil.which(words[0]):
            return words
    return None


async def handed(words: tuple[str, ...], text: str) -> bool:
    """Give the text to the program; False when it did not take it."""
    quiet = asyncio.subprocess.DEVNULL
    try:
        # It may leave a process behind that keeps what it has inherited open, so it inherits none.
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.communicate(text.encode())
    except (TimeoutError, OSError):
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
    return await process.wait() == 0


class Copying(InOrder[None]):
    """An app whose screen in front has a main thing: `y` copies it, `T` shows it bare."""

    async def main_thing(self) -> Thing | None:
        """Of the screen in front. May raise `RpcError` or `ConnectionLost`."""
        raise NotImplementedError

    def say(self, sentence: str, style: str = GOOD) -> None:
        """Tell how it went."""
        raise NotImplementedError

    def action_copy(self) -> None:
        self.run_worker(self._with_thing(self._copy), exit_on_error=False)

    def action_plain(self) -> None:
        self.run_worker(self._with_thing(self._show_plain), exit_on_error=False)

    async def _with_thing(self, use: Callable[[Thing], None]) -> None:
        try:
            thing = await self.main_thing()
        except (ConnectionLost, RpcError) as fault:
            self.say(f"! {safe(str(fault), 160)}", WARN)
            return
        if thing is None:
            self.say("Nothing to copy here", QUIET)
        else:
            use(thing)

    def _copy(self, thing: Thing) -> None:
        self.copy_to_clipboard(thing.text)
        self.say(thing.copied, GOOD)

    def _show_plain(self, thing: Thing) -> None:
        """The bare text on the bare terminal, to be selected, until Enter."""
        try:
            with self.suspend():
                print(f"\n{thing.name}:\n\n{thing.text}\n")
                with suppress(EOFError, KeyboardInterrupt):
                    input("Enter goes back. ")
        except SuspendNotSupported:
            self.say("! This terminal cannot show it apart from the app", WARN)
            return
        # The terminal was cleared: everything has to be drawn, also what the app believes to be
        # there already and what is drawn meanwhile for another reason.
        self.call_after_refresh(self._draw_all)

    def _draw_all(self) -> None:
        for screen in self.screen_stack:
            screen.refresh()
            for widget in screen.walk_children():
                widget.refresh()

    def copy_to_clipboard(self, text: str) -> None:
        """By the program that has the clipboard, else by the terminal."""
        words = tool()
        if words is None:
            super().copy_to_clipboard(text)
        else:
            self.run_worker(self._hand_over(words, text), exit_on_error=False)

    async def _hand_over(self, words: tuple[str, ...], text: str) -> None:
        if not await handed(words, text):
            super().copy_to_clipboard(text)
