"""Everything a channel may ask for. Actions are promises that the state already contains."""

from dataclasses import dataclass
from typing import TypeAlias

from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import OutPoint, Preimage, Secret
from wallet.base.wire.message import Message
from wallet.machines.channel.state import Htlc, Phase, Removal
from wallet.machines.signing import ReleaseSecret, SignDigest, UnsignedTx


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the peer; the signer's answers to `slots` fill its unsigned fields."""

    message: Message
    slots: tuple[SignDigest | ReleaseSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """Reveal the secret of our commitment `number` and get the next point: `SecretReleased`."""

    number: int


@dataclass(frozen=True, slots=True)
class CheckProof:
    """The peer shows a secret of our commitment `number`; answered by `ProofChecked`."""

    number: int
    shown: Secret


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection to the peer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Give a transaction to the chain; `kind` is a word for people and tests."""

    transaction: UnsignedTx
    kind: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell us when this output is spent."""

    outpoint: OutPoint


@dataclass(frozen=True, slots=True)
class HtlcOffered:
    """Our HTLC has its id."""

    htlc: Htlc


@dataclass(frozen=True, slots=True)
class HtlcCommitted:
    """Their HTLC is irrevocably committed on both sides: now it may be answered or forwarded."""

    htlc: Htlc


@dataclass(frozen=True, slots=True)
class HtlcFulfilled:
    """They gave the preimage for our HTLC. Goes upstream at once, even before it is committed."""

    htlc: Htlc
    preimage: Preimage


@dataclass(frozen=True, slots=True)
class HtlcGone:
    """An HTLC is out of every commitment that can be broadcast; a failure may go upstream now."""

    htlc: Htlc
    removal: Removal


@dataclass(frozen=True, slots=True)
class TheirCommitmentSigned:
    """We signed for them: what rebuilds that commitment byte for byte once it is revoked."""

    number: int
    funding_number: int
    to_us: MilliSatoshi
    to_them: MilliSatoshi
    feerate: FeeratePerKw


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """The channel went from one phase to the next."""

    old: Phase
    new: Phase
    message: str


@dataclass(frozen=True, slots=True)
class Announced:
    """Both halves of the proof are there: the network may hear of the channel.

    `announce.assemble` builds the `channel_announcement`.  Wished again after each start.
    """


Action: TypeAlias = (
    Send
    | Release
    | CheckProof
    | Disconnect
    | Broadcast
    | Watch
    | HtlcOffered
    | HtlcCommitted
    | HtlcFulfilled
    | HtlcGone
    | TheirCommitmentSigned
    | PhaseChanged
    | Announced
)
