"""Closing transactions of `option_simple_close`: what is known of each that both have signed."""

from dataclasses import dataclass
from typing import Final

from wallet.base.channel_tx.simple_closing import ClosingOutputs
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import Signature


@dataclass(frozen=True, slots=True)
class Proposal:
    """A `closing_complete` of ours. Scripts stand here because the peer may change its own."""

    closer_script: bytes
    closee_script: bytes
    fee: Satoshi
    locktime: int


@dataclass(frozen=True, slots=True)
class CloseVersion:
    """A closing transaction with the peer's signature: enough to build and broadcast it again."""

    we_are_closer: bool
    closer_script: bytes
    closee_script: bytes
    fee: Satoshi
    locktime: int
    outputs: ClosingOutputs
    their_signature: Signature


@dataclass(frozen=True, slots=True)
class SimpleClose:
    """How far a simple close has come. Whichever version a block holds, the channel has ended."""

    highest_fee: Satoshi | None = None
    """The most that we have offered as closer: we never offer less afterwards."""
    offered_height: int | None = None
    """Height of our last offer; None: another one may follow at once."""
    ours: CloseVersion | None = None
    """The latest in which we pay the fee."""
    theirs: CloseVersion | None = None
    """The latest in which they do."""

    @property
    def versions(self) -> tuple[CloseVersion, ...]:
        """What can be broadcast, the least fee first: each may replace the one before."""
        known = [v for v in (self.ours, self.theirs) if v is not None]
        return tuple(sorted(known, key=lambda v: v.fee.sat))


NO_VERSION: Final = SimpleClose()
