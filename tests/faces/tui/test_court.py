"""The Court view, deadlines wherever a channel stands, and what the court tells by itself."""

import asyncio
from typing import Any

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.court_scene import BOB
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.money import until_shown
from tests.faces.tui.scenes import (
    CHANNEL_IDS,
    NODES,
    SIZES,
    assert_harmless,
    at,
    channel,
    grid,
    opened,
    until,
)
from tests.faces.tui.strangers import Strangers
from wallet.faces.tui.court import Timelock
from wallet.faces.tui.deadlines import waits
from wallet.faces.tui.units import Money

ERIN = CHANNEL_IDS["erin"]


def chosen_way(shown: str) -> str:
    [line] = [line for line in shown.splitlines() if "│  > " in line]
    return line.strip(" │>")


# --- the view -------------------------------------------------------------------------------------


async def test_ways__one_after_the_other(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3", "C")
        await until_shown(pilot, "judged")
        # The whole table first: what is yours, and your part of the fee at each rate.
        assert "Closed together 734,567 193 1,925 19,250" in _flat(grid(pilot))
        assert chosen_way(grid(pilot)).startswith("Closed together")
        assert "No timelock is open." in grid(pilot)
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: "by their cheat, #12" in chosen_way(grid(pilot)), "the cheat")
        assert "977,783 the cheat's balance you 121 1,205 12,050 ✓ valid" in _flat(grid(pilot))
        await pilot.press("left")
        await until(pilot, lambda: "by them alone, #317" in chosen_way(grid(pilot)), "by them")
        assert "144 blocks after its block" in grid(pilot)
        await pilot.press("escape")
        await until_shown(pilot, "C court")
    assert core.asked("court")[-1] == {"channel_id": CHANNEL_IDS["bob"]}


async def test_a_verdict_and_a_cost_that_should_alarm(core: FakeCore) -> None:
    taken = {**BOB[1]["outputs"][3], "verified": False, "costs_sat": [121, None, None]}
    case = {"channel_id": CHANNEL_IDS["bob"], "ways": [{**BOB[1], "outputs": [taken]}]}
    core.replies["court"] = {"feerates_sat_vb": [1, 10, 100], "channels": [case]}
    async with opened(core) as pilot:
        await pilot.press("3", "C")
        await until_shown(pilot, "121 - - ✗ INVALID")
        # What cannot happen says why.
        assert "Closed by their cheat there is no older state yet" in _flat(grid(pilot))
        await pilot.press("u", "full_stop")
        assert "121 - -" in grid(pilot), "inside a sheet only its own keys live"


