"""The completion scripts themselves: what each shell needs to be told, and in its own language.

Words of the node are strangers' words.  No shell may expand them: bash's `compgen -W` would run
`$(…)`, so they never pass through it, and `__complete` prints none that a shell could misread.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple


class Choices(NamedTuple):
    """What can be typed: commands with a line each, and by command or flag what follows it."""

    commands: Mapping[str, str]
    words: Mapping[str, Sequence[str]]
    asked: Mapping[str, str]
    flags: Mapping[str, Mapping[str, bool]]
    """By verb, and whether a value follows."""
    options: Mapping[str, bool]
    """Of every call."""
    values: Mapping[str, Sequence[str]]
    files: Sequence[str]

    @property
    def valued(self) -> list[str]:
        """Every flag and option that a value follows."""
        known = [self.options, *self.flags.values()]
        return sorted({name for flags in known for name, follows in flags.items() if follows})

    @property
    def open_ended(self) -> list[str]:
        """Those after which there is nothing to choose from."""
        return [name for name in self.valued if name not in (*self.values, *self.files)]


_PLACE: Final = "--dir|--network|--rpc-file"
"""What says which daemon is meant: handed on to `__complete`."""

_BASH: Final = """\
_leyden() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
  local verb="" words="" flags="" asked="" many=0 place=() word i
  # Bash makes words of their own of the = in --flag=value.
  if [[ "$cur" == "=" ]]; then cur=""
  elif [[ "$prev" == "=" ]]; then prev="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "$word" in
    {valued})
      [[ "${{COMP_WORDS[i+1]}}" == "=" ]] && i=$((i + 1))
      i=$((i + 1))
      case "$word" in {place}) place+=("$word" "${{COMP_WORDS[i]}}") ;; esac ;;
    -?*) ;;
    *) if [[ -z "$verb" ]]; then verb="$word"; else many=$((many + 1)); fi ;;
    esac
  done
  COMPREPLY=()
  case "$prev" in
  {files}) compopt -o default 2>/dev/null; return ;;
{values}
  {open_ended}) return ;;
  *)
    case "$verb" in
    "") words="{commands}"; [[ -n "$cur" ]] && asked="methods" ;;
{verbs}
    esac
    if ((many > 0)); then words="" asked=""; fi
    if [[ "$cur" == -* || -z "$words$asked" ]]; then words="$words $flags"; fi
    [[ "$cur" == -* ]] && words="$words {options}" asked="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ -z "$asked" ]] && return
  local program="${{COMP_WORDS[0]/#\\~/$HOME}}"
  while IFS=$'\\t' read -r word _; do
    [[ "$word" == "$cur"* ]] && COMPREPLY+=("$word")
  done < <("$program" ${{place[@]+"${{place[@]}}"}} __complete $asked 2>/dev/null)
}}
complete -F _leyden leyden"""


def bash(choices: Choices) -> str:
    """For bash 3.2 and later."""
    verbs = "\n".join(
        f'    {verb}) words="{" ".join(choices.words.get(verb, ()))}"'
        f' asked="{choices.asked.get(verb, "")}"'
        f' flags="{" ".join(choices.flags.get(verb, ()))}" ;;'
        for verb in choices.commands
    )
    values = "\n".join(
        f'  {flag}) words="{" ".join(words)}" ;;' for flag, words in choices.values.items()
    )
    return _BASH.format(
        valued="|".join(choices.valued),
        place=_PLACE,
        files="|".join(choices.files),
        values=values,
        open_ended="|".join(choices.open_ended),
        commands=" ".join(choices.commands),
        verbs=verbs,
        options=" ".join(choices.options),
    )


_ZSH: Final = """\
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -i }}
_leyden() {{
  local prev=${{(Q)words[CURRENT-1]}} verb="" asked="" word i
  local -i many=0
  local -a place offer flags lines
  for ((i = 2; i < CURRENT; i++)); do
    word=${{(Q)words[i]}}
    case $word in
    ({valued})
      ((i++))
      case $word in ({place}) place+=($word ${{(Q)words[i]}}) ;; esac ;;
    ({place_given}) place+=($word) ;;
    (-?*) ;;
    (*) if [[ -z $verb ]]; then verb=$word; else ((many++)); fi ;;
    esac
  done
  case $prev in
  ({files}) _files; return ;;
{values}
  ({open_ended}) return 1 ;;
  esac
  case $verb in
  ("") offer=({commands}); [[ -n $PREFIX ]] && asked="methods" ;;
{verbs}
  esac
  if ((many > 0)); then offer=() asked=""; fi
  if [[ $PREFIX == -* ]]; then
    compadd -- $flags {options}
    return
  fi
  local program=${{(Q)words[1]/#\\~/$HOME}}
  [[ -n $asked ]] && lines=(${{(f)"$($program $place __complete ${{=asked}} 2>/dev/null)"}})
  offer+=(${{lines//$'\\t'/:}})
  if (( $#offer )); then _describe leyden offer; else compadd -- $flags; fi
}}
compdef _leyden leyden"""


def zsh(choices: Choices) -> str:
    """For zsh 5."""
    verbs = "\n".join(
        f"  ({verb}) offer=({' '.join(choices.words.get(verb, ()))})"
        f' asked="{choices.asked.get(verb, "")}"'
        f" flags=({' '.join(choices.flags.get(verb, ()))}) ;;"
        for verb in choices.commands
    )
    values = "\n".join(
        f"  ({flag}) compadd -- {' '.join(words)}; return ;;"
        for flag, words in choices.values.items()
    )
    return _ZSH.format(
        valued="|".join(choices.valued),
        place=_PLACE,
        place_given="|".join(f"{name}=*" for name in _PLACE.split("|")),
        files="|".join(choices.files),
        values=values,
        open_ended="|".join(choices.open_ended),
        commands=" ".join(_quoted(f"{name}:{what}") for name, what in choices.commands.items()),
        verbs=verbs,
        options=" ".join(choices.options),
    )


_FISH: Final = """\
function __leyden_plain
    set -l words (commandline -opc)
    set -l skip 1
    for word in $words
        if test $skip -gt 0
            set skip 0
        else if contains -- $word {valued}
            set skip 1
        else if not string match -q -- '-?*' $word
            echo $word
        end
    end
end
function __leyden_at
    set -l plain (__leyden_plain)
    test (count $plain) -eq (count $argv); and test "$plain" = "$argv"
end
function __leyden_in
    set -l plain (__leyden_plain)
    test "$plain[1]" = "$argv[1]"
end
function __leyden_ask
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l place
    for i in (seq 2 (count $words))
        switch $words[$i]
            case {place_words}
                set -a place $words[$i] $words[(math $i + 1)]
            case {place_given}
                set -a place $words[$i]
        end
    end
    $program $place __complete $argv 2>/dev/null
end
complete -c leyden -f"""


def fish(choices: Choices) -> str:
    """For fish 3."""
    head = _FISH.format(
        valued=" ".join(choices.valued),
        place_words=_PLACE.replace("|", " "),
        place_given=" ".join(f"'{name}=*'" for name in _PLACE.split("|")),
    )
    at = "complete -c leyden -n '__leyden_at{}' -a {}"
    lines = [f"{at.format('', name)} -d {_quoted(what)}" for name, what in choices.commands.items()]
    lines.append(at.format("", "'(__leyden_ask methods)'"))
    lines += [at.format(f" {v}", _quoted(" ".join(words))) for v, words in choices.words.items()]
    lines += [
        at.format(f" {verb}", f"'(__leyden_ask {kinds})'") for verb, kinds in choices.asked.items()
    ]
    lines += [
        f"complete -c leyden -n '__leyden_in {verb}' {_fish_flag(choices, name, follows)}"
        for verb, flags in choices.flags.items()
        for name, follows in flags.items()
    ]
    lines += [
        f"complete -c leyden {_fish_flag(choices, name, follows)}"
        for name, follows in choices.options.items()
    ]
    return "\n".join([head, *lines])


def _fish_flag(choices: Choices, name: str, follows: bool) -> str:
    letter = "-l" if name.startswith("--") else "-s"
    flag = f"{letter} {name.lstrip('-')}"
    if name in choices.files:
        return f"{flag} -r -F"
    if name in choices.values:
        return f"{flag} -x -a {_quoted(' '.join(choices.values[name]))}"
    return f"{flag} -x" if follows else flag


def _quoted(text: str) -> str:
    """In single quotes, for zsh; fish takes the same unless a backslash stands in it."""
    return "'" + text.replace("'", "'\\''") + "'"


SCRIPTS: Final[dict[str, Callable[[Choices], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""By shell."""
