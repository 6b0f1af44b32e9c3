"""Money out by RPC between three daemons: by invoice, to a node, and along a route of one's own."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.ldk.daemon import wait_for
from tests.support.cln_schemas import check_answer
from tests.support.three import FINAL_DELAY, Three, three_daemons
from tests.support.two import refusal, silent
from wallet.base.crypto.hashes import sha256
from wallet.faces.rpc.client import RpcError

TEXT = {"133773311": b"hello".hex(), "7629169": b"tea".hex()}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    with three_daemons(tmp_path_factory.mktemp("sending")) as line:
        yield line


def _part(three: Three, payment_hash: str, **params: Any) -> Any:
    found = three.ask(three.a, "listsendpays", held=False, payment_hash=payment_hash, **params)
    [part] = found["payments"]
    return part


def _failed(three: Three, payment_hash: str, seconds: int = 10, **params: Any) -> RpcError:
    with pytest.raises(RpcError) as error:
        three.wait_part(payment_hash, seconds, **params)
    return error.value


def _data(error: Any) -> dict[str, Any]:
    data = error.error["data"]
    assert isinstance(data, dict)
    return data


# --- by invoice ---------------------------------------------------------------------------------


def test_xpay__pays_a_peer(three: Three) -> None:
    made = three.ask(three.b, "invoice", amount_msat="any", label="xpay", description="")
    paid = three.ask(
        three.a, "xpay", invstring=made["bolt11"], amount_msat=5_000, layers=[], maxdelay=200
    )
    assert sha256(bytes.fromhex(paid["payment_preimage"])).hex() == made["payment_hash"]
    assert (paid["amount_msat"], paid["amount_sent_msat"]) == (5_000, 5_000)
    assert (paid["failed_parts"], paid["successful_parts"]) == (0, 1)
    assert three.a.call("xpay", invstring=made["bolt11"], amount_msat=5_000) == paid
    shown = three.ask(three.a, "listsendpays", bolt11=made["bolt11"])
    [part] = shown["payments"]
    assert (part["status"], part["partid"], part["groupid"]) == ("complete", 1, 1)
    assert part["payment_preimage"] == paid["payment_preimage"]
    assert part["id"] == part["created_index"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"layers": ["mine"]}, "layers"),
        ({"partial_msat": 5}, "partial_msat is not supported"),
        ({"payer_note": "hi"}, "payer_note is not supported"),
        ({"localinvreqid": "11" * 32}, "localinvreqid is not supported"),
        ({"invstring": "lno1"}, "Invalid bolt11 invoice"),
    ],
)
def test_xpay__refuses(three: Three, params: dict[str, object], words: str) -> None:
    made = three.ask(three.b, "invoice", amount_msat=1, label=words, description="")
    error = refusal(three.a, "xpay", **{"invstring": made["bolt11"], **params})
    assert (error.code, words in str(error)) == (-32602, True), error


def test_pay__leaves_out_what_it_is_told(three: Three) -> None:
    made = three.ask(three.b, "invoice", amount_msat=1_000, label="left out", description="")
    first, _ = three.scids()
    direction = int(three.a.node_id > three.b.node_id)
    other_way = f"{first}/{1 - direction}"
    error = refusal(three.a, "pay", bolt11=made["bolt11"], exclude=[f"{first}/{direction}"])
    assert error.code == 205, error
    paid = three.ask(three.a, "pay", bolt11=made["bolt11"], exclude=[other_way], riskfactor=3.5)
    assert paid["amount_sent_msat"] == 1_000


def test_pay__says_when_an_invoice_expired(three: Three) -> None:
    made = three.ask(three.b, "invoice", amount_msat=1, label="short", description="", expiry=1)
    time.sleep(1.1)
    error = refusal(three.a, "pay", bolt11=made["bolt11"])
    assert error.code == 207
    assert _data(error)["expiry"] == made["expires_at"]
    assert _data(error)["now"] >= made["expires_at"]


def test_pay__through_bob_by_the_invoices_hint(three: Three) -> None:
    made = three.invoice("hinted", 2_000_000)
    paid = three.ask(three.a, "pay", bolt11=made["bolt11"], maxfee=21, maxdelay=FINAL_DELAY + 34)
    assert (paid["amount_msat"], paid["amount_sent_msat"]) == (2_000_000, 2_000_021)
    other = three.invoice("hinted again", 2_000_000)["bolt11"]
    dear = refusal(three.a, "pay", bolt11=other, maxfee=20)
    assert (dear.code, "20 msat" in str(dear)) == (206, True), dear
    slow = refusal(three.a, "pay", bolt11=other, maxdelay=FINAL_DELAY + 33)
    assert slow.code == 206, slow
    without_bob = refusal(three.a, "pay", bolt11=other, exclude=[three.b.node_id])
    assert without_bob.code == 205, without_bob
    xpaid = three.ask(three.a, "xpay", invstring=other, maxfee="21msat", maxdelay=500)
    assert xpaid["amount_sent_msat"] == 2_000_021


# --- to a node ----------------------------------------------------------------------------------


def test_keysend__arrives_with_its_text(three: Three) -> None:
    paid = three.ask(
        three.a,
        "keysend",
        destination=three.b.node_id,
        amount_msat=7_000,
        label="for tea",
        extratlvs=TEXT,
    )
    assert sha256(bytes.fromhex(paid["payment_preimage"])).hex() == paid["payment_hash"]
    assert paid["destination"] == three.b.node_id
    [got] = three.b.call("listinvoices", payment_hash=paid["payment_hash"])["invoices"]
    assert (got["status"], got["amount_received_msat"]) == ("paid", 7_000)
    assert "tea" in got["description"]
    [listed] = three.ask(three.a, "listpays", payment_hash=paid["payment_hash"], held=False)["pays"]
    assert (listed["label"], listed["status"]) == ("for tea", "complete")


def test_keysend__an_even_record_must_be_understood(three: Three) -> None:
    given = {"destination": three.b.node_id, "amount_msat": 5, "extratlvs": {"133773310": "00"}}
    error = refusal(three.a, "keysend", **given)
    data = _data(error)
    assert (error.code, data["erring_index"]) == (203, 1)
    assert data["failcodename"] == "WIRE_INVALID_ONION_PAYLOAD"


def test_xkeysend__answers_as_xpay(three: Three) -> None:
    paid = three.ask(three.a, "xkeysend", destination=three.b.node_id, amount_msat=3_000)
    assert (paid["amount_sent_msat"], paid["successful_parts"]) == (3_000, 1)


def test_keysend__by_a_way_that_only_the_caller_knows(three: Three) -> None:
    _, second = three.scids()
    hint = {
        "id": three.b.node_id,
        "scid": second,
        "feebase": 1,
        "feeprop": 10,
        "expirydelta": 34,
    }
    given: dict[str, Any] = {"destination": three.c.node_id, "amount_msat": 10_000}
    given["routehints"] = [[hint]]
    paid = three.ask(three.a, "keysend", **given)
    assert (paid["amount_msat"], paid["amount_sent_msat"]) == (10_000, 10_001)
    error = refusal(three.a, "keysend", **given, maxfee=0)
    assert error.code == 206, error


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"extratlvs": {"5482373484": "00" * 32}}, -32602, "keysend's own"),
        ({"extratlvs": {"8": "00"}}, -32602, "65536"),
        ({"extratlvs": {"65537": "xy"}}, -32602, "hex"),
        ({"maxdelay": 44}, 206, "maxdelay 44"),
        ({"maxfee": 1, "exemptfee": 1}, -32602, "maxfee cannot be given"),
        ({"amount_msat": 0}, -32602, "at least 1 msat"),
    ],
)
def test_keysend__refuses(three: Three, params: dict[str, object], code: int, words: str) -> None:
    before = three.a.call("listpays")
    given = {"destination": three.b.node_id, "amount_msat": 5, **params}
    error = refusal(three.a, "keysend", **given)
    assert (error.code, words in str(error)) == (code, True), error
    assert three.a.call("listpays") == before


def test_keysend__not_to_oneself(three: Three) -> None:
    error = refusal(three.a, "keysend", destination=three.a.node_id, amount_msat=5)
    assert error.code == 205


# --- by route -----------------------------------------------------------------------------------


def test_sendpay__through_bob(three: Three) -> None:
    made = three.invoice("through", 2_000_000)
    sent = three.send(made, three.route(2_000_000), label="mine")
    check_answer("sendpay", sent)
    assert (sent["status"], sent["amount_sent_msat"]) == ("pending", 2_000_021)
    got = three.wait_part(made["payment_hash"])
    assert (got["status"], got["id"], got["label"]) == ("complete", sent["id"], "mine")
    assert sha256(bytes.fromhex(got["payment_preimage"])).hex() == made["payment_hash"]
    again = three.send(made, three.route(2_000_000))
    check_answer("sendpay", again)
    assert (again["status"], again["id"]) == ("complete", sent["id"])
    error = refusal(
        three.a,
        "sendpay",
        route=three.route(1_999_999),
        payment_hash=made["payment_hash"],
        payment_secret=made["payment_secret"],
    )
    assert error.code == 201, error


def test_sendpay__as_getroutes_says_it(three: Three) -> None:
    made = three.invoice("other words", 1_000)
    route = [
        {
            "short_channel_id_dir": f"{hop['channel']}/0",
            "node_id_out": hop["id"],
            "amount_out_msat": hop["amount_msat"],
            "cltv_out": hop["delay"],
            "amount_in_msat": 1,
        }
        for hop in three.route(1_000)
    ]
    three.send(made, route)
    three.wait_part(made["payment_hash"])


def test_sendpay__in_two_parts(three: Three) -> None:
    made = three.invoice("parts", 3_000_000)
    whole = {"amount_msat": 3_000_000, "groupid": 7}
    first = three.send(made, three.route(1_000_000), partid=1, **whole)
    waiting = _failed(three, made["payment_hash"], 0, partid=1, groupid=7)
    assert (waiting.code, first["partid"], first["groupid"]) == (200, 1, 7)
    three.send(made, three.route(2_000_000), partid=2, **whole)
    for partid in (1, 2):
        got = three.wait_part(made["payment_hash"], partid=partid, groupid=7)
        assert got["partid"] == partid
    parts = three.ask(three.a, "listsendpays", bolt11=made["bolt11"])["payments"]
    assert [p["partid"] for p in parts] == [1, 2]
    assert parts[1]["id"] == parts[0]["id"] + 1
    [listed] = three.ask(three.a, "listpays", bolt11=made["bolt11"])["pays"]
    assert listed["amount_sent_msat"] == 3_000_032
    assert listed["created_index"] == parts[0]["created_index"]
    assert listed["updated_index"] == max(p["updated_index"] for p in parts)


def test_groups__are_never_mixed_up(three: Three) -> None:
    made = three.invoice("groups", 1_000)
    for groupid in (2, 0, (1 << 63) - 1):
        sent = three.send(
            {**made, "payment_secret": "00" * 32}, three.route(1_000), groupid=groupid
        )
        assert sent["groupid"] == groupid
        assert _failed(three, made["payment_hash"], groupid=groupid).code == 203
    three.ask(three.a, "pay", bolt11=made["bolt11"])
    shown = three.ask(three.a, "listpays", payment_hash=made["payment_hash"])["pays"]
    assert sorted(item["status"] for item in shown) == ["complete", *["failed"] * 3]
    assert three.wait_part(made["payment_hash"], partid=1)["groupid"] == 1
    parts = three.ask(three.a, "listsendpays", payment_hash=made["payment_hash"])["payments"]
    assert [part["groupid"] for part in parts] == [2, 0, (1 << 63) - 1, 1]


def test_waitsendpay__names_who_failed_and_where(three: Three) -> None:
    _, second = three.scids()
    cheap = three.invoice("cheap")
    three.send(cheap, three.route(1_000_000, fee_msat=0))
    error = _failed(three, cheap["payment_hash"])
    data = _data(error)
    assert (error.code, data["erring_index"], data["erring_node"]) == (204, 1, three.b.node_id)
    assert (data["failcode"], data["failcodename"]) == (0x100C, "WIRE_FEE_INSUFFICIENT")
    assert (data["erring_channel"], data["status"]) == (second, "failed")
    assert data["erring_direction"] == int(three.b.node_id > three.c.node_id)
    part = _part(three, cheap["payment_hash"])
    assert (part["status"], part["updated_index"]) == ("failed", data["updated_index"])
    wrong = three.invoice("wrong")
    three.send({**wrong, "payment_secret": "00" * 32}, three.route(1_000_000))
    error = _failed(three, wrong["payment_hash"])
    data = _data(error)
    assert (error.code, data["erring_index"], data["erring_node"]) == (203, 2, three.c.node_id)
    assert data["failcodename"] == "WIRE_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
    assert data["erring_channel"] == second
    # It failed, so it may be tried again: in a group of its own.
    again = three.send(wrong, three.route(1_000_000))
    assert again["groupid"] == 2
    three.wait_part(wrong["payment_hash"])


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"route": []}, -32602, "route"),
        ({"route": [{"id": "02" * 33}]}, -32602, "route"),
        ({"partid": 1}, -32602, "payment_secret"),
        ({"amount_msat": 5}, -32602, "last hop"),
        ({"partid": 1 << 63}, -32602, "63 bit"),
        ({"payment_secret": "00"}, -32602, "32 byte"),
        ({"localinvreqid": "00" * 32}, -32602, "not supported"),
    ],
)
def test_sendpay__refuses(three: Three, params: dict[str, object], code: int, words: str) -> None:
    before = three.a.call("listsendpays")
    given = {"route": three.route(1_000), "payment_hash": "77" * 32, **params}
    error = refusal(three.a, "sendpay", **given)
    assert (error.code, words in str(error)) == (code, True), error
    assert three.a.call("listsendpays") == before


def test_sendpay__needs_a_channel_and_room_in_it(three: Three) -> None:
    strange = three.route(1_000)
    strange[0]["channel"] = "9x9x9"
    error = refusal(three.a, "sendpay", route=strange, payment_hash="77" * 32)
    assert (error.code, "9x9x9" in str(error)) == (204, True), error
    error = refusal(three.a, "sendpay", route=three.route(990_000_000), payment_hash="77" * 32)
    assert error.code == 204, error
    never = refusal(three.a, "waitsendpay", payment_hash="77" * 32)
    assert never.code == 208


def test_waitsendpay__waits(three: Three) -> None:
    made = three.invoice("later")
    route = three.route(1_000_000)
    with silent(three.b):
        three.send(made, route)
        begun = time.monotonic()
        error = _failed(three, made["payment_hash"], 1)
        assert error.code == 200
        assert 0.9 < time.monotonic() - begun < 5
        part = _part(three, made["payment_hash"], status="pending")
        check_answer("listsendpays", {"payments": [part]}, held=False)
        assert "completed_at" not in part
    three.wait_part(made["payment_hash"])


def test_listsendpays__by_number_and_by_update(three: Three) -> None:
    parts = three.ask(three.a, "listsendpays", held=False)["payments"]
    numbers = [part["created_index"] for part in parts]
    assert numbers == list(range(1, len(parts) + 1))
    assert three.a.call("wait", subsystem="sendpays", indexname="created", nextvalue=0) == {
        "subsystem": "sendpays",
        "created": len(parts),
    }
    updated = three.a.call("listsendpays", index="updated", start=1)["payments"]
    changes = [part["updated_index"] for part in updated]
    assert (changes, len(changes)) == (sorted(set(changes)), len(parts))
    some = three.a.call("listsendpays", index="created", start=2, limit=3)["payments"]
    assert some == parts[1:4]
    failed = three.a.call("listsendpays", status="failed")["payments"]
    assert failed == [part for part in parts if part["status"] == "failed"]
    error = refusal(three.a, "listsendpays", bolt11="lnbcrt1", payment_hash="00" * 32)
    assert error.code == -32602


def test_numbers_go_on_after_a_restart(three: Three) -> None:
    before = three.a.call("listsendpays")
    three.a.stop()
    three.a.start()
    assert three.a.call("listsendpays") == before
    for channel_id in three.channel_ids[:1]:
        wait_for(lambda c=channel_id: three.channel(three.a, c)["reestablished"], "the link")  # type: ignore[misc]
    paid = three.ask(three.a, "xkeysend", destination=three.b.node_id, amount_msat=3_000)
    [newest] = three.a.call("listsendpays", index="created", start=len(before["payments"]) + 1)[
        "payments"
    ]
    assert newest["payment_preimage"] == paid["payment_preimage"]
