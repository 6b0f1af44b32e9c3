"""The rows around every screen, keys that work everywhere, and how facts reach the screen."""

import asyncio
from typing import Any

import pytest

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import (
    HISTORY,
    NOW,
    assert_harmless,
    check,
    grid,
    opened,
    settled,
    until,
)
from wallet.faces.tui import app as app_module
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.pane import Pane
from wallet.faces.tui.starting import Step


async def test_help__lists_the_keys(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: "go to a tab" in grid(pilot), "the keys")
        await pilot.press("escape")
        await pilot.pause()
        assert "Can send now" in grid(pilot)


async def test_start__asks_as_soon_as_there_is_a_connection(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "TICK_SECONDS", 3_600)
    app = Leyden(core.path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "724,567 sat" in grid(pilot), "the first figures")


async def test_tabs__numbers_never_move_and_absent_ones_say_why(core: FakeCore) -> None:
    async with opened(core) as pilot:
        for number, title in enumerate(
            ("Home", "Activity", "Channels", "Network", "Chain", "Swaps", "Demo", "Log"), start=1
        ):
            await pilot.press(str(number))
            await pilot.pause()
            assert f"[{number} {title}]" in grid(pilot)
        await pilot.press("6")
        await pilot.pause()
        assert "This node makes no swaps" in grid(pilot)
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert "[7 Demo]" in grid(pilot)
        await pilot.click("#tabs", offset=(3, 0))
        await pilot.pause()
        assert "[1 Home]" in grid(pilot)


async def test_unit_and_hide(core: FakeCore) -> None:
    async with opened(core) as pilot:
        assert "724,567 sat" in grid(pilot)
        await pilot.press("u")
        await pilot.pause()
        assert "0.00724567 BTC" in grid(pilot)
        assert "255,433" not in grid(pilot)
        await pilot.press("full_stop")
        await pilot.pause()
        assert not {"724567", "724,567", "250,000", "2,103"} & set(grid(pilot).split())
        assert "•••••" in grid(pilot)


async def test_events__a_payment_that_comes_in_is_told(core: FakeCore) -> None:
    async with opened(core) as pilot:
        core.replies["history"] = {"history": HISTORY[1:]}
        await core.tell(
            "invoice_payment", label="a", amount_msat=7_000_000, description="flowers\x1b[2J"
        )
        await until(pilot, lambda: "✓ Received 7,000 sat  flowers" in grid(pilot), "the notice")
        await settled(pilot)
        assert "Coffee" not in grid(pilot)
        assert "\x1b" not in grid(pilot)


async def test_events__a_flood_is_asked_about_ten_times_a_second(core: FakeCore) -> None:
    async with opened(core) as pilot:
        before = len(core.asked("listpeerchannels"))
        for number in range(2_000):
            await core.tell("payment", payment_hash=f"{number:064x}")
        await settled(pilot)
        await pilot.press("u")
        await pilot.pause()
        assert "0.00724567 BTC" in grid(pilot)
        assert 1 <= len(core.asked("listpeerchannels")) - before <= 20


