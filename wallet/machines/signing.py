"""What machines ask of the holder of secrets, and what it answers.

Machines hold no secret. They name a key (`KeyRef`) and give the 32-byte digest to sign, or ask
for an ECDH, a channel's public keys or the release of a per-commitment secret.  The kernel hands
all requests of a batch to the `Signer` port at once, before the batch is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from wallet.base.bitcoin.sighash import script_signature
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx.keys import Basepoints
from wallet.base.values.ids import KeysId, NodeId, Point, Secret, Signature


@dataclass(frozen=True, slots=True)
class FundingKey:
    """Our key in a funding output: from seed, `keys_id` and the number of the funding (0 first)."""

    keys_id: KeysId
    funding_number: int


@dataclass(frozen=True, slots=True)
class HtlcKey:
    """BOLT 3 `htlcpubkey` of ours under a per-commitment point."""

    keys_id: KeysId
    per_commitment_point: Point


@dataclass(frozen=True, slots=True)
class DelayedKey:
    """BOLT 3 `local_delayedpubkey` under one of our own per-commitment points."""

    keys_id: KeysId
    per_commitment_point: Point


@dataclass(frozen=True, slots=True)
class RevocationKey:
    """BOLT 3 `revocationpubkey`, once the peer has given the secret of that commitment."""

    keys_id: KeysId
    per_commitment_secret: Secret


@dataclass(frozen=True, slots=True)
class PaymentKey:
    """`payment_basepoint`: one of 1,000 keys of the seed, so `to_remote` is found by scanning."""

    index: int


@dataclass(frozen=True, slots=True)
class WalletKey:
    """An on-chain key: BIP 84 (P2WPKH, ECDSA) or BIP 86 (P2TR, Schnorr with the BIP 341 tweak)."""

    purpose: int
    change: int
    index: int


@dataclass(frozen=True, slots=True)
class NodeKey:
    """The node's own key: what it says to the network is signed with it (BOLT 7)."""


KeyRef: TypeAlias = (
    FundingKey | HtlcKey | DelayedKey | RevocationKey | PaymentKey | WalletKey | NodeKey
)


@dataclass(frozen=True, slots=True)
class SignDigest:
    """Sign 32 bytes. Answer: `Signature`; ECDSA, or Schnorr for `WalletKey(86, …)`."""

    key: KeyRef
    digest: bytes


@dataclass(frozen=True, slots=True)
class SignInvoice:
    """Sign a BOLT 11 digest with the node key. Answer: `RecoverableSignature`."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class Ecdh:
    """SHA-256 of node secret times `point` (BOLT 4). Answer: 32 bytes."""

    point: Point


@dataclass(frozen=True, slots=True)
class DeriveChannel:
    """The public keys of a new channel. Answer: `ChannelKeys`."""

    keys_id: KeysId
    payment_index: int


@dataclass(frozen=True, slots=True)
class ReleaseSecret:
    """Give away the secret of our commitment `number` (0 first): from here on it is revoked.

    Answer: `ReleasedSecret`.  Danger: broadcasting that commitment afterwards loses the channel.
    """

    keys_id: KeysId
    number: int


@dataclass(frozen=True, slots=True)
class DerivePubkey:
    """Public key of an on-chain address. Answer: 33 bytes; for BIP 86 the tweaked output key."""

    key: WalletKey


@dataclass(frozen=True, slots=True)
class DerivePoint:
    """The per-commitment point of our commitment `number`. Answer: `Point`. Reveals nothing."""

    keys_id: KeysId
    number: int


KeyRequest: TypeAlias = (
    DerivePoint | SignDigest | SignInvoice | Ecdh | DeriveChannel | ReleaseSecret | DerivePubkey
)


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """A channel's public keys: basepoints, first funding key, per-commitment points 0 and 1.

    `node_id` is our own: an announcement names it beside the funding key.
    """

    basepoints: Basepoints
    funding_pubkey: Point
    first_points: tuple[Point, Point]
    node_id: NodeId


@dataclass(frozen=True, slots=True)
class ReleasedSecret:
    """The secret of commitment n and its point, and the point of commitment n + 2."""

    secret: Secret
    point: Point
    next_point: Point


@dataclass(frozen=True, slots=True)
class RecoverableSignature:
    """A 64-byte signature and its recovery id (BOLT 11)."""

    signature: Signature
    recovery_id: int


KeyAnswer: TypeAlias = Signature | RecoverableSignature | bytes | ChannelKeys | ReleasedSecret


class Slot(Enum):
    """Place of a signature in a witness, and the form it takes there."""

    DER_ALL = "DER, SIGHASH_ALL"
    SCHNORR = "BIP 340, default sighash"


@dataclass(frozen=True, slots=True)
class InputToSign:
    """What one input still needs: a digest signed by a key of ours, and the witness around it."""

    index: int
    request: SignDigest
    witness: tuple[bytes | Slot, ...]


@dataclass(frozen=True, slots=True)
class UnsignedTx:
    """A transaction whose listed inputs wait for our signatures; others are complete already."""

    tx: Transaction
    inputs: tuple[InputToSign, ...]

    def requests(self) -> tuple[SignDigest, ...]:
        """What to ask of the signer, in the order in which `finish` takes the answers."""
        return tuple(i.request for i in self.inputs)

    def finish(self, signatures: Sequence[Signature]) -> Transaction:
        """The signed transaction."""
        tx = self.tx
        for wanted, signature in zip(self.inputs, signatures, strict=True):
            tx = tx.with_witness(
                wanted.index, tuple(_place(item, signature) for item in wanted.witness)
            )
        return tx


def _place(item: bytes | Slot, signature: Signature) -> bytes:
    if item is Slot.DER_ALL:
        return script_signature(signature)
    return bytes(signature) if isinstance(item, Slot) else item
