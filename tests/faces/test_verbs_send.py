"""`leyden send` over two daemons: a person's yes, a script's ceilings, and nothing paid twice."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ldk.daemon import wait_for
from tests.support.terminal import answer, piped, typed
from tests.support.two import Two, silent, two_daemons
from wallet.faces.cli.exit_codes import Exit

ADDRESS = "bcrt1q6rhpng9evdsfnn833a4f4vej0asu6dk5srld6x"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("send"), push_msat=400_000_000) as pair:
        yield pair


def _paid(two: Two, label: str) -> bool:
    [invoice] = two.bob.call("listinvoices", label=label)["invoices"]
    return bool(invoice["status"] == "paid")


def _error(two: Two, *words: str, code: int, **env: str) -> str:
    """The sentence of a call that must end with the code."""
    done = piped(two.alice.socket, *words, **env)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    return str(json.loads(done.stdout)["message"])


# --- a person ---------------------------------------------------------------------------------


def test_person__sees_the_facts_types_pay_and_gets_the_proof(two: Two) -> None:
    bolt11 = two.invoice("lamp", 250_000_000, description="Desk lamp, order 3312")["bolt11"]
    code, seen = typed(two.alice.socket, "send", bolt11, answers=("pay",))
    assert code == 0, seen
    for words in ("Desk lamp, order 3312", "250,000 sat", "at most 2,500 sat (1.0 %)",
                  "type pay to send, anything else to stop: ", "paid 250,000 sat in ",
                  "# on its way; Ctrl-C detaches, it does not cancel\n",
                  "fee 0 sat", "leyden show "):  # fmt: skip
        assert words in seen, seen
    [invoice] = two.bob.call("listinvoices", label="lamp")["invoices"]
    assert invoice["status"] == "paid"
    assert f"proof {invoice['payment_preimage']}" in seen


@pytest.mark.parametrize("said", ["no", "", "PAY", "pay it", "\x04"])
def test_person__who_says_anything_else_pays_nothing(two: Two, said: str) -> None:
    label = f"not wanted {said!r}"
    bolt11 = two.invoice(label)["bolt11"]
    code, seen = typed(two.alice.socket, "send", bolt11, answers=(said,))
    assert code == Exit.NEEDS_CONFIRMATION, seen
    assert "nothing was sent" in seen
    assert not _paid(two, label)
    assert not two.alice.call("listpays", bolt11=bolt11)["pays"]


def test_person__is_shown_a_strangers_words_and_not_their_effect(two: Two) -> None:
    bolt11 = two.invoice("evil", description="x\x1b[2J\u202e\npaid 1 sat")["bolt11"]
    _, seen = typed(two.alice.socket, "send", bolt11, answers=("no",))
    assert "x\\u001b[2J\\u202e\\npaid 1 sat" in seen
    assert "\x1b" not in seen


# --- a script ---------------------------------------------------------------------------------


def test_script__needs_yes(two: Two) -> None:
    bolt11 = two.invoice("script")["bolt11"]
    assert "--yes" in _error(two, "send", bolt11, code=Exit.NEEDS_CONFIRMATION)
    assert not _paid(two, "script")
    done = answer(two.alice.socket, "send", bolt11, "--yes", "--label", "mine")
    [pay] = two.alice.call("listpays", bolt11=bolt11)["pays"]
    assert pay["label"] == "mine"
    assert {k: done[k] for k in ("type", "status", "amount_msat", "fee_msat", "payment_hash")} == {
        "type": "payment",
        "status": "complete",
        "amount_msat": 1_000_000,
        "fee_msat": 0,
        "payment_hash": pay["payment_hash"],
    }
    assert done["payment_preimage"] == pay["preimage"]


def test_script__reads_the_invoice_from_stdin_or_a_file(two: Two, tmp_path: Path) -> None:
    bolt11 = two.invoice("stdin")["bolt11"]
    done = piped(two.alice.socket, "send", "-", "--yes", stdin=f"lightning:{bolt11.upper()}\n")
    assert json.loads(done.stdout)["status"] == "complete"
    place = tmp_path / "invoice.txt"
    place.write_text(two.invoice("file", "any")["bolt11"] + "\n")
    done = piped(two.alice.socket, "send", "--from-file", str(place), "7", "--yes", "--max-fee=1%")
    assert json.loads(done.stdout)["amount_msat"] == 7_000


def test_script__stays_under_its_ceilings(two: Two) -> None:
    bolt11 = two.invoice("ceiling", 2_000_000)["bolt11"]
    over = Exit.NEEDS_CONFIRMATION
    said = _error(two, "send", bolt11, "--yes", code=over, LEYDEN_MAX_AMOUNT="1_999")
    assert said.startswith("2,000 sat is over the ceiling of 1,999 sat")
    place = two.alice.socket.parent.parent / "cli.toml"
    try:
        place.write_text('max_amount = "0.00001btc"\n')
        assert "ceiling of 1,000 sat" in _error(
            two, "send", bolt11, "--yes", code=over, LEYDEN_MAX_AMOUNT="5000"
        )
        place.write_text('max_amount = "2000"\nmax_fee_percent = 0.5\n')
        said = _error(two, "send", bolt11, "--yes", "--max-fee", "1%", code=over)
        assert said.startswith("a fee of up to 20 sat is over the ceiling of 10 sat")
        place.write_text("max_ammount = 5\n")
        assert piped(two.alice.socket, "send", bolt11, "--yes").returncode == Exit.USAGE
        place.write_text("max_amount = [5]\n")
        assert piped(two.alice.socket, "send", bolt11, "--yes").returncode == Exit.USAGE
        assert not _paid(two, "ceiling")
        place.write_text('max_amount = "2000"\nmax_fee_percent = 0.5\n')
        assert answer(two.alice.socket, "send", bolt11, "--yes")["status"] == "complete"
    finally:
        place.unlink()


def test_script__pays_an_invoice_once(two: Two) -> None:
    bolt11 = two.invoice("once")["bolt11"]
    first = answer(two.alice.socket, "send", bolt11, "--yes")
    done = piped(two.alice.socket, "send", bolt11)
    assert done.returncode == 0
    assert done.stderr == "# already paid; nothing was sent now\n"
    again = json.loads(done.stdout)
    assert {**again, "parts": 1, "label": None} == {**first, "parts": 1, "label": None}


def test_script__pays_a_node_once_for_each_key(two: Two) -> None:
    words = ("send", two.bob.node_id, "3", "--yes", "--idempotency-key")
    first = answer(two.alice.socket, *words, "rent may")
    again = json.loads(piped(two.alice.socket, *words, "rent may").stdout)
    assert again["payment_hash"] == first["payment_hash"]
    assert answer(two.alice.socket, *words, "rent june")["payment_hash"] != first["payment_hash"]
    other = ("send", two.bob.node_id, "4", "--yes", "--idempotency-key", "rent may")
    assert "given to another payment" in _error(two, *other, code=Exit.REFUSED)
    sent = [p for p in two.alice.call("listpays")["pays"] if str(p.get("label")).startswith("rent")]
    assert [p["amount_msat"] for p in sent] == [3_000, 3_000]


def test_dry_run__shows_and_sends_nothing(two: Two) -> None:
    bolt11 = two.invoice("dry")["bolt11"]
    found = answer(two.alice.socket, "send", bolt11, "--dry-run")
    assert (found["amount_msat"], found["max_fee_msat"]) == (1_000_000, 10_000)
    assert found["destination"] == two.bob.node_id
    code, seen = typed(two.alice.socket, "send", bolt11, "--dry-run")
    assert code == 0
    assert seen.endswith("nothing was sent\n")
    found = answer(two.alice.socket, "send", ADDRESS, "5000", "--dry-run")
    assert (found["type"], found["amount_msat"]) == ("withdrawal", 5_000_000)
    assert not two.alice.call("listpays", bolt11=bolt11)["pays"]
    assert not two.chain.call("getrawmempool")


def test_silent_peer__the_outcome_is_open(two: Two) -> None:
    bolt11 = two.invoice("silent")["bolt11"]
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    with silent(two.bob):
        said = _error(two, "send", bolt11, "--yes", "--retry-for", "1", code=Exit.OUTCOME_OPEN)
        assert payment_hash in said
        assert "already on its way" in _error(two, "send", bolt11, code=Exit.OUTCOME_OPEN)
        bolder = two.alice.call("listpays", bolt11=bolt11)["pays"]
        assert [p["status"] for p in bolder] == ["pending"]


@contextmanager
def _awake_after(two: Two, payment_hash: str) -> Iterator[None]:
    """Bob says nothing until Alice's payment is on its way."""
    with silent(two.bob):
        waker = threading.Thread(target=_wake, args=(two, payment_hash))
        waker.start()
        yield
        waker.join()


