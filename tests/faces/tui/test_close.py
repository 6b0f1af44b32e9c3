"""Close a channel: together with `c`, alone only by the words; and what its payments cost."""

import asyncio
from typing import Any

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import TXID, acted, armed, moving, paste, told, until_shown
from tests.faces.tui.scenes import NODES, SIZES, assert_harmless, channel, check, grid, opened
from wallet.faces.tui.sheets import review

BOB = NODES["bob"][2:].ljust(64, "0")
CAROL = NODES["carol"][2:].ljust(64, "0")


@pytest.fixture(autouse=True)
def ready(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    core.replies |= moving(core.replies)
    monkeypatch.setattr(review, "ARMED_AFTER", 0.02)


def channels(core: FakeCore, **changed: Any) -> None:
    """The first one, otherwise."""
    core.replies["listpeerchannels"]["channels"][0] |= changed  # type: ignore[index]


# --- together -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_together(core: FakeCore, size: str) -> None:
    async with opened(core, SIZES[size]) as pilot:
        await pilot.press("3", "c")
        await armed(pilot)
        await check(pilot, "close-review")
        await pilot.press("enter", "space", "enter", "e")
        await armed(pilot)
        assert acted(core) == []
        await pilot.press("c")
        await until_shown(pilot, "✓ The channel with bob is closing")
        await check(pilot, "close-done")
    # 0: never by force, however long the peer is away.
    assert core.asked("close") == [{"id": BOB, "unilateraltimeout": 0}]


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (61, 61, "one of you: a block decides"),
        (61, 60, "one of you: a block decides"),
        (61, 27, "you opened it, so you pay it"),
        (27, 61, "you opened it, so you pay it"),
    ],
)
async def test_together__who_pays_is_what_both_offer(
    core: FakeCore, ours: int, theirs: int, words: str
) -> None:
    """BOLT 9: option_simple_close is 60 or 61."""
    core.replies["getinfo"] |= {"our_features": {"init": f"{1 << ours:x}"}}  # type: ignore[operator]
    core.replies["listpeers"] = {"peers": [{"id": NODES["bob"], "features": f"{1 << theirs:x}"}]}
    async with opened(core) as pilot:
        await pilot.press("3", "c")
        await armed(pilot)
        assert words in grid(pilot)


async def test_together__payments_inside_end_first(core: FakeCore) -> None:
    channels(core, htlcs=[{"direction": "out", "amount_msat": 70_000_000}])
    core.replies["close"] = lambda _params: asyncio.sleep(60)
    async with opened(core) as pilot:
        await pilot.press("3", "c")
        await armed(pilot)
        assert "1 payment, 70,000 sat: they end first" in grid(pilot)
        await pilot.press("c", "escape", "q")
        await until_shown(pilot, "q again quits")
    assert len(core.asked("close")) == 1


async def test_offline__is_said_and_nothing_acts(core: FakeCore) -> None:
    core.replies["connect"] = Refusal(401, "127.0.0.1:9737: connection refused\x1b[2J")
    async with opened(core) as pilot:
        await pilot.press("3", "j", "c")
        await until_shown(pilot, "carol is offline")
        await pilot.press("c", "t")
        await until_shown(pilot, "✗ 127.0.0.1:9737")
        await check(pilot, "close-offline")
        assert acted(core) == []
        # It comes back: the letter is armed anew.
        [_, carol, *_] = core.replies["listpeerchannels"]["channels"]  # type: ignore[index]
        carol["peer_connected"] = True
        await core.tell("connect", id=NODES["carol"])
        await armed(pilot)
        await pilot.press("c")
        await until_shown(pilot, "✓ The channel with carol is closing")


async def test_refused_and_gone(core: FakeCore) -> None:
    core.replies["close"] = Refusal(-1, "the channel is frozen")
    async with opened(core) as pilot:
        await pilot.press("3", "c")
        await armed(pilot)
        await pilot.press("c")
        await until_shown(pilot, "Not closed. The channel is as it was.")
        await pilot.press("escape")
        core.replies["listpeerchannels"] = lambda params: (
            {"channels": []} if params else {"channels": [channel("bob", 1, 2)]}
        )
        await pilot.press("c")
        await until_shown(pilot, "not there any more")


