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
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.simulation.house import Violation
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
        except (Exception, Violation) as error:
            if say is not None:
                say(f"seed {seed}: {type(error).__name__}: {error}")
            raise SeedFailed(
                f"seed {seed}, event {world.events}: {error}\n"
                f"play it again: {command(seed, profile)}"
            ) from error
    return world


@dataclass(frozen=True)
class Told:
    """What a seed came to, as one process tells another."""

    events: int = 0
    checks: int = 0
    met: Counter[str] = field(default_factory=Counter)
    failure: str | None = None


def _told(seed: int, profile: str) -> Told:
    logging.disable(logging.CRITICAL)
    try:
        world = play(seed, profile)
    except SeedFailed as failure:
        return Told(failure=str(failure))
    return Told(world.events, world.checks, world.met)


def long_run(seconds: float, most_events: float, profile: str, first: int) -> int:
    """New seeds on every core, until the time is over or enough has happened; how many failed."""
    seeds, begun = itertools.count(first), time.perf_counter()
    played = events = checks = failed = 0
    met: Counter[str] = Counter()
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        waiting = {pool.submit(_told, next(seeds), profile) for _ in range(2 * cores)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for told in (future.result() for future in done):
                played, events, checks = played + 1, events + told.events, checks + told.checks
                met += told.met
                if told.failure is not None:
                    failed += 1
                    print(told.failure, flush=True)
                if time.perf_counter() - begun < seconds and events < most_events:
                    waiting.add(pool.submit(_told, next(seeds), profile))
    spent = time.perf_counter() - begun
    for kind, count in sorted(met.items()):
        print(f"{count:9,} {kind}")
    print(
        f"{played:,} seeds from {first}, {events:,} events, invariants checked {checks:,} times,"
        f" {failed} violations; {events / spent:,.0f} events per second on {cores} cores"
    )
    return failed


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="play this one and tell every event")
    what.add_argument("--long", type=float, metavar="SECONDS", help="new seeds for so long")
    what.add_argument("--events", type=int, metavar="N", help="new seeds until so much happened")
    parser.add_argument("--profile", choices=PROFILES, default="toy")
    parser.add_argument("--first", type=int, help="the first of the new seeds")
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
    events = math.inf if options.events is None else options.events
    sys.exit(1 if long_run(seconds, events, options.profile, first) else 0)
