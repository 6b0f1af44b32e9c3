"""`leyden WORDS…`: find out what is asked, ask it, print the answer, exit with the right code.

Every method of the daemon is a command, passed through without being known here.  A few commands
are carried out by this program (local.py).  Nothing heavy is imported at the top: a call through
the socket should cost little more than starting Python.
"""

import importlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wallet import __version__
from wallet.base.errors import WalletError
from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import Options, UsageError, params_of, split_options
from wallet.faces.cli.exit_codes import Exit, of_error
from wallet.faces.cli.output import render
from wallet.faces.cli.talking import (
    Stdin,
    has_whole_terminal,
    have_streams,
    lost,
    put,
    put_field,
    say,
)
from wallet.faces.cli.verbs.names import ALIASES, METHODS_TOO, VERBS
from wallet.faces.rpc.client import (
    ConnectionLost,
    RpcError,
    Unreachable,
    call,
    exchange,
)
from wallet.faces.rpc.errors import Code

_LOCAL: Final = ("init", "daemon", "regtest", "demo")

_HELP: Final = """\
leyden [--dir DIR] [--network N] [--rpc-file PATH] METHOD [params]

Every method of the daemon is a command: leyden getinfo, leyden pay lnbc…
Parameters stand in order, or as key=value (-k, -o: do not guess). - reads standard input.

{verbs}

  leyden tui           the terminal app; leyden without a word opens it too
  leyden init          make a wallet, or --restore one
  leyden daemon        run the node in the foreground
  leyden unlock        hand the password to a locked node
  leyden regtest       run the embedded chain in the foreground
  leyden demo          a whole network on this machine, and its story
  leyden rpc METHOD    the raw form; leyden rpc - sends the request on standard input
  leyden help [METHOD] what the running daemon can do; leyden VERB --help: what a verb takes

  -J -R -F -H          print JSON, raw, flat, human        --field NAME   print one field
  -k -o                parameters by key=value, in order   --filter JSON  fields of the answer
  --timeout SECONDS    how long to wait for the answer     --color auto|always|never
  --progress json      (verbs) how it goes, on stderr      --version

Exit codes: 0 done, 1 refused, 2 no daemon, 3 usage, 4 outcome open (do not repeat), 5 timed out,
6 needs confirmation, 7 locked, 8 not ready, 130 interrupted."""


