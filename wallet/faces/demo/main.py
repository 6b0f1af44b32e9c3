"""`leyden demo`: tell the story in a fresh town, and say at the end whether all of it held."""

import argparse
import json
import os
import signal
import sys
import textwrap
import time
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Final

from wallet.base.errors import WalletError
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.output import safe_text
from wallet.faces.demo.story import Story
from wallet.faces.demo.town import Town
from wallet.faces.rpc.client import Interrupted

_WIDTH: Final = 79


@dataclass(frozen=True, slots=True)
class StepReport:
    """How one step went."""

    name: str
    ok: bool
    seconds: float


@dataclass(slots=True)
class Report:
    """What `--json` prints: PRODUCT's contract, field by field."""

    ok: bool = False
    seconds: float = 0.0
    steps: list[StepReport] = field(default_factory=list)
    money_check: dict[str, object] = field(
        default_factory=lambda: {"ok": False, "mined_sat": 0, "found_sat": 0}
    )
    footprint: dict[str, int] = field(
        default_factory=lambda: {"payments": 0, "chain_transactions": 0, "vbytes": 0}
    )


def run(args: argparse.Namespace) -> int:
    """Carry out `leyden demo`; `args`: `dir`, `action`, `arguments`, `json` (and `headless`).

    A fresh town in `dir`/demo each time; it ends with the story and its files stay until the next.
    Exit code 0 only if every step and the money check held.
    """
    if args.action:
        _say(f"leyden demo has no action {args.action!r} yet; leyden demo tells the story")
        return Exit.USAGE
    signal.signal(signal.SIGTERM, _interrupt)
    report = Report()
    begun = time.monotonic()
    code = Exit.REFUSED
    try:
        with Town(args.dir / "demo") as town:
            _say(f"A Lightning network on this machine, in {town.directory}")
            _tell(Story(town, _say_indented), report)
        code = Exit.DONE if report.ok else Exit.REFUSED
    except WalletError as error:
        _say(f"leyden demo: {error}")
    except KeyboardInterrupt:
        report.ok = False
        code = Exit.INTERRUPTED
        _say("\nStopped; nothing of the town is running any more.")
    report.seconds = round(time.monotonic() - begun, 3)
    if code is Exit.DONE:
        _say(f"\nEvery step held and every satoshi is accounted for, in {report.seconds:.1f} s.")
    if args.json:
        print(json.dumps(asdict(report)))
    return code


def _tell(story: Story, report: Report) -> None:
    """Step after step until one fails; fills `report`."""
    for number, (name, title, act) in enumerate(story.steps, 1):
        _say(f"\n{number:>2}  {_strong(name)}: {title}")
        begun = time.monotonic()
        try:
            act()
            fault = None
        except Interrupted:
            # The socket's client says so when Ctrl-C came while it waited for an answer.
            raise KeyboardInterrupt from None
        except Exception as error:
            # Whatever it is, scripts read it in `steps`; a traceback would take the report along.
            fault = f"{type(error).__name__}: {error}"
        seconds = round(time.monotonic() - begun, 3)
        report.steps.append(StepReport(name, fault is None, seconds))
        if fault is not None:
            _say_indented(f"This did not hold. {fault}")
            break
    else:
        report.footprint = story.footprint
        _say_indented(
            "{payments} payments took {chain_transactions} transactions"
            " and {vbytes} vbytes of the chain.".format_map(report.footprint)
        )
    if (money := story.money) is not None:
        report.money_check = {
            "ok": money.ok,
            "mined_sat": money.mined_sat,
            "found_sat": money.found_sat,
        }
    report.ok = all(step.ok for step in report.steps) and bool(report.money_check["ok"])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


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
