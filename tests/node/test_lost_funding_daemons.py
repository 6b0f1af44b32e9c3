"""Two daemons and the embedded chain: a trusted zero-conf channel loses its funding to a rival."""

from functools import partial
from pathlib import Path
from typing import Any

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.two import Two, two_daemons
from wallet.base.bitcoin.address import decode_address
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.values.amounts import Satoshi


def deposit(two: Two) -> tuple[Transaction, Transaction]:
    """What gives Alice her one coin, in the tip; and a rival of it, which gives her none."""
    two.ask(two.alice, "withdraw", destination=faucet.ADDRESS, satoshi="all")
    two.mine()
    block = two.chain.call("getblock", two.chain.call("getblockhash", 2), 0)
    coinbase = faucet.coinbase_of(Block.decode(bytes.fromhex(block)))
    script = decode_address(two.ask(two.alice, "newaddr")["bech32"], REGTEST)
    paying = faucet.spend([coinbase], 1_000, outputs=[TxOut(Satoshi(2_000_000), script)])
    two.chain.call("generateblock", faucet.ADDRESS, [paying.encode().hex()])
    wait_for(
        lambda: any(o["txid"] == str(paying.txid) for o in two.alice.call("listfunds")["outputs"]),
        "Alice's coin",
    )
    return paying, faucet.spend([coinbase], 90_000)


def instead(two: Two, *transactions: str) -> None:
    """The tip gives way to a block with these, and one more."""
    two.chain.call("invalidateblock", two.chain.call("getbestblockhash"))
    two.chain.call("generateblock", faucet.ADDRESS, list(transactions))
    two.mine()


def lost(two: Two, node: Daemon, channel_id: str) -> bool:
    shown: dict[str, Any] = two.channel(node, channel_id)
    return bool(shown["status"][-1].startswith("Funding lost: ")) and not shown["spendable_msat"]


def told(node: Daemon, topics: list[str]) -> bool:
    """Whether these are what its journal says of fundings."""
    found = [event["topic"] for event in node.call("events", since=1)["events"]]
    return [topic for topic in found if topic.startswith("funding_")] == topics


def test_both_notice_and_all_goes_on_when_it_comes_back(tmp_path: Path) -> None:
    with two_daemons(tmp_path, push_msat=400_000_000) as two:
        two.bob.call("trustpeer", id=two.alice.node_id)
        paying, rival = deposit(two)
        wish = {"amount": 1_000_000, "push_msat": 400_000_000, "mindepth": 0}
        opened = two.ask(two.alice, "fundchannel", id=two.bob.node_id, **wish)
        for node in (two.alice, two.bob):
            two.wait_state(node, opened["channel_id"], "CHANNELD_NORMAL")
        # Not the funding, but what it spends gives way: no block names the funding's own coin.
        instead(two, rival.encode().hex())
        two.mine()
        for node in (two.alice, two.bob):
            wait_for(partial(lost, two, node, opened["channel_id"]), "that it is lost")
            assert two.channel(node, opened["channel_id"])["state"] == "CHANNELD_NORMAL"
            assert told(node, ["funding_lost"])
        two.chain.call("invalidateblock", two.chain.call("getbestblockhash"))
        two.chain.call("invalidateblock", two.chain.call("getbestblockhash"))
        instead(two, paying.encode().hex())
        # Alice offers her funding again with each tip.
        two.mine()
        output = (opened["txid"], opened["outnum"])
        wait_for(lambda: two.chain.call("gettxout", *output), "the funding")
        two.mine()
        for node in (two.alice, two.bob):
            wait_for(partial(told, node, ["funding_lost", "funding_back"]), "that it is back")
            assert two.channel(node, opened["channel_id"])["spendable_msat"] > 0
