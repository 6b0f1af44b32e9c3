"""Where a closed channel's money is, block by block: every satoshi is counted once."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.daemons import Duo
from tests.support.terminal import answer, typed
from wallet.base.bitcoin.transaction import Transaction

CAPACITY_SAT = 1_000_000
PUSHED_SAT = 400_000
TO_SELF_DELAY = 6
ANCHORS_SAT = 2 * 330


@pytest.fixture
def duo(tmp_path: Path) -> Iterator[Duo]:
    with Duo(tmp_path, CAPACITY_SAT, PUSHED_SAT * 1000) as duo:
        yield duo


def balance(node: Daemon) -> dict[str, int]:
    """What lies on chain or is about to, in satoshi."""
    found = answer(node.socket, "balance")
    return {name: found[f"{name}_msat"] // 1000 for name in ("closing", "onchain", "unconfirmed")}


def total(node: Daemon) -> int:
    return sum(balance(node).values())


def close_mark(node: Daemon) -> str:
    """The word for the money, as `leyden history` prints it."""
    _, seen = typed(node.socket, "history", "--kind", "channel_close")
    found = re.search(r"channel close .*  (on its way|confirmed, \d+ blocks?)  ", seen)
    assert found is not None, seen
    return found[1]


def in_mempool(duo: Duo) -> Transaction:
    """The one transaction that waits for a block."""
    wait_for(lambda: len(duo.chain.call("getrawmempool")) == 1, "a transaction in the mempool")
    [txid] = duo.chain.call("getrawmempool")
    return Transaction.decode(bytes.fromhex(duo.chain.call("getrawtransaction", txid)))


def paid(tx: Transaction) -> int:
    return sum(output.amount.sat for output in tx.outputs)


def status(node: Daemon) -> tuple[Any, Any]:
    [item] = answer(node.socket, "history", "--kind", "channel_close")["history"]
    return item["status"], item.get("blockheight")


def ends(node: Daemon) -> bool:
    return status(node) == ("pending", None)


def test_force_close__every_sat_is_counted_once_in_each_block(duo: Duo) -> None:
    payer, payee = duo.nodes
    before = {node: total(node) for node in duo.nodes}
    share = CAPACITY_SAT - PUSHED_SAT
    # Told of the failure, the payee would offer its own commitment, and either could win.
    payee.kill()
    payer.call("close", id=payee.node_id, unilateraltimeout=1)
    commitment = in_mempool(duo)
    assert balance(payer) == {"closing": share, "onchain": before[payer], "unconfirmed": 0}
    assert (status(payer), close_mark(payer)) == (("pending", None), "on its way")

    duo.mine()
    payee.start()
    duo.wait_synced()
    # The opener pays for the commitment and both anchors.
    left = share - (CAPACITY_SAT - paid(commitment)) - ANCHORS_SAT
    assert balance(payer) == {"closing": left, "onchain": before[payer], "unconfirmed": 0}
    assert balance(payee) == {"closing": PUSHED_SAT, "onchain": before[payee], "unconfirmed": 0}
    assert close_mark(payer) == "confirmed, 1 block"

    theirs = paid(in_mempool(duo))
    assert total(payee) == before[payee] + PUSHED_SAT
    duo.mine()
    assert balance(payee) == {"closing": 0, "onchain": before[payee] + theirs, "unconfirmed": 0}
    assert (status(payee)[0], close_mark(payee)) == ("complete", "confirmed, 2 blocks")

    for _ in range(TO_SELF_DELAY - 2):
        assert balance(payer) == {"closing": left, "onchain": before[payer], "unconfirmed": 0}
        duo.mine()
    ours = paid(in_mempool(duo))
    assert total(payer) == before[payer] + left
    assert status(payer)[0] == "pending"
    duo.mine()
    for blocks in (7, 8):
        assert balance(payer) == {"closing": 0, "onchain": before[payer] + ours, "unconfirmed": 0}
        assert (status(payer)[0], close_mark(payer)) == ("complete", f"confirmed, {blocks} blocks")
        duo.mine()
    duo.mine(100)
    for node, swept in ((payer, ours), (payee, theirs)):
        assert total(node) == before[node] + swept
        assert node.call("listclosedchannels")["closedchannels"]


def test_mutual_close__every_sat_is_counted_once_in_each_block(duo: Duo) -> None:
    payer, payee = duo.nodes
    before = {node: total(node) for node in duo.nodes}
    shares = {payer: CAPACITY_SAT - PUSHED_SAT, payee: PUSHED_SAT}
    payer.call("close", id=payee.node_id)
    waiting = in_mempool(duo)
    for node, share in shares.items():
        wait_for(partial(ends, node), "the end")
        assert balance(node) == {"closing": share, "onchain": before[node], "unconfirmed": 0}
    assert close_mark(payer) == "on its way"
    # Either may pay the fee: a mempool keeps the transaction that it has seen first.
    less, more = sorted(output.amount.sat for output in waiting.outputs)
    fees = {payer: shares[payer] - more, payee: shares[payee] - less}
    assert sorted(fees.values()) == [0, CAPACITY_SAT - paid(waiting)]
    for blocks in ("1 block", "2 blocks"):
        duo.mine()
        for node, share in shares.items():
            there = before[node] + share - fees[node]
            assert balance(node) == {"closing": 0, "onchain": there, "unconfirmed": 0}
            assert status(node)[0] == "complete"
            assert close_mark(node) == f"confirmed, {blocks}"
