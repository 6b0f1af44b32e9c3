"""What every RPC method is given, and how parameters become values."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from wallet.base.bitcoin.address import decode_address
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import DecodeError
from wallet.base.values.ids import BlockHash, Txid
from wallet.services.regtest.json_text import sat
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.rpc import (
    DESERIALIZATION_ERROR,
    INVALID_ADDRESS_OR_KEY,
    INVALID_PARAMETER,
    TYPE_ERROR,
    RpcError,
)

_HEX: Final = re.compile("[0-9a-fA-F]*")


@dataclass(slots=True)
class Context:
    """The served node, the bell that stops the server, and what fee estimates shall say."""

    node: Regtest
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    estimated_fee: int | None = None
    """Knob: satoshi per 1,000 virtual bytes for estimatesmartfee; None: no estimate, as in Core."""


def hash_of(text: str, name: str) -> bytes:
    """A 32-byte hash in wire order from its displayed form; raises `RpcError` as Core does."""
    if len(text) != 64:
        raise RpcError(
            INVALID_PARAMETER, f"{name} must be of length 64 (not {len(text)}, for '{text[:100]}')"
        )
    if not _HEX.fullmatch(text):
        raise RpcError(INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{text}')")
    return bytes.fromhex(text)[::-1]


def txid_of(text: str, name: str = "txid") -> Txid:
    """A txid; raises `RpcError`."""
    return Txid(hash_of(text, name))


def block_hash_of(context: Context, text: str, name: str = "blockhash") -> BlockHash:
    """The hash of a block that we know; raises `RpcError`."""
    block_hash = BlockHash(hash_of(text, name))
    if context.node.chain.index.header(block_hash) is None:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Block not found")
    return block_hash


def block_of(text: str) -> Block:
    """A block from hexadecimal; raises `RpcError`."""
    try:
        return Block.decode(bytes.fromhex(text))
    except (ValueError, DecodeError):
        raise RpcError(DESERIALIZATION_ERROR, "Block decode failed") from None


def transaction_of(text: str) -> Transaction:
    """A transaction from hexadecimal; raises `RpcError`."""
    try:
        return Transaction.decode(bytes.fromhex(text))
    except (ValueError, DecodeError):
        raise RpcError(
            DESERIALIZATION_ERROR,
            "TX decode failed. Make sure the tx has at least one input.",
        ) from None


def script_of(text: str) -> bytes:
    """The output script of an address, or of Core's `raw(hex)` descriptor; raises `RpcError`."""
    inner = text.partition("#")[0]
    if inner.startswith("raw(") and inner.endswith(")"):
        try:
            return bytes.fromhex(inner[4:-1])
        except ValueError:
            raise RpcError(INVALID_ADDRESS_OR_KEY, "Error: Invalid descriptor") from None
    try:
        return decode_address(text, REGTEST)
    except DecodeError:
        raise RpcError(INVALID_ADDRESS_OR_KEY, "Error: Invalid address or descriptor") from None


def feerate_of(amount: Decimal | int) -> int:
    """Satoshi per 1,000 virtual bytes from BTC per 1,000; raises `RpcError`."""
    feerate = sat(amount)
    if feerate is None:
        raise RpcError(TYPE_ERROR, "Amount out of range")
    return feerate


def strings_of(values: Sequence[object], name: str) -> list[str]:
    """A list of strings; raises `RpcError`."""
    out = [value for value in values if isinstance(value, str)]
    if len(out) != len(values):
        raise RpcError(TYPE_ERROR, f"{name} must hold strings only")
    return out
