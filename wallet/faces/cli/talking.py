"""What the command line says when there is no answer, and what it reads from standard input."""

import sys

from wallet.faces.cli.arguments import UsageError
from wallet.faces.cli.exit_codes import Exit, of_lost_answer
from wallet.faces.rpc.client import ConnectionLost, Interrupted, TimedOut, Unreachable


class Stdin:
    """Standard input, read once: a second `-` gets nothing new."""

    def __init__(self) -> None:
        self._text: str | None = None

    def read(self) -> str:
        """All of it, without white space around it. Raises `UsageError`."""
        if self._text is not None:
            raise UsageError("only one value can come from standard input")
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        try:
            self._text = sys.stdin.read().strip()
        except UnicodeDecodeError:
            raise UsageError("standard input is not text") from None
        return self._text


def say(sentence: str, code: Exit) -> int:
    """A sentence on standard error; answers the code."""
    print(sentence, file=sys.stderr)
    return code


def lost(method: str, fault: Unreachable | ConnectionLost, look: str = "") -> int:
    """What a call without an answer means; `look` is the command that tells what became of it."""
    match fault:
        case Unreachable():
            return say(f"{fault} (start one: leyden daemon)", Exit.UNREACHABLE)
        case Interrupted():
            code = of_lost_answer(method, Exit.INTERRUPTED)
        case TimedOut():
            code = of_lost_answer(method, Exit.TIMED_OUT)
        case _:
            code = of_lost_answer(method, Exit.UNREACHABLE)
    if code == Exit.OUTCOME_OPEN:
        then = f": {look}" if look else ""
        return say(f"{fault}. {method} may have gone through: look, do not repeat it{then}", code)
    return say(str(fault), code)
