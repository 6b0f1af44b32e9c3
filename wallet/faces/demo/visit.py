"""`leyden demo` on a terminal: a town that lives as long as somebody looks on.

The town has a process of its own, which ends when its standard input does: that we hold, so that
it ends with us, whether we end in order or not.
"""

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from wallet.base.errors import Refused, ServiceFault
from wallet.faces.cli.exit_codes import Exit
from wallet.faces.cli.rising import Rise
from wallet.faces.demo import commands, layout
from wallet.faces.demo.grounds import read_pids
from wallet.faces.demo.processes import end
from wallet.faces.demo.programs import command, environment, last_words

_SERVE: Final = "wallet.faces.demo.serve"
_END_SECONDS: Final = 30.0
_HURRY_SECONDS: Final = 5.0

Say = Callable[[str], object]


def visit(directory: Path, *, fresh: bool, say: Say) -> int:
    """Bring the town up, open the app on `you` in it, end the town; answers the exit code."""
    with Visit(directory, fresh=fresh) as town:
        rise = Rise(town.steps)
        rise.begin()
        # Half a second, in which the town rises.
        from wallet.faces.tui.app import run as open_app

        rpc_file = layout.rpc_file(directory, "you")
        code = open_app(rpc_file, town=directory / layout.SOCKET, rising=rise)
        fault = rise.fault
    if fault:
        say(f"leyden demo: {fault}")
        return Exit.REFUSED
    if code == 0 and not town.joined:
        say("Stopped; nothing of the town is running any more.")
    return code


class Visit:
    """The town's process, begun at once. One that is up already is joined, and stays up."""

    def __init__(self, directory: Path, *, fresh: bool) -> None:
        self._directory = directory
        self.joined = False
        """Whether it is somebody else's town, who ends it."""
        words = command(_SERVE, str(directory), "attended", *(["fresh"] if fresh else []))
        self._process = subprocess.Popen(  # noqa: S603
            words,
            env=environment(),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The screen is ours. From when it has the directory on, it has a log there.
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        """What a person reads, and what waits for it."""
        return (
            ("a chain of our own", self._hear),
            ("six nodes", self._hear),
            ("channels with money in them", self._hear),
        )

    def _hear(self) -> None:
        if self.joined:
            return
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line:
            log = self._directory / layout.LOG
            raise ServiceFault(f"the town did not come up: {last_words(log)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" not in answer:
            return
        if not (answer.get("taken") and commands.reachable(self._directory)):
            raise Refused(answer["error"])
        self.joined = True

    def close(self) -> None:
        """End the town, if it is ours; returns when nothing of it runs."""
        pids = [] if self.joined else read_pids(self._directory)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            end(pids, self._directory, _HURRY_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
