"""Words of a command line into options, a method and its parameters.

Written by hand and not with argparse: methods are not known here, their values may look like
anything, and a call should start fast.  The spelling follows `lightning-cli`.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from wallet.base.errors import WalletError

FORMATS: Final = ("json", "raw", "flat", "human")
COLORS: Final = ("auto", "always", "never")
DEFAULT_NETWORK: Final = "regtest"
USUAL_PLACE: Final = "~/.leyden"
SOCKET_NAME: Final = "lightning-rpc"

_FLAGS: Final = {
    "-J": ("output", "json"),
    "--json": ("output", "json"),
    "-R": ("output", "raw"),
    "--raw": ("output", "raw"),
    "-F": ("output", "flat"),
    "--flat": ("output", "flat"),
    "-H": ("output", "human"),
    "--human": ("output", "human"),
    "-k": ("style", "keywords"),
    "--keywords": ("style", "keywords"),
    "-o": ("style", "order"),
    "--order": ("style", "order"),
    "-h": ("help", "yes"),
    "--help": ("help", "yes"),
    "-V": ("version", "yes"),
    "--version": ("version", "yes"),
}
_VALUED: Final = {
    "--dir": "dir",
    "--network": "network",
    "--rpc-file": "rpc_file",
    "-l": "filter",
    "--filter": "filter",
    "--field": "field",
    "--timeout": "timeout",
    "--color": "color",
}
_KEY_VALUE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.*)", re.DOTALL)
_NEGATIVE_NUMBER: Final = re.compile(r"-[0-9]")


class UsageError(WalletError):
    """The call itself is wrong. Nothing was contacted."""


def path_of(text: str) -> Path:
    """A path as typed, `~` included, from the root on. Raises `UsageError`."""
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise UsageError(f"no such place: {text[:100]!r} ({error})") from None


class Options:
    """What stands beside the method: where the daemon is, how to print."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def take(self, words: list[str]) -> bool:
        """Take one option off the front of `words`; False when it does not start with one."""
        word = words[0]
        if not word.startswith("-") or word == "-" or _NEGATIVE_NUMBER.match(word):
            return False
        name, equals, value = word.partition("=")
        if not equals and word in _FLAGS:
            key, value = _FLAGS[word]
        elif name in _VALUED:
            key = _VALUED[name]
            if not equals:
                if len(words) < 2:
                    raise UsageError(f"{name} needs a value")
                value = words.pop(1)
        else:
            raise UsageError(f"unknown option {word}; put -- before values that start with -")
        del words[0]
        self.values[key] = value
        return True

    @property
    def directory(self) -> Path:
        """The data directory: `--dir`, `LEYDEN_DIR` or `~/.leyden`."""
        given = self.values.get("dir") or os.environ.get("LEYDEN_DIR") or USUAL_PLACE
        return path_of(given)

    @property
    def network(self) -> str:
        """The network's name, which is also its folder's."""
        name = self.values.get("network", DEFAULT_NETWORK)
        if not re.fullmatch(r"[a-z0-9]+", name):
            raise UsageError(f"not a network: {name!r}")
        return name

    @property
    def rpc_file(self) -> Path:
        """The socket: `--rpc-file`, or the one in the data directory."""
        if given := self.values.get("rpc_file"):
            return path_of(given)
        return self.directory / self.network / SOCKET_NAME

    @property
    def output(self) -> str:
        """One of `FORMATS`, or "" when nobody chose."""
        chosen = self.values.get("output") or os.environ.get("LEYDEN_OUTPUT", "")
        if chosen and chosen not in FORMATS:
            raise UsageError(f"LEYDEN_OUTPUT should be one of {', '.join(FORMATS)}")
        return chosen

    @property
    def color(self) -> str:
        """One of `COLORS`."""
        chosen = self.values.get("color", "auto")
        if chosen not in COLORS:
            raise UsageError(f"--color should be one of {', '.join(COLORS)}")
        return chosen

    @property
    def filter(self) -> dict[str, Any] | None:
        """Core Lightning's answer filter."""
        if (text := self.values.get("filter")) is None:
            return None
        try:
            wanted = json.loads(text)
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            raise UsageError("--filter should be a JSON object")
        return wanted

    @property
    def timeout(self) -> float | None:
        """Seconds to wait for the answer."""
        if (text := self.values.get("timeout")) is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", text) or float(text) == 0:
            raise UsageError("--timeout should be a number of seconds above 0")
        return float(text)


def split_options(words: list[str], options: Options) -> list[str]:
    """Take the options out of `words`, wherever they stand before `--`; the rest in order."""
    rest: list[str] = []
    pending = list(words)
    while pending:
        if pending[0] == "--":
            return rest + pending[1:]
        if not options.take(pending):
            rest.append(pending.pop(0))
    return rest


def params_of(
    words: list[str], style: str | None, read_stdin: Callable[[], str]
) -> dict[str, Any] | list[Any]:
    """A method's parameters: an object if the first word is `key=value`, else an array.

    `style` is "keywords", "order" or None to guess as `lightning-cli` does.  A value `-` is read
    from standard input.
    """
    by_name = style == "keywords" or (
        style is None and bool(words) and _KEY_VALUE.fullmatch(words[0]) is not None
    )
    if not by_name:
        return [_value(word, read_stdin) for word in words]
    named: dict[str, Any] = {}
    for word in words:
        found = _KEY_VALUE.fullmatch(word)
        if found is None:
            raise UsageError(f"not key=value: {word[:80]!r}")
        if found[1] in named:
            raise UsageError(f"{found[1]} is given twice")
        named[found[1]] = _value(found[2], read_stdin)
    return named


def _value(word: str, read_stdin: Callable[[], str]) -> Any:
    """JSON where the word is clearly JSON, else the word itself as text."""
    if word == "-":
        return read_stdin()
    is_number = word.isascii() and word.isdigit()
    if is_number or word in ("true", "false", "null") or word[:1] in ("{", "[", '"'):
        try:
            return json.loads(word)
        except ValueError:
            # 0123 is no JSON number, and a description may begin with a bracket: both are text.
            return word
    return word


def option_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options of every call: those that stand alone, and those that a value follows."""
    return tuple(_FLAGS), tuple(_VALUED)
