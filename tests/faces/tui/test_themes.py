"""Colours that can be read, and a screen that needs none."""

import pytest
from textual.theme import Theme

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import check, grid, opened
from tests.tools.cells import contrast, parse
from wallet.faces.tui.themes import DARK, LIGHT


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
def test_theme__every_text_colour_can_be_read(theme: Theme) -> None:
    colours = [
        theme.accent,
        theme.success,
        theme.warning,
        theme.error,
        theme.foreground,
        theme.variables["muted"],
    ]
    for colour in colours:
        ratio = contrast(parse(colour), parse(theme.background))
        assert ratio >= 4.5, f"{colour} on {theme.background} is only {ratio:.1f} to 1"


@pytest.mark.parametrize("theme", ["leyden-light", "nord", "ansi-dark"])
async def test_theme__the_same_text_in_every_one(core: FakeCore, theme: str) -> None:
    async with opened(core) as pilot:
        pilot.app.theme = theme
        await pilot.pause()
        await check(pilot, "home")


async def test_no_color__the_same_text(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(core) as pilot:
        assert pilot.app.no_color
        await check(pilot, "home")
        await pilot.press("s")
        await pilot.pause()
        assert "Paste an invoice" in grid(pilot)
