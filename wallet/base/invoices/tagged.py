"""Tagged fields of BOLT 11, one reader and one writer for each shape of data.

A reader gets a field's data as base-32 digits; every reader raises only `DecodeError`.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.script import p2pkh, p2sh, push_int, witness_program
from wallet.base.crypto.curve import check_point
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import NodeId, ShortChannelId

MAX_FIELD_DIGITS: Final = 1023
"""`data_length` has ten bits: a field holds at most 639 whole bytes."""
_HINT_SIZE: Final = 51
_P2PKH, _P2SH = 17, 18


@dataclass(frozen=True, slots=True)
class HintHop:
    """One entry of an `r` field: a channel that starts at `node_id`, on the way to the payee."""

    node_id: NodeId
    short_channel_id: ShortChannelId
    fee_base: MilliSatoshi
    fee_proportional_millionths: int
    cltv_expiry_delta: CltvDelta


def read_octets(digits: bytes) -> bytes:
    """Whole bytes; the padding of less than 8 bits is dropped."""
    size, padding = divmod(5 * len(digits), 8)
    return (int(digits or b"0", 32) >> padding).to_bytes(size, "big")


def read_number(digits: bytes) -> int:
    """A big-endian number. BOLT 11: one that begins with a zero digit SHOULD be invalid."""
    if digits[:1] == b"0":
        raise DecodeError("a number in it begins with a zero")
    return int(digits or b"0", 32)


def read_short_number(digits: bytes) -> int:
    """A number below 2^32: seconds or blocks."""
    number = read_number(digits)
    if number >= 1 << 32:
        raise DecodeError("its expiry is too large")
    return number


def read_text(digits: bytes) -> str:
    """UTF-8."""
    try:
        return read_octets(digits).decode()
    except UnicodeDecodeError:
        raise DecodeError("its description is not UTF-8") from None


def read_point(digits: bytes) -> NodeId:
    """A node's key, on the curve."""
    return NodeId(check_point(read_octets(digits)))


def read_fallback(digits: bytes) -> bytes | None:
    """The output script of an `f` field; None for a version that is to be skipped."""
    if not digits:
        return None
    version = int(digits[:1], 32)
    program = read_octets(digits[1:])
    if version == _P2PKH and len(program) == 20:
        return p2pkh(program)
    if version == _P2SH and len(program) == 20:
        return p2sh(program)
    if version == 0 and len(program) not in (20, 32):
        return None
    if version <= 16 and 2 <= len(program) <= 40:
        return push_int(version) + bytes((len(program),)) + program
    return None


def read_route(digits: bytes) -> tuple[HintHop, ...]:
    """The entries of an `r` field, in the order of the route."""
    data = read_octets(digits)
    if not data or len(data) % _HINT_SIZE:
        raise DecodeError("a routing hint in it has a wrong length")
    return tuple(_read_hop(data[at : at + _HINT_SIZE]) for at in range(0, len(data), _HINT_SIZE))


def _read_hop(entry: bytes) -> HintHop:
    return HintHop(
        NodeId(check_point(entry[:33])),
        ShortChannelId.from_int(int.from_bytes(entry[33:41], "big")),
        MilliSatoshi(int.from_bytes(entry[41:45], "big")),
        int.from_bytes(entry[45:49], "big"),
        CltvDelta(int.from_bytes(entry[49:], "big")),
    )


class FieldWriter:
    """Gathers fields as one number in base 32: `value` of `count` digits."""

    __slots__ = ("count", "value")

    def __init__(self) -> None:
        self.value = 0
        self.count = 0

    def digits(self, number: int, count: int) -> None:
        """Append bare digits."""
        if number >> 5 * count:
            raise InvariantBroken(f"{number} does not fit into {count} digits")
        self.value = self.value << 5 * count | number
        self.count += count

    def field(self, kind: int, number: int, count: int) -> None:
        """Append a field of `count` digits of data."""
        if count > MAX_FIELD_DIGITS:
            raise InvariantBroken("an invoice's field holds at most 639 bytes")
        self.digits(kind << 10 | count, 3)
        self.digits(number, count)

    def octets(self, kind: int, data: bytes) -> None:
        """Append a field of whole bytes."""
        count = -(-8 * len(data) // 5)
        self.field(kind, int.from_bytes(data, "big") << 5 * count - 8 * len(data), count)

    def number(self, kind: int, number: int) -> None:
        """Append a field with a number in the fewest digits."""
        self.field(kind, number, -(-number.bit_length() // 5))


def write_fallback(out: FieldWriter, kind: int, script: bytes) -> None:
    """Append an `f` field for an output script that BOLT 11 can express."""
    if (found := witness_program(script)) is not None:
        version, program = found
    elif script == p2pkh(script[3:23]):
        version, program = _P2PKH, script[3:23]
    elif script == p2sh(script[2:22]):
        version, program = _P2SH, script[2:22]
    else:
        raise InvariantBroken("this output script cannot be a fallback of an invoice")
    count = -(-8 * len(program) // 5)
    padded = int.from_bytes(program, "big") << 5 * count - 8 * len(program)
    out.field(kind, version << 5 * count | padded, 1 + count)


def write_route(out: FieldWriter, kind: int, route: tuple[HintHop, ...]) -> None:
    """Append an `r` field."""
    out.octets(kind, b"".join(map(_hop_bytes, route)))


def _hop_bytes(hop: HintHop) -> bytes:
    return (
        hop.node_id
        + hop.short_channel_id.to_int().to_bytes(8, "big")
        + hop.fee_base.msat.to_bytes(4, "big")
        + hop.fee_proportional_millionths.to_bytes(4, "big")
        + hop.cltv_expiry_delta.blocks.to_bytes(2, "big")
    )
