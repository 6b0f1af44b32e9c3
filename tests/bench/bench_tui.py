"""The terminal app in a pseudo-terminal: first paint, tabs, keys in a flood, memory, first payment.

`python -m tests.bench.bench_tui`.  The core is a fake in a process of its own: 10,000 lines of
history, 50 channels, 1,000 events a second.  A key's time is from its write to the arrival of the
bytes that draw what it asked for.
"""

import asyncio
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import channel, paid, replies
from tests.support.screen import Terminal

RUNS: Final = 7
EVENTS_PER_SECOND: Final = 1_000
LINES: Final = 10_000
CHANNELS: Final = 50
TABS: Final = ("Home", "Activity", "Channels", "Network", "Chain", "Swaps", "Demo", "Log")


class BusyCore(FakeCore):
    """Tells of a thousand payments a second, as a node's long poll would."""

    def __init__(self, path: Path) -> None:
        channels = [channel("bob", 1_000 * n, 100_000) for n in range(1, CHANNELS + 1)]
        super().__init__(path, replies(history=_history, listpeerchannels={"channels": channels}))
        self._began = time.monotonic()

    async def _events_since(self, params: dict[str, Any]) -> Any:
        since = params.get("since")
        if since is None:
            return {"events": [], "next": self._now()}
        while self._now() <= since:
            await asyncio.sleep(0.001)
        last = min(self._now(), since + 1_000)
        events = [
            {"seq": n, "topic": "payment", "payment_hash": f"{n:064x}"} for n in range(since, last)
        ]
        return {"events": events, "next": last}

    def _now(self) -> int:
        return int((time.monotonic() - self._began) * EVENTS_PER_SECOND)


def _history(params: dict[str, Any]) -> dict[str, Any]:
    start, limit = int(params.get("start", 0)), params["limit"]
    shown = [paid("20 10:00", n + 1, f"payment {n}") for n in range(start, start + limit)]
    return {"history": shown, **({"next": str(start + limit)} if start + limit < LINES else {})}


def serve(path: str, *, busy: bool) -> None:
    """The core's process."""

    async def run() -> None:
        core = BusyCore(Path(path)) if busy else FakeCore(Path(path), replies())
        await core.start()
        await asyncio.Event().wait()

    asyncio.run(run())


class Core:
    """A core in a process of its own."""

    def __init__(self, path: Path, *, busy: bool) -> None:
        self.path = path
        self._process = multiprocessing.Process(
            target=serve, args=(str(path),), kwargs={"busy": busy}, daemon=True
        )

    def __enter__(self) -> "Core":
        self._process.start()
        while not self.path.exists():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def first_paint(core: Core) -> list[float]:
    """Milliseconds from the program's start to Home with its figures."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        with Terminal(["--rpc-file", str(core.path), "tui"]) as terminal:
            terminal.until("Recent")
            times.append(_ms(began))
    return times[1:]  # the first one writes bytecode


def tabs(core: Core) -> tuple[list[float], list[float]]:
    """Milliseconds from a tab's key to its screen: the first time, and later."""
    first: list[float] = []
    later: list[float] = []
    with Terminal(["--rpc-file", str(core.path), "tui"]) as terminal:
        terminal.until("Recent")
        for times in (first, later, later, later):
            for number in (2, 3, 4, 5, 6, 7, 8, 1):
                times.append(_press(terminal, str(number), f"[{number} {TABS[number - 1]}]"))
                time.sleep(0.15)
    return first, later


def keys_in_a_flood(core: Core) -> tuple[list[float], float]:
    """Milliseconds from `.` to hidden or shown amounts; the app's memory in MiB afterwards."""
    times = []
    with Terminal(["--rpc-file", str(core.path), "tui"]) as terminal:
        terminal.until("Recent")
        time.sleep(2)
        for number in range(60):
            times.append(_press(terminal, ".", "2,500,000 sat" if number % 2 else "•••••"))
            time.sleep(0.137)
        for number in range(1, len(TABS) + 1):
            terminal.type(str(number))
            terminal.until(f"[{number} ")
        memory = Path(f"/proc/{terminal.pid}/status").read_text()
    [kib] = re.findall(r"VmRSS:\s+(\d+) kB", memory)
    return times, int(kib) / 1024


def first_payment(directory: Path) -> tuple[float, int]:
    """Seconds and keys from `leyden demo` to a paid invoice, in a new town."""
    keys = 0
    began = time.perf_counter()
    with Terminal(["demo", "--dir", str(directory)]) as terminal:
        terminal.until("Recent", 60)
        for key, words in (
            ("7", "What moves"),
            ("i", "Buy something"),
            ("3", "Press p to pay"),
            ("p", "✓ Paid"),
        ):
            if key == "p":
                time.sleep(0.5)  # it is armed 0.4 s after the review can be read
            terminal.type(key)
            terminal.until(words)
            keys += 1
        took = time.perf_counter() - began
        terminal.type("\x1b")
        terminal.until("[7 Demo]")
        terminal.type("q")
        terminal.ended()
    return took, keys


def _press(terminal: Terminal, key: str, words: str) -> float:
    """What was still to be drawn is read first: only what the key changes is waited for."""
    terminal.drain()
    began = time.perf_counter()
    terminal.type(key)
    return (terminal.drain(until=words) - began) * 1e3


def _ms(began: float) -> float:
    return (time.perf_counter() - began) * 1e3


def _row(name: str, must: float, unit: str, found: list[float]) -> str:
    median, worst = statistics.median(found), max(found)
    verdict = "ok" if median <= must else "missed"
    return f"{name:<34}{must:>7g} {unit:<5}{median:>9.1f}{worst:>9.1f}   {verdict}"


def main() -> None:
    """Print each figure beside what it must be."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(f"{'':<34}{'must':>12}{'median':>10}{'worst':>9}", flush=True)
    with tempfile.TemporaryDirectory(prefix="leyden-") as directory:
        os.environ["PYTHONPYCACHEPREFIX"] = f"{directory}/pyc"
        with Core(Path(directory) / "quiet", busy=False) as core:
            print(_row("first paint", 700, "ms", first_paint(core)), flush=True)
            first, later = tabs(core)
            print(_row("tab switch, first time", 20, "ms", first))
            print(_row("tab switch", 20, "ms", later), flush=True)
        with Core(Path(directory) / "busy", busy=True) as core:
            times, memory = keys_in_a_flood(core)
            print(_row("a key while 1,000 events/s arrive", 50, "ms", times))
            print(_row("memory after that", 90, "MiB", [memory]), flush=True)
        seconds, keys = first_payment(Path(directory) / "town")
        print(_row("from `leyden demo` to a payment", 60, "s", [seconds]))
        print(_row("key presses for it", 12, "", [float(keys)]))


if __name__ == "__main__":
    main()
