"""The terminal app in a terminal: first paint, tabs, keys in a flood, memory, first payment.

`python -m tests.bench.bench_tui`.  The core and its town are fakes in a process of their own:
10,000 lines of history, 50 channels and, in the flood, 1,000 events a second; a row tells whether
the app took them all.  A key's time is from its write to the last bytes of the frame it asked for,
read before any emulator draws them.  `ok`: the worst is within the must; `median ok`: only the
median is.  Other work on the machine is in every time, so its load is printed too.  Without
bytecode Textual and the standard library are compiled as well, which an installer does beforehand.
"""

import asyncio
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.faces.tui import town_scene
from tests.faces.tui.fake_core import FakeCore
from tests.faces.tui.scenes import channel, paid, replies
from tests.support.screen import Terminal

RUNS: Final = 7
KEYS: Final = 200
EVENTS_PER_SECOND: Final = 1_000
LINES: Final = 10_000
CHANNELS: Final = 50
TABS: Final = ("Home", "Activity", "Channels", "Network", "Chain", "Swaps", "Demo", "Log")


class BigCore(FakeCore):
    """Has much to show, and tells of `rate` payments a second, as a node's long poll would."""

    def __init__(self, path: Path, rate: int, told: Any) -> None:
        channels = [
            channel("bob", 1_000 * n, 100_000, peer_id=f"02{n:064x}", channel_id=f"{n:064x}")
            for n in range(1, CHANNELS + 1)
        ]
        super().__init__(path, replies(history=_history, listpeerchannels={"channels": channels}))
        self._rate, self._told_of = rate, told
        self._began = time.monotonic()

    async def _events_since(self, params: dict[str, Any]) -> Any:
        since = params.get("since")
        if since is None:
            return {"events": [], "next": self._now()}
        self._told_of.value = since
        while self._now() <= since:
            await asyncio.sleep(0.001 if self._rate else 60)
        last = min(self._now(), since + 1_000)
        events = [
            {"seq": n, "topic": "payment", "payment_hash": f"{n:064x}"} for n in range(since, last)
        ]
        return {"events": events, "next": last}

    def _now(self) -> int:
        return int((time.monotonic() - self._began) * self._rate)


def _history(params: dict[str, Any]) -> dict[str, Any]:
    start, limit = int(params.get("start", 0)), params["limit"]
    shown = [paid("20 10:00", n + 1, f"payment {n}") for n in range(start, start + limit)]
    return {"history": shown, **({"next": str(start + limit)} if start + limit < LINES else {})}


def serve(path: str, town: str, rate: int, told: Any) -> None:
    """The process of the core and of its town."""

    async def run() -> None:
        await FakeCore(Path(town), town_scene.replies()).start()
        await BigCore(Path(path), rate, told).start()
        await asyncio.Event().wait()

    asyncio.run(run())


class Core:
    """A core in a process of its own, at the place in `town` where the app looks for a town."""

    def __init__(self, town: Path, rate: int) -> None:
        self.path = town / "you" / "regtest" / "lightning-rpc"
        self.path.parent.mkdir(parents=True)
        self._told = multiprocessing.Value("q", 0)
        self._process = multiprocessing.Process(
            target=serve,
            args=(str(self.path), str(town / "town-rpc"), rate, self._told),
            daemon=True,
        )

    @property
    def told(self) -> int:
        """The number up to which the app has taken events."""
        return int(self._told.value)

    def app(self) -> Terminal:
        """The app on this core."""
        return Terminal(["--rpc-file", str(self.path), "tui"])

    def __enter__(self) -> "Core":
        self._process.start()
        while not self.path.exists():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()


def first_paint(core: Core) -> list[float]:
    """Milliseconds from the program's start to Home with its figures; the first writes bytecode."""
    times = []
    for _ in range(1 + RUNS):
        began = time.perf_counter()
        with core.app() as terminal:
            terminal.until("Recent")
            times.append((time.perf_counter() - began) * 1e3)
    return times


def tabs(core: Core) -> tuple[list[float], list[float]]:
    """Milliseconds from a tab's key to its screen: the first time, and later."""
    first: list[float] = []
    later: list[float] = []
    for _ in range(RUNS):
        with core.app() as terminal:
            terminal.until("Recent")
            time.sleep(0.5)
            for times in (first, later, later):
                for number in (2, 3, 4, 5, 6, 7, 8, 1):
                    times.append(_press(terminal, str(number), f"[{number} {TABS[number - 1]}]"))
                    time.sleep(0.15)
    return first, later


@dataclass(frozen=True, slots=True)
class Flood:
    """What was seen in it: milliseconds of keys, events taken a second, and MiB of memory."""

    keys: list[float]
    rate: float
    memory: float
    memory_all_read: float


def keys_in_a_flood(core: Core) -> Flood:
    """`.` hides and shows amounts meanwhile; then every tab is seen, then all history is read."""
    times = []
    with core.app() as terminal:
        terminal.until("Recent")
        time.sleep(2)
        began, before = time.monotonic(), core.told
        for number in range(KEYS):
            times.append(_press(terminal, ".", "2,500,000 sat" if number % 2 else "•••••"))
            time.sleep(0.087)
        rate = (core.told - before) / (time.monotonic() - began)
        for number in range(1, len(TABS) + 1):
            terminal.type(str(number))
            terminal.until(f"[{number} ")
        memory = _memory(terminal)
        terminal.type("2")
        terminal.until("[2 ")
        terminal.type("G")
        terminal.until(f" of {LINES:,}  newest")
        return Flood(times, rate, memory, _memory(terminal))


def _memory(terminal: Terminal) -> float:
    [kib] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{terminal.pid}/status").read_text())
    return int(kib) / 1024


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


def _row(name: str, must: float, unit: str, found: list[float], *, least: bool = False) -> None:
    """`least`: the must is a lower bound."""
    median, worst = statistics.median(found), min(found) if least else max(found)

    def within(value: float) -> bool:
        return value >= must if least else value <= must

    verdict = "ok" if within(worst) else "median ok" if within(median) else "missed"
    print(f"{name:<36}{must:>6g} {unit:<5}{median:>9.1f}{worst:>9.1f}   {verdict}", flush=True)


def main() -> None:
    """Print each figure beside what it must be."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':<36}{'must':>11}{'median':>10}{'worst':>9}", flush=True)
    with tempfile.TemporaryDirectory(prefix="leyden-") as name:
        directory = Path(name)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{directory}/pyc"
        with Core(directory / "quiet", rate=0) as core:
            cold, *warm = first_paint(core)
            _row("first paint", 700, "ms", warm)
            _row("first paint, no bytecode yet", 700, "ms", [cold])
            first, later = tabs(core)
            _row("tab switch, first time", 20, "ms", first)
            _row("tab switch, again", 20, "ms", later)
        with Core(directory / "busy", EVENTS_PER_SECOND) as core:
            flood = keys_in_a_flood(core)
            _row(
                "events taken meanwhile, a second",
                0.99 * EVENTS_PER_SECOND,
                "",
                [flood.rate],
                least=True,
            )
            _row("a key in that flood", 50, "ms", flood.keys)
            _row("its 99th percentile", 50, "ms", [statistics.quantiles(flood.keys, n=100)[98]])
            _row("memory after it, all tabs seen", 90, "MiB", [flood.memory])
            _row(f"memory with {LINES:,} lines read", 90, "MiB", [flood.memory_all_read])
        seconds, keys = first_payment(directory / "town")
        _row("from `leyden demo` to a payment", 60, "s", [seconds])
        _row("key presses for it", 12, "", [float(keys)])


if __name__ == "__main__":
    main()
