"""`leyden demo ACTION`: bring a town up, take it down, and everything that `town-rpc` answers."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from wallet.base.errors import Refused, ServiceFault, WalletError
from wallet.faces.cli.exit_codes import Exit, of_error
from wallet.faces.cli.output import render
from wallet.faces.demo import layout
from wallet.faces.demo.grounds import is_taken, read_pids
from wallet.faces.demo.processes import end
from wallet.faces.demo.programs import command, environment, last_words
from wallet.faces.rpc.client import RpcError, Unreachable, call

_SERVE: Final = "wallet.faces.demo.serve"
_LOOK_SECONDS: Final = 10.0
_RISE_SECONDS: Final = 120.0
_END_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.05

ASKED: Final[dict[str, tuple[str, ...]]] = {
    "status": (),
    "blocks": ("limit",),
    "money": (),
    "mine": ("blocks",),
    "give": ("node", "sat"),
    "fault": ("node", "kind"),
    "story": ("name",),
    "traffic": ("rate",),
}
"""Actions that are one question to `town-rpc`, and what their words mean."""


def run(args: argparse.Namespace) -> int:
    """Carry out an action; answers the exit code.

    `args`: `dir`, `action`, `arguments`, `json`, `fresh`.
    """
    directory: Path = args.dir
    words: list[str] = args.arguments
    most = {"up": 0, "down": 0, **{name: len(names) for name, names in ASKED.items()}}
    if args.action not in most:
        return _say(f"no action {args.action!r}; there is {', '.join(most)}", Exit.USAGE)
    if len(words) > most[args.action]:
        return _say(f"{args.action} takes no {words[most[args.action]]!r}", Exit.USAGE)
    try:
        match args.action:
            case "up":
                return _print(up(directory, fresh=args.fresh))
            case "down":
                return _print(down(directory))
            case name:
                return _ask(directory, name, words)
    except RpcError as fault:
        return _say(str(fault), of_error(fault.code))
    except Unreachable:
        return _say(f"no town in {directory} (leyden demo up starts one)", Exit.UNREACHABLE)
    except WalletError as error:
        return _say(str(error), Exit.REFUSED)
    except KeyboardInterrupt:
        return _say("stopped", Exit.INTERRUPTED)


def up(directory: Path, *, fresh: bool = False) -> dict[str, Any]:
    """A town runs in `directory` and every node in it; its description.

    One that runs already stays, unless `fresh` or something that all its nodes need has ended:
    then it is stopped and started.  Raises `Refused` and `ServiceFault`.
    """
    deadline = time.monotonic() + _RISE_SECONDS
    while time.monotonic() < deadline:
        if is_taken(directory):
            present = None if fresh else _mended(directory)
            if present is not None:
                return present
            if fresh or reachable(directory):
                down(directory)
        else:
            described = _start(directory, fresh=fresh)
            if described is not None:
                return described
        time.sleep(_LOOK_AGAIN_SECONDS)
    raise ServiceFault(f"the town in {directory} did not come up in {_RISE_SECONDS:.0f} s")


def reachable(directory: Path) -> bool:
    """Whether a town in `directory` answers."""
    try:
        call(directory / layout.SOCKET, "help", timeout=_LOOK_SECONDS)
    except WalletError:
        return False
    return True


def _mended(directory: Path) -> dict[str, Any] | None:
    """The running town with all its nodes started; None if it is not whole or not up yet."""
    socket = directory / layout.SOCKET
    try:
        status = call(socket, "status", timeout=_LOOK_SECONDS)
        if not status["whole"]:
            return None
        for key, node in status["nodes"].items():
            if not node["running"]:
                call(socket, "fault", {"node": key, "kind": "start"}, timeout=_END_SECONDS)
        status = call(socket, "status", timeout=_LOOK_SECONDS)
    except WalletError:
        return None
    shown = ("id", "dir", "rpc-file", "listen")
    return {
        "chain": status["chain"],
        "town-rpc": status["town-rpc"],
        "nodes": {k: {name: n[name] for name in shown} for k, n in status["nodes"].items()},
    }


def _start(directory: Path, *, fresh: bool) -> dict[str, Any] | None:
    """Start the town's process and wait until it is up; None when another was faster."""
    words = command(_SERVE, str(directory), *(["fresh"] if fresh else []))
    # What it says goes to our stderr until it has the directory, and to a log there after that.
    process = subprocess.Popen(  # noqa: S603
        words,
        env=environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else b""
    except BaseException:
        # Nobody would know of a town that comes up after this.
        process.terminate()
        process.wait(_END_SECONDS)
        raise
    if not line:
        raise ServiceFault(f"the town did not come up: {last_words(directory / layout.LOG)}")
    answer: dict[str, Any] = json.loads(line)
    if answer.get("taken"):
        return None
    if "error" in answer:
        raise Refused(answer["error"])
    return answer


def down(directory: Path) -> dict[str, Any]:
    """Nothing of the town in `directory` runs any more. Raises `Refused`."""
    socket = directory / layout.SOCKET
    pids = read_pids(directory)
    was_up = bool(pids) or is_taken(directory)
    try:
        call(socket, "stop", timeout=_LOOK_SECONDS)
    except (RpcError, WalletError):
        if is_taken(directory) and not pids:
            raise Refused(f"a demo is starting in {directory}; end that one") from None
    deadline = time.monotonic() + _END_SECONDS
    while is_taken(directory) and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_SECONDS)
    # In order everything has ended by now. This is for a town that was killed, or hangs.
    end(pids, directory, _LOOK_SECONDS)
    if is_taken(directory):
        raise Refused(f"a demo that tells its story has {directory}; end that one")
    (directory / layout.PIDS).unlink(missing_ok=True)
    if not was_up:
        return {"result": f"no town was up in {directory}"}
    return {"result": "the town is down: nothing of it runs any more"}


def _ask(directory: Path, method: str, words: list[str]) -> int:
    params = dict(zip(ASKED[method], words, strict=False))
    answer = call(directory / layout.SOCKET, method, params)
    code = _print(answer)
    return Exit.REFUSED if answer.get("ok") is False else code


def _print(answer: dict[str, Any]) -> int:
    print(render(answer, "json"))
    return Exit.DONE


def _say(sentence: str, code: Exit) -> int:
    print(f"leyden demo: {sentence}", file=sys.stderr)
    return code
