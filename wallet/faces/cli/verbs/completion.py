"""`leyden completion SHELL`: a script that completes commands, verbs, flags, and what a node knows.

What never changes is written into the script; peers, channels, labels and methods are asked for
when the key is pressed (`leyden __complete`, completing.py).
"""

import importlib
from typing import Final

from wallet.faces.cli.arguments import COLORS, UsageError, option_names
from wallet.faces.cli.verbs.desk import COMMON, PROGRESS, Desk
from wallet.faces.cli.verbs.names import VERBS
from wallet.faces.cli.verbs.shells import SCRIPTS, Choices
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden completion bash|zsh|fish

Prints a script for the shell:
  bash   source <(leyden completion bash)
  zsh    source <(leyden completion zsh)
  fish   leyden completion fish | source
Peers, channels, labels and methods are completed while a daemon answers."""

COMMANDS: Final = {
    "init": "make a wallet, or restore one",
    "daemon": "run the node in the foreground",
    "unlock": "hand the password to a locked node",
    "regtest": "run the embedded chain",
    "demo": "a whole network on this machine",
    "tui": "the terminal app",
    "rpc": "any method of the daemon",
    "help": "what there is",
}
"""What this program does beside verbs and methods."""
_WORDS: Final = {
    "completion": tuple(SCRIPTS),
    "demo": (
        "up",
        "down",
        "status",
        "blocks",
        "money",
        "mine",
        "give",
        "traffic",
        "fault",
        "story",
    ),
    "fees": ("all",),
    "help": tuple(VERBS),
}
"""What may follow a command, beside flags."""
_ASKED: Final = {
    "channels": "peers aliases",
    "close": "channels",
    "connect": "peers",
    "disconnect": "peers",
    "fees": "channels",
    "help": "methods",
    "open": "peers",
    "route": "peers",
    "rpc": "methods",
    "show": "payments labels",
    "wait": "payments labels",
}
"""What the node is asked for: kinds of `__complete`."""
_VALUES: Final = {
    "--color": COLORS,
    "--direction": ("in", "out", "through", "self"),
    "--kind": ("payment", "invoice", "forward", "deposit", "withdrawal", "channel_open",
               "channel_close"),
    "--progress": PROGRESS,
    "--status": ("pending", "complete", "failed"),
    "--type": ("bech32", "p2tr", "all"),
}  # fmt: skip
"""What may follow a flag; after any other that takes a value comes nothing, or a file."""
_FILES: Final = ("--chain-cookie", "--dir", "--rpc-file", "--from-file")


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) != 1 or desk.words[0] not in SCRIPTS:
        raise UsageError(f"completion is for one of {', '.join(SCRIPTS)}")
    print(SCRIPTS[desk.words[0]](choices()))
    return 0


def choices() -> Choices:
    """All that can be known without a daemon."""
    alone, valued = option_names()
    verbs = {v: importlib.import_module(f"wallet.faces.cli.verbs.{v}") for v in VERBS}
    flags: dict[str, dict[str, bool]] = {
        verb: dict(sorted({**module.FLAGS, **COMMON}.items())) for verb, module in verbs.items()
    }
    return Choices(
        commands={**VERBS, **COMMANDS},
        words=_WORDS,
        asked=_ASKED,
        flags=flags,
        options={**dict.fromkeys(alone, False), **dict.fromkeys(valued, True)},
        values=_VALUES,
        files=_FILES,
    )
