"""The app against daemons: a wallet's first day, from an empty one to coins sent away again."""

from pathlib import Path

from textual.pilot import Pilot

from tests.faces.tui.money import armed, learnt, paste
from tests.faces.tui.scenes import grid
from tests.interop.ldk.daemon import Daemon
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.two import Two, until
from wallet.faces.tui.app import Leyden
from wallet.faces.tui.sheets.withdraw import Withdraw

GIVEN_SAT = 5_000_000_000
"""What the first block pays whoever mines it."""


async def _shown(pilot: Pilot[None], words: str) -> None:
    for _ in range(1_000):
        if words in grid(pilot):
            return
        await pilot.pause(0.02)
    raise AssertionError(f"waited for {words!r}; the screen is\n{grid(pilot)}")


async def _take_an_address(pilot: Pilot[None]) -> str:
    await pilot.press("r", "enter")
    await _shown(pilot, "waiting")
    await pilot.press("tab")
    await _shown(pilot, "bcrt1q")
    await pilot.press("y", "escape")
    await pilot.pause()
    return pilot.app.clipboard


async def _open_a_channel(pilot: Pilot[None], two: Two) -> None:
    await pilot.press("o")
    await pilot.pause()
    await learnt(pilot)
    await paste(pilot, f"{two.bob.node_id}@127.0.0.1:{two.bob.port}\n")
    await pilot.press("tab", *"1,000,000", "enter")
    await armed(pilot)
    # What the review promises is what the channel then can do, to the satoshi.
    promise = "about 988,598 sat"
    assert promise in grid(pilot)
    await pilot.press("o")
    await _shown(pilot, "waits for 1 block")
    two.mine()
    await _shown(pilot, "✓ ready: you can send 988,598 sat")
    await pilot.press("escape")


async def _pay(pilot: Pilot[None], two: Two) -> None:
    await pilot.press("s")
    await pilot.pause()
    await paste(pilot, two.invoice("tea", 20_000_000)["bolt11"])
    await pilot.press("enter")
    await _shown(pilot, "Press p to pay 20,000 sat")
    await pilot.pause(0.5)
    await pilot.press("p")
    await _shown(pilot, "✓ Paid 20,000 sat")
    await pilot.press("escape")


async def _close_it(pilot: Pilot[None], two: Two) -> None:
    await pilot.press("3", "c")
    await armed(pilot)
    await pilot.press("c")
    await _shown(pilot, "is closing")
    await pilot.press("escape")
    two.mine()
    await _shown(pilot, "Settling on chain.")


async def _withdraw(pilot: Pilot[None], two: Two) -> str:
    assert isinstance(pilot.app, Leyden)
    await pilot.app.push_screen(Withdraw(pilot.app.state))
    await learnt(pilot)
    await paste(pilot, f"bitcoin:{faucet.ELSEWHERE_ADDRESS}?amount=0.5")
    await pilot.press("enter")
    await armed(pilot)
    await pilot.press("w")
    await _shown(pilot, "✓ Sent 50,000,000 sat")
    await pilot.press("y", "escape")
    await pilot.pause()
    two.mine()
    return pilot.app.clipboard


async def test_first_day(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        alice = Daemon(tmp_path / "alice", chain.url, chain.cookie)
        bob = Daemon(tmp_path / "bob", chain.url, chain.cookie)
        try:
            for node in (alice, bob):
                node.create()
                node.start()
            two = Two(chain, alice, bob)
            app = Leyden(alice.socket)
            async with app.run_test(size=(80, 24)) as pilot:
                await _shown(pilot, "No payments yet")
                chain.call("generatetoaddress", 1, await _take_an_address(pilot))
                two.mine(100)
                await _shown(pilot, f"{GIVEN_SAT:,} sat")
                await _open_a_channel(pilot, two)
                await _pay(pilot, two)
                await _close_it(pilot, two)
                txid = await _withdraw(pilot, two)
            [paid] = [
                t for t in alice.call("listtransactions")["transactions"] if t["hash"] == txid
            ]
            assert paid["blockheight"] > 0
            assert faucet.ELSEWHERE.hex() in [o["scriptPubKey"] for o in paid["outputs"]]
            until(bob, "listfunds", lambda funds: len(funds["outputs"]) == 1)
            kept = sum(o["amount_msat"] for o in alice.call("listfunds")["outputs"])
            gone = GIVEN_SAT - 20_000 - 50_000_000 - kept // 1_000
            assert 0 < gone < 2_000, f"{gone} sat went to miners"
        finally:
            for node in (alice, bob):
                node.stop()
