"""Where a verb stands: it asks the daemon, shows what it found, and asks a person for a yes."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from wallet.base.errors import WalletError
from wallet.base.values.text import safe_text
from wallet.faces.cli.arguments import Options, UsageError, params_of
from wallet.faces.cli.exit_codes import Exit, of_error, of_lost_answer
from wallet.faces.cli.output import render
from wallet.faces.cli.talking import Stdin, lost, put, put_field, say
from wallet.faces.cli.verbs.names import METHODS_TOO
from wallet.faces.cli.verbs.paper import plain
from wallet.faces.cli.verbs.words import Flags, split_words
from wallet.faces.rpc.client import ConnectionLost, Interrupted, RpcError, Unreachable, call
from wallet.faces.rpc.errors import Code

COMMON: Final[Flags] = {"--ascii": False}
_INK: Final = "\x1b[38;5;16;48;5;231m"
_COLUMNS: Final = 100
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
        # All that can be wrong usage is read before anything is sent.
        self.rpc_file: Path = options.rpc_file
        self.timeout = options.timeout
        self._output = options.output
        if options.filter is not None and name not in METHODS_TOO:
            raise UsageError(f"--filter goes with methods (leyden rpc …), not with {name}")

    # --- the daemon ---------------------------------------------------------------------------

    def ask(self, method: str, **params: Any) -> Any:
        """A method's result; parameters that are None are left out. Raises as `call` does."""
        self.asked = method
        given = {name: value for name, value in params.items() if value is not None}
        return call(self.rpc_file, method, given, timeout=self.timeout)

    def ask_as_method(self) -> Any:
        """The method that bears the verb's name, with the words as its parameters."""
        self.asked = self.name
        params = params_of(self.words, self.options.values.get("style"), self.stdin.read)
        wanted = self.options.filter
        return call(self.rpc_file, self.name, params, answer_filter=wanted, timeout=self.timeout)

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
        if not self.human:
            return put(render(answer, self._output), Exit.DONE, self.asked)
        text = "\n".join(self._fit(line, sys.stdout) for line in lines())
        return put(text, Exit.DONE, self.asked)

    def qr(self, text: str) -> list[str]:
        """`text` as a QR code, black on white whatever the terminal's colours are."""
        from wallet.faces.tui.qr import half_blocks, modules

        drawn = half_blocks(modules(text))
        if self._is_narrow(sys.stdout):
            return ["(a QR code needs a terminal with UTF-8)"]
        if len(drawn[0]) > self.width:
            return [f"(a QR code needs {len(drawn[0])} columns, and here are {self.width})"]
        return [f"{_INK}{line}{_PLAIN}" for line in drawn]

    def note(self, line: str) -> None:
        """Progress or a question's facts: on stderr, never in a pipe's data."""
        print(self._fit(line, sys.stderr), file=sys.stderr, flush=True)

    def progress(self, line: str) -> None:
        """What a person waits for; a pipe hears nothing."""
        if _is_terminal(sys.stderr):
            self.note(f"# {line}")

    def _fit(self, line: str, file: Any) -> str:
        return plain(line) if self._is_narrow(file) else line

    def _is_narrow(self, file: Any) -> bool:
        encoding = (getattr(file, "encoding", None) or "ascii").lower().replace("-", "")
        return encoding != "utf8" or os.environ.get("TERM") == "linux" or "--ascii" in self.flags

    # --- the person ---------------------------------------------------------------------------

    def confirm(self, word: str, doing: str, lines: Callable[[], Iterable[str]]) -> None:
        """Show the lines, have a person type `word`. Raises `Halt` (6) for no, and for nobody."""
        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
            raise Halt(
                f"this needs a yes: nothing was sent. Without a terminal give --yes to {doing}",
                Code.NEEDS_CONFIRMATION,
            )
        for line in lines():
            self.note(line)
        sys.stderr.write(f"type {word} to {doing}, anything else to stop: ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            sys.stderr.write("\n")
        if answer.strip() != word:
            raise Halt("stopped; nothing was sent", Code.NEEDS_CONFIRMATION)


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
        return lost(desk.asked, fault, desk.look)
    except KeyboardInterrupt:
        # Between two calls, or before the first: only what was asked last can have moved money.
        code = of_lost_answer(desk.asked, Exit.INTERRUPTED)
        if code == Exit.OUTCOME_OPEN:
            return lost(desk.asked, Interrupted("interrupted"), desk.look)
        return say("stopped; nothing was sent", code)
    if not desk.human:
        return put(render(error, desk.options.output), of_error(code), desk.asked or desk.name)
    desk.note(f"leyden {desk.name}: {safe_text(str(error.get('message', error)))}")
    return of_error(code)
