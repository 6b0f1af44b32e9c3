"""What the command palette offers: every key's action and every tab."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from wallet.faces.tui.keys import EVERYWHERE, OWN, TABS

if TYPE_CHECKING:
    from wallet.faces.tui.app import Leyden


def commands(app: "Leyden") -> Iterator[SystemCommand]:
    """In the order of the tabs; those that work everywhere come before a screen's own."""
    for tab in TABS:
        yield SystemCommand(f"Go to {tab.title}", f"tab {tab.number}", _go(app, tab.id))
    for key in EVERYWHERE:
        if key.id != "command_palette":
            yield SystemCommand(key.words.capitalize(), f"key {key.shown}", _run(app, key.id))
    for tab in TABS:
        for key in OWN.get(tab.id, ()):
            where = f"{tab.title}, key {key.shown}"
            yield SystemCommand(key.words.capitalize(), where, _do(app, tab.id, key.id))
    yield SystemCommand("Theme", "choose colours, dark or light", app.action_change_theme)


def _go(app: "Leyden", tab: str) -> Callable[[], None]:
    return lambda: app.action_tab(tab)


def _do(app: "Leyden", tab: str, action: str) -> Callable[[], object]:
    """An action of a screen's own: the screen first, so that its outcome is seen."""

    def act() -> None:
        app.action_tab(tab)
        app.call_later(app.pane.run_action, action)

    return act


def _run(app: "Leyden", action: str) -> Callable[[], object]:
    return lambda: app.call_later(app.run_action, action)
