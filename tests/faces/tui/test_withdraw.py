"""Withdraw: an address or a link, an amount, a look, and `w`."""

import asyncio

import pytest
from textual.pilot import Pilot

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import ADDRESS, TXID, acted, armed, learnt, moving, paste, until_shown
from tests.faces.tui.scenes import SIZES, assert_harmless, channel, check, grid, opened
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.sheets import review
from wallet.faces.tui.sheets.withdraw import Asked, Withdraw, grouped, read_link

TAPROOT = "bcrt1p" + "qz9x8gf2tv" * 5 + "w0s3jn54"


@pytest.fixture(autouse=True)
def ready(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    core.replies |= moving(core.replies)
    monkeypatch.setattr(review, "ARMED_AFTER", 0.02)


async def form(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, Leyden)
    await pilot.app.push_screen(Withdraw(pilot.app.state))
    await learnt(pilot)


async def reviewed(pilot: Pilot[None], to: str = ADDRESS, amount: str = "300,000") -> None:
    await form(pilot)
    await paste(pilot, to)
    await pilot.press("tab", *amount, "enter")
    await armed(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_link_review_and_transaction(core: FakeCore, size: str) -> None:
    async with opened(core, SIZES[size]) as pilot:
        await form(pilot)
        await check(pilot, "withdraw-form")
        await paste(pilot, f"bitcoin:{ADDRESS.upper()}?amount=0.003&label=a%20lamp%1b[2J\r\n")
        assert acted(core) == []
        await pilot.press("enter")
        await armed(pilot)
        await check(pilot, "withdraw-review")
        await pilot.press("enter", "space", "enter")
        assert acted(core) == []
        await pilot.press("w")
        await until_shown(pilot, "✓ Sent 300,000 sat")
        await check(pilot, "withdraw-done")
        await pilot.press("y")
        await until_shown(pilot, "copied the transaction id, 64 characters")
        assert pilot.app.clipboard == TXID
    [params] = core.asked("withdraw")
    wanted = {"satoshi": 300_000, "feerate": "1000perkw"}
    assert params == {"destination": ADDRESS.upper(), **wanted}


async def test_everything__its_amount_is_typed(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await form(pilot)
        await paste(pilot, TAPROOT)
        await pilot.press("tab", "a", "enter")
        await armed(pilot)
        await check(pilot, "withdraw-all")
        await pilot.press("w", *"2424069", "w")
        await until_shown(pilot, "Type 2,424,070 first")
        assert acted(core) == []
        await pilot.press("backspace", "backspace", *"70", "w")
        await until_shown(pilot, "✓ Sent")
    assert core.asked("withdraw")[0]["satoshi"] == "all"


async def test_everything__without_a_channel_nothing_stays(core: FakeCore) -> None:
    core.replies["listpeerchannels"] = {"channels": [channel("erin", 5, 9, state="ONCHAIN")]}
    async with opened(core) as pilot:
        await form(pilot)
        await paste(pilot, ADDRESS)
        await pilot.press("tab", "a", "enter")
        await armed(pilot)
        assert "about 2,499,070 sat" in grid(pilot)
        assert "Reserve" not in grid(pilot)


@pytest.mark.parametrize(
    ("amount", "words"),
    [("700000", "A large part of your coins"), ("1500", "The fee may be over half")],
)
async def test_unusual__its_amount_is_typed(core: FakeCore, amount: str, words: str) -> None:
    async with opened(core) as pilot:
        await reviewed(pilot, amount=amount)
        await until_shown(pilot, words)
        await pilot.press("w")
        await pilot.pause()
        assert acted(core) == []


UNFIT = [
    (("bc1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x", "1000"), "of another network"),
    (("hello there!", "1000"), "That is no address"),
    ((f"bitcoin:{ADDRESS}?amount=0.003", "1000"), "The link asks for 300,000 sat"),
    ((ADDRESS, "9999999"), "There is not so much"),
    ((ADDRESS, ""), "The amount is no figure"),
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


async def test_refused__goes_back_with_what_was_typed(core: FakeCore) -> None:
    core.replies["withdraw"] = Refusal(-32602, "destination: the checksum does not fit")
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("w")
        await until_shown(pilot, "Not sent. Your coins are where they were.")
        await check(pilot, "withdraw-refused")
        await pilot.press("e")
        await until_shown(pilot, "300,000")
        core.replies["withdraw"] = {"txid": TXID}
        await pilot.press("enter")
        await armed(pilot)
        await pilot.press("w")
        await until_shown(pilot, "✓ Sent")


async def test_lost__is_on_its_way(core: FakeCore) -> None:
    core.replies["withdraw"] = lambda _params: asyncio.sleep(60)
    async with opened(core) as pilot:
        await reviewed(pilot)
        await pilot.press("w")
        await core.until_asked("withdraw")
        await core.close()
        await until_shown(pilot, "Do not do it a second time")
        await check(pilot, "withdraw-lost")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ADDRESS, Asked(ADDRESS)),
        (f"BITCOIN:{ADDRESS}", Asked(ADDRESS)),
        (f"bitcoin:{ADDRESS}?amount=1.5&message=tea", Asked(ADDRESS, 150_000_000, "tea")),
        (f"bitcoin:{ADDRESS}?amount=1,5", "The amount in this link is no figure."),
        (f"bitcoin:{ADDRESS}?amount=1&amount=2", "amount stands twice in this link."),
        (f"bitcoin:{ADDRESS}?req-x=1", "This link requires req-x, which is not known here."),
        ("bitcoin:?lightning=lnbcrt1", "This link has no address; an invoice is paid with s."),
        ("lnbcrt1500u1p\x1b", "That is no address."),
    ],
)
def test_link(text: str, found: Asked | str) -> None:
    assert read_link(text) == found


@pytest.mark.parametrize("address", [ADDRESS, TAPROOT])
def test_grouped__nothing_is_lost(address: str) -> None:
    assert "".join(grouped(address)).replace(" ", "") == address
    assert all(len(part) <= 39 for part in grouped(address))


@pytest.mark.parametrize("evil", INJECTIONS[1::9], ids=range(len(INJECTIONS[1::9])))
async def test_injection__in_every_step(core: FakeCore, evil: str) -> None:
    core.replies["withdraw"] = Refusal(-1, evil)
    async with opened(core) as pilot:
        await form(pilot)
        await paste(pilot, evil)
        await pilot.press("enter")
        await pilot.pause()
        assert_harmless(grid(pilot))
        await pilot.press("escape")
        await reviewed(pilot)
        await pilot.press("w")
        await until_shown(pilot, "Not sent")
        assert_harmless(grid(pilot))
