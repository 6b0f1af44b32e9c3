"""The process that loads the core once and forks one process for each of the town's nodes.

Loading costs most of a second, forking a few milliseconds: so the town is up quickly, a killed
node is back at once, and every node still is a process of its own that SIGKILL can reach.

Each line on standard input is a JSON object: a node's `name`, its `log`, and the `options` that
`leyden daemon` takes.  The lines on standard output tell the births (`name`, `pid`), each node's
own ready line, and the ends (`name`, `pid`, `ended`: exit code, or minus the signal).  When
standard input ends, by an orderly end of the town or because it was killed, every node is asked to
stop.
"""

import contextlib
import gc
import io
import json
import os
import selectors
import signal
import sys
import time
import traceback
from typing import Any, Final, NoReturn

from wallet.faces.cli import daemon, init, local
from wallet.faces.cli.arguments import Options
from wallet.faces.demo.layout import wallet_exists

_STOP_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.01


class Nursery:
    """The parent's side: births and ends."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._living = True

    def run(self) -> None:
        """Until standard input ends or SIGTERM."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.set_wakeup_fd(self._wake_write)
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            pending = b""
            while self._living:
                ready = {key.fd for key, _ in selector.select()}
                if self._wake_read in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_read, 1024)
                    self._reap()
                if 0 in ready:
                    data = os.read(0, 1 << 16)
                    if not data:
                        self._end()
                    *lines, pending = (pending + data).split(b"\n")
                    for line in lines:
                        self._bear(json.loads(line))
        self._stop_all()

    def _end(self, *_: object) -> None:
        self._living = False

    def _bear(self, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            _become(order)
        self._names[pid] = order["name"]
        _tell({"name": order["name"], "pid": pid})

    def _reap(self) -> None:
        while self._names:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name = self._names.pop(pid)
            _tell({"name": name, "pid": pid, "ended": os.waitstatus_to_exitcode(status)})

    def _stop_all(self) -> None:
        for pid in self._names:
            os.kill(pid, signal.SIGTERM)
            # A frozen one would never hear of it.
            os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + _STOP_SECONDS
        self._reap()
        while self._names:
            if time.monotonic() > deadline:
                for pid in self._names:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_LOOK_AGAIN_SECONDS)
            self._reap()


def _tell(event: dict[str, object]) -> None:
    # One write: births and the nodes' ready lines share the pipe. A town that is gone reads none.
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(event).encode() + b"\n")


def _become(order: dict[str, Any]) -> NoReturn:
    """The child: be the node until it ends. Never returns into the parent's loop."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        os.closerange(3, 64)
        # Buffered whatever PYTHONUNBUFFERED says: a line has to reach the shared pipe whole.
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        code = _run_node(order["options"])
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _run_node(options: list[str]) -> int:
    """Make the wallet if there is none, and serve it; the exit code."""
    args = local.parse("daemon", options, Options())
    if not wallet_exists(args.dir):
        # The phrase is printed for people; nobody needs that of a town's wallet.
        with contextlib.redirect_stdout(io.StringIO()):
            words = ["--dir", str(args.dir), "--no-encryption", "--json"]
            made = init.run(local.parse("init", words, Options()))
        if made != 0:
            return made
    return daemon.run(args)


if __name__ == "__main__":
    # What was loaded stays in shared pages: the children's collectors need not touch it.
    gc.freeze()
    Nursery().run()
