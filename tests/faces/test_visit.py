"""`leyden demo` on a terminal: the app in a town that ends with it, however it ends."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.screen import Terminal
from tests.support.towns import a_town, holders, nothing_is_left
from wallet.faces.cli.launcher import town_of


def test_opens_in_a_town__pays__and_ends_it(tmp_path: Path) -> None:
    with Terminal(["--dir", str(tmp_path), "demo"]) as terminal:
        terminal.until("a chain of our own")
        home = terminal.until("Can send now")
        terminal.until("% yours")
        assert " alice" in home
        terminal.type("7")
        terminal.until("[7 Demo]")
        terminal.until("dave")
        terminal.type("i")
        terminal.until("3  dave")
        terminal.type("3")
        terminal.until_key("p to pay 2,100 sat")
        terminal.type("p")
        terminal.until("✓ Paid 2,100 sat to dave")
        terminal.type("\x1b")
        terminal.until("alice ▸ ")  # three ways to dave cost the same
        terminal.until("alice ◂ ")
        terminal.type("q")
        assert terminal.ended() == 0
        assert "nothing of the town is running" in terminal.shown
        assert holders(tmp_path) == []


def test_closed_while_it_starts__nothing_is_left(tmp_path: Path) -> None:
    with Terminal(["--dir", str(tmp_path), "demo"]) as terminal:
        terminal.until("a chain of our own")
        terminal.type("q")
        assert terminal.ended() == 0
    assert holders(tmp_path) == []


@pytest.mark.parametrize("end", ["closed window", "SIGTERM", "SIGKILL"])
def test_ended_from_outside__nothing_is_left(tmp_path: Path, end: str) -> None:
    with Terminal(["--dir", str(tmp_path), "demo"]) as terminal:
        terminal.until("% yours")
        match end:
            case "closed window":
                assert terminal.hang_up() != 0
            case "SIGTERM":
                os.kill(terminal.pid, signal.SIGTERM)
                assert terminal.ended() == 128 + signal.SIGTERM
                assert "Traceback" not in terminal.shown
            case _:
                os.kill(terminal.pid, signal.SIGKILL)
    assert nothing_is_left(tmp_path)


def test_town_that_is_up__is_joined_and_stays(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with a_town(home) as town:
        # The control room is found by whoever attaches to a node there.
        assert town_of(Path(town["nodes"]["you"]["rpc-file"])) == home / "town-rpc"
        before = set(holders(home))
        with Terminal(["--dir", str(tmp_path), "demo"]) as terminal:
            terminal.until("% yours")
            terminal.type("q")
            assert terminal.ended() == 0
        assert set(holders(home)) == before


def test_refused__the_reason_is_on_the_screen_and_after_it(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    (home / "letters").write_text("dear")
    with Terminal(["--dir", str(tmp_path), "demo"]) as terminal:
        terminal.until("It did not start")
        terminal.until("which no demo made")
        terminal.type("q")
        assert terminal.ended() == 1
        assert "which no demo made" in terminal.shown
