"""The first run, step by step, against a port that makes nothing."""

import asyncio
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.scenes import assert_harmless, check, grid, until
from tests.faces.tui.setup_scene import LINE, PASSWORD, PHRASE, FakePort, first_run, shows
from wallet.faces.tui.setup.port import ChainChoice, Order, Outcome
from wallet.faces.tui.setup.strength import grade


async def keys(pilot: Pilot[Any], *pressed: str) -> None:
    await pilot.press(*pressed)
    await pilot.pause()


async def paste(pilot: Pilot[Any], text: str) -> None:
    pilot.app.screen.focused.post_message(events.Paste(text))  # type: ignore[union-attr]
    await pilot.pause()


async def protect(pilot: Pilot[Any], password: str = PASSWORD, again: str = PASSWORD) -> None:
    await shows(pilot, "A password protects")
    await paste(pilot, password)
    await keys(pilot, "tab")
    await paste(pilot, again)


async def test_create__each_step_as_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    port = FakePort()
    async with first_run(port) as pilot:
        await check(pilot, "wizard-1")
        await keys(pilot, "enter")
        await check(pilot, "wizard-2")
        await keys(pilot, "enter")
        await shows(pilot, "Type the word for each number")
        await paste(pilot, "flower")
        await keys(pilot, "tab")
        await paste(pilot, "Velvet")
        await keys(pilot, "tab", *"dri")
        await check(pilot, "wizard-3")
        await keys(pilot, "f", "t", "enter")
        await protect(pilot)
        await check(pilot, "wizard-4")
        assert port.made == []
        await keys(pilot, "enter")
        await until(pilot, lambda: port.made, "the wallet")
    assert pilot.app.return_value is Outcome.READY
    assert port.made == [Order(ChainChoice(), PHRASE, PASSWORD)]
    assert "sand" not in repr(port.made)
    assert PASSWORD not in repr(port.made)


async def test_phrase__nothing_of_it_leaves_the_screen() -> None:
    async with first_run(FakePort()) as pilot:
        await keys(pilot, "enter", "w")
        await shows(pilot, "Write these 24 words")
        await check(pilot, "wizard-2-24")
        app = pilot.app
        assert not app.screen.allow_select
        assert list(app.get_system_commands(app.screen)) == []
        await keys(pilot, "ctrl+p", "colon", "ctrl+s")
        assert "Write these" in grid(pilot)
        app.copy_to_clipboard("sand")
        assert app.clipboard == ""
        app.action_screenshot()
        await keys(pilot, "enter", *"flower", "shift+home", "ctrl+c")
    assert app.clipboard == ""


async def test_verify__a_wrong_word_and_skipping() -> None:
    async with first_run(FakePort()) as pilot:
        await keys(pilot, "enter", "enter")
        for word in ("sand", "velvet", "drift"):
            await paste(pilot, word)
            await keys(pilot, "tab")
        await keys(pilot, "enter")
        await shows(pilot, "Word 3 is another one")
        await keys(pilot, "escape")
        await shows(pilot, "mosquito")
        await keys(pilot, "enter", "ctrl+k")
        await shows(pilot, "A password protects")


async def test_protect__a_password_is_taken_as_it_is() -> None:
    """Also where a character of it is invisible: the terminal and the unlock sheet take that."""
    strange = "tab\there 👩\u200d🚀 \u00a0end"
    port = FakePort()
    async with first_run(port) as pilot:
        await keys(pilot, "enter", "enter", "ctrl+k")
        await protect(pilot, strange, f"{strange}\r\n")
        await keys(pilot, "enter")
        await until(pilot, lambda: port.made, "the wallet")
    assert port.made[0].password == strange


async def test_protect__passwords_that_differ_and_a_refusal() -> None:
    port = FakePort()
    port.refusal = "no \x1b[2Jroom"
    async with first_run(port) as pilot:
        await keys(pilot, "enter", "enter", "ctrl+k")
        await protect(pilot, "abc", "abd")
        await keys(pilot, "enter")
        await shows(pilot, "The two are not the same")
        await keys(pilot, "backspace", "c", "enter")
        await shows(pilot, "room")
        assert_harmless(grid(pilot))
        assert "abc" not in grid(pilot)
        port.refusal = ""
        await keys(pilot, "enter")
        await until(pilot, lambda: port.made, "the wallet")


