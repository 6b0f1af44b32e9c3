"""`leyden init`: a wallet or one sentence, never half of one."""

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wallet.base.bitcoin.chains import REGTEST
from wallet.base.crypto.mnemonic import seed_of
from wallet.faces.cli.init import run
from wallet.node import setup
from wallet.services.directory import DataDirectory
from wallet.services.vault.seed_file import Recovery, ScryptCost, open_seed_file, read_seed_header
from wallet.services.vault.signer import LocalSigner

PHRASE = "abandon " * 11 + "about"
NODE_ID = "02f453c4d7ab22b7044c0ac7bff3fcd39bdeba17828c15500c945fb5f998b2e942"


class Pipe(io.StringIO):
    """Standard input that is a terminal, or not."""

    def __init__(self, text: str = "", terminal: bool = False) -> None:
        super().__init__(text)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code at a thousandth of the cost."""
    for name in ("create_wallet", "restore_wallet"):
        defaults = getattr(setup, name).__kwdefaults__
        monkeypatch.setitem(defaults, "cost", ScryptCost(n=16))


def arguments(directory: Path, **changes: Any) -> argparse.Namespace:
    plain = {
        "dir": str(directory),
        "network": "regtest",
        "no_encryption": True,
        "password_fd": None,
        "words": None,
        "restore": False,
        "birthday": None,
        "json": True,
    }
    return argparse.Namespace(**{**plain, **changes})


def seed_path(directory: Path) -> Path:
    return DataDirectory(directory, "regtest").seed_file


def written(text: bytes) -> int:
    """A descriptor from which `text` can be read."""
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


@pytest.mark.parametrize("count", [12, 24])
def test_new__prints_the_words_of_the_seed_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    assert run(arguments(tmp_path, words=count)) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["words"]) == count
    assert (answer["network"], answer["dir"]) == ("regtest", str(tmp_path))
    opened = open_seed_file(seed_path(tmp_path), None, network="regtest")
    assert list(opened.recovery.words()) == answer["words"]
    signer = LocalSigner(seed_of(" ".join(answer["words"])), REGTEST)
    assert signer.node_id.hex() == answer["id"]
    assert opened.header.birthday > 1_700_000_000


def test_new__two_wallets_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(tmp_path / "a")) == run(arguments(tmp_path / "b")) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["words"] != second["words"]
    assert len(first["words"]) == 24


def test_new__on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Pipe(terminal=True))
    monkeypatch.setattr("getpass.getpass", lambda _: "secret")
    assert run(arguments(tmp_path, no_encryption=False, json=False)) == 0
    page = capsys.readouterr().out
    opened = open_seed_file(seed_path(tmp_path), "secret", network="regtest")
    for position, word in enumerate(opened.recovery.words(), 1):
        assert f"{position:>2}  {word}" in page
    assert max(map(len, page.splitlines()[:-2])) <= 80


def test_new__password_from_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe())
    descriptor = written("pass wörd\nmore".encode())
    assert run(arguments(tmp_path, no_encryption=False, password_fd=descriptor)) == 0
    assert os.read(descriptor, 10) == b"more"
    os.close(descriptor)
    assert "wörd" not in capsys.readouterr().out
    assert read_seed_header(seed_path(tmp_path)).encrypted
    open_seed_file(seed_path(tmp_path), "pass wörd", network="regtest")


def test_restore__gives_the_same_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(PHRASE.upper().replace(" ", "\n  ")))
    assert run(arguments(tmp_path, restore=True)) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"id": NODE_ID, "network": "regtest", "dir": str(tmp_path)}
    opened = open_seed_file(seed_path(tmp_path), None, network="regtest")
    assert opened.recovery == Recovery(bytes(16))
    assert opened.header.birthday == 0  # Unknown: everything is scanned.


@pytest.mark.parametrize(
    ("phrase", "sentence"),
    [
        (PHRASE.replace("about", "abuot"), "word 12 is not in the BIP 39 list"),
        (PHRASE.replace("about", "abandon"), "checksum"),
        ("abandon " * 13, "not 13"),
        ("", "not 0"),
        ("\x1b[2J" * 12, "not 1"),
    ],
)
def test_restore__bad_phrase(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    phrase: str,
    sentence: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(phrase))
    assert run(arguments(tmp_path, restore=True)) == 1
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert answer["code"] == -32602
    assert sentence in answer["message"]
    assert answer["message"] in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not seed_path(tmp_path).exists()


def test_refused__existing_wallet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(tmp_path)) == 0
    before = seed_path(tmp_path).read_bytes()
    capsys.readouterr()
    for restore in (False, True):
        assert run(arguments(tmp_path, restore=restore)) == 1
        assert "already holds a wallet" in capsys.readouterr().err
    assert seed_path(tmp_path).read_bytes() == before


@pytest.mark.parametrize("network", ["bitcoin", "litecoin"])
def test_refused__other_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], network: str
) -> None:
    assert run(arguments(tmp_path / "new", network=network)) == 1
    assert network in json.loads(capsys.readouterr().out)["message"]
    assert not (tmp_path / "new").exists()


def test_refused__directory_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    assert run(arguments(tmp_path / "file")) == 1
    assert "is not a directory" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def test_refused__a_core_is_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = DataDirectory(tmp_path, "regtest")
    place.prepare()
    with place.lock():
        assert run(arguments(tmp_path)) == 1
    assert "another leyden" in capsys.readouterr().err
    assert not place.seed_file.exists()


@pytest.mark.parametrize("password", [b"", b"\n", b"\xff\n", b"x" * 5_000])
def test_refused__bad_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], password: bytes
) -> None:
    descriptor = written(password)
    assert run(arguments(tmp_path, no_encryption=False, password_fd=descriptor)) == 1
    os.close(descriptor)
    assert "password" in capsys.readouterr().err
    assert not seed_path(tmp_path).exists()


def test_refused__passwords_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(terminal=True))
    typed = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert run(arguments(tmp_path, no_encryption=False)) == 1
    assert "differ" in capsys.readouterr().err
    assert not seed_path(tmp_path).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"password_fd": 5},
        {"birthday": 1},
        {"no_encryption": False},
        {"no_encryption": False, "password_fd": 999},
    ],
)
def test_usage__exit_code_3(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe())
    assert run(arguments(tmp_path, **changes)) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not seed_path(tmp_path).exists()


def test_interrupted__at_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Pipe(terminal=True))
    monkeypatch.setattr("getpass.getpass", interrupted)
    assert run(arguments(tmp_path, no_encryption=False)) == 130
    assert "no wallet was made" in capsys.readouterr().err
    assert not seed_path(tmp_path).exists()


def test_password_and_phrase__on_one_descriptor(tmp_path: Path) -> None:
    """FD 0 gives the password's line, then the phrase: with a real process and the real cost."""
    program = (
        "import argparse, sys; from wallet.faces.cli.init import run\n"
        "sys.exit(run(argparse.Namespace(dir=sys.argv[1], network='regtest', no_encryption=False,"
        " password_fd=0, words=None, restore=True, birthday=1700000000, json=True)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        input=f"secret\n{PHRASE}\n".encode(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["id"] == NODE_ID
    assert read_seed_header(seed_path(tmp_path)).birthday == 1_700_000_000
    assert done.stderr == b""
    open_seed_file(seed_path(tmp_path), "secret", network="regtest")
