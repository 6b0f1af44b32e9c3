"""`leyden completion SHELL`: a script that completes commands, verbs and their flags."""

import importlib
from typing import Final

from wallet.faces.cli.arguments import UsageError, option_names
from wallet.faces.cli.verbs.desk import COMMON, Desk
from wallet.faces.cli.verbs.names import VERBS
from wallet.faces.cli.verbs.words import Flags

SHELLS: Final = ("bash", "zsh", "fish")
FLAGS: Final[Flags] = {}
USAGE: Final = """\
leyden completion bash|zsh|fish

Prints a script for the shell:
  bash   source <(leyden completion bash)
  zsh    source <(leyden completion zsh)
  fish   leyden completion fish | source"""

_COMMANDS: Final = {
    "init": "make a wallet, or restore one",
    "daemon": "run the node in the foreground",
    "unlock": "hand the password to a locked node",
    "regtest": "run the embedded chain",
    "demo": "a whole network on this machine",
    "rpc": "any method of the daemon",
    "help": "what there is",
}
_WORDS: Final = {
    "completion": SHELLS,
    "demo": ("up", "down", "status", "mine", "traffic", "fault", "story"),
    "help": tuple(VERBS),
}
"""What may follow a command, beside flags."""


def run(desk: Desk) -> int:
    """Carry it out."""
    if len(desk.words) != 1 or desk.words[0] not in SHELLS:
        raise UsageError(f"completion is for one of {', '.join(SHELLS)}")
    made = {"bash": _bash, "zsh": _zsh, "fish": _fish}[desk.words[0]]()
    print(made)
    return 0


def _flags() -> dict[str, list[str]]:
    """The flags of each verb, without those of every call."""
    verbs = {v: importlib.import_module(f"wallet.faces.cli.verbs.{v}") for v in VERBS}
    return {verb: sorted({**module.FLAGS, **COMMON}) for verb, module in verbs.items()}


def _bash() -> str:
    general, valued = option_names()
    cases = "\n".join(
        f'    {name}) words="{" ".join((*_WORDS.get(name, ()), *flags))}" ;;'
        for name, flags in {**dict.fromkeys(_WORDS, ()), **_flags()}.items()
    )
    return f"""\
_leyden() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" verb="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
    {"|".join(valued)}) i=$((i + 1)) ;;
    -*) ;;
    *) verb="${{COMP_WORDS[i]}}"; break ;;
    esac
  done
  case "$verb" in
    "") words="{" ".join((*VERBS, *_COMMANDS))}" ;;
{cases}
  esac
  [[ "$cur" == -* ]] && words="$words {" ".join((*general, *valued))}"
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _leyden leyden"""


def _zsh() -> str:
    return f"autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n{_bash()}"


def _fish() -> str:
    general, valued = option_names()
    lines = [
        f"complete -c leyden -f -n __fish_use_subcommand -a {name} -d '{what}'"
        for name, what in {**VERBS, **_COMMANDS}.items()
    ]
    lines += [
        f"complete -c leyden -f -n '__fish_seen_subcommand_from {name}' -a '{' '.join(words)}'"
        for name, words in _WORDS.items()
    ]
    lines += [
        f"complete -c leyden -n '__fish_seen_subcommand_from {verb}' -l {flag.lstrip('-')}"
        for verb, flags in _flags().items()
        for flag in flags
    ]
    for names, follows in ((general, ""), (valued, " -r")):
        lines += [
            f"complete -c leyden {'-l' if name[:2] == '--' else '-s'} {name.lstrip('-')}{follows}"
            for name in names
        ]
    return "\n".join(lines)
