"""What a power cut leaves of a SQLite database in WAL mode: the bytes that were synced, and chance.

SQLite appends frames (a page each) to the log and syncs it when a transaction commits.  A cut
keeps everything up to the last sync; of the frames after it any beginning may have reached the
disk, the last of them perhaps in part.  The length of the log right after `commit()` returned is
what was synced then, as long as the log was not started anew by a checkpoint (1,000 pages).

The file format is that of sqlite.org/fileformat2.html, "The WAL File Format".
"""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

_HEADER = 32
_FRAME_HEADER = 24
_BIG_ENDIAN_SUMS = 0x377F0683


def wal_of(database: Path) -> Path:
    """The log beside a database."""
    return database.with_name(database.name + "-wal")


def frames(wal: Path) -> Iterator[tuple[int, bool]]:
    """End of each whole frame of the log, and whether a transaction ends with it.

    Stops where SQLite's recovery would: at a frame of an earlier log, or with a wrong checksum.
    """
    data = wal.read_bytes()
    if len(data) < _HEADER:
        return
    magic, _, page_size = struct.unpack_from(">III", data)
    order = ">" if magic == _BIG_ENDIAN_SUMS else "<"
    salts = data[16:24]
    sums = _checksum(order, data[:24], (0, 0))
    if sums != struct.unpack_from(">II", data, 24):
        return
    at = _HEADER
    while (end := at + _FRAME_HEADER + page_size) <= len(data):
        _, size_after_commit = struct.unpack_from(">II", data, at)
        sums = _checksum(order, data[at : at + 8], sums)
        sums = _checksum(order, data[at + _FRAME_HEADER : end], sums)
        if data[at + 8 : at + 16] != salts or sums != struct.unpack_from(">II", data, at + 16):
            return
        yield end, size_after_commit != 0
        at = end


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for left, right in struct.iter_unpack(f"{order}II", data):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return first, second


def committed_length(wal: Path) -> int:
    """Length of the log up to the end of its last transaction."""
    return max((end for end, commits in frames(wal) if commits), default=0)


def truncations(wal: Path, synced: int) -> list[int]:
    """Every length the log may have after a cut when its first `synced` bytes were synced.

    Each end of a frame from `synced` on, and one place inside each frame.  Raises `ValueError`
    when `synced` is no end of a frame: the log was started anew since then.
    """
    ends = [end for end, _ in frames(wal)]
    if synced not in (0, *ends):
        raise ValueError(f"{synced} is not the end of a frame of this log")
    later = [end for end in ends if end > synced]
    torn = [(start + end) // 2 for start, end in zip([synced, *later], later, strict=False)]
    return sorted([synced, *later, *torn])


def cut(database: Path, into: Path, length: int) -> Path:
    """A copy of `database` in the directory `into` with the first `length` bytes of its log.

    The shared-memory index is left out: it never survives a cut.  Returns the copy.
    """
    into.mkdir(parents=True, exist_ok=True)
    copy = into / database.name
    shutil.copyfile(database, copy)
    with wal_of(database).open("rb") as log:
        wal_of(copy).write_bytes(log.read(length))
    return copy
