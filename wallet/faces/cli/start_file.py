"""How `leyden` starts a wallet's node: `DIR/<network>/start.toml`.

    chain = "built-in"            # or http://host:port of a bitcoind
    cookie = "/path/to/.cookie"   # of that bitcoind
    listen = "127.0.0.1:9735"     # where peers reach the node; absent: a port the system chooses
    alias = "name"                # what it calls itself

Written by the first run and read by launcher.py only: `leyden daemon` takes its flags.
"""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wallet.base.errors import Refused, ServiceFault

NAME: Final = "start.toml"
BUILT_IN: Final = "built-in"
_KEYS: Final = ("chain", "cookie", "listen", "alias")
_HEAD: Final = """\
# How `leyden` starts this wallet's node. Yours to change.
# chain: "built-in", or http://host:port of a bitcoind and its cookie file.
# listen: host:port where peers reach the node. alias: what it calls itself.
"""


@dataclass(frozen=True, slots=True)
class StartFile:
    """What it says; empty where it says nothing."""

    chain: str = BUILT_IN
    cookie: str = ""
    listen: str = ""
    alias: str = ""

    @property
    def text(self) -> str:
        """As it is written. A JSON string is a basic string of TOML."""
        said = {key: getattr(self, key) for key in _KEYS}
        rows = (f"{key} = {json.dumps(value)}\n" for key, value in said.items() if value)
        return _HEAD + "".join(rows)


def read(directory: Path) -> StartFile | None:
    """Of the network's directory; None when there is none. Raises `Refused`."""
    place = directory / NAME
    try:
        given = tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused(f"{place} cannot be read: {error}") from None
    strange = [
        key for key, value in given.items() if key not in _KEYS or not isinstance(value, str)
    ]
    if strange:
        raise Refused(f"{place}: {strange[0]} should be one of {', '.join(_KEYS)}, and a text")
    found = StartFile(**given)
    if "@" in found.chain:
        # It would stand on the daemon's command line, which every user of the machine can list.
        raise Refused(f"{place}: chain should hold no password; give a cookie file")
    return found


def write(directory: Path, start: StartFile) -> None:
    """Wholly or not at all, for its owner only. Raises `ServiceFault`."""
    draft = directory / f".{NAME}.new"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(start.text)
        draft.replace(directory / NAME)
    except OSError as error:
        raise ServiceFault(f"cannot write {directory / NAME}: {error.strerror}") from None
