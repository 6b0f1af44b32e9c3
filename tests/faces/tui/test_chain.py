"""Chain: coins, channels that settle, transactions, what fees are and what has to stay."""

from typing import Any

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Reply
from tests.faces.tui.scenes import (
    HISTORY,
    NODES,
    SIZES,
    assert_harmless,
    channel,
    check,
    coin,
    grid,
    opened,
    past,
    settled,
    until,
)
from wallet.faces.tui.watch import ON_CHAIN


async def test_chain__each_kind_in_full(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("5", "j")
        await settled(pilot)
        await pilot.press("enter")
        await pilot.pause()
        await check(pilot, "chain-coin")
        await pilot.press("escape", "tab", "enter")
        await pilot.pause()
        assert "What is yours comes back by itself" in grid(pilot)
        await pilot.press("escape", "tab", "enter")
        await pilot.pause()
        await check(pilot, "chain-transaction")


async def test_chain__asks_for_its_own_facts_only_while_it_is_in_front(core: FakeCore) -> None:
    async with opened(core) as pilot:
        assert core.asked("feerates") == []
        await pilot.press("5")
        await until(pilot, lambda: "next block 4 · hour 2" in grid(pilot), "the fees")
        assert {"filter": ON_CHAIN, "limit": 200} in core.asked("history")
        core.replies["feerates"] = {"perkw": {}, "warning_missing_feerates": "bitcoind is away"}
        await core.tell("block_added", height=1_205)
        await until(pilot, lambda: "bitcoind is away" in grid(pilot), "the reason")
        asked = len(core.asked("feerates"))
        await pilot.press("1")
        await core.tell("block_added", height=1_206)
        await settled(pilot)
        assert len(core.asked("feerates")) == asked


async def test_closing__what_is_a_coin_already_is_not_counted_twice(core: FakeCore) -> None:
    def closes(waiting: int) -> Reply:
        return past([i | {"waiting_msat": waiting} if "waiting_msat" in i else i for i in HISTORY])

    core.replies["history"] = closes(598_216_000)
    async with opened(core, SIZES["120x40"]) as pilot:
        await pilot.press("5", "tab")
        await until(pilot, lambda: "598,216          … closing" in grid(pilot), "what waits")
        assert "To come   598,216 sat" in grid(pilot)
        core.replies["history"] = closes(0)
        await core.tell("block_added", height=1_205)
        await until(pilot, lambda: "  0          … closing" in grid(pilot), "that all is a coin")


async def test_chain__the_reserve_is_the_nodes_own(core: FakeCore) -> None:
    configs: dict[str, Any] = {"min-emergency-msat": {"value_msat": 7_000_000}}
    core.replies["listconfigs"] = {"configs": configs}
    async with opened(core) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "21,000 sat stay here" in grid(pilot), "the figure")
        assert "to close 3 channels by force" in grid(pilot)
        forced = channel("bob", 5, 10, state="AWAITING_UNILATERAL")
        core.replies["listpeerchannels"] = {"channels": [forced]}
        await core.tell("channel_state_changed", channel_id="00")
        await until(pilot, lambda: "7,000 sat stay here, to close 1 " in grid(pilot), "of one")
        core.replies["listfunds"] = {"outputs": [], "channels": []}
        await core.tell("channel_state_changed", channel_id="00")
        await until(pilot, lambda: "! deposit 7,000 sat more, to close 1 " in grid(pilot), "needs")
        core.replies["listpeerchannels"] = {"channels": []}
        await core.tell("channel_state_changed", channel_id="00")
        await until(pilot, lambda: "none: no channel is open" in grid(pilot), "no reserve")


async def test_chain__what_can_be_spent(core: FakeCore) -> None:
    core.replies["listfunds"] = {
        "outputs": [
            coin(5, "aaaa", 0, 1_204, reserved=True),
            coin(6, "bbbb", 0, 1_204, status="immature"),
            coin(7, "cccc", 0, 1_204, status="spent"),
        ]
    }
    async with opened(core) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "! held" in grid(pilot), "the coin that is held")
        assert "… immature" in grid(pilot)
        assert "cccc" not in grid(pilot)


async def test_chain__channels_that_others_paid_for_took_no_coins(core: FakeCore) -> None:
    theirs = {**HISTORY[-1], "opener": "remote", "peer_id": NODES["carol"]}
    core.replies["history"] = past([*HISTORY, theirs])
    async with opened(core) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "Open channel: bob" in grid(pilot), "ours")
        assert "carol" not in grid(pilot)


