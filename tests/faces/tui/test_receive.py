"""Receive: the form, a code that a camera can read, and word that it was paid."""

from typing import Any

import pytest
import segno

from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.scenes import NOW, SIZES, check, grid, opened, until
from wallet.faces.tui import qr

BOLT11 = "lnbcrt2500u1p" + "qpzry9x8gf2tvdw0s3jn54khce6mua7l" * 8 + "qpzry9x8gf2"
ADDRESS = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"


@pytest.fixture(autouse=True)
def receiving(core: FakeCore) -> None:
    core.replies["invoice"] = {
        "bolt11": BOLT11,
        "payment_hash": "00" * 32,
        "expires_at": int(NOW.timestamp()) + 3_552,
    }
    core.replies["newaddr"] = {"bech32": ADDRESS}


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


@pytest.mark.parametrize("text", [BOLT11, ADDRESS, "A"])
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


@pytest.mark.parametrize("size", SIZES)
async def test_receive__form_code_and_paid(core: FakeCore, size: str) -> None:
    async with opened(core, SIZES[size]) as pilot:
        await pilot.press("r")
        await pilot.pause()
        await check(pilot, "receive-form")
        await pilot.press("escape")
        await _created(pilot)
        await check(pilot, "receive-code")
        lines = [line.split("│")[1][2:] for line in grid(pilot).splitlines()[1:-2]]
        wanted = modules_of(BOLT11)
        high = 2 if size == "120x40" else 3
        across = len(wanted) if high == 2 else (len(wanted) + 1) // 2
        read = seen(
            [line.ljust(across)[:across] for line in lines[: -(-len(wanted) // high)]], high
        )
        assert [line[: len(wanted)] for line in read[: len(wanted)]] == wanted
        [params] = core.asked("invoice")
        assert (params["amount_msat"], params["description"]) == (250_000_000, "Desk lamp")
        await core.tell("invoice_payment", label=params["label"], amount_msat=250_000_000)
        await until(pilot, lambda: "✓ Received 250,000 sat" in grid(pilot), "the money")
        await check(pilot, "receive-paid")


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
