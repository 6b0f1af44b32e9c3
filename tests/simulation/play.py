"""Plays seeds: one with its trace, a list of them, or new ones for as long as there is time."""

import argparse
import contextlib
import itertools
import logging
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.simulation.toy_curve import toy_curve
from tests.simulation.world import World

STEPS: Final = 150
"""Events with faults."""
PROFILES: Final = ("toy", "real")
"""A toy group and a model chain; or real keys, and Bitcoin Core's engine judges the mempool."""
KNOWN: Final = Path(__file__).with_name("seeds.txt")


class SeedFailed(AssertionError):
    """A seed in which something went wrong, and how to see it again."""


def known_seeds() -> list[tuple[int, str]]:
    """The seeds that once failed, with their profiles."""
    lines = (line.partition("#")[0].split() for line in KNOWN.read_text().splitlines())
    return [(int(words[0]), words[1]) for words in lines if words]


def command(seed: int, profile: str) -> str:
    """What plays it again."""
    return f"python -m tests.simulation --seed {seed}" + (
        f" --profile {profile}" if profile != "toy" else ""
    )


def play(
    seed: int,
    profile: str = "toy",
    say: Callable[[str], None] | None = None,
    steps: int = STEPS,
) -> World:
    """One seed from beginning to end. Raises `SeedFailed`."""
    with contextlib.ExitStack() as stack:
        if profile == "toy":
            stack.enter_context(toy_curve())
        world = World(seed, say, judge=profile == "real")
        try:
            world.run(steps)
        except Exception as error:
            if say is not None:
                say(f"seed {seed}: {type(error).__name__}: {error}")
            raise SeedFailed(
                f"seed {seed}, event {world.events}: {error}\n"
                f"play it again: {command(seed, profile)}"
            ) from error
    return world


@dataclass
class Tally:
    """What many seeds came to."""

    seeds: int = 0
    events: int = 0
    failures: list[str] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: tuple[int, Counter[str], str]) -> None:
        """One seed more."""
        events, met, failure = outcome
        self.seeds += 1
        self.events += events
        self.met += met
        if failure:
            self.failures.append(failure)
            print(failure, flush=True)


def _outcome(job: tuple[int, str]) -> tuple[int, Counter[str], str]:
    logging.disable(logging.CRITICAL)
    try:
        world = play(*job)
    except SeedFailed as failure:
        return 0, Counter(), str(failure)
    return world.events, world.met, ""


def long_run(seconds: float, events: int, profile: str, first: int) -> int:
    """New seeds on all cores until the time is over or so many events are done; the failures."""
    begun, tally = time.perf_counter(), Tally()
    jobs = ((seed, profile) for seed in itertools.count(first))
    with ProcessPoolExecutor() as pool:
        waiting: set[Future[tuple[int, Counter[str], str]]] = set()
        # Two jobs for each process: none waits, and none is left over for long.
        for job in itertools.islice(jobs, 2 * (os.cpu_count() or 1)):
            waiting.add(pool.submit(_outcome, job))
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                tally.add(future.result())
                if time.perf_counter() - begun < seconds and tally.events < events:
                    waiting.add(pool.submit(_outcome, next(jobs)))
    spent = time.perf_counter() - begun
    for what, count in sorted(tally.met.items()):
        print(f"{count:9,} {what}")
    print(
        f"{tally.seeds:,} seeds from {first} on, {tally.events:,} events,"
        f" {len(tally.failures)} violations, {tally.events / spent:,.0f} events per second"
    )
    return len(tally.failures)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="play this one and tell every event")
    what.add_argument("--long", type=float, metavar="SECONDS", help="new seeds for so long")
    what.add_argument("--events", type=int, metavar="N", help="new seeds until so many events")
    parser.add_argument("--profile", choices=PROFILES, default="toy")
    parser.add_argument("--first", type=int, help="with --long and --events: the first seed")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.seed is not None:
        try:
            play(options.seed, options.profile, print)
        except SeedFailed as failure:
            sys.exit(str(failure))
        return
    first = int(time.time()) if options.first is None else options.first
    seconds = math.inf if options.long is None else options.long
    events = sys.maxsize if options.events is None else options.events
    sys.exit(1 if long_run(seconds, events, options.profile, first) else 0)