async def test_chain__many_transactions_come_by_pages(core: FakeCore) -> None:
    def answer(params: dict[str, Any]) -> dict[str, Any]:
        start = int(params.get("start", 0))
        shown = [
            {**HISTORY[4], "amount_msat": 1_000 * number, "at": HISTORY[4]["at"] - number}
            for number in range(start, min(500, start + params["limit"]))
        ]
        end = start + params["limit"]
        return {"history": shown, **({"next": str(end)} if end < 500 else {})}

    core.replies["history"] = answer
    async with opened(core) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "Transactions 200+" in grid(pilot), "the first page")
        for _ in range(3):
            await pilot.press("G")
            await settled(pilot)
        await until(pilot, lambda: "Transactions 500" in grid(pilot), "the last page")
        await pilot.press("G")
        await pilot.pause()
        shown = grid(pilot)
        assert "> Wed 18           +499" in shown
        assert "Transactions 500" in shown, "the head of the section stays in sight"
        assert "Coins" not in shown
        await pilot.press("tab")
        await pilot.pause()
        assert "> 5e0d5" in grid(pilot)
        await pilot.click("#chain", offset=(5, 7))
        await pilot.pause()
        assert "> 0b440" in grid(pilot), grid(pilot)


async def test_chain__nothing_yet(core: FakeCore) -> None:
    core.replies |= {"listfunds": {"outputs": []}, "history": past([])}
    core.replies["listpeerchannels"] = {"channels": []}
    async with opened(core) as pilot:
        await pilot.press("5")
        await settled(pilot)
        await check(pilot, "chain-empty")
    async with opened(core, mining="leyden mine 101") as pilot:
        await check(pilot, "home-own-chain")
        await pilot.press("5")
        await settled(pilot)
        await check(pilot, "chain-own-chain")


async def test_chain__of_core_lightning(core: FakeCore) -> None:
    """It has no `history`, so its list of transactions tells where they are, not what they did."""
    del core.replies["history"], core.replies["events"]
    core.replies["listtransactions"] = {
        "transactions": [
            {"hash": "aa" * 32, "blockheight": 1_100},
            {"hash": "bb" * 32, "blockheight": 0},
        ]
    }
    async with opened(core) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "Transactions 2" in grid(pilot), "the transactions")
        listed = [line for line in grid(pilot).splitlines() if "transaction " in line]
        assert [line.split()[0] for line in listed] == ["bbbb…bbb", "aaaa…aaa"]
        assert "105" in listed[1]


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        (("feerates",), "this node does not estimate them"),
        (("history", "events"), "this node does not list them"),
    ],
)
async def test_chain__what_a_node_lacks_it_says(
    core: FakeCore, missing: tuple[str, ...], says: str
) -> None:
    for method in missing:
        del core.replies[method]
    async with opened(core) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: says in grid(pilot), "the sentence")
        await pilot.press("w")
        await until(pilot, lambda: "it has no withdraw" in grid(pilot), "the other one")


async def test_chain__its_keys_open_the_sheets(core: FakeCore) -> None:
    core.replies |= {"newaddr": {"bech32": "bcrt1qfresh"}, "withdraw": {}}
    async with opened(core) as pilot:
        await pilot.press("5", "a")
        await until(pilot, lambda: "bcrt1qfresh" in grid(pilot), "an address")
        await pilot.press("escape", "w")
        await until(pilot, lambda: "Withdraw" in grid(pilot), "the form")


async def test_chain__hidden_amounts(core: FakeCore) -> None:
    async with opened(core, SIZES["120x40"]) as pilot:
        await pilot.press("5", "j", "full_stop")
        await settled(pilot)
        assert not {"1,499,388", "2,500,000", "250,000", "1,200,000", "612"} & set(
            grid(pilot).replace("+", " ").replace("-", " ").split()
        )


async def test_injection__every_line_and_detail_is_as_ordered(core: FakeCore) -> None:
    outputs = [
        coin(5, "7c1e", 0, 1_000 + n) | {"txid": e, "address": e, "status": e}
        for n, e in enumerate(INJECTIONS)
    ]
    moves = [
        {"kind": "deposit", "at": 1, "status": e, "direction": e, "txid": e, "amount_msat": 1}
        for e in INJECTIONS
    ]
    core.replies |= {
        "listfunds": {"outputs": outputs},
        "history": past(moves),
        "feerates": {"perkw": {"estimates": []}, "warning_missing_feerates": INJECTIONS[0]},
        "listpeerchannels": {
            "channels": [
                channel("bob", 5, 10, state="ONCHAIN", status=[e], short_channel_id=e, channel_id=e)
                for e in INJECTIONS
            ]
        },
    }
    async with opened(core, SIZES["120x40"]) as pilot:
        await pilot.press("5")
        await settled(pilot)
        for _ in range(3 * len(INJECTIONS)):
            shown = grid(pilot)
            assert_harmless(shown)
            assert len(shown.splitlines()) == 40
            assert not [line for line in shown.splitlines()[2:36] if "│" not in line]
            await pilot.press("j")
