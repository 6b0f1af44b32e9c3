"""Channels by RPC between two daemons: words, limits and names; and every method as a command."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.cln_schemas import check_answer
from tests.support.two import CAPACITY, Two, command, refusal, silent, two_daemons
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.rpc.methods import METHODS

P2WPKH = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"
"""Nobody's address on regtest."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("channels"), push_msat=400_000_000) as pair:
        yield pair


# --- every method as a command ------------------------------------------------------------------


def test_every_method_is_a_command(two: Two) -> None:
    made = two.invoice("by command", exposeprivatechannels=True)["bolt11"]
    opening = (f"id={two.bob.node_id}", "amount=100000sat", "feerate=normal", "announce=false")
    asked = {
        "getinfo": (),
        "feerates": ("perkb",),
        "newaddr": ("p2tr",),
        "listfunds": ("spent=true",),
        "connect": (f"{two.bob.node_id}@127.0.0.1:{two.bob.port}",),
        "listpeers": (two.bob.node_id,),
        "fundchannel": opening,
        "listpeerchannels": (two.bob.node_id,),
        "invoice": ("1sat", "7", "a number as label"),
        "listinvoices": ("7",),
        "decode": (made,),
        "pay": (made,),
        "waitinvoice": ("by command",),
        "listpays": (made,),
        "help": ("pay",),
        "check": ("pay", made),
    }
    bobs = {"invoice", "listinvoices", "waitinvoice"}
    answers = {}
    for name, words in asked.items():
        code, answers[name] = command(two.bob if name in bobs else two.alice, name, *words)
        assert code == Exit.DONE, (name, answers[name])
        check_answer(name, answers[name])
    code, closed = command(two.alice, "close", answers["fundchannel"]["channel_id"])
    check_answer("close", closed)
    # The command takes a password from a terminal or a descriptor only; the wallet is open.
    again, _ = command(two.alice, "rpc", "unlock", "password=any")
    assert (code, again) == (Exit.DONE, Exit.DONE)
    assert {m.name for m in METHODS} >= {*asked, "close", "unlock"} - {"help", "check"}
    two.mine()


# --- opening ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"utxos": [f"{'11' * 32}:0"]}, "utxos is not supported"),
        ({"close_to": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"}, "belongs to bitcoin"),
        ({"close_to": "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"}, "segwit address only"),
        ({"request_amt": 1}, "request_amt is not supported"),
        ({"compact_lease": "00"}, "compact_lease is not supported"),
        ({"reserve": 1}, "reserve is not supported"),
        ({"channel_type": [12]}, "only [12, 22]"),
        ({"channel_type": [12, 22, 46]}, "cannot be announced"),
        ({"feerate": "soon"}, "feerate: should be"),
        ({"push_msat": 200_000_001}, "push_msat is more"),
        ({"push_msat": 199_999_000}, "keep its reserve"),
        ({"nonsense": 1}, "unknown parameter: nonsense"),
    ],
)
def test_fundchannel__refuses_by_name(two: Two, params: dict[str, object], words: str) -> None:
    before = two.alice.call("listfunds")
    error = refusal(two.alice, "fundchannel", id=two.bob.node_id, amount=200_000, **params)
    assert (error.code, words in str(error)) == (-32602, True), error
    assert two.alice.call("listfunds") == before


@pytest.mark.parametrize("feerate", ["slow", "normal", "urgent", "minimum", "3blocks", "2000perkb"])
def test_fundchannel__takes_words_for_the_feerate(two: Two, feerate: str) -> None:
    opened = two.open(amount=50_000, feerate=feerate, channel_type=[22, 12], minconf=1)
    two.alice.call("close", id=opened["channel_id"], destination=P2WPKH)
    two.mine()


def test_fundchannel__minconf_looks_at_the_coins_age(two: Two) -> None:
    error = refusal(two.alice, "fundchannel", id=two.bob.node_id, amount=50_000, minconf=5_000)
    assert error.code == 301


