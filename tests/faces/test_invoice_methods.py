"""Invoices by RPC: forgotten, waited for, paid unasked; and what warns that one cannot be paid."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cln_schemas import check_answer
from tests.support.two import Two, refusal, two_daemons
from wallet.faces.rpc.client import RpcError, call


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("invoices"), push_msat=400_000_000) as pair:
        yield pair


def pay(two: Two, label: str, msat: int = 1_000_000) -> Any:
    """An invoice of Bob's that Alice has paid, as it is listed."""
    two.alice.call("pay", bolt11=two.invoice(label, msat)["bolt11"])
    [paid] = two.bob.call("listinvoices", label=label)["invoices"]
    return paid


# --- invoice ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ("1x1x1", 902, "suitable local channels"),
        (["1x1x1", "2x2x2"], 902, "suitable local channels"),
        ("maybe", -32602, "exposeprivatechannels"),
        (["1x1"], -32602, "exposeprivatechannels"),
    ],
)
def test_invoice__exposeprivatechannels_that_cannot_be(
    two: Two, given: object, code: int, words: str
) -> None:
    error = refusal(
        two.bob,
        "invoice",
        amount_msat=1,
        label="never",
        description="",
        exposeprivatechannels=given,
    )
    assert (error.code, words in str(error)) == (code, True), error
    assert two.bob.call("listinvoices", label="never") == {"invoices": []}


def test_invoice__more_than_the_peer_has_left(two: Two) -> None:
    shown = two.channel(two.bob)["receivable_msat"]
    assert "warning_capacity" in two.invoice("all and one", shown + 1)
    assert "warning_capacity" not in two.invoice("all of it", shown)


def test_listinvoices__by_one_thing_at_a_time(two: Two) -> None:
    made = two.invoice("looked for")
    wanted = {
        "label": "looked for",
        "invstring": made["bolt11"],
        "payment_hash": made["payment_hash"],
    }
    for name, value in wanted.items():
        [found] = two.ask(two.bob, "listinvoices", **{name: value})["invoices"]
        assert found["label"] == "looked for"
    error = refusal(two.bob, "listinvoices", **wanted)
    assert (error.code, "only specify one" in str(error)) == (-32602, True)
    assert two.ask(two.bob, "listinvoices", offer_id="11" * 32) == {"invoices": []}


# --- delinvoice ---------------------------------------------------------------------------------


def test_delinvoice__unpaid_paid_and_expired(two: Two) -> None:
    two.invoice("unpaid one")
    paid = pay(two, "paid one")
    two.invoice("expired one", expiry=1)
    assert refusal(two.bob, "waitinvoice", label="expired one").code == 903
    for status in ("unpaid", "paid", "expired"):
        gone = two.ask(two.bob, "delinvoice", label=f"{status} one", status=status)
        assert (gone["label"], gone["status"]) == (f"{status} one", status)
        assert two.bob.call("listinvoices", label=f"{status} one") == {"invoices": []}
        again = refusal(two.bob, "delinvoice", label=f"{status} one", status=status)
        assert (again.code, f"'{status} one'" in str(again)) == (905, True)
        if status == "paid":
            assert gone == paid


def test_delinvoice__whoever_waits_or_looks_back_hears_of_it(two: Two) -> None:
    made = two.invoice("short-lived")
    count = {"subsystem": "invoices", "indexname": "deleted"}
    before = two.ask(two.bob, "wait", **count, nextvalue=0)["deleted"]
    two.bob.call("delinvoice", label="short-lived", status="unpaid")
    after = two.ask(two.bob, "wait", **count, nextvalue=before + 1)
    assert after == {"subsystem": "invoices", "deleted": before + 1}
    told = [e for e in two.bob.call("events", since=0)["events"] if e["topic"] == "invoice_deleted"]
    assert (
        told[-1].items()
        >= {
            "label": "short-lived",
            "payment_hash": made["payment_hash"],
            "status": "unpaid",
        }.items()
    )


def test_delinvoice__another_status(two: Two) -> None:
    two.invoice("not paid")
    error = refusal(two.bob, "delinvoice", label="not paid", status="paid")
    assert (error.code, str(error)) == (906, "Invoice status is unpaid not paid")
    assert error.error["data"] == {"current_status": "unpaid", "expected_status": "paid"}
    assert len(two.bob.call("listinvoices", label="not paid")["invoices"]) == 1
    assert refusal(two.bob, "delinvoice", label="not paid", status="gone").code == -32602


def test_delinvoice__only_the_description(two: Two) -> None:
    made = two.invoice("wordy")
    gone = two.bob.call("delinvoice", label="wordy", status="unpaid", desconly=True)
    check_answer("delinvoice", gone, held=False)
    [kept] = two.bob.call("listinvoices", label="wordy")["invoices"]
    assert kept == gone
    assert "description" not in kept
    error = refusal(two.bob, "delinvoice", label="wordy", status="unpaid", desconly=True)
    assert (error.code, "already removed" in str(error)) == (908, True)
    # What was given out is paid all the same.
    assert two.alice.call("pay", bolt11=made["bolt11"])["status"] == "complete"


