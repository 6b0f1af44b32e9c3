"""Channels by friendly verbs over two daemons: open after a yes, fees, ways; doctor."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import answer, piped, typed
from tests.support.two import Two, two_daemons
from wallet.faces.cli.exit_codes import Exit


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("opens"), push_msat=400_000_000) as pair:
        yield pair


def _count(two: Two) -> int:
    return len(two.alice.call("listpeerchannels")["channels"])


def test_open__needs_a_yes_and_connects_first(two: Two) -> None:
    two.alice.call("disconnect", id=two.bob.node_id, force=True)
    before, peer = _count(two), f"{two.bob.node_id}@127.0.0.1:{two.bob.port}"
    words = ("open", peer, "200_000", "--private", "--push", "1000")
    done = piped(two.alice.socket, *words)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (Exit.NEEDS_CONFIRMATION, -32004)
    done = piped(two.alice.socket, *words, "--yes", LEYDEN_MAX_AMOUNT="199_999")
    assert done.returncode == Exit.NEEDS_CONFIRMATION
    preview = answer(two.alice.socket, *words, "--dry-run")
    assert (preview["amount_msat"], preview["push_msat"]) == (200_000_000, 1_000_000)
    code, seen = typed(two.alice.socket, *words, answers=("pay",))
    assert (code, _count(two)) == (Exit.NEEDS_CONFIRMATION, before)
    assert "gift     1,000 sat of it" in seen
    code, seen = typed(two.alice.socket, *words, answers=("open",))
    assert code == 0, seen
    assert "the channel waits for the chain to confirm it" in seen
    shown = two.channel(two.alice)
    assert (shown["total_msat"], shown["private"]) == (200_000_000, True)
    assert shown["funding"]["pushed_msat"] == 1_000_000
    [item] = two.alice.call("history", filter={"text": shown["channel_id"]})["history"]
    assert 0 < item["fee_msat"] <= preview["max_fee_msat"]
    assert " opening " in typed(two.alice.socket, "channels")[1]
    two.mine()
    two.wait_state(two.alice, shown["channel_id"], "CHANNELD_NORMAL")


@pytest.mark.parametrize(
    "words",
    ["open", "open bob 5", "open {id} x", "open {id} 1.5", "open {id} 5 --push -1",
     "open {id} 5 --feerate fast", "route {id}", "route {id} x", "fees --ppm 5",
     "fees all --ppm -5", "fees all --base x", "completion", "completion tcl", "doctor now"],
)  # fmt: skip
def test_bad_words(two: Two, words: str) -> None:
    given = words.format(id=two.bob.node_id).split()
    done = piped(two.alice.socket, *given)
    assert (done.returncode, done.stdout) == (Exit.USAGE, ""), done.stderr


def test_fees__are_shown_and_changed(two: Two) -> None:
    channel = next(c for c in two.alice.call("listpeerchannels")["channels"])
    scid = channel["short_channel_id"]
    [shown] = answer(two.alice.socket, "fees", scid)["channels"]
    assert shown["fee_base_msat"] == channel["fee_base_msat"]
    words = ("--base", "500msat", "--ppm", "77", "--min", "2")
    [changed] = answer(two.alice.socket, "fees", scid, *words)["channels"]
    assert changed["fee_base_msat"] == 500
    assert changed["fee_proportional_millionths"] == 77
    assert changed["minimum_htlc_out_msat"] == 2_000
    code, seen = typed(two.alice.socket, "updatechanpolicy", scid)
    assert code == 0
    assert "0.500" in seen
    assert piped(two.alice.socket, "fees", "1x1x1").returncode == Exit.REFUSED


def test_route__to_a_node_that_nobody_knows(two: Two) -> None:
    done = piped(two.alice.socket, "route", "02" * 33, "5")
    assert done.returncode == Exit.REFUSED
    assert json.loads(done.stdout)["message"]


# --- doctor -------------------------------------------------------------------------------------


def _findings(two: Two, code: int = 0) -> dict[str, str]:
    done = piped(two.alice.socket, "doctor")
    assert done.returncode == code, done.stdout + done.stderr
    return {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}


def test_doctor__finds_nothing_wrong(two: Two) -> None:
    assert _findings(two) == {
        "directory": "ok",
        "socket": "ok",
        "daemon": "ok",
        "chain": "ok",
        "clock": "ok",
        "disk": "ok",
        "channels": "ok",
        "reserve": "ok",
    }
    code, seen = typed(two.alice.socket, "doctor")
    assert code == 0
    assert seen.startswith("✓ directory")


def test_doctor__finds_what_others_can_read(two: Two) -> None:
    directory = two.alice.socket.parent
    directory.chmod(0o755)
    try:
        assert _findings(two, Exit.REFUSED)["directory"] == "bad"
        _, seen = typed(two.alice.socket, "doctor")
        assert f"chmod 700 {directory}" in seen
    finally:
        directory.chmod(0o700)


def test_doctor__without_a_daemon(tmp_path: Path) -> None:
    done = piped(tmp_path / "regtest" / "lightning-rpc", "doctor")
    assert done.returncode == Exit.UNREACHABLE
    found = {c["name"]: c for c in json.loads(done.stdout)["checks"]}
    assert found["directory"]["status"] == "bad"
    assert "leyden init" in found["directory"]["said"]
    assert found["daemon"]["status"] == "bad"
    assert "leyden daemon" in found["daemon"]["said"]


def test_court__what_the_chain_would_rule(two: Two) -> None:
    """After a payment there is a commitment of the past; its every output would be ours."""
    made = two.alice.call("invoice", amount_msat=1_000_000, label="court", description="court")
    assert two.bob.call("pay", bolt11=made["bolt11"])["status"] == "complete"
    shown = answer(two.alice.socket, "court", two.bob.node_id[:8])
    ways = {w["way"]: w for w in shown["channels"][0]["ways"]}
    assert set(ways) == {"together", "alone", "by them", "by their cheat"}
    judged = [o["verified"] for w in ways.values() for o in w["outputs"] if o["costs_sat"]]
    assert judged, "nothing to judge"
    assert set(judged) == {True}
    cheated = ways["by their cheat"]
    assert [o["owner"] for o in cheated["outputs"] if o["amount_msat"] > 330_000] == ["us", "us"]
    assert cheated["ours_msat"] > ways["by them"]["ours_msat"] + 390_000_000
    code, seen = typed(two.alice.socket, "court")
    assert code == 0
    assert "Closed by their cheat" in seen
    assert "INVALID" not in seen
    assert answer(two.alice.socket, "court", "nobody")["channels"] == []
