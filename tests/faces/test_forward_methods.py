"""Money through by RPC: three daemons, of which the middle one is asked what it passed on."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.cln_schemas import check_answer
from tests.support.three import CAPACITY, Three, three_daemons
from tests.support.two import refusal, silent
from wallet.faces.rpc.client import RpcError
from wallet.machines.channel.htlc_stages import Stage


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    with three_daemons(tmp_path_factory.mktemp("forwards")) as line:
        yield line


def _pay(three: Three, label: str, amount_msat: int = 1_000_000, **route: Any) -> dict[str, Any]:
    """An invoice of Carol's, paid by a route through Bob; raises `RpcError` if that fails."""
    made: dict[str, Any] = three.invoice(label, amount_msat)
    three.send(made, three.route(amount_msat, **route))
    three.wait_part(made["payment_hash"])
    # Alice has her receipt before Bob has had his last word with Carol.
    three.wait_quiet()
    return made


def _newest(node: Daemon, method: str, what: str) -> dict[str, Any]:
    items = node.call(method)[what]
    return dict(items[-1])


# --- what was passed on -------------------------------------------------------------------------


def test_listforwards__one_that_settled(three: Three) -> None:
    first, second = three.scids()
    before = three.ask(three.b, "getinfo")["fees_collected_msat"]
    _pay(three, "settled", 2_000_000)
    [item] = three.ask(three.b, "listforwards", status="settled", in_channel=first)["forwards"][-1:]
    assert (item["in_channel"], item["out_channel"]) == (first, second)
    assert (item["in_msat"], item["out_msat"], item["fee_msat"]) == (2_000_021, 2_000_000, 21)
    assert item["resolved_time"] >= item["received_time"]
    assert three.ask(three.b, "getinfo")["fees_collected_msat"] == before + 21
    assert three.b.call("listforwards", out_channel=first) == {"forwards": []}
    assert three.a.call("listforwards") == {"forwards": []}
    for node, way in ((three.a, "out"), (three.c, "in")):
        htlc = _newest(node, "listhtlcs", "htlcs")
        assert htlc["direction"] == way


def test_listforwards__those_that_did_not_arrive(three: Three) -> None:
    first, second = three.scids()
    with pytest.raises(RpcError):
        _pay(three, "cheap", fee_msat=0)
    shown = three.ask(three.b, "listforwards", status="local_failed", held=False)["forwards"][-1]
    assert (shown["failcode"], shown["failreason"]) == (0x100C, "WIRE_FEE_INSUFFICIENT")
    assert (shown["in_channel"], shown["out_channel"]) == (first, second)
    assert not {"out_msat", "fee_msat", "resolved_time", "updated_index"} & set(shown)
    made = three.invoice("wrong")
    three.send({**made, "payment_secret": "00" * 32}, three.route(1_000_000))
    with pytest.raises(RpcError):
        three.wait_part(made["payment_hash"])
    shown = three.ask(three.b, "listforwards", status="failed")["forwards"][-1]
    assert (shown["out_msat"], shown["fee_msat"]) == (1_000_000, 11)


def test_flow__one_payment_from_hop_to_hop(three: Three) -> None:
    starts = [node.call("flow")["next"] for node in three.nodes]
    made = _pay(three, "followed", 2_000_000)
    wrong = three.invoice("followed back")
    three.send({**wrong, "payment_secret": "00" * 32}, three.route(1_000_000))
    with pytest.raises(RpcError):
        three.wait_part(wrong["payment_hash"])
    three.wait_quiet()
    names = {node.node_id: name for node, name in zip(three.nodes, "abc", strict=True)}
    told = [
        (sent["at"], names[node.node_id], names[sent["peer_id"]], sent)
        for node, start in zip(three.nodes, starts, strict=True)
        for sent in node.call("flow", since=start)["flow"]
    ]
    steps = [
        (one + other, sent["type"], sent["amount_msat"], sent["payment_hash"])
        for _, one, other, sent in sorted(told, key=lambda row: row[0])
    ]
    assert steps == [
        (hop, kind, msat + (fee if hop in ("ab", "ba") else 0), invoice["payment_hash"])
        for invoice, msat, fee, last in (
            (made, 2_000_000, 21, "fulfill"),
            (wrong, 1_000_000, 11, "fail"),
        )
        for hop, kind in (("ab", "add"), ("bc", "add"), ("cb", last), ("ba", last))
    ]


def test_listforwards__one_under_way(three: Three) -> None:
    made, route = three.invoice("held"), three.route(1_000_000)
    with silent(three.c):
        three.send(made, route)

        def under_way() -> Any:
            return three.b.call("listforwards", status="offered")["forwards"]

        shown = wait_for(under_way, "Bob to pass it on")
        check_answer("listforwards", {"forwards": shown}, held=False)
        assert not {"resolved_time", "updated_index"} & set(shown[0])
        channels = three.ask(three.b, "listpeerchannels")["channels"]
        ways = {h["direction"]: h for channel in channels for h in channel["htlcs"]}
        assert {h["payment_hash"] for h in ways.values()} == {made["payment_hash"]}
        assert (ways["in"]["amount_msat"], ways["out"]["amount_msat"]) == (1_000_011, 1_000_000)
    three.wait_part(made["payment_hash"])
    wait_for(lambda: not under_way(), "the end of it")


