"""BOLT 3 per-commitment secrets: one seed gives 2**48 of them, 49 numbers remember all received.

Indexes count down from `FIRST_INDEX`.  A secret whose index ends in n zero bits gives all secrets
whose indexes differ from it in those bits only; so a receiver keeps one secret per count of zeros.
"""

from dataclasses import dataclass, field
from typing import Final, Self

from wallet.base.crypto.hashes import sha256
from wallet.base.errors import DecodeError, ensure
from wallet.base.values.ids import Secret

INDEX_BITS: Final = 48
FIRST_INDEX: Final = (1 << INDEX_BITS) - 1
"""BOLT 3: the first secret has index 281474976710655, the next ones count down."""


def _derive(base: bytes, bits: int, index: int) -> Secret:
    """BOLT 3 `derive_secret`: the secret of `index` from one that shares its bits above `bits`."""
    secret = base
    for bit in range(bits - 1, -1, -1):
        if index >> bit & 1:
            flipped = bytearray(secret)
            flipped[bit // 8] ^= 1 << bit % 8
            secret = sha256(bytes(flipped))
    return Secret(secret)


def secret_at(seed: bytes, index: int) -> Secret:
    """BOLT 3 `generate_from_seed`: the secret at `index` (0..2**48-1) of a 32-byte seed."""
    ensure(len(seed) == 32 and 0 <= index <= FIRST_INDEX, "no per-commitment secret there")
    return _derive(seed, INDEX_BITS, index)


def _trailing_zeros(index: int) -> int:
    """BOLT 3 `where_to_put_secret`."""
    return (index & -index).bit_length() - 1 if index else INDEX_BITS


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """One received secret and its index."""

    index: int
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shachain:
    """The secrets that a peer has revealed: at most 49, from which all earlier ones follow.

    `known[b]` has the latest index that ends in exactly `b` zero bits.
    """

    known: tuple[KnownSecret, ...] = ()

    @property
    def next_index(self) -> int:
        """The index that must be inserted next."""
        return min((k.index for k in self.known), default=FIRST_INDEX + 1) - 1

    def insert(self, index: int, secret: Secret) -> Self:
        """The store with one more secret; raises `DecodeError` if it is not of the peer's one seed.

        Secrets come in order: `index` is `next_index`, which is ours to know and not the peer's.
        """
        ensure(index == self.next_index, f"secret {self.next_index} comes next, not {index}")
        bucket = _trailing_zeros(index)
        for lower in self.known[:bucket]:
            # Without this check a peer could give secrets that we cannot derive again, and then
            # broadcast one of those commitments: we would be unable to punish it.
            if _derive(secret, bucket, lower.index) != lower.secret:
                raise DecodeError(f"secret {index} does not lead to secret {lower.index}")
        entry = KnownSecret(index, secret)
        return type(self)((*self.known[:bucket], entry, *self.known[bucket + 1 :]))

    def get(self, index: int) -> Secret | None:
        """The secret at `index`, or None if it has not been received."""
        for bits, known in enumerate(self.known):
            if index >> bits == known.index >> bits:
                return _derive(known.secret, bits, index)
        return None
