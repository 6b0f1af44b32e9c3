"""Activity and Channels: lists under a cursor, and one thing in full."""

from typing import Any

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.payment_scene import sent_back, tries
from tests.faces.tui.scenes import (
    HISTORY,
    PUBLIC_NODES,
    SIZES,
    assert_harmless,
    channel,
    grid,
    opened,
    paid,
    settled,
    until,
)


async def test_activity__one_payment_in_full(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("2", "j", "j", "j", "enter")
        await pilot.pause()
        assert "nothing left your wallet" in grid(pilot)
        await pilot.press("escape", "k", "enter")
        await pilot.pause()
        assert "Do not pay it a second time" in grid(pilot)


def _long_past(params: dict[str, Any]) -> dict[str, Any]:
    """900 payments, by pages, as a core gives them."""
    start, limit = int(params.get("start", 0)), params["limit"]
    shown = [paid("20 10:00", n, f"payment {n}") for n in range(start, min(900, start + limit))]
    return {"history": shown, **({"next": str(start + limit)} if start + limit < 900 else {})}


async def test_activity__older_pages_are_read_when_they_are_looked_at(core: FakeCore) -> None:
    core.replies["history"] = _long_past
    async with opened(core) as pilot:
        await pilot.press("2")
        await pilot.pause()
        assert "1-18 of 200 and older" in grid(pilot)
        assert len(core.asked("history")) == 1
        for _ in range(11):
            await pilot.press("pagedown")
        await until(pilot, lambda: "of 400 and older" in grid(pilot), "the second page")
        await pilot.press("G")
        await until(pilot, lambda: "883-900 of 900" in grid(pilot), "the end")
        assert "payment 899" in grid(pilot)
        assert len(core.asked("history")) == 5
        await pilot.press("g")
        await pilot.pause()
        assert "payment 0 " in grid(pilot)


async def test_activity__the_cursor_stays_on_what_was_chosen(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("2", "j", "j", "j")
        core.replies["history"] = {"history": [paid("20 12:04", 9, "new"), *HISTORY]}
        await core.tell("payment", payment_hash="00")
        await until(pilot, lambda: "new" in grid(pilot), "the new line")
        [chosen] = [line for line in grid(pilot).splitlines() if line.startswith("> ")]
        assert "donation" in chosen


async def test_channels__one_in_full_and_gone(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3", "j", "enter")
        await pilot.pause()
        assert "The peer is offline" in grid(pilot)
        core.replies["listpeerchannels"] = {"channels": []}
        await core.tell("channel_state_changed", channel_id="00")
        await until(pilot, lambda: "No channel yet" in grid(pilot), "the empty list")


async def test_injection__every_screen_is_as_ordered(core: FakeCore) -> None:
    """Names, descriptions and reasons of strangers, in every line and in every detail."""
    peers = {f"{number:066x}": evil for number, evil in enumerate(INJECTIONS)}
    core.replies["getinfo"] = {"id": "02" * 33, "alias": INJECTIONS[0], "network": INJECTIONS[1]}
    core.replies["listnodes"] = lambda params: {
        "nodes": [{"nodeid": params["id"], "alias": peers.get(params["id"], "")}]
    }
    core.replies["listpeerchannels"] = {
        "channels": [
            channel("bob", 500, 1_000, peer_id=n, status=[evil], short_channel_id=evil)
            for n, evil in peers.items()
        ]
    }
    core.replies["history"] = {
        "history": [
            paid("20 12:00", 5, evil, label=evil[::-1], failure=evil, status="failed", bolt11=evil)
            for evil in INJECTIONS
        ]
        + [{"kind": e, "at": 1, "status": e, "direction": e, "txid": e} for e in INJECTIONS]
    }
    async with opened(core, SIZES["120x40"]) as pilot:
        await core.tell("invoice_payment", label=INJECTIONS[2], amount_msat=5_000)
        await settled(pilot)
        for tab, count in (("1", 1), ("2", 2 * len(INJECTIONS)), ("3", len(INJECTIONS))):
            await pilot.press(tab)
            for _ in range(count):
                shown = grid(pilot)
                assert_harmless(shown)
                lines = shown.splitlines()
                assert len(lines) == 40
                assert lines[0].endswith("12:04:31"), "a name pushed the clock away"
                await pilot.press("j")


async def test_activity__how_a_payment_went_is_asked_when_it_is_opened(core: FakeCore) -> None:
    core.replies["listsendpays"] = {"payments": tries(HISTORY[0]["payment_hash"], 2_106)}
    core.replies["waitsendpay"] = sent_back("carol", "temporary_channel_failure: full\x1b[2J")
    async with opened(core) as pilot:
        await pilot.press("2", "enter")
        await until(pilot, lambda: "How it went" in grid(pilot), "the parts")
        assert_harmless(grid(pilot))
        assert len(core.asked("waitsendpay")) == 1


@pytest.mark.parametrize("size", ["80x24", "120x40"])
async def test_long_name__gives_way_to_what_is_said_of_the_node(core: FakeCore, size: str) -> None:
    named = [n | {"alias": "a name as long as one can be, 32"} for n in PUBLIC_NODES]
    core.replies["listnodes"] = lambda params: {
        "nodes": [n for n in named if params.get("id") in (None, n["nodeid"])]
    }
    channels: Any = core.replies["listpeerchannels"]
    channels["channels"][1]["htlcs"][0]["expiry"] = 1_210
    async with opened(core, SIZES[size]) as pilot:
        told = " ".join(word for line in grid(pilot).splitlines() for word in line[:70].split())
        for words in (
            "a name as long as o… is offline; 1 payment(s) inside wait",
            "a name as long as o… has 6 blocks left to settle 250,000 sat;",
            "a name as long as o…: your 1,200,000 sat are locked for 144 more",
        ):
            assert words in told
        await pilot.press("3", "G", "enter")
        await until(pilot, lambda: "0211dee…1e141aa   … closing" in grid(pilot), "how it stands")
        await pilot.press("escape", "5", "tab")
        await until(pilot, lambda: "a name as long… Settling" in grid(pilot), "its row")
        await pilot.press("enter")
        await until(pilot, lambda: "   … closing" in grid(pilot).split("To come")[0], "the title")
