"""Receive: the form, a code that a camera can read, and word that it was paid."""

from typing import Any

import pytest
import segno
import zxingcpp
from textual.pilot import Pilot

from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import ADDRESS
from tests.faces.tui.payment_scene import bolt11, invoiced
from tests.faces.tui.scenes import SIZES, grid, opened, strips, until
from tests.tools.cells import of_strips
from tests.tools.painter import paint
from wallet.faces.tui import qr


@pytest.fixture(autouse=True)
def receiving(core: FakeCore) -> None:
    core.replies |= {"invoice": invoiced(), "newaddr": {"bech32": ADDRESS}}


def modules_of(text: str) -> list[list[bool]]:
    made = segno.make(text.upper(), error="l", boost_error=False, micro=False)
    return [[bool(m) for m in line] for line in made.matrix_iter(border=2)]


def seen(lines: list[str], high: int) -> list[list[bool]]:
    """Modules read back from cells, as an eye sees them."""
    wide = 1 if high == 2 else 2
    rows: list[list[bool]] = []
    for line in lines:
        bits = [_bits(char, high) for char in line]
        for y in range(high):
            rows.append([cell[y * wide + x] for cell in bits for x in range(wide)])
    return rows


def _bits(char: str, high: int) -> list[bool]:
    if high == 2:
        return {" ": [False, False], "▀": [True, False], "▄": [False, True], "█": [True, True]}[
            char
        ]
    known = {" ": 0, "▌": 21, "▐": 42, "█": 63}
    number = known.get(char)
    if number is None:
        number = ord(char) - 0x1FB00 + 1
        number += number >= 21
        number += number >= 42
    return [bool(number >> place & 1) for place in range(6)]


@pytest.mark.parametrize("text", [bolt11(), ADDRESS, "A"])
def test_qr__cells_hold_every_module(text: str) -> None:
    wanted = modules_of(text)
    assert qr.modules(text) == wanted
    for cells, high in ((qr.half_blocks(wanted), 2), (qr.sextants(wanted), 3)):
        read = seen(cells, high)
        assert [line[: len(wanted)] for line in read[: len(wanted)]] == wanted


async def _created(pilot: Any) -> None:
    await pilot.press("r")
    await pilot.pause()
    await pilot.press(*"250,000", "tab", *"Desk lamp", "enter")
    await until(pilot, lambda: "waiting" in grid(pilot), "the code")


def _scanned(pilot: Pilot[None]) -> list[str]:
    """What a camera reads from the screen: Unicode's sextants tell it from half blocks."""
    theme = pilot.app.current_theme
    [picture] = paint([of_strips(strips(pilot), theme)], theme)
    return [code.text for code in zxingcpp.read_barcodes(picture.convert("RGBA"))]


def _is_compact(pilot: Pilot[None]) -> bool:
    return any("\U0001fb00" <= char <= "\U0001fb3b" for char in grid(pilot))


@pytest.mark.parametrize(
    ("size", "hints", "compact"),
    [
        ("120x40", 0, False),
        ("120x40", 1, False),
        ("120x40", 4, False),
        ("120x40", 5, True),
        ("80x24", 0, True),
        ("80x24", 1, True),
        ("80x24", 2, True),
    ],
)
async def test_code__is_read_from_the_screen(
    core: FakeCore, size: str, hints: int, compact: bool
) -> None:
    core.replies["invoice"] = invoiced(bolt11=bolt11(hints))
    async with opened(core, SIZES[size]) as pilot:
        await _created(pilot)
        assert _scanned(pilot) == [bolt11(hints).upper()]
        assert _is_compact(pilot) == compact


@pytest.mark.parametrize("size", SIZES)
async def test_code__of_an_address_in_both_sizes(core: FakeCore, size: str) -> None:
    async with opened(core, SIZES[size]) as pilot:
        await _created(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "On-chain address" in grid(pilot), "the address")
        await pilot.pause()
        seen = set()
        for _ in range(2):
            assert _scanned(pilot) == [ADDRESS.upper()]
            seen.add(_is_compact(pilot))
            await pilot.press("z")
            await pilot.pause()
        assert seen == {False, True}


async def test_code__too_large_for_the_window_is_said(core: FakeCore) -> None:
    core.replies["invoice"] = invoiced(bolt11=bolt11(3))
    async with opened(core) as pilot:
        await _created(pilot)
        assert "! The code needs a larger window" in grid(pilot)
        assert _scanned(pilot) == []
        await pilot.resize_terminal(80, 26)
        await until(pilot, lambda: _scanned(pilot) == [bolt11(3).upper()], "the code")
        assert "larger window" not in grid(pilot)


async def test_receive__paid(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await _created(pilot)
        [params] = core.asked("invoice")
        assert (params["amount_msat"], params["description"]) == (250_000_000, "Desk lamp")
        await core.tell("invoice_payment", label=params["label"], amount_msat=250_000_000)
        await until(pilot, lambda: "✓ Received 250,000 sat" in grid(pilot), "the money")


async def test_receive__an_address_on_the_next_tab(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await _created(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "On-chain address" in grid(pilot), "the address")
        await pilot.press("tab", "tab", "tab")
        await pilot.pause()
        assert len(core.asked("newaddr")) == 1


async def test_receive__without_an_amount_and_anew(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("r", "enter")
        await until(pilot, lambda: "any amount" in grid(pilot), "the code")
        await pilot.press("n")
        await pilot.pause()
        await pilot.press(*"5", "enter")
        await until(pilot, lambda: "5 sat" in grid(pilot), "the second code")
        first, second = core.asked("invoice")
        assert (first["amount_msat"], second["amount_msat"]) == ("any", 5_000)
        assert first["label"] != second["label"]


async def test_receive__refused_and_mistyped(core: FakeCore) -> None:
    core.replies["invoice"] = Refusal(-32003, "the node is not ready\x1b[2J")
    async with opened(core) as pilot:
        await pilot.press("r", *"1.5", "enter")
        await until(pilot, lambda: "That is no amount" in grid(pilot), "the sentence")
        await pilot.press("backspace", "backspace", "enter")
        await until(pilot, lambda: "the node is not ready" in grid(pilot), "the reason")
        assert "\x1b" not in grid(pilot)
