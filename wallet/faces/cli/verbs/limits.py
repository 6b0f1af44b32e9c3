"""How much a script may move without a person: the ceilings of `cli.toml` and the environment.

`DIR/cli.toml` holds `max_amount = "50000sat"` and `max_fee_percent = 0.5`; LEYDEN_MAX_AMOUNT and
LEYDEN_MAX_FEE_PERCENT say the same.  Where several speak, the lowest binds.
"""

import os
from pathlib import Path
from typing import Any, Final, Protocol

from wallet.faces.cli.arguments import Options, UsageError
from wallet.faces.cli.verbs.amount import read_amount, read_percent, sat, share_msat
from wallet.faces.cli.verbs.desk import Desk, Halt
from wallet.faces.cli.verbs.paper import facts
from wallet.faces.rpc.errors import Code

FILE: Final = "cli.toml"
PLAY_MONEY: Final = "regtest"
"""Its coins are worth nothing, so scripts that rehearse need no ceiling."""
_DEFAULT_FEE_MILLIONTHS: Final = 10_000
_EXEMPT_FEE_MSAT: Final = 5_000


class Ceilings:
    """The lowest that was said; None where nobody said anything."""

    def __init__(self) -> None:
        self.amount_msat: int | None = None
        self.fee_millionths: int | None = None

    def add(self, amount: str | None, percent: str | None) -> None:
        """Another voice. Raises `UsageError`."""
        if amount is not None:
            self.amount_msat = _lowest(self.amount_msat, read_amount(amount))
        if percent is not None:
            self.fee_millionths = _lowest(self.fee_millionths, read_percent(percent))


def _lowest(known: int | None, said: int) -> int:
    return said if known is None else min(known, said)


def read_ceilings(options: Options) -> Ceilings:
    """What binds scripts here. Raises `UsageError`: a ceiling that cannot be read is none."""
    found = Ceilings()
    found.add(os.environ.get("LEYDEN_MAX_AMOUNT"), os.environ.get("LEYDEN_MAX_FEE_PERCENT"))
    # A socket that is named lies in DIR/<network>, and that wallet may have ceilings of its own.
    for directory in dict.fromkeys((options.directory, options.rpc_file.parent.parent)):
        _add_file(found, directory / FILE)
    return found


def _add_file(found: Ceilings, place: Path) -> None:
    try:
        text = place.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{place} cannot be read: {error}") from None
    import tomllib

    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{place}: {error}") from None
    unknown = sorted(given.keys() - {"max_amount", "max_fee_percent"})
    if unknown:
        raise UsageError(f"{place}: {unknown[0]!r} means nothing here")
    found.add(_text(place, given, "max_amount"), _text(place, given, "max_fee_percent"))


def _text(place: Path, given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{place}: {name} should be a number or a string")
    return str(value)


def default_fee(amount_msat: int, ceilings: Ceilings) -> int:
    """The fee limit when nobody gives one: as `pay` does, 1 % or 5 sat, but under the ceiling."""
    usual = max(share_msat(amount_msat, _DEFAULT_FEE_MILLIONTHS), _EXEMPT_FEE_MSAT)
    if ceilings.fee_millionths is None:
        return usual
    return min(usual, share_msat(amount_msat, ceilings.fee_millionths))


class Plan(Protocol):
    """What is about to be done: the amount, the most it may cost, what a person is told."""

    amount_msat: int
    fee_msat: int

    def facts(self) -> list[tuple[str, object]]:
        """Names and values; the values may be strangers' words."""


def approve(desk: Desk, word: str, doing: str, plan: Plan, ceilings: Ceilings) -> None:
    """A person's `word`, or `--yes` and an amount and a fee under the ceilings. Raises `Halt`."""
    if "--yes" not in desk.flags:
        desk.confirm(word, doing, lambda: facts(plan.facts()))
        return
    amount_msat, fee_msat = plan.amount_msat, plan.fee_msat
    network = desk.ask("getinfo").get("network")
    if ceilings.amount_msat is None and network != PLAY_MONEY:
        raise Halt(
            f'--yes needs a ceiling on {network}: put max_amount = "50000sat" into'
            f" {desk.options.directory / FILE}, or set LEYDEN_MAX_AMOUNT",
            Code.NEEDS_CONFIRMATION,
        )
    if ceilings.amount_msat is not None and amount_msat > ceilings.amount_msat:
        raise Halt(
            f"{sat(amount_msat)} sat is over the ceiling of {sat(ceilings.amount_msat)} sat;"
            " ask a person, or raise max_amount",
            Code.NEEDS_CONFIRMATION,
        )
    if ceilings.fee_millionths is None:
        return
    most_msat = share_msat(amount_msat, ceilings.fee_millionths)
    if fee_msat > most_msat:
        raise Halt(
            f"a fee of up to {sat(fee_msat)} sat is over the ceiling of {sat(most_msat)} sat;"
            " ask a person, or raise max_fee_percent",
            Code.NEEDS_CONFIRMATION,
        )
