"""A day with the friendly verbs over two daemons: receive, wait, show, history, events."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.terminal import LEYDEN, answer, environment, piped, typed
from tests.support.two import Two, silent, two_daemons
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.tui.qr import half_blocks, modules


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("story"), push_msat=400_000_000) as pair:
        yield pair


@contextmanager
def _started(two: Two, *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*LEYDEN, "--rpc-file", str(two.bob.socket), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _object(process: subprocess.Popen[str]) -> dict[str, object]:
    """The next indented JSON object that a process prints."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            return dict(json.loads(text))
    raise AssertionError(f"no object, but {text!r}")


# --- receive ------------------------------------------------------------------------------------


def test_receive__an_invoice_that_is_paid(two: Two) -> None:
    made = answer(two.bob.socket, "receive", "1_500", "--description", "tea", "--label", "tea")
    decoded = two.alice.call("decode", string=made["bolt11"])
    assert (decoded["amount_msat"], decoded["description"]) == (1_500_000, "tea")
    assert piped(two.bob.socket, "receive", "1", "--label", "tea").returncode == Exit.REFUSED
    code, seen = typed(two.bob.socket, "receive")
    assert code == 0
    assert seen.splitlines()[0].startswith("lnbcrt1")
    assert "the payer chooses" in seen


def test_receive__waits(two: Two) -> None:
    with _started(two, "receive", "2", "--wait", "--description", "waited") as process:
        invoice = _object(process)
        two.alice.call("pay", bolt11=invoice["bolt11"])
        paid = _object(process)
        assert process.wait(10) == 0
    assert (paid["status"], paid["label"]) == ("paid", invoice["label"])
    done = piped(two.bob.socket, "receive", "2", "--wait", "--timeout", "0.5")
    assert done.returncode == Exit.TIMED_OUT
    assert done.stdout.startswith("{")


@pytest.mark.parametrize("words", ["receive 5 --qr", "address --qr"])
def test_qr__is_what_is_written_below_it(two: Two, words: str) -> None:
    code, seen = typed(two.bob.socket, *words.split(), COLUMNS="200")
    assert code == 0, seen
    drawn = [line for line in seen.splitlines() if line.startswith("\x1b[38;5;16;48;5;231m")]
    text = next(line for line in seen.splitlines() if line.startswith(("lnbcrt", "bcrt1")))
    inside = [line.removesuffix("\x1b[0m").partition("231m")[2] for line in drawn]
    assert inside == half_blocks(modules(text))
    _, seen = typed(two.bob.socket, *words.split(), COLUMNS="20")
    assert "(a QR code needs " in seen
    _, seen = typed(two.bob.socket, *words.split(), "--ascii")
    assert "\x1b" not in seen
    assert answer(two.bob.socket, *words.split())


@pytest.mark.parametrize("words", ["receive 0", "receive x", "receive 1 2", "receive --wait=1"])
def test_receive__bad_words(two: Two, words: str) -> None:
    done = piped(two.bob.socket, *words.split())
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")


# --- show, history, wait ------------------------------------------------------------------------


def test_show__a_payment_an_invoice_and_a_transaction(two: Two) -> None:
    bolt11 = two.invoice("shown", description="a lamp \u202e")["bolt11"]
    payment_hash = answer(two.alice.socket, "send", bolt11, "--yes")["payment_hash"]
    found = answer(two.alice.socket, "show", payment_hash[:8])
    assert (found["type"], found["status"], found["payment_hash"]) == (
        "payment",
        "complete",
        payment_hash,
    )
    assert [a["status"] for a in found["attempts"]] == ["complete"]
    assert answer(two.alice.socket, "show", bolt11)["payment_hash"] == payment_hash
    assert answer(two.bob.socket, "show", "shown")["type"] == "invoice"
    _, seen = typed(two.alice.socket, "show", payment_hash)
    assert seen.splitlines()[0] == "money   arrived"
    assert "a lamp" not in seen or "\\u202e" in seen
    _, seen = typed(two.bob.socket, "show", payment_hash)
    assert "a lamp \\u202e" in seen
    txid = two.channel(two.alice)["funding_txid"]
    assert answer(two.alice.socket, "show", txid[:10])["type"] == "channel_open"


