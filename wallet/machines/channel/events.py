"""Everything that can happen to a channel. This and `actions.py` are its whole border."""

from dataclasses import dataclass
from typing import TypeAlias

from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import OutPoint, PaymentHash, Preimage, Txid
from wallet.base.wire.message import Message
from wallet.machines.channel.htlc import Split
from wallet.machines.channel.state import RelayPolicy
from wallet.machines.signing import ReleasedSecret


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """The peer is there and `init` was exchanged; `features` are those of its `init`."""

    features: bytes | None = None
    """None: as before."""


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The connection is gone."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message of the peer that names this channel (or all of them)."""

    message: Message


@dataclass(frozen=True, slots=True)
class OfferHtlc:
    """Ask to add an HTLC. Raises `Refused` when it cannot be."""

    amount: MilliSatoshi
    payment_hash: PaymentHash
    cltv_expiry: CltvExpiry
    onion: bytes


@dataclass(frozen=True, slots=True)
class FulfillHtlc:
    """Give the preimage for an HTLC they offered."""

    id: int
    preimage: Preimage


@dataclass(frozen=True, slots=True)
class FailHtlc:
    """Give back an HTLC they offered; `reason` is BOLT 4's encrypted failure."""

    id: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class FailMalformedHtlc:
    """Give back an HTLC whose onion could not be read."""

    id: int
    sha256_of_onion: bytes
    failure_code: int


@dataclass(frozen=True, slots=True)
class ChangeFeerate:
    """Ask for another fee rate of the commitments (only the opener may)."""

    feerate: FeeratePerKw


@dataclass(frozen=True, slots=True)
class ChangeRelay:
    """Ask other terms of payments that leave through this channel. Raises `Refused` at its end."""

    relay: RelayPolicy


@dataclass(frozen=True, slots=True)
class Flush:
    """End of a batch: commit what has gathered, and say what may now be said."""


@dataclass(frozen=True, slots=True)
class SecretReleased:
    """The signer's answer to `Release`: our previous commitment is revoked from here on."""

    released: ReleasedSecret


@dataclass(frozen=True, slots=True)
class ProofChecked:
    """The answer to `CheckProof`: whether the secret they showed is that of our commitment."""

    number: int
    genuine: bool


@dataclass(frozen=True, slots=True)
class CloseMutually:
    """Ask for a cooperative close that pays us to `script_pubkey` (None: where we said at open).

    `feerates` are the least and the greatest that we may agree to (None: about the estimate).
    """

    script_pubkey: bytes | None
    feerates: tuple[FeeratePerKw, FeeratePerKw] | None


@dataclass(frozen=True, slots=True)
class CloseUnilaterally:
    """Ask to broadcast our commitment."""

    reason: str


@dataclass(frozen=True, slots=True)
class FundingConfirmed:
    """The funding transaction is in a block of the best chain."""

    height: int
    tx_index: int
    tx: Transaction


@dataclass(frozen=True, slots=True)
class FundingUnconfirmed:
    """A reorganisation took the funding transaction out of the best chain."""


@dataclass(frozen=True, slots=True)
class FundingSought:
    """At the tip of `height`, whether the backend has the funding in a block or its mempool.

    `rival` is a transaction of that very block that spends what the funding spends.
    """

    height: int
    found: bool
    rival: Txid | None = None


@dataclass(frozen=True, slots=True)
class FundingSpent:
    """A transaction in a block spends the funding output.

    `recalled` is what it holds, if it looks like a commitment that the peer has revoked.
    """

    tx: Transaction
    height: int
    recalled: Split | None = None


@dataclass(frozen=True, slots=True)
class FundingUnspent:
    """A reorganisation took the spending transaction out of the best chain."""


@dataclass(frozen=True, slots=True)
class ClaimSpent:
    """A transaction in a block spends an output that the channel watches."""

    txid: Txid
    index: int
    tx: Transaction
    height: int


@dataclass(frozen=True, slots=True)
class ClaimUnspent:
    """A reorganisation took that spend out of the best chain."""

    txid: Txid
    index: int


@dataclass(frozen=True, slots=True)
class ClaimFunded:
    """The wallet has paid for a claim's transaction, as `FundHtlc` asked; it is on its way."""

    outpoint: OutPoint
    script_pubkey: bytes
    feerate: FeeratePerKw
    txid: Txid
    height: int


@dataclass(frozen=True, slots=True)
class BumpMade:
    """The wallet has made the child that `FundCommitment` asked for."""

    feerate: FeeratePerKw
    txid: Txid
    height: int


@dataclass(frozen=True, slots=True)
class NewTip:
    """The best chain has another tip (`Context.height`). `sweep_to` is a wallet script.

    `latest`: no later block is known.  One that is passed by, in a reorganisation or after an
    absence, has given nothing of ours a chance: no fee is raised for it.
    """

    sweep_to: bytes
    latest: bool = True


Event: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | MessageReceived
    | OfferHtlc
    | FulfillHtlc
    | FailHtlc
    | FailMalformedHtlc
    | ChangeFeerate
    | ChangeRelay
    | Flush
    | SecretReleased
    | ProofChecked
    | CloseMutually
    | CloseUnilaterally
    | FundingConfirmed
    | FundingUnconfirmed
    | FundingSought
    | FundingSpent
    | FundingUnspent
    | ClaimSpent
    | ClaimUnspent
    | ClaimFunded
    | BumpMade
    | NewTip
)
