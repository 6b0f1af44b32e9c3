"""The data directory of one core: its places, its modes, its lock.

Everything is 0600 in a 0700 directory, `DIR/<network>`, and one core at a time owns it: two cores
on one database would sign two different next states of the same channel.
"""

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from wallet.base.errors import Refused, ServiceFault


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where one wallet of one network lives. `root` is what people call the directory (`--dir`)."""

    root: Path
    network: str

    @property
    def path(self) -> Path:
        """The network's own directory; holds every file below."""
        return self.root / self.network

    @property
    def seed_file(self) -> Path:
        """The encrypted recovery phrase."""
        return self.path / "seed.json"

    @property
    def database(self) -> Path:
        """Channels, payments, coins."""
        return self.path / "wallet.sqlite3"

    @property
    def rpc_file(self) -> Path:
        """The unix socket that faces and clients talk to."""
        return self.path / "lightning-rpc"

    @property
    def lock_file(self) -> Path:
        """Held by the running core."""
        return self.path / "core.lock"

    def prepare(self) -> None:
        """Make the directories if they are not there, and close them to other users.

        Raises `Refused` when the place is not ours to write, `ServiceFault` when the disk fails.
        """
        try:
            if not self.root.is_dir():
                self.root.mkdir(mode=0o700, parents=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(0o700)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "not writable", str(self.path))
        except OSError as error:
            raise _explained(error, self.root) from None

    def lock(self) -> "DirectoryLock":
        """Become the one core of this directory until the lock is released or the process ends.

        Raises `Refused` when another process has it.
        """
        try:
            # Never deleted: a lock on a file that somebody unlinks would guard nothing.
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _explained(error, self.root) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise ServiceFault(f"cannot lock {self.path}: {error.strerror}") from None
            process = f" (process {holder})" if holder.isdigit() else ""
            raise Refused(
                f"another leyden{process} is using {self.path}; stop it, or give another --dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return DirectoryLock(descriptor)


class DirectoryLock:
    """A held lock; a context manager. Ends with the process whatever happens to it."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let another core in. Releasing twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _explained(error: OSError, root: Path) -> Refused | ServiceFault:
    """What a person can do about an error while a directory is made or entered."""
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Refused(f"cannot write to {root}; give another --dir or change its owner")
        case errno.ENOTDIR | errno.EEXIST:
            return Refused(f"{root} is not a directory; give another --dir")
        case errno.ENAMETOOLONG | errno.ELOOP:
            return Refused(f"the system cannot open {str(root)[:80]!r}; give another --dir")
        case _:
            return ServiceFault(f"cannot use {root}: {error.strerror}")
