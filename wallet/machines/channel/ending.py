"""The end of a channel as the chain shows it: which transaction, and what of it is ours to take."""

from dataclasses import dataclass
from enum import StrEnum

from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import OutPoint, Txid


class SpendKind(StrEnum):
    """Which transaction spent the funding output."""

    MUTUAL = "mutual"
    OURS = "ours"
    THEIRS = "theirs"
    THEIR_NEXT = "their next"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sweep:
    """The transaction that we last sent to take an output: enough to build it again."""

    script_pubkey: bytes
    feerate: FeeratePerKw
    txid: Txid


@dataclass(frozen=True, slots=True)
class Claim:
    """An output of a commitment on chain that is ours to take."""

    outpoint: OutPoint
    amount: Satoshi
    kind: str
    """`to_local` or `to_remote`."""
    mature_at: int
    """First height at which a block may contain the claim."""
    sweep: Sweep | None = None
    resolved_by: Txid | None = None
    resolved_at: int | None = None


@dataclass(frozen=True, slots=True)
class OnChain:
    """The end of a channel as the chain shows it."""

    kind: SpendKind
    txid: Txid
    height: int
    commitment_number: int | None
    claims: tuple[Claim, ...] = ()

    @property
    def unclaimed(self) -> Satoshi:
        """What is ours to take and not yet taken by a transaction in a block."""
        return Satoshi(sum(c.amount.sat for c in self.claims if c.resolved_at is None))
