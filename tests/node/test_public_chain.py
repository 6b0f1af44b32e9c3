"""Two daemons on signet: nothing is assumed of the chain that only regtest has."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.signet import OLD, signet
from wallet.base.bitcoin.address import decode_address
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import SIGNET
from wallet.base.bitcoin.transaction import TxOut
from wallet.base.values.amounts import Satoshi
from wallet.faces.rpc.client import RpcError
from wallet.machines.coins.selection import EMERGENCY_RESERVE

CAPACITY_SAT = 1_000_000


@dataclass
class Town:
    """A chain that looks like signet, and two nodes on it."""

    chain: ChainServer
    nodes: list[Daemon]
    asked: list[tuple[str, list[Any]]]

    def mine(self, count: int = 1) -> None:
        self.chain.call("generatetoaddress", count, faucet.ADDRESS)
        height = self.chain.call("getblockcount")
        for node in self.nodes:
            wait_for(partial(self.is_at, node, height), "the block")

    def is_at(self, node: Daemon, height: int) -> bool:
        return bool(node.call("getinfo")["blockheight"] == height)

    def give(self, node: Daemon, sat: int, block: int) -> None:
        """From the coinbase of that block, to a new address, confirmed."""
        address = node.call("newaddr")["bech32"]
        assert address.startswith("tb1q")
        raw = self.chain.call("getblock", self.chain.call("getblockhash", block), 0)
        coin = faucet.coinbase_of(Block.decode(bytes.fromhex(raw)))
        paid = TxOut(Satoshi(sat), decode_address(address, SIGNET))
        self.chain.call(
            "sendrawtransaction", faucet.spend([coin], 1_000, outputs=[paid]).encode().hex()
        )
        self.mine()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        chain = stack.enter_context(ChainServer(tmp_path / "chain"))
        chain.call("generatetoaddress", OLD + 3, faucet.ADDRESS)
        url, asked = stack.enter_context(signet(chain))
        nodes = []
        for name in ("alice", "bob"):
            node = Daemon(tmp_path / name, url, chain.cookie, network=SIGNET.name)
            node.create()
            node.start()
            stack.callback(node.stop)
            nodes.append(node)
        made = Town(chain, nodes, asked)
        made.mine()
        yield made


def test_a_new_wallet_reads_no_block_from_before_its_birthday(town: Town) -> None:
    old = {town.chain.call("getblockhash", height) for height in range(OLD + 1)}
    read = {params[0] for method, params in town.asked if method == "getblock"}
    assert read
    assert not read & old
    headers = sum(method == "getblockheader" for method, _ in town.asked)
    assert 0 < headers <= 2 * len(town.nodes) * OLD.bit_length()


def test_open_pay_and_close(town: Town) -> None:
    alice, bob = town.nodes
    assert alice.call("getinfo")["network"] == "signet"
    town.give(alice, CAPACITY_SAT + EMERGENCY_RESERVE.sat + 10_000, 1)
    alice.call("connect", id=f"{bob.node_id}@127.0.0.1:{bob.port}")
    with pytest.raises(RpcError, match="reserve"):
        alice.call("fundchannel", id=bob.node_id, amount=CAPACITY_SAT + 20_000)
    # Bob has no coin to defend a channel with, and takes none.
    with pytest.raises(RpcError, match="too little on chain to close one more channel by force"):
        alice.call("fundchannel", id=bob.node_id, amount=CAPACITY_SAT)
    town.give(bob, 2 * EMERGENCY_RESERVE.sat, 2)
    alice.call("connect", id=f"{bob.node_id}@127.0.0.1:{bob.port}")
    opened = alice.call("fundchannel", id=bob.node_id, amount=CAPACITY_SAT)
    town.mine(SIGNET.min_depth.blocks)
    for node in town.nodes:
        wait_for(partial(is_ready, node), "the channel")
    made = bob.call("invoice", amount_msat=5_000_000, label="one", description="coffee")
    assert made["bolt11"].startswith("lntbs50u1")
    assert alice.call("pay", bolt11=made["bolt11"])["status"] == "complete"
    closed = alice.call("close", id=opened["channel_id"])
    assert closed["type"] == "mutual"
    assert closed["txids"] == town.chain.call("getrawmempool")
    town.mine()
    assert state(alice) == "ONCHAIN"


def is_ready(node: Daemon) -> bool:
    return state(node) == "CHANNELD_NORMAL"


def state(node: Daemon) -> str:
    [channel] = node.call("listpeerchannels")["channels"]
    return str(channel["state"])