def test_listforwards__pages_and_numbers(three: Three) -> None:
    every = three.b.call("listforwards")["forwards"]
    assert [f["created_index"] for f in every] == list(range(1, len(every) + 1))
    changed = three.b.call("listforwards", index="updated", start=1)["forwards"]
    assert [f["updated_index"] for f in changed] == list(range(1, len(changed) + 1))
    assert three.b.call("listforwards", index="created", start=2, limit=1)["forwards"] == every[1:2]
    assert three.b.call("listforwards", limit=0) == {"forwards": []}
    for name, numbers in (("created", every), ("updated", changed)):
        told = three.b.call("wait", subsystem="forwards", indexname=name, nextvalue=0)
        assert told[name] == len(numbers)


def test_metrics__count_the_network__as_the_lists_do(three: Three) -> None:
    for node in three.nodes:
        public = {c["short_channel_id"]: c for c in node.call("listchannels")["channels"]}
        metrics = node.call("metrics")
        assert metrics["gossip_nodes"] == len(node.call("listnodes")["nodes"])
        assert metrics["gossip_channels"] == len(public)
        assert metrics["gossip_capacity_msat"] == sum(c["amount_msat"] for c in public.values())


def test_metrics__count_payments__as_the_lists_do(three: Three) -> None:
    counted = ("payments_complete", "invoices_paid", "forwards_settled")
    lists = (
        ("listpays", "pays", "complete"),
        ("listinvoices", "invoices", "paid"),
        ("listforwards", "forwards", "settled"),
    )

    def counts(node: Daemon) -> list[int]:
        metrics = node.call("metrics")
        return [metrics[name] for name in counted]

    _pay(three, "counted")
    before = [counts(node) for node in three.nodes]
    assert before == [
        [sum(i["status"] == status for i in node.call(name)[what]) for name, what, status in lists]
        for node in three.nodes
    ]
    assert min(before[0][0], before[1][2], before[2][1]) > 0
    for node in three.nodes:
        node.stop()
        node.start()
    assert [counts(node) for node in three.nodes] == before
    for node in (three.a, three.c):
        [channel_id] = [c["channel_id"] for c in node.call("listpeerchannels")["channels"]]
        three.wait_ready(node, channel_id)


# --- HTLCs --------------------------------------------------------------------------------------


def test_listhtlcs__all_that_were(three: Three) -> None:
    three.wait_quiet()
    first, second = three.scids()
    every = three.ask(three.b, "listhtlcs")["htlcs"]
    assert [h["created_index"] for h in every] == list(range(1, len(every) + 1))
    assert {(h["short_channel_id"], h["direction"]) for h in every} == {
        (first, "in"),
        (second, "out"),
    }
    ends = {Stage.SENT_REMOVE_ACK_REVOCATION.value, Stage.RCVD_REMOVE_ACK_REVOCATION.value}
    assert {h["state"] for h in every} == ends
    of_one = three.ask(three.b, "listhtlcs", id=second)["htlcs"]
    assert of_one == [h for h in every if h["direction"] == "out"]
    assert three.b.call("listhtlcs", id=three.channel_ids[1])["htlcs"] == of_one
    assert [h["id"] for h in of_one] == list(range(len(of_one)))
    changed = three.b.call("listhtlcs", index="updated", start=1)["htlcs"]
    numbers = [h["updated_index"] for h in changed]
    assert (numbers, len(numbers)) == (sorted(set(numbers)), len(every))
    assert three.b.call("listhtlcs", index="created", start=2, limit=2)["htlcs"] == every[1:3]
    assert refusal(three.b, "listhtlcs", id="9x9x9").code == -32602


def test_wait__for_what_passes_through(three: Three) -> None:
    waiting: dict[str, Future[Any]] = {}
    with ThreadPoolExecutor(4) as pool:
        for subsystem, name in (
            ("forwards", "created"),
            ("forwards", "updated"),
            ("htlcs", "created"),
            ("htlcs", "updated"),
        ):
            given: dict[str, Any] = {"subsystem": subsystem, "indexname": name}
            now = three.ask(three.b, "wait", **given, nextvalue=0)[name]
            waiting[f"{subsystem} {name}"] = pool.submit(
                three.ask, three.b, "wait", **given, nextvalue=now + 1
            )
        made = _pay(three, "waited for", 3_000_000)
        told = {what: answer.result(15) for what, answer in waiting.items()}
    first, _ = three.scids()
    htlc = _newest(three.b, "listforwards", "forwards")["in_htlc_id"]
    for what in ("forwards created", "forwards updated"):
        found = told[what]["forwards"]
        assert (found["in_channel"], found["in_htlc_id"]) == (first, htlc)
        assert told[what]["details"] == found
    assert told["forwards updated"]["forwards"]["status"] == "settled"
    for what in ("htlcs created", "htlcs updated"):
        assert told[what]["htlcs"]["payment_hash"] == made["payment_hash"]
        assert "details" not in told[what]


