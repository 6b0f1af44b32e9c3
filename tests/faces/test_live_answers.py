"""Every method of a live pair of daemons answers in Core Lightning's shape, at every stage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.cln_schemas import check_answer
from tests.support.two import Two, two_daemons
from wallet.faces.rpc.client import RpcError


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("two"), push_msat=300_000_000) as pair:
        yield pair


def test_getinfo_tells_who_we_are(two: Two) -> None:
    info = two.ask(two.alice, "getinfo")
    assert info["id"] == two.alice.node_id
    assert info["network"] == "regtest"
    assert info["num_active_channels"] == 1
    assert info["num_peers"] == 1
    assert not [key for key in info if key.startswith("warning")]


def test_newaddr_gives_both_kinds_unless_one_is_named(two: Two) -> None:
    assert set(two.ask(two.alice, "newaddr")) == {"bech32", "p2tr"}
    assert set(two.ask(two.alice, "newaddr", addresstype="p2tr")) == {"p2tr"}
    assert set(two.ask(two.alice, "newaddr", addresstype="bech32")) == {"bech32"}


def test_listfunds_lists_coins_and_channels(two: Two) -> None:
    funds = two.ask(two.alice, "listfunds")
    assert {output["status"] for output in funds["outputs"]} == {"confirmed"}
    [channel] = funds["channels"]
    assert channel["amount_msat"] == 1_000_000_000


def test_listpeers_and_connect_again(two: Two) -> None:
    [peer] = two.ask(two.alice, "listpeers")["peers"]
    assert peer["connected"]
    assert peer["num_channels"] == 1
    again = two.ask(two.alice, "connect", id=two.bob.node_id)
    assert again["id"] == two.bob.node_id


def test_both_sides_tell_the_same_of_a_channel(two: Two) -> None:
    ours, theirs = two.channel(two.alice), two.channel(two.bob)
    assert ours["opener"] == "local"
    assert theirs["opener"] == "remote"
    assert ours["to_us_msat"] + theirs["to_us_msat"] == ours["total_msat"]
    assert ours["alias"]["remote"] == theirs["alias"]["local"]
    assert ours["short_channel_id"] == theirs["short_channel_id"]
    assert ours["their_reserve_msat"] == theirs["our_reserve_msat"]
    assert ours["our_to_self_delay"] == theirs["their_to_self_delay"]


def test_feerates_in_both_styles(two: Two) -> None:
    perkw = two.ask(two.alice, "feerates", style="perkw")["perkw"]
    perkb = two.ask(two.alice, "feerates", style="perkb")["perkb"]
    assert perkb["opening"] == 4 * perkw["opening"]


def test_an_invoice_is_made_decoded_paid_and_listed(two: Two) -> None:
    made = two.ask(two.bob, "invoice", amount_msat=5_000_000, label="tea", description="two cups")
    said = two.ask(two.alice, "decode", string=made["bolt11"])
    assert said["payee"] == two.bob.node_id
    assert said["description"] == "two cups"
    assert said["min_final_cltv_expiry"] == 24
    paid = two.ask(two.alice, "pay", bolt11=made["bolt11"])
    assert paid["status"] == "complete"
    assert paid["amount_sent_msat"] == 5_000_000
    [listed] = two.ask(two.alice, "listpays", bolt11=made["bolt11"])["pays"]
    assert listed["preimage"] == paid["payment_preimage"]
    [kept] = two.ask(two.bob, "listinvoices", label="tea")["invoices"]
    assert kept["status"] == "paid"
    assert kept["payment_preimage"] == paid["payment_preimage"]
    waited = two.ask(two.bob, "waitinvoice", label="tea")
    assert waited == kept
    again = two.ask(two.alice, "pay", bolt11=made["bolt11"])
    assert again == paid


def test_lists_are_filtered_and_paged(two: Two) -> None:
    for number in range(3):
        two.bob.call("invoice", amount_msat="any", label=f"page{number}", description="p")
    everything = two.ask(two.bob, "listinvoices")["invoices"]
    assert [i["created_index"] for i in everything] == sorted(
        i["created_index"] for i in everything
    )
    start = everything[1]["created_index"]
    page = two.ask(two.bob, "listinvoices", index="created", start=start, limit=2)["invoices"]
    assert page == everything[1:3]
    assert two.ask(two.bob, "listinvoices", label="nothing like it") == {"invoices": []}
    assert two.ask(two.alice, "listpays", status="failed") == {"pays": []}


def test_check_and_help_come_from_the_same_table(two: Two) -> None:
    assert two.alice.call("check", command_to_check="pay", bolt11="x")
    [line] = two.alice.call("help", command="listinvoices")["help"]
    assert line["command"].startswith("listinvoices [label] [invstring] [payment_hash]")


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("no-such-method", {}, -32601, "Unknown command"),
        ("invoice", {"label": "x", "description": "y"}, -32602, "missing required parameter"),
        ("invoice", {"amount_msat": 1, "label": "tea", "description": ""}, 900, "tea"),
        ("waitinvoice", {"label": "never made"}, 905, "never made"),
        ("close", {"id": "11" * 32}, -32602, "no such channel"),
        ("connect", {"id": "02" * 33}, 400, "no address"),
        ("fundchannel", {"id": "02" * 33, "amount": 100_000}, 305, "not connected"),
        ("fundchannel", {"id": "BOB", "amount": 1_000}, -32602, "too small"),
        ("fundchannel", {"id": "BOB", "amount": 16_000_000_000}, 301, "emergency reserve"),
        ("decode", {"string": "lnbcrt1nonsense"}, -32602, "Unparsable"),
        ("pay", {"bolt11": "lnbcrt1nonsense"}, -32602, "Invalid bolt11"),
    ],
)
def test_errors_have_core_lightnings_codes_and_a_sentence(
    two: Two, method: str, params: dict[str, object], code: int, words: str
) -> None:
    given: dict[str, Any] = {k: two.bob.node_id if v == "BOB" else v for k, v in params.items()}
    node = two.bob if method in ("invoice", "waitinvoice") else two.alice
    with pytest.raises(RpcError) as refused:
        node.call(method, **given)
    assert refused.value.code == code, refused.value
    assert words in str(refused.value)


def test_a_payment_that_cannot_be_says_why(two: Two) -> None:
    made = two.bob.call("invoice", amount_msat=900_000_000, label="much", description="x")
    with pytest.raises(RpcError) as refused:
        two.alice.call("pay", bolt11=made["bolt11"])
    assert refused.value.code == 215
    own = two.alice.call("invoice", amount_msat=1_000, label="own", description="x")
    with pytest.raises(RpcError, match="your own"):
        two.alice.call("pay", bolt11=own["bolt11"])


def test_a_channel_is_shown_while_it_closes_and_after(two: Two) -> None:
    """Last: the channel of this module ends here."""
    channel_id = two.channel(two.alice)["channel_id"]
    closed = two.ask(two.alice, "close", id=channel_id)
    assert closed["type"] == "mutual"
    assert two.channel(two.alice)["state"] == "CLOSINGD_COMPLETE"
    two.mine()
    for node in (two.alice, two.bob):
        wait_for(lambda n=node: two.channel(n)["state"] == "ONCHAIN", "the close")  # type: ignore[misc]
    statuses = {o["status"] for o in two.ask(two.bob, "listfunds")["outputs"]}
    assert statuses == {"confirmed"}


def test_a_forced_close_pays_both_sides_in_the_end(two: Two) -> None:
    two.open(push_msat=300_000_000)
    channel_id = two.channel(two.alice)["channel_id"]
    before = _confirmed(two, two.alice), _confirmed(two, two.bob)
    closed = two.ask(two.alice, "close", id=channel_id, unilateraltimeout=1)
    assert closed["type"] == "unilateral"
    two.mine()
    wait_for(lambda: two.channel(two.bob)["state"] == "ONCHAIN", "the commitment")
    # On the next connection the channel has no link; its peer is there all the same.
    two.alice.call("disconnect", id=two.bob.node_id, force=True)
    two.alice.call("connect", id=two.bob.node_id, host="127.0.0.1", port=two.bob.port)
    for node in (two.alice, two.bob):
        wait_for(lambda n=node: two.channel(n)["peer_connected"], "the peer")  # type: ignore[misc]
        assert [c["connected"] for c in node.call("listfunds")["channels"]][-1:] == [True]
    for _ in range(8):
        two.mine()
    after = _confirmed(two, two.alice), _confirmed(two, two.bob)
    assert 0 <= before[0] + 700_000 - after[0] < 3_000
    assert 0 <= before[1] + 300_000 - after[1] < 1_000


def _confirmed(two: Two, node: Daemon) -> int:
    outputs = two.ask(node, "listfunds")["outputs"]
    return sum(int(o["amount_msat"]) for o in outputs if o["status"] == "confirmed") // 1000


def test_stop_ends_the_daemon(tmp_path: Path, two: Two) -> None:
    node = Daemon(tmp_path / "carol", two.chain.url, two.chain.cookie)
    node.create()
    node.start()
    check_answer("stop", node.call("stop"))
    wait_for(lambda: not node.socket.exists(), "the socket to go")
    node.stop()
