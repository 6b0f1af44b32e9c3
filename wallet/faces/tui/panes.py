"""Which screen stands behind which tab."""

from collections.abc import Callable
from typing import Final

from wallet.faces.tui.outgoing import Payer
from wallet.faces.tui.pane import Absent, Pane
from wallet.faces.tui.screens.activity import Activity
from wallet.faces.tui.screens.chain import Chain
from wallet.faces.tui.screens.channels import Channels
from wallet.faces.tui.screens.home import Home
from wallet.faces.tui.screens.log import Log
from wallet.faces.tui.screens.network import Network
from wallet.faces.tui.state import State
from wallet.faces.tui.town.control import Control
from wallet.faces.tui.town.watch import TownState

_PANES: Final[dict[str, Callable[[State, str], Pane]]] = {
    "home": Home,
    "activity": Activity,
    "channels": Channels,
    "network": Network,
    "chain": Chain,
    "log": Log,
}
_ABSENT: Final = {
    "swaps": ("This node makes no swaps between coins and channels.",),
    "demo": ("A network on this machine to play with: leyden demo",),
}


def pane_of(tab: str, state: State, town: TownState | None, payer: Payer) -> Pane:
    """The screen of a tab, or a page that says why there is none."""
    if tab == "demo" and town is not None:
        return Control(state, tab, town, payer)
    made = _PANES.get(tab)
    return made(state, tab) if made else Absent(state, tab, _ABSENT[tab])
