"""The page that is shown while something is being started, and until the node has read the chain.

What is started, and how, the app does not know: whoever opened it gives it something to look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from wallet.faces.tui.facts import Facts
from wallet.faces.tui.paint import BAD, EMPTY, GOOD, KEY, QUIET, STRONG, WARN, Row, folded, row
from wallet.faces.tui.safe_text import left, safe

_SLOW_SECONDS: Final = 2.0
"""From then on a person is told how long it has taken."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing on the way up; `seconds` is None before it has begun."""

    words: str
    seconds: float | None
    done: bool


class Rising(Protocol):
    """What is being started. Each of these is asked ten times a second and answers at once."""

    @property
    def steps(self) -> Sequence[Step]:
        """In their order."""

    @property
    def up(self) -> bool:
        """Whether the core can be asked now."""

    @property
    def fault(self) -> str:
        """Why it will never be, in a sentence; empty while it may."""


def rows(rising: Rising, cells: int) -> list[Row]:
    """The steps with their ticks, and what has gone wrong."""
    fault = rising.fault
    found = [EMPTY, *(_step(step, bool(fault)) for step in rising.steps), EMPTY]
    if fault:
        found += [row(("  ! It did not start", BAD)), EMPTY]
        found += [row(f"  {line}") for line in folded(safe(fault, 400), cells - 3, 6)]
        return [*found, EMPTY, row(("  Your money is where it was. q closes this.", STRONG))]
    return [*found, row(("  You can look around; figures come when the node answers.", QUIET))]


def catching_up(facts: Facts, cells: int) -> list[Row]:
    """The node answers and has not read the chain to its end, in its own words."""
    known = {c.peer_id for c in facts.channels}
    online = {c.peer_id for c in facts.channels if c.connected}
    reached = online == known
    return [
        EMPTY,
        row(("  ✓ ", GOOD), "the node answers"),
        row(("  … ", WARN), left("catching up with the chain", 32), f"block {facts.node.height:,}"),
        row(
            ("  ✓ " if reached else "  … ", GOOD if reached else WARN),
            left("connecting to peers", 32),
            f"{len(online)} of {len(known)}",
        ),
        EMPTY,
        *(row((f"  {line}", QUIET)) for line in folded(facts.node.warning, cells - 3)),
        EMPTY,
        row("  You can look around: ", ("esc", KEY), ". Sending starts when the chain is read,"),
        row("  so that no old channel state can be used by mistake."),
    ]


def first_coins(command: str, cells: int) -> list[Row]:
    """How a wallet on a chain of its own gets coins; nothing where no command does that."""
    if not command:
        return []
    head = row(("Coins of the built-in chain, in another terminal:", QUIET))
    return [head, *(row("  ", (line, STRONG)) for line in folded(command, cells - 2))]


def _step(step: Step, failed: bool) -> Row:
    if step.done:
        return row(("  ✓ ", GOOD), left(step.words, 32), (f"{step.seconds or 0:.1f} s", QUIET))
    if step.seconds is None:
        return row(("    " + step.words, QUIET))
    if failed:
        return row(("  ✗ ", BAD), step.words)
    waited = f"{step.seconds:.0f} s" if step.seconds >= _SLOW_SECONDS else ""
    return row(("  … ", WARN), left(step.words, 32), (waited, QUIET))