async def test_lost__the_numbers_stay_and_come_back(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await core.close()
        await until(pilot, lambda: "trying again" in grid(pilot), "the sentence")
        assert "724,567 sat" in grid(pilot)
        core.replies["listfunds"] = {"outputs": [{"amount_msat": 5_000, "status": "confirmed"}]}
        await core.start()
        await until(pilot, lambda: "5 sat" in grid(pilot), "the new figure")
        assert "trying again" not in grid(pilot)


async def test_frozen_core__the_figures_are_called_old(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(core) as pilot:
        monkeypatch.setattr(app_module, "PATIENCE_SECONDS", 0.2)
        answer = core.replies["listpeerchannels"]
        core.replies["listpeerchannels"] = lambda _params: asyncio.sleep(60)
        await core.tell("payment", payment_hash="00")
        await until(pilot, lambda: "these figures are old" in grid(pilot), "the word")
        assert "724,567 sat" in grid(pilot)
        core.replies["listpeerchannels"] = answer
        await until(pilot, lambda: "figures are old" not in grid(pilot), "the fresh figures")


async def test_nobody_there__says_how_to_start_one(core: FakeCore) -> None:
    await core.close()
    core.path.unlink(missing_ok=True)
    app = Leyden(core.path, lambda: NOW)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "leyden daemon" in grid(pilot), "the advice")
        assert "Your money is where it was" in grid(pilot)


async def test_locked__says_how_to_unlock(core: FakeCore) -> None:
    core.replies["getinfo"] = {"locked": True, "network": "regtest"}
    async with opened(core) as pilot:
        assert "The wallet is locked" in grid(pilot)
        assert core.asked("listfunds") == []


@pytest.mark.parametrize("missing", ["events", "listnodes", "history"])
async def test_core_without_a_method__the_rest_is_there(core: FakeCore, missing: str) -> None:
    del core.replies[missing]
    async with opened(core) as pilot:
        assert "724,567 sat" in grid(pilot)


async def test_palette__goes_to_a_tab(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("colon")
        await pilot.pause()
        await pilot.press(*"swaps", "enter")
        await until(pilot, lambda: "[6 Swaps]" in grid(pilot), "the tab")
        assert not [c for c in _commands(pilot) if "creenshot" in c]


def _commands(pilot: Any) -> list[str]:
    return [c.title for c in pilot.app.get_system_commands(pilot.app.screen)]


async def test_quit(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("q")
        await pilot.pause()
        assert pilot.app._exit


async def test_closing__a_tick_finds_its_screens_gone(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(core) as pilot:
        app = pilot.app
        assert isinstance(app, Leyden)
        close, ticks = app._close_all, 0

        async def close_slowly() -> None:
            nonlocal ticks
            await app.screen_stack[0].query(Pane).remove()
            app.state.say("news")
            app.pump.stale |= {"node"}
            app._tick()
            app.redraw()
            ticks += 1
            await close()

        monkeypatch.setattr(app, "_close_all", close_slowly)
    assert ticks == 1


async def test_small_window__figures_and_keys_and_back_again(core: FakeCore) -> None:
    async with opened(core, (60, 12)) as pilot:
        await check(pilot, "too-small")
        await pilot.press("r")
        await until(pilot, lambda: "Receive" in grid(pilot), "the sheet")
        await pilot.press("escape")
        await pilot.resize_terminal(80, 24)
        await check(pilot, "home")
        await pilot.press("2")
        await pilot.resize_terminal(80, 23)
        await until(pilot, lambda: "80x23" in grid(pilot), "the single column")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "[2 Activity]" in grid(pilot), "the list")
        await pilot.press("enter")
        await until(pilot, lambda: "esc" in grid(pilot).splitlines()[-1], "the detail")


async def test_catching_up__can_be_looked_around_and_ends_by_itself(core: FakeCore) -> None:
    known: Any = core.replies["getinfo"]
    reading = "Still reading blocks from the chain backend."
    core.replies["getinfo"] = {**known, "blockheight": 842, "warning_lightningd_sync": reading}
    async with opened(core) as pilot:
        await check(pilot, "catching-up")
        await pilot.press("escape")
        await check(pilot, "catching-up-looked")
        core.replies["getinfo"] = known
        await check(pilot, "home")


class Steps:
    """Something that starts, as slowly as the test wants."""

    def __init__(self) -> None:
        self.steps = [
            Step("a chain of our own", 0.31, done=True),
            Step("six nodes", 3.2, done=False),
            Step("channels with money in them", None, done=False),
        ]
        self.up = False
        self.fault = ""


async def test_starting__steps_then_home(core: FakeCore) -> None:
    steps = Steps()
    app = Leyden(core.path, lambda: NOW, lambda: 0.0, rising=steps)
    async with app.run_test(size=(80, 24)) as pilot:
        await check(pilot, "starting")
        await pilot.press("s")
        await until(pilot, lambda: "Paste an invoice" in grid(pilot), "the sheet")
        await pilot.press("escape", "3", "1")
        assert core.calls == []
        steps.up = True
        await until(pilot, lambda: app.state.told)
        await settled(pilot)
        await check(pilot, "home")


async def test_gone__it_can_be_started_from_here(core: FakeCore) -> None:
    steps: list[Steps] = []

    def start() -> Steps:
        steps.append(Steps())
        return steps[-1]

    app = Leyden(core.path, lambda: NOW, lambda: 0.0, start=start)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.state.told)
        await pilot.press("R")
        await until(pilot, lambda: "The node is there" in grid(pilot), "the answer")
        assert steps == []
        await core.close()
        await until(pilot, lambda: "it was; R starts it here" in grid(pilot), "the offer")
        assert "Your money is where it was. What is under way waits" in grid(pilot)
        assert "724,567 sat" in grid(pilot)
        await pilot.press("R", "R")
        await until(pilot, lambda: "✓ a chain of our own" in grid(pilot), "the steps")
        assert len(steps) == 1
        steps[0].fault = "the directory is in use"
        await until(pilot, lambda: "It did not start" in grid(pilot), "the reason")
        await pilot.press("R")
        await until(pilot, lambda: "did not start" not in grid(pilot), "the second try")
        # Somebody else is quicker.
        await core.start()
        await until(pilot, lambda: "Recent" in grid(pilot), "Home")
        assert app.state.rising is None
        assert len(steps) == 2


async def test_starting__what_went_wrong_is_told_harmlessly(core: FakeCore) -> None:
    steps = Steps()
    steps.fault = "the chain did not start: \x1b[2Jno room on the disk"
    async with Leyden(core.path, lambda: NOW, rising=steps).run_test(size=(80, 24)) as pilot:
        await check(pilot, "starting-failed")
        assert_harmless(grid(pilot))
