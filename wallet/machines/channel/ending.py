"""The end of a channel as the chain shows it: which transaction, and what of it is to be taken."""

from dataclasses import dataclass
from enum import StrEnum

from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import OutPoint, Txid
from wallet.machines.channel.htlc import HtlcKey, Split


class SpendKind(StrEnum):
    """Which transaction spent the funding output."""

    MUTUAL = "mutual"
    OURS = "ours"
    THEIRS = "theirs"
    THEIR_NEXT = "their next"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class ClaimKind(StrEnum):
    """How an output is taken (BOLT 5). The values are what people and tests read."""

    TO_LOCAL = "to_local"
    """Our own delayed output: of our commitment, or of our HTLC transaction."""
    TO_REMOTE = "to_remote"
    HTLC_TIMEOUT = "HTLC-timeout"
    """On our commitment: the transaction that the peer has signed; our coins pay its fee."""
    HTLC_SUCCESS = "HTLC-success"
    """Likewise, with the preimage."""
    EXPIRED = "expired HTLC"
    """On the peer's commitment, an HTLC that we offered."""
    PREIMAGE = "HTLC by preimage"
    """On the peer's commitment, an HTLC that it offered."""
    PENALTY = "penalty"
    """The cheat's delayed output: of its commitment, or of its HTLC transaction."""
    HTLC_PENALTY = "HTLC penalty"

    @property
    def is_funded(self) -> bool:
        """Whether coins of the wallet pay the fee, not the output itself."""
        return self in (ClaimKind.HTLC_TIMEOUT, ClaimKind.HTLC_SUCCESS)

    @property
    def wants_preimage(self) -> bool:
        """Whether it is ours only once we may show the preimage."""
        return self in (ClaimKind.HTLC_SUCCESS, ClaimKind.PREIMAGE)


@dataclass(frozen=True, slots=True)
class Sweep:
    """The transaction that we last sent to take an output: enough to build it again."""

    script_pubkey: bytes
    """Where it pays; of a funded claim the wallet remembers the transaction itself."""
    feerate: FeeratePerKw
    txid: Txid
    at: int = 0
    """Height of the tip when it was made: one bump a block at most."""


@dataclass(frozen=True, slots=True)
class Bump:
    """The child that pays for our commitment; the wallet remembers the transaction itself."""

    feerate: FeeratePerKw
    """Of commitment and child together."""
    txid: Txid
    at: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An output on chain that is ours to take, or to dispute."""

    outpoint: OutPoint
    amount: Satoshi
    kind: ClaimKind
    mature_at: int
    """First height at which a block may contain the claim."""
    sweep: Sweep | None = None
    resolved_by: Txid | None = None
    resolved_at: int | None = None
    htlc: HtlcKey | None = None
    deadline: int | None = None
    """Height from which the peer may take it instead."""


@dataclass(frozen=True, slots=True)
class OnChain:
    """The end of a channel as the chain shows it."""

    kind: SpendKind
    txid: Txid
    height: int
    commitment_number: int | None
    claims: tuple[Claim, ...] = ()
    recalled: Split | None = None
    """What a revoked commitment holds, from the rows that were written when it was signed."""
    failed_back: tuple[HtlcKey, ...] = ()
    """HTLCs of ours that were given up upstream: their end is deep enough."""

    @property
    def unclaimed(self) -> Satoshi:
        """What is ours to take and not yet taken by a transaction in a block.

        HTLCs that we offered count until the peer shows the preimage; those that it offered only
        once we have gone for them with theirs.
        """
        return Satoshi(
            sum(
                claim.amount.sat
                for claim in self.claims
                if claim.resolved_at is None
                and (claim.sweep is not None or not claim.kind.wants_preimage)
            )
        )
