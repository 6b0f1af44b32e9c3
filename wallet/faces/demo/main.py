"""`leyden demo`: on a terminal the app in a town; else tell the story there, and say at the end
whether all of it held.

With an action (`up`, `down`, …) it is commands.py that answers.
"""

import argparse
import json
import os
import signal
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Final

from wallet.base.errors import WalletError
from wallet.base.values.text import safe_text
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.talking import has_whole_terminal
from wallet.faces.demo import commands
from wallet.faces.demo.first import FirstStory
from wallet.faces.demo.telling import Heading, Report, tell
from wallet.faces.demo.town import Town
from wallet.faces.demo.visit import visit

_WIDTH: Final = 79


def run(args: argparse.Namespace) -> int:
    """Carry out `leyden demo`.

    `args`: `dir`, `action`, `arguments`, `json`, `fresh` (and `headless`).  The town in `dir` ends
    with the story, and goes on from there with the next. Exit code 0 only if every step and the
    money check held.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if args.action:
        return commands.run(args)
    if has_whole_terminal() and not (args.json or args.headless):
        return _visit(args.dir, fresh=args.fresh)
    report = Report()
    begun = time.monotonic()
    code = Exit.REFUSED
    try:
        with Town(args.dir, fresh=args.fresh) as town:
            _say(f"A Lightning network on this machine, in {town.directory}")
            report = tell(FirstStory(town, _say_indented, rise=True), _Terminal())
        code = Exit.DONE if report.ok else Exit.REFUSED
    except WalletError as error:
        _say(f"leyden demo: {error}")
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
        _say("\nStopped; nothing of the town is running any more.")
    report.seconds = round(time.monotonic() - begun, 3)
    if code is Exit.DONE:
        _say(f"\nEvery step held and every satoshi is accounted for, in {report.seconds:.1f} s.")
    if args.json:
        print(json.dumps(asdict(report)))
    return code


def _visit(directory: Path, *, fresh: bool) -> int:
    """The app, in a town that ends with it."""
    try:
        return visit(directory, fresh=fresh, say=_say)
    except KeyboardInterrupt:
        _say("Stopped; nothing of the town is running any more.")
        return Exit.INTERRUPTED


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Terminal:
    """Tells on stderr."""

    def step(self, heading: Heading) -> None:
        name, _, title = str(heading).partition(":")
        _say(f"\n{_strong(name)}:{title}")

    def say(self, sentence: str) -> None:
        _say_indented(sentence)

    def fault(self, sentence: str) -> None:
        _say_indented(sentence)


def _strong(text: str) -> str:
    """Bold, where a person looks on."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[1m{text}\033[0m"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _say_indented(text: str) -> None:
    """A sentence of the story; what nodes said in it cannot move the cursor."""
    indent = " " * 4
    shown = safe_text(text)
    _say(textwrap.fill(shown, _WIDTH, initial_indent=indent, subsequent_indent=indent))
