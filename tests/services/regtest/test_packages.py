"""Packages: their form, the order of trying, what a child's fee can do and what it cannot."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faucet import ELSEWHERE, SCRIPT, Spendable, of_vsize, output_of, spend
from tests.support.regtest_node import TestClock, block_at, coin, funded, refused, send, words
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Txid
from wallet.services.regtest.mempool import fee_at
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.packages import Accepted, Verdict, check_form, is_child_with_parents
from wallet.services.regtest.policy import Rejected

FAILED = "transaction failed"
MISSING = "bad-txns-inputs-missingorspent"


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock, 130)
    yield made
    made.close()


def family(
    node: Regtest, parent_fee: int, child_fee: int, *, height: int = 1
) -> tuple[Transaction, Transaction]:
    """A parent that spends a faucet coin, and its child."""
    parent = spend([coin(node, height)], parent_fee, parts=2)
    return parent, spend([output_of(parent, 0)], child_fee)


def vsize(txs: Sequence[Transaction]) -> int:
    return sum(tx.vsize for tx in txs)


def rates(verdict: Verdict, *txs: Transaction) -> list[tuple[int, int, tuple[Txid, ...]]]:
    """Fees and sizes that counted for each, and whose they were."""
    found = [verdict.outcomes[tx.wtxid] for tx in txs]
    return [(o.fee, o.vsize, o.includes) for o in found if isinstance(o, Accepted)]


# Form.

SEED = [
    Spendable(OutPoint(Txid(bytes(31) + bytes((n,))), 0), Satoshi(100_000_000)) for n in range(30)
]
ONE, OTHER, THIRD = (spend([SEED[n]], 1_000, parts=2) for n in range(3))
CHILD = spend([output_of(ONE, 0)], 1_000)
OF_BOTH = spend([output_of(ONE, 1), output_of(OTHER, 0)], 1_000)
RIVAL = spend([SEED[0]], 2_000)
TWICE = replace(CHILD, inputs=CHILD.inputs * 2)
LIGHTER = [of_vsize([SEED[n]], 1_000, 50_500) for n in (4, 5)]
HEAVIER = [LIGHTER[0], of_vsize([SEED[5]], 1_000, 50_502)]


@pytest.mark.parametrize(
    ("package", "complaint"),
    [
        ([ONE], ""),
        ([ONE, OTHER, OF_BOTH], ""),
        ([ONE, CHILD, OF_BOTH, OTHER], "package-not-sorted"),
        ([CHILD, ONE], "package-not-sorted"),
        ([ONE, ONE], "package-contains-duplicates"),
        ([ONE, ONE.with_witness(0, ())], "package-contains-duplicates"),
        ([ONE, RIVAL], "conflict-in-package"),
        ([ONE, TWICE], ""),  # That transaction's own fault.
        ([spend([money], 1_000) for money in SEED[:25]], ""),
        ([spend([money], 1_000) for money in SEED[:26]], "package-too-many-transactions"),
        (LIGHTER, ""),
        (HEAVIER, "package-too-large"),
        ([replace(ONE, outputs=ONE.outputs * 10_000)], ""),  # Alone: its own fault.
    ],
)
def test_form(package: list[Transaction], complaint: str) -> None:
    if complaint:
        with pytest.raises(Rejected, match=f"^{complaint}$"):
            check_form(package)
    else:
        check_form(package)


@pytest.mark.parametrize(
    ("package", "good"),
    [
        ([ONE], True),
        ([ONE, CHILD], True),
        ([ONE, OTHER, OF_BOTH], True),
        ([OTHER, OF_BOTH], True),
        ([CHILD, ONE], False),
        ([ONE, OTHER], False),
        ([ONE, OTHER, CHILD], False),
        ([ONE, CHILD, spend([output_of(CHILD, 0), output_of(ONE, 1)], 9)], False),
    ],
)
def test_child_with_parents(package: list[Transaction], good: bool) -> None:
    assert is_child_with_parents(package) is good


# What a child's fee can do.


@pytest.mark.parametrize(
    ("knob", "reason"),
    [("min_fee", "mempool min fee not met"), ("min_relay_fee", "min relay fee not met")],
)
def test_child_pays__for_both_to_the_satoshi(node: Regtest, knob: str, reason: str) -> None:
    setattr(node.mempool, knob, 5_000)
    asked = fee_at(5_000, vsize(family(node, 0, 1_000)))
    short = family(node, 0, asked - 1)
    verdict = node.submit_package(short)
    assert verdict.failure == FAILED
    assert not verdict.malformed
    assert words(verdict, *short) == [
        f"{reason}, 0 < {fee_at(5_000, short[0].vsize)}",
        f"{reason}, {asked - 1} < {asked}",
    ]
    assert not node.mempool.entries
    enough = family(node, 0, asked)
    verdict = node.submit_package(enough)
    assert not verdict.failure
    both = tuple(tx.wtxid for tx in enough)
    assert rates(verdict, *enough) == [(asked, vsize(enough), both)] * 2
    assert list(node.mempool.entries) == [tx.txid for tx in enough]


def test_child_pays__for_several_parents(node: Regtest) -> None:
    """One that pays for itself enters by itself, and its fee helps nobody."""
    poor = [spend([coin(node, height)], 0) for height in (1, 2, 3)]
    rich = spend([coin(node, 4)], 90_000)
    child = spend([output_of(tx, 0) for tx in [*poor, rich]], 5_000)
    verdict = node.submit_package([poor[0], rich, *poor[1:], child])
    assert not verdict.failure
    together = [*poor, child]
    assert rates(verdict, rich) == [(90_000, rich.vsize, (rich.wtxid,))]
    assert set(rates(verdict, *together)) == {
        (5_000, vsize(together), tuple(tx.wtxid for tx in together))
    }


def test_child_pays__twenty_four_parents(node: Regtest) -> None:
    parents = [spend([coin(node, height)], 0) for height in range(1, 25)]
    child = spend([output_of(tx, 0) for tx in parents], 50_000)
    assert not node.submit_package([*parents, child]).failure
    assert len(node.mempool.entries) == 25
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


def test_parent_does_not_pay__for_its_child(node: Regtest) -> None:
    """The parent enters by itself: its fee would be a miner's without the child."""
    parent, child = family(node, 90_000, 5)
    verdict = node.submit_package([parent, child])
    assert verdict.failure == FAILED
    assert words(verdict, parent, child) == [
        "in",
        f"min relay fee not met, 5 < {fee_at(100, child.vsize)}",
    ]
    assert list(node.mempool.entries) == [parent.txid]


