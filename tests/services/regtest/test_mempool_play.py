"""A shuffled deck of payments, packages, blocks and reorgs; the mempool is looked at after each."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faucet import ELSEWHERE, SCRIPT, Spendable, output_of, spend
from tests.support.regtest_node import TestClock, coin, funded
from wallet.base.bitcoin.script import P2A
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import Satoshi
from wallet.services.regtest import truc
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.packages import Accepted
from wallet.services.regtest.policy import Rejected, check_dust_spent

FEES = (0, 0, 60, 400, 3_000, 20_000)


class Play:
    """A node, the outputs that were ever made, and what has happened so far."""

    def __init__(self, node: Regtest, seed: int) -> None:
        self.node = node
        self.deck = random.Random(seed)
        fan = spend([coin(node, 1)], 10_000, parts=30)
        node.generate_block(SCRIPT, [fan])
        self.outputs = [output_of(fan, index) for index in range(30)]
        self.reorganised = False
        self.entered = 0
        self.together = 0

    def payment(self, *more: Spendable, version: int | None = None) -> Transaction:
        """Of random outputs: most are unspent, others are to be replaced, or gone."""
        if self.deck.random() < 0.8:
            left = [o for o in self.outputs if self.node.mempool.coin(o.outpoint) is not None]
        else:
            left = self.outputs
        coins = [*more, *self.deck.sample(left, k=self.deck.choice((1, 1, 2)))]
        if sum(money.amount.sat for money in coins) < 100_000:
            coins.append(self.outputs[0])
        coins = list({money.outpoint: money for money in coins}.values())
        anchors = [TxOut(Satoshi(0), P2A)] * self.deck.choice((0, 0, 1))
        fee = 0 if anchors and self.deck.random() < 0.8 else self.deck.choice(FEES)
        version = version or self.deck.choice((2, 3, 3))
        return spend(coins, fee, outputs=anchors, parts=2, version=version)

    def remember(self, tx: Transaction) -> None:
        self.entered += 1
        self.outputs += [output_of(tx, index) for index in range(len(tx.outputs))]

    def send(self) -> None:
        tx = self.payment()
        try:
            self.node.accept(self.node.check(tx))
        except Rejected:
            return
        self.remember(tx)

    def submit(self) -> None:
        parent = self.payment()
        spent = [output_of(parent, index) for index in range(self.deck.randint(1, 2))]
        version = parent.version if self.deck.random() < 0.8 else None
        child = self.payment(*spent, version=version)
        verdict = self.node.submit_package([parent, child])
        for tx in (parent, child):
            outcome = verdict.outcomes.get(tx.wtxid)
            if isinstance(outcome, Accepted):
                self.remember(tx)
                self.together += len(outcome.includes) > 1
        entered = all(tx.txid in self.node.mempool.entries for tx in (parent, child))
        assert entered is not bool(verdict.failure)

    def mine(self) -> None:
        before = set(self.node.mempool.entries)
        taken = {entry.tx.txid for entry in self.node.mempool.template()}
        self.node.generate(1, SCRIPT)  # The engine would refuse a block that is not valid.
        assert set(self.node.mempool.entries) == before - taken

    def reorg(self) -> None:
        self.node.reorg(self.deck.randint(1, 2), ELSEWHERE)
        self.reorganised = True

    def check(self) -> None:
        """The mempool hangs together, is spendable, and keeps its rules until a reorg."""
        pool = self.node.mempool
        inputs = [txin.outpoint for e in pool.entries.values() for txin in e.tx.inputs]
        assert len(set(inputs)) == len(inputs)
        for txid, entry in pool.entries.items():
            above = {i.outpoint.txid for i in entry.tx.inputs} & pool.entries.keys()
            assert pool.parents(txid) == above
            assert all(txid in pool.children(parent) for parent in above)
            assert all(txid in pool.parents(child) for child in pool.children(txid))
            for txin in entry.tx.inputs:
                assert pool.spender(txin.outpoint) == txid
                assert pool.created(txin.outpoint) is not None
            if not self.reorganised:
                parents = [pool.entries[parent].tx for parent in above]
                check_dust_spent(entry.tx, parents)
                assert all((p.version == 3) == (entry.tx.version == 3) for p in parents)
                if entry.tx.version == truc.VERSION:
                    assert len(pool.ancestors([txid]) | pool.descendants([txid])) <= 2


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(3))
def test_play(node: Regtest, seed: int) -> None:
    play = Play(node, seed)
    moves = [play.send] * 4 + [play.submit] * 8 + [play.mine]
    for step in range(200):
        if step == 120:
            moves += [play.reorg]
        play.deck.choice(moves)()
        play.check()
    assert play.entered > 40
    assert play.together > 5
    node.mempool.min_block_fee = 0
    node.generate(1, SCRIPT)
    assert not node.mempool.entries
