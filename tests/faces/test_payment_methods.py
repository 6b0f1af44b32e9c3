"""Invoices and payments by RPC between two daemons: every parameter, every way to be refused."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.ldk.daemon import wait_for
from tests.support.cln_schemas import check_answer
from tests.support.two import CAPACITY, Two, command, refusal, silent, two_daemons
from wallet.base.bitcoin.chains import CHAINS
from wallet.base.crypto.curve import sign_recoverable
from wallet.base.invoices.bolt11 import InvoiceFields, encode_invoice
from wallet.base.values.features import OUR_INVOICE
from wallet.base.values.ids import PaymentHash
from wallet.faces.cli.exit_codes import Exit

P2WPKH = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"
"""Nobody's address on regtest."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("payments"), push_msat=400_000_000) as pair:
        yield pair


# --- invoices -----------------------------------------------------------------------------------


def test_invoice__parameters_reach_the_invoice(two: Two) -> None:
    made = two.invoice(
        "all of it",
        "any",
        expiry=600,
        cltv=40,
        deschashonly=True,
        preimage="77" * 32,
        fallbacks=[P2WPKH],
        exposeprivatechannels=[],
    )
    check_answer("invoice", made)
    said = two.alice.call("decode", string=made["bolt11"])
    check_answer("decode", said)
    assert "amount_msat" not in said
    assert "description" not in said
    assert said["description_hash"]
    assert (said["expiry"], said["min_final_cltv_expiry"]) == (600, 40)
    [fallback] = said["fallbacks"]
    assert (fallback["type"], fallback["addr"]) == ("P2WPKH", P2WPKH)
    [kept] = two.bob.call("listinvoices", invstring=f"lightning:{made['bolt11'].upper()}")[
        "invoices"
    ]
    check_answer("listinvoices", {"invoices": [kept]})
    assert kept["description"] == "all of it"


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"label": "twice"}, 900, "Duplicate label 'twice'"),
        ({"preimage": "66" * 32}, 901, "this preimage exists"),
        ({"amount_msat": 0}, -32602, "positive msat or 'any'"),
        ({"expiry": 0}, -32602, "seconds"),
        ({"cltv": 5}, -32602, "not safe"),
        ({"description": "d" * 2_000}, -32602, "deschashonly"),
        ({"fallbacks": ["nowhere"]}, -32602, "fallbacks: not an address"),
    ],
)
def test_invoice__refuses(two: Two, params: dict[str, object], code: int, words: str) -> None:
    if "twice" not in {i["label"] for i in two.bob.call("listinvoices")["invoices"]}:
        two.invoice("twice", preimage="66" * 32)
    before = two.bob.call("listinvoices")
    given = {"amount_msat": 1, "label": "refused", "description": "", **params}
    error = refusal(two.bob, "invoice", **given)
    assert (error.code, words in str(error)) == (code, True), error
    assert two.bob.call("listinvoices") == before


def test_invoice__warns_when_nobody_could_pay_it(two: Two) -> None:
    check_answer("invoice", two.invoice("small"))
    assert not [k for k in two.invoice("payable") if k.startswith("warning")]
    large = two.invoice("large", CAPACITY * 1_000)
    check_answer("invoice", large)
    assert "too little" in large["warning_capacity"]


def test_waitinvoice__expires_or_is_paid_while_it_waits(two: Two) -> None:
    two.invoice("short", expiry=1)
    begun = time.monotonic()
    error = refusal(two.bob, "waitinvoice", label="short")
    assert (error.code, "expired" in str(error)) == (903, True)
    assert 0 < time.monotonic() - begun < 5
    [listed] = two.bob.call("listinvoices", label="short")["invoices"]
    assert listed["status"] == "expired"
    made = two.invoice("awaited")
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(two.bob.call("waitinvoice", label="awaited"))
    )
    waiting.start()
    two.alice.call("pay", bolt11=made["bolt11"])
    waiting.join(10)
    [paid] = answers
    check_answer("waitinvoice", paid)
    assert paid["status"] == "paid"


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_decode__an_invoice_of_any_network(two: Two, chain: Any) -> None:
    fields = InvoiceFields(
        prefix=chain.invoice_prefix,
        timestamp=1_700_000_000,
        payment_hash=PaymentHash(b"\x11" * 32),
        payment_secret=b"\x22" * 32,
        description="elsewhere",
        features=OUR_INVOICE,
        unknown=((2, b"123"),),
    )
    text = encode_invoice(fields, lambda digest: sign_recoverable(b"\x07" * 32, digest))
    for written in (text, text.upper(), f"lightning:{text}", f"LIGHTNING:{text.upper()}"):
        said = two.alice.call("decode", string=written)
        check_answer("decode", said)
        assert (said["currency"], said["valid"]) == (chain.invoice_prefix, True)
        assert said["extra"] == [{"tag": "z", "data": "pzr"}]


