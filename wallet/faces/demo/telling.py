"""Telling the story: step after step until one fails, and a report that scripts can read."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wallet.base.errors import WalletError
from wallet.faces.demo.story import Story
from wallet.faces.rpc.client import Interrupted, RpcError

Say = Callable[[str], None]

NO_MONEY_CHECK: Final[dict[str, object]] = {"ok": False, "mined_sat": 0, "found_sat": 0}
NO_FOOTPRINT: Final = {"payments": 0, "chain_transactions": 0, "vbytes": 0, "fees_sat": 0}


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


def tell(story: Story, say: Say, announce: Say | None = None) -> Report:
    """Carry the steps out; never raises but for Ctrl-C.

    `announce` gets each step's heading, `say` what is told inside.
    """
    report = Report()
    begun = time.monotonic()
    for number, (name, title, act) in enumerate(story.steps, 1):
        (announce or say)(f"{number:>2}  {name}: {title}")
        fault = _try(name, act, report)
        if fault is not None:
            say(f"This did not hold. {fault}")
            break
    else:
        report.footprint = story.footprint
        say(story.comparison)
    if (money := story.money) is not None:
        report.money_check = {
            "ok": money.ok,
            "mined_sat": money.mined_sat,
            "found_sat": money.found_sat,
        }
    report.ok = all(step.ok for step in report.steps) and bool(report.money_check["ok"])
    report.seconds = round(time.monotonic() - begun, 3)
    return report


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
