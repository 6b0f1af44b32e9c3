"""Results of Core's JSON-RPC: each reader gives a typed value or raises `DecodeError`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from wallet.base.bitcoin.block import Block
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import FEERATE_FLOOR, SAT_PER_BTC, FeeratePerKw
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash
from wallet.machines.chain_events import BlockRef

_MAX_HEIGHT: Final = (1 << 31) - 1
_WEIGHT_PER_VBYTE: Final = 4
_FLOOR_BY_VBYTE: Final = 1000 // _WEIGHT_PER_VBYTE
"""1 satoshi per virtual byte, per 1,000 weight units, were there no rounding."""
_ABSURD_FEERATE: Final = Decimal(21_000_000)


@dataclass(frozen=True, slots=True)
class BackendTip:
    """`getblockchaininfo`: Core's name of the network, its best block, and its best header.

    `catching_up` says that it knows itself to be behind: more headers than blocks, or old blocks.
    """

    network: str
    tip: BlockRef
    headers: BlockHeight
    catching_up: bool


def parse_json(text: bytes) -> object:
    """A JSON value; decimals stay exact. Raises `DecodeError`."""
    try:
        value: object = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise DecodeError(f"not JSON: {text[:60]!r}") from None
    return value


def as_members(value: object) -> Mapping[str, object]:
    """An object; JSON's names are always strings."""
    if not isinstance(value, dict):
        raise _unexpected("an object", value)
    return value


def as_text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _unexpected("a string", value)
    return value


def as_height(value: object) -> BlockHeight:
    """A whole number of blocks."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_HEIGHT:
        raise _unexpected("a height", value)
    return BlockHeight(value)


def as_time(value: object) -> int:
    """Unix seconds, 32 bits in a header."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 32:
        raise _unexpected("a time", value)
    return value


def as_hash(value: object) -> BlockHash:
    """A block hash, written in reverse for eyes."""
    raw = as_bytes(value)
    if len(raw) != 32:
        raise _unexpected("a block hash", value)
    return BlockHash(raw[::-1])


def as_bytes(value: object) -> bytes:
    """Hexadecimal."""
    try:
        return bytes.fromhex(as_text(value))
    except ValueError:
        raise _unexpected("hexadecimal", value) from None


def as_block(value: object, wanted: BlockHash) -> Block:
    """A serialised block; its hash and its transactions must be those of `wanted`."""
    block = Block.decode(as_bytes(value))
    if block.hash != wanted or block.merkle_root != block.header.merkle_root:
        raise DecodeError(f"the block is not {wanted[::-1].hex()}")
    return block


def as_feerate(value: object) -> FeeratePerKw:
    """Bitcoin per 1,000 vbytes, rounded up to whole satoshi per 1,000 weight units."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _unexpected("a fee rate", value)
    if not 0 <= value <= _ABSURD_FEERATE:
        raise _unexpected("a fee rate", value)
    return FeeratePerKw(math.ceil(Decimal(value) * SAT_PER_BTC / _WEIGHT_PER_VBYTE))


def as_entry_feerate(value: object) -> FeeratePerKw:
    """`getmempoolinfo`: what a transaction of 250 weight units or more must pay to enter now.

    Core counts whole virtual bytes, so up to three units more than there are: a little is added,
    in the proportion of `FEERATE_FLOOR` to the 250 that it stands for.
    """
    info = as_members(value)
    asked = max(as_feerate(info.get(name, 0)) for name in ("mempoolminfee", "minrelaytxfee"))
    return FeeratePerKw(-(-asked.per_kw * FEERATE_FLOOR.per_kw // _FLOOR_BY_VBYTE))


def printable(text: str) -> str:
    """What a stranger wrote, safe for a terminal and for a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:300])


def as_backend_tip(value: object) -> BackendTip:
    """`getblockchaininfo`."""
    info = as_members(value)
    tip = BlockRef(as_height(info.get("blocks")), as_hash(info.get("bestblockhash")))
    headers = as_height(info.get("headers"))
    catching_up = headers > tip.height or info.get("initialblockdownload") is True
    return BackendTip(as_text(info.get("chain")), tip, headers, catching_up)


def _unexpected(wanted: str, value: object) -> DecodeError:
    shown = type(value).__name__ if isinstance(value, dict | list) else repr(value)[:60]
    return DecodeError(f"{wanted} was expected, not {shown}")
