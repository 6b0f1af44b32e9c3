"""The app against daemons: an invoice paid and one received by keystrokes, and a real terminal."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from tests.faces.tui.scenes import grid
from tests.support.screen import Terminal
from tests.support.two import Two, two_daemons
from wallet.faces.tui.app import Leyden


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("tui"), push_msat=300_000_000) as pair:
        yield pair


async def _until(pilot: Pilot[None], words: str) -> None:
    for _ in range(600):
        if words in grid(pilot):
            return
        await pilot.pause(0.02)
    raise AssertionError(f"waited for {words!r}; the screen is\n{grid(pilot)}")


async def test_pays_and_is_paid_by_keystrokes(two: Two) -> None:
    bolt11 = two.invoice("coffee", 2_103_000)["bolt11"]
    app = Leyden(two.alice.socket)
    async with app.run_test(size=(80, 24)) as pilot:
        await _until(pilot, "688,598 sat")
        await pilot.press("s")
        await pilot.pause()
        pilot.app.screen.focused.post_message(events.Paste(bolt11))  # type: ignore[union-attr]
        await pilot.pause()
        await pilot.press("enter")
        await _until(pilot, "Press p to pay 2,103 sat")
        await pilot.pause(0.5)
        await pilot.press("p")
        await _until(pilot, "✓ Paid 2,103 sat")
        await pilot.press("escape")
        await _until(pilot, "-2,103  coffee")
        await pilot.press("r", *"5,000", "tab", *"flowers", "enter")
        await _until(pilot, "waiting")
        made = two.alice.call("listinvoices")["invoices"][-1]
        two.bob.call("pay", bolt11=made["bolt11"])
        await _until(pilot, "✓ Received 5,000 sat")
        await pilot.press("escape", "2")
        await _until(pilot, "+5,000  flowers")
        await pilot.press("3", "enter")
        await _until(pilot, "Channel ready for use.")
        await pilot.press("C")
        await _until(pilot, "judged")
        await pilot.press("tab", "tab", "tab")
        await _until(pilot, "> Closed by their cheat, #")
        assert "the cheat's balance" in grid(pilot)
    paid = two.bob.call("listinvoices", label="coffee")["invoices"][0]
    assert paid["status"] == "paid"
    assert two.alice.call("listinvoices")["invoices"][-1]["status"] == "paid"


@pytest.mark.parametrize("words", [["tui"], []], ids=["tui", "alone"])
def test_terminal__opens_draws_and_quits(two: Two, words: list[str]) -> None:
    terminal = Terminal(["--rpc-file", str(two.alice.socket), *words])
    try:
        terminal.until("Can send now")
        terminal.until("Recent")
        terminal.type("3")
        terminal.until("[3 Channels]")
        terminal.type("q")
        assert terminal.ended() == 0
    finally:
        terminal.kill()


def test_terminal__an_invoice_is_paid_by_real_keys(two: Two) -> None:
    bolt11 = two.invoice("real keys", 1_000_000)["bolt11"]
    terminal = Terminal(["--rpc-file", str(two.alice.socket), "tui"])
    try:
        terminal.until("Recent")
        terminal.type("s")
        terminal.until("Paste an invoice")
        # As a terminal without bracketed paste would send it: with its line end, and a `p`.
        terminal.type(f"{bolt11}\rp\rp")
        time.sleep(1)
        assert two.bob.call("listinvoices", label="real keys")["invoices"][0]["status"] == "unpaid"
        terminal.type("\x1b")
        terminal.until("Recent")
        terminal.type("s")
        terminal.until("Paste an invoice")
        terminal.type(f"{bolt11}\r")
        terminal.until_key("p to pay 1,000 sat")
        terminal.type("p")
        terminal.until("✓ Paid 1,000 sat")
        terminal.type("\x1b")
        terminal.until("real keys")
        terminal.type("q")
        assert terminal.ended() == 0
    finally:
        terminal.kill()
    assert two.bob.call("listinvoices", label="real keys")["invoices"][0]["status"] == "paid"


def test_not_a_terminal__is_wrong_usage(tmp_path: Path, capsys: Any) -> None:
    from wallet.faces.cli.main import run

    assert run(["--rpc-file", str(tmp_path / "rpc"), "tui"]) == 3
    assert "needs a terminal" in capsys.readouterr().err