async def test_restore__words_are_looked_up_completed_and_taken_back() -> None:
    port = FakePort()
    async with first_run(port) as pilot:
        await keys(pilot, "j", "enter")
        await shows(pilot, "Type the words in their order")
        await keys(pilot, *"san")
        await shows(pilot, "sand")
        await keys(pilot, "d", "space", *"zoo", "space", *"purpp")
        await shows(pilot, "no such word")
        await keys(pilot, "backspace", "backspace", "tab")
        await check(pilot, "wizard-restore")
        await keys(pilot, *["backspace"] * 4)
        await shows(pilot, "word 2")
        await keys(pilot, "enter")
        await shows(pilot, "the checksum is wrong")
        pilot.app.screen.focused.post_message(  # type: ignore[union-attr]
            events.Paste(LINE[5:-5].title().replace(" L", "\nL").replace(" A", "\tA"))
        )
        await shows(pilot, "10 mosquito")
        await keys(pilot, "enter", *"quiz", "enter")
        await shows(pilot, "they fit together")
        await keys(pilot, "enter")
        await protect(pilot)
        await keys(pilot, "enter")
        await until(pilot, lambda: port.made, "the wallet")
    assert port.made == [Order(ChainChoice(), PHRASE, PASSWORD, restored=True)]


async def test_bitcoind__is_asked_before_anything_goes_on() -> None:
    port = FakePort()
    port.trouble = "Nobody answers at http://127.0.0.1:18443. Is bitcoind running?"
    async with first_run(port) as pilot:
        await keys(pilot, "c", "enter")
        await shows(pilot, "Cookie file")
        await keys(pilot, "enter")
        await shows(pilot, "Nobody answers")
        await check(pilot, "wizard-bitcoind")
        port.trouble = ""
        await keys(pilot, "enter")
        await shows(pilot, "Write these")
        assert pilot.app.draft.chain == port.bitcoind  # type: ignore[attr-defined]


async def test_public_chain__only_a_bitcoind_has_it() -> None:
    port = FakePort(network="signet")
    async with first_run(port) as pilot:
        await check(pilot, "wizard-signet")
        await keys(pilot, "c", "enter")
        await shows(pilot, "It has to be on signet")
        await keys(pilot, "enter")
        await shows(pilot, "Write these")
        assert pilot.app.draft.chain == port.bitcoind  # type: ignore[attr-defined]


async def test_public_chain__a_wallet_without_one_is_asked_where_it_is() -> None:
    port = FakePort(has_wallet=True, network="signet")
    async with first_run(port) as pilot:
        await shows(pilot, "Go on with a bitcoind")
        await keys(pilot, "enter")
        await shows(pilot, "It has to be on signet")
        await keys(pilot, "enter")
        await until(pilot, lambda: port.kept, "the choice")
    assert port.kept == [port.bitcoind]


async def test_wallet_without_a_chain__only_that_is_asked() -> None:
    port = FakePort(has_wallet=True)
    async with first_run(port) as pilot:
        await check(pilot, "wizard-chain")
        await keys(pilot, "enter")
        await until(pilot, lambda: port.kept, "the choice")
    assert port.kept == [ChainChoice()]
    assert pilot.app.return_value is Outcome.READY


async def test_demo_and_leaving() -> None:
    async with first_run(FakePort()) as pilot:
        await keys(pilot, "up", "enter")
    assert pilot.app.return_value is Outcome.DEMO
    async with first_run(FakePort()) as pilot:
        await keys(pilot, "q")
    assert pilot.app.return_value is None


async def test_what_is_pasted_and_what_is_told__moves_no_cursor() -> None:
    port = FakePort()
    port.directory = INJECTIONS[0]
    async with first_run(port) as pilot:
        assert_harmless(grid(pilot))
        await keys(pilot, "c", "enter")
        for text in INJECTIONS:
            port.trouble = text
            pilot.app.screen.focused.post_message(events.Paste(text))  # type: ignore[union-attr]
            await pilot.press("enter")
            await asyncio.sleep(0)
        await pilot.pause(0.1)
        assert_harmless(grid(pilot))


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("aaaaaaaaaaaaaaaaaaaa", "weak"),
        ("password123", "weak"),
        ("Tr0ub4dor&3", "weak"),
        ("fhqwhgadshnsdhjsdbkhsdabk", "strong"),
        ("gbvutr kmpwqz xx", "fair"),
        (PASSWORD, "strong"),
        ("Ünïcödé ist auch ein Wort", "strong"),
    ],
)
def test_strength__roughly(password: str, word: str) -> None:
    assert grade(password) == word
