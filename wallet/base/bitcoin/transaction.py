"""Bitcoin transactions: values, the wire codec of BIP 144, ids and weight (BIP 141)."""

import struct
from dataclasses import dataclass, replace
from typing import Final, Self

from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import Satoshi
from wallet.base.values.encode import register_leaf, unhex
from wallet.base.values.ids import OutPoint, Txid

SEQUENCE_FINAL: Final = 0xFFFFFFFF
SEQUENCE_RBF: Final = 0xFFFFFFFD
"""BIP 125: replaceable; also lets `locktime` and relative locks be used."""
WITNESS_SCALE: Final = 4

_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_SEGWIT_MARKER: Final = b"\x00\x01"


def encode_varint(value: int) -> bytes:
    """Bitcoin's CompactSize."""
    if value < 0xFD:
        return bytes((value,))
    if value <= 0xFFFF:
        return b"\xfd" + _U16.pack(value)
    if value <= 0xFFFFFFFF:
        return b"\xfe" + _U32.pack(value)
    return b"\xff" + _U64.pack(value)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """CompactSize at `at`, and the offset after it; raises `DecodeError` unless it is minimal."""
    try:
        first = data[at]
        if first < 0xFD:
            return first, at + 1
        if first == 0xFD:
            value, least, end = _U16.unpack_from(data, at + 1)[0], 0xFD, at + 3
        elif first == 0xFE:
            value, least, end = _U32.unpack_from(data, at + 1)[0], 0x10000, at + 5
        else:
            value, least, end = _U64.unpack_from(data, at + 1)[0], 0x100000000, at + 9
    except (IndexError, struct.error):
        raise DecodeError("a length is cut short") from None
    if value < least:
        raise DecodeError("a length is not written in its shortest form")
    return value, end


def encode_varbytes(data: bytes) -> bytes:
    """`data` with its length before it."""
    return encode_varint(len(data)) + data


def decode_varbytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their length before them, and the offset after; raises `DecodeError`."""
    length, start = decode_varint(data, at)
    end = start + length
    if end > len(data):
        raise DecodeError(f"{length} bytes are announced, {len(data) - start} follow")
    return data[start:end], end


@dataclass(frozen=True, slots=True)
class TxIn:
    """One input. An empty `witness` is none at all."""

    outpoint: OutPoint
    script_sig: bytes = b""
    sequence: int = SEQUENCE_RBF
    witness: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Without the witness, which stands behind all outputs."""
        return b"".join(
            (
                self.outpoint.txid,
                _U32.pack(self.outpoint.index),
                encode_varbytes(self.script_sig),
                _U32.pack(self.sequence),
            )
        )


@dataclass(frozen=True, slots=True)
class TxOut:
    """One output."""

    amount: Satoshi
    script_pubkey: bytes

    def encode(self) -> bytes:
        """Amount (64 bits, little endian) and script."""
        return _U64.pack(self.amount.sat) + encode_varbytes(self.script_pubkey)


class _TxidSlot:
    """A place for the memoised txid that is no field: no part of `==`, `repr` or `replace`."""

    __slots__ = ("_txid",)

    _txid: Txid


