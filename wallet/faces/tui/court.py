"""What `court` answers: every way a channel may end, and the timelocks that are open.

Every text is safe from here on.  Amounts in millisatoshi, costs in satoshi, times in blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from wallet.faces.tui.answers import items, known, number
from wallet.faces.tui.safe_text import safe

Costs: TypeAlias = tuple[int | None, ...]
"""At each of the case's fee rates; None: it costs more than it brings."""

_MOST_RATES: Final = 3
_OUTGOING: Final = {"out": True, "in": False}


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the transaction that would end the channel."""

    amount: int
    what: str
    ours: bool
    after: int
    """Blocks after the transaction's own."""
    from_height: int | None
    condition: str
    costs: Costs
    """Of taking it; empty where it is not ours, or nothing has to be taken."""
    valid: bool | None
    """What the judge of scripts said of the transaction that takes it; None: it was not asked."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which the channel may end."""

    name: str
    ours: int
    costs: Costs
    """Our part of its own fee."""
    commitment: int | None
    """Number of the commitment."""
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Timelock:
    """What becomes possible, or too late, at a height."""

    height: int
    what: str
    """In the core's words."""
    amount: int
    outgoing: bool | None = None
    """Whose payment: one that we sent on, or one that came; None: it is about no payment."""
    claim: str = ""
    """What kind of output on chain it is about; empty while the channel lives."""
    late: bool = False
    """From then on it may be lost to the peer."""


@dataclass(frozen=True, slots=True)
class Case:
    """One channel before the court."""

    height: int
    rates: tuple[int, ...]
    """Satoshi per virtual byte."""
    ways: tuple[Way, ...]
    docket: tuple[Timelock, ...]
    """The nearest first."""


def cases(answer: Mapping[str, Any]) -> dict[str, Case]:
    """`court`: what it says of each channel, by channel id."""
    rates = answer.get("feerates_sat_vb")
    told = tuple(number(r) for r in rates[:_MOST_RATES]) if isinstance(rates, list) else ()
    height = number(answer.get("blockheight"))
    return {
        safe(one.get("channel_id"), 64): Case(
            height,
            told,
            tuple(_way(way) for way in items(one, "ways")),
            _docket(one),
        )
        for one in items(answer, "channels")
    }


def _way(one: Mapping[str, Any]) -> Way:
    return Way(
        name=safe(one.get("way"), 30),
        ours=number(one.get("ours_msat")),
        costs=_costs(one),
        commitment=known(one.get("commitment_number")),
        outputs=tuple(_output(output) for output in items(one, "outputs")),
    )


def _output(one: Mapping[str, Any]) -> Output:
    verified = one.get("verified")
    return Output(
        amount=number(one.get("amount_msat")),
        what=safe(one.get("what"), 60),
        ours=one.get("owner") == "us",
        after=number(one.get("after_blocks")),
        from_height=known(one.get("from_height")),
        condition=safe(one.get("condition"), 120),
        costs=_costs(one),
        valid=verified if isinstance(verified, bool) else None,
    )


def _costs(one: Mapping[str, Any]) -> Costs:
    costs = one.get("costs_sat")
    return tuple(known(c) for c in costs[:_MOST_RATES]) if isinstance(costs, list) else ()


def _docket(one: Mapping[str, Any]) -> tuple[Timelock, ...]:
    found = (
        Timelock(
            height=number(line.get("height")),
            what=safe(line.get("what"), 60),
            amount=number(line.get("amount_msat")),
            outgoing=_OUTGOING.get(str(line.get("direction"))),
            claim=safe(line.get("claim"), 30),
            late=line.get("late") is True,
        )
        for line in items(one, "docket")
    )
    return tuple(sorted(found, key=lambda line: line.height))
