"""Send: from paste to proof, and all the ways in which nothing must be paid."""

import asyncio
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.payment_scene import HASH, INVOICE, answer, decoded
from tests.faces.tui.scenes import (
    NODES,
    assert_harmless,
    grid,
    opened,
    paid,
    until,
)
from wallet.faces.tui.sheets import send


@pytest.fixture(autouse=True)
def sending(core: FakeCore) -> None:
    core.replies |= {"decode": decoded(), "pay": answer(), "listpays": {"pays": []}}


async def review(pilot: Pilot[None], text: str = INVOICE) -> None:
    """Paste, enter, and wait until `p` is armed."""
    await pilot.press("s")
    await pilot.pause()
    pilot.app.screen.focused.post_message(events.Paste(text))  # type: ignore[union-attr]
    await pilot.pause()
    await pilot.press("enter")
    await until(pilot, lambda: "Send · review" in grid(pilot), "the review")
    await pilot.pause(0.5)


async def test_review_and_done(core: FakeCore) -> None:
    held = asyncio.Event()

    async def pay(_params: dict[str, Any]) -> Any:
        await held.wait()
        return answer()

    core.replies["pay"] = pay
    async with opened(core) as pilot:
        await review(pilot)
        await pilot.press("enter", "space", "enter")
        assert core.asked("pay") == []
        await pilot.press("p")
        await core.until_asked("pay")
        await until(pilot, lambda: "Paying 150,000 sat to dave" in grid(pilot), "paying")
        held.set()
        await until(pilot, lambda: "Proof of payment" in grid(pilot), "the proof")
    [params] = core.asked("pay")
    assert params == {"invstring": INVOICE, "maxfee": 750_000, "retry_for": 60}