def test_fundchannel__while_its_peer_is_silent_the_coins_are_reserved(two: Two) -> None:
    coins = two.alice.call("listfunds")["outputs"]
    with silent(two.bob):
        waiting = threading.Thread(
            target=two.alice.call,
            args=("fundchannel",),
            kwargs={"id": two.bob.node_id, "amount": 50_000},
        )
        waiting.start()
        wait_for(
            lambda: any(o["reserved"] for o in two.alice.call("listfunds")["outputs"]),
            "a reservation",
        )
        funds = two.alice.call("listfunds")
        check_answer("listfunds", funds)
        assert len(funds["outputs"]) == len(coins)
    waiting.join()
    two.mine()
    assert not any(o["reserved"] for o in two.alice.call("listfunds")["outputs"])


def test_fundchannel__is_announced_unless_told_otherwise(two: Two) -> None:
    for given, private in (({}, False), ({"announce": False}, True)):
        opened = two.open(amount=50_000, **given)
        assert two.channel(two.alice, opened["channel_id"])["private"] is private
        assert two.channel(two.bob, opened["channel_id"])["private"] is private
        two.alice.call("close", id=opened["channel_id"])
        two.mine()


def test_fundchannel__to_a_fixed_address_and_deeper(two: Two) -> None:
    taproot = two.alice.call("newaddr")["p2tr"]
    opened = two.ask(
        two.alice, "fundchannel", id=two.bob.node_id, amount=50_000, close_to=taproot, mindepth=3
    )
    assert opened["mindepth"] == 3
    two.mine(2)
    shown = two.channel(two.alice, opened["channel_id"])
    assert (shown["state"], shown["close_to_addr"]) == ("CHANNELD_AWAITING_LOCKIN", taproot)
    check_answer("listfunds", two.alice.call("listfunds"))
    two.mine()
    two.wait_state(two.alice, opened["channel_id"], "CHANNELD_NORMAL")
    other = refusal(two.alice, "close", id=opened["channel_id"], destination=P2WPKH)
    assert "fixed address" in str(other)
    closed = two.alice.call("close", id=opened["channel_id"])
    tx = two.chain.call("decoderawtransaction", closed["txs"][0])
    assert taproot in {output["scriptPubKey"]["address"] for output in tx["vout"]}
    assert opened["close_to"] in {output["scriptPubKey"]["hex"] for output in tx["vout"]}
    two.mine()


def test_fundchannel__at_once_with_a_peer_that_was_told_to_trust(two: Two) -> None:
    wish = {"id": two.bob.node_id, "amount": 100_000, "push_msat": 40_000_000, "mindepth": 0}
    stranger = refusal(two.alice, "fundchannel", **wish)
    assert "has not been told to trust you" in str(stranger)
    told = two.bob.call("trustpeer", id=two.alice.node_id)
    assert told == {"id": two.alice.node_id, "trusted": True}
    opened = two.ask(two.alice, "fundchannel", **wish)
    assert opened["channel_type"]["names"][-1] == "zeroconf/even"
    two.wait_state(two.alice, opened["channel_id"], "CHANNELD_NORMAL")
    two.wait_state(two.bob, opened["channel_id"], "CHANNELD_NORMAL")
    assert two.chain.call("getmempoolentry", opened["txid"])
    two.mine()
    two.alice.call("close", id=opened["channel_id"])
    two.mine()
    assert two.bob.call("trustpeer", id=two.alice.node_id, trusted=False)["trusted"] is False


# --- closing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"id": "9x9x9"}, "no such channel"),
        ({"id": "02" * 33}, "no such channel"),
        ({"id": "BOB"}, "several channels"),
        ({"id": "here"}, "should be a channel ID"),
        ({"destination": "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"}, "belongs to bitcoin"),
        ({"destination": "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"}, "segwit address only"),
        ({"feerange": [1_000]}, "should be [min, max]"),
        ({"fee_negotiation_step": "50%"}, "fee_negotiation_step is not supported"),
        ({"wrong_funding": f"{'11' * 32}:0"}, "wrong_funding is not supported"),
    ],
)
def test_close__refuses(two: Two, params: dict[str, object], words: str) -> None:
    given = {"id": two.channel_id, **params}
    named = {k: two.bob.node_id if v == "BOB" else v for k, v in given.items()}
    error = refusal(two.alice, "close", **named)
    assert (error.code, words in str(error)) == (-32602, True), error
    assert two.channel(two.alice, two.channel_id)["state"] == "CHANNELD_NORMAL"


