"""Parts of a payment that wait for the rest of it (BOLT 4, "Basic Multi-Part Payments").

Rule 1: a set is kept in memory only.  Its HTLCs are rows of their channels' tables, and after a
restart each is answered anew; the minute of waiting begins again.
Rule 2: whatever ends a set ends all of it: the preimage opens every part, so one part that was
fulfilled alone would let the nodes on the way take the others.
Rule 3: a set is bounded, and so are all of them together: each part takes one of the HTLCs that
our channels accept.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from wallet.base.onion.returns import create_failure
from wallet.base.values.amounts import MilliSatoshi, sum_msat
from wallet.base.values.blocks import CltvDelta, CltvExpiry
from wallet.base.values.ids import ChannelId
from wallet.base.wire.failures import Failure, IncorrectOrUnknownPaymentDetails, MppTimeout
from wallet.machines.step import Context

CLAIM_BLOCKS: Final = CltvDelta(18)
"""BOLT 2: blocks that an HTLC must have left for a claim on chain (2R+G+S, R=2, G=2, S=12)."""
HOLD_SECONDS: Final = 60
"""BOLT 4: SHOULD wait for at least 60 seconds after the initial HTLC."""
MAX_PARTS: Final = 500
"""More than anybody needs; each new part is looked at together with all before it."""


@dataclass(frozen=True, slots=True)
class HeldPart:
    """An HTLC that has come in for a payment."""

    channel_id: ChannelId
    htlc_id: int
    amount: MilliSatoshi
    """What the HTLC holds; `amt_to_forward` is what its origin wanted to arrive, perhaps less."""
    amt_to_forward: MilliSatoshi
    cltv_expiry: CltvExpiry
    shared_secret: bytes
    """Seals a failure for the origin."""
    received_at: int


@dataclass(frozen=True, slots=True)
class Removal:
    """Give an HTLC back; `reason` is sealed for the origin."""

    channel_id: ChannelId
    htlc_id: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class HeldSet:
    """What has arrived of one payment."""

    total_msat: MilliSatoshi
    """What the origin promises with every part."""
    begun_at: int
    parts: tuple[HeldPart, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the promise is kept."""
        return sum_msat([part.amt_to_forward for part in self.parts]) >= self.total_msat

    def with_part(self, part: HeldPart) -> "HeldSet":
        """The set with one part more; one that is in it already is replaced."""
        return replace(self, parts=(*self.keeping(lambda p: not _same(p, part)).parts, part))

    def keeping(self, wanted: Callable[[HeldPart], bool]) -> "HeldSet":
        """The set without the parts that are not wanted."""
        return replace(self, parts=tuple(part for part in self.parts if wanted(part)))

    def is_over(self, ctx: Context) -> bool:
        """Whether the rest is too late, or too small, or a part too near its end for a claim."""
        # Clocks are read in whole seconds: a difference of 60 may be less than a minute.
        if ctx.now - self.begun_at > HOLD_SECONDS or len(self.parts) > MAX_PARTS:
            return True
        return any(part.cltv_expiry - ctx.height < CLAIM_BLOCKS for part in self.parts)


def _same(one: HeldPart, other: HeldPart) -> bool:
    return (one.channel_id, one.htlc_id) == (other.channel_id, other.htlc_id)


def timed_out(held: HeldSet) -> tuple[Removal, ...]:
    """All parts of a set that is over. BOLT 4: SHOULD use `mpp_timeout`."""
    return tuple(_removal(part, MppTimeout()) for part in held.parts)


def refused(held: HeldSet, ctx: Context) -> tuple[Removal, ...]:
    """All parts of a set that we do not want: trying again is useless."""
    return tuple(
        _removal(part, IncorrectOrUnknownPaymentDetails(part.amount, ctx.height))
        for part in held.parts
    )


def _removal(part: HeldPart, failure: Failure) -> Removal:
    return Removal(part.channel_id, part.htlc_id, create_failure(part.shared_secret, failure))
