"""What is typed at once, as by a quick hand, a macro, or a paste without brackets, is in order."""

import asyncio

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.gallery import core_replies
from tests.faces.tui.scenes import grid, opened, until
from tests.faces.tui.setup_scene import FakePort, first_run


def typed(pilot: Pilot[None], *keys: str) -> None:
    """All of them, before the app has looked at the first."""
    for key in keys:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("3", "o"), "ID@HOST:PORT"),
        (("4", "c"), "╭─ Connect"),
        (("3", "escape", "5", "w"), "bitcoin:…"),
        (("8", "tab", *"help"), "> help"),
        (("s", *"lnbcrt1", "escape", "3", "o", *"bob"), "Peer        bob"),
        (("2", "slash", *"coffee", "enter", "j", "3"), "[3 Channels]"),
        (("s", "escape", "s", "escape", "4"), "[4 Network]"),
    ],
)
async def test_at_once__acts_on_what_the_key_before_has_opened(
    core: FakeCore, keys: tuple[str, ...], words: str
) -> None:
    core.replies = core_replies()
    async with opened(core) as pilot:
        typed(pilot, *keys)
        await until(pilot, lambda: words in grid(pilot), words)


async def test_tab__what_follows_at_once_is_for_the_next_field(core: FakeCore) -> None:
    async with opened(core) as pilot:
        typed(pilot, "r", *"1000", "tab", *"Desk")
        await until(pilot, lambda: "Desk" in grid(pilot), "the words")
        amount, words = (field.value for field in pilot.app.screen.query(Input))
        assert (amount, words) == ("1000", "Desk")


async def test_busy_widget__the_keys_wait_and_none_is_lost(core: FakeCore) -> None:
    async with opened(core) as pilot:
        gate = asyncio.Event()
        pilot.app.screen.call_later(gate.wait)
        typed(pilot, "2", "slash", *"tea")
        assert "tea" not in grid(pilot)
        gate.set()
        await until(pilot, lambda: "/ tea" in grid(pilot), "the filter")


async def test_first_run__a_phrase_is_not_typed_into_one_field() -> None:
    async with first_run(FakePort(), (80, 24)) as pilot:
        typed(pilot, "enter", "enter", *"ab", "tab", *"cd")
        await until(pilot, lambda: len(pilot.app.screen.query(Input)) == 3, "the three fields")
        await until(pilot, lambda: "cd" in {f.value for f in pilot.app.screen.query(Input)})
        assert [field.value for field in pilot.app.screen.query(Input)] == ["ab", "cd", ""]
