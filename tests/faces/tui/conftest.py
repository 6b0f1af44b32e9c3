"""A scripted core for every test of the app."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import replies
from wallet.faces.tui import copying


@pytest.fixture(autouse=True)
def _no_clipboard_of_the_desktop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "TOOLS", ())


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[FakeCore]:
    """Alice's wallet as `scenes` has it."""
    fake = FakeCore(tmp_path / "rpc", replies())
    await fake.start()
    yield fake
    await fake.close()
