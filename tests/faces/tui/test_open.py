"""Open a channel: from the form to the blocks it waits for, and all that must not open one."""

import asyncio
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import (
    CHANNEL_ID,
    PEERS,
    acted,
    armed,
    learnt,
    moving,
    paste,
    told,
    until_shown,
)
from tests.faces.tui.scenes import (
    NODES,
    SIZES,
    assert_harmless,
    channel,
    check,
    grid,
    opened,
    until,
)
from wallet.faces.tui.sheets import review

PLACE = f"{NODES['erin']}@127.0.0.1:9739"


@pytest.fixture(autouse=True)
def ready(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    core.replies |= moving(core.replies)
    monkeypatch.setattr(review, "ARMED_AFTER", 0.02)


async def form(pilot: Pilot[None]) -> None:
    await pilot.press("o")
    await pilot.pause()
    await learnt(pilot)


async def reviewed(pilot: Pilot[None], peer: str = "bob", amount: str = "1,000,000") -> None:
    await form(pilot)
    await paste(pilot, peer)
    await pilot.press("tab", *amount, "enter")
    await armed(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_form_review_and_blocks(core: FakeCore, size: str) -> None:
    async with opened(core, SIZES[size]) as pilot:
        await form(pilot)
        await check(pilot, "open-form")
        await pilot.press("down", "tab", *"1,000,000", "enter")
        await armed(pilot)
        await check(pilot, "open-review")
        await pilot.press("enter", "space", "enter")
        assert acted(core) == []
        await pilot.press("o")
        await until_shown(pilot, "waits for 3 blocks")
        await check(pilot, "open-done")
        core.replies["listpeerchannels"] = {
            "channels": [channel("dave", 1_000_000, 1_000_000, channel_id=CHANNEL_ID)]
        }
        await core.tell("channel_state_changed", channel_id=CHANNEL_ID)
        await until_shown(pilot, "✓ ready: you can send 990,000 sat")
    [params] = core.asked("fundchannel")
    wanted = {"amount": 1_000_000, "feerate": "1000perkw", "announce": True}
    assert params == {"id": NODES["dave"], **wanted}
    assert core.asked("connect") == []


async def test_letter__is_not_armed_at_once(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "ARMED_AFTER", 60)
    async with opened(core) as pilot:
        await form(pilot)
        # As a terminal without bracketed paste sends it: line ends and letters are keys.
        await pilot.press(*"bob", "tab", *"1000000", "enter", "o", "o", "enter", "o")
        await until_shown(pilot, "· review")
        await pilot.press("o", "space", "enter", "o")
        await pilot.pause()
        assert acted(core) == []


async def test_letter__a_second_review_is_armed_by_its_own_time(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(core) as pilot:
        monkeypatch.setattr(review, "ARMED_AFTER", 0.3)
        await form(pilot)
        await pilot.press(*"bob", "tab", *"1000000", "enter")
        await until_shown(pilot, "· review")
        monkeypatch.setattr(review, "ARMED_AFTER", 60)
        await pilot.press("e", "enter")
        await pilot.pause(0.4)
        await pilot.press("o")
        await pilot.pause()
        assert "· review" in grid(pilot)
        assert acted(core) == []


async def test_letter__is_disarmed_by_going_back(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("e")
        await until_shown(pilot, "Peers that the node knows")
        await pilot.press("tab", "o")
        await pilot.pause()
        assert acted(core) == []


async def test_peer__with_its_place_is_connected_first(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await reviewed(pilot, f"  {PLACE}\r\n", "1000000")
        assert acted(core) == []
        assert "connects first" in grid(pilot)
        await pilot.press("o")
        await until_shown(pilot, "waits for 3 blocks")
    assert core.asked("connect") == [{"id": PLACE}]
    assert core.asked("fundchannel")[0]["id"] == NODES["erin"]


async def test_peer__not_reached_opens_nothing(core: FakeCore) -> None:
    core.replies["connect"] = Refusal(401, "127.0.0.1:9739: connection refused")
    async with opened(core) as pilot:
        await reviewed(pilot, PLACE)
        await pilot.press("o")
        await until_shown(pilot, "Not opened. Your coins are where they were.")
        assert "whether the peer is running" in grid(pilot)
        assert acted(core) == []
        await pilot.press("e")
        await until_shown(pilot, "Fee rate")


async def test_everything__and_a_fee_rate_of_ones_own(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await form(pilot)
        await pilot.press(*"bob", "tab", "a", "tab", "right", "right", "right", "tab", *"2.5")
        await pilot.press("tab", "space", "enter")
        await armed(pilot)
        await until_shown(pilot, "your own 2.5 sat/vB")
        await check(pilot, "open-all")
        await pilot.press("o")
        await until_shown(pilot, "waits for")
    [params] = core.asked("fundchannel")
    assert (params["amount"], params["feerate"]) == ("all", "625perkw")
    assert params["announce"] is False


async def test_gift__is_typed(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await form(pilot)
        await pilot.press(*"bob", "tab", *"1000000", "tab", "tab", "tab", *"50000", "enter")
        await armed(pilot)
        await check(pilot, "open-gift")
        await pilot.press("o", *"5,000", "o")
        await pilot.pause()
        assert acted(core) == []
        await pilot.press("0", "o")
        await until_shown(pilot, "waits for")
    assert core.asked("fundchannel")[0]["push_msat"] == 50_000_000


async def test_fee_over_half_the_amount__is_typed(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await form(pilot)
        await pilot.press(*"bob", "tab", *"20000", "tab", "left", "tab", *"60", "enter")
        await armed(pilot)
        await pilot.press("o")
        await until_shown(pilot, "Type 20,000 first")
        assert acted(core) == []


UNFIT = [
    (("nobody", "1000"), "Nobody of that name"),
    ((f"{PLACE}\no\n", "1000"), "Nobody of that name"),
    (("bob", ""), "The amount is no figure"),
    (("bob", "1.5"), "The amount is no figure"),
    (("bob", "3000000"), "There is not so much"),
    (("02c0ff" + "a1" * 28 + "ee01", "1000"), "this node itself"),
]


async def test_form__says_what_is_wrong(core: FakeCore) -> None:
    async with opened(core) as pilot:
        for given, words in UNFIT:
            await form(pilot)
            await paste(pilot, given[0])
            await pilot.press("tab", *given[1], "enter")
            await until_shown(pilot, words)
            assert "· review" not in grid(pilot)
            await pilot.press("escape")
            await pilot.pause()


REFUSALS = [
    (301, "take a lower fee rate"),
    (-32602, "change what the node does not take"),
    (-1, "try again"),
]


@pytest.mark.parametrize(("code", "words"), REFUSALS)
async def test_refused__money_first_then_why(core: FakeCore, code: int, words: str) -> None:
    core.replies["fundchannel"] = Refusal(code, "the peer said\x1b[2J no")
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("o")
        await until_shown(pilot, "Not opened. Your coins are where they were.")
        shown = grid(pilot)
        assert "the peer said\ufffd[2J no" in shown
        assert words in shown
        await pilot.press("escape")
        await until_shown(pilot, "✗ Not opened.")


@pytest.mark.parametrize(
    "refusal",
    [Refusal(303, "the chain refused it; it is offered again"), Refusal(-1, "internal error (X)")],
    ids=["303", "inside"],
)
async def test_open_outcome__is_on_its_way(core: FakeCore, refusal: Refusal) -> None:
    core.replies["fundchannel"] = refusal
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("o")
        await until_shown(pilot, "It may be on its way")
        assert "3 Channels shows it" in grid(pilot)
        assert "Not opened" not in grid(pilot)


async def test_lost__is_on_its_way_and_goes_on_without_the_sheet(core: FakeCore) -> None:
    core.replies["fundchannel"] = lambda _params: asyncio.sleep(60)
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("o", "o", "o")
        await core.until_asked("fundchannel")
        await check(pilot, "open-moving")
        await pilot.press("escape", "q")
        await until_shown(pilot, "q again quits")
        await core.close()
        await until(pilot, lambda: "It may be on its way" in told(pilot), "the notice")
        assert len(core.asked("fundchannel")) == 1


async def test_closed_sheet__the_notice_tells(core: FakeCore) -> None:
    held = asyncio.Event()

    async def fund(_params: dict[str, Any]) -> Any:
        await held.wait()
        return {"txid": "00" * 32, "channel_id": CHANNEL_ID}

    core.replies["fundchannel"] = fund
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("o")
        await core.until_asked("fundchannel")
        await pilot.press("escape")
        held.set()
        await until_shown(pilot, "✓ The channel of 1,000,000 sat with bob waits for its blocks")


async def test_core_that_cannot__says_so(core: FakeCore) -> None:
    del core.replies["fundchannel"]
    async with opened(core) as pilot:
        await pilot.press("o")
        await until_shown(pilot, "it has no fundchannel")


async def test_core_that_knows_little__still_opens(core: FakeCore) -> None:
    for method in ("feerates", "listconfigs", "listnodes"):
        del core.replies[method]
    async with opened(core) as pilot:
        await form(pilot)
        await paste(pilot, NODES["bob"])
        await pilot.press("tab", *"500000", "tab", "tab", "1", "enter")
        await armed(pilot)
        await until_shown(pilot, "after some blocks")
        await pilot.press("o")
        await core.until_asked("fundchannel")
        await until_shown(pilot, "waits for")
    assert core.asked("fundchannel")[0]["feerate"] == "253perkw"


@pytest.mark.parametrize("evil", INJECTIONS[::9], ids=range(len(INJECTIONS[::9])))
async def test_injection__in_every_step(core: FakeCore, evil: str) -> None:
    core.replies |= {
        "fundchannel": Refusal(-1, evil),
        "listnodes": lambda params: {"nodes": [{"nodeid": params["id"], "alias": evil}]},
        "listpeers": {"peers": [{**peer, "netaddr": [evil]} for peer in PEERS]},
    }
    async with opened(core) as pilot:
        await form(pilot)
        assert_harmless(grid(pilot))
        await pilot.press("tab", *"1000000", "enter")
        await armed(pilot)
        assert_harmless(grid(pilot))
        await pilot.press("o")
        await core.until_asked("fundchannel")
        await until_shown(pilot, "Not opened")
        assert_harmless(grid(pilot))
        assert all(len(line) <= 80 for line in grid(pilot).splitlines())