def test_close__by_its_short_channel_id_to_an_address_within_a_range(two: Two) -> None:
    opened = two.open()
    channel = two.channel(two.alice, opened["channel_id"])
    closed = two.alice.call(
        "close",
        id=channel["short_channel_id"],
        destination=P2WPKH,
        feerange=["4000perkb", "8000perkb"],
    )
    [txid] = closed["txids"]
    tx = two.chain.call("decoderawtransaction", closed["txs"][0])
    [output] = tx["vout"]
    assert (txid, output["scriptPubKey"]["address"]) == (tx["txid"], P2WPKH)
    fee = CAPACITY - int(output["value"] * 100_000_000)
    assert int(tx["weight"]) <= fee <= 2 * int(tx["weight"]) + 8
    two.mine()


def test_close__again_pays_more_and_replaces_what_waits(two: Two) -> None:
    """`option_simple_close`: by either side, shown by both, and the older one is gone."""
    channel_id = two.open()["channel_id"]

    def final(daemon: Daemon) -> str:
        channel = two.channel(daemon, channel_id)
        assert channel["state"] == "CLOSINGD_COMPLETE"
        return str(channel["scratch_txid"])

    two.alice.call("close", id=channel_id)
    [first] = two.chain.call("getrawmempool")
    for rate in (8, 16):
        feerange = [f"{rate}000perkb", f"{rate}000perkb"]
        closed = two.alice.call("close", id=channel_id, feerange=feerange)
        check_answer("close", closed)
        assert closed["type"] == "mutual"
        assert closed["txids"] == two.chain.call("getrawmempool")
        wait_for(lambda: [final(two.bob)] == two.chain.call("getrawmempool"), "Bob to know it")
        assert [final(two.alice)] == closed["txids"]
        tx = two.chain.call("decoderawtransaction", closed["txs"][0])
        fee = CAPACITY - sum(int(output["value"] * 100_000_000) for output in tx["vout"])
        assert rate * int(tx["weight"]) <= 4 * fee <= rate * (int(tx["weight"]) + 4)
        assert two.channel(two.bob, channel_id)["last_tx_fee_msat"] == fee * 1_000
    assert first not in two.chain.call("getrawmempool")
    less = refusal(two.alice, "close", id=channel_id, feerange=["8000perkb", "8000perkb"])
    assert "fee rate of at least" in str(less)
    two.mine()
    wait_for(lambda: two.channel(two.bob, channel_id)["state"] == "ONCHAIN", "the close in a block")


# --- links --------------------------------------------------------------------------------------


def test_listpeerchannels__by_each_of_its_names(two: Two) -> None:
    channel = two.channel(two.alice, two.channel_id)
    names = (channel["short_channel_id"], channel["alias"]["local"], channel["alias"]["remote"])
    for name in names:
        found = two.alice.call("listpeerchannels", short_channel_id=name)["channels"]
        assert [c["channel_id"] for c in found] == [two.channel_id]
    assert two.alice.call("listpeerchannels", id="02" * 33) == {"channels": []}


def test_a_peer_that_went_away(two: Two) -> None:
    unpaid = two.invoice("for later")["bolt11"]
    two.bob.stop()
    try:
        wait_for(lambda: not two.alice.call("listpeers")["peers"][0]["connected"], "the end")
        for method in ("listpeers", "listpeerchannels", "listfunds", "getinfo"):
            check_answer(method, two.alice.call(method))
        assert two.alice.call("getinfo")["num_peers"] == 1
        channel = two.channel(two.alice, two.channel_id)
        assert (channel["peer_connected"], channel["spendable_msat"] > 0) == (False, True)
        made = two.alice.call("invoice", amount_msat=1, label="offline", description="")
        assert "warning_offline" in made
        no_link = refusal(two.alice, "pay", bolt11=unpaid)
        assert (no_link.code, "not connected" in str(no_link)) == (205, True)
        absent = refusal(two.alice, "connect", id=two.bob.node_id)
        assert absent.code == 401
    finally:
        two.bob.start()
    wait_for(
        lambda: all(c["reestablished"] for c in _normal(two.alice)), "the channels to be live again"
    )


def _normal(node: Daemon) -> list[Any]:
    channels = node.call("listpeerchannels")["channels"]
    return [c for c in channels if c["state"] == "CHANNELD_NORMAL"]
