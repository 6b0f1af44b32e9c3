"""`/` filters a list: what can be typed, what the node is asked, how it is dropped."""

from typing import Any

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import (
    HISTORY,
    NODES,
    NOW,
    SIZES,
    assert_harmless,
    at,
    check,
    grid,
    opened,
    paid,
    past,
    settled,
    until,
)
from wallet.faces.tui import facts
from wallet.faces.tui.grammar import IS, parse, words_fit

NAMES = {node_id: name for name, node_id in NODES.items()}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("coffee", ["Coffee at Bob's"]),
        ("COFFEE bob", ["Coffee at Bob's"]),
        (f"{at('20 12:03'):064x}"[-8:], ["Coffee at Bob's"]),
        ("7c1e7c1e", [""]),
        (">100k", ["", "", "from carol", "", ""]),
        (">=250k <1m", [""]),
        (">2.5m", []),
        ("<3,000", ["Coffee at Bob's"]),
        ("fee>0.1%", ["Coffee at Bob's"]),
        ("fee>=600", [""]),
        ("to:dave is:sent", ["Coffee at Bob's", "", "donation", "podcast"]),
        ("to:02f1 <6k", ["Coffee at Bob's", "podcast"]),
        ("to:bob", [""]),
        ("is:failed", ["donation"]),
        ("is:paid !podcast", ["Coffee at Bob's"]),
        ("is:chain", ["", "", ""]),
        ("since:1d is:received", ["desk lamp"]),
        ("until:2026-11-17", ["from carol", "", ""]),
        ("!is:sent !is:chain", ["desk lamp", "from carol"]),
        ("open bob", [""]),
        ("no-such", []),
    ],
)
def test_grammar__what_it_finds(typed: str, found: list[str]) -> None:
    query = parse(typed, NOW, NAMES)
    assert query.problem == ""
    given = past(HISTORY)({"limit": 200, "filter": query.asked})
    items = facts.items(given)[0]
    assert [i.description for i in items if query.fits(i, NAMES)] == found


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("coffee", {"text": "coffee"}),
        ("dave", {}),  # a name, of which the node's history knows nothing
        ("deposit", {}),  # our word, not the node's
        ("!coffee >5k", {}),
        (
            "is:paid since:7d",
            {"status": ["complete"], "kind": ["payment"], "since": at("13 12:04") + 31},
        ),
    ],
)
def test_grammar__what_the_node_is_asked(typed: str, asked: dict[str, Any]) -> None:
    assert parse(typed, NOW, NAMES).asked == asked


@pytest.mark.parametrize("typed", ["is:lost", "since:soon", "since:2026-13-01", "until:", ">5%"])
def test_grammar__what_is_not_understood_is_told(typed: str) -> None:
    query = parse(f"coffee {typed}", NOW, NAMES)
    assert query.problem
    assert query.asked == {"text": "coffee"}


def test_grammar__its_words_are_the_nodes() -> None:
    from wallet.faces.rpc.history_filter import history_filter

    for asked in IS.values():
        history_filter(asked)


def test_grammar__nothing_that_is_typed_breaks_it() -> None:
    item = facts.item(HISTORY[0])
    for typed in (*INJECTIONS, "!", ">", "fee>", "since:9999w", ">" + "9" * 400, "to:", "is:"):
        parse(typed, NOW, NAMES).fits(item, NAMES)


def test_words_fit() -> None:
    assert words_fit("bob normal", "Bob", "✓ Normal")
    assert not words_fit("bob !normal", "Bob", "✓ Normal")
    assert words_fit("", "anything")


# --- on the screen ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_activity__is_filtered_while_one_types(core: FakeCore, size: str) -> None:
    async with opened(core, SIZES[size]) as pilot:
        await pilot.press("2", "slash", *"to:dave <6k")
        await until(pilot, lambda: "1-2 of 2" in grid(pilot), "what fits")
        await check(pilot, "activity-finding")
        await pilot.press("enter")
        await pilot.pause()
        await check(pilot, "activity-found")
        await pilot.press("j", "enter")
        await pilot.pause()
        assert "podcast" in grid(pilot)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "of 9" in grid(pilot), "everything")


async def test_activity__what_is_found_stays_fresh(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("2", "slash", *"is:paid", "enter")
        await until(pilot, lambda: "2 found" in grid(pilot), "what fits")
        core.replies["history"] = past([paid("20 12:04", 9, "new"), *HISTORY])
        await core.tell("payment", payment_hash="00")
        await until(pilot, lambda: "3 found" in grid(pilot), "the new one")
        await pilot.press("slash", "escape")
        await until(pilot, lambda: "of 10" in grid(pilot), "everything")


async def test_activity__looks_through_older_pages_by_itself(core: FakeCore) -> None:
    def answer(params: dict[str, Any]) -> dict[str, Any]:
        start, limit = int(params.get("start", 0)), params["limit"]
        end = min(20_000, start + limit)
        shown = [paid("20 10:00", n, f"payment {n}") for n in range(start, end)]
        return {"history": shown, **({"next": str(end)} if end < 20_000 else {})}

    core.replies["history"] = answer
    async with opened(core) as pilot:
        await pilot.press("2", "slash", *">=19990", "enter")
        await until(pilot, lambda: "10 found" in grid(pilot), "the oldest")
        assert "payment 19990" in grid(pilot)
        assert len([c for c in core.asked("history") if "start" in c]) == 19
        await pilot.press("escape")
        await until(pilot, lambda: "of 200 and older" in grid(pilot), "everything")


async def test_activity__a_filter_that_is_not_understood_says_so(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("2", "slash", *"is:lost", "enter")
        await until(pilot, lambda: "is: one of failed, pending" in grid(pilot), "the sentence")
        await pilot.press("slash", *" zzz", "enter")
        await until(pilot, lambda: "Nothing fits this filter" in grid(pilot), "the empty list")


async def test_channels_and_chain__are_filtered(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3", "slash", *"closing", "enter")
        await until(pilot, lambda: "1 found" in grid(pilot), "the one that closes")
        assert "erin" in grid(pilot)
        assert "carol" not in grid(pilot)
        await pilot.press("escape", "5")
        await settled(pilot)
        await pilot.press("slash", *"7c1e", "enter")
        await until(pilot, lambda: "2 found" in grid(pilot), "the coin and what brought it")
        assert "0b440" not in grid(pilot)
        await pilot.press("1", "slash")
        await until(pilot, lambda: "Nothing to filter on this screen" in grid(pilot), "why not")


async def test_find_row__is_left_by_going_elsewhere(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("2", "slash", *"3s")
        await pilot.pause()
        assert "[2 Activity]" in grid(pilot), "a digit goes into the field"
        await pilot.click("#tabs", offset=(30, 0))
        await pilot.press("j", "slash", "escape", "j")
        await until(pilot, lambda: "[3 Channels]" in grid(pilot), "the other tab")
        assert "filter" in grid(pilot).splitlines()[-1]


async def test_injection__what_is_typed_is_harmless(core: FakeCore) -> None:
    async with opened(core) as pilot:
        for evil in INJECTIONS[:8]:
            await pilot.press("2", "slash")
            app: Any = pilot.app
            app._find_row.query_one("#find").insert_text_at_cursor(evil)
            await pilot.press("enter")
            await pilot.pause()
            assert_harmless(grid(pilot))
            assert len(grid(pilot).splitlines()) == 24
            await pilot.press("escape")
