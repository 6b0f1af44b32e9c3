"""What a part that came back teaches about the map: which way not to try again, and for how long.

A failure carries no `channel_update` that we would believe: applying one would let every node of a
route find out who pays (BOLT 4).  So terms that were wrong are left alone for a while, until gossip
has better ones.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.values.ids import NodeId
from wallet.base.wire.failures import BADONION, NODE, PERM, TemporaryChannelFailure
from wallet.machines.payments.records import Hop, Part, Payment

SECONDS_FOREVER: Final = 3_600
"""A failure that BOLT 4 calls permanent; nothing on a network is."""
SECONDS_WRONG_TERMS: Final = 300
SECONDS_TROUBLE: Final = 60


Closed = frozenset[tuple[int, int] | NodeId]


@dataclass(frozen=True, slots=True)
class TooMuch:
    """This channel direction did not carry the hop's amount."""

    hop: Hop


@dataclass(frozen=True, slots=True)
class AvoidChannel:
    """Leave this channel direction alone."""

    hop: Hop
    seconds: int


@dataclass(frozen=True, slots=True)
class AvoidNode:
    """Leave this node alone, but as a payee."""

    node_id: NodeId
    seconds: int


Lesson = TooMuch | AvoidChannel | AvoidNode


def lessons(part: Part) -> tuple[Lesson, ...]:
    """What to remember of a failed part; nothing when the payee itself, or nobody, said why."""
    failure = part.failure
    if failure is None or part.htlc_id is None:
        return ()
    if failure.hop is None:
        # Somebody on the way garbles failures, and nobody can be held to it: all look bad a little.
        return tuple(TooMuch(hop) for hop in part.hops[1:])
    if failure.hop >= len(part.hops) - 1:
        return ()
    reporter, behind = part.hops[failure.hop], part.hops[failure.hop + 1]
    code = failure.code
    seconds = SECONDS_FOREVER if code & PERM else SECONDS_TROUBLE
    if code == TemporaryChannelFailure.CODE:
        return (TooMuch(behind),)
    if code & BADONION:
        return (AvoidChannel(behind, seconds),)
    if code & NODE:
        return (AvoidNode(reporter.node_id, seconds),)
    return (AvoidChannel(behind, seconds if code & PERM else SECONDS_WRONG_TERMS),)


def closed_by(payment: Payment) -> Closed:
    """What this payment has found closed itself, as a search leaves it out."""
    found: set[tuple[int, int] | NodeId] = set()
    for part in payment.parts:
        for lesson in lessons(part):
            if isinstance(lesson, AvoidNode):
                found.add(lesson.node_id)
            else:
                found.add((lesson.hop.scid.to_int(), lesson.hop.direction))
    return frozenset(found)
