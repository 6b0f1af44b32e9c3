"""One list of all that moved money: three nodes in a line, paged, filtered, after a restart."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support import faucet
from tests.support.two import Two, command, refusal, two_daemons
from wallet.faces.rpc.history_filter import KINDS

P2WPKH = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"
"""Nobody's address on regtest."""
PAID_MSAT = 2_000_000


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Alice and Bob with a past: payments both ways, one that failed, a withdrawal, a close."""
    with two_daemons(tmp_path_factory.mktemp("history"), push_msat=400_000_000) as pair:
        for number in range(3):
            bolt11 = pair.invoice(f"coffee {number}", PAID_MSAT)["bolt11"]
            pair.alice.call("pay", bolt11=bolt11)
        made = pair.alice.call("invoice", amount_msat=5_000, label="back", description="Rückgeld")
        pair.bob.call("pay", bolt11=made["bolt11"], label="change")
        pair.alice.call("withdraw", destination=P2WPKH, satoshi=70_000)
        pair.mine()
        yield pair


def _history(node: Daemon, **params: Any) -> list[dict[str, Any]]:
    return list(node.call("history", **params)["history"])


def _kinds(items: list[dict[str, Any]]) -> list[str]:
    return [str(item["kind"]) for item in items]


def test_history__tells_everything_newest_first(two: Two) -> None:
    items = _history(two.alice)
    assert [i["at"] for i in items] == sorted((i["at"] for i in items), reverse=True)
    counted = {kind: _kinds(items).count(kind) for kind in KINDS}
    assert counted == {
        "payment": 3,
        "invoice": 1,
        "forward": 0,
        "deposit": 1,
        "withdrawal": 1,
        "channel_open": 1,
        "channel_close": 0,
    }
    by_kind = {i["kind"]: i for i in items}
    paid = by_kind["payment"]
    assert (paid["direction"], paid["status"]) == ("out", "complete")
    assert (paid["amount_msat"], paid["fee_msat"]) == (PAID_MSAT, 0)
    assert paid["destination"] == two.bob.node_id
    received = by_kind["invoice"]
    assert (received["amount_msat"], received["label"]) == (5_000, "back")
    sent = by_kind["withdrawal"]
    assert (sent["amount_msat"], sent["direction"]) == (70_000_000, "out")
    assert 0 < sent["fee_msat"] < 5_000_000
    opened = by_kind["channel_open"]
    assert (opened["amount_msat"], opened["status"]) == (1_000_000_000, "complete")
    assert opened["channel_id"] == two.channel_id
    assert opened["fee_msat"] > 0
    assert by_kind["deposit"]["amount_msat"] == 5_000_000_000_000


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        ({"kind": "payment"}, {"payment"}),
        ({"kind": ["deposit", "withdrawal"]}, {"deposit", "withdrawal"}),
        ({"direction": "in"}, {"invoice", "deposit"}),
        ({"direction": ["self"]}, {"channel_open"}),
        ({"text": "RÜCKGELD"}, {"invoice"}),
        ({"text": "nothing like it"}, set()),
        ({"status": "failed"}, set()),
        ({"until": 1_000}, set()),
        ({"since": 1_000, "kind": "invoice"}, {"invoice"}),
    ],
)
def test_history__is_filtered(two: Two, wanted: dict[str, object], kinds: set[str]) -> None:
    assert set(_kinds(_history(two.alice, filter=wanted))) == kinds
    # A command line gives an object as text.
    assert set(_kinds(_history(two.alice, filter=json.dumps(wanted)))) == kinds


def test_history__text_finds_ids(two: Two) -> None:
    [paid, *_] = _history(two.bob, filter={"kind": "payment"})
    assert paid["label"] == "change"
    [found] = _history(two.bob, filter={"text": paid["payment_hash"].upper()})
    assert found == paid


def test_history__pages_are_stable_while_more_happens(two: Two) -> None:
    everything = _history(two.alice)
    first = two.alice.call("history", limit=3)
    two.alice.call("pay", bolt11=two.invoice("between two pages", 1_000)["bolt11"])
    gathered = first["history"]
    page = first
    while "next" in page:
        page = two.alice.call("history", limit=3, start=page["next"])
        assert 0 < len(page["history"]) <= 3
        gathered = [*gathered, *page["history"]]
    # What is new may be of the same second as an item of a later page; no other moves.
    assert [item for item in gathered if item in everything] == everything
    assert len(gathered) <= len(everything) + 1


def test_history__the_same_after_a_restart(two: Two) -> None:
    before = _history(two.alice)
    two.alice.stop()
    two.alice.start()
    assert _history(two.alice) == before
    wait_for(lambda: two.channel(two.alice)["reestablished"], "the channel again")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"filter": {"kind": "gift"}}, "kind should be one or several of payment"),
        ({"filter": {"colour": "red"}}, "has no member 'colour'"),
        ({"filter": "payment"}, "should be an object"),
        ({"filter": {"status": []}}, "status should be one or several"),
        ({"filter": {"since": "yesterday"}}, "since"),
        ({"start": "12"}, "what the answer before gave"),
        ({"start": "1.2.x"}, "what the answer before gave"),
    ],
)
def test_history__refuses(two: Two, params: dict[str, object], words: str) -> None:
    error = refusal(two.alice, "history", **params)
    assert (error.code, words in str(error)) == (-32602, True), error


def test_history__as_a_command(two: Two) -> None:
    code, answer = command(two.alice, "history", 'filter={"kind":"invoice"}', "limit=5")
    assert code == 0
    assert _kinds(answer["history"]) == ["invoice"]


def test_history__of_a_node_that_forwards(two: Two) -> None:
    """Carol behind Bob: Alice pays her through him, one payment fails there."""
    carol = Daemon(two.bob.socket.parents[2] / "carol", two.chain.url, two.chain.cookie)
    carol.create()
    carol.start()
    try:
        two.chain.call("generatetoaddress", 1, two.bob.call("newaddr")["bech32"])
        two.chain.call("generatetoaddress", 100, faucet.ADDRESS)
        height = two.chain.call("getblockcount")
        for node in (two.alice, two.bob, carol):
            wait_for(lambda n=node: n.call("getinfo")["blockheight"] == height, "the blocks")  # type: ignore[misc]
        two.bob.call("connect", id=carol.node_id, host="127.0.0.1", port=carol.port)
        two.bob.call("fundchannel", id=carol.node_id, amount=500_000)
        two.mine(6)
        opened = two.channel(carol)["channel_id"]
        for node in (two.bob, carol):
            two.wait_state(node, opened, "CHANNELD_NORMAL")
        made = [
            carol.call(
                "invoice",
                amount_msat=10_000 + n,
                label=f"c{n}",
                description="c",
                exposeprivatechannels=True,
            )
            for n in range(5)
        ]
        for one in made:
            two.alice.call("pay", bolt11=one["bolt11"])
        forwards = _history(two.bob, filter={"kind": "forward"})
        assert [f["status"] for f in forwards] == ["complete"] * 5
        assert {f["direction"] for f in forwards} == {"through"}
        assert all(f["fee_msat"] > 0 for f in forwards)
        assert [f["amount_msat"] for f in forwards] == [10_004, 10_003, 10_002, 10_001, 10_000]
        # Pages that begin and end between forwards, and between them and other kinds.
        everything = _history(two.bob)
        for size in (1, 2, 7):
            gathered: list[dict[str, Any]] = []
            page = two.bob.call("history", limit=size)
            gathered += page["history"]
            while "next" in page:
                page = two.bob.call("history", limit=size, start=page["next"])
                gathered += page["history"]
            assert gathered == everything, f"pages of {size}"
        settled = {"kind": "forward", "status": "complete"}
        assert _history(two.bob, filter=settled) == forwards
        assert _history(two.bob, filter={"kind": "forward", "status": "failed"}) == []
        assert _history(two.bob, filter={"direction": "through"}, limit=2) == forwards[:2]
        hash_of_one = forwards[2]["payment_hash"]
        assert _history(two.bob, filter={"text": hash_of_one}) == [forwards[2]]
    finally:
        carol.stop()


def test_history__a_close_is_one_line(two: Two) -> None:
    """Last: the channel of this module ends here."""
    told = two.alice.call("close", id=two.channel_id)
    [closing] = _history(two.alice, filter={"kind": "channel_close"})
    assert (closing["status"], closing["closer"]) == ("pending", "local")
    assert closing["txid"] == told["txids"][0]
    assert (closing["waiting_msat"], "blockheight" in closing) == (closing["amount_msat"], False)
    two.mine()
    [closed] = _history(two.alice, filter={"kind": "channel_close"})
    assert closed["status"] == "complete"
    assert closed["at"] == closing["at"]
    assert closed["txid"] == closing["txid"]
    assert _kinds(_history(two.alice, filter={"kind": "deposit"})) == ["deposit"]
