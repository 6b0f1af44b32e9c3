"""What a signature signs: the digests of BIP 143 (segwit v0) and BIP 341 (taproot)."""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from wallet.base.bitcoin.transaction import Transaction, TxOut, encode_varbytes
from wallet.base.crypto.curve import to_der
from wallet.base.crypto.hashes import sha256, sha256d, tagged_hash
from wallet.base.errors import ensure
from wallet.base.values.amounts import Satoshi

NO_CODESEPARATOR: Final = 0xFFFFFFFF

_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_ZEROS: Final = bytes(32)
_ANYONECANPAY: Final = 0x80
_OUTPUT_MASK: Final = 0x1F
_TAPROOT_MASK: Final = 0x03


class SigHash(IntEnum):
    """Which parts of the transaction a signature covers."""

    DEFAULT = 0x00
    """Taproot only: as ALL, and the byte itself is left out of the signature."""
    ALL = 0x01
    NONE = 0x02
    SINGLE = 0x03
    ALL_ANYONECANPAY = 0x81
    NONE_ANYONECANPAY = 0x82
    SINGLE_ANYONECANPAY = 0x83


_HASH_TYPES: Final = frozenset(SigHash)


def script_signature(signature: bytes, sighash: int = SigHash.ALL) -> bytes:
    """An ECDSA signature as a script takes it: DER and the sighash byte."""
    return to_der(signature) + bytes((sighash,))


def _outpoints(tx: Transaction) -> bytes:
    return b"".join(i.outpoint.txid + _U32.pack(i.outpoint.index) for i in tx.inputs)


def _sequences(tx: Transaction) -> bytes:
    return b"".join(_U32.pack(i.sequence) for i in tx.inputs)


def _outputs(tx: Transaction) -> bytes:
    return b"".join(o.encode() for o in tx.outputs)


def segwit_v0(
    tx: Transaction,
    index: int,
    script_code: bytes,
    amount: Satoshi,
    sighash: int = SigHash.ALL,
) -> bytes:
    """BIP 143 digest, 32 bytes, of input `index`, which spends `amount`.

    `script_code` is the witness script (from behind the last executed OP_CODESEPARATOR), or
    `script.p2wpkh_code(public_key)`.
    """
    covers = sighash & _OUTPUT_MASK
    alone = bool(sighash & _ANYONECANPAY)
    every_output = covers not in (SigHash.SINGLE, SigHash.NONE)
    spent = tx.inputs[index]
    if every_output:
        hash_outputs = sha256d(_outputs(tx))
    elif covers == SigHash.SINGLE and index < len(tx.outputs):
        hash_outputs = sha256d(tx.outputs[index].encode())
    else:
        hash_outputs = _ZEROS
    return sha256d(
        b"".join(
            (
                _U32.pack(tx.version),
                _ZEROS if alone else sha256d(_outpoints(tx)),
                sha256d(_sequences(tx)) if every_output and not alone else _ZEROS,
                spent.outpoint.txid,
                _U32.pack(spent.outpoint.index),
                encode_varbytes(script_code),
                _U64.pack(amount.sat),
                _U32.pack(spent.sequence),
                hash_outputs,
                _U32.pack(tx.locktime),
                _U32.pack(sighash),
            )
        )
    )


def taproot(
    tx: Transaction,
    index: int,
    prevouts: Sequence[TxOut],
    sighash: int = SigHash.DEFAULT,
    leaf_hash: bytes | None = None,
    *,
    annex: bytes | None = None,
    codeseparator: int = NO_CODESEPARATOR,
) -> bytes:
    """BIP 341 digest, 32 bytes, of input `index`; with `leaf_hash` the one of BIP 342.

    `prevouts` are the outputs that all inputs spend, in the order of the inputs.
    """
    return tagged_hash(
        "TapSighash",
        b"\x00" + taproot_message(tx, index, prevouts, sighash, leaf_hash, annex, codeseparator),
    )


def taproot_message(
    tx: Transaction,
    index: int,
    prevouts: Sequence[TxOut],
    sighash: int,
    leaf_hash: bytes | None,
    annex: bytes | None,
    codeseparator: int,
) -> bytes:
    """BIP 341 `SigMsg` with BIP 342's extension: what `taproot` hashes, without the epoch byte."""
    ensure(len(prevouts) == len(tx.inputs), "taproot signs every output that is spent")
    ensure(sighash in _HASH_TYPES, "BIP 341 has no such hash type")
    covers = sighash & _TAPROOT_MASK
    alone = bool(sighash & _ANYONECANPAY)
    parts = [bytes((sighash,)), _U32.pack(tx.version), _U32.pack(tx.locktime)]
    if not alone:
        parts += (
            sha256(_outpoints(tx)),
            sha256(b"".join(_U64.pack(p.amount.sat) for p in prevouts)),
            sha256(b"".join(encode_varbytes(p.script_pubkey) for p in prevouts)),
            sha256(_sequences(tx)),
        )
    if covers not in (SigHash.NONE, SigHash.SINGLE):
        parts.append(sha256(_outputs(tx)))
    parts.append(bytes((2 * (leaf_hash is not None) + (annex is not None),)))
    if alone:
        spent = tx.inputs[index]
        parts += (
            spent.outpoint.txid,
            _U32.pack(spent.outpoint.index),
            prevouts[index].encode(),
            _U32.pack(spent.sequence),
        )
    else:
        parts.append(_U32.pack(index))
    if annex is not None:
        parts.append(sha256(encode_varbytes(annex)))
    if covers == SigHash.SINGLE:
        ensure(index < len(tx.outputs), "SIGHASH_SINGLE needs an output beside its input")
        parts.append(sha256(tx.outputs[index].encode()))
    if leaf_hash is not None:
        parts += (leaf_hash, b"\x00", _U32.pack(codeseparator))
    return b"".join(parts)
