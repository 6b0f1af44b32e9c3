"""Everything a channel may ask for. Actions are promises that the state already contains."""

from dataclasses import dataclass
from typing import TypeAlias

from wallet.base.channel_tx.claims import Anchored
from wallet.base.channel_tx.commitment import HtlcTransaction
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.ids import OutPoint, Preimage, Secret, Signature, Txid
from wallet.base.wire.message import Message
from wallet.machines.channel.ending import ClaimKind
from wallet.machines.channel.htlc import Htlc, Removal
from wallet.machines.channel.state import Phase
from wallet.machines.signing import FundingKey, HtlcKey, ReleaseSecret, SignDigest, UnsignedTx


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
    """Give a transaction to the chain; `kind` is a word for people and tests.

    `child` is a transaction of the wallet that pays for it: both are offered as one package.
    """

    transaction: UnsignedTx
    kind: str
    child: Txid | None = None


@dataclass(frozen=True, slots=True)
class CloseSigned:
    """Both have signed a closing transaction, or one that pays more than the one before."""

    txid: Txid
    fee: Satoshi
    we_pay: bool


@dataclass(frozen=True, slots=True)
class FundHtlc:
    """Pay for an HTLC transaction of our commitment from the wallet; answered by `ClaimFunded`.

    Without coins nothing is answered: the next block asks again.  Never above `most`.
    """

    outpoint: OutPoint
    kind: ClaimKind
    htlc: HtlcTransaction
    their_signature: Signature
    key: HtlcKey
    preimage: Preimage | None
    feerate: FeeratePerKw
    most: Satoshi
    replaces: Txid | None


@dataclass(frozen=True, slots=True)
class FundCommitment:
    """Make a child of our commitment that pays for both; answered by `BumpMade`.

    `feerate` is for both together.
    """

    commitment: Anchored
    key: FundingKey
    feerate: FeeratePerKw
    most: Satoshi
    replaces: Txid | None


@dataclass(frozen=True, slots=True)
class ForgetBump:
    """That spends an output which is not there and may never be: the wallet's coins in it are free.

    Of a child of our commitment, or of an HTLC transaction.
    """

    txid: Txid


@dataclass(frozen=True, slots=True)
class HtlcLapsed:
    """An HTLC of ours will not be paid: the chain has given it back, or nobody fights for it.

    A failure may go upstream now.  Its row stays: the commitment on chain is built from it.
    """

    htlc: Htlc


@dataclass(frozen=True, slots=True)
class LossAccepted:
    """An HTLC is at risk, and fighting for it would cost more than it is worth."""

    htlc: Htlc
    cost: Satoshi


@dataclass(frozen=True, slots=True)
class HtlcLost:
    """An HTLC whose preimage we had: the peer took it back on chain before our claim was mined."""

    htlc: Htlc


@dataclass(frozen=True, slots=True)
class FundingLost:
    """The funding counts as double-spent: what came in over the channel is not paid.

    `message` says what happened, where the money is and what to do.
    """

    message: str


@dataclass(frozen=True, slots=True)
class FundingBack:
    """The funding that was lost is found again."""


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
    | FundHtlc
    | FundCommitment
    | ForgetBump
    | HtlcLapsed
    | LossAccepted
    | HtlcLost
    | CloseSigned
    | FundingLost
    | FundingBack
    | Watch
    | HtlcOffered
    | HtlcCommitted
    | HtlcFulfilled
    | HtlcGone
    | TheirCommitmentSigned
    | PhaseChanged
    | Announced
)
