"""Where a verb stands: it asks the daemon, shows what it found, and asks a person for a yes."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import Options, UsageError, params_of
from wallet.faces.cli.exit_codes import Exit, of_error, of_lost_answer
from wallet.faces.cli.output import render
from wallet.faces.cli.talking import Stdin, meaning, put, put_field
from wallet.faces.cli.verbs.ink import DIM, in_tone, is_wanted, painted
from wallet.faces.cli.verbs.names import METHODS_TOO
from wallet.faces.cli.verbs.words import Flags, split_words
from wallet.faces.rpc.client import (
    Asked,
    ConnectionLost,
    Interrupted,
    RpcError,
    Unreachable,
    call,
    request_of,
)
from wallet.faces.rpc.errors import Code

COMMON: Final[Flags] = {"--ascii": False, "--progress": True}
PROGRESS: Final = ("json", "none")
"""What `--progress` may say; without it a terminal is told in words, and a pipe nothing."""
_INK: Final = "\x1b[38;5;16;48;5;231m"
_COLUMNS: Final = 160
"""Where nobody says how wide a line may be."""
_PLAIN: Final = "\x1b[0m"


class Halt(WalletError):
    """The verb ends here by its own decision; `code` as the daemon would have answered."""

    def __init__(self, sentence: str, code: int = Code.GENERIC) -> None:
        super().__init__(sentence)
        self.code = code


class Desk:
    """One call of a verb: its words, its flags, and the ways to the daemon and to the person."""

    def __init__(self, name: str, words: list[str], flags: Flags, options: Options) -> None:
        self.name = name
        self.options = options
        self.words, self.flags = split_words(words, {**flags, **COMMON}, options)
        self.stdin = Stdin()
        self.look = ""
        """The command that tells what became of a payment whose answer is lost."""
        self.asked = ""
        self.nothing = "nothing was sent"
        """What is said when a person stops before anything was done."""
        # All that can be wrong usage is read before anything is sent.
        self.rpc_file: Path = options.rpc_file
        self.timeout = options.timeout
        self._output = options.output
        self._color = options.color
        self._progress = self.flags.get("--progress", "")
        if self._progress and self._progress not in PROGRESS:
            raise UsageError(f"--progress should be {' or '.join(PROGRESS)}")
        self._began = time.monotonic()
        self._ticked = ""
        if options.filter is not None and name not in METHODS_TOO:
            raise UsageError(f"--filter goes with methods (leyden rpc …), not with {name}")

    # --- the daemon ---------------------------------------------------------------------------

    def ask(self, method: str, **params: Any) -> Any:
        """A method's result; parameters that are None are left out. Raises as `call` does."""
        self.asked = method
        given = {name: value for name, value in params.items() if value is not None}
        return call(self.rpc_file, method, given, timeout=self.timeout)

    def begin(self, method: str, **params: Any) -> Asked:
        """As `ask`, but the answer is read later."""
        self.asked = method
        given = {name: value for name, value in params.items() if value is not None}
        return Asked(self.rpc_file, request_of(method, given), self.timeout)

    def params(self) -> dict[str, Any] | list[Any]:
        """The words as parameters of the method that bears the verb's name."""
        return params_of(self.words, self.options.values.get("style"), self.stdin.read)

    def named_params(self, names: Sequence[str]) -> dict[str, Any]:
        """As `params`, each by its name; what is null is left out. Raises `UsageError`."""
        given = self.params()
        if isinstance(given, list):
            if len(given) > len(names):
                raise UsageError(f"{self.name} takes at most {len(names)} parameters")
            given = dict(zip(names, given, strict=False))
        return {name: value for name, value in given.items() if value is not None}

    def ask_as_method(self, params: dict[str, Any] | list[Any] | None = None) -> Any:
        """The method that bears the verb's name; its parameters are the words, unless given."""
        given = self.params() if params is None else params
        self.asked = self.name
        wanted = self.options.filter
        return call(self.rpc_file, self.name, given, answer_filter=wanted, timeout=self.timeout)

    def ask_if_known(self, method: str, **params: Any) -> Any:
        """As `ask`, but None from a node that has no such method or does not want to say."""
        try:
            return self.ask(method, **params)
        except RpcError:
            return None

    def alias(self, node_id: str) -> str:
        """What a node calls itself, a stranger's words; "" when nobody knows."""
        found = self.ask_if_known("listnodes", id=node_id) or {}
        return next((str(n.get("alias") or "") for n in found.get("nodes", ())), "")

    def one_word(self, what: str) -> str:
        """The only word that was given; `-` reads it from standard input. Raises `UsageError`."""
        if len(self.words) != 1:
            raise UsageError(f"{self.name} needs {what}")
        return self.stdin.read() if self.words[0] == "-" else self.words[0]

    def no_words(self) -> None:
        """Nothing stands alone. Raises `UsageError`."""
        if self.words:
            raise UsageError(f"{self.name} takes no {self.words[0][:40]!r}")

    # --- paper --------------------------------------------------------------------------------

    @property
    def human(self) -> bool:
        """Whether a person reads the answer: a terminal, unless a format was chosen."""
        return self._output == "human" or (not self._output and sys.stdout.isatty())

    @property
    def at_terminal(self) -> bool:
        """Whether this was typed by a person, whatever format was chosen."""
        return sys.stdout.isatty()

    @property
    def width(self) -> int:
        """Cells of a line."""
        given = os.environ.get("COLUMNS", "")
        if given.isascii() and given.isdigit() and int(given[:5]) > 0:
            return int(given[:5])
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS
        except (OSError, ValueError):
            return _COLUMNS

    def show(self, answer: Any, lines: Callable[[], Iterable[str]]) -> int:
        """The answer on stdout: as `lines` for a person, else as JSON with the same facts."""
        if (name := self.options.values.get("field")) is not None:
            return put_field(answer, name, self.asked)
        if not self.human or self.options.filter is not None:
            return put(render(answer, self._output), Exit.DONE, self.asked)
        text = "\n".join(self._fit(line, sys.stdout) for line in lines())
        return put(text, Exit.DONE, self.asked)

    def qr(self, text: str) -> list[str]:
        """`text` as a QR code, black on white whatever the terminal's colours are."""
        from wallet.faces.tui.qr import half_blocks, modules

        drawn = half_blocks(modules(text))
        if self._is_narrow(sys.stdout):
            return ["(a QR code needs a terminal with UTF-8)"]
        # Without its own black and white it would be a negative, which few phones read.
        if self._color == "never" or os.environ.get("TERM") == "dumb":
            return ["(a QR code needs a terminal with colours)"]
        if len(drawn[0]) > self.width:
            return [f"(a QR code needs {len(drawn[0])} columns, and here are {self.width})"]
        return [f"{_INK}{line}{_PLAIN}" for line in drawn]

    def note(self, line: str) -> None:
        """Something beside the answer, on stderr: never in a pipe's data."""
        if self.tells_programs:
            self._write_step("note", line.removeprefix("# "), {})
        else:
            self._write(line)

    @property
    def tells(self) -> bool:
        """Whether anybody wants to know how it goes."""
        if self._progress:
            return self.tells_programs
        return _is_terminal(sys.stderr)

    @property
    def tells_programs(self) -> bool:
        """Whether it is told as JSON."""
        return self._progress == "json"

    def progress(self, step: str, line: str, **more: Any) -> None:
        """What is waited for: a line for a person, an object for `--progress json`, else nothing.

        `step` is a word that stays the same; what is None in `more` is left out.
        """
        if self.tells_programs:
            self._write_step(step, line, more)
        elif self.tells:
            self._write(in_tone(f"# {safe_text(line)}", DIM))

    def tick(self) -> None:
        """How long it has taken by now: one line that is written over, where a person waits."""
        if self.tells and not self._progress and os.environ.get("TERM", "dumb") != "dumb":
            self._ticked = f"# {time.monotonic() - self._began:.0f} s"
            sys.stderr.write(f"\r{self._ticked}")
            sys.stderr.flush()

    def wipe(self) -> None:
        """Take that line away."""
        if self._ticked:
            sys.stderr.write(f"\r{' ' * len(self._ticked)}\r")
            sys.stderr.flush()
            self._ticked = ""

    def leave_line(self) -> None:
        """The terminal has written ^C where the cursor stood."""
        if _is_terminal(sys.stderr):
            self.wipe()
            sys.stderr.write("\n")

    def _write_step(self, step: str, line: str, more: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - self._began, 3)
        known = {name: value for name, value in more.items() if value is not None}
        told = {"step": step, "seconds": seconds, "message": line, **known}
        print(json.dumps(told), file=sys.stderr, flush=True)

    def _write(self, line: str) -> None:
        self.wipe()
        print(self._fit(line, sys.stderr), file=sys.stderr, flush=True)

    def _fit(self, line: str, file: Any) -> str:
        in_colour = is_wanted(self._color, file)
        return painted(line, in_colour=in_colour, in_ascii=self._is_narrow(file))

    def _is_narrow(self, file: Any) -> bool:
        encoding = (getattr(file, "encoding", None) or "ascii").lower().replace("-", "")
        return encoding != "utf8" or os.environ.get("TERM") == "linux" or "--ascii" in self.flags

    # --- the person ---------------------------------------------------------------------------

    def needs_a_person(self, doing: str) -> None:
        """Somebody can be asked. Raises `Halt` (6) where nobody can."""
        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
            raise Halt(
                f"this needs a yes: {self.nothing}. Without a terminal give --yes to {doing}",
                Code.NEEDS_CONFIRMATION,
            )

    def confirm(self, word: str, doing: str, lines: Callable[[], Iterable[str]]) -> None:
        """Show the lines, have a person type `word`. Raises `Halt` (6) for no, and for nobody."""
        self.needs_a_person(doing)
        for line in lines():
            self._write(line)
        sys.stderr.write(f"type {word} to {doing}, anything else to stop: ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            sys.stderr.write("\n")
        if answer.strip() != word:
            raise Halt(f"stopped; {self.nothing}", Code.NEEDS_CONFIRMATION)


def _is_terminal(file: Any) -> bool:
    return file is not None and not file.closed and file.isatty()


def run(body: Callable[[Desk], int], desk: Desk) -> int:
    """Carry a verb out; answers the exit code, whatever happens at the socket."""
    try:
        return body(desk)
    except RpcError as fault:
        error, code = fault.error, fault.code
    except Halt as halt:
        error, code = {"code": int(halt.code), "message": str(halt)}, halt.code
    except (Unreachable, ConnectionLost) as fault:
        if isinstance(fault, Interrupted):
            desk.leave_line()
        return _end(desk, *meaning(desk.asked, fault, desk.look))
    except KeyboardInterrupt:
        desk.leave_line()
        # Between two calls, or before the first: only what was asked last can have moved money.
        if of_lost_answer(desk.asked, Exit.INTERRUPTED) == Exit.OUTCOME_OPEN:
            return _end(desk, *meaning(desk.asked, Interrupted("interrupted"), desk.look))
        return _end(desk, f"stopped; {desk.nothing}", Exit.INTERRUPTED)
    if not desk.human:
        return put(render(error, desk.options.output), of_error(code), desk.asked or desk.name)
    said = f"leyden {desk.name}: {safe_text(str(error.get('message', error)))}"
    if code == Code.INVALID_PARAMS:
        said += f" (leyden {desk.name} --help)"
    return _end(desk, said, of_error(code))


def _end(desk: Desk, sentence: str, code: int) -> int:
    desk.note(sentence)
    return code
