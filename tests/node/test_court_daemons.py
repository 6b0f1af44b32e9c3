"""Peers that vanish or cheat while payments are pending: daemons, a chain, all sats counted."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.three import PUSH, Three, three_daemons
from wallet.machines.channel.claims import GRACE
from wallet.machines.channel.deadlines import CLAIM_BLOCKS
from wallet.machines.channel.onchain import RESOLVED_DEPTH

AMOUNT_MSAT = 60_000_000
FEES_SAT = 6_000
"""More than what the closes and claims of a story cost at regtest's fee rate."""


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    with three_daemons(tmp_path) as world:
        yield world


def total_sat(node: Daemon) -> int:
    """What a node has: its part of living channels, and every unspent coin."""
    funds = node.call("listfunds")
    coins = sum(int(o["amount_msat"]) for o in funds["outputs"] if o["status"] != "spent")
    living = ("CHANNELD_NORMAL", "CHANNELD_SHUTTING_DOWN")
    channels = sum(int(c["our_amount_msat"]) for c in funds["channels"] if c["state"] in living)
    return (coins + channels) // 1000


def half_paid(three: Three) -> dict[str, Any]:
    """A pays half of an invoice of C's through B: C waits for the rest."""
    made = three.invoice("half", 2 * AMOUNT_MSAT)
    three.send(made, three.route(AMOUNT_MSAT), amount_msat=2 * AMOUNT_MSAT, partid=1)
    wait_for(
        lambda: any(
            htlc["state"] == "RCVD_ADD_ACK_REVOCATION"
            for channel in three.c.call("listpeerchannels")["channels"]
            for htlc in channel["htlcs"]
        ),
        "the HTLC at C",
    )
    return dict(made)


def state(node: Daemon, channel_id: str) -> str:
    [shown] = node.call("listpeerchannels", channel_id=channel_id)["channels"]
    return str(shown["state"])


def expiry_of(node: Daemon, channel_id: str) -> int:
    [shown] = node.call("listpeerchannels", channel_id=channel_id)["channels"]
    [htlc] = shown["htlcs"]
    return int(htlc["expiry"])


def mine_to(three: Three, height: int) -> None:
    while (now := int(three.chain.call("getblockcount"))) < height:
        three.mine(min(height - now, 1))


def mempool_has(three: Three, count: int) -> None:
    wait_for(lambda: len(three.chain.call("getrawmempool")) >= count, f"{count} in the mempool", 20)


def test_the_payee_vanishes__the_forwarder_gets_it_back_and_the_payer_is_told(three: Three) -> None:
    ab, bc = three.channel_ids
    before = {node: total_sat(node) for node in (three.a, three.b)}
    made = half_paid(three)
    expiry = expiry_of(three.b, bc)
    three.c.kill()
    mine_to(three, expiry + GRACE)
    wait_for(lambda: state(three.b, bc) == "AWAITING_UNILATERAL", "B to give C up")
    mempool_has(three, 1)
    three.mine()
    wait_for(lambda: state(three.b, bc) == "ONCHAIN", "the commitment in a block")
    mempool_has(three, 1)
    mine_to(three, int(three.chain.call("getblockcount")) + RESOLVED_DEPTH + 6)
    failed = three.a.call("listsendpays", payment_hash=made["payment_hash"])["payments"]
    wait_for(
        lambda: (
            three.a.call("listsendpays", payment_hash=made["payment_hash"])["payments"][0]["status"]
            == "failed"
        ),
        f"the failure to reach A: {failed}",
    )
    assert state(three.a, ab) == "CHANNELD_NORMAL", "nobody else had to close"
    assert total_sat(three.a) == before[three.a]
    three.mine(3)
    assert before[three.b] - FEES_SAT < total_sat(three.b) <= before[three.b]


def test_the_payer_vanishes__the_preimage_is_shown_on_chain_and_found_there(three: Three) -> None:
    ab, bc = three.channel_ids
    before = {node: total_sat(node) for node in three.nodes}
    made = half_paid(three)
    expiry = expiry_of(three.b, ab)
    three.a.kill()
    # The rest comes from B itself: now C takes both, and B knows the preimage.
    second = three.route(AMOUNT_MSAT)[1]
    three.b.call(
        "sendpay",
        route=[second],
        payment_hash=made["payment_hash"],
        payment_secret=made["payment_secret"],
        bolt11=made["bolt11"],
        amount_msat=2 * AMOUNT_MSAT,
        partid=2,
    )
    wait_for(lambda: not three.channel(three.b, bc)["htlcs"], "C to be paid", 20)
    mine_to(three, expiry - CLAIM_BLOCKS)
    wait_for(lambda: state(three.b, ab) == "AWAITING_UNILATERAL", "B to go to court")
    mempool_has(three, 1)
    three.mine()
    mempool_has(three, 1)
    three.mine(8)
    three.a.start()
    three.mine()
    paid = wait_for(
        lambda: [
            p
            for p in three.a.call("listsendpays", payment_hash=made["payment_hash"])["payments"]
            if p["status"] == "complete"
        ],
        "A to find the preimage on chain",
        20,
    )
    assert len(paid[0]["payment_preimage"]) == 64
    three.mine(10)
    fee_sat = 601
    expected = {
        three.a: before[three.a] - AMOUNT_MSAT // 1000 - fee_sat,
        three.b: before[three.b] - AMOUNT_MSAT // 1000 + fee_sat,
        three.c: before[three.c] + 2 * AMOUNT_MSAT // 1000,
    }
    for node, sat in expected.items():
        assert sat - FEES_SAT < total_sat(node) <= sat + 1


def test_a_cheat_from_an_old_copy_loses_everything(three: Three, tmp_path: Path) -> None:
    """B goes back to a copy of its directory in which it was richer, and closes by force."""
    ab, _ = three.channel_ids
    three.b.stop()
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "b", copy)
    three.b.start()
    three.wait_ready(three.b, ab)
    before = total_sat(three.a)
    made = three.b.call("keysend", destination=three.a.node_id, amount_msat=300_000_000)
    assert made["status"] == "complete"
    three.wait_quiet()
    three.b.stop()
    three.a.kill()
    shutil.rmtree(tmp_path / "b")
    copy.rename(tmp_path / "b")
    three.b.start()
    three.b.call("close", id=ab, unilateraltimeout=1)
    mempool_has(three, 1)
    three.mine()
    three.a.start()
    three.mine()
    wait_for(lambda: state(three.a, ab) == "ONCHAIN", "the cheat to be seen")
    mempool_has(three, 1)
    three.mine(3)
    # Everything that B had in the channel is A's now, not only what it was paid.
    assert total_sat(three.a) > before + PUSH // 1000 - FEES_SAT
    three.mine(10)
    shown = three.a.call("history")
    assert shown