def _wake(two: Two, payment_hash: str) -> None:
    wait_for(lambda: two.alice.call("listpays", payment_hash=payment_hash)["pays"], "a payment")
    assert two.bob._process is not None
    two.bob._process.send_signal(signal.SIGCONT)


def test_no_wait__is_back_once_it_is_on_its_way(two: Two) -> None:
    bolt11 = two.invoice("no wait")["bolt11"]
    with silent(two.bob):
        done = piped(two.alice.socket, "send", bolt11, "--yes", "--no-wait", "--label", "later")
        found = json.loads(done.stdout)
        payment_hash = found["payment_hash"]
        assert (done.returncode, found["status"]) == (Exit.OUTCOME_OPEN, "pending")
        assert done.stderr == f"# on its way, do not repeat it: leyden wait {payment_hash}\n"
        words = ("send", two.bob.node_id, "9", "--no-wait")
        code, seen = typed(two.alice.socket, *words, answers=("pay",))
        assert code == Exit.OUTCOME_OPEN
        assert "9 sat on its way: it may still arrive; do not repeat it\nleyden wait " in seen
        keysend_hash = seen.rstrip().rpartition(" ")[2]
    for name in (payment_hash, keysend_hash, "later"):
        assert answer(two.alice.socket, "wait", name)["status"] == "complete"


