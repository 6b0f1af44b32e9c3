"""Coins sent away by RPC, what is remembered of transactions, and channels that are settled."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.chain_server import ChainServer
from tests.support.two import Two, refusal, two_daemons
from wallet.base.bitcoin.transaction import Transaction

P2WPKH = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"
"""Nobody's address on regtest."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("chain"), push_msat=400_000_000) as pair:
        yield pair
        # A test may have put another one in the place of the first.
        pair.chain.stop()


def _coins(node: Daemon, status: str = "confirmed") -> int:
    outputs = node.call("listfunds")["outputs"]
    return sum(int(o["amount_msat"]) for o in outputs if o["status"] == status) // 1000


def _of(node: Daemon, txid: str) -> dict[str, Any]:
    found = [t for t in node.call("listtransactions")["transactions"] if t["hash"] == txid]
    [transaction] = found
    return dict(transaction)


# --- withdraw -----------------------------------------------------------------------------------


def test_withdraw__pays_and_keeps_the_change(two: Two) -> None:
    before = _coins(two.alice)
    sent = two.ask(two.alice, "withdraw", destination=P2WPKH, satoshi=123_456, feerate="1000perkw")
    tx = Transaction.decode(bytes.fromhex(sent["tx"]))
    assert str(tx.txid) == sent["txid"]
    assert 123_456 in {o.amount.sat for o in tx.outputs}
    assert base64.b64decode(sent["psbt"])[:5] == b"psbt\xff"
    assert two.chain.call("getrawmempool") == [sent["txid"]]
    waiting = _of(two.alice, sent["txid"])
    assert (waiting["blockheight"], waiting["rawtx"]) == (0, sent["tx"])
    two.mine()
    fee = before - 123_456 - _coins(two.alice)
    assert 100 < fee < 1_000
    done = _of(two.alice, sent["txid"])
    assert done["blockheight"] == two.alice.call("getinfo")["blockheight"]
    assert done["txindex"] == 1
    two.ask(two.alice, "listtransactions")
    told = [e for e in two.alice.call("events", since=0)["events"] if e.get("txid") == sent["txid"]]
    assert [(e["kind"], e["status"]) for e in told] == [
        ("withdrawal", "pending"),
        ("withdrawal", "confirmed"),
    ]
    assert told[0]["amount_msat"] == (123_456 + fee) * 1000


def test_withdraw__named_coins_are_all_spent(two: Two) -> None:
    for _ in range(2):
        address = two.alice.call("newaddr")["bech32"]
        two.alice.call("withdraw", destination=address, satoshi=50_000)
        two.mine()
    mine = [o for o in two.alice.call("listfunds")["outputs"] if o["amount_msat"] == 50_000_000]
    names = [f"{o['txid']}:{o['output']}" for o in mine]
    assert len(names) == 2
    sent = two.ask(two.alice, "withdraw", destination=P2WPKH, satoshi=20_000, utxos=names)
    tx = Transaction.decode(bytes.fromhex(sent["tx"]))
    spent = {f"{i.outpoint.txid}:{i.outpoint.index}" for i in tx.inputs}
    assert spent == set(names)
    two.mine()
    again = refusal(two.alice, "withdraw", destination=P2WPKH, satoshi=20_000, utxos=names)
    assert (again.code, "no coin that can be spent" in str(again)) == (-32602, True), again


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"satoshi": 100}, 302, "dust"),
        ({"satoshi": "21000000btc"}, 301, "can be spent on chain"),
        ({"satoshi": "nothing"}, -32602, "satoshi: should be"),
        ({"destination": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}, -32602, "destination"),
        ({"utxos": []}, -32602, "names no coin"),
        ({"utxos": ["00" * 32 + ":0"]}, -32602, "no coin that can be spent"),
        ({"minconf": 60_000}, 301, "can be spent on chain"),
    ],
)
def test_withdraw__refuses(two: Two, params: dict[str, object], code: int, words: str) -> None:
    before = two.alice.call("listfunds")
    given = {"destination": P2WPKH, "satoshi": 10_000, **params}
    error = refusal(two.alice, "withdraw", **given)
    assert (error.code, words in str(error)) == (code, True), error
    assert two.alice.call("listfunds") == before


def test_withdraw__what_the_chain_refuses_never_was(two: Two) -> None:
    """A fee so high that the backend takes it for a mistake."""
    before = two.alice.call("listfunds")
    error = refusal(
        two.alice, "withdraw", destination=P2WPKH, satoshi=10_000, feerate="100000000perkw"
    )
    assert (error.code, "refused the transaction" in str(error)) == (-1, True), error
    assert two.alice.call("listfunds") == before
    assert two.chain.call("getrawmempool") == []


def test_withdraw__all_leaves_the_reserve_while_a_channel_lives(two: Two) -> None:
    sent = two.ask(two.alice, "withdraw", destination=P2WPKH, satoshi="all")
    two.mine()
    assert _coins(two.alice) == 25_000
    error = refusal(two.alice, "withdraw", destination=P2WPKH, satoshi=10_000)
    assert error.code == 313
    assert sent["txid"] in {t["hash"] for t in two.alice.call("listtransactions")["transactions"]}


# --- a crash ------------------------------------------------------------------------------------


def test_withdraw__is_offered_again_after_a_crash_and_after_a_restart(two: Two) -> None:
    two.chain.call("generatetoaddress", 1, two.bob.call("newaddr")["bech32"])
    two.mine(100)
    sent = two.ask(two.bob, "withdraw", destination=P2WPKH, satoshi=1_000_000)
    two.bob.stop()
    # The chain loses what was waiting: this one keeps no mempool on disk.
    directory, port = two.chain.cookie.parents[1], int(two.chain.url.rpartition(":")[2])
    two.chain.stop()
    two.chain = ChainServer(directory, port)
    assert two.chain.call("getrawmempool") == []
    two.bob.start()
    wait_for(lambda: two.chain.call("getrawmempool") == [sent["txid"]], "the withdrawal again")
    two.mine()
    assert _of(two.bob, sent["txid"])["blockheight"] > 0


# --- channels that are settled ------------------------------------------------------------------


def test_listclosedchannels__once_all_is_settled(two: Two) -> None:
    """Last: the channel of this module ends here."""
    assert two.ask(two.alice, "listclosedchannels") == {"closedchannels": []}
    two.alice.call("close", id=two.channel_id)
    two.mine()
    assert two.alice.call("listclosedchannels") == {"closedchannels": []}
    two.mine(100)
    for node, other in ((two.alice, two.bob), (two.bob, two.alice)):
        [closed] = two.ask(node, "listclosedchannels", id=other.node_id)["closedchannels"]
        assert closed["channel_id"] == two.channel_id
        assert closed["final_to_us_msat"] == (600_000_000 if node is two.alice else 400_000_000)
        assert closed["closer"] == ("local" if node is two.alice else "remote")
        assert two.ask(node, "listclosedchannels", id=node.node_id) == {"closedchannels": []}
        assert node.call("listpeerchannels")["channels"] == []
    kinds = {
        e["kind"]
        for e in two.alice.call("events", since=0)["events"]
        if e["topic"] == "transaction"
    }
    assert kinds == {"deposit", "withdrawal", "channel_open", "channel_close"}
    # Without a channel nothing is kept back.
    two.alice.call("withdraw", destination=P2WPKH, satoshi="all")
    two.mine()
    assert _coins(two.alice) == 0
