"""Waiting by RPC between two daemons: indexes, the journal by number, notifications."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.interop.ldk.daemon import Daemon, wait_for
from tests.support.daemons import Pipe
from tests.support.two import Two, refusal, two_daemons
from wallet.faces.rpc.client import call


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("waiting"), push_msat=400_000_000) as pair:
        yield pair


class Waiter:
    """A call in a thread of its own."""

    def __init__(self, node: Daemon, method: str, **params: Any) -> None:
        self.answer: Any = None
        self._thread = threading.Thread(target=self._run, args=(node, method, params))
        self._thread.start()

    def _run(self, node: Daemon, method: str, params: dict[str, Any]) -> None:
        self.answer = call(node.socket, method, params)

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(15)
        assert not self.waits, "the call did not come back"
        return self.answer


def _index(two: Two, node: Daemon, subsystem: str, name: str) -> int:
    return int(two.ask(node, "wait", subsystem=subsystem, indexname=name, nextvalue=0)[name])


# --- indexes ------------------------------------------------------------------------------------


def test_wait__for_an_invoice_to_be_made_and_paid(two: Two) -> None:
    created = _index(two, two.bob, "invoices", "created")
    updated = _index(two, two.bob, "invoices", "updated")
    sent = _index(two, two.alice, "sendpays", "created")
    waiting = {
        "made": Waiter(two.bob, "wait", subsystem="invoices", indexname="created",
                       nextvalue=created + 1),
        "paid": Waiter(two.bob, "wait", subsystem="invoices", indexname="updated",
                       nextvalue=updated + 1),
        "sent": Waiter(two.alice, "wait", subsystem="sendpays", indexname="created",
                       nextvalue=sent + 1),
    }  # fmt: skip
    time.sleep(0.3)
    assert all(w.waits for w in waiting.values()), "an index was reached before anything was done"
    bolt11 = two.invoice("waited for")["bolt11"]
    made = waiting["made"].result()
    assert waiting["paid"].waits
    two.alice.call("pay", bolt11=bolt11)
    paid, gone = waiting["paid"].result(), waiting["sent"].result()
    assert made["created"] == created + 1
    assert (made["invoices"]["label"], made["invoices"]["status"]) == ("waited for", "unpaid")
    assert made["details"] == made["invoices"]
    assert (paid["updated"], paid["invoices"]["status"]) == (updated + 1, "paid")
    assert (
        gone["sendpays"]["payment_hash"] == two.alice.call("decode", string=bolt11)["payment_hash"]
    )


def test_wait__what_was_reached_is_told_at_once(two: Two) -> None:
    now = _index(two, two.bob, "invoices", "created")
    again = two.ask(two.bob, "wait", subsystem="invoices", indexname="created", nextvalue=now)
    assert again == {"subsystem": "invoices", "created": now}
    assert _index(two, two.bob, "forwards", "created") == 0


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"subsystem": "channelmoves"}, "no 'created' index of channelmoves"),
        ({"subsystem": "weather"}, "subsystem: should be"),
        ({"indexname": "seen"}, "indexname: should be"),
        ({"nextvalue": -1}, "nextvalue: should be"),
    ],
)
def test_wait__refuses(two: Two, params: dict[str, object], words: str) -> None:
    given = {"subsystem": "invoices", "indexname": "created", "nextvalue": 0, **params}
    error = refusal(two.alice, "wait", **given)
    assert (error.code, words in str(error)) == (-32602, True), error


# --- the journal --------------------------------------------------------------------------------


def test_events__tell_the_story_in_order(two: Two) -> None:
    start = two.bob.call("events")
    assert start["events"] == []
    bolt11 = two.invoice("in the journal", 7_000)["bolt11"]
    two.alice.call("pay", bolt11=bolt11)
    two.mine()
    told = two.bob.call("events", since=start["next"])
    seqs = [e["seq"] for e in told["events"]]
    assert seqs == list(range(start["next"], told["next"]))
    by_topic = {e["topic"]: e for e in told["events"]}
    paid = by_topic["invoice_payment"]
    assert (paid["label"], paid["amount_msat"], paid["status"]) == ("in the journal", 7_000, "paid")
    assert by_topic["invoice_creation"]["seq"] < paid["seq"]
    assert by_topic["block_added"]["height"] == two.bob.call("getinfo")["blockheight"]
    [sent] = [e for e in two.alice.call("events", since=0)["events"] if e["topic"] == "payment"][
        -1:
    ]
    assert (sent["status"], sent["amount_sent_msat"]) == ("complete", 7_000)
    parts = [e for e in two.alice.call("events", since=0)["events"] if "partid" in e]
    assert parts[-1]["topic"] == "sendpay_success"
    assert parts[-1]["payment_hash"] == sent["payment_hash"]
    assert parts[-1]["seq"] == sent["seq"] - 1


def test_events__of_a_channel_from_its_first_day(two: Two) -> None:
    told = two.bob.call("events", since=0)["events"]
    [opened] = [e for e in told if e["topic"] == "channel_opened"]
    assert opened["channel_id"] == two.channel_id
    assert opened["peer_id"] == two.alice.node_id
    assert opened["funding_msat"] == 1_000_000_000
    states = [e["new_state"] for e in told if e["topic"] == "channel_state_changed"]
    assert states == ["CHANNELD_NORMAL"]
    assert "connect" in {e["topic"] for e in told}


def test_events__a_long_poll_comes_back_with_the_first_one(two: Two) -> None:
    start = two.bob.call("events")["next"]
    waiter = Waiter(two.bob, "events", since=start, timeout=30)
    time.sleep(0.2)
    assert waiter.waits, f"something else happened: {waiter.answer}"
    two.invoice("polled for")
    [event] = waiter.result()["events"]
    assert (event["topic"], event["seq"]) == ("invoice_creation", start)
    began = time.monotonic()
    nothing = call(two.bob.socket, "events", {"since": start + 1, "timeout": 1})
    assert nothing == {"events": [], "next": start + 1}
    assert 0.9 < time.monotonic() - began < 5


def test_events__numbers_grow_over_a_restart_and_what_was_written_stays(two: Two) -> None:
    two.invoice("before the restart")
    before = two.bob.call("events", since=0)
    two.bob.stop()
    two.bob.start()
    after = two.bob.call("events", since=0)
    kept = [e for e in after["events"] if e["seq"] < before["next"]]
    written = [e for e in before["events"] if e["topic"] not in ("connect", "disconnect")]
    assert [e for e in kept if e["topic"] not in ("connect", "disconnect")] == written
    assert two.bob.call("events")["next"] > before["next"]
    wait_for(lambda: two.alice.call("listpeers")["peers"][0]["connected"], "the link again")


# --- what was said about HTLCs ------------------------------------------------------------------


def test_flow__a_payment_as_both_ends_said_it(two: Two) -> None:
    starts = [node.call("flow") for node in (two.alice, two.bob)]
    assert [start["flow"] for start in starts] == [[], []]
    waiter = Waiter(two.bob, "flow", since=starts[1]["next"], timeout=30)
    made = two.invoice("watched", 6_000)
    began = time.time()
    paid = two.alice.call("pay", bolt11=made["bolt11"])
    told = waiter.result()
    [fulfill], [add] = told["flow"], two.alice.call("flow", since=starts[0]["next"])["flow"]
    assert told["next"] == fulfill["seq"] + 1 == starts[1]["next"] + 1
    assert (add["type"], add["peer_id"]) == ("add", two.bob.node_id)
    assert (fulfill["type"], fulfill["peer_id"]) == ("fulfill", two.alice.node_id)
    assert began < add["at"] < fulfill["at"] < time.time()
    same = ("channel_id", "htlc_id", "amount_msat", "expiry", "payment_hash")
    assert [add[name] for name in same] == [fulfill[name] for name in same]
    assert (add["channel_id"], add["amount_msat"]) == (two.channel_id, 6_000)
    assert add["payment_hash"] == made["payment_hash"]
    assert paid["payment_preimage"] not in json.dumps(two.bob.call("flow", since=0))


def test_flow__waits_in_vain_and_misses_nothing(two: Two) -> None:
    start = two.bob.call("flow")["next"]
    assert two.bob.call("flow", since=start, timeout=1) == {"flow": [], "next": start}
    for label in ("one", "two"):
        two.alice.call("pay", bolt11=two.invoice(label)["bolt11"])
    first = two.bob.call("flow", since=start, limit=1)
    rest = two.bob.call("flow", since=first["next"], limit=1)
    assert [len(page["flow"]) for page in (first, rest)] == [1, 1]
    assert first["next"] == rest["flow"][0]["seq"]
    assert two.bob.call("flow", since=rest["next"])["flow"] == []


def test_flow__a_poller_notices_a_restart(two: Two) -> None:
    two.alice.call("pay", bolt11=two.invoice("before the next restart")["bolt11"])
    before = two.bob.call("flow", since=0)
    assert before["flow"]
    two.bob.stop()
    two.bob.start()
    # At once: it need not wait to be told that it has to begin anew.
    after = two.bob.call("flow", since=before["next"], timeout=30)
    assert (after["flow"], after["missed"]) == ([], True)
    assert after["next"] > before["next"]
    wait_for(lambda: two.channel(two.alice)["reestablished"], "the channel again")
    two.alice.call("pay", bolt11=two.invoice("after the next restart")["bolt11"])
    assert len(two.bob.call("flow", since=after["next"])["flow"]) == 1


# --- notifications ------------------------------------------------------------------------------


def test_notifications__are_told_before_the_answer_once_asked_for(two: Two) -> None:
    bolt11 = two.invoice("with words")["bolt11"]
    with closing(Pipe(two.alice)) as pipe:
        assert _until_answer(pipe, pipe.ask("pay", bolt11=two.invoice("silent")["bolt11"])) == []
        assert _until_answer(pipe, pipe.ask("notifications", enable=True)) == []
        asked = pipe.ask("pay", bolt11=bolt11)
        [told, *_] = _until_answer(pipe, asked)
        assert told["method"] == "message"
        assert told["params"]["id"] == asked
        assert told["params"]["level"] == "info"
        assert _until_answer(pipe, pipe.ask("notifications", enable=False)) == []
        assert _until_answer(pipe, pipe.ask("pay", bolt11=bolt11)) == []
    assert refusal(two.alice, "notifications").code == -32602


def _until_answer(pipe: Pipe, asked: int) -> list[Any]:
    """What comes before the answer to that request."""
    told: list[Any] = []
    for line in iter(pipe._reader.readline, b""):
        if line.strip():
            said = json.loads(line)
            if said.get("id") == asked:
                assert "result" in said, said
                return told
            told.append(said)
    raise AssertionError("the daemon hung up")
