"""Identifiers: 32- and 33-byte names are `NewType`s; those with two written forms are classes."""

from dataclasses import dataclass
from typing import NewType, Self

from wallet.base.errors import DecodeError

Point = NewType("Point", bytes)
"""A compressed secp256k1 point, 33 bytes."""
NodeId = NewType("NodeId", Point)
"""A node's public key, 33 bytes (BOLT 8)."""
Secret = NewType("Secret", bytes)
"""A secp256k1 secret key, 32 bytes big endian. Only `crypto` and the vault hold these."""
Signature = NewType("Signature", bytes)
"""ECDSA signature as the BOLTs write it: R and S, 64 bytes."""
ChannelId = NewType("ChannelId", bytes)
"""BOLT 2 `channel_id`, 32 bytes. Stored, never recomputed."""
PaymentHash = NewType("PaymentHash", bytes)
Preimage = NewType("Preimage", bytes)
KeysId = NewType("KeysId", bytes)
"""16 random bytes from which a channel's keys are derived together with the seed."""
ChainHash = NewType("ChainHash", bytes)
"""Hash of a chain's genesis block in wire order, 32 bytes (BOLT 0)."""
BlockHash = NewType("BlockHash", bytes)
"""Hash of a block in wire order, 32 bytes."""

ALL_CHANNELS = ChannelId(bytes(32))
"""BOLT 1: a `channel_id` of zeros in an error or warning means every channel of the connection."""


class Txid(bytes):
    """A transaction id, held in wire order; only `str()` and `from_display` reverse it for eyes."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != 32:
            raise DecodeError(f"a txid has 32 bytes, not {len(value)}")
        return super().__new__(cls, value)

    @classmethod
    def from_display(cls, text: str) -> Self:
        """Parse the reversed hexadecimal form that people and Bitcoin Core use."""
        try:
            return cls(bytes.fromhex(text)[::-1])
        except ValueError:
            raise DecodeError(f"not a txid: {text[:80]!r}") from None

    def __str__(self) -> str:
        return self[::-1].hex()

    def __repr__(self) -> str:
        return f"Txid({self})"


@dataclass(frozen=True, slots=True, order=True)
class OutPoint:
    """One output of one transaction."""

    txid: Txid
    index: int

    def __str__(self) -> str:
        return f"{self.txid}:{self.index}"


@dataclass(frozen=True, slots=True, order=True)
class ShortChannelId:
    """BOLT 7 `short_channel_id`: block height, index in the block, output index; `700000x12x1`."""

    block: int
    tx_index: int
    output: int

    @classmethod
    def from_int(cls, packed: int) -> Self:
        """Unpack the wire's u64."""
        return cls(packed >> 40, packed >> 16 & 0xFFFFFF, packed & 0xFFFF)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `BLOCKxINDEXxOUTPUT`; raises `DecodeError`."""
        parts = text.split("x")
        if len(parts) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 9 for p in parts):
            raise DecodeError(f"not a short channel id: {text[:40]!r}")
        block, index, output = (int(p) for p in parts)
        if block >= 1 << 24 or index >= 1 << 24 or output >= 1 << 16:
            raise DecodeError(f"a part of the short channel id is too large: {text[:40]!r}")
        return cls(block, index, output)

    def to_int(self) -> int:
        """Pack as the wire's u64."""
        return self.block << 40 | self.tx_index << 16 | self.output

    def __str__(self) -> str:
        return f"{self.block}x{self.tx_index}x{self.output}"


def channel_id_of(funding: OutPoint) -> ChannelId:
    """BOLT 2 "Definition of channel_id" (v1): the txid, its last two bytes XORed by the index."""
    tail = int.from_bytes(funding.txid[30:], "big") ^ funding.index
    return ChannelId(funding.txid[:30] + tail.to_bytes(2, "big"))
