"""Parsers from JSON values to types: amounts, fee rates, ids, numbers, text.

Each raises `Unfit` with the words that Core Lightning uses, so scripts that match on them work.
"""

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from wallet.base.crypto.curve import check_point
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.ids import (
    ChannelId,
    NodeId,
    OutPoint,
    PaymentHash,
    Preimage,
    ShortChannelId,
    Txid,
)
from wallet.faces.rpc.params import Parser, Unfit

T = TypeVar("T")

MAX_MONEY_MSAT: Final = 21_000_000 * 100_000_000 * 1000
"""No amount above all bitcoin there will ever be is meant seriously."""

_U16: Final = (1 << 16) - 1
_U32: Final = (1 << 32) - 1
_U64: Final = (1 << 64) - 1
_DIGITS: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_AMOUNT: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,11}))?(msat|sat|btc)?", re.ASCII)
_FEERATE: Final = re.compile(r"([0-9]{1,10})(perkw|perkb)?", re.ASCII)
_BLOCKS: Final = re.compile(r"([0-9]{1,4})blocks", re.ASCII)
_DECIMALS: Final = {"msat": 0, "sat": 3, "btc": 11}
"""How many decimals make a whole number of millisatoshi."""


class Special(Enum):
    """Amounts that are words."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class FeerateTarget:
    """A fee rate to be looked up: confirmed within `blocks` blocks."""

    blocks: int
    word: str


SPEEDS: Final = {"urgent": 6, "normal": 12, "slow": 100, "minimum": 1008}
"""Core Lightning's words for how soon, as blocks."""


def _text(value: object) -> str | None:
    """The token's text: of a string itself, of a number or boolean as JSON spells it."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return None


def string(value: object) -> str:
    """Any text that UTF-8 can carry; numbers and booleans are taken as they are spelt."""
    text = _text(value)
    if text is None or not _is_unicode(text):
        raise Unfit("should be a string")
    return text


def label(value: object) -> str:
    """A string or a number, kept as text."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not _is_unicode(str(value)):
        raise Unfit("should be a string or number")
    return str(value)


def boolean(value: object) -> bool:
    """true or false, also as strings."""
    text = _text(value)
    if text not in ("true", "false"):
        raise Unfit("should be 'true' or 'false'")
    return text == "true"


def array(value: object) -> list[object]:
    """A JSON array; its items are the caller's to judge."""
    if not isinstance(value, list):
        raise Unfit("should be an array")
    return value


def array_of(item: Parser[T]) -> Parser[tuple[T, ...]]:
    """An array of which each item parses."""

    def parse(value: object) -> tuple[T, ...]:
        return tuple(item(v) for v in array(value))

    return parse


def one_of(*allowed: str) -> Parser[str]:
    """One of some words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Unfit(f"should be {_listed(allowed)}")
        return value

    return parse


def _unsigned(limit: int, should_be: str) -> Callable[[object], int]:
    def parse(value: object) -> int:
        text = _text(value)
        if text is None or not _DIGITS.fullmatch(text) or int(text) > limit:
            raise Unfit(should_be)
        return int(text)

    return parse


u16: Final = _unsigned(_U16, "should be an unsigned 16 bit integer")
u32: Final = _unsigned(_U32, "should be an unsigned 32 bit integer")
u64: Final = _unsigned(_U64, "should be an unsigned 64 bit integer")


def fraction(value: object) -> float:
    """A floating-point number that is neither negative nor infinite."""
    text = _text(value)
    try:
        number = float(text if text is not None else "")
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or number < 0:
        raise Unfit("should be a non-negative floating-point number")
    return number


def _amount_msat(value: object, bare: str) -> int | None:
    """Millisatoshi; a number without a unit counts in `bare`. None when it is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    found = _AMOUNT.fullmatch(str(value))
    if found is None:
        return None
    whole, decimals, unit = found[1], found[2] or "", found[3]
    # A bare number with a point has no unit to say what the point divides.
    if decimals and (unit is None or len(decimals) > _DECIMALS[unit]):
        return None
    scale = _DECIMALS[unit or bare]
    amount = int(whole) * 10**scale + int(decimals.ljust(scale, "0") or "0")
    return amount if amount <= MAX_MONEY_MSAT else None


def msat(value: object) -> MilliSatoshi:
    """`1000`, `"1000msat"`, `"5sat"`, `"1.5sat"`, `"0.5btc"`; bare numbers are millisatoshi."""
    amount = _amount_msat(value, "msat")
    if amount is None:
        raise Unfit("should be a millisatoshi amount")
    return MilliSatoshi(amount)


