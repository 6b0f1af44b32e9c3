"""What the friendly verbs read and print, without a daemon: amounts, tables, bars, flags."""

import io
import sys

import pytest

from wallet.faces.cli.arguments import Options, UsageError
from wallet.faces.cli.verbs.amount import (
    percent,
    read_amount,
    read_fee,
    read_percent,
    read_positive,
    read_whole_sat,
    sat,
    whole_sat,
)
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.ink import BAD, GOOD, in_tone, is_wanted, joined, painted, plain
from wallet.faces.cli.verbs.paper import bar, facts, short, table
from wallet.faces.cli.verbs.words import split_words


@pytest.mark.parametrize(
    ("text", "amount_msat"),
    [
        ("1", 1_000),
        ("250000", 250_000_000),
        ("250_000", 250_000_000),
        ("250000sat", 250_000_000),
        ("1.5sat", 1_500),
        ("1.001", 1_001),
        ("1.50000", 1_500),
        ("10msat", 10),
        ("10.0msat", 10),
        ("0.001btc", 100_000_000),
        ("0.00000000001BTC", 1),
        ("0", 0),
        (" 7 ", 7_000),
    ],
)
def test_amount__bare_numbers_are_satoshi(text: str, amount_msat: int) -> None:
    assert read_amount(text) == amount_msat


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1.0001", "0.5msat", "0.000000000001btc", "1e3", "1,000", "_1", "1__0", "sat", "１",
     "1 sat", "21000001btc", "9" * 400, "nan", "0x10", "1.", ".5", "all"],
)  # fmt: skip
def test_amount__what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_amount(text)


def test_amount__nothing_and_less_than_a_satoshi() -> None:
    with pytest.raises(UsageError, match="zero"):
        read_positive("0msat")
    with pytest.raises(UsageError, match="nothing smaller than a satoshi"):
        read_whole_sat("1.5sat")
    assert read_whole_sat("2000msat") == 2


def test_fees__as_amount_or_share() -> None:
    assert read_percent("0.5%") == 5_000
    assert read_percent("1") == 10_000
    assert read_fee("1%", 250_000_000) == 2_500_000
    assert read_fee("0.0001%", 999_000) == 0
    assert read_fee("12", 250_000_000) == 12_000
    for text in ("1.23456%", "-1%", "%", "1000%", "x"):
        with pytest.raises(UsageError):
            read_percent(text)


@pytest.mark.parametrize(
    ("amount_msat", "exact", "whole"),
    [
        (0, "0", "0"),
        (1_234_567_000, "1,234,567", "1,234,567"),
        (1_234_567, "1,234.567", "1,234"),
        (1, "0.001", "0"),
        (-1_500, "-1.500", "-2"),
    ],
)
def test_amount__for_eyes(amount_msat: int, exact: str, whole: str) -> None:
    assert (sat(amount_msat), whole_sat(amount_msat)) == (exact, whole)


def test_percent__of_something() -> None:
    assert percent(1_250, 250_000) == "0.5 %"
    assert percent(1, 0) == "-"


def test_table__aligns_cuts_and_spells_out() -> None:
    rows = [("bob", 5, "ab\x1b[2J"), ("日本", 12_345, "a long description of a lamp")]
    assert table(("who", "sat", "what"), rows, 32, " r ") == [
        "who     sat  what",
        "bob       5  ab\\u001b[2J",
        "日本  12345  a long description…",
    ]
    assert table(("who",), [], 80) == []


def test_table__that_does_not_fit_becomes_names_and_values() -> None:
    rows = [("bob", 5, "lamp"), ("carol", 12_345, "tea")]
    assert table(("who", "satoshi", "what"), rows, 15) == [
        "who      bob",
        "satoshi  5",
        "what     lamp",
        "",
        "who      carol",
        "satoshi  12345",
        "what     tea",
    ]


def test_facts__leave_out_what_is_not_there() -> None:
    shown = facts((("node", "alice"), ("chain", None), ("alias", ""), ("peers", 0)))
    assert shown == ["node   alice", "peers  0"]


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "····"),
        (0, 8, "░░░░"),
        (1, 1_000, "█░░░"),
        (4, 8, "██░░"),
        (999, 1_000, "███░"),
        (8, 8, "████"),
    ],
)
def test_bar__shows_what_little_there_is(part: int, whole: int, shown: str) -> None:
    assert bar(part, whole, 4) == shown


def test_plain__is_ascii() -> None:
    assert plain("██░ 02f1…9ac4 日") == "##- 02f1~9ac4 \\u65e5"


def test_short__only_cuts_what_is_hexadecimal() -> None:
    assert short("02" * 33) == "02020202…0202"
    assert short("103x1x0") == "103x1x0"
    assert short("a\u202eb") == "a\\u202eb"


def test_words__flags_and_options_stand_anywhere() -> None:
    options = Options()
    flags = {"--yes": False, "--label": True}
    words = ["a", "--yes", "-J", "--label", "--yes", "b", "--", "--label"]
    assert split_words(words, flags, options) == (
        ["a", "b", "--label"],
        {"--yes": "", "--label": "--yes"},
    )
    assert options.output == "json"
    assert split_words(["--label=x=y", "-"], flags, options) == (["-"], {"--label": "x=y"})


@pytest.mark.parametrize("words", [["--label"], ["--yes=1"], ["--yes", "--yes"], ["--no-such"]])
def test_words__wrong_flags(words: list[str]) -> None:
    with pytest.raises(UsageError):
        split_words(words, {"--yes": False, "--label": True}, Options())


# --- colours ------------------------------------------------------------------------------------


def test_ink__is_seen_only_where_it_is_wanted() -> None:
    line = joined(("a ", in_tone("█…", GOOD), " b ", in_tone("c", BAD)))
    assert line == "a █… b c"
    assert painted(line, in_colour=False, in_ascii=False) == "a █… b c"
    assert painted(line, in_colour=False, in_ascii=True) == "a #~ b c"
    assert painted(line, in_colour=True, in_ascii=True) == "a \x1b[32m#~\x1b[0m b \x1b[31mc\x1b[0m"
    # What is longer in ASCII than it was moves no tone.
    line = joined(("日", in_tone("é", GOOD), "z"))
    assert painted(line, in_colour=True, in_ascii=True) == "\\u65e5\x1b[32m\\xe9\x1b[0mz"


def test_ink__never_carries_a_strangers_text_past_safe_text() -> None:
    evil = in_tone("a\x1b[2J", GOOD)
    for lines in (facts((("for", evil),)), table(("for",), [(evil,)], 80)):
        assert "\x1b" not in "".join(painted(x, in_colour=False, in_ascii=False) for x in lines)
        assert lines[-1].endswith("a\\u001b[2J")


@pytest.mark.parametrize(
    ("choice", "env", "terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_ink__is_wanted(
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    env: dict[str, str],
    terminal: bool,
    wanted: bool,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    class Stream:
        def isatty(self) -> bool:
            return terminal

    assert is_wanted(choice, Stream()) is wanted


# --- waiting ------------------------------------------------------------------------------------


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("words", "term", "seen"),
    [
        ([], "xterm", "\r# 0 s\r     \r# done\n"),
        ([], "dumb", "# done\n"),
        (["--progress", "none"], "xterm", ""),
    ],
)
def test_tick__is_written_over_by_what_comes_next(
    monkeypatch: pytest.MonkeyPatch, words: list[str], term: str, seen: str
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    desk = Desk("send", words, {}, Options())
    desk.tick()
    desk.progress("done", "done")
    assert screen.getvalue() == seen
