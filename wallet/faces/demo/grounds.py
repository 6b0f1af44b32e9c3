"""The town's directory: its lock, what is remembered from one time to the next, clearing it."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

from wallet.base.errors import Refused
from wallet.faces.demo import layout
from wallet.faces.demo.processes import end

_PATIENCE_SECONDS: Final = 10.0


class Taken(Refused):
    """Another demo has the directory."""


class Grounds:
    """A directory that one town has to itself."""

    def __init__(self, directory: Path) -> None:
        """Take it; raises `Taken`, or `Refused` when it holds what no demo made."""
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            strange = {e.name for e in directory.iterdir()} - layout.PARTS - {layout.LOCK}
            if strange:
                raise Refused(
                    f"{directory} holds {sorted(strange)[0]!r}, which no demo made;"
                    " give another --dir"
                )
            self._lock = _lock(directory)
        except OSError as error:
            raise Refused(f"cannot use {directory}: {error.strerror}; give another --dir") from None
        # What a killed town's keeper had no time for; two cores on one wallet would be refused.
        end(read_pids(directory), directory, _PATIENCE_SECONDS)
        state = read_json(directory / layout.STATE)
        self.opened = bool(state.get("opened"))
        """Whether a whole town, with its channels, was here before."""
        self.listens: dict[str, str] = dict(state.get("listens", {})) if self.opened else {}

    def clear(self) -> None:
        """Delete the last town."""
        for part in layout.PARTS:
            path = self._directory / part
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.opened, self.listens = False, {}

    def remember(self, *, opened: bool, listens: dict[str, str]) -> None:
        """For the next start."""
        _write_json(self._directory / layout.STATE, {"opened": opened, "listens": listens})

    def note_pids(self, pids: dict[str, int]) -> None:
        """What runs now: should all of the town's own keepers be killed, `down` finds it here."""
        _write_json(self._directory / layout.PIDS, pids)

    def leave(self) -> None:
        """Nothing runs any more: let others in."""
        (self._directory / layout.PIDS).unlink(missing_ok=True)
        os.close(self._lock)


def is_taken(directory: Path) -> bool:
    """Whether a town lives in `directory` now."""
    if not (directory / layout.LOCK).exists():
        return False
    try:
        os.close(_lock(directory))
    except Taken:
        return True
    return False


def read_pids(directory: Path) -> list[int]:
    """The numbers of what the town in `directory` started last, whether it still runs or not."""
    pids = read_json(directory / layout.PIDS).values()
    return [pid for pid in pids if isinstance(pid, int) and pid != os.getpid()]


def read_json(path: Path) -> dict[str, Any]:
    """An object; an empty one for a file that is missing or was cut by a crash."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(value, indent=1))
    fresh.replace(path)


def _lock(directory: Path) -> int:
    lock = os.open(directory / layout.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Taken(
            f"another demo is running in {directory}; leyden demo down ends one that was left up,"
            " another --dir makes another town"
        ) from None
    return lock