def msat_or_any(value: object) -> MilliSatoshi | Special:
    """A positive amount, or `any`: the payer chooses."""
    if value == Special.ANY.value:
        return Special.ANY
    amount = _amount_msat(value, "msat")
    if not amount:
        raise Unfit("should be positive msat or 'any'")
    return MilliSatoshi(amount)


def sat(value: object) -> Satoshi:
    """A whole number of satoshi; bare numbers are satoshi."""
    amount = _amount_msat(value, "sat")
    if amount is None or amount % 1000:
        raise Unfit("should be a satoshi amount")
    return MilliSatoshi(amount).floor_to_sat()


def sat_or_all(value: object) -> Satoshi | Special:
    """Satoshi, or `all` that can be spent."""
    return Special.ALL if value == Special.ALL.value else sat(value)


def feerate(value: object) -> FeeratePerKw | FeerateTarget:
    """`253perkw`, `1000perkb`, `normal`, `12blocks`; a bare number is per kilobyte."""
    text = _text(value)
    if text in SPEEDS:
        return FeerateTarget(SPEEDS[text], text)
    if text is not None and (blocks := _BLOCKS.fullmatch(text)) and int(blocks[1]) > 0:
        return FeerateTarget(int(blocks[1]), text)
    found = _FEERATE.fullmatch(text) if text is not None and not isinstance(value, bool) else None
    if found is None or int(found[1]) > _U32:
        raise Unfit("should be an integer with optional perkw/perkb, or urgent, normal, slow")
    rate = int(found[1])
    # 1,000 virtual bytes are 4,000 weight units. Rounded up: never below what was asked, and as
    # Core Lightning does, never below what the network relays.
    asked = FeeratePerKw(rate if found[2] == "perkw" else -(-rate // 4))
    return max(asked, FEERATE_FLOOR)


def hex_bytes(value: object) -> bytes:
    """Any hexadecimal string."""
    data = _hex(value)
    if data is None:
        raise Unfit("should be a hex value")
    return data


def payment_hash(value: object) -> PaymentHash:
    """32 bytes in hexadecimal."""
    return PaymentHash(_hex32(value, "should be a 32 byte hex value"))


def preimage(value: object) -> Preimage:
    """32 bytes in hexadecimal."""
    return Preimage(_hex32(value, "should be a 32 byte hex value"))


def channel_id(value: object) -> ChannelId:
    """32 bytes in hexadecimal."""
    return ChannelId(_hex32(value, "should be a channel id"))


def node_id(value: object) -> NodeId:
    """A compressed public key in hexadecimal that is on the curve."""
    try:
        return NodeId(check_point(_hex(value) or b""))
    except DecodeError:
        raise Unfit("should be a node id") from None


def short_channel_id(value: object) -> ShortChannelId:
    """`700000x12x1`."""
    try:
        return ShortChannelId.parse(value if isinstance(value, str) else "")
    except DecodeError:
        raise Unfit("should be a short_channel_id of form NxNxN") from None


def outpoint(value: object) -> OutPoint:
    """`TXID:INDEX`."""
    txid, colon, index = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not _DIGITS.fullmatch(index) or int(index) > _U32:
        raise Unfit("should be a txid:outnum")
    try:
        return OutPoint(Txid.from_display(txid), int(index))
    except DecodeError:
        raise Unfit("should be a txid:outnum") from None


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Who and, if said, where: the parts of `ID[@HOST[:PORT]]`."""

    node_id: NodeId
    host: str | None
    port: int | None


def peer_address(value: object) -> PeerAddress:
    """`ID`, `ID@HOST`, `ID@HOST:PORT`, `ID@[IPV6]:PORT`."""
    who, at, where = value.partition("@") if isinstance(value, str) else ("", "", "")
    identity = node_id(who)
    if not at:
        return PeerAddress(identity, None, None)
    found = re.fullmatch(
        r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:\[\]]+))(?::([0-9]{1,5}))?", where, re.ASCII
    )
    if found is None or int(found[3] or "0") > _U16:
        raise Unfit("should be of form id, id@host or id@host:port")
    return PeerAddress(identity, found[1] or found[2], int(found[3]) if found[3] else None)


def _hex(value: object) -> bytes | None:
    # A hash of digits only reaches us as a number when a command line guessed wrongly.
    text = _text(value)
    if text is None or not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", text, re.ASCII):
        return None
    return bytes.fromhex(text)


def _hex32(value: object, should_be: str) -> bytes:
    data = _hex(value)
    if data is None or len(data) != 32:
        raise Unfit(should_be)
    return data


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(words: Collection[str]) -> str:
    quoted = [f"'{w}'" for w in words]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
