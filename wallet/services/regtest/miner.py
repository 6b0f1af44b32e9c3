"""Blocks for the embedded chain: subsidy, coinbase, proof of work; regtest's rules."""

from collections.abc import Sequence
from typing import Final

from wallet.base.bitcoin.block import Block, BlockHeader, merkle_root
from wallet.base.bitcoin.script import Op, push, push_int
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction, TxIn, TxOut
from wallet.base.crypto.hashes import sha256d
from wallet.base.values.amounts import SAT_PER_BTC, Satoshi
from wallet.base.values.ids import BlockHash, OutPoint, Txid

HALVING_INTERVAL: Final = 150
COINBASE_MATURITY: Final = 100
MAX_BLOCK_WEIGHT: Final = 4_000_000

_BLOCK_VERSION: Final = 0x20000000
_BITS: Final = 0x207FFFFF
_NO_OUTPOINT: Final = OutPoint(Txid(bytes(32)), 0xFFFFFFFF)
_WITNESS_RESERVED: Final = bytes(32)
_COMMITMENT_TAG: Final = bytes.fromhex("aa21a9ed")


def subsidy(height: int) -> Satoshi:
    """New money of the block at `height`: 50 BTC, halved every 150 blocks (regtest)."""
    halvings = height // HALVING_INTERVAL
    return Satoshi(50 * SAT_PER_BTC >> halvings if halvings < 64 else 0)


def coinbase(
    height: int,
    script_pubkey: bytes,
    amount: Satoshi,
    wtxids: Sequence[bytes],
    extra_nonce: int,
) -> Transaction:
    """Coinbase transaction with height (BIP 34) and witness commitment (BIP 141) over `wtxids`.

    `extra_nonce` (64 bits) makes two blocks on one parent, to one script, in one second, differ.
    """
    # The coinbase's own wtxid counts as zero.
    root = merkle_root([bytes(32), *wtxids])
    commitment = _COMMITMENT_TAG + sha256d(root + _WITNESS_RESERVED)
    script_sig = push_int(height) + push(extra_nonce.to_bytes(8, "little"))
    return Transaction(
        2,
        (TxIn(_NO_OUTPOINT, script_sig, SEQUENCE_FINAL, (_WITNESS_RESERVED,)),),
        (
            TxOut(amount, script_pubkey),
            TxOut(Satoshi(0), bytes((Op.RETURN,)) + push(commitment)),
        ),
    )


def mine(
    previous: BlockHash, time: int, first: Transaction, rest: Sequence[Transaction] = ()
) -> Block:
    """A block with proof of work (two tries on average): coinbase `first`, then `rest` in order."""
    transactions = (first, *rest)
    root = merkle_root([tx.txid for tx in transactions])
    nonce = 0
    while True:
        header = BlockHeader(_BLOCK_VERSION, previous, root, time, _BITS, nonce)
        if header.has_work:
            return Block(header, transactions)
        nonce += 1
