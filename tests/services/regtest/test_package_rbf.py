"""Replacing by a package: a parent and a child, as one transaction that pays for itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faucet import SCRIPT, output_of, spend
from tests.support.regtest_node import TestClock, coin, funded, send, words
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import Txid
from wallet.services.regtest.mempool import fee_at, format_money
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.packages import Accepted, Verdict

FAILED = "package RBF failed: "


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock, 130)
    yield made
    made.close()


def package(
    node: Regtest, parent_fee: int, child_fee: int, *, height: int = 1, version: int = 2
) -> list[Transaction]:
    """A parent that spends a faucet coin, and its child."""
    parent = spend([coin(node, height)], parent_fee, version=version)
    return [parent, spend([output_of(parent, 0)], child_fee, version=version)]


def vsize(txs: list[Transaction]) -> int:
    return sum(tx.vsize for tx in txs)


def denied(node: Regtest, txs: list[Transaction]) -> str:
    """Why a package may not replace what is here, which stays."""
    before = list(node.mempool.entries)
    verdict = node.submit_package(txs)
    assert verdict.malformed
    assert list(node.mempool.entries) == before
    return verdict.failure


def replaced(verdict: Verdict) -> dict[Txid, frozenset[Txid]]:
    """Which outcomes tell of something replaced, and of what."""
    return {
        outcome.entry.tx.txid: outcome.replaced
        for outcome in verdict.outcomes.values()
        if isinstance(outcome, Accepted) and outcome.replaced
    }


@pytest.mark.parametrize("version", [2, 3])
def test_replaced__family_by_family(node: Regtest, version: int) -> None:
    """The new parent pays nothing (if TRUC) or too little to replace the old one alone."""
    old = package(node, 1_000, 1_000, version=version)
    new = package(node, 0 if version == 3 else 999, 5_000, version=version)
    assert not node.submit_package(old).failure
    tested = node.rehearse(new)
    assert words(tested, *new) == ["bip125-replacement-disallowed", "not looked at"]
    verdict = node.submit_package(new)
    assert words(verdict, *new) == ["in", "in"]
    assert replaced(verdict) == {new[0].txid: {tx.txid for tx in old}}
    assert list(node.mempool.entries) == [tx.txid for tx in new]
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


def test_fees__at_least_what_is_replaced(node: Regtest) -> None:
    """Rule 3: the fees of all that goes, whatever the feerates."""
    old = package(node, 1_000, 0)
    old[1] = spend([output_of(old[0], 0)], 5_000, parts=10)
    send(node, *old)
    new = package(node, 999, 5_000)
    assert denied(node, new) == (
        f"{FAILED}insufficient anti-DoS fees, rejecting replacement {new[1].txid}, "
        "less fees than conflicting txs; 0.00005999 < 0.00006"
    )


def test_fees__and_its_own_relay(node: Regtest) -> None:
    """Rule 4, on both sides of the edge."""
    send(node, *package(node, 1_000, 5_000))
    step = fee_at(100, vsize(package(node, 1_000, 5_000)))
    short = package(node, 999, 5_001 + step - 1)
    assert denied(node, short) == (
        f"{FAILED}insufficient anti-DoS fees, rejecting replacement {short[1].txid}, not enough "
        f"additional fees to relay; {format_money(step - 1)} < {format_money(step)}"
    )
    assert not node.submit_package(package(node, 999, 5_001 + step)).failure


def test_feerate__the_child_must_be_the_better_half(node: Regtest) -> None:
    """Or a miner takes the parent alone, and nobody pays for the relay of the child."""
    old = package(node, 1_000, 8_000)
    send(node, *old)
    # Sizes are the same, so the same fee is the same feerate.
    same = package(node, 5_000, 5_000)
    assert same[0].vsize == same[1].vsize
    rate = f"0.{5_000 * 1000 // same[0].vsize:08d} BTC/kvB"
    assert denied(node, same) == (
        f"{FAILED}package feerate is less than or equal to parent feerate, "
        f"package feerate {rate} <= parent feerate is {rate}"
    )
    assert not node.submit_package(package(node, 5_000, 5_001)).failure


def test_feerate__better_for_miners_at_every_size(node: Regtest) -> None:
    """More fees in all, but a worse first half than what is here."""
    send(node, *package(node, 5_000, 100))
    assert denied(node, package(node, 4_000, 5_000)) == (
        f"{FAILED}insufficient feerate: does not improve feerate diagram"
    )
    assert not node.submit_package(package(node, 4_999, 5_200)).failure


def test_feerate__of_a_large_parent_made_up_for(node: Regtest) -> None:
    """It pays for all it replaces, but at a lower rate than what is here."""
    send(node, spend([coin(node, 1)], 10_000))
    parent = spend([coin(node, 1)], 20_000, parts=200)
    child = spend([output_of(parent, 0)], 900_000)
    short = spend([output_of(parent, 0)], 300_000)
    verdict = node.submit_package([parent, short])
    assert verdict.failure == f"{FAILED}insufficient feerate: does not improve feerate diagram"
    assert words(verdict, parent)[0].startswith("replacement-failed, ")
    assert not node.submit_package([parent, child]).failure


def test_form__one_of_two_is_no_package(node: Regtest) -> None:
    """What is left when the parent is in is judged as it is alone."""
    parent, rival = spend([coin(node, 1)], 1_000), spend([coin(node, 2)], 9_000)
    send(node, rival)
    child = spend([output_of(parent, 0), coin(node, 2)], 8_999)
    verdict = node.submit_package([parent, child])
    assert (verdict.failure, verdict.malformed) == ("transaction failed", False)
    assert words(verdict, parent, child) == [
        "in",
        f"insufficient fee, rejecting replacement {child.txid}, less fees than conflicting txs; "
        "0.00008999 < 0.00009",
    ]


def test_form__two_only(node: Regtest) -> None:
    send(node, *package(node, 1_000, 1_000), *package(node, 1_000, 1_000, height=2))
    parents = [spend([coin(node, height)], 999) for height in (1, 2)]
    child = spend([output_of(tx, 0) for tx in parents], 50_000)
    assert denied(node, [*parents, child]) == f"{FAILED}package must be 1-parent-1-child"


def test_form__nothing_unconfirmed_above(node: Regtest) -> None:
    """A parent that entered by itself is above the rest, too."""
    old = package(node, 1_000, 1_000)
    send(node, *old)
    rival, other = spend([coin(node, 1)], 999), spend([coin(node, 2)], 1_000)
    child = spend([output_of(rival, 0), output_of(other, 0)], 50_000)
    verdict = node.submit_package([rival, other, child])
    assert verdict.failure == f"{FAILED}new transaction cannot have mempool ancestors"
    assert words(verdict, other) == ["in"]
    assert set(node.mempool.entries) == {*(tx.txid for tx in old), other.txid}


def test_form__the_child_may_not_conflict_with_what_its_parent_builds_on(node: Regtest) -> None:
    above = spend([coin(node, 1)], 1_000)
    send(node, above)
    node.mempool.min_fee = 2_000
    parent = spend([output_of(above, 0)], 100)
    child = spend([output_of(parent, 0), coin(node, 1)], 50_000)
    assert denied(node, [parent, child]) == (
        f"{FAILED}new transaction cannot have mempool ancestors"
    )


def test_form__a_hundred_clusters(node: Regtest) -> None:
    """Rule 5, here of a parent whose own fee is not enough."""
    fan = spend([coin(node, 1)], 20_000, parts=101)
    send(node, fan)
    node.generate(1, SCRIPT)
    coins = [output_of(fan, index) for index in range(101)]
    send(node, *(spend([money], 1_000) for money in coins))

    def rival(count: int) -> list[Transaction]:
        parent = spend(coins[:count], 50_000)
        return [parent, spend([output_of(parent, 0)], 200_000)]

    many = rival(101)
    verdict = node.submit_package(many)
    assert verdict.failure == "transaction failed"
    assert words(verdict, many[0]) == [
        f"too many potential replacements, rejecting replacement {many[0].txid}; "
        "too many conflicting clusters (101 > 100)"
    ]
    assert not node.submit_package(rival(100)).failure
    assert len(node.mempool.entries) == 3


def test_form__a_hundred_clusters_of_parent_and_child(node: Regtest) -> None:
    """Each half is within the limit, both together are not."""
    fan = spend([coin(node, 1)], 20_000, parts=101)
    send(node, fan)
    node.generate(1, SCRIPT)
    coins = [output_of(fan, index) for index in range(101)]
    send(node, *(spend([money], 1_000) for money in coins))
    parent = spend(coins[:60], 50_000)

    def child(count: int) -> Transaction:
        return spend([output_of(parent, 0), *coins[60:count]], 200_000)

    many = child(101)
    assert denied(node, [parent, many]) == (
        f"{FAILED}too many potential replacements, rejecting replacement {many.txid}; "
        "too many conflicting clusters (101 > 100)"
    )
    assert not node.submit_package([parent, child(100)]).failure
