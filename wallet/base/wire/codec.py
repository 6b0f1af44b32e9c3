"""Fundamental types of BOLT 1 as pairs of functions: read from bytes, write to bytes.

Rule 1: reading either gives a value and the place after it, or raises `DecodeError`; length is
checked before meaning.
Rule 2: reading is strict enough that writing gives the same bytes back; signatures over a message
can then be checked against its re-encoding, unknown records included.
Rule 3: a codec bears the spec's own name of its type, so that a test can compare declarations with
the BOLTs' tables.

A value that does not fit when written is our own bug: `InvariantBroken`.
"""

import dataclasses
import struct
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeVar, get_type_hints

from wallet.base.crypto.curve import check_point
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight, CltvDelta, CltvExpiry
from wallet.base.values.ids import (
    ChainHash,
    ChannelId,
    NodeId,
    PaymentHash,
    Point,
    Preimage,
    Secret,
    ShortChannelId,
    Signature,
    Txid,
)

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How one type is read and written.

    `read(data, at)` gives (value, place after it) or raises `DecodeError`; `name` is the BOLT's
    name of the type, such as `u64` or `32*byte`.
    """

    name: str
    read: Callable[[bytes, int], tuple[T, int]]
    write: Callable[[T], bytes]

    def read_all(self, data: bytes) -> T:
        """The value that `data` holds; raises `DecodeError` if bytes are left over."""
        value, end = self.read(data, 0)
        if end != len(data):
            raise DecodeError(f"{self.name} ends after {end} of {len(data)} bytes")
        return value


def _short(name: str, wanted: int, data: bytes, at: int) -> DecodeError:
    return DecodeError(f"{name} wants {wanted} bytes, {max(len(data) - at, 0)} are left")


# --- integers -----------------------------------------------------------------------------------


def _integer(name: str, layout: str) -> Codec[int]:
    packed = struct.Struct(layout)
    size, unpack, pack = packed.size, packed.unpack_from, packed.pack

    def read(data: bytes, at: int) -> tuple[int, int]:
        end = at + size
        if end > len(data):
            raise _short(name, size, data, at)
        return unpack(data, at)[0], end

    def write(value: int) -> bytes:
        try:
            return pack(value)
        except struct.error:
            raise InvariantBroken(f"{value} does not fit in {name}") from None

    return Codec(name, read, write)


def _truncated(name: str, size: int) -> Codec[int]:
    """BOLT 1 `tu16`..`tu64`: leading zeros left out, so it must be the last thing in its record."""

    def read(data: bytes, at: int) -> tuple[int, int]:
        value = data[at:]
        if len(value) > size:
            raise DecodeError(f"{name} has at most {size} bytes, not {len(value)}")
        if value[:1] == b"\0":
            raise DecodeError(f"{name} is not minimal: it begins with a zero")
        return int.from_bytes(value, "big"), len(data)

    def write(value: int) -> bytes:
        if not 0 <= value < 1 << 8 * size:
            raise InvariantBroken(f"{value} does not fit in {name}")
        return value.to_bytes((value.bit_length() + 7) // 8, "big")

    return Codec(name, read, write)


_BIGSIZE_PREFIXES: Final = {0xFD: (2, 0xFD), 0xFE: (4, 1 << 16), 0xFF: (8, 1 << 32)}


def read_bigsize(data: bytes, at: int) -> tuple[int, int]:
    """BOLT 1 appendix A: the integer and the place after it; `DecodeError` unless minimal."""
    if at >= len(data):
        raise _short("bigsize", 1, data, at)
    first = data[at]
    if first < 0xFD:
        return first, at + 1
    size, least = _BIGSIZE_PREFIXES[first]
    end = at + 1 + size
    if end > len(data):
        raise _short("bigsize", size + 1, data, at)
    value = int.from_bytes(data[at + 1 : end], "big")
    if value < least:
        raise DecodeError("bigsize is not canonical: a shorter form exists")
    return value, end


def write_bigsize(value: int) -> bytes:
    """BOLT 1 appendix A: 1, 3, 5 or 9 bytes."""
    if 0 <= value < 0xFD:
        return bytes([value])
    for prefix, (size, least) in _BIGSIZE_PREFIXES.items():
        if least <= value < 1 << 8 * size:
            return bytes([prefix]) + value.to_bytes(size, "big")
    raise InvariantBroken(f"{value} does not fit in bigsize")


u8: Final = _integer("byte", ">B")
u16: Final = _integer("u16", ">H")
u32: Final = _integer("u32", ">I")
u64: Final = _integer("u64", ">Q")
s8: Final = _integer("s8", ">b")
s16: Final = _integer("s16", ">h")
s32: Final = _integer("s32", ">i")
s64: Final = _integer("s64", ">q")
tu16: Final = _truncated("tu16", 2)
tu32: Final = _truncated("tu32", 4)
tu64: Final = _truncated("tu64", 8)
bigsize: Final = Codec("bigsize", read_bigsize, write_bigsize)


# --- bytes --------------------------------------------------------------------------------------


def fixed(size: int, name: str = "") -> Codec[bytes]:
    """Exactly `size` bytes, in one slice."""
    name = name or f"{size}*byte"

    def read(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise _short(name, size, data, at)
        return data[at:end], end

    def write(value: bytes) -> bytes:
        if len(value) != size:
            raise InvariantBroken(f"{name} has {size} bytes, not {len(value)}")
        return value

    return Codec(name, read, write)


def _read_rest(data: bytes, at: int) -> tuple[bytes, int]:
    return data[at:], len(data)


def _read_var(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = u16.read(data, at)
    end = at + size
    if end > len(data):
        raise _short("u16*byte", size, data, at)
    return data[at:end], end


def _write_var(value: bytes) -> bytes:
    return u16.write(len(value)) + value


rest: Final[Codec[bytes]] = Codec("...*byte", _read_rest, bytes)
"""All that is left: only at the end of a TLV record."""
var: Final = Codec("u16*byte", _read_var, _write_var)
"""A u16 length and as many bytes."""


# --- made of others -----------------------------------------------------------------------------


def mapped(codec: Codec[V], to: Callable[[V], T], back: Callable[[T], V]) -> Codec[T]:
    """The same bytes with a meaning: `to` wraps what was read (it may raise `DecodeError`)."""
    inner_read, inner_write = codec.read, codec.write

    def read(data: bytes, at: int) -> tuple[T, int]:
        value, at = inner_read(data, at)
        return to(value), at

    def write(value: T) -> bytes:
        return inner_write(back(value))

    return Codec(codec.name, read, write)


def counted(item: Codec[T]) -> Codec[tuple[T, ...]]:
    """A u16 count and as many items."""

    def read(data: bytes, at: int) -> tuple[tuple[T, ...], int]:
        count, at = u16.read(data, at)
        items = []
        for _ in range(count):
            value, at = item.read(data, at)
            items.append(value)
        return tuple(items), at

    def write(items: tuple[T, ...]) -> bytes:
        return u16.write(len(items)) + b"".join(map(item.write, items))

    return Codec(f"u16*{item.name}", read, write)


def repeated(item: Codec[T], count: int | None = None) -> Codec[tuple[T, ...]]:
    """`count` items, or as many as fill the record."""

    def read(data: bytes, at: int) -> tuple[tuple[T, ...], int]:
        items: list[T] = []
        while at < len(data) if count is None else len(items) < count:
            value, at = item.read(data, at)
            items.append(value)
        return tuple(items), at

    def write(items: tuple[T, ...]) -> bytes:
        if count is not None and len(items) != count:
            raise InvariantBroken(f"{count} of {item.name} are wanted, not {len(items)}")
        return b"".join(map(item.write, items))

    return Codec(f"{'...' if count is None else count}*{item.name}", read, write)


def composite(cls: type[T]) -> Codec[T]:
    """A frozen dataclass whose fields are annotated with codecs, one after the other."""
    parts = codecs_of(cls)

    def read(data: bytes, at: int) -> tuple[T, int]:
        values = []
        for codec in parts.values():
            value, at = codec.read(data, at)
            values.append(value)
        return cls(*values), at

    def write(value: T) -> bytes:
        return b"".join(codec.write(getattr(value, name)) for name, codec in parts.items())

    return Codec(" ".join(f"{codec.name}:{name}" for name, codec in parts.items()), read, write)


# `Any`: the values of one message have many types; each codec stands beside its own annotation.
def codecs_of(cls: type) -> dict[str, Codec[Any]]:
    """The fields of a dataclass that are annotated with a codec, in order."""
    found: dict[str, Codec[Any]] = {}
    names = {field.name for field in dataclasses.fields(cls)}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Codec) and name in names:
                found[name] = mark
    return found


# --- annotations, by the words of the BOLTs -----------------------------------------------------

point: Final = mapped(fixed(33, "point"), check_point, bytes)
signature: Final = fixed(64, "signature")
txid: Final = mapped(fixed(32, "sha256"), Txid, bytes)
scid: Final = mapped(
    fixed(8, "short_channel_id"),
    lambda raw: ShortChannelId.from_int(int.from_bytes(raw, "big")),
    lambda value: value.to_int().to_bytes(8, "big"),
)

Byte = Annotated[int, u8]
U16 = Annotated[int, u16]
U32 = Annotated[int, u32]
U64 = Annotated[int, u64]
Var = Annotated[bytes, var]
Sat = Annotated[Satoshi, mapped(u64, Satoshi, attrgetter("sat"))]
Msat = Annotated[MilliSatoshi, mapped(u64, MilliSatoshi, attrgetter("msat"))]
Msat32 = Annotated[MilliSatoshi, mapped(u32, MilliSatoshi, attrgetter("msat"))]
Feerate = Annotated[FeeratePerKw, mapped(u32, FeeratePerKw, attrgetter("per_kw"))]
Expiry = Annotated[CltvExpiry, mapped(u32, CltvExpiry, attrgetter("height"))]
Height = Annotated[BlockHeight, mapped(u32, BlockHeight, attrgetter("height"))]
Delta = Annotated[CltvDelta, mapped(u16, CltvDelta, attrgetter("blocks"))]
PointField = Annotated[Point, point]
NodeIdField = Annotated[NodeId, point]
SignatureField = Annotated[Signature, signature]
ChannelIdField = Annotated[ChannelId, fixed(32, "channel_id")]
TemporaryId = Annotated[ChannelId, fixed(32)]
ChainHashField = Annotated[ChainHash, fixed(32, "chain_hash")]
Sha256 = Annotated[bytes, fixed(32, "sha256")]
PaymentHashField = Annotated[PaymentHash, fixed(32, "sha256")]
PreimageField = Annotated[Preimage, fixed(32)]
SecretField = Annotated[Secret, fixed(32)]
TxidField = Annotated[Txid, txid]
Scid = Annotated[ShortChannelId, scid]
