"""Many questions at once over one connection, and what becomes of them when it breaks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.faces.tui.fake_core import FakeCore, Refusal
from tests.support.served import Served
from wallet.faces.rpc.client import ConnectionLost, RpcError, Unreachable
from wallet.faces.tui.link import Link


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[FakeCore]:
    held = asyncio.Event()

    async def late(params: dict[str, Any]) -> Any:
        await held.wait()
        return {"late": params}

    def release(_params: dict[str, Any]) -> Any:
        held.set()
        return {}

    fake = FakeCore(
        tmp_path / "rpc",
        {
            "late": late,
            "release": release,
            "refuse": Refusal(205, "no route"),
            "big": "x" * 300_000,
        },
    )
    await fake.start()
    yield fake
    await fake.close()


@pytest.fixture
async def link(core: FakeCore) -> AsyncIterator[Link]:
    opened = Link(core.path)
    await opened.open()
    yield opened
    await opened.close()


async def test_ask__answers_come_as_they_finish(core: FakeCore, link: Link) -> None:
    slow = [asyncio.create_task(link.ask("late", n=n)) for n in range(20)]
    await core.until_asked("late", 20)
    assert await link.ask("big") == "x" * 300_000
    assert not any(task.done() for task in slow)
    await link.ask("release")
    assert await asyncio.gather(*slow) == [{"late": {"n": n}} for n in range(20)]


async def test_ask__a_refusal_bears_its_code(link: Link) -> None:
    with pytest.raises(RpcError, match="no route") as fault:
        await link.ask("refuse")
    assert fault.value.code == 205


async def test_open__learns_what_the_core_can_do(link: Link) -> None:
    assert link.can("late", "refuse")
    assert not link.can("late", "splice")


async def test_lost__every_open_question_fails(core: FakeCore, link: Link) -> None:
    asking = asyncio.create_task(link.ask("late"))
    await core.until_asked("late")
    await core.close()
    with pytest.raises(ConnectionLost):
        await asking
    with pytest.raises(ConnectionLost):
        await link.ask("big")


async def test_open__nobody_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no daemon at"):
        await Link(tmp_path / "nothing").open()


async def test_open__a_real_server(tmp_path: Path) -> None:
    served = Served(tmp_path / ("long" * 40) / "rpc")
    served.path.parent.mkdir()
    await served.server.start(served.path)
    link = Link(served.path)
    await link.open()
    assert link.can("echo", "pay", "waitinvoice")
    waiting = asyncio.create_task(link.ask("waitinvoice", label="a"))
    await served.until_called()
    assert await link.ask("echo", text="ab", times=2) == {"text": "abab"}
    await link.close()
    with pytest.raises(ConnectionLost):
        await waiting
    await served.server.close()
