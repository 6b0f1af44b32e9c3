"""Help is there when nothing runs yet: every method has a page, and `help` lists them all."""

import json
from pathlib import Path

import pytest

from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.main import run
from wallet.faces.rpc.methods import METHODS


@pytest.fixture
def nowhere(tmp_path: Path) -> list[str]:
    return ["--dir", str(tmp_path)]


def test_method_help__without_a_daemon_says_what_it_takes(
    nowhere: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*nowhere, "keysend", "--help"]) == Exit.DONE
    page = capsys.readouterr().out
    assert page.startswith("leyden keysend destination amount_msat [label]")
    assert "needed: destination, amount_msat" in page
    assert run([*nowhere, "-H", "help", "keysend"]) == Exit.DONE
    assert capsys.readouterr().out == page


def test_every_method__has_a_page_with_a_sentence(
    nowhere: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for method in METHODS:
        assert run([*nowhere, "-H", "help", method.name]) == Exit.DONE, method.name
        assert capsys.readouterr().out.strip(), method.name
        assert method.summary, method.name


def test_help__without_a_daemon_lists_the_methods_and_says_that_none_runs(
    nowhere: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*nowhere, "help"]) == Exit.DONE
    said = capsys.readouterr()
    names = {line["command"].split()[0] for line in json.loads(said.out)["help"]}
    assert {m.name for m in METHODS} | {"help", "check", "stop"} == names
    assert "no daemon" in said.err
    assert run([*nowhere, "help", "getinfo"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["help"] == [{"command": "getinfo "}]


def test_unknown_method__no_page(nowhere: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*nowhere, "getinof", "--help"]) == Exit.USAGE
    assert "getinof" in capsys.readouterr().err
    assert run([*nowhere, "help", "getinof"]) == Exit.UNREACHABLE


@pytest.mark.parametrize("words", [["help", "demo"], ["--help", "demo"], ["demo", "--help"]])
def test_help_of_a_local_command__its_own(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(words)
    assert left.value.code == 0
    assert "usage: leyden demo" in capsys.readouterr().out
