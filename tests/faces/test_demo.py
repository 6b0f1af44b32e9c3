"""`leyden demo`, as scripts see it: what it prints, its exit code, and what it leaves running."""

import argparse
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.towns import holders, nothing_is_left, programs, start
from wallet.base.errors import ServiceFault
from wallet.faces.demo import main
from wallet.faces.demo.town import Town
from wallet.faces.rpc.client import Interrupted

STEPS = [
    "chain",
    "nodes",
    "channels",
    "fund",
    "open",
    "pay",
    "hops",
    "receive",
    "keysend",
    "refuse",
    "crash",
    "close",
    "money check",
]
FOOTPRINT = {"payments", "chain_transactions", "vbytes", "fees_sat"}


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the demo ended before it said {text!r}")


def test_the_story_holds(tmp_path: Path) -> None:
    process = start(tmp_path, "--headless", "--json")
    out, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    report: dict[str, Any] = json.loads(out)
    assert list(report) == ["ok", "seconds", "steps", "money_check", "footprint"]
    assert report["ok"] is True
    assert [step["name"] for step in report["steps"]] == STEPS
    assert all(step["ok"] and list(step) == ["name", "ok", "seconds"] for step in report["steps"])
    money = report["money_check"]
    assert money["ok"] is True
    assert money["mined_sat"] == money["found_sat"] > 100 * 50 * 100_000_000
    # A funding and a close, however many payments.
    footprint = report["footprint"]
    assert footprint.keys() == FOOTPRINT
    assert (footprint["payments"], footprint["chain_transactions"]) == (5, 2)
    assert 300 < footprint["vbytes"] < 400
    assert footprint["fees_sat"] >= footprint["vbytes"]
    assert "5 payments took 2 transactions" in " ".join(told.split())
    assert "Every step held and every satoshi is accounted for" in told
    assert "Traceback" not in told
    assert "\033" not in told
    assert holders(tmp_path) == []


def test_told_again__in_the_same_town(tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        process = start(tmp_path, "--headless", "--json")
        out, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        assert json.loads(out)["ok"] is True
        ids.append(next(line for line in told.splitlines() if "alice (you) is" in line).split()[3])
    assert ids[0] == ids[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted__everything_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "--headless", "--json")
    wait_for_line(process, " 3  channels")
    process.send_signal(number)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130
    report = json.loads(out)
    assert report["ok"] is False
    assert "Traceback" not in told
    assert holders(tmp_path) == []


def test_killed__everything_is_stopped(tmp_path: Path) -> None:
    process = start(tmp_path, "--headless")
    wait_for_line(process, " 3  channels")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert nothing_is_left(tmp_path)


def test_one_demo_for_a_directory(tmp_path: Path) -> None:
    with Town(tmp_path / "demo"):
        process = start(tmp_path, "--headless", "--json")
        out, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told.startswith("leyden demo: another demo is running in ")
    assert json.loads(out)["ok"] is False


def test_what_no_demo_made_is_not_deleted(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    (home / "letters").write_text("dear")
    (home / "bob").mkdir()
    process = start(tmp_path, "--headless")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "holds 'letters', which no demo made" in told
    assert {entry.name for entry in home.iterdir()} == {"letters", "bob"}


@pytest.mark.parametrize(
    ("fault", "code", "steps", "words"),
    [
        (ServiceFault("the chain did not start: no room"), 1, [("chain", False)], "no room"),
        # Not foreseen, and still no traceback: scripts read `steps`.
        (IndexError("no such row"), 1, [("chain", False)], "IndexError: no such row"),
        # Ctrl-C while a node was asked: the socket's client says so in its own way.
        (Interrupted("detached"), 130, [], "Stopped; nothing of the town is running"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_step_that_fails_is_told_and_ends_the_story(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fault: Exception,
    code: int,
    steps: list[tuple[str, bool]],
    words: str,
) -> None:
    def fails(_town: Town) -> None:
        raise fault

    monkeypatch.setattr(Town, "start_chain", fails)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        args = argparse.Namespace(action="", dir=tmp_path / "t", json=True, fresh=False)
        assert main.run(args) == code
    finally:
        signal.signal(signal.SIGTERM, handler)
    out, told = capsys.readouterr()
    report = json.loads(out)
    assert report["ok"] is False
    assert [(step["name"], step["ok"]) for step in report["steps"]] == steps
    assert words in told


def test_a_program_dies__its_step_fails(tmp_path: Path) -> None:
    process = start(tmp_path, "--headless", "--json")
    wait_for_line(process, " 5  open")
    [victim] = [pid for pid, line in programs(tmp_path) if " regtest " in line]
    os.kill(victim, signal.SIGKILL)
    out, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert json.loads(out)["steps"][-1]["ok"] is False
    assert "This did not hold." in told
    assert "Traceback" not in told
    assert holders(tmp_path) == []
