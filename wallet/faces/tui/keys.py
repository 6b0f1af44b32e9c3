"""Every key of the app, once: bindings, the hint row and the help are made from this table.

Ids never change; keys may.  `p` means *pay* and nothing else.
"""

from dataclasses import dataclass
from typing import Final

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    """`id` is also the action's name; `shown` is what the person reads for `keys`."""

    id: str
    keys: str
    shown: str
    words: str
    needs: tuple[str, ...] = ()
    """Methods of the node without which it does nothing, and says so."""

    @property
    def hint(self) -> str:
        """For the hint row."""
        return f"{self.shown} {self.words}"

    @property
    def binding(self) -> Binding:
        """For Textual."""
        return Binding(self.keys, self.id, self.words, show=False)


EVERYWHERE: Final = (
    Key("send", "s", "s", "send"),
    Key("receive", "r", "r", "receive"),
    Key("unit", "u", "u", "unit"),
    Key("hide", "full_stop", ".", "hide amounts"),
    Key("find", "slash", "/", "filter a list"),
    Key("copy", "y", "y", "copy the main thing"),
    Key("plain", "T", "T", "show it as plain text"),
    Key("unlock", "U", "U", "unlock", ("unlock",)),
    Key("start_node", "R", "R", "start the node again"),
    Key("command_palette", "colon,ctrl+p", ":", "palette"),
    Key("help", "question_mark", "?", "help"),
    Key("quit_app", "q", "q", "quit"),
)
MOVEMENT: Final = (
    Key("move(1)", "j,down", "j ↓", "down"),
    Key("move(-1)", "k,up", "k ↑", "up"),
    Key("page(1)", "pagedown", "pgdn", "page down"),
    Key("page(-1)", "pageup", "pgup", "page up"),
    Key("top", "g,home", "g", "top"),
    Key("bottom", "G,end", "G", "bottom"),
)
DETAIL: Final = Key("detail", "enter", "enter", "detail")
BACK: Final = Key("back", "escape", "esc", "back")
LIST: Final = (*MOVEMENT, DETAIL, BACK)
"""On every screen that is a list."""
SECTION: Final = Key("section", "tab", "tab", "next list")

_OPEN: Final = Key("open_channel", "o", "o", "open channel", ("fundchannel",))

OWN: Final[dict[str, tuple[Key, ...]]] = {
    "home": (_OPEN,),
    "activity": (),
    "channels": (
        _OPEN,
        Key("close_channel", "c", "c", "close together", ("close",)),
        Key("fees", "f", "f", "fees", ("setchannel",)),
        Key("court", "C", "C", "what the chain rules", ("court",)),
        Key("force_close", "X", "X", "force close (in detail)", ("close",)),
    ),
    "network": (
        Key("connect", "c", "c", "connect", ("connect",)),
        Key("disconnect", "d", "d", "disconnect", ("disconnect",)),
        SECTION,
    ),
    "chain": (
        Key("address", "a", "a", "new address", ("newaddr",)),
        Key("withdraw", "w", "w", "withdraw", ("withdraw",)),
        SECTION,
    ),
    "demo": (
        Key("mine(1)", "m", "m", "mine a block"),
        Key("mine_more", "M", "M", "mine more"),
        Key("buy", "i", "i", "an invoice to pay"),
        Key("gift", "f", "f", "coins from the faucet"),
        Key("traffic", "t", "t", "traffic"),
        Key("break_something", "b", "b", "break something"),
        Key("story", "S", "S", "a story"),
        Key("check_money", "c", "c", "check the money"),
        Key("pause", "space", "space", "hold the picture"),
        Key("hurry(1)", "plus", "+", "faster"),
        Key("hurry(-1)", "minus", "-", "slower"),
    ),
    "log": (
        Key("follow", "f", "f", "follow, or stand still"),
        Key("level", "l", "l", "all, or what needs eyes"),
        Key("source", "o", "o", "source"),
        Key("console", "tab", "tab", "console"),
    ),
}
"""What works on one screen only, by tab."""


def own(tab: str, action: str) -> Key:
    """A screen's own key."""
    return next(key for key in OWN[tab] if key.id == action)


def hints(*keys: Key, more: str = "") -> str:
    """The hint row's words for these keys."""
    return "  ".join([*(key.hint for key in keys), *([more] if more else [])])


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab keeps its number whether it is there or not."""

    number: int
    id: str
    title: str


TABS: Final = tuple(
    Tab(number, title.lower(), title)
    for number, title in enumerate(
        ("Home", "Activity", "Channels", "Network", "Chain", "Swaps", "Demo", "Log"), start=1
    )
)


def all_keys() -> tuple[tuple[str, tuple[Key, ...]], ...]:
    """Each part of the app that has keys, by a word for a person, and its keys in order."""
    tabs = ",".join(str(tab.number) for tab in TABS)
    going = (
        Key("tab", tabs, "1-8", "go to a tab"),
        Key("next_tab", "left_square_bracket,right_square_bracket", "[ ]", "previous, next tab"),
    )
    own = tuple((name, keys) for name, keys in OWN.items() if keys)
    return (("everywhere", (*going, *EVERYWHERE)), ("lists", LIST), *own)