def test_show__why_a_payment_failed(two: Two) -> None:
    bolt11 = two.invoice("gone")["bolt11"]
    two.bob.call("delinvoice", label="gone", status="unpaid")
    done = piped(two.alice.socket, "send", bolt11, "--yes")
    assert done.returncode == Exit.REFUSED
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    found = answer(two.alice.socket, "show", payment_hash)
    assert found["status"] == "failed"
    assert found["failure"]
    [attempt] = found["attempts"]
    assert attempt["failcodename"] == "WIRE_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS"
    assert attempt["erring_node"] == two.bob.node_id
    assert attempt["reason"]
    code, seen = typed(two.alice.socket, "show", payment_hash)
    assert code == 0
    assert seen.splitlines()[0].split(None, 1) == ["money", "not sent: nothing was paid"]
    assert "not sent" in seen.splitlines()[-1]
    assert piped(two.alice.socket, "wait", payment_hash).returncode == Exit.REFUSED


@pytest.mark.parametrize(
    ("words", "code"),
    [("show", 3), ("show a b", 3), ("show ffff", 1), ("show 00", 1), ("wait nothing", 1),
     ("history --since yesterday", 3), ("history --kind sweets", 1), ("history x=1 --kind a", 3),
     ("events --count x", 3)],
)  # fmt: skip
def test_bad_words(two: Two, words: str, code: int) -> None:
    assert piped(two.alice.socket, *words.split()).returncode == code


def test_history__filters_and_the_methods_own_parameters(two: Two) -> None:
    answer(two.alice.socket, "send", two.invoice("listed")["bolt11"], "--yes", "--label", "milk")
    [item] = answer(two.alice.socket, "history", "--text", "milk")["history"]
    assert (item["kind"], item["amount_msat"]) == ("payment", 1_000_000)
    paid = answer(two.alice.socket, "history", "--kind", "payment,invoice", "--since=2020-01-01")
    assert {i["kind"] for i in paid["history"]} == {"payment"}
    wanted = {"kind": ["payment"]}
    method = two.alice.call("history", filter=wanted, limit=1)
    assert answer(two.alice.socket, "history", f"filter={json.dumps(wanted)}", "limit=1") == method
    assert answer(two.alice.socket, "history") == two.alice.call("history")
    code, seen = typed(two.alice.socket, "history", "--limit", "1")
    assert code == 0
    first, row, more = seen.splitlines()
    assert first.split() == ["when", "what", "amount", "fee", "money", "id", "about"]
    assert "-1,000" in row
    assert row.endswith("milk")
    assert more.startswith("more: leyden history --start ")


def test_wait__for_what_is_on_its_way(two: Two) -> None:
    bolt11 = two.invoice("slow")["bolt11"]
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    with silent(two.bob):
        done = piped(two.alice.socket, "send", bolt11, "--yes", "--retry-for", "1")
        assert done.returncode == Exit.OUTCOME_OPEN
        _, seen = typed(two.alice.socket, "show", payment_hash)
        assert seen.startswith("money   on its way: it may still arrive\n")
        done = piped(two.alice.socket, "wait", payment_hash, "--timeout", "0.5")
        assert done.returncode == Exit.TIMED_OUT
    assert answer(two.alice.socket, "wait", payment_hash)["status"] == "complete"
    assert answer(two.bob.socket, "wait", "slow")["status"] == "paid"
    index = answer(two.alice.socket, "wait", "sendpays", "created", "0")
    assert index == two.alice.call("wait", subsystem="sendpays", indexname="created", nextvalue=0)


@pytest.mark.parametrize("told", [(), ("--progress", "json")])
def test_lost__after_sending_the_outcome_is_open(two: Two, told: tuple[str, ...]) -> None:
    bolt11 = two.invoice(f"lost {told}")["bolt11"]
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    with silent(two.bob):
        done = piped(two.alice.socket, "send", bolt11, "--yes", "--timeout", "0.5", *told)
        assert (done.returncode, done.stdout) == (Exit.OUTCOME_OPEN, "")
        last = done.stderr.splitlines()[-1]
        said = json.loads(last)["message"] if told else last
        assert said.endswith(f"do not repeat it: leyden show {payment_hash}")
    assert answer(two.alice.socket, "wait", payment_hash)["status"] == "complete"


# --- events -------------------------------------------------------------------------------------


def test_events__a_line_each(two: Two) -> None:
    since = two.bob.call("events")["next"]
    with _started(two, "events", "--since", str(since), "--count", "2") as process:
        two.invoice("first event")
        two.invoice("second event")
        assert process.stdout is not None
        printed = [json.loads(line) for line in process.stdout]
        assert process.wait(10) == 0
    assert printed == two.bob.call("events", since=since)["events"][:2]
    done = piped(two.bob.socket, "events", "--since", str(since), "--count", "1")
    assert json.loads(done.stdout) == two.bob.call("events", since=since)["events"][0]
    assert answer(two.bob.socket, "events", "since=0") == two.bob.call("events", since=0)
    done = piped(two.bob.socket, "events", "--timeout", "1")
    assert done.returncode == Exit.TIMED_OUT
