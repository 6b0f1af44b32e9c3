"""The chain decides between LDK and us: closes by force with HTLCs pending, and penalties."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.interop.ldk.line import Line
from tests.interop.ldk.pair import NOBODY, Pair

AMOUNT_MSAT = 60_000_000
DUST_MSAT = 200_000
FEES_SAT = 8_000
LDKS_DELAY = 144
"""`to_self_delay` that LDK asks of us."""


@pytest.fixture
def line(ldk_package: None, tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path, mapped=False)
    yield made
    made.close()


def between(line: Line) -> dict[str, Any]:
    """Bob's channel with L1."""
    [channel] = [
        c for c in line.bob.call("listpeerchannels")["channels"] if c["peer_id"] == line.l1.node_id
    ]
    return dict(channel)


def hold(line: Line, amount_msat: int) -> dict[str, Any]:
    """Bob pays an invoice of L1's, which claims it only when told to."""
    invoice = line.l1.call("create_invoice", amount_msat=amount_msat)
    line.bob.call(
        "sendpay",
        route=[
            {
                "id": line.l1.node_id,
                "channel": between(line)["short_channel_id"],
                "amount_msat": amount_msat,
                "delay": 30,
            }
        ],
        payment_hash=invoice["payment_hash"],
        payment_secret=invoice["payment_secret"],
        bolt11=invoice["invoice"],
    )
    event = line.l1.call(
        "wait_event", types=["PaymentClaimable"], match={"payment_hash": invoice["payment_hash"]}
    )
    return {**invoice, "preimage": event["purpose"]["payment_preimage"]}


def coins_sat(daemon: Daemon) -> int:
    outputs = daemon.call("listfunds")["outputs"]
    return sum(int(o["amount_msat"]) for o in outputs if o["status"] != "spent") // 1000


def state_of(pair: Pair) -> str:
    """Of the only channel there ever was."""
    [channel] = pair.daemon.call("listpeerchannels")["channels"]
    return str(channel["state"])


def status_of(line: Line, invoice: dict[str, Any]) -> str:
    found = line.bob.call("listsendpays", payment_hash=invoice["payment_hash"])["payments"]
    return str(found[0]["status"])


@pytest.mark.parametrize("closer", ["ours", "theirs"])
def test_a_close_by_force_with_htlcs_both_ways_and_dust(
    line: Line, closer: Literal["ours", "theirs"]
) -> None:
    for ldk in (line.l1, line.l2):
        ldk.call("set", autoclaim=False)
    before = coins_sat(line.bob)
    claimed = hold(line, AMOUNT_MSAT)
    taken_back = hold(line, AMOUNT_MSAT + 1_000)
    dust = hold(line, DUST_MSAT)
    # One from L1 that Bob has passed on to L2, which holds it.
    passed = line.l2.call("create_invoice", amount_msat=AMOUNT_MSAT)
    line.l1.call("pay_invoice", invoice=passed["invoice"])
    through = line.l2.call(
        "wait_event", types=["PaymentClaimable"], match={"payment_hash": passed["payment_hash"]}
    )
    mine = int(between(line)["to_us_msat"]) // 1000
    expiry = max(int(h["expiry"]) for h in between(line)["htlcs"] if h["direction"] == "out")
    channel_id = between(line)["channel_id"]
    if closer == "ours":
        line.bob.call("close", id=channel_id, unilateraltimeout=1)
    else:
        line.l1.call("force_close", channel_id=channel_id)
    wait_for(lambda: between(line)["state"] == "AWAITING_UNILATERAL", "both to give up", 20)
    line.mine()
    wait_for(lambda: between(line)["state"] == "ONCHAIN", "the close in a block", 20)

    # LDK claims one by preimage on chain; L2 gives the other, with which Bob claims from L1.
    line.l1.call("claim", preimage=claimed["preimage"])
    line.l2.call("claim", preimage=through["purpose"]["payment_preimage"])
    wait_for(lambda: line.bob.call("listforwards", status="settled")["forwards"], "the preimage")
    for _ in range(4):
        line.mine()
    wait_for(lambda: status_of(line, claimed) == "complete", "LDK's preimage, seen on chain", 20)
    done = line.l1.call("wait_payment", payment_hash=passed["payment_hash"])
    assert done["state"] == "sent", done
    assert status_of(line, taken_back) == "pending"
    for _ in range(4):
        line.mine()
    wait_for(lambda: status_of(line, dust) == "failed", "the dust, with the commitment", 20)

    height = int(line.chain.call("getblockcount"))
    line.mine(max(expiry - height, 1))
    for _ in range(10):
        line.mine()
    wait_for(lambda: status_of(line, taken_back) == "failed", "the timeout, deep enough", 20)
    line.mine(LDKS_DELAY)
    line.mine(3)
    fee_sat = 601
    expected = mine - AMOUNT_MSAT // 1000 + AMOUNT_MSAT // 1000 + fee_sat
    got = coins_sat(line.bob) - before
    assert expected - FEES_SAT < got <= expected + 1


