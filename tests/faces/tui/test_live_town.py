"""The control room of a real town by keystrokes: buy, be paid, open, break, mend, close, count."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.faces.tui.money import armed, learnt, paste
from tests.faces.tui.scenes import grid
from tests.support.towns import a_town, ask, ask_town
from wallet.faces.tui.app import Leyden

Town = dict[str, Any]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with a_town(tmp_path_factory.mktemp("town")) as described:
        yield described


async def _shown(pilot: Pilot[None], words: str) -> str:
    for _ in range(1_500):
        if words in (shown := grid(pilot)):
            return shown
        await pilot.pause(0.02)
    raise AssertionError(f"waited for {words!r}; the screen is\n{grid(pilot)}")


async def _gone(pilot: Pilot[None], words: str) -> None:
    for _ in range(1_500):
        if words not in grid(pilot):
            return
        await pilot.pause(0.02)
    raise AssertionError(f"still there: {words!r}; the screen is\n{grid(pilot)}")


async def _menu(pilot: Pilot[None], *keys_and_words: str) -> None:
    """A key, then words that must stand there before the next key is pressed."""
    pairs = zip(keys_and_words[::2], keys_and_words[1::2], strict=True)
    for key, words in pairs:
        await pilot.press(key)
        await _shown(pilot, words)


async def _buy(pilot: Pilot[None], seller: str) -> None:
    await _menu(pilot, "7", "What moves", "i", "Buy something", seller, "Press p to pay 2,100 sat")
    await pilot.pause(0.5)
    await pilot.press("p")


async def test_a_day_in_town(town: Town) -> None:
    you = town["nodes"]["you"]
    app = Leyden(Path(you["rpc-file"]), town=Path(town["town-rpc"]))
    async with app.run_test(size=(120, 40)) as pilot:
        await _shown(pilot, "Can send now")

        # Buy from dave, three hops away, and see each hop.
        await _buy(pilot, "3")
        await _shown(pilot, "✓ Paid 2,100 sat to dave")
        await pilot.press("escape")
        # By bob or by the lsp: both ways cost the same.
        for hop in ("alice ▸ ", "dave  pays", "dave  proof", "alice ◂ "):
            await _shown(pilot, hop)

        # Be paid by carol.
        await pilot.press("r", *"5,000", "tab", *"flowers", "enter")
        await _shown(pilot, "waiting")
        bolt11 = ask(town, "you", "listinvoices")["invoices"][-1]["bolt11"]
        ask(town, "carol", "pay", bolt11=bolt11)
        await _shown(pilot, "✓ Received 5,000 sat")
        await pilot.press("escape")

        # Coins from the faucet, and a channel to carol from them.
        await _menu(pilot, "7", "What moves", "f", "1,000,000 sat from the faucet")
        carol = town["nodes"]["carol"]
        await pilot.press("3", "o")
        await pilot.pause()
        await learnt(pilot)
        await paste(pilot, f"{carol['id']}@{carol['listen']}")
        await pilot.press("tab", *"300,000", "enter")
        await armed(pilot)
        await pilot.press("o")
        await _shown(pilot, "waits for")
        await pilot.press("escape")
        await _menu(pilot, "7", "What moves", "M", "Mine", "1", "every node has read it")
        await _shown(pilot, "also  alice 100 % carol")
        await pilot.press("3")
        shown = await _shown(pilot, "carol")
        assert "300,000" in shown

        # Dave's machine dies: the payment comes back, and it is said where the money is.
        asked = {"amount_msat": 1_000_000, "label": "book", "description": "a book"}
        book = ask(town, "dave", "invoice", **asked)["bolt11"]
        await _menu(
            pilot, "7", "What moves", "b", "Break, or mend", "4", "as if its power", "k", "✗ dave"
        )
        await _shown(pilot, "dave is down")
        await pilot.press("s")
        await pilot.pause()
        await paste(pilot, book)
        await _menu(pilot, "enter", "Press p to pay 1,000 sat")
        await pilot.pause(0.5)
        await _menu(pilot, "p", "Your 1,000 sat never left you.")
        await _menu(pilot, "escape", "What moves", "b", "down", "4", "dave runs")
        await _buy(pilot, "3")
        await _shown(pilot, "✓ Paid 2,100 sat to dave")
        await pilot.press("escape")

        # A story, and whose every coin is.
        await _menu(pilot, "7", "What moves", "S", "A story", "2", "Every step held.")
        await _menu(pilot, "c", "every one of them somebody's")

        # The channel to carol is closed together.
        number = next(n for n, c in enumerate(app.state.facts.channels) if c.peer_id == carol["id"])
        await pilot.press("3", *["j"] * number, "c")
        await armed(pilot)
        await pilot.press("c")
        await _shown(pilot, "is closing")
        await pilot.press("escape")
        await _menu(pilot, "7", "What moves", "m", "every node has read it")
        await _shown(pilot, "alice and carol close")
        await _gone(pilot, "also  ")

        # Coins to an address of bob's, and again whose every coin is.
        address = ask(town, "bob", "newaddr")["bech32"]
        await pilot.press("5", "w")
        await pilot.pause()
        await learnt(pilot)
        await paste(pilot, f"bitcoin:{address}?amount=0.0005")
        await pilot.press("enter")
        await armed(pilot)
        await _menu(pilot, "w", "✓ Sent 50,000 sat", "escape", "On-chain")
        await _menu(pilot, "7", "What moves", "m", "every node has read it")
        await _menu(pilot, "c", "every one of them somebody's")
    had = [o for o in ask(town, "bob", "listfunds")["outputs"] if o.get("address") == address]
    assert [(o["amount_msat"], o["status"]) for o in had] == [(50_000_000, "confirmed")]
    assert ask_town(town, "money")["ok"] is True
    book_of_dave = ask(town, "dave", "listinvoices", label="book")["invoices"]
    assert [i["status"] for i in book_of_dave] == ["unpaid"]
    closing = ask(town, "you", "listpeerchannels", id=carol["id"])["channels"]
    assert [c["state"] for c in closing] == ["ONCHAIN"]
    paid = [p for p in ask(town, "you", "listpays")["pays"] if p["status"] == "complete"]
    assert len(paid) >= 2
