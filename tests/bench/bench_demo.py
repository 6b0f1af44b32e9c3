"""The town: from `leyden demo up` in an empty directory to channels that all six can use.

`python -m tests.bench.bench_demo`.  Must stay under 5 s; the aim is 2 s.  Six wallets are made,
seven channels opened over the wire and announced, and everybody has the whole map at the end.
Then payments between random nodes, as many at once as the town's traffic has, and how long a look
at all of it takes meanwhile.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wallet.faces.rpc.client import call

MUST_SECONDS = 5.0
RUNS = 3
TRAFFIC_SECONDS = 10.0
MUST_STATUS_MS = 100.0
"""The screen asks once a second."""
LOOKS = 15


def demo(home: Path, environment: dict[str, str], *words: str) -> float:
    """Seconds that an action takes, process and all."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "wallet", "demo", *words, "--dir", str(home)],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def payments_per_second(home: Path) -> float:
    """Completed payments of the town's own traffic, at a rate above what it can do."""
    socket = home / "town-rpc"
    call(socket, "traffic", {"rate": 1000})
    time.sleep(TRAFFIC_SECONDS)
    counted = call(socket, "traffic", {"rate": 0})
    return float(counted["complete"]) / TRAFFIC_SECONDS


def status_ms(home: Path) -> float:
    """Milliseconds that a glance at the whole town takes at its full load."""
    socket = home / "town-rpc"
    call(socket, "traffic", {"rate": 1000})
    taken = []
    for _ in range(LOOKS):
        time.sleep(0.2)
        began = time.perf_counter()
        call(socket, "status")
        taken.append(time.perf_counter() - began)
    call(socket, "traffic", {"rate": 0})
    return statistics.median(taken) * 1000


def main() -> None:
    """Print each row with its ratio to the bar."""
    with tempfile.TemporaryDirectory() as directory:
        # Bytecode cached as in an installed wallet.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(directory) / "pyc")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        rate = look = 0.0
        fresh, again = [], []
        for run in range(RUNS + 1):
            home = Path(directory) / str(run)
            fresh.append(demo(home, environment, "up"))
            if run == RUNS:
                rate = payments_per_second(home)
                look = status_ms(home)
            demo(home, environment, "down")
            again.append(demo(home, environment, "up"))
            demo(home, environment, "down")
    # The first one compiles.
    new, old = statistics.median(fresh[1:]), statistics.median(again[1:])
    print(f"demo up, a new town   {new:5.2f} s   {new / MUST_SECONDS:.2f} of must (5 s, aim 2 s)")
    print(f"demo up, the last one {old:5.2f} s")
    print(f"payments in the town  {rate:5.1f} /s, one to three hops, 32 at once")
    ratio = look / MUST_STATUS_MS
    print(f"status at that load   {look:5.1f} ms  {ratio:.2f} of must ({MUST_STATUS_MS:.0f} ms)")


if __name__ == "__main__":
    main()
