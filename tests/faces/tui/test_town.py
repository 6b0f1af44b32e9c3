"""The control room: a town on one screen, and the keys that make something happen in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.scenes import SIZES, assert_harmless, grid, until
from tests.faces.tui.town_scene import ALIASES, PAYMENT, Once, channel, in_town, move, node
from wallet.faces.tui.town import facts
from wallet.faces.tui.town.map import town_map
from wallet.faces.tui.town.moves import MOST_LAG_SECONDS, TRAVEL_SECONDS, Playback

MOVES = facts.moves({"flow": PAYMENT})


# --- when a person sees what moved ----------------------------------------------------------------


def test_playback__hops_of_a_payment_are_seen_one_after_the_other() -> None:
    playback = Playback(100.0)
    playback.add(MOVES)
    seen = []
    for step in range(1, 62):
        playback.tick(100.0 + step * TRAVEL_SECONDS / 10)
        seen += [m.seq for m, _ in playback.on_the_map if m.seq not in seen]
        assert len(playback.on_the_map) <= 1
    assert seen == [m.seq for m in MOVES]
    assert [m.seq for m in playback.told(100)] == seen
    assert not playback.moving


def test_playback__pause_holds_the_picture_and_speed_hurries_it() -> None:
    playback = Playback(0.0)
    playback.add(MOVES[:1])
    playback.tick(TRAVEL_SECONDS / 2)
    playback.paused = True
    playback.tick(1_000.0)
    [(_, progress)] = playback.on_the_map
    assert progress == pytest.approx(0.5)
    playback.paused = False
    playback.hurry(1)
    playback.tick(1_000.0 + TRAVEL_SECONDS / 8)
    [(_, progress)] = playback.on_the_map
    assert progress == pytest.approx(0.75)
    playback.hurry(100)
    playback.hurry(-100)
    assert playback.speed == 0.25


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 2)), max_size=200))
def test_playback__nothing_is_shown_much_too_late(steps: list[tuple[int, float]]) -> None:
    playback, now = Playback(0.0), 0.0
    for number, (payment, wait) in enumerate(steps):
        now += wait
        playback.tick(now)
        made = move(number, "you", "bob", "add", payment_hash=f"{payment}")
        playback.add(facts.moves({"flow": [made]}))
    playback.tick(now + MOST_LAG_SECONDS + TRAVEL_SECONDS)
    assert len(playback.told(1_000)) == len(steps)
    assert playback.on_the_map == []


# --- the screen -----------------------------------------------------------------------------------


async def test_keys__each_asks_the_town_for_one_thing(core: FakeCore, tmp_path: Path) -> None:
    asked: tuple[tuple[tuple[str, ...], str, dict[str, object], str], ...] = (
        (("m",), "mine", {"blocks": 1}, "Block 1,205"),
        (("M", "2"), "mine", {"blocks": 10}, "Block 1,214"),
        (("t", "3"), "traffic", {"rate": 20}, "20 payments a second"),
        (("b", "2", "k"), "fault", {"node": "bob", "kind": "kill"}, "bob is down"),
        (("b", "4"), "fault", {"node": "dave", "kind": "start"}, "dave is down"),
        (("S", "2"), "story", {"name": "hops", "wait": False}, "The story begins"),
        (("f",), "give", {"node": "you", "sat": 1_000_000}, "1,000,000 sat from the faucet"),
        (("c",), "money", {}, "every one of them somebody's"),
    )
    async with in_town(core, tmp_path / "town", SIZES["120x40"]) as (pilot, town, _):
        for keys, method, params, words in asked:
            town.calls.clear()
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
            await until(pilot, lambda words=words: words in grid(pilot), words)
            assert [p for m, p in town.calls if m == method] == [params]


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("CHANNELD_NORMAL", "also  alice 65 % carol"),
        ("CHANNELD_SHUTTING_DOWN", "also  alice not in use carol"),
        ("AWAITING_UNILATERAL", "also  alice not in use carol"),
        ("ONCHAIN", ""),
        ("CLOSED", ""),
    ],
)
def test_map__a_channel_is_on_it_until_a_block_has_ended_it(state: str, shown: str) -> None:
    told = facts.town(
        {
            "nodes": {key: node(key) for key in ALIASES},
            "channels": [channel("you", "carol", 65, state=state)],
        }
    )
    drawn = ["".join(text for text, _ in spans).strip() for spans in town_map(told, (), 60)]
    assert drawn[8:] == [shown] * bool(shown)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"ok": False, "checked": False, "in_the_way": ["dave is down"]}, "not counted now"),
        (
            {"ok": False, "checked": True, "mined_sat": 5, "found_sat": 4, "faults": ["1 is lost"]},
            "the sums differ: 1 is lost",
        ),
        (Refusal(-1, "the chain\x1b[2J is away"), "is away"),
    ],
)
async def test_money__what_does_not_add_up_is_said(
    core: FakeCore, tmp_path: Path, answer: object, words: str
) -> None:
    async with in_town(core, tmp_path / "town", SIZES["120x40"], money=answer) as (pilot, _, _):
        await pilot.press("c")
        await until(pilot, lambda: words in grid(pilot), words)
        assert_harmless(grid(pilot))


async def test_buy__a_neighbours_invoice_is_reviewed_before_anything_is_paid(
    core: FakeCore, tmp_path: Path
) -> None:
    seller = FakeCore(tmp_path / "bob", {"invoice": {"bolt11": "lnbcrt21u1pbook"}})
    await seller.start()
    core.replies["decode"] = {
        "type": "bolt11 invoice",
        "valid": True,
        "currency": "bcrt",
        "payee": f"02{1:064x}",
        "amount_msat": 2_100_000,
        "description": "a postcard",
        "payment_hash": "ab" * 32,
        "created_at": 1_795_000_000,
        "expiry": 10_000_000,
    }
    status = {
        "nodes": {"you": node("you"), "bob": node("bob", **{"rpc-file": str(seller.path)})},
        "channels": [],
        "blockheight": 1,
    }
    async with in_town(core, tmp_path / "town", SIZES["80x24"], status=status) as (pilot, _, _):
        await pilot.press("i")
        await pilot.pause()
        await pilot.press("1")
        await until(pilot, lambda: "Press p to pay 2,100 sat" in grid(pilot), "the review")
        [asked] = seller.asked("invoice")
        assert asked["amount_msat"] == 2_100_000
        assert core.asked("pay") == []
    await seller.close()


async def test_story__its_words_come_as_they_are_told(core: FakeCore, tmp_path: Path) -> None:
    told = Once(
        "captions",
        [
            {"kind": "begin", "text": "a payment, hop by hop"},
            {"kind": "step", "number": 1, "text": "alice pays carol through bob"},
            {"kind": "say", "text": evil(1)},
        ],
    )
    async with in_town(core, tmp_path / "town", SIZES["80x24"], captions=told) as (pilot, _, _):
        await until(pilot, lambda: "alice pays carol through bob" in grid(pilot), "the caption")
        assert_harmless(grid(pilot))


def evil(number: int) -> str:
    """What a stranger may say."""
    return INJECTIONS[number % len(INJECTIONS)]


@pytest.mark.parametrize("size", SIZES)
async def test_injection__every_string_of_a_town(core: FakeCore, tmp_path: Path, size: str) -> None:
    for first in range(0, len(INJECTIONS), 10):
        status = {
            "nodes": {
                key: node(key, alias=evil(first + n), id=evil(first + n + 1))
                for n, key in enumerate(ALIASES)
            },
            "channels": [channel("you", evil(first + 3), 50), channel(evil(first), "bob", 20)],
            "blockheight": 7,
            "traffic": {"rate": evil(first), "complete": evil(first)},
        }
        flow = Once(
            "flow",
            [move(n, evil(first + n), "bob", evil(n), payment_hash=evil(n)) for n in range(9)],
        )
        blocks = {"blocks": [{"height": 7, "time": 1, "what": [{"text": evil(first + 2)}]}]}
        path = tmp_path / f"town{first}"
        async with in_town(core, path, SIZES[size], status=status, flow=flow, blocks=blocks) as (
            pilot,
            _,
            clock,
        ):
            clock[0] = 1.0
            await pilot.pause(0.2)
            shown = grid(pilot)
            assert_harmless(shown)
            assert len(shown.splitlines()) == SIZES[size][1]


async def test_no_town__the_place_says_how_to_get_one(core: FakeCore) -> None:
    from tests.faces.tui.scenes import opened

    async with opened(core) as pilot:
        await pilot.press("7")
        await pilot.pause()
        assert "leyden demo" in grid(pilot)


async def test_town_that_ends__is_said_and_looked_for_again(core: FakeCore, tmp_path: Path) -> None:
    async with in_town(core, tmp_path / "town", SIZES["80x24"]) as (pilot, town, _):
        await town.close()
        await pilot.press("m")
        await until(pilot, lambda: "the town does not answer" in grid(pilot), "the sentence")
        await town.start()
        await until(pilot, lambda: "! " not in grid(pilot).splitlines()[2], "the town again")