def test_no_wait__an_outcome_that_is_quicker_is_the_answer(two: Two) -> None:
    too_much = two.invoice("too much at once", 590_000_000)["bolt11"]
    _error(two, "send", too_much, "--yes", "--no-wait", code=Exit.REFUSED)
    words = ("send", ADDRESS, "5000", "--yes", "--no-wait")
    assert piped(two.alice.socket, *words).returncode == Exit.USAGE


def test_progress__as_json_on_stderr(two: Two) -> None:
    bolt11 = two.invoice("told")["bolt11"]
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    with _awake_after(two, payment_hash):
        done = piped(two.alice.socket, "send", bolt11, "--yes", "--progress", "json")
    assert json.loads(done.stdout)["status"] == "complete"
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    assert [s["step"] for s in steps] == ["under_way", "part_arrived"]
    assert (steps[1]["payment_hash"], steps[1]["amount_msat"]) == (payment_hash, 1_000_000)
    assert all(s["seconds"] >= 0 and s["message"] for s in steps)
    # What was paid before is a note among them.
    done = piped(two.alice.socket, "send", bolt11, "--progress=json")
    [note] = [json.loads(line) for line in done.stderr.splitlines()]
    assert (note["step"], note["message"]) == ("note", "already paid; nothing was sent now")
    assert piped(two.alice.socket, "send", bolt11, "--progress", "x").returncode == Exit.USAGE


def test_progress__of_a_part_that_comes_back(two: Two) -> None:
    bolt11 = two.invoice("refused")["bolt11"]
    two.bob.call("delinvoice", label="refused", status="unpaid")
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    with _awake_after(two, payment_hash):
        done = piped(two.alice.socket, "send", bolt11, "--yes", "--progress", "json")
    assert done.returncode == Exit.REFUSED
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    assert [s["step"] for s in steps] == ["under_way", "part_came_back"]
    assert steps[1]["failure"] in steps[1]["message"]
    words = ("send", two.invoice("none")["bolt11"], "--progress", "none")
    _, seen = typed(two.alice.socket, *words, answers=("pay",))
    assert "# on its way" not in seen


