"""`leyden keys`: the terminal app's table of keys. Asks nobody."""

from typing import Any, Final

from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.paper import table
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden keys

Every key of the terminal app: on which screen, what it does, and the id under which it is known.
Needs no daemon."""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    # It brings Textual with it: no other verb may wait for that.
    from wallet.faces.tui.keys import all_keys

    found = [
        {"screen": screen, "id": key.id, "keys": key.keys.split(","), "shown": key.shown,
         "words": key.words}
        for screen, keys in all_keys()
        for key in keys
    ]  # fmt: skip
    return desk.show({"keys": found}, lambda: lines(found, desk.width))


def lines(found: list[dict[str, Any]], width: int) -> list[str]:
    """As a person reads them."""
    rows = [(key["screen"], key["shown"], key["words"], key["id"]) for key in found]
    return table(("screen", "key", "does", "id"), rows, width)