async def test_hidden__no_figure_is_left(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("full_stop", "3", "C")
        await until_shown(pilot, "judged")
        assert not [n for n in ("734,567", "265,433", "1,925", "193") if n in grid(pilot)]


async def test_a_block__the_court_is_asked_again(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("3", "C")
        await until_shown(pilot, "judged")
        asked = len(core.asked("court"))
        # Nothing has changed: nobody is asked.
        await core.tell("invoice_creation", label="x")
        await pilot.pause(0.3)
        assert len(core.asked("court")) == asked
        core.replies["getinfo"] |= {"blockheight": 1_205}  # type: ignore[operator]
        await core.tell("block_added", height=1_205)
        await core.until_asked("court", asked + 2)
    wanted = [params["channel_id"] for params in core.asked("court")[asked:]]
    assert sorted(wanted) == sorted([ERIN, CHANNEL_IDS["bob"]])


async def test_not_answered__the_sheet_says_so(core: FakeCore) -> None:
    core.replies["court"] = Refusal(-1, "the store is away\x1b[2J")
    async with opened(core) as pilot:
        await pilot.press("3", "C")
        await until_shown(pilot, "! the store is away")
        assert_harmless(grid(pilot))


async def test_slow__it_says_what_is_waited_for_and_closing_it_is_no_fault(core: FakeCore) -> None:
    gate = asyncio.Event()

    async def slow(_params: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"channels": []}

    core.replies["listpeerchannels"] = {"channels": [channel("bob", 500_000, 1_000_000)]}
    core.replies["court"] = slow
    async with opened(core) as pilot:
        await pilot.press("3", "C")
        await until_shown(pilot, "builds every transaction")
        await pilot.press("escape")
        gate.set()
        await until_shown(pilot, "C court")


async def test_on_chain__what_is_waited_for(core: FakeCore) -> None:
    lines: list[dict[str, Any]] = [
        {"height": 1_348, "claim": "to_local", "amount_msat": 598_216_000, "what": "a"},
        {"height": 1_209, "claim": "penalty", "amount_msat": 7_000, "what": "b", "late": True},
        {"height": 1_204, "claim": "HTLC penalty", "amount_msat": 7_000, "what": "c"},
    ]
    case = {"channel_id": ERIN, "ways": [], "docket": lines}
    core.replies["court"] = {"blockheight": 1_204, "channels": [case]}
    async with opened(core, SIZES["120x40"]) as pilot:
        await until_shown(pilot, "erin, 1 of 2: 7 sat of the cheat's are on their way to your")
        await pilot.press("3", "G", "C")
        await until_shown(pilot, "is on the chain: how it ends is decided")
        shown = grid(pilot)
    assert "· your 598,216 sat are locked for 144 more blocks, about 24 h" in shown
    assert "· in 5 more blocks, about 50 min the peer may take 7 sat" in shown
    times = [shown.index(words) for words in ("now ", "in 5 blocks,", "in 144 blocks,")]
    assert times == sorted(times), "the nearest first"


async def test_small_window__every_line_can_be_reached(core: FakeCore) -> None:
    docket = [
        {"height": 1_300 + n, "what": "x", "amount_msat": 1_000 * n, "direction": "in"}
        for n in range(1, 31)
    ]
    case = {"channel_id": CHANNEL_IDS["bob"], "ways": BOB, "docket": docket}
    core.replies["court"] = {"feerates_sat_vb": [1], "blockheight": 1_204, "channels": [case]}
    async with opened(core) as pilot:
        await pilot.press("3", "C")
        await until_shown(pilot, "more lines")
        for _ in range(8):
            await pilot.press("pagedown")
        await until_shown(pilot, "30 theirs to take back")
        assert "more line" not in grid(pilot)
        await pilot.press("pageup", "pageup", "pageup", "pageup", "pageup", "up")
        await until_shown(pilot, "if this channel ended in block 1,205")


async def test_a_node_without_a_court__no_key_and_why(core: FakeCore) -> None:
    del core.replies["court"]
    async with opened(core) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "s send")
        assert "C court" not in grid(pilot)
        await pilot.press("G", "enter")
        await until_shown(pilot, "this node has none: it cannot tell what the chain rules")
        assert "C court" not in grid(pilot)
        assert "Settling on chain." in grid(pilot)
        await pilot.press("C")
        await until_shown(pilot, "! This node cannot do that: it has no court")


# --- deadlines ------------------------------------------------------------------------------------


def _htlcs(*expiries: int, direction: str = "out") -> list[dict[str, Any]]:
    return [
        {"direction": direction, "id": n, "amount_msat": 5_000, "expiry": expiry}
        for n, expiry in enumerate(expiries)
    ]


@pytest.mark.parametrize(
    ("htlcs", "words"),
    [
        (_htlcs(1_344), "returns by block 1,344 if not settled: 140 blocks, about 23 h"),
        (_htlcs(1_205, direction="in"), "returns to them by block 1,205 if not settled: 1 block,"),
        (_htlcs(1_204), "its time ended at block 1,204: it is taken back on chain"),
        (_htlcs(1_204, direction="in"), "its time ended at block 1,204: the peer may take it"),
        (_htlcs(1_400, 1_500, 1_300, 1_600, 1_700), "5 returns by block 1,300"),
        (_htlcs(1_400, 1_500, 1_300, 1_600, 1_700), "and 2 more"),
    ],
)
async def test_channel__when_what_is_inside_ends(
    core: FakeCore, htlcs: list[dict[str, Any]], words: str
) -> None:
    core.replies["listpeerchannels"] = {"channels": [channel("bob", 500, 1_000, htlcs=htlcs)]}
    async with opened(core) as pilot:
        await pilot.press("3", "enter")
        await until_shown(pilot, words)


@pytest.mark.parametrize(
    ("expiry", "words"),
    [
        (1_222, "bob has 18 blocks left to settle 5 sat; then the chain decides"),
        (1_200, "bob has not settled 5 sat in time: the chain decides"),
    ],
)
async def test_home__a_deadline_that_is_near_needs_attention(
    core: FakeCore, expiry: int, words: str
) -> None:
    far = _htlcs(1_223)
    core.replies["listpeerchannels"] = {"channels": [channel("bob", 500, 1_000, htlcs=far)]}
    async with opened(core) as pilot:
        assert "Needs attention" not in grid(pilot)
        core.replies["listpeerchannels"] = {
            "channels": [channel("bob", 500, 1_000, htlcs=_htlcs(expiry, 1_400))]
        }
        await core.tell("payment", payment_hash="00")
        await until_shown(pilot, words)


async def test_home__a_channel_that_is_settled_leaves(core: FakeCore) -> None:
    async with opened(core, SIZES["120x40"]) as pilot:
        await until_shown(pilot, "… erin: your 1,200,000 sat are locked for 144 more blocks")
        assert "returns by block 1,344 if unpaid (~23 h)" in grid(pilot)
        channels: Any = core.replies["listpeerchannels"]
        core.replies["listpeerchannels"] = {"channels": channels["channels"][:3]}
        await core.tell("channel_state_changed", channel_id=ERIN)
        await until(pilot, lambda: "On the chain" not in grid(pilot), "that it is gone")


def test_waits__words_for_every_kind_of_claim() -> None:
    money = Money()
    for kind in (*CLAIMS, "of another make"):
        for late in (False, True):
            for height in (90, 101, 150):
                said = waits(Timelock(height, "x", 9_000, None, kind, late), 100, money)
                assert "9 sat" in said
                assert ("block" in said) is (height > 100 or (kind not in CLAIMS and not late))


CLAIMS = (
    "to_local",
    "to_remote",
    "HTLC-timeout",
    "HTLC-success",
    "expired HTLC",
    "HTLC by preimage",
    "penalty",
    "HTLC penalty",
)


# --- what is told ---------------------------------------------------------------------------------

TOLD: dict[str, dict[str, Any]] = {
    "htlc_at_risk": {
        "htlc_id": 3,
        "direction": "out",
        "amount_msat": 300_000,
        "cost_sat": 5_200,
    },
    "htlc_lost": {"htlc_id": 3, "direction": "in", "amount_msat": 300_000},
    "court_needs_coins": {"message": "a transaction that closes a channel needs a fee"},
    "funding_lost": {"message": "it was double-spent. Nothing is paid or taken over it"},
}


@pytest.mark.parametrize(
    ("topic", "notice", "logged"),
    [
        (
            "htlc_at_risk",
            "! 300 sat with carol may be lost: 8 Log says why",
            ("300 sat passed to carol may be lost", "5,200 sat, so the channel stays open"),
        ),
        (
            "htlc_lost",
            "✗ 300 sat from carol is lost: 8 Log says why",
            ("300 sat from carol is lost", "Keep more coins on chain"),
        ),
        (
            "court_needs_coins",
            "! The channel with carol needs coins for a fee: 5 Chain, a  (8 Log says why)",
            ("the channel with carol goes on chain, and no coin pays for it", "a gives an address"),
        ),
        (
            "funding_lost",
            "✗ The channel with carol has lost its funding: 8 Log says why",
            ("the channel with carol has lost its funding: it was double-spent",),
        ),
    ],
)
async def test_told__on_every_screen_and_in_the_log(
    core: FakeCore, topic: str, notice: str, logged: tuple[str, ...]
) -> None:
    of = {"channel_id": CHANNEL_IDS["carol"], "peer_id": NODES["carol"]}
    async with opened(core) as pilot:
        await core.tell(topic, at=at("20 12:04"), **of, **TOLD[topic])
        await until_shown(pilot, notice)
        await pilot.press("8", "l", "enter")
        for words in logged:
            await until(pilot, lambda w=words: w in _flat(grid(pilot)), words)


def _flat(shown: str) -> str:
    return " ".join(shown.split())


async def test_injection__the_court_is_a_stranger_too(core: FakeCore) -> None:
    strangers = Strangers()
    reply: Any = core.replies["court"]
    core.replies["court"] = lambda params: strangers.poisoned(reply(params))
    core.replies["listnodes"] = lambda params: {
        "nodes": [{"nodeid": params["id"], "alias": strangers.text()}]
    }
    async with opened(core, SIZES["120x40"]) as pilot:
        for text in INJECTIONS:
            told = {"peer_id": text, "direction": text, "message": text, "channel_id": text}
            for topic in TOLD:
                await core.tell(topic, **told)
        await pilot.press("3")
        for _ in range(4):
            await pilot.press("C")
            await until_shown(pilot, "─ Court ─")
            await pilot.pause(0.15)
            for _ in range(5):
                assert_harmless(grid(pilot))
                await pilot.press("tab")
            await pilot.press("escape", "j")
            await pilot.pause()
            assert_harmless(grid(pilot))
