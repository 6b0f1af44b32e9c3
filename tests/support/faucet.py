"""A key that owns what the embedded chain mines, and spends it in simple transactions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wallet.base.bitcoin.address import encode_address
from wallet.base.bitcoin.block import Block
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import P2A, op_return, p2wpkh, p2wpkh_code
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, Transaction, TxIn, TxOut
from wallet.base.crypto.curve import point_of, sign
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Secret

SECRET = Secret(bytes(31) + b"\x07")
PUBLIC_KEY = point_of(SECRET)
SCRIPT = p2wpkh(PUBLIC_KEY)
ADDRESS = encode_address(SCRIPT, REGTEST)
ELSEWHERE = p2wpkh(point_of(Secret(bytes(31) + b"\x09")))
ELSEWHERE_ADDRESS = encode_address(ELSEWHERE, REGTEST)


@dataclass(frozen=True, slots=True)
class Spendable:
    """An output of the faucet's key, or an anchor that anybody may spend."""

    outpoint: OutPoint
    amount: Satoshi
    script_pubkey: bytes = SCRIPT

    @property
    def output(self) -> TxOut:
        """As it stands in its transaction."""
        return TxOut(self.amount, self.script_pubkey)


def coinbase_of(block: Block) -> Spendable:
    """What a block pays the faucet."""
    return output_of(block.transactions[0], 0)


def output_of(tx: Transaction, index: int) -> Spendable:
    """One of a transaction's outputs, which must be the faucet's or an anchor."""
    out = tx.outputs[index]
    assert out.script_pubkey in (SCRIPT, P2A)
    return Spendable(tx.outpoint(index), out.amount, out.script_pubkey)


def of_vsize(coins: Sequence[Spendable], fee: int, vsize: int, *, version: int = 2) -> Transaction:
    """A transaction of exactly `vsize` virtual bytes, with data to fill it."""
    for size in range(vsize - spend(coins, fee).vsize - 20, vsize):
        tx = spend(coins, fee, outputs=[TxOut(Satoshi(0), op_return(bytes(size)))], version=version)
        if tx.vsize == vsize:
            return tx
    raise AssertionError(vsize)


def spend(
    coins: Sequence[Spendable],
    fee: int,
    *,
    outputs: Sequence[TxOut] | None = None,
    parts: int = 1,
    version: int = 2,
    locktime: int = 0,
    sequence: int = SEQUENCE_RBF,
) -> Transaction:
    """A signed transaction; all but `fee` satoshi go back to the faucet in `parts` equal parts.

    With `outputs` these are paid first, and the faucet gets the rest.
    """
    paid = tuple(outputs or ())
    left = sum(c.amount.sat for c in coins) - fee - sum(o.amount.sat for o in paid)
    back = tuple(TxOut(Satoshi(left // parts), SCRIPT) for _ in range(parts)) if parts else ()
    return signed(
        Transaction(
            version,
            tuple(TxIn(coin.outpoint, b"", sequence) for coin in coins),
            paid + back,
            locktime,
        ),
        coins,
    )


def signed(tx: Transaction, coins: Sequence[Spendable]) -> Transaction:
    """The transaction with the faucet's witness on every input, none on anchors."""
    code = p2wpkh_code(PUBLIC_KEY)
    witnesses = [
        ()
        if coin.script_pubkey == P2A
        else (script_signature(sign(SECRET, segwit_v0(tx, i, code, coin.amount))), PUBLIC_KEY)
        for i, coin in enumerate(coins)
    ]
    inputs = tuple(
        replace(txin, witness=witness) for txin, witness in zip(tx.inputs, witnesses, strict=True)
    )
    return replace(tx, inputs=inputs)
