"""The `Signer` port with keys in this process's memory.

Curve operations are what a payment costs most: a request costs one (a signature, an ECDH or the
next per-commitment point), plus three base points the first time a channel is used.  Nonces are
RFC 6979 (ECDSA) or BIP 340 with no auxiliary randomness: the same request has the same answer,
which `resume` and replay rely on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from wallet.base.bitcoin.chains import Chain
from wallet.base.bitcoin.script import p2tr, p2wpkh
from wallet.base.channel_tx.keys import Basepoints, derive_revocation_secret, derive_secret
from wallet.base.crypto.curve import (
    add_secrets,
    ecdh,
    negate_secret,
    point_of,
    sign,
    sign_recoverable,
    sign_schnorr,
    tweak_point,
)
from wallet.base.crypto.hashes import tagged_hash
from wallet.base.crypto.hd import ExtendedKey
from wallet.base.crypto.shachain import FIRST_INDEX, secret_at
from wallet.base.values.ids import KeysId, NodeId, Point, Secret, Signature
from wallet.machines.signing import (
    ChannelKeys,
    DelayedKey,
    DeriveChannel,
    DerivePoint,
    DerivePubkey,
    Ecdh,
    FundingKey,
    HtlcKey,
    KeyAnswer,
    KeyRef,
    KeyRequest,
    NodeKey,
    PaymentKey,
    RecoverableSignature,
    ReleasedSecret,
    ReleaseSecret,
    RevocationKey,
    SignDigest,
    SignInvoice,
    WalletKey,
)
from wallet.services.vault.key_paths import ChannelSecrets, KeyTree

_CHANNELS_KEPT: Final = 4_096
_KEYS_KEPT: Final = 8_192


@dataclass(frozen=True, slots=True)
class _Channel:
    """What is kept of a channel between requests: its secrets and the points of three of them."""

    secrets: ChannelSecrets = field(repr=False)
    revocation: Point
    delayed_payment: Point
    htlc: Point


class LocalSigner:
    """Answers `KeyRequest`s from a BIP 39 seed (64 bytes) held in memory. Has no readable repr."""

    def __init__(self, seed: bytes, chain: Chain) -> None:
        self._tree = KeyTree(seed, chain)
        self._node_id = NodeId(point_of(self._tree.node_secret))
        self._branches: dict[tuple[int, int], ExtendedKey] = {}
        self._channel = lru_cache(_CHANNELS_KEPT)(self._derive_channel)
        self._funding_secret = lru_cache(_KEYS_KEPT)(self._tree.funding_secret)
        self._payment_secret = lru_cache(_KEYS_KEPT)(self._tree.payment_secret)
        # A secret is used twice: for the point of number + 2, and later to be released.
        self._per_commitment_secret = lru_cache(_KEYS_KEPT)(self._derive_per_commitment_secret)
        self._per_commitment_point = lru_cache(_KEYS_KEPT)(self._derive_per_commitment_point)
        self._wallet_secret = lru_cache(_KEYS_KEPT)(self._derive_wallet_secret)
        self._wallet_pubkey = lru_cache(_KEYS_KEPT)(self._derive_wallet_pubkey)

    @property
    def node_id(self) -> NodeId:
        """Our node's public key."""
        return self._node_id

    def answer(self, requests: Sequence[KeyRequest]) -> list[KeyAnswer]:
        """Answer each request, in order."""
        return [self._answer(request) for request in requests]

    def node_ecdh(self, point: Point) -> bytes:
        """SHA-256 of node secret times `point`, 32 bytes (BOLT 4, BOLT 8)."""
        return ecdh(point, self._tree.node_secret)

    def payment_point(self, index: int) -> Point:
        """Payment key `index`, 0 to 999: what a peer's commitment pays us to (BOLT 3)."""
        return point_of(self._payment_secret(index))

    def wallet_script(self, purpose: int, change: int, index: int) -> bytes:
        """`script_pubkey` of an on-chain key: P2WPKH for purpose 84, P2TR for purpose 86."""
        pubkey = self.wallet_pubkey(purpose, change, index)
        return p2wpkh(pubkey) if purpose == 84 else p2tr(pubkey[1:])

    def wallet_pubkey(self, purpose: int, change: int, index: int) -> Point:
        """What an address shows of an on-chain key: for purpose 86 the output key, tweaked."""
        return self._wallet_pubkey(purpose, change, index)

    def _answer(self, request: KeyRequest) -> KeyAnswer:
        match request:
            case SignDigest(key, digest):
                if isinstance(key, WalletKey) and key.purpose == 86:
                    return Signature(sign_schnorr(self._secret(key), digest))
                return sign(self._secret(key), digest)
            case SignInvoice(digest):
                return RecoverableSignature(*sign_recoverable(self._tree.node_secret, digest))
            case Ecdh(point):
                return self.node_ecdh(point)
            case DeriveChannel(keys_id, payment_index):
                return self._channel_keys(keys_id, payment_index)
            case ReleaseSecret(keys_id, number):
                return ReleasedSecret(
                    secret=self._per_commitment_secret(keys_id, number),
                    point=self._per_commitment_point(keys_id, number),
                    next_point=self._per_commitment_point(keys_id, number + 2),
                )
            case DerivePoint():
                return self._per_commitment_point(request.keys_id, request.number)
            case DerivePubkey(WalletKey(purpose, change, index)):
                return self.wallet_pubkey(purpose, change, index)

    def _secret(self, key: KeyRef) -> Secret:
        match key:
            case FundingKey(keys_id, funding_number):
                return self._funding_secret(keys_id, funding_number)
            case HtlcKey(keys_id, per_commitment_point):
                kept = self._channel(keys_id)
                return derive_secret(kept.secrets.htlc, per_commitment_point, kept.htlc)
            case DelayedKey(keys_id, per_commitment_point):
                kept = self._channel(keys_id)
                return derive_secret(
                    kept.secrets.delayed_payment, per_commitment_point, kept.delayed_payment
                )
            case RevocationKey(keys_id, per_commitment_secret):
                secrets = self._channel(keys_id).secrets
                return derive_revocation_secret(secrets.revocation, per_commitment_secret)
            case PaymentKey(index):
                return self._payment_secret(index)
            case WalletKey(purpose, change, index):
                return self._wallet_secret(purpose, change, index)
            case NodeKey():
                return self._tree.node_secret

    def _channel_keys(self, keys_id: KeysId, payment_index: int) -> ChannelKeys:
        kept = self._channel(keys_id)
        first, second = (self._per_commitment_point(keys_id, n) for n in (0, 1))
        return ChannelKeys(
            basepoints=Basepoints(
                revocation=kept.revocation,
                payment=self.payment_point(payment_index),
                delayed_payment=kept.delayed_payment,
                htlc=kept.htlc,
            ),
            funding_pubkey=point_of(self._funding_secret(keys_id, 0)),
            first_points=(first, second),
            node_id=self._node_id,
        )

    def _derive_per_commitment_point(self, keys_id: KeysId, number: int) -> Point:
        return point_of(self._per_commitment_secret(keys_id, number))

    def _derive_per_commitment_secret(self, keys_id: KeysId, number: int) -> Secret:
        # BOLT 3: commitment 0 uses the first secret, and indexes count down.
        return secret_at(self._channel(keys_id).secrets.shachain_seed, FIRST_INDEX - number)

    def _derive_channel(self, keys_id: KeysId) -> _Channel:
        secrets = self._tree.channel_secrets(keys_id)
        return _Channel(
            secrets=secrets,
            revocation=point_of(secrets.revocation),
            delayed_payment=point_of(secrets.delayed_payment),
            htlc=point_of(secrets.htlc),
        )

    def _branch_secret(self, purpose: int, change: int, index: int) -> Secret:
        branch = self._branches.get((purpose, change))
        if branch is None:
            branch = self._branches[purpose, change] = self._tree.wallet_branch(purpose, change)
        return branch.child(index).secret

    def _derive_wallet_secret(self, purpose: int, change: int, index: int) -> Secret:
        """The secret that signs: for purpose 86 with the BIP 341 key-path tweak applied."""
        secret = self._branch_secret(purpose, change, index)
        if purpose == 84:
            return secret
        internal = point_of(secret)
        if internal[0] == 3:  # BIP 340: an x-only key stands for the point with even y.
            secret = negate_secret(secret)
        return add_secrets(secret, _key_path_tweak(internal))

    def _derive_wallet_pubkey(self, purpose: int, change: int, index: int) -> Point:
        pubkey = point_of(self._branch_secret(purpose, change, index))
        if purpose == 84:
            return pubkey
        return tweak_point(b"\x02" + pubkey[1:], _key_path_tweak(pubkey))


def _key_path_tweak(internal: Point) -> bytes:
    """BIP 86: there is no script tree, so the tweak commits to the internal key alone (BIP 341)."""
    return tagged_hash("TapTweak", internal[1:])
