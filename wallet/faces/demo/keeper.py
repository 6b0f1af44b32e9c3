"""A process that ends the town's programs when the demo itself is gone, however it died.

It holds the reading end of a pipe.  The demo writes `+PID` for each program it starts and `-PID`
for each it has seen end; when the pipe closes, by an orderly end or by SIGKILL, whatever is left
is asked to stop.  Standard library only, so that it costs little.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def keep(lines: Iterable[str]) -> None:
    """Follow `lines` to their end, then stop the programs that are still running."""
    running: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        if line.startswith("+"):
            running.add(pid)
        else:
            running.discard(pid)
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            # A frozen one would never hear of it.
            os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    keep(sys.stdin)