async def test_pay__not_armed_at_once(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("s", *INVOICE, "enter", "p", "p", "enter", "p")
        await pilot.pause(0.2)
        assert core.asked("pay") == []
        assert "Send · review" in grid(pilot)


async def test_pay__a_second_review_is_armed_by_its_own_time(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(core) as pilot:
        monkeypatch.setattr(send, "ARMED_AFTER", 0.3)
        await pilot.press("s", *INVOICE, "enter")
        await until(pilot, lambda: "Send · review" in grid(pilot), "the review")
        monkeypatch.setattr(send, "ARMED_AFTER", 60)
        await pilot.press("e", "enter")
        await pilot.pause(0.4)
        await pilot.press("p")
        await pilot.pause()
        assert "Send · review" in grid(pilot)
        assert core.asked("pay") == []


async def test_paste__a_line_end_pays_nothing(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await review(pilot, f"  {INVOICE[:10]} \n{INVOICE[10:]}\r\n\np\n")
        assert core.asked("pay") == []
        assert core.asked("decode")[-1]["string"].startswith(INVOICE)


async def test_pay__twice_is_once(core: FakeCore) -> None:
    core.replies["pay"] = lambda _params: asyncio.sleep(60)
    async with opened(core) as pilot:
        await review(pilot)
        await pilot.press("p", "p", "p")
        await pilot.pause()
        await pilot.press("escape")
        await review(pilot)
        await pilot.press("p")
        await pilot.pause()
        assert len(core.asked("pay")) == 1
        assert "Paying 150,000 sat to dave" in grid(pilot)


async def test_pay__goes_on_when_the_sheet_is_closed(core: FakeCore) -> None:
    held = asyncio.Event()

    async def pay(_params: dict[str, Any]) -> Any:
        await held.wait()
        return answer()

    core.replies["pay"] = pay
    async with opened(core) as pilot:
        await review(pilot)
        await pilot.press("p")
        await core.until_asked("pay")
        await pilot.press("escape", "q")
        await until(pilot, lambda: "q again quits" in grid(pilot), "the question")
        held.set()
        await until(pilot, lambda: "✓ Paid 150,000 sat to dave" in grid(pilot), "the notice")


async def test_failed__money_first_then_why(core: FakeCore) -> None:
    core.replies["pay"] = Refusal(205, "carol has too little on her side\x1b[2J towards dave.")
    async with opened(core) as pilot:
        await review(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "Your 150,000 sat never left you" in grid(pilot), "the failure")
        assert "carol has too little on her side\ufffd[2J towards dave." in grid(pilot)


@pytest.mark.parametrize(
    "pay", [Refusal(200, "still on its way"), Refusal(-1, "the desk fell over")], ids=["200", "-1"]
)
async def test_open_outcome__is_on_its_way_until_the_history_says(
    core: FakeCore, pay: Refusal
) -> None:
    core.replies |= {"pay": pay, "listpays": {"pays": [{"status": "pending"}]}}
    async with opened(core) as pilot:
        await review(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "Do not pay this invoice" in grid(pilot), "the warning")
        assert "not paid" not in grid(pilot).lower()
        core.replies["history"] = {"history": [paid("20 12:04", 150_000, "", payment_hash=HASH)]}
        await core.tell("payment", payment_hash=HASH)
        await until(pilot, lambda: "✓ Paid 150,000 sat to dave" in grid(pilot), "the end")


async def test_lost__the_answer_never_came(core: FakeCore) -> None:
    core.replies["pay"] = lambda _params: asyncio.sleep(60)
    async with opened(core) as pilot:
        await review(pilot)
        await pilot.press("p")
        await core.until_asked("pay")
        await core.close()
        await until(pilot, lambda: "Still on its way" in grid(pilot), "the honest word")
        await core.start()
        core.replies["history"] = {
            "history": [paid("20 12:04", 150_000, "", payment_hash=HASH, status="failed")]
        }
        await until(pilot, lambda: "never left" in grid(pilot), "what the history says")


async def test_large__its_amount_is_typed(core: FakeCore) -> None:
    core.replies["decode"] = decoded(amount_msat=300_000_000)
    async with opened(core) as pilot:
        await review(pilot)
        assert "A large part of what you can send: type 300,000 above" in grid(pilot)
        await pilot.press("p")
        await pilot.pause()
        await pilot.press(*"30000", "p")
        await pilot.pause()
        assert core.asked("pay") == []
        await pilot.press("0", "p")
        await core.until_asked("pay")


async def test_amount__is_asked_when_the_invoice_has_none(core: FakeCore) -> None:
    core.replies["decode"] = decoded(amount_msat=None)
    async with opened(core) as pilot:
        await pilot.press("s", *INVOICE, "enter")
        await until(pilot, lambda: "Send · amount" in grid(pilot), "the question")
        await pilot.press(*"12,000", "enter")
        await pilot.pause(0.5)
        assert "pay 12,000 sat" in grid(pilot)
        await pilot.press("l", "p")
        await core.until_asked("pay")
    [params] = core.asked("pay")
    assert (params["amount_msat"], params["maxfee"]) == (12_000_000, 120_000)


UNPAYABLE: list[tuple[Any, str]] = [
    (decoded(currency="bc"), "another network"),
    (decoded(expiry=60), "The invoice has ended"),
    (decoded(type="bolt12 offer"), "cannot be paid here"),
    (decoded(valid=False), "cannot be paid here"),
    (Refusal(-32602, "Unparsable string: no separator"), "Nothing that can be paid"),
]


@pytest.mark.parametrize(("reply", "words"), UNPAYABLE, ids=[w for _, w in UNPAYABLE])
async def test_unpayable__is_said_at_once(core: FakeCore, reply: Any, words: str) -> None:
    core.replies["decode"] = reply
    async with opened(core) as pilot:
        await pilot.press("s", *"lnbc1", "enter")
        await until(pilot, lambda: words in grid(pilot), words)
        await pilot.press("p")
        assert core.asked("pay") == []


async def test_hidden_amounts__are_shown_where_one_agrees(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("full_stop")
        await review(pilot)
        assert "pay 150,000 sat" in grid(pilot)


async def test_paid_before__is_said_in_the_review(core: FakeCore) -> None:
    core.replies["history"] = {"history": [paid("20 12:01", 150_000, "", payment_hash=HASH)]}
    async with opened(core) as pilot:
        await review(pilot)
        assert "Already paid. It is not sent twice." in grid(pilot)


@pytest.mark.parametrize("evil", INJECTIONS[::6], ids=range(len(INJECTIONS[::6])))
async def test_injection__in_every_step(core: FakeCore, evil: str) -> None:
    core.replies |= {
        "decode": decoded(description=evil),
        "pay": Refusal(205, evil),
        "listnodes": {"nodes": [{"nodeid": NODES["dave"], "alias": evil}]},
    }
    async with opened(core) as pilot:
        await pilot.press("s")
        await pilot.pause()
        pilot.app.screen.focused.post_message(events.Paste(evil))  # type: ignore[union-attr]
        await pilot.pause()
        assert_harmless(grid(pilot))
        await pilot.press("enter")
        await pilot.pause(0.5)
        assert_harmless(grid(pilot))
        await pilot.press("p")
        await pilot.pause(0.1)
        assert_harmless(grid(pilot))