@pytest.fixture
def fresh(ldk_package: None, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.close()


def test_ldk_broadcasts_what_it_has_revoked__all_of_it_is_ours(fresh: Pair, tmp_path: Path) -> None:
    """LDK is put back to a copy in which it was richer, and closes by force out of our sight."""
    fresh.open("theirs")
    fresh.balances()
    before = coins_sat(fresh.daemon)
    fresh.ldk.stop()
    copy = tmp_path / "copy"
    shutil.copytree(fresh.ldk.directory, copy)
    fresh.ldk.start()
    fresh.connect()
    fresh.wait_usable()
    fresh.they_pay(200_000_000)
    fresh.they_pay(1_000_000)
    fresh.balances()
    channel_id = fresh.daemon.channel()["channel_id"]
    fresh.ldk.kill()
    fresh.daemon.kill()
    shutil.rmtree(fresh.ldk.directory)
    copy.rename(fresh.ldk.directory)
    fresh.ldk.start()
    fresh.ldk.call("force_close", channel_id=channel_id)
    fresh.ldk.call("flush")
    wait_for(lambda: fresh.chain.call("getrawmempool"), "the revoked commitment")
    fresh.chain.call("generatetoaddress", 1, NOBODY)
    fresh.daemon.start()
    wait_for(lambda: state_of(fresh) == "ONCHAIN", "the cheat to be seen")
    wait_for(lambda: fresh.chain.call("getrawmempool"), "the penalty")
    fresh.mine(3)
    assert coins_sat(fresh.daemon) - before > 1_000_000 - FEES_SAT


def test_we_broadcast_what_we_have_revoked__ldk_takes_all_of_it(
    fresh: Pair, tmp_path: Path
) -> None:
    fresh.open("ours")
    fresh.balances()
    fresh.daemon.stop()
    home = tmp_path / "leyden"
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    fresh.daemon.start()
    fresh.connect()
    fresh.wait_usable()
    fresh.we_pay(200_000_000)
    fresh.balances()
    before = int(fresh.ldk.call("info")["wallet_sat"])
    fresh.ldk.kill()
    fresh.daemon.kill()
    shutil.rmtree(home)
    copy.rename(home)
    fresh.daemon.start()
    fresh.daemon.call("close", id=fresh.daemon.channel()["channel_id"], unilateraltimeout=1)
    wait_for(lambda: fresh.chain.call("getrawmempool"), "our revoked commitment")
    fresh.chain.call("generatetoaddress", 1, NOBODY)
    fresh.ldk.start()
    fresh.ldk.call("sync", height=fresh.chain.call("getblockcount"))
    wait_for(lambda: fresh.chain.call("getrawmempool"), "LDK's penalty")
    for _ in range(8):
        fresh.mine()
    assert int(fresh.ldk.call("info")["wallet_sat"]) - before > 1_000_000 - FEES_SAT
