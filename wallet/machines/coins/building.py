"""From a selection to a transaction that waits for our signatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.script import p2wpkh_code
from wallet.base.bitcoin.sighash import segwit_v0, taproot
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, Transaction, TxIn, TxOut
from wallet.base.errors import ensure
from wallet.machines.coins.selection import Selection
from wallet.machines.coins.wallet import P2WPKH, Coin
from wallet.machines.signing import InputToSign, SignDigest, Slot, UnsignedTx

_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Built:
    """An unsigned transaction, and where its outputs stand.

    `positions` are those of the wanted outputs, in the order in which they were asked for.
    """

    unsigned: UnsignedTx
    positions: tuple[int, ...]
    change_position: int | None


def build(selection: Selection, outputs: Sequence[TxOut], height: int) -> Built:
    """The transaction of `selection` that pays `outputs`, for a tip at `height`.

    `outputs` are those of the selection; a script may be another one of the same length.  Inputs
    and outputs are in the order of BIP 69, so that nothing shows which output is change.
    """
    ensure(
        [(o.amount, len(o.script_pubkey)) for o in outputs]
        == [(o.amount, len(o.script_pubkey)) for o in selection.outputs],
        "outputs of other amounts or sizes than those that were selected for",
    )
    coins = sorted(selection.inputs, key=lambda c: (c.outpoint.txid[::-1], c.outpoint.index))
    paid = [*outputs] if selection.change is None else [*outputs, selection.change]
    order = sorted(range(len(paid)), key=lambda i: (paid[i].amount, paid[i].script_pubkey))
    tx = Transaction(
        _VERSION,
        tuple(TxIn(coin.outpoint, sequence=SEQUENCE_RBF) for coin in coins),
        tuple(paid[i] for i in order),
        # Core's rule against fee sniping: a miner who redoes the tip cannot take this fee along.
        locktime=height,
    )
    prevouts = [coin.output for coin in coins]
    unsigned = UnsignedTx(
        tx, tuple(to_sign(tx, index, coin, prevouts) for index, coin in enumerate(coins))
    )
    places = [order.index(i) for i in range(len(paid))]
    return Built(
        unsigned,
        tuple(places[: len(outputs)]),
        None if selection.change is None else places[-1],
    )


def to_sign(tx: Transaction, index: int, coin: Coin, prevouts: Sequence[TxOut]) -> InputToSign:
    """What input `index`, which spends `coin`, needs; `prevouts` are of all inputs, in order."""
    if coin.key.purpose == P2WPKH:
        digest = segwit_v0(tx, index, p2wpkh_code(coin.pubkey), coin.amount)
        return InputToSign(index, SignDigest(coin.key, digest), (Slot.DER_ALL, coin.pubkey))
    digest = taproot(tx, index, prevouts)
    return InputToSign(index, SignDigest(coin.key, digest), (Slot.SCHNORR,))
