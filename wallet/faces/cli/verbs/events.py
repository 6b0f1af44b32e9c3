"""`leyden events`: what happens, as it happens, one JSON object on each line."""

import json
import select
import sys
from typing import Any, Final

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.output import render
from wallet.faces.cli.verbs.desk import Desk
from wallet.faces.cli.verbs.words import Flags

FLAGS: Final[Flags] = {"--since": True, "--count": True}
USAGE: Final = """\
leyden events [--since SEQ] [--count N] [--timeout SECONDS]

Prints what happens from now on (or from number SEQ on), a line of JSON each, until Ctrl-C, until
N lines are printed, or with 5 once nothing has happened for --timeout seconds. A line
{"missed": true} says that some were dropped: read the lists again. With parameters it is the
daemon's events: leyden events SINCE [TIMEOUT]."""

_PATIENCE: Final = 5
"""Seconds for which one call waits in the daemon; then it is seen whether anybody still reads."""


def run(desk: Desk) -> int:
    """Carry it out."""
    if desk.words:
        found = desk.ask_as_method()
        return desk.show(found, lambda: [render(found, "")])
    left = _number(desk, "--count")
    since = _number(desk, "--since")
    if since is None:
        since = int(desk.ask("events")["next"])
    # The daemon waits so long; a client that hangs up first would not know what it missed.
    patience = _PATIENCE if desk.timeout is None else max(1, int(desk.timeout))
    ends, desk.timeout = desk.timeout is not None, None
    while _is_read():
        answer: dict[str, Any] = desk.ask("events", since=since, timeout=patience)
        if answer.get("missed"):
            print(json.dumps({"missed": True}), flush=True)
        for event in answer["events"]:
            if left == 0:
                break
            print(json.dumps(event), flush=True)
            left = None if left is None else left - 1
        if left == 0:
            return Exit.DONE
        if ends and not answer["events"]:
            return Exit.TIMED_OUT
        since = int(answer["next"])
    return Exit.DONE


def _is_read() -> bool:
    """Whether the other end of the pipe is still open (`| head` closes it)."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def _number(desk: Desk, flag: str) -> int | None:
    text = desk.flags.get(flag)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise UsageError(f"{flag} should be a number")
    return int(text)
