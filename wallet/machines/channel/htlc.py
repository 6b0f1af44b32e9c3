"""An HTLC as a row of the table, how it was answered, and what a commitment holds of the table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from wallet.base.values.amounts import ZERO_SAT, FeeratePerKw, MilliSatoshi, Satoshi, sum_sat
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import PaymentHash, Point, Preimage
from wallet.machines.channel.htlc_stages import Stage


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """An HTLC was paid for with its preimage."""

    preimage: Preimage


@dataclass(frozen=True, slots=True)
class Failed:
    """An HTLC was given back; `reason` is BOLT 4's encrypted failure."""

    reason: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """An HTLC was given back because its onion could not be read (BOLT 2)."""

    sha256_of_onion: bytes
    failure_code: int


Removal: TypeAlias = Fulfilled | Failed | Malformed


@dataclass(frozen=True, slots=True)
class HtlcKey:
    """Ids count separately for each direction."""

    offered_by_us: bool
    id: int


@dataclass(frozen=True, slots=True)
class CommitmentRange:
    """First and last commitment number of one side that holds an HTLC; None: not yet, or still."""

    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Htlc:
    """One row of the table."""

    key: HtlcKey
    amount: MilliSatoshi
    payment_hash: PaymentHash
    cltv_expiry: CltvExpiry
    onion: bytes
    """1,366 bytes; empty once peeled or irrevocably sent."""
    stage: Stage
    path_key: Point | None = None
    """Of `update_add_htlc`, inside a blinded route (BOLT 4)."""
    removal: Removal | None = None
    in_ours: CommitmentRange = CommitmentRange()
    in_theirs: CommitmentRange = CommitmentRange()


@dataclass(frozen=True, slots=True)
class LetGo:
    """HTLCs that were not worth closing the channel for.

    `total`: what they were worth, all that there ever were.  `htlcs`: those of them that the
    channel still has, so that none counts twice when a reorganisation repeats its block.
    """

    total: Satoshi = ZERO_SAT
    htlcs: tuple[HtlcKey, ...] = ()

    def with_more(self, more: Sequence[Htlc], living: Collection[HtlcKey]) -> "LetGo":
        """These count from now on; of those before, what still lives is remembered."""
        new = sum_sat([htlc.amount.floor_to_sat() for htlc in more])
        known = (*self.htlcs, *(htlc.key for htlc in more))
        return LetGo(self.total + new, tuple(key for key in known if key in living))


NOTHING_LET_GO: Final = LetGo()


@dataclass(frozen=True, slots=True)
class Split:
    """How one commitment divides a funding, before fee and anchors."""

    to_us: MilliSatoshi
    to_them: MilliSatoshi
    feerate: FeeratePerKw
    htlcs: tuple[Htlc, ...]