def test_child_does_not_harm__its_parent(node: Regtest) -> None:
    parent, child = family(node, 1_000, 1_000)
    odd = replace(child, version=0xFFFFFFFF)
    verdict = node.submit_package([parent, odd])
    assert verdict.failure == FAILED
    assert words(verdict, parent, odd) == ["in", "version"]


def test_nothing_else_than_a_fee__is_made_up_for(node: Regtest) -> None:
    """One that is refused for any other reason ends it for all that are not in yet."""
    poor, odd = spend([coin(node, 1)], 0), spend([coin(node, 2)], 1_000, version=4)
    child = spend([output_of(poor, 0), output_of(odd, 0)], 50_000)
    verdict = node.submit_package([poor, odd, child])
    assert verdict.failure == FAILED
    assert words(verdict, poor, odd, child) == [
        f"min relay fee not met, 0 < {fee_at(100, poor.vsize)}",
        "version",
        MISSING,
    ]
    assert not node.mempool.entries


def test_child_fails__when_tried_with_its_parent(node: Regtest) -> None:
    """Each way to fail late; scripts in the interpreter's words."""
    parent, child = family(node, 0, 50_000)
    complaint = f"min relay fee not met, 0 < {fee_at(100, parent.vsize)}"
    signature, key = child.inputs[0].witness
    rows: list[tuple[Transaction, str]] = [
        (spend([output_of(parent, 0)], 50_000, locktime=999), "non-final"),
        (spend([output_of(parent, 0)], 50_000, sequence=1), "non-BIP68-final"),
        (spend([output_of(parent, 0), coin(node, 130)], 50_000), "bad-txns-premature-spend-of-co"),
        (
            child.with_witness(0, (signature, key[:-1] + b"\x00")),
            "mempool-script-verify-flag-failed (Script failed an OP_EQUALVERIFY operation)",
        ),
    ]
    for other, reason in rows:
        verdict = node.submit_package([parent, other])
        assert verdict.failure == FAILED
        first, second = words(verdict, parent, other)
        assert first == complaint
        assert second.startswith(reason)
        assert not node.mempool.entries
    assert not node.submit_package([parent, child]).failure


@pytest.mark.parametrize(("above", "failure"), [(62, ""), (63, "too-large-cluster")])
def test_cluster__of_sixty_four(node: Regtest, above: int, failure: str) -> None:
    chain = [spend([coin(node, 1)], 1_000)]
    while len(chain) < above:
        chain.append(spend([output_of(chain[-1], 0)], 1_000))
    send(node, *chain)
    free = spend([output_of(chain[-1], 0)], 0)
    verdict = node.submit_package([free, spend([output_of(free, 0)], 5_000)])
    assert (verdict.failure, verdict.malformed) == (failure, bool(failure))


# What is here already.


def test_here__is_left_and_not_counted(node: Regtest) -> None:
    parent, child = family(node, 1_000, 1_000)
    send(node, parent)
    verdict = node.submit_package([parent, child])
    assert words(verdict, parent, child) == ["here", "in"]
    assert rates(verdict, child) == [(1_000, child.vsize, (child.wtxid,))]
    verdict = node.submit_package([parent, child])
    assert not verdict.failure
    assert words(verdict, parent, child) == ["here", "here"]
    stripped = parent.with_witness(0, ())
    assert words(node.submit_package([stripped, child]), stripped, child) == ["here", "here"]


def test_here__a_poor_parent_waits_for_its_child(node: Regtest) -> None:
    """It came in while it was cheap; its child needs no package."""
    parent, child = family(node, 20, 5_000)
    send(node, parent)
    node.mempool.min_fee = 5_000
    assert not node.submit_package([parent, child]).failure


