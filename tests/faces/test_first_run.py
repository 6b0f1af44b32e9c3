"""`leyden` alone on a terminal: a wallet made, opened again and restored by real keys."""

import json
import os
import re
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.screen import Terminal
from tests.support.towns import holders, nothing_is_left
from wallet.faces.rpc.client import call

PASSWORD = "correct horse 9"


def _alone(home: Path) -> Terminal:
    return Terminal(["--dir", str(home)])


def _socket(home: Path) -> Path:
    return home / "regtest" / "lightning-rpc"


def _words(shown: str) -> list[str]:
    """The phrase, as a person would copy it from the screen."""
    fields = shown.split()
    numbered = {int(n): word for n, word in pairwise(fields) if n.isdigit()}
    return [numbered[n] for n in range(1, 13)]


def _until_right(terminal: Terminal, count: int) -> None:
    terminal.until_true(lambda shown: shown.count("✓ ok") == count, f"{count} right words")


def _protect(terminal: Terminal) -> None:
    terminal.until("A password protects")
    terminal.type(PASSWORD)
    terminal.until("weak")
    terminal.type("\t")
    terminal.type(PASSWORD)
    terminal.until("✓ the same")
    terminal.type("\r")


def test_a_wallet_is_made__opened_again_and_restored(tmp_path: Path) -> None:
    home = tmp_path / "first"
    with _alone(home) as terminal:
        terminal.until("Create a new wallet")
        terminal.type("\r")
        words = _words(terminal.until("palette are off here"))
        assert not home.exists()
        terminal.type("\r")
        shown = terminal.until("Skipping is allowed")
        asked = [int(number) for number in re.findall(r"  word (\d+)", shown)]
        for count, number in enumerate(asked, 1):
            terminal.type(words[number - 1])
            _until_right(terminal, count)
            terminal.type("\t")
        terminal.type("\r")
        _protect(terminal)
        terminal.until("Can send now")
        node_id = call(_socket(home), "getinfo")["id"]
        assert words[3] not in "".join(holders(home))
        terminal.type("q")
        assert terminal.ended() == 0
    assert holders(home) == []
    assert json.loads((home / "regtest" / "seed.json").read_text())["birthday"] > 1_700_000_000

    with _alone(home) as terminal:
        terminal.until("password of the wallet")
        terminal.type("wrong\n")
        terminal.until("wrong password; 2 more")
        terminal.until_true(lambda shown: shown.count("password of the wallet") == 2)
        terminal.type(f"{PASSWORD}\n")
        terminal.until("Can send now")
        assert call(_socket(home), "getinfo")["id"] == node_id
        assert terminal.hang_up() != 0
    assert nothing_is_left(home)
    for log in ("daemon.log", "chain.log"):
        told = (home / "regtest" / log).read_text()
        assert PASSWORD not in told
        assert "Traceback" not in told
        assert (home / "regtest" / log).stat().st_mode & 0o077 == 0

    other = tmp_path / "other"
    with _alone(other) as terminal:
        terminal.until("Restore from recovery phrase")
        terminal.type("j\r")
        terminal.until("Type the words in their order")
        terminal.type(" ".join(words) + " ")
        terminal.until("they fit together")
        terminal.type("\r")
        _protect(terminal)
        terminal.until("Can send now")
        assert call(_socket(other), "getinfo")["id"] == node_id
        os.kill(terminal.pid, signal.SIGKILL)
    assert nothing_is_left(other)


@pytest.mark.parametrize("step", range(4))
def test_left_at_any_step__there_is_no_wallet(tmp_path: Path, step: int) -> None:
    home = tmp_path / "none"
    keys = ("\r", "\r", "\x0b")
    seen = ("Create a new wallet", "Write these", "Type the word", "A password protects")
    with _alone(home) as terminal:
        for key, text in zip(keys, seen[:step], strict=False):
            terminal.until(text)
            terminal.type(key)
        terminal.until(seen[step])
        terminal.type("\x03")
        assert terminal.ended() == 0
        assert "no wallet was made" in terminal.shown
    assert not home.exists()
    assert holders(home) == []