async def test_closing_already__no_key_works(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3", "G", "c", "f")
        await until_shown(pilot, "! This channel is closing already")
        assert acted(core) == []


# --- alone ----------------------------------------------------------------------------------------


async def test_force__only_with_the_words(core: FakeCore) -> None:
    async with opened(core) as pilot:
        # From the list the key leads to the detail first.
        await pilot.press("3", "j", "X")
        await until_shown(pilot, "X force close")
        await pilot.press("X")
        await armed(pilot)
        await check(pilot, "force-review")
        for words in ("", "force clos", "x", "close", "FORCE  CLOSE"):
            await pilot.press("end", "ctrl+u", *words, "enter")
            await pilot.pause()
            assert acted(core) == []
        await pilot.press("end", "ctrl+u")
        await paste(pilot, "force close\r\n")
        await pilot.pause()
        assert acted(core) == []
        await pilot.press("enter")
        await until_shown(pilot, "✓ The channel with carol is being closed by force")
        await check(pilot, "force-done")
        await pilot.press("y")
        assert pilot.app.clipboard == TXID
    assert core.asked("close") == [{"id": CAROL, "unilateraltimeout": 1}]


async def test_force__not_armed_at_once(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "ARMED_AFTER", 60)
    async with opened(core, SIZES["120x40"]) as pilot:
        await pilot.press("3", "X")
        await until_shown(pilot, "Type force close above")
        await pilot.press(*"force close", "enter", "enter")
        await pilot.pause()
        assert acted(core) == []


async def test_force__from_an_offline_close(core: FakeCore) -> None:
    core.replies["close"] = lambda _params: asyncio.sleep(60)
    async with opened(core) as pilot:
        await pilot.press("3", "j", "c")
        await until_shown(pilot, "X: force close, alone")
        await pilot.press("X")
        await armed(pilot)
        await check(pilot, "force-review")
        await pilot.press(*"force close", "enter")
        await core.until_asked("close")
        await core.close()
        await until_shown(pilot, "It may be on its way")
        assert "Force closing the channel with carol" in told(pilot)


async def test_force__never_with_an_old_copy(core: FakeCore) -> None:
    channels(core, lost_state=True)
    async with opened(core) as pilot:
        await pilot.press("3", "enter", "X")
        await until_shown(pilot, "older than the peer's")
        await check(pilot, "force-old")
        await pilot.press(*"force close", "enter")
        await pilot.pause()
        assert acted(core) == []


# --- fees -----------------------------------------------------------------------------------------


async def test_fees(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3", "f")
        await until_shown(pilot, "What others pay you")
        await check(pilot, "fees-form")
        await pilot.press("end", "ctrl+u", *"1.5", "tab", "end", "ctrl+u", *"1,200", "enter")
        await armed(pilot)
        await check(pilot, "fees-review")
        await pilot.press("enter", "space")
        assert acted(core) == []
        await pilot.press("f")
        await until_shown(pilot, "✓ The channel with bob asks for 1.5 sat + 1,200 ppm")
    assert core.asked("setchannel") == [{"id": BOB, "feebase": 1_500, "feeppm": 1_200}]


UNFIT = [
    ("", "1", "The base fee is no figure"),
    ("1.2345", "1", "The base fee is no figure"),
    ("5000000", "1", "The base fee is no figure"),
    ("1", "1.5", "The share is no figure"),
    ("1", "9999999999", "The share is no figure"),
    ("1", "30000", "That is dear"),
]


async def test_fees__say_what_is_wrong(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3")
        for base, share, words in UNFIT:
            await pilot.press("f")
            await until_shown(pilot, "What others pay you")
            await pilot.press("end", "ctrl+u", *base, "tab", "end", "ctrl+u", *share, "enter")
            await until_shown(pilot, words)
            await pilot.press("escape")
            await pilot.pause()
        assert acted(core) == []


@pytest.mark.parametrize("evil", INJECTIONS[2::9], ids=range(len(INJECTIONS[2::9])))
async def test_injection__in_names_and_reasons(core: FakeCore, evil: str) -> None:
    core.replies |= {
        "close": Refusal(-1, evil),
        "connect": Refusal(-1, evil),
        "listnodes": lambda params: {"nodes": [{"nodeid": params["id"], "alias": evil}]},
    }
    channels(core, status=[evil], short_channel_id=evil)
    async with opened(core) as pilot:
        await pilot.press("3", "c")
        await armed(pilot)
        assert_harmless(grid(pilot))
        await pilot.press("c")
        await until_shown(pilot, "Not closed")
        assert_harmless(grid(pilot))
        await pilot.press("escape", "f", "enter")
        await armed(pilot)
        assert_harmless(grid(pilot))
        await pilot.press("escape", "j", "c")
        await until_shown(pilot, "is offline")
        await pilot.press("t")
        await until_shown(pilot, "✗ ")
        assert_harmless(grid(pilot))
