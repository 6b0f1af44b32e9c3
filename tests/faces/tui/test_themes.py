"""Colours that can be read, and a screen that needs none."""

import pytest
from textual.color import Color
from textual.theme import Theme

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import check, grid, opened
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
    ground = Color.parse(theme.background or "")
    for colour in colours:
        ratio = _contrast(Color.parse(colour or ""), ground)
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


def _contrast(one: Color, other: Color) -> float:
    """WCAG 2: between 1 (the same) and 21 (black on white)."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
