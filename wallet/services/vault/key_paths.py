"""Where every key comes from. Frozen for ever: money is found again through these paths alone.

Rule 1: nothing here changes, paths are only added; tests/vectors/test_key_paths.py has the figures.
Rule 2: BIP 32 down to four roots, all of it hardened but the last two steps of an on-chain key.

    m / 84' / coin' / 0' / change / index     P2WPKH addresses (BIP 84)
    m / 86' / coin' / 0' / change / index     P2TR addresses (BIP 86)
    m / 9735' / coin' / 0'                    node key (BOLT 8, BOLT 11)
    m / 9735' / coin' / 1' / index'           `payment_basepoint`, index 0 to 999
    m / 9735' / coin' / 2'                    root of the channels' keys

`coin` is 0 on mainnet and 1 on every other chain (BIP 44).  A channel's keys are HKDF-SHA-256 of
that root (RFC 5869: salt `leyden/channel/1`, 32 bytes out) with these infos, where `keys_id` is the
channel's 16 random bytes and `n` the number of a funding in 4 bytes, big endian:

    "revocation/" keys_id    "delayed_payment/" keys_id    "htlc/" keys_id    "shachain/" keys_id
    "funding/" keys_id n

`keys_id` is random and never a counter: a counter restarts after a restore, and a new channel would
hand out per-commitment secrets that an old peer already knows.  The payment keys come from the seed
alone, so that `to_remote` of a channel closed by the peer is found by scanning, without any backup.
"""

from dataclasses import dataclass, field
from typing import Final

from wallet.base.bitcoin.chains import Chain
from wallet.base.crypto.curve import check_secret
from wallet.base.crypto.hashes import hkdf_sha256
from wallet.base.crypto.hd import HARDENED, ExtendedKey
from wallet.base.errors import ensure
from wallet.base.values.ids import KeysId, Secret

PAYMENT_KEYS: Final = 1_000
"""How many payment keys a seed has; scanning looks for all of them."""

PURPOSES: Final = (84, 86)
_LEYDEN: Final = 9735
_NODE, _PAYMENT, _CHANNELS = 0, 1, 2
_CHANNEL_SALT: Final = b"leyden/channel/1"


@dataclass(frozen=True, slots=True)
class ChannelSecrets:
    """The secrets of one channel that do not depend on a funding. Never shown."""

    revocation: Secret = field(repr=False)
    delayed_payment: Secret = field(repr=False)
    htlc: Secret = field(repr=False)
    shachain_seed: bytes = field(repr=False)


class KeyTree:
    """All keys of one seed (64 bytes, BIP 39) on one chain. Secrets only, no points."""

    __slots__ = ("_channels", "_payments", "_wallet", "node_secret")

    def __init__(self, seed: bytes, chain: Chain) -> None:
        master = ExtendedKey.from_seed(seed)
        coin = chain.coin_type | HARDENED
        ours = master.derive((_LEYDEN | HARDENED, coin))
        self._wallet = {
            purpose: master.derive((purpose | HARDENED, coin, 0 | HARDENED)) for purpose in PURPOSES
        }
        self._payments = ours.child(_PAYMENT | HARDENED)
        self._channels = ours.child(_CHANNELS | HARDENED).secret
        self.node_secret: Secret = ours.child(_NODE | HARDENED).secret

    def wallet_branch(self, purpose: int, change: int) -> ExtendedKey:
        """The parent of all receiving (`change` 0) or change (1) keys of BIP 84 or 86."""
        ensure(purpose in PURPOSES, f"no on-chain keys under purpose {purpose}")
        ensure(change in (0, 1), f"no on-chain keys under change {change}")
        return self._wallet[purpose].child(change)

    def payment_secret(self, index: int) -> Secret:
        """The secret of payment key `index`, 0 to 999."""
        ensure(0 <= index < PAYMENT_KEYS, f"there is no payment key {index}")
        return self._payments.child(index | HARDENED).secret

    def channel_secrets(self, keys_id: KeysId) -> ChannelSecrets:
        """The secrets of the channel with these 16 random bytes."""
        return ChannelSecrets(
            revocation=self._channel_key(b"revocation/", keys_id),
            delayed_payment=self._channel_key(b"delayed_payment/", keys_id),
            htlc=self._channel_key(b"htlc/", keys_id),
            shachain_seed=self._channel_key(b"shachain/", keys_id),
        )

    def funding_secret(self, keys_id: KeysId, funding_number: int) -> Secret:
        """The secret of our key in funding `funding_number` (0 first) of a channel."""
        return self._channel_key(b"funding/", keys_id, funding_number.to_bytes(4, "big"))

    def _channel_key(self, label: bytes, keys_id: KeysId, suffix: bytes = b"") -> Secret:
        ensure(len(keys_id) == 16, f"a keys_id has 16 bytes, not {len(keys_id)}")
        info = label + keys_id + suffix
        # Not a secret key once in 2**128: nobody will ever see this raise.
        return check_secret(hkdf_sha256(_CHANNEL_SALT, self._channels, info, 32))
