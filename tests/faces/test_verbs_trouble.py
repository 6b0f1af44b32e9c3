"""Friendly verbs in trouble: signals, full and closed streams, odd terminals, a locked wallet."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import LEYDEN, answer, environment, piped, typed
from tests.support.two import Two, silent, two_daemons
from wallet.faces.cli.exit_codes import Exit


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("trouble"), push_msat=400_000_000) as pair:
        yield pair


def _interrupted(two: Two, *words: str, until: str = "") -> tuple[int, str]:
    """Exit code and stderr of a call that gets Ctrl-C: once Alice's payment `until` is under way,
    or once it has printed something."""
    process = subprocess.Popen(
        [*LEYDEN, "--rpc-file", str(two.alice.socket), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert process.stdout is not None
    end = time.monotonic() + 60
    while until and time.monotonic() < end:
        if two.alice.call("listpays", payment_hash=until)["pays"]:
            break
        time.sleep(0.05)
    if not until:
        assert process.stdout.readline()
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("told", [(), ("--progress", "json")])
def test_interrupt__detaches_from_a_payment_and_does_not_cancel_it(
    two: Two, told: tuple[str, ...]
) -> None:
    bolt11 = two.invoice(f"interrupted {told}")["bolt11"]
    payment_hash = two.alice.call("decode", string=bolt11)["payment_hash"]
    with silent(two.bob):
        code, said = _interrupted(two, "send", bolt11, "--yes", *told, until=payment_hash)
        assert code == Exit.OUTCOME_OPEN
        last = json.loads(said.splitlines()[-1])["message"] if told else said.rstrip("\n")
        assert last.endswith(f"do not repeat it: leyden show {payment_hash}")
    assert answer(two.alice.socket, "wait", payment_hash)["status"] == "complete"


@pytest.mark.parametrize("words", ["events --since 0", "receive 5 --wait"])
def test_interrupt__of_what_only_waits(two: Two, words: str) -> None:
    code, said = _interrupted(two, *words.split())
    assert code == Exit.INTERRUPTED
    assert "Traceback" not in said


def test_full_disk__after_a_payment_is_no_failure(two: Two) -> None:
    bolt11 = two.invoice("full")["bolt11"]
    for output in ((), ("-H",)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*LEYDEN, "--rpc-file", str(two.alice.socket), "send", bolt11, "--yes", *output],
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                env=environment(),
                text=True,
            )
        assert done.returncode in (Exit.OUTCOME_OPEN, Exit.REFUSED), done.stderr
        assert "Traceback" not in done.stderr
    [pay] = two.alice.call("listpays", bolt11=bolt11)["pays"]
    assert pay["status"] == "complete"


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb"},
        {"TERM": "linux"},
        {"COLUMNS": "1"},
        {"NO_COLOR": ""},
        {"COLUMNS": "wide"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_terminals__of_any_kind(two: Two, env: dict[str, str]) -> None:
    for words in ("balance", "channels", "peers", "status", "doctor"):
        code, seen = typed(two.alice.socket, words, answers=(), **env)
        assert code == 0, seen
        assert "Traceback" not in seen
        if env.get("TERM") == "linux" or "LC_ALL" in env:
            assert seen.isascii()
        assert ("\x1b[" in seen) is ("NO_COLOR" in env)


def test_reader__that_leaves(two: Two) -> None:
    for words in ("balance", "history", "events --since 0"):
        done = subprocess.run(
            ["/bin/sh", "-c", f'"$@" {words} | head -n 1', "sh", *LEYDEN, "--rpc-file",
             str(two.alice.socket)],
            capture_output=True,
            text=True,
            timeout=20,
            env=environment(),
        )  # fmt: skip
        assert done.stdout.startswith("{")
        assert "Traceback" not in done.stderr


# --- a locked wallet ----------------------------------------------------------------------------


@pytest.fixture
def locked(two: Two, tmp_path: Path) -> Iterator[Path]:
    """The socket of a daemon whose password nobody has given."""
    reader, writer = os.pipe()
    os.write(writer, b"swordfish\n")
    os.close(writer)
    where = ("--dir", str(tmp_path))
    init = [*LEYDEN, "init", *where, "--json", "--password-fd", str(reader)]
    subprocess.run(init, pass_fds=(reader,), check=True, capture_output=True, timeout=30)
    os.close(reader)
    chain = ("--chain", two.chain.url, "--chain-cookie", str(two.chain.cookie))
    with subprocess.Popen(
        [*LEYDEN, "daemon", *where, *chain, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["locked"] is True
            yield tmp_path / "regtest" / "lightning-rpc"
        finally:
            process.terminate()


def test_locked__is_7_and_says_so(locked: Path) -> None:
    everywhere = ("balance", "history", "address", "peers", f"send {'02' * 33} 5 --yes")
    methods = ("close 1x1x1", "close 1x1x1 --dry-run", "withdraw a 5", "connect a", "disconnect a")
    for words in (*everywhere, *methods):
        done = piped(locked, *words.split())
        assert done.returncode == Exit.LOCKED, done.stdout
        assert json.loads(done.stdout)["code"] == -32001
    code, seen = typed(locked, "balance")
    assert code == Exit.LOCKED
    assert seen.startswith("leyden balance: ")
    assert piped(locked, "__complete", "channels", "peers").stdout == ""
    code, seen = typed(locked, "status")
    assert (code, seen.splitlines()[0]) == (0, "node       locked: leyden unlock")
    found = {c["name"]: c["status"] for c in answer(locked, "doctor")["checks"]}
    assert found["daemon"] == "warn"


def test_home__is_where_no_directory_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [*LEYDEN, "balance"],
        capture_output=True,
        text=True,
        env={**environment(), "HOME": str(tmp_path)},
    )
    assert done.returncode == Exit.UNREACHABLE
    assert f"{tmp_path}{os.sep}.leyden" in done.stderr
