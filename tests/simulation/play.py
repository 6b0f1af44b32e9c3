"""Plays seeds: one with its trace, a list of them, or new ones for as long as there is time."""

import argparse
import contextlib
import itertools
import logging
import sys
import time
from collections.abc import Callable
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


def long_run(seconds: float, profile: str, first: int) -> int:
    """New seeds until the time is over; how many failed."""
    begun, events, failed = time.perf_counter(), 0, 0
    for count, seed in enumerate(itertools.count(first)):
        spent = time.perf_counter() - begun
        if spent > seconds:
            print(
                f"{count} seeds, {events} events, {failed} violations,"
                f" {events / spent:.0f} events per second"
            )
            return failed
        try:
            events += play(seed, profile).events
        except SeedFailed as failure:
            failed += 1
            print(failure, flush=True)
    raise AssertionError("there are always more seeds")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="play this one and tell every event")
    what.add_argument("--long", type=float, metavar="SECONDS", help="new seeds for so long")
    parser.add_argument("--profile", choices=PROFILES, default="toy")
    parser.add_argument("--first", type=int, help="with --long: the first seed")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if options.seed is not None:
        try:
            play(options.seed, options.profile, print)
        except SeedFailed as failure:
            sys.exit(str(failure))
        return
    first = int(time.time()) if options.first is None else options.first
    sys.exit(1 if long_run(options.long, options.profile, first) else 0)
