"""Telling a story: step after step until one fails, and a report that scripts can read."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from wallet.base.errors import WalletError
from wallet.faces.demo.story import Story
from wallet.faces.rpc.client import Interrupted, RpcError

NO_MONEY_CHECK: Final[dict[str, object]] = {"ok": False, "mined_sat": 0, "found_sat": 0}
NO_FOOTPRINT: Final = {"payments": 0, "chain_transactions": 0, "vbytes": 0, "fees_sat": 0}


@dataclass(frozen=True, slots=True)
class Heading:
    """What a step begins with. `of`: how many steps the story has."""

    number: int
    of: int
    name: str
    title: str

    def __str__(self) -> str:
        return f"{self.number:>2}  {self.name}: {self.title}"


class Audience(Protocol):
    """Who is told."""

    def step(self, heading: Heading) -> None:
        """A step begins."""

    def say(self, sentence: str) -> None:
        """What is done in it, and what came of it."""

    def fault(self, sentence: str) -> None:
        """Why it did not hold; the story ends here."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """How one step went."""

    name: str
    ok: bool
    seconds: float


@dataclass(slots=True)
class Report:
    """What `--json` prints: PRODUCT's contract, field by field."""

    ok: bool = False
    seconds: float = 0.0
    steps: list[StepReport] = field(default_factory=list)
    money_check: dict[str, object] = field(default_factory=lambda: dict(NO_MONEY_CHECK))
    footprint: dict[str, int] = field(default_factory=lambda: dict(NO_FOOTPRINT))


def tell(story: Story, audience: Audience) -> Report:
    """Carry the steps out; never raises but for Ctrl-C."""
    report = Report()
    begun = time.monotonic()
    steps = story.steps
    try:
        for number, (name, title, act) in enumerate(steps, 1):
            audience.step(Heading(number, len(steps), name, title))
            fault = _try(name, act, report)
            if fault is not None:
                audience.fault(f"This did not hold. {fault}")
                break
        else:
            report.footprint = story.footprint
            audience.say(story.comparison)
    finally:
        _mend(story, audience)
    if (money := story.money) is not None:
        report.money_check = {
            "ok": money.ok,
            "mined_sat": money.mined_sat,
            "found_sat": money.found_sat,
        }
    report.ok = all(step.ok for step in report.steps) and bool(report.money_check["ok"])
    report.seconds = round(time.monotonic() - begun, 3)
    return report


def _mend(story: Story, audience: Audience) -> None:
    try:
        story.mend()
    except WalletError as error:
        audience.fault(f"What the story had changed is not as it was. {error}")


def _try(name: str, act: Callable[[], None], report: Report) -> str | None:
    """One step into the report; why it did not hold."""
    begun = time.monotonic()
    fault = None
    try:
        act()
    except Interrupted:
        # The socket's client says so when Ctrl-C came while it waited for an answer.
        raise KeyboardInterrupt from None
    except (WalletError, RpcError) as error:
        fault = str(error)
    except Exception as error:
        # Whatever it is, scripts read it in `steps`; a traceback would take the report along.
        fault = f"{type(error).__name__}: {error}"
    report.steps.append(StepReport(name, fault is None, round(time.monotonic() - begun, 3)))
    return fault
