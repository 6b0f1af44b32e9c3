"""Transactions and blocks: what is encoded decodes again, and nothing else decodes."""

import copy
import pickle
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.base.bitcoin.block import Block, BlockHeader, merkle_root
from wallet.base.bitcoin.chains import CHAINS, REGTEST, Chain
from wallet.base.bitcoin.transaction import (
    Transaction,
    TxIn,
    TxOut,
    decode_varbytes,
    decode_varint,
    encode_varbytes,
    encode_varint,
)
from wallet.base.crypto.hashes import sha256d
from wallet.base.errors import DecodeError
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import BlockHash, OutPoint, Txid

# Published in Bitcoin Core's chainparams.cpp: version, merkle root, time, bits, nonce.
OLD_ROOT = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
NEW_ROOT = "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e"
GENESIS = {
    "regtest": (1, OLD_ROOT, 1_296_688_602, 0x207FFFFF, 2),
    "signet": (1, OLD_ROOT, 1_598_918_400, 0x1E0377AE, 52_613_770),
    "testnet4": (1, NEW_ROOT, 1_714_777_860, 0x1D00FFFF, 393_743_547),
    "bitcoin": (1, OLD_ROOT, 1_231_006_505, 0x1D00FFFF, 2_083_236_893),
}
GENESIS_COINBASE = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d"
    "0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66"
    "207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe55"
    "48271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba"
    "0b8d578a4c702b6bf11d5fac00000000"
)

u32 = st.integers(0, 0xFFFFFFFF)
hashes = st.binary(min_size=32, max_size=32)
scripts = st.binary(max_size=300)
tx_ins = st.builds(
    TxIn,
    st.builds(OutPoint, hashes.map(Txid), u32),
    scripts,
    u32,
    st.lists(st.binary(max_size=80), max_size=3).map(tuple),
)
tx_outs = st.builds(TxOut, st.integers(0, 21 * 10**14).map(Satoshi), scripts)
transactions = st.builds(
    Transaction,
    u32,
    st.lists(tx_ins, min_size=1, max_size=3).map(tuple),
    st.lists(tx_outs, max_size=3).map(tuple),
    u32,
)
headers = st.builds(
    BlockHeader,
    st.integers(-(1 << 31), (1 << 31) - 1),
    hashes.map(BlockHash),
    hashes,
    u32,
    u32,
    u32,
)
blocks = st.builds(Block, headers, st.lists(transactions, max_size=3).map(tuple))

SIMPLE = Transaction(2, (TxIn(OutPoint(Txid(bytes(32)), 1)),), (TxOut(Satoshi(5), b"\x51"),))


@settings(deadline=None)
@given(transactions)
def test_transaction_survives_the_codec(tx: Transaction) -> None:
    encoded = tx.encode()
    assert Transaction.decode(encoded) == tx
    assert Transaction.decode_at(b"xy" + encoded + b"z", 2) == (tx, 2 + len(encoded))
    stripped = tx.encode(witness=False)
    assert Transaction.decode(stripped).txid == tx.txid == sha256d(stripped)
    assert tx.weight == 3 * len(stripped) + len(encoded)
    assert tx.vsize == -(-tx.weight // 4)


@settings(deadline=None, max_examples=50)
@given(blocks)
def test_block_survives_the_codec(block: Block) -> None:
    encoded = block.encode()
    assert Block.decode(encoded) == block
    assert block.hash == sha256d(encoded[:80])
    assert block.weight == sum(t.weight for t in block.transactions) + 4 * 81


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=400), st.builds(lambda t: t.encode(), transactions)), st.data())
def test_hostile_bytes_decode_or_raise_decode_error(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    mangled = data.draw(
        st.sampled_from((raw, raw[:at], raw[:at] + b"\xff" + raw[at + 1 :], raw[:at] + raw))
    )
    for kind in (Transaction, Block, BlockHeader):
        try:
            value = kind.decode(mangled)
        except DecodeError:
            continue
        assert value.encode() == mangled


@given(st.integers(0, (1 << 64) - 1))
def test_varint(value: int) -> None:
    encoded = encode_varint(value)
    assert decode_varint(b"-" + encoded, 1) == (value, 1 + len(encoded))
    for length in range(len(encoded)):
        with pytest.raises(DecodeError):
            decode_varint(encoded[:length], 0)


@pytest.mark.parametrize("text", ["fd0000", "fdfc00", "feffff0000", "ffffffffff00000000"])
def test_varint__not_minimal(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_varint(bytes.fromhex(text), 0)


def test_varbytes() -> None:
    assert decode_varbytes(encode_varbytes(b"abc") + b"d", 0) == (b"abc", 4)
    with pytest.raises(DecodeError, match="5 bytes are announced, 2 follow"):
        decode_varbytes(b"\x05ab", 0)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (SIMPLE.encode() + b"\0", "1 bytes are left"),
        (SIMPLE.encode()[:-1], "cut short"),
        (bytes.fromhex("02000000000000000000"), "no inputs"),
        (
            bytes.fromhex("020000000001") + SIMPLE.encode()[4:-4] + b"\0" + bytes(4),
            "has no witness",
        ),
    ],
)
def test_transaction__malformed(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        Transaction.decode(raw)


def test_with_witness() -> None:
    signed = SIMPLE.with_witness(0, (b"sig", b"key"))
    assert signed.inputs[0].witness == (b"sig", b"key")
    assert SIMPLE.inputs[0].witness == ()
    assert signed.txid == SIMPLE.txid
    assert signed.wtxid != SIMPLE.wtxid
    assert signed.outpoint(1) == OutPoint(SIMPLE.txid, 1)


def test_remembered_txid_is_no_part_of_the_value() -> None:
    fresh, asked = Transaction.decode(SIMPLE.encode()), Transaction.decode(SIMPLE.encode())
    assert asked.txid is asked.txid
    assert fresh == asked
    assert hash(fresh) == hash(asked)
    assert repr(fresh) == repr(asked)
    assert [f.name for f in fields(asked)] == ["version", "inputs", "outputs", "locktime"]
    assert replace(asked, locktime=9).txid != asked.txid
    for copied in (copy.deepcopy(asked), pickle.loads(pickle.dumps(asked))):
        assert (copied, copied.txid) == (asked, asked.txid)


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_chain_hash_is_the_genesis_block(chain: Chain) -> None:
    version, root, time, bits, nonce = GENESIS[chain.name]
    header = BlockHeader(
        version, BlockHash(bytes(32)), bytes.fromhex(root)[::-1], time, bits, nonce
    )
    assert bytes(header.hash) == chain.chain_hash
    assert header.has_work
    assert not replace(header, nonce=nonce + 3).has_work or chain is REGTEST


def test_merkle_root() -> None:
    coinbase = Transaction.decode(GENESIS_COINBASE)
    assert str(coinbase.txid) == OLD_ROOT
    a, b, c = (bytes([i]) * 32 for i in range(3))
    assert merkle_root([]) == bytes(32)
    assert merkle_root([a]) == a
    assert merkle_root([a, b, c]) == sha256d(sha256d(a + b) + sha256d(c + c))


@pytest.mark.parametrize("bits", [0, 0x01003456, 0x00FFFFFF, 0x20800000, 0x23000001])
def test_header__target_that_nothing_meets(bits: int) -> None:
    assert not BlockHeader(1, BlockHash(bytes(32)), bytes(32), 0, bits, 0).has_work
