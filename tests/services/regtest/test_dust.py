"""Ephemeral dust: one output, of a transaction without a fee, spent by whatever builds on it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faucet import ELSEWHERE, SCRIPT, output_of, spend
from tests.support.regtest_node import TestClock, coin, funded, refused, send, words
from wallet.base.bitcoin.script import P2A
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import Satoshi
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.policy import described

ANCHOR = TxOut(Satoshi(0), P2A)
"""Output 0 of a commitment transaction without a fee; output 1 is the faucet's."""


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock)
    yield made
    made.close()


def dusty(
    node: Regtest, *dust: TxOut, fee: int = 0, version: int = 3, height: int = 1
) -> Transaction:
    return spend([coin(node, height)], fee, outputs=dust or [ANCHOR], version=version)


def sweep(tx: Transaction, *indices: int, fee: int = 1_000) -> Transaction:
    return spend([output_of(tx, i) for i in indices], fee, version=tx.version)


def unspent(tx: Transaction) -> str:
    return f"missing-ephemeral-spends, {described(tx)} did not spend parent's ephemeral dust"


def test_anchor__is_51024e73() -> None:
    assert P2A.hex() == "51024e73"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    "dust", [TxOut(Satoshi(0), P2A), TxOut(Satoshi(239), P2A), TxOut(Satoshi(293), SCRIPT)]
)
def test_dust__of_a_free_transaction_spent_at_once(
    node: Regtest, dust: TxOut, version: int
) -> None:
    parent = dusty(node, dust, version=version)
    child = sweep(parent, 0, 1)
    assert refused(node, parent).startswith("min relay fee not met, 0 < ")
    verdict = node.submit_package([parent, child])
    assert words(verdict, parent, child) == ["in", "in"]
    node.generate(1, SCRIPT)
    assert not node.mempool.entries
    assert node.chain.index.coin(child.outpoint(0)) is not None


@pytest.mark.parametrize(
    ("dust", "fee", "complaint"),
    [
        ([ANCHOR], 1, "dust, tx with dust output must be 0-fee"),
        ([ANCHOR, ANCHOR], 0, "dust"),
        ([ANCHOR, TxOut(Satoshi(293), ELSEWHERE)], 0, "dust"),
    ],
)
def test_dust__with_a_fee_or_twice(
    node: Regtest, dust: list[TxOut], fee: int, complaint: str
) -> None:
    parent = dusty(node, *dust, fee=fee)
    child = sweep(parent, 0, len(dust))
    verdict = node.submit_package([parent, child])
    assert verdict.failure == "transaction failed"
    assert words(verdict, parent, child) == [complaint, "bad-txns-inputs-missingorspent"]
    assert not node.mempool.entries


@pytest.mark.parametrize("amount", [240, 1_000])
def test_anchor__that_is_no_dust_may_stay_unspent(node: Regtest, amount: int) -> None:
    parent = dusty(node, TxOut(Satoshi(amount), P2A))
    child = sweep(parent, 1)
    assert not node.submit_package([parent, child]).failure
    paying = dusty(node, TxOut(Satoshi(amount), P2A), TxOut(Satoshi(amount), P2A), height=2, fee=99)
    node.check(paying)


def test_dust__must_be_spent_by_the_child(node: Regtest) -> None:
    parent = dusty(node)
    child = sweep(parent, 1)
    verdict = node.submit_package([parent, child])
    assert verdict.failure == "unspent-dust"
    assert not verdict.malformed
    assert words(verdict, child) == [unspent(child)]
    assert words(verdict, parent)[0].startswith("min relay fee not met")
    assert not node.mempool.entries
    # The dust alone will do, with money from elsewhere.
    payer = spend([output_of(parent, 0), coin(node, 2)], 1_000, version=3)
    assert not node.submit_package([parent, payer]).failure


def test_dust__must_be_spent_by_a_rival_of_the_child_too(node: Regtest) -> None:
    parent = dusty(node)
    child = sweep(parent, 0, 1)
    assert not node.submit_package([parent, child]).failure
    rival = sweep(parent, 1, fee=9_000)
    assert refused(node, rival) == unspent(rival)
    verdict = node.submit_package([parent, rival])
    assert words(verdict, parent, rival) == ["here", unspent(rival)]
    better = sweep(parent, 0, 1, fee=9_000)
    send(node, better)
    assert list(node.mempool.entries) == [parent.txid, better.txid]


def test_dust__of_two_parents(node: Regtest) -> None:
    node.mempool.min_relay_fee = 0  # So that each parent may wait by itself.
    one, other = (dusty(node, version=2, height=height) for height in (1, 2))
    half = spend([output_of(one, 0), output_of(one, 1), output_of(other, 1)], 1_000)
    tested = node.rehearse([one, other, half])
    assert tested.failure == "unspent-dust"
    assert words(tested, half) == [unspent(half)]
    verdict = node.submit_package([one, other, half])
    assert verdict.failure == "transaction failed"
    assert words(verdict, one, other, half) == ["in", "in", unspent(half)]
    send(node, spend([output_of(tx, i) for tx in (one, other) for i in (0, 1)], 1_000))


def test_dust__without_its_child_waits_and_is_not_mined(node: Regtest) -> None:
    """Its child is replaced by way of another input; a new child may pay for it again."""
    parent = dusty(node)
    child = spend([output_of(parent, 0), output_of(parent, 1), coin(node, 2)], 1_000, version=3)
    assert not node.submit_package([parent, child]).failure
    elsewhere = spend([coin(node, 2)], 5_000)
    send(node, elsewhere)
    assert list(node.mempool.entries) == [parent.txid, elsewhere.txid]
    node.generate(1, SCRIPT)
    assert list(node.mempool.entries) == [parent.txid]
    send(node, sweep(parent, 0, 1))
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


def test_reorg__one_free_dust_comes_back_spent_or_not(node: Regtest) -> None:
    parent = dusty(node)
    child = sweep(parent, 1)
    node.generate_block(SCRIPT, [parent, child])
    waiting = spend([output_of(parent, 0), coin(node, 2)], 1_000)
    send(node, waiting)
    node.reorg(1, ELSEWHERE)
    assert list(node.mempool.entries) == [parent.txid, child.txid, waiting.txid]


@pytest.mark.parametrize(("dust", "fee"), [([ANCHOR], 1), ([ANCHOR, ANCHOR], 0)])
def test_reorg__dust_with_a_fee_or_twice_does_not(
    node: Regtest, dust: list[TxOut], fee: int
) -> None:
    parent = dusty(node, *dust, fee=fee)
    node.generate_block(SCRIPT, [parent, sweep(parent, len(dust))])
    node.reorg(1, ELSEWHERE)
    assert not node.mempool.entries


def test_anchor__is_spent_by_an_empty_witness_only(node: Regtest) -> None:
    parent = dusty(node)
    child = sweep(parent, 0, 1)
    [anchor, money] = child.inputs
    signing = replace(child, inputs=(replace(anchor, witness=(b"\x01",)), money))
    verdict = node.submit_package([parent, signing])
    assert words(verdict, signing) == ["bad-witness-nonstandard"]
    assert not node.submit_package([parent, child]).failure
