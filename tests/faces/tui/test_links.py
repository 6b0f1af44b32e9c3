"""Connect to a peer, open a locked wallet, show an address: what moves nothing by itself."""

import asyncio
import logging

import pytest
from textual.pilot import Pilot

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import ADDRESS, moving, paste, told, until_shown
from tests.faces.tui.scenes import NODES, assert_harmless, check, grid, opened, replies
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.entry import Entry
from wallet.faces.tui.sheets.connect import Connect
from wallet.faces.tui.sheets.receive import Receive
from wallet.faces.tui.sheets.unlock import Unlock

PLACE = f"{NODES['carol']}@127.0.0.1:9737"
SECRET = "Tr0ub4dor \u212b[/]"
"""Not in its normal form, and with what looks like markup: it goes out as it was typed."""


@pytest.fixture(autouse=True)
def ready(core: FakeCore) -> None:
    core.replies |= moving(core.replies) | {"newaddr": {"bech32": ADDRESS}}


# --- connect --------------------------------------------------------------------------------------


async def connect(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, Leyden)
    await pilot.app.push_screen(Connect(pilot.app.state))


async def test_connect__shows_who_answered(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await connect(pilot)
        await paste(pilot, f" {PLACE}\r\n")
        await check(pilot, "connect-form")
        assert core.asked("connect") == []
        await pilot.press("enter")
        await until_shown(pilot, "✓ carol answers")
        await check(pilot, "connect-done")
    assert core.asked("connect") == [{"id": PLACE}]


@pytest.mark.parametrize(
    ("code", "words"), [(400, "give ID@HOST:PORT"), (401, "Nobody answered"), (402, "It hung up")]
)
async def test_connect__refused(core: FakeCore, code: int, words: str) -> None:
    core.replies["connect"] = Refusal(code, "the long reason\x1b[2J")
    async with opened(core) as pilot:
        await connect(pilot)
        await paste(pilot, "carol")
        await pilot.press("enter")
        await until_shown(pilot, "That is no node")
        await pilot.press("end", "ctrl+u")
        await paste(pilot, PLACE)
        await pilot.press("enter")
        await until_shown(pilot, words)
        assert "the long reason\ufffd[2J" in grid(pilot)


async def test_connect__is_told_when_the_sheet_is_closed(core: FakeCore) -> None:
    held = asyncio.Event()
    answer = core.replies["connect"]

    async def slow(_params: object) -> object:
        await held.wait()
        return answer

    core.replies["connect"] = slow
    async with opened(core) as pilot:
        await connect(pilot)
        await paste(pilot, PLACE)
        await pilot.press("enter", "enter")
        await until_shown(pilot, "… calling")
        await pilot.press("escape")
        held.set()
        await until_shown(pilot, "✓ Connected to carol")
    assert len(core.asked("connect")) == 1


@pytest.mark.parametrize("evil", INJECTIONS[3::9], ids=range(len(INJECTIONS[3::9])))
async def test_connect__injection(core: FakeCore, evil: str) -> None:
    core.replies["listnodes"] = lambda params: {"nodes": [{"nodeid": params["id"], "alias": evil}]}
    core.replies["connect"] = {"id": NODES["erin"], "address": {"address": evil, "port": evil}}
    async with opened(core) as pilot:
        await connect(pilot)
        await paste(pilot, evil)
        await pilot.press("enter")
        await pilot.pause()
        assert_harmless(grid(pilot))
        await pilot.press("end", "ctrl+u")
        await paste(pilot, PLACE)
        await pilot.press("enter")
        await until_shown(pilot, "✓ ")
        assert_harmless(grid(pilot))


# --- unlock ---------------------------------------------------------------------------------------


@pytest.fixture
def locked(core: FakeCore) -> None:
    core.replies["getinfo"] = {"locked": True, "network": "regtest"}

    def unlock(params: dict[str, str]) -> object:
        if params["password"] != SECRET:
            return Refusal(-32002, "wrong password")
        core.replies["getinfo"] = replies()["getinfo"]
        return {"unlocked": True}

    core.replies["unlock"] = unlock


@pytest.mark.usefixtures("locked")
async def test_unlock__offered_once_and_by_its_key(
    core: FakeCore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(core) as pilot:
        await until_shown(pilot, "The wallet is locked.")
        await pilot.press("escape")
        await until_shown(pilot, "U opens it with its password")
        await check(pilot, "home-locked")
        await pilot.press("U")
        await pilot.press(*"wrong", "enter")
        await until_shown(pilot, "Wrong password. Nothing was opened; try again.")
        await check(pilot, "unlock-wrong")
        await paste(pilot, f"{SECRET}\r\n")
        field = pilot.app.screen.query_one(Entry)
        assert field.value == SECRET
        assert SECRET not in grid(pilot) + repr(field)
        await pilot.press("home", "shift+end", "ctrl+c", "ctrl+x")
        assert pilot.app.clipboard == ""
        await pilot.press("enter")
        await until_shown(pilot, "724,567 sat")
        assert field.value == ""
        assert SECRET not in told(pilot) + grid(pilot) + caplog.text
        await pilot.press("U")
        await until_shown(pilot, "The wallet is open")
    assert [params["password"] for params in core.asked("unlock")] == ["wrong", SECRET]


@pytest.mark.usefixtures("locked")
async def test_unlock__no_message_carries_the_password(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    for name in ("on_input_changed", "on_input_submitted"):
        monkeypatch.setattr(Unlock, name, lambda _sheet, event: seen.append(event), raising=False)
    async with opened(core) as pilot:
        await until_shown(pilot, "The wallet is locked.")
        await pilot.press(*"hunter2", "enter")
        await until_shown(pilot, "Wrong password")
        assert "hunter2" not in repr(list(pilot.app.workers)) + repr(pilot.app.screen)
    assert seen == []


@pytest.mark.usefixtures("locked")
async def test_unlock__a_node_that_repeats_it(core: FakeCore) -> None:
    core.replies["unlock"] = lambda params: Refusal(-1, f"what is {params['password']}?")
    async with opened(core) as pilot:
        await until_shown(pilot, "The wallet is locked.")
        await pilot.press(*"hunter2", "enter")
        await until_shown(pilot, "Not opened.")
        assert "hunter2" not in grid(pilot)


# --- an address -----------------------------------------------------------------------------------


async def test_address__at_once_and_anew(core: FakeCore) -> None:
    async with opened(core) as pilot:
        assert isinstance(pilot.app, Leyden)
        await pilot.app.push_screen(Receive(pilot.app.state, on_chain=True))
        await until_shown(pilot, "bcrt1q6rhpng9evdsfnn")
        await check(pilot, "receive-address")
        await pilot.press("y")
        assert pilot.app.clipboard == ADDRESS
        await pilot.press("n")
        await core.until_asked("newaddr", 2)
        await until_shown(pilot, "On-chain address")
        await pilot.press("tab")
        await until_shown(pilot, "You can receive")
        await pilot.press("escape")


async def test_address__refused(core: FakeCore) -> None:
    core.replies["newaddr"] = Refusal(-32003, "the node is not ready\x1b[2J")
    async with opened(core) as pilot:
        assert isinstance(pilot.app, Leyden)
        await pilot.app.push_screen(Receive(pilot.app.state, on_chain=True))
        await until_shown(pilot, "the node is not ready\ufffd")
