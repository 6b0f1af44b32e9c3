"""Log: what happened in words, and a console that only reads."""

from typing import Any

import pytest

from tests.faces.tui.corpus import INJECTIONS
from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.faces.tui.scenes import (
    DAY,
    NODES,
    SIZES,
    assert_harmless,
    at,
    check,
    grid,
    opened,
    settled,
    until,
)
from wallet.faces.rpc.methods import METHODS
from wallet.faces.tui import console, journal
from wallet.faces.tui.journal import Journal, Source, entry, said
from wallet.faces.tui.units import Money
from wallet.node import journal_desk


async def _day(core: FakeCore) -> None:
    for when, topic, told in DAY:
        await core.tell(topic, at=at(when), **told)


@pytest.mark.parametrize("size", SIZES)
async def test_log(core: FakeCore, size: str) -> None:
    await _day(core)
    async with opened(core, SIZES[size]) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "12 lines" in grid(pilot), "what was before")
        await pilot.press("k", "k")
        await check(pilot, "log-still")
        await pilot.press("k", "enter")
        await check(pilot, "log-entry")


async def test_log__follows_or_stands_still(core: FakeCore) -> None:
    await _day(core)
    async with opened(core) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "12 lines" in grid(pilot), "what was before")
        await core.tell("block_added", at=at("20 12:04"), height=1_205)
        await until(pilot, lambda: "> 12:04:00    chain    block 1,205" in grid(pilot), "the new")
        await pilot.press("k")
        await until(pilot, lambda: "follow off" in grid(pilot), "that it stands still")
        for number in range(30):
            await core.tell("block_added", at=at("20 12:04"), height=1_206 + number)
        await until(pilot, lambda: "43 lines" in grid(pilot), "the newest")
        assert "> 12:04:00    chain    block 1,204" in grid(pilot)
        await pilot.press("f")
        await until(pilot, lambda: "> 12:04:00    chain    block 1,235" in grid(pilot), "the end")


async def test_log__by_level_source_and_words(core: FakeCore) -> None:
    await _day(core)
    async with opened(core) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "12 lines" in grid(pilot), "what was before")
        await pilot.press("l")
        await until(pilot, lambda: "3 lines" in grid(pilot), "what needs eyes")
        assert "what needs eyes" in grid(pilot)
        assert "carol is gone" in grid(pilot)
        await pilot.press("l", "o", "o")
        await until(pilot, lambda: "source channel" in grid(pilot), "one source")
        assert " 1 line\n" in grid(pilot)
        await pilot.press("o", "o", "o", "o", "slash", *"dave !coffee", "enter")
        await until(pilot, lambda: "1 found" in grid(pilot), "the one line")
        assert "donation" in grid(pilot)
        await pilot.press("y")
        await until(pilot, lambda: "✓ Line copied" in grid(pilot), "the notice")
        assert pilot.app.clipboard.endswith(
            "10:20:00 money not sent: 10,000 sat to dave  donation (No route.)"
        )


async def test_log__amounts_are_hidden_and_names_come_later(core: FakeCore) -> None:
    await _day(core)
    async with opened(core) as pilot:
        await pilot.press("8", "full_stop")
        await until(pilot, lambda: "received •••••" in grid(pilot), "the dots")
        assert not {"50,000", "2,103", "10,000", "21,000"} & set(grid(pilot).split())


async def test_log__says_where_the_daemons_own_log_is(core: FakeCore) -> None:
    async with opened(core) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "nothing has happened yet" in grid(pilot), "the empty list")
        assert "where it was started" in grid(pilot)
        core.path.with_name("daemon.log").touch()
        await core.tell("block_added", height=1)
        await until(pilot, lambda: "daemon.log" in grid(pilot), "the file")
    core.replies["listconfigs"] = {"configs": {"log-file": {"values_str": ["/var/log/cln"]}}}
    async with opened(core) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "Its log file is /var/log/cln" in grid(pilot), "the node's word")


async def test_log__of_a_core_without_events(core: FakeCore) -> None:
    del core.replies["events"]
    core.replies["getlog"] = {"log": [{"type": "INFO", "log": "hello"}]}
    async with opened(core) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "it has no events" in grid(pilot), "why")
        await check(pilot, "log-absent")
        await pilot.press("tab", *"getlog", "enter")
        await until(pilot, lambda: '"log": "hello"' in grid(pilot), "the answer")


