"""Blocks and their headers as they travel: codec, hash and merkle root."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from wallet.base.bitcoin.transaction import (
    WITNESS_SCALE,
    Transaction,
    decode_varint,
    encode_varint,
)
from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import DecodeError
from wallet.base.values.ids import BlockHash

HEADER_SIZE: Final = 80

_HEADER: Final = struct.Struct("<i32s32sIII")


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """Root of the merkle tree over 32-byte hashes in wire order; an odd last one is doubled."""
    if not hashes:
        return bytes(32)
    level = list(hashes)
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        level = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return bytes(level[0])


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """The 80 bytes that proof of work covers. `time` in Unix seconds, `bits` the compact target."""

    version: int
    previous: BlockHash
    merkle_root: bytes
    time: int
    bits: int
    nonce: int

    def encode(self) -> bytes:
        """80 bytes."""
        return _HEADER.pack(
            self.version, self.previous, self.merkle_root, self.time, self.bits, self.nonce
        )

    @property
    def hash(self) -> BlockHash:
        """Hash of the block in wire order."""
        return BlockHash(sha256d(self.encode()))

    @property
    def target(self) -> int:
        """What the hash, read as little endian, must not exceed; 0 if `bits` is absurd."""
        exponent, mantissa = self.bits >> 24, self.bits & 0x7FFFFF
        if self.bits & 0x800000 or exponent > 34:
            return 0
        return mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)

    @property
    def has_work(self) -> bool:
        """Whether the hash meets the header's own target (says nothing about the right target)."""
        return int.from_bytes(self.hash, "little") <= self.target

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse exactly 80 bytes; raises `DecodeError`."""
        if len(data) != HEADER_SIZE:
            raise DecodeError(f"a block header has {HEADER_SIZE} bytes, not {len(data)}")
        version, previous, root, time, bits, nonce = _HEADER.unpack(data)
        return cls(version, BlockHash(previous), root, time, bits, nonce)


@dataclass(frozen=True, slots=True)
class Block:
    """A header and its transactions. Decoding does not check that they belong together."""

    header: BlockHeader
    transactions: tuple[Transaction, ...]

    @property
    def hash(self) -> BlockHash:
        """Hash of the header in wire order."""
        return self.header.hash

    @property
    def merkle_root(self) -> bytes:
        """Root over the txids: what `header.merkle_root` must be."""
        return merkle_root([tx.txid for tx in self.transactions])

    @property
    def weight(self) -> int:
        """BIP 141 weight units of the whole block."""
        fixed = HEADER_SIZE + len(encode_varint(len(self.transactions)))
        return fixed * WITNESS_SCALE + sum(tx.weight for tx in self.transactions)

    def encode(self) -> bytes:
        """Header, count and transactions with their witnesses."""
        count = encode_varint(len(self.transactions))
        return b"".join((self.header.encode(), count, *(tx.encode() for tx in self.transactions)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse exactly one block; raises `DecodeError`, also on bytes left over."""
        header = BlockHeader.decode(data[:HEADER_SIZE])
        count, at = decode_varint(data, HEADER_SIZE)
        transactions: list[Transaction] = []
        for _ in range(count):
            tx, at = Transaction.decode_at(data, at)
            transactions.append(tx)
        if at != len(data):
            raise DecodeError(f"{len(data) - at} bytes are left after the block")
        return cls(header, tuple(transactions))
