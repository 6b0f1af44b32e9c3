"""Log and index: they follow the engine through reorgs, rebuilds and restarts."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faucet import ELSEWHERE, SCRIPT, output_of, spend
from tests.support.regtest_node import TestClock, block_at, coin, funded, send, utxos
from wallet.base.bitcoin.block import Block
from wallet.base.errors import Refused, ServiceFault
from wallet.base.values.ids import BlockHash, OutPoint
from wallet.services.regtest.index import ChainIndex, Coin
from wallet.services.regtest.miner import subsidy
from wallet.services.regtest.node import Regtest


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock)
    yield made
    made.close()


def recomputed(node: Regtest) -> dict[str, Coin]:
    """The UTXO set worked out from the active blocks alone."""
    coins: dict[str, Coin] = {}
    for height in range(1, node.chain.height + 1):
        for position, tx in enumerate(block_at(node, height).transactions):
            for txin in tx.inputs if position else ():
                del coins[str(txin.outpoint)]
            for index, out in enumerate(tx.outputs):
                if out.script_pubkey[:1] != b"\x6a":
                    coins[str(tx.outpoint(index))] = Coin(out, height, position == 0)
    return coins


def test_restart__finds_every_block_and_coin(chain_directory: Path, clock: TestClock) -> None:
    node = funded(chain_directory, clock)
    send(node, spend([coin(node, 1)], 1_000))
    node.generate(1, SCRIPT)
    tip, before = node.chain.tip, utxos(node)
    node.close()
    again = Regtest(chain_directory, clock)
    assert (again.chain.tip, again.chain.height) == (tip, 111)
    assert utxos(again) == before
    again.close()


def test_restart__a_tie_is_decided_as_it_was(chain_directory: Path, clock: TestClock) -> None:
    node = funded(chain_directory, clock, 5)
    first = node.chain.tip
    rival = node._block(node.chain.hash_at(4), ELSEWHERE, (), 0)
    assert node.submit(rival) is None
    assert node.chain.tip == first
    node.close()
    again = Regtest(chain_directory, clock)
    assert again.chain.tip == first
    assert again.chain.index.raw_block(rival.hash) == rival.encode()
    again.close()


def test_second_opening__refused_in_one_sentence(
    node: Regtest, chain_directory: Path, clock: TestClock
) -> None:
    with pytest.raises(Refused, match="is in use by another process; stop that one first"):
        Regtest(chain_directory, clock)
    node.generate(1, SCRIPT)
    assert node.chain.height == 111


def test_newer_schema__refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite3"
    ChainIndex(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Refused, match="schema 99"):
        ChainIndex(path)


def test_reorg__blocks_and_coins_follow(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000, parts=3)
    send(node, tx)
    node.generate(2, SCRIPT)
    old = node.chain.tip
    mined = node.reorg(2, ELSEWHERE)
    assert len(mined) == 3
    assert node.chain.tip == mined[-1]
    assert node.chain.height == 113
    assert node.chain.index.active_height(old) is None
    assert node.chain.index.raw_block(old) is not None
    assert utxos(node) == recomputed(node)
    assert node.chain.index.raw_transaction(tx.txid) is None
    assert node.chain.index.coin(coin(node, 1).outpoint) is not None


def test_reorg__refused_where_the_chain_is_too_short(node: Regtest) -> None:
    for depth, extra in ((0, 1), (111, 1), (1, 0), (-1, 1)):
        with pytest.raises(Refused, match="a reorg replaces"):
            node.reorg(depth, SCRIPT, extra)


def test_invalidate_and_reconsider(node: Regtest) -> None:
    tip, below = node.chain.tip, node.chain.hash_at(99)
    node.invalidate(node.chain.hash_at(100))
    assert (node.chain.height, node.chain.tip) == (99, below)
    assert utxos(node) == recomputed(node)
    node.generate(1, ELSEWHERE)
    assert node.chain.height == 100
    node.reconsider(tip)
    assert (node.chain.height, node.chain.tip) == (110, tip)
    assert utxos(node) == recomputed(node)


def test_invalidate__outlives_a_restart(chain_directory: Path, clock: TestClock) -> None:
    node = funded(chain_directory, clock, 10)
    held_back = block_at(node, 8)
    child = block_at(node, 9)
    node.invalidate(held_back.hash)
    node.close()
    node = Regtest(chain_directory, clock)
    assert node.chain.height == 7
    assert node.submit(held_back) == "duplicate-invalid"
    assert node.submit(child) == "duplicate-invalid"
    orphan = node._block(child.hash, SCRIPT, (), 0)
    assert node.submit(orphan) == "bad-prevblk"
    node.reconsider(held_back.hash)
    assert node.chain.height == 10
    node.close()


def test_two_nodes__exchange_blocks(tmp_path: Path, clock: TestClock) -> None:
    one, other = funded(tmp_path / "one", clock, 20), Regtest(tmp_path / "other", clock)
    other.generate(10, ELSEWHERE)
    for height in range(1, 21):
        assert other.submit(block_at(one, height)) is None
    assert other.chain.tip == one.chain.tip
    assert utxos(other) == utxos(one)
    one.close()
    other.close()


def test_spent_coin__names_the_spender(node: Regtest) -> None:
    money = coin(node, 1)
    tx = spend([money], 1_000)
    send(node, tx)
    assert node.chain.index.spent_coin(money.outpoint) is None
    node.generate(1, SCRIPT)
    found = node.chain.index.spent_coin(money.outpoint)
    assert found is not None
    assert (found[0].output, found[1], found[2]) == (money.output, tx.txid, 111)


def test_money__the_utxo_set_adds_up_to_the_subsidies(node: Regtest) -> None:
    """Also with fees: the coinbase collects them; and across a halving (block 150)."""
    send(node, spend([coin(node, 1)], 7_000))
    node.generate(1, SCRIPT)
    node.generate_block(SCRIPT, [spend([coin(node, 2)], 5_000)])
    node.generate(40, ELSEWHERE)
    total = sum(c.output.amount.sat for c in utxos(node).values())
    assert total == sum(subsidy(h).sat for h in range(1, node.chain.height + 1))
    assert subsidy(149).sat == 2 * subsidy(150).sat


def test_index__right_after_any_play(chain_directory: Path, clock: TestClock) -> None:
    """Payments, blocks, reorgs, invalidations: the index equals the active blocks, always."""
    node = funded(chain_directory, clock)
    deck = random.Random(20)
    for _ in range(40):
        match deck.randrange(5):
            case 0 | 1:
                spendable = [
                    coin(node, h)
                    for h in range(1, node.chain.height - 99)
                    if block_at(node, h).transactions[0].outputs[0].script_pubkey == SCRIPT
                    and node.mempool.coin(coin(node, h).outpoint) is not None
                ]
                if spendable:
                    money = deck.choice(spendable)
                    parent = spend([money], 2_000, parts=2)
                    child = spend([output_of(parent, 0)], 3_000)
                    send(node, parent, child)
            case 2:
                node.generate(deck.randint(1, 3), SCRIPT)
            case 3:
                node.reorg(deck.randint(1, 4), deck.choice([SCRIPT, ELSEWHERE]))
            case _:
                held_back = node.chain.hash_at(node.chain.height - deck.randint(0, 2))
                node.invalidate(held_back)
                if deck.random() < 0.7:
                    node.reconsider(held_back)
        assert utxos(node) == recomputed(node)
        for entry in node.mempool.entries.values():
            assert all(node.mempool.any_coin(i.outpoint) for i in entry.tx.inputs)
    node.close()


def test_disk_full__nothing_half_done(node: Regtest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    tip = node.chain.tip
    with monkeypatch.context() as patch:
        patch.setattr(node.chain.index, "connect", fail)
        with pytest.raises(ServiceFault, match=r"database or disk is full.*offer the block again"):
            node.generate(1, SCRIPT)
    assert node.chain.tip == tip
    assert node.chain.engine.height == 110
    node.generate(1, SCRIPT)
    assert node.chain.height == 111


def test_coin__of_an_unknown_output(node: Regtest) -> None:
    money = coin(node, 1).outpoint
    assert node.chain.index.coin(OutPoint(money.txid, 7)) is None
    assert node.chain.index.raw_block(BlockHash(bytes(32))) is None
    assert isinstance(block_at(node, 0), Block)