# --- console ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_console(core: FakeCore, size: str) -> None:
    await _day(core)
    async with opened(core, SIZES[size]) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "12 lines" in grid(pilot), "what was before")
        await pilot.press("tab", *"pay lnbc1", "enter")
        await until(pilot, lambda: "Not asked" in grid(pilot), "the refusal")
        await pilot.press(*"geti", "tab", "enter")
        await until(pilot, lambda: '"alias": "alice"' in grid(pilot), "the answer")
        await check(pilot, "log-console")
        assert core.asked("pay") == []
        await pilot.press("escape")
        await until(pilot, lambda: "f follow" in grid(pilot).splitlines()[-1], "the log")
        await pilot.press("2", "8", "j")
        await pilot.pause()
        assert "[8 Log]" in grid(pilot), "a digit is a tab again"


async def test_console__errors_recall_and_parameters(core: FakeCore) -> None:
    core.replies["decode"] = lambda params: {"got": params}
    core.replies["listpays"] = Refusal(-32602, "invstring: bad\x1b[2J bech32")
    async with opened(core) as pilot:
        await pilot.press("8", "tab", *"decode 7 x", "enter")
        await until(pilot, lambda: "> decode 7 x" in grid(pilot), "the question")
        await until(pilot, lambda: '"got"' in grid(pilot), "the answer")
        asked: Any = core.asked("decode")
        assert asked == [[7, "x"]]
        await pilot.press(*"listpays", "enter")
        await until(pilot, lambda: "invstring: bad" in grid(pilot), "the refusal")
        assert "\x1b" not in grid(pilot)
        await pilot.press("up", "up", "enter")
        await until(pilot, lambda: len(core.asked("decode")) == 2, "the same again")
        await pilot.press("up", "down", *"list", "tab")
        await until(pilot, lambda: "> list" in grid(pilot), "several fit")
        await core.close()
        await until(pilot, lambda: "The node has gone" in grid(pilot), "the loss")
        await pilot.press(*"pays", "enter")
        await until(pilot, lambda: "not connected to the node" in grid(pilot), "the sentence")


async def test_console__a_long_answer_is_read_from_its_beginning(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "KEPT_LINES", 40)
    core.replies["listforwards"] = {"forwards": [f"f{number}" for number in range(9_000)]}
    async with opened(core) as pilot:
        await pilot.press("8", "tab", *"listforwards", "enter")
        await until(pilot, lambda: '"f0"' in grid(pilot), "its beginning")
        await pilot.press("pagedown")
        await until(pilot, lambda: '"f9"' in grid(pilot), "the next page")
        for _ in range(6):
            await pilot.press("pagedown")
        await until(pilot, lambda: "shows all of it" in grid(pilot), "its end")
        assert "f8999" not in grid(pilot)


async def test_injection__every_line_and_answer_is_as_ordered(core: FakeCore) -> None:
    for topic in (*journal._TOPICS, "something_new"):
        for evil in INJECTIONS:
            named = dict.fromkeys(
                ("description", "label", "failure", "message", "address", "peer_id", "id", "status",
                 "in_channel", "out_channel", "txid", "new_state", "destination", evil), evil,
            )  # fmt: skip
            await core.tell(
                topic if evil is not INJECTIONS[0] else evil, at=at("20 12:00"), **named
            )
    core.replies["listnodes"] = {"nodes": [{"nodeid": e, "alias": e} for e in INJECTIONS]}
    async with opened(core, SIZES["120x40"]) as pilot:
        await pilot.press("8")
        count = (len(journal._TOPICS) + 1) * len(INJECTIONS)
        await until(pilot, lambda: f"{count} lines" in grid(pilot), "the lines")
        for _ in range(count // 30 + 1):
            shown = grid(pilot)
            assert_harmless(shown)
            assert not [line for line in shown.splitlines()[2:38] if "│" not in line]
            await pilot.press("pageup", "enter")
            assert_harmless(grid(pilot))
            await pilot.press("escape")
        await pilot.press("tab", *"listnodes", "enter")
        await until(pilot, lambda: '"nodes"' in grid(pilot), "the answer")
        for _ in range(8):
            assert_harmless(grid(pilot))
            assert len(grid(pilot).splitlines()) == 40
            await pilot.press("pagedown")
        await settled(pilot)


# --- the console's grammar ----------------------------------------------------------------------


def test_console__reads_and_nothing_else() -> None:
    ours = {method.name for method in METHODS}
    assert {name for name in ours if console.reads(name)} == {
        *(name for name in ours if name.startswith("list")),
        *("getinfo", "getroute", "getroutes", "decode", "feerates", "history", "metrics"),
        *({"commitments"} & ours),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "sheet"),
    [
        *((m, "s on any screen pays") for m in ("pay", "xpay", "sendpay", "keysend", "renepay")),
        *((m, "5 and w") for m in ("withdraw", "multiwithdraw", "txsend", "fundpsbt")),
        *((m, "3 and o") for m in ("fundchannel", "multifundchannel", "openchannel_init")),
        ("close", "3 and c"),
        ("setchannel", "3 and f"),
        ("invoice", "r on any screen"),
        ("connect", "4 and c"),
        ("stop", "leyden stop"),
        ("delinvoice", "leyden delinvoice"),
        ("waitinvoice", "leyden waitinvoice"),
        ("getinfo;pay", "leyden getinfo;pay"),
        ("LISTPAYS", "leyden LISTPAYS"),
        ("listen-to-me", ""),
        ("makesecret", "leyden makesecret"),
    ],
)
def test_console__what_is_refused_says_what_to_do(method: str, sheet: str) -> None:
    if not sheet:
        assert console.understood(method) == (method, [])
        return
    with pytest.raises(console.Wrong, match=sheet):
        console.understood(f"{method} x")


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ("listpays", []),
        ("listpays lnbc1 pending", ["lnbc1", "pending"]),
        ("history limit=5 'filter={\"kind\": [\"payment\"]}'",
         {"limit": 5, "filter": {"kind": ["payment"]}}),
        ("listchannels null true", [None, True]),
        ("decode 0123 [x", ["0123", "[x"]),
        ("check 'a b'", ["a b"]),
    ],
)  # fmt: skip
def test_console__parameters_as_on_the_command_line(line: str, params: Any) -> None:
    assert console.understood(line) == (line.split(maxsplit=1)[0], params)


