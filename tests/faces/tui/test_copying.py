"""`y` and `T`: what is taken from each screen, and by which way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import SuspendNotSupported

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import HISTORY, NODES, grid, opened, settled, until
from wallet.faces.tui import copying
from wallet.faces.tui.copying import Thing


@pytest.mark.parametrize(
    ("keys", "name", "text"),
    [
        ("1", "Node id", "02c0ff" + "a1" * 28 + "ee01"),
        ("2", "Proof", "ab" * 32),
        ("2j", "Payment hash", HISTORY[1]["payment_hash"]),
        ("2jjjj", "Txid", "7c1e" * 16),
        ("3", "Short channel id", "103x1x0"),
        ("5j", "Address", f"bcrt1q{'7c1e' * 8}k2m9"),
        ("5jjj", "Channel id", NODES["erin"][2:].ljust(64, "0")),
        ("5jjjj", "Txid", "7c1e" * 16),
    ],
)
async def test_copy__the_main_thing(core: FakeCore, keys: str, name: str, text: str) -> None:
    core.replies["listpays"] = {"pays": [{"status": "complete", "preimage": "ab" * 32}]}
    async with opened(core) as pilot:
        await pilot.press(keys[0])
        await settled(pilot)
        await pilot.press(*keys[1:], "y")
        says = f"✓ {name} copied ({len(text)} chars …{text[-4:]}): check before pasting"
        await until(pilot, lambda: says in grid(pilot), "the notice")
        assert pilot.app.clipboard == text


async def test_copy__nothing_there(core: FakeCore) -> None:
    core.replies["listpeerchannels"] = {"channels": []}
    async with opened(core) as pilot:
        await pilot.press("3", "y")
        await until(pilot, lambda: "Nothing to copy here" in grid(pilot), "the notice")


def _tool(place: Path, body: str) -> tuple[str, tuple[str, ...]]:
    script = place / "clip"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return "CLIP_HERE", (str(script),)


async def test_copy__by_the_program_of_the_desktop(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = tmp_path / "got"
    monkeypatch.setattr(copying, "TOOLS", (_tool(tmp_path, f"cat >{got}.new; mv {got}.new {got}"),))
    monkeypatch.setenv("CLIP_HERE", "1")
    async with opened(core) as pilot:
        await pilot.press("3", "y")
        await until(pilot, got.exists, "the program")
        assert got.read_text() == "103x1x0"
        assert pilot.app.clipboard == "", "the terminal was not asked as well"


@pytest.mark.parametrize("body", ["exit 1", "exec sleep 60"], ids=["fails", "hangs"])
async def test_copy__by_the_terminal_when_the_program_does_not(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(copying, "TOOLS", (_tool(tmp_path, body),))
    monkeypatch.setattr(copying, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setenv("CLIP_HERE", "1")
    async with opened(core) as pilot:
        await pilot.press("3", "y")
        await until(pilot, lambda: pilot.app.clipboard == "103x1x0", "the terminal's own")


def test_tool__needs_its_desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "TOOLS", (_tool(tmp_path, "true"),))
    monkeypatch.delenv("CLIP_HERE", raising=False)
    assert copying.tool() is None
    monkeypatch.setenv("CLIP_HERE", "1")
    assert copying.tool() == (str(tmp_path / "clip"),)


async def test_plain__the_bare_text_until_enter(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    @contextmanager
    def suspend(_app: Any) -> Iterator[None]:
        yield
        done.append("back")

    monkeypatch.setattr(copying.Copying, "suspend", suspend)
    monkeypatch.setattr("builtins.print", done.append)
    monkeypatch.setattr("builtins.input", done.append)
    async with opened(core) as pilot:
        await pilot.press("3", "T")
        await until(pilot, lambda: "back" in done, "the app to be back")
    assert done == ["\nShort channel id:\n\n103x1x0\n", "Enter goes back. ", "back"]


async def test_plain__where_that_cannot_be(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    def suspend(_app: Any) -> None:
        raise SuspendNotSupported

    monkeypatch.setattr(copying.Copying, "suspend", suspend)
    async with opened(core) as pilot:
        await pilot.press("3", "T")
        await until(pilot, lambda: "cannot show it apart" in grid(pilot), "the notice")


def test_thing__a_short_one_is_said_whole() -> None:
    assert "(3 chars …abc)" in Thing("Name", "abc").copied