@dataclass(frozen=True, slots=True)
class Transaction(_TxidSlot):
    """A transaction. `version` and `locktime` are unsigned 32 bits."""

    version: int
    inputs: tuple[TxIn, ...]
    outputs: tuple[TxOut, ...]
    locktime: int = 0

    def encode(self, *, witness: bool = True) -> bytes:
        """Serialise (BIP 144); without any witness, or with `witness=False`, the legacy form."""
        segwit = witness and any(i.witness for i in self.inputs)
        parts = [_U32.pack(self.version)]
        if segwit:
            parts.append(_SEGWIT_MARKER)
        parts.append(encode_varint(len(self.inputs)))
        parts.extend(i.encode() for i in self.inputs)
        parts.append(encode_varint(len(self.outputs)))
        parts.extend(o.encode() for o in self.outputs)
        if segwit:
            for i in self.inputs:
                parts.append(encode_varint(len(i.witness)))
                parts.extend(encode_varbytes(item) for item in i.witness)
        parts.append(_U32.pack(self.locktime))
        return b"".join(parts)

    @property
    def txid(self) -> Txid:
        """Hash of the legacy form, worked out once."""
        try:
            return self._txid
        except AttributeError:
            txid = Txid(sha256d(self.encode(witness=False)))
            object.__setattr__(self, "_txid", txid)
            return txid

    @property
    def wtxid(self) -> Txid:
        """Hash of the whole serialisation, witnesses included (BIP 141)."""
        return Txid(sha256d(self.encode()))

    @property
    def weight(self) -> int:
        """BIP 141 weight units: three times the legacy size plus the full size."""
        return len(self.encode(witness=False)) * (WITNESS_SCALE - 1) + len(self.encode())

    @property
    def vsize(self) -> int:
        """Virtual bytes, rounded up."""
        return -(-self.weight // WITNESS_SCALE)

    def outpoint(self, index: int) -> OutPoint:
        """Name of output `index`."""
        return OutPoint(self.txid, index)

    def with_witness(self, input_index: int, witness: tuple[bytes, ...]) -> Self:
        """The same transaction with another witness on one input; the txid stays."""
        inputs = list(self.inputs)
        inputs[input_index] = replace(inputs[input_index], witness=witness)
        return replace(self, inputs=tuple(inputs))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse exactly one transaction; raises `DecodeError`, also on bytes left over."""
        tx, end = cls.decode_at(data, 0)
        if end != len(data):
            raise DecodeError(f"{len(data) - end} bytes are left after the transaction")
        return tx

    @classmethod
    def decode_at(cls, data: bytes, at: int) -> tuple[Self, int]:
        """Parse the transaction at `at`; returns it and the offset after it.

        Amounts are not judged. Raises `DecodeError`: cut short, a length not minimal, no inputs
        (nobody can tell those from the segwit marker), a segwit form without any witness.
        """
        try:
            return cls._decode_at(data, at)
        except (IndexError, struct.error):
            raise DecodeError("the transaction is cut short") from None

    @classmethod
    def _decode_at(cls, data: bytes, at: int) -> tuple[Self, int]:
        version = _U32.unpack_from(data, at)[0]
        at += 4
        segwit = data[at : at + 2] == _SEGWIT_MARKER
        count, at = decode_varint(data, at + 2 if segwit else at)
        if count == 0:
            raise DecodeError("a transaction has no inputs")
        inputs: list[TxIn] = []
        for _ in range(count):
            outpoint = OutPoint(Txid(data[at : at + 32]), _U32.unpack_from(data, at + 32)[0])
            script_sig, at = decode_varbytes(data, at + 36)
            inputs.append(TxIn(outpoint, script_sig, _U32.unpack_from(data, at)[0]))
            at += 4
        count, at = decode_varint(data, at)
        outputs: list[TxOut] = []
        for _ in range(count):
            amount = Satoshi(_U64.unpack_from(data, at)[0])
            script_pubkey, at = decode_varbytes(data, at + 8)
            outputs.append(TxOut(amount, script_pubkey))
        if segwit:
            at = _decode_witnesses(data, at, inputs)
        locktime = _U32.unpack_from(data, at)[0]
        return cls(version, tuple(inputs), tuple(outputs), locktime), at + 4


def _decode_witnesses(data: bytes, at: int, inputs: list[TxIn]) -> int:
    """Put the witness stacks at `at` into `inputs`; returns the offset after them."""
    some = False
    for index, txin in enumerate(inputs):
        count, at = decode_varint(data, at)
        if not count:
            continue
        some = True
        items: list[bytes] = []
        for _ in range(count):
            item, at = decode_varbytes(data, at)
            items.append(item)
        inputs[index] = TxIn(txin.outpoint, txin.script_sig, txin.sequence, tuple(items))
    if not some:
        raise DecodeError("a transaction in segwit form has no witness")
    return at


register_leaf(
    Transaction, lambda tx: tx.encode().hex(), lambda text: Transaction.decode(unhex(text))
)
