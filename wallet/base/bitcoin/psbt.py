"""BIP 174, version 0, as far as we write it: a creator, and a finaliser of signed transactions."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from wallet.base.bitcoin.transaction import Transaction, TxOut, encode_varbytes, encode_varint
from wallet.base.errors import ensure

_MAGIC: Final = b"psbt\xff"
_SEPARATOR: Final = b"\x00"
_UNSIGNED_TX: Final = 0x00

WITNESS_UTXO: Final = 0x01
FINAL_SCRIPTSIG: Final = 0x07
FINAL_SCRIPTWITNESS: Final = 0x08
"""Types of an input's fields whose key is the type alone."""


def encode_psbt(tx: Transaction, inputs: Sequence[Mapping[int, bytes]] = ()) -> bytes:
    """The transaction without its signatures, and what is known of each input, by field type.

    With nothing known it is what BIP 174 calls the creator's.
    """
    ensure(len(inputs) in (0, len(tx.inputs)), "a PSBT that knows of other inputs than it has")
    bare = replace(tx, inputs=tuple(replace(i, script_sig=b"", witness=()) for i in tx.inputs))
    parts = [_MAGIC, _map({_UNSIGNED_TX: bare.encode(witness=False)})]
    parts += [_map(known) for known in inputs] or [_SEPARATOR] * len(tx.inputs)
    parts += [_SEPARATOR] * len(tx.outputs)
    return b"".join(parts)


def final_psbt(tx: Transaction, spent: Sequence[TxOut]) -> str:
    """A signed transaction with the outputs it spends, finalised, in base64."""
    ensure(len(spent) == len(tx.inputs), "a PSBT needs every output that it spends")
    known: list[dict[int, bytes]] = []
    for txin, output in zip(tx.inputs, spent, strict=True):
        stack = b"".join(encode_varbytes(item) for item in txin.witness)
        fields = {WITNESS_UTXO: output.encode()}
        # BIP 174: if scriptSig is empty, 0x07 should remain unset; likewise 0x08.
        if txin.script_sig:
            fields[FINAL_SCRIPTSIG] = txin.script_sig
        if txin.witness:
            fields[FINAL_SCRIPTWITNESS] = encode_varint(len(txin.witness)) + stack
        known.append(fields)
    return b64encode(encode_psbt(tx, known)).decode()


def _map(fields: Mapping[int, bytes]) -> bytes:
    pairs = (
        encode_varbytes(bytes((kind,))) + encode_varbytes(value)
        for kind, value in sorted(fields.items())
    )
    return b"".join(pairs) + _SEPARATOR
