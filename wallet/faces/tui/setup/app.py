"""The first run as an app of its own: it ends with a wallet, with the wish for a demo, or nothing.

Apart from the wallet's app, so that none of its keys, palettes or clipboards is near the phrase.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from wallet.faces.tui.in_order import InOrder
from wallet.faces.tui.leaving import until_closed
from wallet.faces.tui.setup.port import ChainChoice, Order, Outcome, Port
from wallet.faces.tui.setup.start import Start
from wallet.faces.tui.themes import DARK, DEFAULTS, THEMES


def _now() -> datetime:
    return datetime.now(UTC).astimezone()


class FirstRun(InOrder[Outcome]):
    """Steps as screens; `esc` goes back, and leaving at any of them leaves no wallet."""

    TITLE = "leyden"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT: ClassVar[bool] = False
    BINDINGS: ClassVar = [
        Binding("ctrl+c,ctrl+q", "leave", show=False, priority=True, system=True),
    ]

    def __init__(self, port: Port, clock: Callable[[], datetime] = _now) -> None:
        super().__init__()
        self.port = port
        self.clock = clock
        self.draft = Order(ChainChoice(), (), "")

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.push_screen(Start("" if self.port.has_wallet else "1/4"))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DEFAULTS)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """None: there is no palette, and no screenshot of a phrase."""
        return ()

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Never."""

    def copy_to_clipboard(self, text: str) -> None:
        """Never."""

    def action_leave(self) -> None:
        """Nothing is kept."""
        self.draft = Order(ChainChoice(), (), "")
        self.exit()


def run(port: Port) -> tuple[Outcome | None, int]:
    """Ask a person; how it ended (None: left), and the exit code."""
    app = FirstRun(port)
    asyncio.run(until_closed(app))
    return app.return_value, app.return_code or 0
