"""An embedded node inside the test, with the faucet's money matured."""

from pathlib import Path

import pytest

from tests.support.faucet import SCRIPT, Spendable, coinbase_of
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.ids import Txid
from wallet.services.regtest.index import Coin
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.packages import Accepted, AlreadyHere, Verdict
from wallet.services.regtest.policy import Rejected


class TestClock:
    """A clock that stands still until it is moved; near the real one, which the kernel reads."""

    __test__ = False

    def __init__(self, start: float) -> None:
        self.time = start

    def now(self) -> float:
        """Unix time."""
        return self.time


def block_at(node: Regtest, height: int) -> Block:
    """The active block at a height."""
    raw = node.chain.index.raw_block(node.chain.hash_at(height))
    assert raw is not None
    return Block.decode(raw)


def funded(directory: Path, clock: TestClock, blocks: int = 110) -> Regtest:
    """A node with `blocks` blocks, all paid to the faucet."""
    node = Regtest(directory, clock)
    node.generate(blocks, SCRIPT)
    return node


def coin(node: Regtest, height: int) -> Spendable:
    """The faucet's coinbase at a height."""
    return coinbase_of(block_at(node, height))


def send(node: Regtest, *txs: Transaction) -> list[Txid]:
    """Accept transactions one after the other; raises `Rejected`."""
    for tx in txs:
        node.accept(node.check(tx))
    return [tx.txid for tx in txs]


def refused(node: Regtest, tx: Transaction) -> str:
    """Reason and detail of the rejection of `tx`, which leaves no trace."""
    before = list(node.mempool.entries)
    with pytest.raises(Rejected) as rejected:
        node.check(tx)
    assert list(node.mempool.entries) == before
    return str(rejected.value)


def words(verdict: Verdict, *txs: Transaction) -> list[str]:
    """What a verdict says of each transaction: `in` (now), `here` (before), or why not."""
    out: list[str] = []
    for tx in txs:
        outcome = verdict.outcomes.get(tx.wtxid)
        said = {Accepted: "in", AlreadyHere: "here", type(None): "not looked at"}
        out.append(said.get(type(outcome)) or str(outcome))
    return out


def utxos(node: Regtest) -> dict[str, Coin]:
    """The whole UTXO set by outpoint."""
    return {str(outpoint): coin for outpoint, coin in node.chain.index.coins()}
