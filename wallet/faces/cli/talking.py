"""Standard input, output and error of the command line, and what it says without an answer."""

import os
import sys
from pathlib import Path
from typing import Any

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.exit_codes import Exit, of_lost_answer
from wallet.faces.cli.output import render_field
from wallet.faces.rpc.client import ConnectionLost, Interrupted, TimedOut, Unreachable


class Stdin:
    """Standard input, read once: a second `-` gets nothing new."""

    def __init__(self) -> None:
        self._text: str | None = None

    def read(self) -> str:
        """All of it, without white space around it. Raises `UsageError`."""
        if self._text is not None:
            raise UsageError("only one value can come from standard input")
        try:
            self._text = sys.stdin.read().strip()
        except UnicodeDecodeError:
            raise UsageError("standard input is not text") from None
        if not self._text:
            # What should have written it has failed: an empty value would be taken for one.
            raise UsageError("standard input is empty, and - reads a value from it")
        return self._text


def say(sentence: str, code: Exit) -> int:
    """A sentence on standard error; answers the code."""
    print(sentence, file=sys.stderr)
    return code


def have_streams() -> None:
    """Standard input, output and error exist, also for a caller that closed them (`>&-`)."""
    # In this order /dev/null takes their own numbers, so that no socket can become our output.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def has_whole_terminal() -> bool:
    """The app reads keys and draws on standard error; a file there would break the picture."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(s.isatty() for s in streams) and os.environ.get("TERM", "dumb") != "dumb"


def put(text: str, code: int, method: str) -> int:
    """`method`'s answer on standard output; answers `code`: what was done is done, read or not."""
    try:
        print(text, flush=True)
    except OSError as error:
        # What is left in the buffer would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough (`| head`)
            unread = f"{method} was answered, but the answer cannot be printed: {error.strerror}"
            return say(unread, of_lost_answer(method, Exit.REFUSED))
    return code


def put_field(answer: Any, name: str, method: str) -> int:
    """One field of `method`'s answer; one that is not there does not undo what was done."""
    try:
        text = render_field(answer, name)
    except UsageError as fault:
        return say(f"leyden: {fault}", of_lost_answer(method, Exit.USAGE))
    return put(text, Exit.DONE, method)


def lost(method: str, fault: Unreachable | ConnectionLost) -> int:
    """Say what a call without an answer means; answers the exit code."""
    return say(*meaning(method, fault))


def meaning(method: str, fault: Unreachable | ConnectionLost, look: str = "") -> tuple[str, Exit]:
    """What a call without an answer means, and the exit code.

    `look` is the command that tells what became of it.
    """
    match fault:
        case Unreachable():
            return f"{fault} (start one: leyden daemon)", Exit.UNREACHABLE
        case Interrupted():
            code = of_lost_answer(method, Exit.INTERRUPTED)
            if code == Exit.INTERRUPTED:
                return "stopped waiting; nothing was sent by this", code
        case TimedOut():
            code = of_lost_answer(method, Exit.TIMED_OUT)
            if code == Exit.TIMED_OUT:
                return "no answer in time; nothing was sent by this", code
        case _:
            code = of_lost_answer(method, Exit.UNREACHABLE)
    if code == Exit.OUTCOME_OPEN:
        then = f": {look}" if look else ""
        return f"{fault}. {method} may have gone through: look, do not repeat it{then}", code
    return str(fault), code
