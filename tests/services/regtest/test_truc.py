"""Version 3 (TRUC, BIP 431): each rule from both sides of its edge, alone and in packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faucet import ELSEWHERE, SCRIPT, of_vsize, output_of, spend
from tests.support.regtest_node import TestClock, coin, funded, refused, send, words
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction
from wallet.services.regtest.mempool import fee_at, format_money
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.packages import Verdict
from wallet.services.regtest.policy import described

TRUC = "TRUC-violation, "


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock)
    yield made
    made.close()


def parent_of(node: Regtest, fee: int = 1_000, version: int = 3, height: int = 1) -> Transaction:
    return spend([coin(node, height)], fee, parts=4, version=version)


def child_of(tx: Transaction, index: int = 0, fee: int = 1_000, version: int = 3) -> Transaction:
    return spend([output_of(tx, index)], fee, version=version)


def broken(verdict: Verdict) -> str:
    """Why the package as such was refused."""
    assert verdict.malformed
    return verdict.failure


# Inheritance (rule 2).


@pytest.mark.parametrize(("above", "below"), [(3, 3), (2, 2), (2, 3), (3, 2)])
def test_inherited__by_all_or_none(node: Regtest, above: int, below: int) -> None:
    """One by one, tested together, and in a package for which the child pays."""
    parent = parent_of(node, version=above)
    child = child_of(parent, version=below)
    free = parent_of(node, 0, version=above, height=2)
    payer = child_of(free, version=below)
    if above == below:
        assert words(node.rehearse([parent, child]), parent, child) == ["in", "in"]
        send(node, parent, child)
        assert not node.submit_package([free, payer]).failure
        assert len(node.mempool.entries) == 4
        return
    forms = {2: "non-version=3", 3: "version=3"}

    def complaint(one: Transaction, other: Transaction) -> str:
        mine, theirs = f"{forms[below]} {described(one)}", f"{forms[above]} {described(other)}"
        return f"{TRUC}{mine} cannot spend from {theirs}"

    assert broken(node.rehearse([parent, child])) == complaint(child, parent)
    assert broken(node.submit_package([free, payer])) == complaint(payer, free)
    assert not node.mempool.entries
    send(node, parent)
    assert refused(node, child) == complaint(child, parent)
    node.generate(1, SCRIPT)
    send(node, child)  # Once the parent is mined the rule is over.


# Sizes (rules 4 and 5).


def test_size__ten_thousand(node: Regtest) -> None:
    node.check(of_vsize([coin(node, 1)], 10_000, 10_000, version=3))
    large = of_vsize([coin(node, 1)], 10_000, 10_001, version=3)
    assert refused(node, large) == (
        f"{TRUC}version=3 {described(large)} is too big: 10001 > 10000 virtual bytes"
    )
    node.check(of_vsize([coin(node, 1)], 10_000, 10_001))


def test_size__a_child_one_thousand(node: Regtest) -> None:
    parent, free = parent_of(node), parent_of(node, 0, height=2)
    send(node, parent)
    node.check(of_vsize([output_of(parent, 0)], 5_000, 1_000, version=3))
    large = of_vsize([output_of(parent, 0)], 5_000, 1_001, version=3)
    complaint = "version=3 child {} is too big: 1001 > 1000 virtual bytes"
    assert refused(node, large) == TRUC + complaint.format(described(large))
    payer = of_vsize([output_of(free, 0)], 5_000, 1_001, version=3)
    assert broken(node.submit_package([free, payer])) == TRUC + complaint.format(described(payer))
    payer = of_vsize([output_of(free, 0)], 5_000, 1_000, version=3)
    assert not node.submit_package([free, payer]).failure
    node.generate(1, SCRIPT)
    send(node, large)  # No child any more.


# Ancestors and descendants (rule 3).


def test_ancestors__two_parents(node: Regtest) -> None:
    one, other = parent_of(node), parent_of(node, height=2)
    both = spend([output_of(one, 0), output_of(other, 0)], 5_000, version=3)
    complaint = f"{TRUC}{described(both)} would have too many ancestors"
    assert broken(node.rehearse([one, other, both])) == complaint
    send(node, one, other)
    assert refused(node, both) == complaint
    free, also = parent_of(node, 0, height=3), parent_of(node, 0, height=4)
    payer = spend([output_of(free, 0), output_of(also, 0)], 5_000, version=3)
    complaint = f"{TRUC}{described(payer)} would have too many ancestors"
    assert broken(node.submit_package([free, also, payer])) == complaint


def test_ancestors__one_here_and_one_in_the_package(node: Regtest) -> None:
    here, free = parent_of(node), parent_of(node, 0, height=2)
    send(node, here)
    payer = spend([output_of(here, 0), output_of(free, 0)], 5_000, version=3)
    complaint = f"{TRUC}{described(payer)} would have too many ancestors"
    assert broken(node.submit_package([free, payer])) == complaint


def test_ancestors__a_third_generation(node: Regtest) -> None:
    first = parent_of(node)
    second = child_of(first)
    third = child_of(second)
    complaint = f"{TRUC}{described(third)} would have too many ancestors"
    assert broken(node.rehearse([first, second, third])) == complaint
    send(node, first)
    free = child_of(first, 1, fee=0)
    payer = child_of(free)
    assert broken(node.submit_package([free, payer])) == (
        f"{TRUC}{described(payer)} would have too many ancestors"
    )
    send(node, second)
    assert refused(node, third) == complaint
    node.generate(1, SCRIPT)
    send(node, third)


def test_descendants__a_second_child_must_pay_for_the_first(node: Regtest) -> None:
    """Sibling eviction: without a conflict, but as if there were one."""
    parent = parent_of(node)
    first = child_of(parent)
    send(node, parent, first)
    step = fee_at(100, first.vsize)
    cheap = child_of(parent, 1, fee=1_000 + step - 1)
    assert refused(node, cheap) == (
        f"insufficient fee (including sibling eviction), rejecting replacement {cheap.txid}, not "
        f"enough additional fees to relay; {format_money(step - 1)} < {format_money(step)}"
    )
    enough = child_of(parent, 1, fee=1_000 + step)
    assert node.check(enough).replaced == {first.txid}
    send(node, enough)
    assert set(node.mempool.entries) == {parent.txid, enough.txid}


def test_descendants__a_sibling_and_a_rival_at_once(node: Regtest) -> None:
    parent, rival = parent_of(node), spend([coin(node, 2)], 700)
    first = child_of(parent)
    send(node, parent, first, rival)
    better = spend([output_of(parent, 1), coin(node, 2)], 5_000, version=3)
    assert node.check(better).replaced == {first.txid, rival.txid}


def test_descendants__no_sibling_is_evicted_for_a_package(node: Regtest) -> None:
    parent = parent_of(node)
    first = child_of(parent)
    send(node, parent, first)
    complaint = f"{TRUC}{described(parent)} would exceed descendant count limit"
    second = child_of(parent, 1, fee=50_000)
    unrelated = spend([coin(node, 2)], 1_000)
    tested = node.rehearse([second, unrelated])
    assert words(tested, second, unrelated) == [complaint, "not looked at"]
    free = child_of(parent, 1, fee=0)
    payer = child_of(free, fee=90_000)
    verdict = node.submit_package([free, payer])
    assert verdict.failure == "transaction failed"
    assert words(verdict, free, payer)[0] == complaint
    # By itself it may, in a package too; its own child is then a third generation.
    grandchild = child_of(second)
    verdict = node.submit_package([second, grandchild])
    assert words(verdict, second, grandchild) == [
        "in",
        f"{TRUC}{described(grandchild)} would have too many ancestors",
    ]
    assert first.txid not in node.mempool.entries


def test_descendants__two_children_in_a_package(node: Regtest) -> None:
    parent = parent_of(node)
    children = [child_of(parent, 0), child_of(parent, 1)]
    alone = spend([coin(node, 2)], 1_000, version=3)
    complaint = f"{TRUC}{described(parent)} would exceed descendant count limit"
    assert broken(node.rehearse([parent, *children, alone])) == complaint
    assert words(node.rehearse([parent, children[0], alone]), alone) == ["in"]
    send(node, parent)
    assert broken(node.rehearse(children)) == complaint


# Replaceability (rule 1) and fees (rule 6).


@pytest.mark.parametrize("version", [2, 3])
def test_replaceable__whatever_the_sequence_says(node: Regtest, version: int) -> None:
    first = spend([coin(node, 1)], 1_000, version=3, sequence=SEQUENCE_FINAL)
    send(node, first)
    send(node, spend([coin(node, 1)], 3_000, version=version))
    assert first.txid not in node.mempool.entries


def test_free__in_a_package_only(node: Regtest) -> None:
    free = parent_of(node, 0)
    payer = child_of(free, fee=200)
    assert refused(node, free) == f"min relay fee not met, 0 < {fee_at(100, free.vsize)}"
    assert not node.submit_package([free, payer]).failure
    assert list(node.mempool.entries) == [free.txid, payer.txid]
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


# Reorgs.


def test_reorg__nothing_of_it_is_asked(node: Regtest) -> None:
    """What has been in a block was never bound by it, and what builds on that came later."""
    old, new, wide = (parent_of(node, version=v, height=h) for v, h in ((2, 1), (3, 2), (3, 3)))
    chain = [parent_of(node, height=4)]
    for _ in range(2):
        chain.append(child_of(chain[-1]))
    node.generate_block(SCRIPT, [old, new, wide, *chain])
    later = [
        child_of(old, version=3),
        child_of(new, version=2),
        of_vsize([output_of(wide, 0)], 5_000, 1_001, version=3),
        child_of(chain[-1], version=2),
    ]
    send(node, *later)
    node.reorg(1, ELSEWHERE)
    assert set(node.mempool.entries) == {tx.txid for tx in [old, new, wide, *chain, *later]}
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


def test_reorg__of_several_children_none_is_evicted_but_each_replaced(node: Regtest) -> None:
    parent = parent_of(node)
    send(node, parent)
    node.generate(1, SCRIPT)
    children = [child_of(parent, 0), child_of(parent, 1)]
    send(node, *children)
    node.reorg(1, ELSEWHERE)
    assert node.mempool.children(parent.txid) == {tx.txid for tx in children}
    assert refused(node, child_of(parent, 2, fee=50_000)) == (
        f"{TRUC}{described(parent)} would exceed descendant count limit"
    )
    better = child_of(parent, 0, fee=50_000)
    send(node, better)
    assert node.mempool.children(parent.txid) == {better.txid, children[1].txid}


def test_reorg__a_package_comes_back_whole(node: Regtest) -> None:
    free = parent_of(node, 0)
    payer = child_of(free, fee=5_000)
    node.submit_package([free, payer])
    node.generate(1, SCRIPT)
    node.reorg(1, ELSEWHERE)
    assert list(node.mempool.entries) == [free.txid, payer.txid]
    assert [e.tx for e in node.mempool.template()] == [free, payer]
