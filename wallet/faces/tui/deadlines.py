"""Deadlines in words: payments inside a channel, and money that waits on chain.

Blocks are counted from the tip that the screens show, so `140 blocks` reaches the height beside it.
"""

from collections.abc import Iterable
from typing import Final

from wallet.faces.tui.court import Timelock
from wallet.faces.tui.facts import ChannelFacts, Inside
from wallet.faces.tui.units import Money
from wallet.faces.tui.words import blocks, lasts

SOON: Final = 18
"""Blocks before a deadline at which a person should know of it: BOLT 2's time to act."""

_LOCKED: Final = "your {amount} are locked for {left}"
_TAKEN: Final = "your {amount} are on their way to your coins"
_CLAIMS: Final = {
    "to_local": (_LOCKED, _TAKEN),
    "to_remote": (_LOCKED, _TAKEN),
    "HTLC-timeout": (
        "{amount} you were sending come back in {left}, if unpaid",
        "{amount} you were sending are on their way back to your coins",
    ),
    "HTLC-success": (
        "{amount} sent to you can be taken in {left}, with the proof",
        "{amount} sent to you are yours to take, with the proof",
    ),
    "penalty": (
        "{amount} of the cheat's are yours in {left}",
        "{amount} of the cheat's are on their way to your coins",
    ),
}
_SAME: Final = {
    "expired HTLC": "HTLC-timeout",
    "HTLC by preimage": "HTLC-success",
    "HTLC penalty": "penalty",
}
"""Kinds of claims that are one to a person; by which transaction they are taken is not told."""
_LATE: Final = ("in {left} the peer may take {amount}", "the peer may take {amount} from now on")
_OTHER: Final = ("{amount} wait for {left}", "{amount} wait for a block")


def left(height: int, tip: int) -> int:
    """Blocks until then."""
    return max(0, height - tip)


def about(count: int) -> str:
    """`140 blocks, about 23 h`."""
    return f"{blocks(count)}, about {lasts(count)}"


def waits(line: Timelock, tip: int, money: Money, *, short: bool = False) -> str:
    """What money on chain waits for: `your 598,216 sat are locked for 5 more blocks`."""
    words = _LATE if line.late else _CLAIMS.get(_SAME.get(line.claim, line.claim), _OTHER)
    count = left(line.height, tip)
    more = f"{count} more block{'' if count == 1 else 's'}"
    time = more if short or not count else f"{more}, about {lasts(count)}"
    return words[not count].format(amount=money.shown(line.amount), left=time)


def nearest(docket: Iterable[Timelock]) -> Timelock | None:
    """The next that is to come: what may be lost is told where there is room for it."""
    return next((line for line in docket if not line.late), None)


def at_stake(docket: Iterable[Timelock]) -> int:
    """How many outputs are waited for."""
    return sum(not line.late for line in docket)


def returns(one: Inside, tip: int, *, short: bool = False) -> str:
    """When a payment inside a channel ends at the latest."""
    if one.expiry is None:
        return "it has no deadline that the node tells"
    count = left(one.expiry, tip)
    whose = "returns" if one.outgoing else "returns to them"
    if count:
        by = f"{whose} by block {one.expiry:,} if"
        return f"{by} unpaid (~{lasts(count)})" if short else f"{by} not settled: {about(count)}"
    if one.outgoing:
        return f"its time ended at block {one.expiry:,}: it is taken back on chain"
    return f"its time ended at block {one.expiry:,}: the peer may take it back"


def presses(channel: ChannelFacts, tip: int, money: Money) -> str:
    """What is said of a channel's peer when a deadline is near; empty when none is."""
    ends = [o for o in channel.inside if o.expiry is not None and left(o.expiry, tip) <= SOON]
    if not ends or not channel.living:
        return ""
    amount = money.shown(sum(one.amount for one in ends))
    count = left(ends[0].expiry or 0, tip)
    if not count:
        return f"has not settled {amount} in time: the chain decides"
    return f"has {blocks(count)} left to settle {amount}; then the chain decides"
