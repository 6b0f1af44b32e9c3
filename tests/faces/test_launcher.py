"""Starting a wallet's own node: what is kept about it, what can go wrong, what is left behind."""

import asyncio
from pathlib import Path

import pytest

from tests.support import faucet
from tests.support.chain_server import ChainServer
from tests.support.screen import Terminal
from tests.support.towns import holders
from wallet.base.errors import Refused
from wallet.faces.cli import start_file
from wallet.faces.cli.first_run import FirstRunPort
from wallet.faces.cli.start_file import StartFile
from wallet.faces.rpc.client import call
from wallet.faces.tui.setup.port import ChainChoice
from wallet.node.setup import create_wallet
from wallet.services.vault.seed_file import ScryptCost


def _wallet(home: Path, password: str | None = None, start: str = "") -> Path:
    create_wallet(home, "regtest", password=password, now=0, words=12, cost=ScryptCost(n=16))
    if start:
        (home / "regtest" / "start.toml").write_text(start)
    return home


def _until_asked(terminal: Terminal, times: int) -> None:
    terminal.until_true(lambda shown: shown.count("password of the wallet") == times)


def test_three_wrong_passwords__exit_7_and_nothing_runs(tmp_path: Path) -> None:
    home = _wallet(tmp_path / "w", "right", 'chain = "built-in"\n')
    with Terminal(["--dir", str(home)]) as terminal:
        for tries in range(1, 4):
            _until_asked(terminal, tries)
            terminal.type("leaked\n")
        assert terminal.ended() == 7
        assert "the node was not opened" in terminal.shown
        assert "leaked" not in terminal.shown
    assert holders(home) == []


def test_wallet_of_leyden_init__its_chain_is_asked_once(tmp_path: Path) -> None:
    home = _wallet(tmp_path / "w")
    with Terminal(["--dir", str(home)]) as terminal:
        terminal.until("Go on with the built-in chain")
        terminal.type("\r")
        terminal.until("Can send now")
        terminal.type("q")
        assert terminal.ended() == 0
    assert start_file.read(home / "regtest") == StartFile()
    assert holders(home) == []


def test_bitcoind__its_node_is_on_that_chain(tmp_path: Path) -> None:
    with ChainServer(tmp_path / "chain") as chain:
        home = _wallet(tmp_path / "w")
        start = StartFile(chain.url, str(chain.cookie), alias="mine")
        start_file.write(home / "regtest", start)
        chain.call("generatetoaddress", 3, faucet.ADDRESS)
        with Terminal(["--dir", str(home)]) as terminal:
            terminal.until("mine  regtest   block 3")
            assert not any("wallet regtest" in line for line in holders(home))
            terminal.type("q")
            assert terminal.ended() == 0


def test_node_that_does_not_start__says_why(tmp_path: Path) -> None:
    home = _wallet(tmp_path / "w", start='chain = "built-in"\nlisten = "256.0.0.1:1"\n')
    with Terminal(["--dir", str(home)]) as terminal:
        terminal.until("It did not start")
        terminal.type("q")
        assert terminal.ended() == 1
        assert "the node did not start" in terminal.shown
    assert holders(home) == []


def test_second_one__attaches_and_leaves_the_node(tmp_path: Path) -> None:
    home = _wallet(tmp_path / "w", start='chain = "built-in"\n')
    with Terminal(["--dir", str(home)]) as first:
        first.until("Can send now")
        with Terminal(["--dir", str(home)]) as second:
            second.until("Can send now")
            second.type("q")
            assert second.ended() == 0
        assert call(home / "regtest" / "lightning-rpc", "getinfo")["network"] == "regtest"
        first.type("q")
        assert first.ended() == 0


def test_second_one__goes_on_with_a_node_of_its_own_when_the_first_ends(tmp_path: Path) -> None:
    home = _wallet(tmp_path / "w", start='chain = "built-in"\n')
    with Terminal(["--dir", str(home)]) as first:
        first.until("Can send now")
        with Terminal(["--dir", str(home)]) as second:
            second.until("Can send now")
            first.type("q")
            assert first.ended() == 0
            second.until("The node has gone")
            second.until("R starts it here")
            second.type("R")
            second.until_true(lambda shown: "has gone" not in shown and "Can send" in shown)
            assert call(home / "regtest" / "lightning-rpc", "getinfo")["network"] == "regtest"
            second.type("q")
            assert second.ended() == 0
    assert holders(home) == []


def test_locked_network__is_refused(tmp_path: Path) -> None:
    with Terminal(["--dir", str(tmp_path), "--network", "bitcoin"]) as terminal:
        assert terminal.ended() == 1
        assert "bitcoin is locked" in terminal.shown
    assert list(tmp_path.iterdir()) == []


# --- start.toml -----------------------------------------------------------------------------------


def test_start_file__what_is_written_is_read(tmp_path: Path) -> None:
    assert start_file.read(tmp_path) is None
    strange = StartFile("http://[::1]:1", '/a "b"\\\n/é', "[::1]:0", "名")
    start_file.write(tmp_path, strange)
    assert start_file.read(tmp_path) == strange
    assert (tmp_path / "start.toml").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("chain = ", "cannot be read"),
        ("chain = 3", "a text"),
        ('colour = "red"', "should be one of chain"),
        ('chain = "http://u:secret@h:1"', "no password"),
    ],
)
def test_start_file__refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "start.toml").write_text(text)
    with pytest.raises(Refused, match=sentence) as refused:
        start_file.read(tmp_path)
    assert "secret" not in str(refused.value)


# --- the port -------------------------------------------------------------------------------------


def test_port__asks_a_chain_before_it_is_taken(tmp_path: Path) -> None:
    port = FirstRunPort(tmp_path, "regtest", has_wallet=False)
    with ChainServer(tmp_path / "chain") as chain:
        wrong = tmp_path / "wrong"
        wrong.write_text("__cookie__:no")
        good = ChainChoice(chain.url, str(chain.cookie))
        asked = {
            good: "",
            ChainChoice(chain.url, str(wrong)): "refuses the cookie",
            ChainChoice(chain.url, str(tmp_path / "none")): "cannot be read",
            ChainChoice("ftp://x", str(chain.cookie)): "should be http://",
            ChainChoice("http://u:p@127.0.0.1:1", str(chain.cookie)): "should be http://",
            ChainChoice("http://127.0.0.1:1", str(chain.cookie)): "Nobody answers",
        }
        for choice, sentence in asked.items():
            told = asyncio.run(port.chain_trouble(choice))
            assert (sentence in told) if sentence else told == ""


def test_port__fresh_phrases_are_good_and_differ(tmp_path: Path) -> None:
    port = FirstRunPort(tmp_path, "regtest", has_wallet=False)
    first, second = port.new_phrase(12), port.new_phrase(24)
    assert (len(first), len(second)) == (12, 24)
    assert first != second[:12]
    assert port.phrase_trouble(first) == port.phrase_trouble(second) == ""
    assert set(first) <= set(port.words())
    assert "checksum" in port.phrase_trouble(("abandon",) * 12)
    asked = port.questions(12)
    assert len(set(asked)) == 3
    assert all(1 <= n <= 12 for n in asked)
    assert list(tmp_path.iterdir()) == []
