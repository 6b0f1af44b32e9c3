"""A chain that asks more than a commitment pays: alone it stays out, with coins it is in time.

Both of the embedded chain's knobs are turned: what enters the mempool, and what a miner takes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.node.test_court_daemons import (
    AMOUNT_MSAT,
    expiry_of,
    half_paid,
    mempool_has,
    mine_to,
    state,
    total_sat,
)
from tests.support import faucet
from tests.support.three import Three, three_daemons
from wallet.base.bitcoin.address import decode_address
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.values.amounts import Satoshi
from wallet.machines.channel.claims import GRACE

DEAR_BTC_PER_KVB = 0.0001
"""10 sat/vB; the commitments of these stories pay 1."""
TO_SELF_DELAY = 6
FEES_SAT = 12_000
"""More than a commitment, its child and an HTLC transaction with a coin cost at that rate."""


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    with three_daemons(tmp_path) as world:
        yield world


def grow_dear(three: Three) -> None:
    for knob in ("setmempoolminfee", "setminerminfee"):
        three.chain.call(knob, DEAR_BTC_PER_KVB)


def hear_of_it(node: Daemon) -> None:
    """A start asks for the fee rate; nobody waits half a minute for the next question."""
    node.stop()
    node.start()
    wait_for(lambda: node.call("feerates", style="perkb")["perkb"]["opening"] >= 10_000, "the rate")


def deposit(three: Three, node: Daemon, sat: int) -> None:
    """A coin of `sat`, confirmed."""
    script = decode_address(node.call("newaddr")["bech32"], REGTEST)
    block = three.chain.call("getblock", three.chain.call("getblockhash", 3), 0)
    coin = faucet.coinbase_of(Block.decode(bytes.fromhex(block)))
    paid = faucet.spend([coin], 20_000, outputs=[TxOut(Satoshi(sat), script)])
    three.chain.call("sendrawtransaction", paid.encode().hex())
    three.mine()


def mempool(three: Three) -> list[str]:
    return list(three.chain.call("getrawmempool"))


def events(node: Daemon, topic: str) -> list[Any]:
    return [e for e in node.call("events", since=0)["events"] if e["topic"] == topic]


def closing(node: Daemon) -> tuple[str | None, str]:
    """What the history says of the close: its transaction, and whether it is over."""
    [line] = [one for one in node.call("history")["history"] if one["kind"] == "channel_close"]
    return line.get("txid"), line["status"]


def test_without_coins_a_close_stays_out__until_a_deposit_pays_for_it(three: Three) -> None:
    bc = three.channel_ids[1]
    three.b.kill()
    grow_dear(three)
    hear_of_it(three.c)
    before = total_sat(three.c)
    closed = three.c.call("close", id=bc, unilateraltimeout=1)
    for _ in range(6):
        three.mine()
        assert mempool(three) == []
    assert state(three.c, bc) == "AWAITING_UNILATERAL"
    needs = wait_for(lambda: events(three.c, "court_needs_coins"), "the notice")
    assert "Deposit on chain now" in str(needs[-1])

    deposit(three, three.c, 100_000)
    mempool_has(three, 2)
    assert closing(three.c) == (closed["txids"][0], "pending"), "its child is not the close"
    three.mine()
    wait_for(lambda: state(three.c, bc) == "ONCHAIN", "the commitment in a block")
    assert closing(three.c) == (closed["txids"][0], "pending")
    three.mine(TO_SELF_DELAY - 1)
    mempool_has(three, 1)
    three.mine()
    spent = before + 100_000 - total_sat(three.c)
    assert 0 < spent < FEES_SAT
    told = {line["kind"] for line in three.c.call("history")["history"]}
    assert told == {"channel_open", "deposit", "channel_close"}, "its child is no withdrawal"


def test_with_coins_a_close_is_in_time__and_nobody_upstream_has_to_follow(three: Three) -> None:
    ab, bc = three.channel_ids
    made = half_paid(three)
    deadline = expiry_of(three.b, ab)
    outgoing = expiry_of(three.b, bc)
    three.c.kill()
    grow_dear(three)
    hear_of_it(three.b)
    before = total_sat(three.b)
    mine_to(three, outgoing + GRACE)
    wait_for(lambda: state(three.b, bc) == "AWAITING_UNILATERAL", "B to give C up")
    mempool_has(three, 2)
    three.mine()
    wait_for(lambda: state(three.b, bc) == "ONCHAIN", "the commitment in the next block")
    mempool_has(three, 1)
    three.mine()
    assert int(three.chain.call("getblockcount")) < deadline

    wait_for(lambda: three.channel(three.b, ab)["htlcs"], "the HTLC upstream, still there")
    three.mine(6)
    [sent] = wait_for(
        lambda: [
            p
            for p in three.a.call("listsendpays", payment_hash=made["payment_hash"])["payments"]
            if p["status"] == "failed"
        ],
        "the failure to reach A",
    )
    assert sent["amount_sent_msat"] > AMOUNT_MSAT
    assert int(three.chain.call("getblockcount")) < deadline
    assert state(three.a, ab) == state(three.b, ab) == "CHANNELD_NORMAL"
    three.mine(4)
    assert before - FEES_SAT < total_sat(three.b) < before
