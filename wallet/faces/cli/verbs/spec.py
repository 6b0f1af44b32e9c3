"""`leyden spec`: every command, flag and code of this program as JSON. Asks nobody."""

import importlib
from typing import Any, Final

from wallet import __version__
from wallet.faces.cli.arguments import COLORS, FORMATS, option_names
from wallet.faces.cli.exit_codes import MOVES_MONEY, Exit, of_error
from wallet.faces.cli.verbs.completion import COMMANDS
from wallet.faces.cli.verbs.desk import COMMON, Desk
from wallet.faces.cli.verbs.names import ALIASES, METHODS_TOO, VERBS
from wallet.faces.cli.verbs.paper import table
from wallet.faces.cli.verbs.words import Flags
from wallet.faces.rpc.errors import Code

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden spec

Every verb with its flags, every method with its parameters, the options of every call, the words
that lncli has for them, exit codes and error codes: for programs that call this one. Needs no
daemon."""


def run(desk: Desk) -> int:
    """Carry it out."""
    desk.no_words()
    found = spec()
    return desk.show(found, lambda: lines(found, desk.width))


def spec() -> dict[str, Any]:
    """All of it."""
    alone, valued = option_names()
    return {
        "version": __version__,
        "verbs": [_verb(name, what) for name, what in VERBS.items()],
        "commands": [{"name": name, "does": what} for name, what in COMMANDS.items()],
        "methods": _methods(),
        "options": [_flag(n, False) for n in alone] + [_flag(n, True) for n in valued],
        "formats": list(FORMATS),
        "colors": list(COLORS),
        "aliases": dict(ALIASES),
        "exit_codes": [{"code": int(code), "name": code.name.lower()} for code in Exit],
        "error_codes": [
            {"code": int(code), "name": code.name.lower(), "exit_code": int(of_error(code))}
            for code in Code
        ],
    }


def _verb(name: str, what: str) -> dict[str, Any]:
    module = importlib.import_module(f"wallet.faces.cli.verbs.{name}")
    flags: Flags = {**module.FLAGS, **COMMON}
    return {
        "name": name,
        "does": what,
        "usage": module.USAGE.partition("\n\n")[0],
        "flags": [_flag(flag, follows) for flag, follows in flags.items()],
        "is_method": name in METHODS_TOO,
    }


def _flag(name: str, follows: bool) -> dict[str, Any]:
    return {"name": name, "takes_value": follows}


def _methods() -> list[dict[str, Any]]:
    # The whole node comes with its methods: no other verb waits for that.
    from wallet.faces.rpc.methods import METHODS
    from wallet.faces.rpc.table import MethodTable

    return [
        {
            "name": method.name,
            "does": method.summary,
            "params": [{"name": p.name, "required": p.required} for p in method.params],
            "moves_money": method.name in MOVES_MONEY,
        }
        for method in MethodTable(METHODS, lambda: None)
    ]


def lines(found: dict[str, Any], width: int) -> list[str]:
    """As a person reads it."""
    verbs = [(v["name"], " ".join(f["name"] for f in v["flags"])) for v in found["verbs"]]
    codes = [(code["code"], code["name"].replace("_", " ")) for code in found["exit_codes"]]
    methods = " ".join(method["name"] for method in found["methods"])
    return [
        *table(("verb", "flags"), verbs, width),
        "",
        *table(("exit", "means"), codes, width, "r"),
        "",
        f"methods: {methods}",
    ]
