"""The town's side of nursery.py: nodes that are born, get ready and end."""

import json
import signal
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from wallet.base.errors import ServiceFault
from wallet.faces.demo.processes import command_line, send
from wallet.faces.demo.programs import START_SECONDS, Keeper, Program, command, last_words

T = TypeVar("T")

# By name: importing it would load the whole core here too.
_NURSERY: Final = "wallet.faces.demo.nursery"
_STOP_SECONDS: Final = 15.0
_LOOK_AGAIN_SECONDS: Final = 0.01


class Child:
    """One node's process."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self._log = log
        self.born: Future[int] = Future()
        self.spoke: Future[dict[str, Any]] = Future()
        self.gone = threading.Event()

    @property
    def pid(self) -> int:
        """The system's number for it; raises `ServiceFault` if it could not be started."""
        return self._await(self.born)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self.gone.is_set()

    def ready(self) -> dict[str, Any]:
        """Its ready line; raises `ServiceFault` if it ends before or takes too long."""
        return self._await(self.spoke)

    def _await(self, what: Future[T]) -> T:
        try:
            return what.result(START_SECONDS)
        except TimeoutError:
            raise ServiceFault(f"{self.name} did not start in {START_SECONDS:.0f} s") from None

    def lost(self, log: Path | None = None) -> None:
        """It has ended, or was never born; `log` says why, if not its own does."""
        fault = ServiceFault(f"{self.name} did not start: {last_words(log or self._log)}")
        for hope in (self.born, self.spoke):
            if not hope.done():
                hope.set_exception(fault)
        self.gone.set()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self.running and self.born.done():
            send(self.pid, number)

    def wait(self) -> None:
        """Until it has ended, by force if it does not hurry."""
        if not self.gone.wait(_STOP_SECONDS):
            self.signal(signal.SIGKILL)
            self.gone.wait(_STOP_SECONDS)


class Children:
    """The nursery's process and all that were born in it."""

    def __init__(self, directory: Path, log: Path, keeper: Keeper) -> None:
        # The directory is not read there: it tells one town's processes from another's.
        words = command(_NURSERY, str(directory))
        self._program = Program("the nodes' nursery", words, log, keeper)
        self._log = log
        self._keeper = keeper
        self._living: dict[str, Child] = {}
        self._silent = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The system's number for the nursery."""
        return self._program.pid

    @property
    def running(self) -> bool:
        """Whether the nursery has not ended."""
        return self._program.running

    def bear(self, name: str, log: Path, options: list[str]) -> Child:
        """Start a node; returns at once. `options`: as `leyden daemon` takes them.

        Raises `ServiceFault` when the nursery has ended.
        """
        child = Child(name, log)
        self._living[name] = child
        try:
            self._program.write(json.dumps({"name": name, "log": str(log), "options": options}))
        except ServiceFault:
            child.lost(self._log)
            raise
        if self._silent.is_set():
            child.lost(self._log)
        return child

    def stop(self) -> None:
        """Stop every node and the nursery; returns when they are gone."""
        for child in self._living.values():
            child.signal(signal.SIGTERM)
            child.signal(signal.SIGCONT)
        self._program.ask_to_stop()
        for child in self._living.values():
            child.wait()
        # Only then may its pipe be closed: another file may get the same number.
        self._listener.join(_STOP_SECONDS)
        self._program.wait()

    def _listen(self) -> None:
        pending = b""
        while data := self._program.read():
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))
        self._orphaned()

    def _hear(self, event: dict[str, Any]) -> None:
        name = event.get("name") or Path(event["rpc-file"]).parents[1].name
        child = self._living[name]
        if "ended" in event:
            self._keeper.note("-", event["pid"])
            child.lost()
        elif "pid" in event:
            self._keeper.note("+", event["pid"])
            child.born.set_result(event["pid"])
        else:
            child.spoke.set_result(event)

    def _orphaned(self) -> None:
        """The nursery is gone, so nobody reports ends: look for ourselves until none is left."""
        self._silent.set()
        for child in list(self._living.values()):
            if not child.born.done():
                child.lost(self._log)
        while left := [child for child in self._living.values() if child.running]:
            for child in left:
                if not command_line(child.pid):
                    self._keeper.note("-", child.pid)
                    child.lost()
            time.sleep(_LOOK_AGAIN_SECONDS)