@pytest.mark.parametrize("line", ['decode "x', "listpays a=1 b"])
def test_console__what_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(console.Wrong):
        console.understood(line)


def test_console__passwords_are_not_shown() -> None:
    configs = {"configs": {"bitcoin-rpcpassword": {"value_str": "hunter2"}, "alias": "a"}}
    lines = console.shown([configs], 80)
    assert not [line for line in lines if "hunter2" in line]
    assert any("alias" in line for line in lines)


def test_console__every_line_has_its_width() -> None:
    lines = console.shown({"long": "x" * 500, "wide": INJECTIONS[24]}, 40)
    assert max(map(len, lines)) == 40


# --- words --------------------------------------------------------------------------------------


def test_journal__knows_every_topic_of_the_node() -> None:
    assert set(journal._TOPICS) >= set(journal_desk._DESCRIBE)
    assert not [line for line in _said() if "=" in line]


def _said() -> list[str]:
    names = {node_id: name for name, node_id in NODES.items()}
    events = [{"topic": topic, "at": at(when), **told} for when, topic, told in DAY]
    return [said(entry(event), Money(), names) for event in events]


@pytest.mark.parametrize(
    ("payer", "words"), [("local", "we pay its fee"), ("remote", "the peer pays its fee")]
)
def test_journal__a_closing_transaction_that_both_have_signed(payer: str, words: str) -> None:
    told = {"peer_id": NODES["bob"], "txid": "ab" * 32, "fee_msat": 676_000, "fee_payer": payer}
    line = said(entry({"topic": "close_signed", **told}), Money(), {NODES["bob"]: "bob"})
    assert line == f"the channel with bob closes by abab…abab: {words}, 676 sat"


def test_journal__a_field_that_is_missing_or_of_another_kind_breaks_nothing() -> None:
    for topic in (*journal._TOPICS, "", "x"):
        odd: list[dict[str, Any]] = [
            {},
            {"amount_msat": "x", "height": None, "status": [], "fee_msat": {}},
        ]
        for event in odd:
            assert said(entry({"topic": topic, **event}), Money(), {}) != "" or topic == ""


def test_journal__keeps_the_last_ones_and_takes_older_ones_once() -> None:
    kept = Journal()
    for seq in range(100, 100 + journal.KEPT - 10):
        kept.note({"seq": seq, "topic": "block_added"})
    kept.note_before({"seq": seq, "topic": "block_added"} for seq in range(50, 150))
    assert [e.seq for e in kept.entries][:12] == [*range(90, 100), 100, 101]
    for seq in range(5_000, 5_020):
        kept.note({"seq": seq, "topic": "payment"})
    assert len(kept.entries) == journal.KEPT
    assert kept.entries[-1].source is Source.MONEY
