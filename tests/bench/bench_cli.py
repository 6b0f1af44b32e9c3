"""The command line: a call to a running daemon, a verb, completion, and help, beside a bare Python.

`python -m tests.bench.bench_cli`.  Must stay under 80 ms each; the aim is 2.1 times `python -c
pass`.  The server answers from a table of fakes, so this measures the caller alone.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.served import Served

MUST_MS = 80.0
RUNS = 15


def median_ms(words: list[str], cache: Path) -> float:
    """Median wall time of a process, with bytecode cached as in an installed wallet."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    times: list[float] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], env=environment, capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


async def measure(directory: Path) -> dict[str, float]:
    """Milliseconds of each row."""
    serving = Served(directory / "lightning-rpc")
    await serving.server.start(serving.path)
    leyden = ["-m", "wallet", "--rpc-file", str(serving.path)]
    rows = {
        "python -c pass": ["-c", "pass"],
        "getinfo": [*leyden, "getinfo"],
        "--help": [*leyden, "--help"],
        "status": [*leyden, "status"],
        "__complete": [*leyden, "__complete", "methods"],
    }
    found = {
        name: await asyncio.to_thread(median_ms, words, directory / "pyc")
        for name, words in rows.items()
    }
    await serving.server.close()
    return found


def main() -> None:
    """Print each row with its ratio to the bar and to a bare Python."""
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(measure(Path(directory)))
    bare = found.pop("python -c pass")
    print(f"python -c pass {bare:6.1f} ms")
    for name, took in found.items():
        print(
            f"leyden {name:10} {took:6.1f} ms   {took / MUST_MS:.2f} of must ({MUST_MS:.0f} ms),"
            f" {took / bare:.1f}x bare python (aim 2.1x)"
        )


if __name__ == "__main__":
    main()