# --- paying -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"maxdelay": 20}, 206, "maxdelay 20"),
        ({"exclude": ["1x1x1"]}, -32602, "exclude"),
        ({"partial_msat": 1}, -32602, "partial_msat is not supported"),
        ({"localinvreqid": "11" * 32}, -32602, "localinvreqid is not supported"),
        ({"maxfee": 1, "maxfeepercent": 1}, -32602, "maxfee cannot be given with"),
        ({"amount_msat": 5}, -32602, "without an amount"),
        ({"bolt11": "twice"}, -32602, "duplicate json names"),
    ],
)
def test_pay__refuses(two: Two, params: dict[str, object], code: int, words: str) -> None:
    text = _once(two, "never paid")
    error = refusal(two.alice, "pay", invstring=text, **params)
    assert (error.code, words in str(error)) == (code, True), error
    assert two.alice.call("listpays", bolt11=text) == {"pays": []}


def _once(two: Two, label: str) -> str:
    known = two.bob.call("listinvoices", label=label)["invoices"]
    return str((known or [two.invoice(label)])[0]["bolt11"])


def test_pay__amount_is_the_payers_when_the_invoice_has_none(two: Two) -> None:
    made = two.invoice("open amount", "any")["bolt11"]
    missing = refusal(two.alice, "pay", bolt11=made)
    assert (missing.code, "amount_msat" in str(missing)) == (-32602, True)
    paid = two.alice.call(
        "pay",
        bolt11=f"lightning:{made.upper()}",
        amount_msat="2sat",
        maxfeepercent=1e300,
        exemptfee=0,
        label="for tea",
        riskfactor=10,
        maxdelay=500,
    )
    check_answer("pay", paid)
    assert (paid["amount_msat"], paid["parts"]) == (2_000, 1)
    [listed] = two.alice.call("listpays", bolt11=made)["pays"]
    check_answer("listpays", {"pays": [listed]})
    assert (listed["label"], listed["bolt11"]) == ("for tea", made)


def test_pay__one_msat(two: Two) -> None:
    assert two.alice.call("pay", bolt11=two.invoice("dust", 1)["bolt11"])["amount_msat"] == 1


def test_pay__no_outcome_in_time_is_open_and_never_called_failed(two: Two) -> None:
    made = two.invoice("slow")
    with silent(two.bob):
        code, answer = command(two.alice, "pay", f"bolt11={made['bolt11']}", "retry_for=1")
        assert (code, answer["code"]) == (Exit.OUTCOME_OPEN, 200)
        assert "do not pay again" in answer["message"]
        pending = two.alice.call("listpays", status="pending")
        check_answer("listpays", pending)
        [item] = pending["pays"]
        assert (item["payment_hash"], "completed_at" in item) == (made["payment_hash"], False)
        shown = two.alice.call("listpeerchannels")
        check_answer("listpeerchannels", shown)
        # What was paid before may still be on its way out of the channel.
        htlcs = [h for c in shown["channels"] for h in c["htlcs"]]
        [htlc] = [h for h in htlcs if h["payment_hash"] == made["payment_hash"]]
        assert htlc["direction"] == "out"
        again = refusal(two.alice, "pay", bolt11=made["bolt11"], retry_for=1)
        assert again.code == 200
    paid = two.alice.call("pay", bolt11=made["bolt11"])
    assert paid["status"] == "complete"
    [listed] = two.alice.call("listpays", bolt11=made["bolt11"])["pays"]
    assert listed["amount_sent_msat"] == 1_000_000
    assert two.alice.call("listpays", status="pending") == {"pays": []}


def test_pay__a_refusal_of_the_payee_is_kept_and_explained(two: Two) -> None:
    made = two.invoice("gone", expiry=3)
    with silent(two.bob):
        waiting = refusal(two.alice, "pay", bolt11=made["bolt11"], retry_for=1)
        assert waiting.code == 200
        time.sleep(3)
    wait_for(
        lambda: two.alice.call("listpays", bolt11=made["bolt11"], status="failed")["pays"],
        "the payee's refusal",
    )
    failed = two.alice.call("listpays", bolt11=made["bolt11"])
    check_answer("listpays", failed)
    error = refusal(two.alice, "pay", bolt11=made["bolt11"])
    assert error.code == 207
    [item] = failed["pays"]
    assert (item["status"], item["amount_sent_msat"]) == ("failed", 0)


def test_lists__by_update_and_by_limit(two: Two) -> None:
    updated = two.bob.call("listinvoices", index="updated", start=1)["invoices"]
    assert [i["updated_index"] for i in updated] == list(range(1, len(updated) + 1))
    assert updated == [
        i for i in two.bob.call("listinvoices", index="updated")["invoices"] if "updated_index" in i
    ]
    complete = two.alice.call("listpays", status="complete", index="created", limit=2)
    check_answer("listpays", complete)
    indices = [p["created_index"] for p in complete["pays"]]
    assert (len(indices), indices) == (2, sorted(indices))
    one = two.alice.call("listpays", payment_hash=complete["pays"][0]["payment_hash"])
    assert one["pays"] == complete["pays"][:1]