# --- on chain ---------------------------------------------------------------------------------


def _mempool_output(two: Two, txid: str) -> list[tuple[Any, int]]:
    raw = two.chain.call("getrawtransaction", txid, True)
    return [(o["scriptPubKey"].get("address"), round(o["value"] * 10**8)) for o in raw["vout"]]


def test_address__is_paid_by_a_transaction(two: Two) -> None:
    before = answer(two.alice.socket, "send", ADDRESS, "20_000", "--dry-run")
    done = answer(two.alice.socket, "send", f"bitcoin:{ADDRESS}?amount=0.0002", "--yes")
    assert (done["type"], done["amount_msat"], done["status"]) == (
        "withdrawal",
        20_000_000,
        "pending",
    )
    [item] = two.alice.call("history", filter={"text": done["txid"]})["history"]
    assert (item["amount_msat"], item["direction"]) == (20_000_000, "out")
    assert 0 < item["fee_msat"] <= before["max_fee_msat"]
    two.mine()
    code, seen = typed(two.alice.socket, "send", ADDRESS, "10000sat", answers=("pay",))
    assert code == 0, seen
    assert "sent 10,000 sat to the chain; it waits for a block" in seen
    assert "a transaction cannot be taken back" in seen
    two.mine()


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "send",
        "send lnbc1 1 2",
        "send lno1pgx",
        "send http://evil",
        "send 'x y'",
        "send -",
        f"send {ADDRESS}",
        f"send {ADDRESS} 1.5",
        f"send {ADDRESS} 0",
        f"send {ADDRESS} 5 --max-fee 1",
        f"send {ADDRESS} 5 --idempotency-key k",
        f"send bitcoin:{ADDRESS}?amount=0.001 5",
        f"send {'02' * 33}",
        f"send {'02' * 33} all",
        f"send {'02' * 33} 5 --feerate 253perkw",
        f"send {'02' * 33} 5 --label a --idempotency-key b",
        "send --from-file /nowhere/at/all",
    ],
)
def test_bad_words__are_usage(two: Two, words: str) -> None:
    done = piped(two.alice.socket, *words.split(), "--yes", stdin="")
    assert (done.returncode, done.stdout) == (Exit.USAGE, ""), done.stderr
    assert done.stderr.startswith("leyden: ")


def test_amounts__that_do_not_fit_the_invoice(two: Two) -> None:
    bolt11 = two.invoice("thousand")["bolt11"]
    open_amount = two.invoice("open amount", "any")["bolt11"]
    for words, sentence in (
        ((bolt11, "999"), "the invoice asks for 1,000 sat, not 999 sat"),
        ((open_amount,), "leaves the amount to you"),
    ):
        done = piped(two.alice.socket, "send", *words, "--yes")
        assert done.returncode == Exit.USAGE
        assert sentence in done.stderr
    assert answer(two.alice.socket, "send", bolt11, "1_000", "--yes")["amount_msat"] == 1_000_000


def test_refused__by_the_daemon(two: Two) -> None:
    too_much = two.invoice("too much", 590_000_000)["bolt11"]
    _error(two, "send", too_much, "--yes", code=Exit.REFUSED)
    _error(two, "send", "lnbcrt1nonsense", "--yes", code=Exit.REFUSED)
    _error(two, "send", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "5", "--yes", code=1)


def test_wait__is_usual_and_excludes_its_opposite(two: Two) -> None:
    made = two.bob.call("invoice", amount_msat=2_000_000, label="wait", description="wait")
    paid = answer(two.alice.socket, "send", made["bolt11"], "--yes", "--wait")
    assert paid["status"] == "complete"
    done = piped(two.alice.socket, "send", made["bolt11"], "--yes", "--wait", "--no-wait")
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