def test_delinvoice__what_it_frees_can_be_used_again(two: Two) -> None:
    first = two.invoice("phoenix", preimage="31" * 32)
    two.bob.call("delinvoice", label="phoenix", status="unpaid")
    second = two.invoice("phoenix", preimage="31" * 32)
    assert first["payment_hash"] == second["payment_hash"]
    error = refusal(two.alice, "pay", bolt11=first["bolt11"])
    assert (error.code, "payee" in str(error)) == (203, True)
    assert second["created_index"] > first["created_index"]


def test_no_number_comes_twice__even_after_a_restart(two: Two) -> None:
    last = pay(two, "last one")
    two.bob.call("delinvoice", label="last one", status="paid")
    two.bob.stop()
    two.bob.start()
    two.wait_state(two.bob, two.channel_id, "CHANNELD_NORMAL")
    two.alice.call("connect", id=f"{two.bob.node_id}@127.0.0.1:{two.bob.port}")
    after = pay(two, "one more")
    for index in ("pay_index", "created_index", "updated_index"):
        assert after[index] > last[index], index


# --- waitanyinvoice -----------------------------------------------------------------------------


def test_waitanyinvoice__each_that_was_paid_in_turn(two: Two) -> None:
    labels = [pay(two, f"turn {n}", 1_000 + n)["label"] for n in range(3)]
    [first] = two.bob.call("listinvoices", label=labels[0])["invoices"]
    index, seen = first["pay_index"] - 1, []
    for _ in labels:
        told = two.ask(two.bob, "waitanyinvoice", lastpay_index=index)
        seen.append(told["label"])
        index = told["pay_index"]
    assert seen == labels
    with pytest.raises(RpcError) as error:
        call(two.bob.socket, "waitanyinvoice", [index, 0])
    assert (error.value.code, str(error.value)) == (904, "Timed out")


def test_waitanyinvoice__without_arguments_the_first_of_all(two: Two) -> None:
    pay(two, "somebody")
    told = two.bob.call("waitanyinvoice")
    check_answer("waitanyinvoice", told, held=False)
    invoices = two.bob.call("listinvoices")["invoices"]
    assert told["pay_index"] == min(i["pay_index"] for i in invoices if "pay_index" in i)


def test_waitanyinvoice__is_told_while_it_waits(two: Two) -> None:
    index = pay(two, "the one before")["pay_index"]
    made = two.invoice("the next")
    answers: list[Any] = []

    def wait() -> None:
        answers.append(call(two.bob.socket, "waitanyinvoice", [index, 20]))

    waiting = threading.Thread(target=wait)
    waiting.start()
    two.alice.call("pay", bolt11=made["bolt11"])
    waiting.join(20)
    [told] = answers
    check_answer("waitanyinvoice", told)
    assert (told["label"], told["pay_index"]) == ("the next", index + 1)


# --- keysend ------------------------------------------------------------------------------------


def test_keysend__is_listed_told_and_forgotten_like_an_invoice(two: Two) -> None:
    before = pay(two, "before the gift")["pay_index"]
    sent = two.alice.call(
        "keysend",
        destination=two.bob.node_id,
        amount_msat=1_234_567,
        extratlvs={"7629169": b"for you".hex()},
    )
    told = two.ask(two.bob, "waitanyinvoice", lastpay_index=before)
    listed = two.bob.call("listinvoices", payment_hash=sent["payment_hash"])
    check_answer("listinvoices", listed)
    assert listed["invoices"] == [told]
    assert (told["status"], told["description"]) == ("paid", "keysend: for you")
    assert told["label"] == f"keysend-{sent['payment_hash']}"
    assert (told["amount_received_msat"], told["pay_index"]) == (1_234_567, before + 1)
    assert "amount_msat" not in told
    assert told["payment_preimage"] == sent["payment_preimage"]
    said = two.ask(two.bob, "decode", string=told["bolt11"])
    assert (said["payment_hash"], said["description"]) == (sent["payment_hash"], "keysend: for you")
    assert two.ask(two.bob, "delinvoice", label=told["label"], status="paid") == told


# --- a second channel ---------------------------------------------------------------------------


def test_invoice__what_a_private_channel_adds(two: Two) -> None:
    announced = two.channel(two.bob)["receivable_msat"]
    two.open(announce=False)
    private = two.channel(two.bob)["receivable_msat"]
    assert private > announced
    cases: list[tuple[object, int, list[str]]] = [
        (None, announced + 1, ["warning_private_unused"]),
        (False, announced + 1, ["warning_private_unused"]),
        ([], announced + 1, ["warning_private_unused"]),
        (True, announced + 1, []),
        ("true", private + 1, ["warning_mpp"]),
    ]
    for given, msat, warnings in cases:
        label = f"exposing {given!r} {type(given)}"
        made = two.invoice(label, msat, exposeprivatechannels=given)
        assert [key for key in made if key.startswith("warning")] == warnings, given
