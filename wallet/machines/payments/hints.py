"""Route hints of an invoice: by which channels money can reach us, and what stands in its way.

A channel that is not announced is found only by the `r` field of BOLT 11, which tells strangers
that it exists.  So hints are as few as Core Lightning's, and for the same channels.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from wallet.base.errors import Refused
from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import ZERO_MSAT, MilliSatoshi, sum_msat
from wallet.base.values.ids import ShortChannelId

MAX_HINTS: Final = 5
"""Each makes the invoice 84 characters longer."""


@dataclass(frozen=True, slots=True)
class InboundChannel:
    """A channel that is ready, as far as a payer is concerned."""

    names: frozenset[ShortChannelId]
    """All that we, the peer and the chain call it."""
    hint: HintHop | None
    """None: the peer has not said what it asks for a forward."""
    receivable: MilliSatoshi
    private: bool
    connected: bool
    dead_end: bool = False
    """Nobody could reach the peer: it has no other announced channel."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Which channels may become hints.

    `private` None: those that are not announced, if none is; `only` names the candidates, announced
    or not, and then nothing else is one.
    """

    private: bool | None = None
    only: tuple[ShortChannelId, ...] | None = None


BY_DEFAULT: Final = Exposure()


@dataclass(frozen=True, slots=True)
class Reach:
    """The hints for an invoice, and Core Lightning's warnings by their names."""

    hints: tuple[tuple[HintHop, ...], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


def reach(
    channels: Iterable[InboundChannel], amount: MilliSatoshi | None, exposure: Exposure
) -> Reach:
    """How an invoice for `amount` (None: any) can be paid. Raises `Refused` 902."""
    ready = tuple(channels)
    hinted = _candidates(ready, exposure)
    wanted = amount or MilliSatoshi(1)
    useful = [c for c in hinted if c.connected and (exposure.only is not None or not c.dead_end)]
    return Reach(_hints(useful, wanted), tuple(_warnings(ready, hinted, wanted, exposure)))


def _candidates(
    ready: tuple[InboundChannel, ...], exposure: Exposure
) -> tuple[InboundChannel, ...]:
    """The channels that may be told to strangers."""
    if exposure.only is not None:
        named = tuple(c for c in ready if not c.names.isdisjoint(exposure.only))
        if exposure.only and not any(c.hint for c in named):
            raise Refused(
                "None of those hints were suitable local channels: a hint is for a channel that is"
                " ready and whose peer has told its fees",
                902,
            )
        return named
    hidden = all(c.private for c in ready) if exposure.private is None else exposure.private
    return tuple(c for c in ready if c.private and hidden)


def _hints(
    useful: Iterable[InboundChannel], wanted: MilliSatoshi
) -> tuple[tuple[HintHop, ...], ...]:
    """The fewest hints that can bring the amount, or as much of it as they can."""
    found: list[tuple[HintHop, ...]] = []
    room = ZERO_MSAT
    for channel in sorted(useful, key=lambda c: c.receivable, reverse=True):
        if room >= wanted or len(found) == MAX_HINTS or not channel.receivable:
            break
        if channel.hint is not None:
            found.append((channel.hint,))
            room = room + channel.receivable
    return tuple(found)


def _warnings(
    ready: tuple[InboundChannel, ...],
    hinted: tuple[InboundChannel, ...],
    wanted: MilliSatoshi,
    exposure: Exposure,
) -> Iterable[tuple[str, str]]:
    by_name = exposure.only is not None
    # What takes a channel from a payer, in the order in which it is looked at.
    reasons: tuple[tuple[str, str, Callable[[InboundChannel], bool]], ...] = (
        (
            "warning_offline",
            "are with peers that are not connected",
            lambda c: not c.connected,
        ),
        (
            "warning_deadends",
            "are with peers that nobody else can reach",
            lambda c: c.dead_end and not (by_name and c in hinted),
        ),
        (
            "warning_private_unused",
            "are not announced and not in the invoice (`exposeprivatechannels`)",
            lambda c: c.private and c not in hinted,
        ),
    )
    usable = [c for c in ready if not any(holds(c) for _, _, holds in reasons)]
    room = sum_msat([c.receivable for c in usable])
    everything = sum_msat([c.receivable for c in ready])
    if everything < wanted:
        yield (
            "warning_capacity",
            f"Your channels can receive {everything} now, which is too little.",
        )
    elif room < wanted:
        for name, words, holds in reasons:
            lost = sum_msat([c.receivable for c in ready if holds(c)])
            if lost:
                yield name, f"Channels that could receive {lost} {words}: that leaves too little."
    elif max(c.receivable for c in usable) < wanted:
        yield "warning_mpp", "No single channel can receive this: a payer must send it in parts."
