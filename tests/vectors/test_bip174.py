"""BIP 174: what its creator and its finaliser must write, byte for byte."""

from base64 import b64decode
from collections.abc import Iterator

import pytest

from tests.support.published import load, tally
from wallet.base.bitcoin.psbt import (
    FINAL_SCRIPTSIG,
    FINAL_SCRIPTWITNESS,
    WITNESS_UTXO,
    encode_psbt,
    final_psbt,
)
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut, encode_varbytes, encode_varint
from wallet.base.errors import InvariantBroken
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Txid

TABLE = load("bip174.json")
NON_WITNESS_UTXO, REDEEM_SCRIPT = 0x00, 0x04


def _created() -> bytes:
    spends = [
        ("75ddabb27b8845f5247975c8a5ba7c6f336c4570708ebe230caf6db5217ae858", 0),
        ("1dea7cd05979072a3578cab271c02244ea8a090bbb46aa680a65ecd027048d83", 1),
    ]
    pays = [
        (149_990_000, "0014d85c2b71d0060b09c9886aeb815e50991dda124d"),
        (100_000_000, "001400aea9a2e5f0f876a588df5546e8742d1d87008f"),
    ]
    return encode_psbt(
        Transaction(
            2,
            tuple(
                TxIn(OutPoint(Txid.from_display(txid), index), sequence=0xFFFF_FFFF)
                for txid, index in spends
            ),
            tuple(TxOut(Satoshi(sat), bytes.fromhex(script)) for sat, script in pays),
            0,
        )
    )


def _unsigned(psbt: bytes) -> Transaction:
    """The transaction of a PSBT shorter than 253 bytes of it."""
    return Transaction.decode_at(psbt, 8)[0]


def _vectors() -> Iterator[tuple[str, bool]]:
    yield "creator", _created().hex() == TABLE["creator"]
    first = bytes.fromhex(TABLE["first_input_finalised"])
    signature = first[first.index(b"\x01\x07\x6a") + 3 :][:106]
    known: list[dict[int, bytes]] = [
        {FINAL_SCRIPTSIG: signature},
        {
            REDEEM_SCRIPT: bytes.fromhex("001485d13537f2e265405a34dbafa9e3dda01fb82308"),
            WITNESS_UTXO: TxOut(
                Satoshi(100_000_000),
                bytes.fromhex("a9143545e6e33b832c47050f24d3eeb93c9c03948bc787"),
            ).encode(),
        },
    ]
    yield "first input", encode_psbt(_unsigned(first), known) == first
    tx = Transaction.decode(bytes.fromhex(TABLE["extracted"]))
    witness = tx.inputs[1].witness
    utxo = TxOut(
        Satoshi(TABLE["witness_utxo"]["amount_sat"]),
        bytes.fromhex(TABLE["witness_utxo"]["script_pubkey"]),
    )
    made = encode_psbt(
        tx,
        [
            {
                NON_WITNESS_UTXO: bytes.fromhex(TABLE["previous"]),
                FINAL_SCRIPTSIG: tx.inputs[0].script_sig,
            },
            {
                WITNESS_UTXO: utxo.encode(),
                FINAL_SCRIPTSIG: tx.inputs[1].script_sig,
                FINAL_SCRIPTWITNESS: encode_varint(len(witness))
                + b"".join(encode_varbytes(item) for item in witness),
            },
        ],
    )
    # The vector goes on with the key paths of its outputs, where ours has two empty maps.
    yield "finaliser", TABLE["finaliser"].startswith(made[:-2].hex())
    # Our own finaliser knows outputs only, so its first input has another kind of UTXO.
    ours = b64decode(final_psbt(tx, [utxo, utxo])).hex()
    at = made.hex().index("0001012000c2eb0b")
    yield "second input", ours.endswith(made.hex()[at:])


def test_bip174() -> None:
    tally("BIP 174", 4, _vectors())


def test_psbt__needs_to_know_every_input_or_none() -> None:
    tx = Transaction.decode(bytes.fromhex(TABLE["extracted"]))
    with pytest.raises(InvariantBroken):
        encode_psbt(tx, [{}])
    with pytest.raises(InvariantBroken):
        final_psbt(tx, [])
