"""Completion: what the node knows, and the scripts in shells at which somebody presses Tab.

Bash is on every machine that runs these tests; zsh and fish are asked where they are installed.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shells import Shell, shell
from tests.support.terminal import environment, piped
from tests.support.two import Two, two_daemons
from wallet.faces.cli.completing import KINDS
from wallet.faces.cli.verbs.completion import choices
from wallet.faces.cli.verbs.names import VERBS

EVIL = ("$(touch pwned)", "`touch pwned`", "a;touch pwned", "a b", "-rf", "x\ty", "x\nrm", "~", "*")


def _here(*names: str) -> list[str]:
    return [name for name in names if shutil.which(name)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with two_daemons(tmp_path_factory.mktemp("complete"), push_msat=400_000_000) as pair:
        for label in (*EVIL, "milk-5"):
            pair.alice.call("invoice", amount_msat=1000, label=label, description="x")
        yield pair


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `leyden` in it, as an installed wallet has it."""
    directory = tmp_path_factory.mktemp("bin")
    program = directory / "leyden"
    root = Path(__file__).parents[2]
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
        "from wallet.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    return directory


def _asked(socket: Path, *words: str) -> dict[str, str]:
    """What `__complete` prints: words, and what each is."""
    done = piped(socket, "__complete", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split("\t") for line in done.stdout.splitlines())


def test_complete__what_the_node_knows(two: Two) -> None:
    channel = two.channel(two.alice)
    assert list(_asked(two.alice.socket, "channels")) == [channel["short_channel_id"]]
    assert list(_asked(two.alice.socket, "peers")) == [two.bob.node_id]
    assert _asked(two.alice.socket, "methods")["keysend"].startswith("destination amount_msat")
    assert _asked(two.alice.socket, "verbs").keys() == VERBS.keys()
    hash_ = two.alice.call("keysend", destination=two.bob.node_id, amount_msat=1000)["payment_hash"]
    both = _asked(two.alice.socket, "payments", "labels")
    assert both == {hash_: "complete", "milk-5": "unpaid"}


def test_complete__prints_nothing_that_a_shell_could_misread(two: Two) -> None:
    labels = {i["label"] for i in two.alice.call("listinvoices")["invoices"]}
    assert labels == {*EVIL, "milk-5"}
    assert list(_asked(two.alice.socket, "labels")) == ["milk-5"]


def test_complete__is_silent_where_nobody_answers(tmp_path: Path) -> None:
    for kind in (*KINDS, "no such kind", "--no-such-option", ""):
        if kind != "verbs":
            assert _asked(tmp_path / "nobody", kind) == {}
    assert piped(tmp_path / "nobody", "__complete").returncode == 0


def test_scripts__speak_of_what_there_is() -> None:
    known = choices()
    commands = known.commands.keys()
    assert {*known.words, *known.asked} <= commands
    assert {kind for kinds in known.asked.values() for kind in kinds.split()} <= KINDS.keys()
    assert {*known.values, *known.files} <= {*known.valued}
    # One word is never a flag that a value follows here and one that stands alone there.
    alone = {n for flags in known.flags.values() for n, follows in flags.items() if not follows}
    assert not alone & {*known.valued}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_script__is_read_without_a_complaint(tmp_path: Path, name: str) -> None:
    script = piped(tmp_path / "nobody", "completion", name).stdout
    for word in ("balance", "daemon", "max-fee", "idempotency-key", "rpc-file", "__complete"):
        assert word in script
    for program in _here(name):
        done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", _here("bash", "zsh"))
def test_tab__at_a_shell(two: Two, programs: Path, tmp_path: Path, name: str) -> None:
    channel = two.channel(two.alice)["short_channel_id"]
    load = f"source <(leyden completion {name})"
    with shell(name, tmp_path, programs, load) as at:
        place = f"leyden --rpc-file {two.alice.socket}"
        for typed, wanted in (
            ("leyden bal", "leyden balance"),
            ("leyden send --dr", "leyden send --dry-run"),
            ("leyden completion f", "completion fish"),
            ("leyden address --type p2", "--type p2tr"),
            ("leyden --color nev", "--color never"),
            (f"{place} keyse", "keysend"),
            (f"{place} close 1", f"close {channel}"),
            (f"{place.replace(' --rpc-file ', ' --rpc-file=')} open 0", two.bob.node_id),
            (f"{place} show mil", "show milk-5"),
            ("leyden --dir /nowhere --rpc-f", "--rpc-file"),
        ):
            assert wanted in _tabbed(at, typed, wanted), (typed, at.seen)
        at.type(f"\x15{place} show \t\t")
        at.wait_for("milk-5")
    assert not (tmp_path / "pwned").exists()


def _tabbed(at: Shell, typed: str, wanted: str) -> str:
    """What is seen once Tab is pressed after so much of a line."""
    at.type(f"\x15{typed}\t")
    return at.wait_for(wanted)


@pytest.mark.parametrize("program", _here("fish"))
def test_tab__in_fish(two: Two, programs: Path, tmp_path: Path, program: str) -> None:
    channel = two.channel(two.alice)["short_channel_id"]
    place = f"leyden --rpc-file {two.alice.socket}"
    expected = {
        "leyden bal": {"balance"},
        "leyden send --dr": {"--dry-run"},
        "leyden completion f": {"fish"},
        "leyden address --type p2": {"p2tr"},
        f"{place} keyse": {"keysend"},
        f"{place} close ": {channel},
        f"{place.replace(' --rpc-file ', ' --rpc-file=')} open ": {two.bob.node_id},
        f"{place} show mil": {"milk-5"},
        "leyden --rpc-file /nowhere close ": set(),
    }
    asks = "; ".join(f"complete -C '{line}'; echo ==" for line in expected)
    done = subprocess.run(
        [program, "--no-config", "-c", f"leyden completion fish | source; {asks}"],
        capture_output=True,
        text=True,
        env={**environment(), "HOME": str(tmp_path), "PATH": f"{programs}:/usr/bin:/bin"},
        cwd=tmp_path,
    )
    assert done.stderr == ""
    answers = [set(part.split("\n")) - {""} for part in done.stdout.split("==\n")[:-1]]
    found = [{line.partition("\t")[0] for line in lines} for lines in answers]
    assert found == list(expected.values())