def test_confirmed__parents_are_not_looked_for(node: Regtest) -> None:
    parent, child = family(node, 1_000, 1_000)
    send(node, parent)
    node.generate(1, SCRIPT)
    verdict = node.submit_package([parent, child])
    assert verdict.failure == FAILED
    assert words(verdict, parent, child) == ["txn-already-known", "in"]


# What the sender will pay at most.


def test_max_feerate__edge(node: Regtest) -> None:
    """Each transaction's own feerate, alone and together."""
    parent, child = family(node, 1_000, 1_100)
    limit = 10_000
    assert child.vsize == 110
    verdict = node.submit_package([parent, child], limit - 1)
    assert words(verdict, parent, child)[1] == "max feerate exceeded"
    free, payer = family(node, 0, 1_100, height=2)
    verdict = node.submit_package([free, payer], limit - 1)
    assert verdict.failure == FAILED
    assert words(verdict, free, payer)[1] == "max feerate exceeded"
    assert free.txid not in node.mempool.entries
    for package in ([parent, child], [free, payer]):
        assert not node.submit_package(package, limit).failure


# Announced, mined, returned.


def test_events__each_that_entered_once(node: Regtest) -> None:
    start = node.events.next
    package = family(node, 0, 5_000)
    node.submit_package(package)
    node.submit_package(package)
    found = [(event.kind, event.name) for event in node.events.since(start)]
    assert found == [("tx", str(tx.txid)) for tx in package]


def test_feerates_above_a_commitment__unbumped_stays_out_and_bumped_confirms(
    node: Regtest,
) -> None:
    """Both knobs above what was signed long ago: relay and miner want a child."""
    commitment, bump = family(node, 200, 20_000)
    node.mempool.min_fee = node.mempool.min_block_fee = 10_000
    asked = fee_at(10_000, commitment.vsize)
    assert refused(node, commitment) == f"mempool min fee not met, 200 < {asked}"
    verdict = node.submit_package([commitment])
    assert words(verdict, commitment) == [f"mempool min fee not met, 200 < {asked}"]
    node.generate(1, SCRIPT)
    assert not node.mempool.entries
    assert not node.submit_package([commitment, bump]).failure
    node.generate(1, SCRIPT)
    assert block_at(node, node.chain.height).transactions[1:] == (commitment, bump)


def test_reorg__brings_a_package_back_whatever_is_asked_now(node: Regtest) -> None:
    package = family(node, 0, 5_000)
    node.submit_package(package)
    node.generate(1, SCRIPT)
    node.mempool.min_fee = 1_000_000
    node.reorg(1, ELSEWHERE)
    assert list(node.mempool.entries) == [tx.txid for tx in package]
    node.generate(1, SCRIPT)
    assert block_at(node, node.chain.height).transactions[1:] == package


# Tested, not submitted.


def test_rehearsal__is_as_one_after_the_other(node: Regtest) -> None:
    chain = [spend([coin(node, 1)], 1_000)]
    while len(chain) < 25:
        chain.append(spend([output_of(chain[-1], 0)], 1_000 + len(chain)))
    tested = node.rehearse(chain)
    assert not tested.failure
    assert not node.mempool.entries
    send(node, *chain)
    entries = list(node.mempool.entries.values())
    assert rates(tested, *chain) == [(e.fee, e.vsize, (e.tx.wtxid,)) for e in entries]


Build = Callable[[Regtest], list[Transaction]]


def with_missing_input(node: Regtest) -> list[Transaction]:
    return [spend([coin(node, 1)], 1_000), spend([SEED[0]], 1_000)]


def with_bad_signature(node: Regtest) -> list[Transaction]:
    return [spend([coin(node, 1)], 1_000), replace(spend([coin(node, 2)], 1_000), locktime=1)]


def with_poor_parent(node: Regtest) -> list[Transaction]:
    return list(family(node, 0, 50_000))


def with_one_here(node: Regtest) -> list[Transaction]:
    txs = list(family(node, 1_000, 1_000))
    send(node, txs[0])
    return txs


def with_conflict(node: Regtest) -> list[Transaction]:
    send(node, spend([coin(node, 1)], 1_000))
    return [spend([coin(node, 1)], 50_000), spend([coin(node, 2)], 1_000)]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (with_missing_input, ["not looked at", MISSING]),
        (with_bad_signature, ["in", "mempool-script-verify-flag-failed (Script evaluated"]),
        (with_poor_parent, ["min relay fee not met, 0 < ", "not looked at"]),
        (with_one_here, ["txn-already-in-mempool", "not looked at"]),
        (with_conflict, ["bip125-replacement-disallowed", "not looked at"]),
    ],
)
def test_rehearsal__ends_with_the_first_failure(
    node: Regtest, build: Build, said: list[str]
) -> None:
    """Scripts are judged last: by then the ones before have been found good."""
    txs = build(node)
    verdict = node.rehearse(txs)
    assert verdict.failure == FAILED
    found = words(verdict, *txs)
    assert [text[: len(start)] for text, start in zip(found, said, strict=True)] == said