# --- terms --------------------------------------------------------------------------------------


def test_setchannel__a_dearer_channel_takes_the_old_fee_for_a_while(three: Three) -> None:
    _, second = three.scids()
    answer = three.ask(three.b, "setchannel", id=second, feebase=500, feeppm=1_000)
    [shown] = answer["channels"]
    assert (shown["fee_base_msat"], shown["fee_proportional_millionths"]) == (500, 1_000)
    assert (shown["peer_id"], shown["short_channel_id"]) == (three.c.node_id, second)
    channel = three.channel(three.b, three.channel_ids[1])
    check_answer("listpeerchannels", three.b.call("listpeerchannels"))
    assert (channel["fee_base_msat"], channel["fee_proportional_millionths"]) == (500, 1_000)
    assert channel["updates"]["local"]["fee_base_msat"] == 500
    _pay(three, "old fee", 1_000_000, fee_msat=11)
    three.ask(three.b, "setchannel", id=three.channel_ids[1], feebase=501, enforcedelay=0)
    with pytest.raises(RpcError):
        _pay(three, "still the old fee", 1_000_000, fee_msat=1_500)
    _pay(three, "new fee", 1_000_000, fee_msat=1_501)
    assert _newest(three.b, "listforwards", "forwards")["fee_msat"] == 1_501
    assert (
        wait_for(
            lambda: three.channel(three.c, three.channel_ids[1])["updates"].get("remote"),
            "Carol to hear of it",
        )["fee_proportional_millionths"]
        == 1_000
    )


def test_setchannel__holds_after_a_restart_and_at_once(three: Three) -> None:
    [shown] = three.ask(three.b, "setchannel", id=three.c.node_id, feebase="2sat", feeppm=0)[
        "channels"
    ]
    assert shown["fee_base_msat"] == 2_000
    three.b.stop()
    three.b.start()
    for node, channel_id in ((three.a, 0), (three.c, 1)):
        three.wait_ready(node, three.channel_ids[channel_id])
    with pytest.raises(RpcError):
        _pay(three, "not any more", 1_000_000, fee_msat=1_501)
    _pay(three, "now", 1_000_000, fee_msat=2_000)


def test_setchannel__least_and_most(three: Three) -> None:
    _, second = three.scids()
    given: dict[str, Any] = {"id": second, "enforcedelay": 0, "feebase": 1, "feeppm": 10}
    answer = three.ask(three.b, "setchannel", **given, htlcmin=1_000, htlcmax="2000sat")
    [shown] = answer["channels"]
    assert (shown["minimum_htlc_out_msat"], shown["maximum_htlc_out_msat"]) == (1_000, 2_000_000)
    for amount in (999, 2_000_001):
        with pytest.raises(RpcError):
            _pay(three, f"{amount}", amount)
    for amount in (1_000, 2_000_000):
        _pay(three, f"{amount}", amount)
    made = three.ask(three.c, "invoice", amount_msat=5, label="own", description="")
    assert three.b.call("pay", bolt11=made["bolt11"])["amount_msat"] == 5
    answer = three.ask(three.b, "setchannel", id=second, htlcmin=0, htlcmax=CAPACITY * 1_000)
    [shown] = answer["channels"]
    assert "carry no more" in shown["warning_htlcmax_too_high"]
    assert shown["maximum_htlc_out_msat"] == CAPACITY * 990


def test_setchannel__all(three: Three) -> None:
    answer = three.ask(three.b, "setchannel", id="all", feebase=7)
    assert {c["channel_id"] for c in answer["channels"]} == set(three.channel_ids)
    assert {c["fee_base_msat"] for c in answer["channels"]} == {7}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"id": "9x9x9"}, "no such channel"),
        ({"id": "something"}, "id"),
        ({"feebase": 1 << 32}, "32 bit"),
        ({"feeppm": 1 << 32}, "32 bit"),
        ({"htlcmin": 2_000, "htlcmax": 1_000}, "htlcmin"),
        ({"ignorefeelimits": True}, "ignorefeelimits"),
    ],
)
def test_setchannel__refuses(three: Three, params: dict[str, object], words: str) -> None:
    before = three.b.call("listpeerchannels")
    error = refusal(three.b, "setchannel", **{"id": "all", **params})
    assert (error.code, words in str(error)) == (-32602, True), error
    assert three.b.call("listpeerchannels") == before


def test_setchannel__not_of_a_channel_that_closes(three: Three) -> None:
    opened = three.open(three.b, three.c, amount=200_000)
    three.ask(three.b, "close", id=opened)
    error = refusal(three.b, "setchannel", id=opened, feebase=1)
    assert (error.code, "nothing passes" in str(error)) == (-1, True)
    assert opened not in {c["channel_id"] for c in three.b.call("setchannel", id="all")["channels"]}
