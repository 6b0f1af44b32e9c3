"""Unix socket addresses for paths of any length.

The kernel takes 107 bytes (103 on macOS).  On Linux a longer path is reached through an open
descriptor of its directory; elsewhere it is refused with its length.  No asyncio here: the
command line starts with this file.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wallet.base.errors import Refused

MAX_ADDRESS_BYTES: Final = 107 if sys.platform == "linux" else 103
_DESCRIPTORS: Final = Path("/proc/self/fd")


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address to bind or connect to, good while the context is open.

    Raises `Refused` when the path cannot be reached by any address, `OSError` when its directory
    cannot be opened.
    """
    length = len(os.fsencode(path))
    if length <= MAX_ADDRESS_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        address = f"{_DESCRIPTORS}/{directory}/{path.name}"
        if len(os.fsencode(address)) > MAX_ADDRESS_BYTES or not _DESCRIPTORS.is_dir():
            raise Refused(
                f"the socket's path has {length} bytes, and this system takes"
                f" {MAX_ADDRESS_BYTES}: choose a shorter --dir or --rpc-file"
            )
        yield address
    finally:
        os.close(directory)