def run(words: list[str]) -> int:
    """Carry out a command line; answers the exit code."""
    have_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
    except UsageError as fault:
        return say(f"leyden: {fault}", Exit.USAGE)
    except KeyboardInterrupt:
        return say("stopped; nothing was sent", Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader left (`| head`). What was asked is done; only printing fails, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.REFUSED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return say(f"leyden: {error}", Exit.REFUSED)
    return code


def _run(words: list[str]) -> int:
    options = Options()
    pending = list(words)
    while pending and options.take(pending):
        pass
    if pending and (real := ALIASES.get(pending[0])) is not None:
        say(f"# {pending[0]} is lncli's word; here it is: leyden {real}", Exit.DONE)
        pending[0] = real
    if pending and pending[0] in _LOCAL and "help" not in options.values:
        from wallet.faces.cli import local

        return local.run(pending[0], pending[1:], options)
    if pending and pending[0] == "__complete":
        from wallet.faces.cli import completing

        return completing.run(pending[1:], options)
    if pending and pending[0] in VERBS:
        return _verb(pending[0], pending[1:], options)
    if pending[:1] == ["unlock"]:
        from wallet.faces.cli.unlock import read_password

        return _call(options, "unlock", {"password": read_password(pending[1:])})
    rest = split_options(pending, options)
    if "version" in options.values:
        print(f"leyden {__version__}")
        return Exit.DONE
    if "help" in options.values:
        if rest and rest[0] not in ("help", "rpc", "tui"):
            return _page(rest[0])
        return put(_help_text(), Exit.DONE, "help")
    return _dispatch(options, rest)


def _verb(name: str, words: list[str], options: Options) -> int:
    from wallet.faces.cli.verbs import desk

    verb = importlib.import_module(f"wallet.faces.cli.verbs.{name}")
    try:
        at = desk.Desk(name, words, verb.FLAGS, options)
        if "help" in options.values:
            print(verb.USAGE)
            return Exit.DONE
        return desk.run(verb.run, at)
    except UsageError as fault:
        raise UsageError(f"{fault} (leyden {name} --help)") from None


def _help_text() -> str:
    verbs = "\n".join(f"  leyden {name:<14}{what}" for name, what in VERBS.items())
    return _HELP.format(verbs=verbs)


def _dispatch(options: Options, rest: list[str]) -> int:
    match rest:
        case []:
            return _alone(options)
        case ["tui"]:
            return _tui(options)
        case ["tui", *_]:
            raise UsageError("tui takes no words, only --dir, --network or --rpc-file")
        case ["help"]:
            return _help(options)
        case ["help", name] if name in VERBS and (name not in METHODS_TOO or _is_read(options)):
            print(importlib.import_module(f"wallet.faces.cli.verbs.{name}").USAGE)
            return Exit.DONE
        case ["help", name] if name in _LOCAL:
            return _page(name)
        case ["help", name]:
            return _help_method(options, name)
        case ["rpc"]:
            raise UsageError("rpc needs a METHOD, or - to send the request on standard input")
        case ["rpc", "-"]:
            return _raw_request(options)
        case ["rpc", method, *arguments] | [method, *arguments]:
            style = options.values.get("style")
            return _call(options, method, params_of(arguments, style, Stdin().read))
        case _:
            return Exit.USAGE


def _call(options: Options, method: str, params: dict[str, Any] | list[Any]) -> int:
    rpc_file, output, wanted, timeout = _where(options)
    try:
        result = call(rpc_file, method, params, answer_filter=wanted, timeout=timeout)
    except RpcError as fault:
        code = put(render(fault.error, output), of_error(fault.code), method)
        if fault.code == Code.METHOD_NOT_FOUND:
            _suggest(rpc_file, method)
        return code
    except (Unreachable, ConnectionLost) as fault:
        code = lost(method, fault)
        if isinstance(fault, Unreachable):
            _suggest(rpc_file, method)
        return code
    return _print(options, result, method)


def _suggest(rpc_file: Path, name: str) -> None:
    """To a person who mistyped a command, what was perhaps meant."""
    if not sys.stderr.isatty():
        return
    import difflib

    names = {*VERBS, *_LOCAL, "unlock", "tui", "help"}
    with suppress(WalletError):
        known = call(rpc_file, "help", timeout=1)["help"]
        names |= {line["command"].partition(" ")[0] for line in known}
    close = difflib.get_close_matches(name, sorted(names), 3) if name not in names else []
    if close:
        say(f"# did you mean: leyden {', leyden '.join(map(safe_text, close))}", Exit.DONE)


def _raw_request(options: Options) -> int:
    """Send the request object on standard input; absent `jsonrpc` and `id` are added."""
    rpc_file, output, wanted, timeout = _where(options)
    try:
        given = json.loads(Stdin().read())
    except ValueError:
        given = None
    if not isinstance(given, dict) or not isinstance(given.get("method"), str):
        raise UsageError("standard input should hold a JSON object with a method")
    request = {"jsonrpc": "2.0", "id": "leyden:rpc", "params": {}, **given}
    if wanted is not None:
        request["filter"] = wanted
    try:
        answer = exchange(rpc_file, request, timeout=timeout)
    except (Unreachable, ConnectionLost) as fault:
        return lost(request["method"], fault)
    if "error" in answer:
        refusal = RpcError(answer["error"])
        return put(render(refusal.error, output), of_error(refusal.code), request["method"])
    return _print(options, answer.get("result"), request["method"])


def _where(options: Options) -> tuple[Any, str, dict[str, Any] | None, float | None]:
    """Everything that can be wrong usage is read before anything is sent."""
    _ = options.color
    return options.rpc_file, options.output, options.filter, options.timeout


def _print(options: Options, result: Any, method: str) -> int:
    if (name := options.values.get("field")) is not None:
        return put_field(result, name, method)
    return put(render(result, options.output), Exit.DONE, method)


def _alone(options: Options) -> int:
    """`leyden` without a word: the terminal app, or in a pipe how it is used."""
    if not sys.stdout.isatty():
        print(_help_text())
        return Exit.USAGE
    if has_whole_terminal():
        from wallet.faces.cli.launcher import launch

        return launch(options)
    rpc_file = options.rpc_file
    try:
        node = call(rpc_file, "getinfo", timeout=5)
    except RpcError as fault:
        return say(str(fault), of_error(fault.code))
    except (Unreachable, ConnectionLost) as fault:
        return lost("getinfo", fault)
    alias, network, height = (node.get(k, "?") for k in ("alias", "network", "blockheight"))
    print(safe_text(f"{alias} on {network}, block {height}; {rpc_file}"))
    print("leyden help lists what it can do")
    return Exit.DONE


def _tui(options: Options) -> int:
    if not has_whole_terminal():
        raise UsageError("tui needs a terminal for input, output and errors")
    from wallet.faces.cli.launcher import attach

    return attach(options.rpc_file)


def _help(options: Options) -> int:
    """On a terminal how this program is used and the daemon's methods; else the method's JSON."""
    if not sys.stdout.isatty() and options.output != "human":
        return _ask_help(options, None, options.output)
    print(_help_text() + "\n\nMethods of the daemon:")
    return _ask_help(options, None, "human")


def _is_read(options: Options) -> bool:
    """Whether a person reads the answer."""
    return sys.stdout.isatty() or options.output == "human"


def _help_method(options: Options, name: str) -> int:
    if _is_read(options):
        from wallet.faces.cli.manual import page

        if (text := page(name)) is not None:
            return put(text, Exit.DONE, "help")
    return _ask_help(options, name, options.output)


def _ask_help(options: Options, name: str | None, output: str) -> int:
    """The daemon's own answer; without a daemon, what one of this version would answer."""
    rpc_file, _, wanted, timeout = _where(options)
    params = {} if name is None else {"command": name}
    try:
        answer = call(rpc_file, "help", params, answer_filter=wanted, timeout=timeout)
    except RpcError as fault:
        return put(render(fault.error, output), of_error(fault.code), "help")
    except Unreachable as fault:
        from wallet.faces.cli.manual import overview

        answer = overview(name)
        if answer is None:
            return lost("help", fault)
        say("# no daemon answers: this is what one of this version can do", Exit.DONE)
    except ConnectionLost as fault:
        return lost("help", fault)
    if (field := options.values.get("field")) is not None:
        return put_field(answer, field, "help")
    return put(render(answer, output), Exit.DONE, "help")


def _page(name: str) -> int:
    """A command's page, daemon or not."""
    if name in _LOCAL:
        from wallet.faces.cli import local

        return local.run(name, ["--help"], Options())
    from wallet.faces.cli.manual import page

    text = page(name)
    if text is None:
        raise UsageError(f"there is no command {safe_text(name, 40)!r}; leyden help lists them")
    return put(text, Exit.DONE, "help")
