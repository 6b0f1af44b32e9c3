"""`leyden address`: where coins can be sent to on chain."""

from typing import Any, Final

from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {"--type": True, "--qr": False}
USAGE: Final = """\
leyden address [--type bech32|p2tr|all] [--qr]

A fresh address of the wallet on chain (bech32 unless told otherwise). Each call makes another:
an address that is used once tells the least. --qr draws it for a phone (on a terminal)."""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    made: dict[str, Any] = desk.ask("newaddr", addresstype=desk.flags.get("--type", "bech32"))
    return desk.show(made, lambda: [line for text in made.values() for line in _lines(desk, text)])


def _lines(desk: Desk, address: str) -> list[str]:
    return [*(desk.qr(address) if "--qr" in desk.flags else ()), address]
