"""Transactions of channels whose fee the wallet's coins pay (BOLT 3, BOLT 5).

HTLC transactions with `option_anchors` pay nothing themselves: the peer's signature (SINGLE,
ANYONECANPAY) binds one input and one output, so coins and change may be added behind them.  A
commitment cannot be changed at all: a child that spends our anchor pays for both.

Rule 1: only confirmed coins: a package has one child and its parents, and nothing else.
Rule 2: the fee never exceeds `most`, what the transaction fights for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wallet.base.bitcoin.script import dust_limit, p2wsh
from wallet.base.bitcoin.sighash import script_signature, segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, Transaction, TxIn, TxOut
from wallet.base.channel_tx.claims import Anchored
from wallet.base.channel_tx.commitment import HtlcTransaction
from wallet.base.channel_tx.scripts import anchor_script
from wallet.base.errors import Refused
from wallet.base.values.amounts import FEERATE_FLOOR, ZERO_SAT, FeeratePerKw, Satoshi, sum_sat
from wallet.base.values.ids import OutPoint, Preimage, Signature
from wallet.machines.coins.building import to_sign
from wallet.machines.coins.selection import CANNOT_AFFORD
from wallet.machines.coins.wallet import Coin
from wallet.machines.signing import FundingKey, HtlcKey, InputToSign, SignDigest, Slot, UnsignedTx

_VERSION: Final = 2
_SIGNATURES: Final = {Slot.DER_ALL: bytes(72), Slot.SCHNORR: bytes(64)}
"""The longest of each: a fee is never too low for what is signed in the end."""


@dataclass(frozen=True, slots=True)
class Bumped:
    """A transaction that waits for our signatures, its fee, and the coins that pay it."""

    unsigned: UnsignedTx
    fee: Satoshi
    spent: tuple[OutPoint, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands before the wallet adds its coins: one input of the channel, its outputs."""

    tx: Transaction
    prevout: TxOut
    sign: Callable[[Transaction], InputToSign]
    parent_weight: int = 0
    parent_fee: Satoshi = ZERO_SAT

    def fee(self, feerate: FeeratePerKw, weight: int) -> Satoshi:
        whole = feerate.fee_ceil(weight + self.parent_weight)
        return max(whole - self.parent_fee, ZERO_SAT)


def bump_htlc(
    htlc: HtlcTransaction,
    their_signature: Signature,
    key: HtlcKey,
    preimage: Preimage | None,
    coins: Sequence[Coin],
    change_script: bytes,
    feerate: FeeratePerKw,
    most: Satoshi,
) -> Bumped:
    """BOLT 3 HTLC-success or HTLC-timeout with its fee. Raises `Refused` 301.

    nLockTime, input 0 and output 0 are as the peer signed them; our signature covers everything.
    """
    theirs = script_signature(their_signature, htlc.sighash)
    witness = (b"", theirs, Slot.DER_ALL, preimage or b"", htlc.script)
    amount = htlc.htlc.amount.floor_to_sat()

    def sign(tx: Transaction) -> InputToSign:
        digest = segwit_v0(tx, 0, htlc.script, amount)
        return InputToSign(0, SignDigest(key, digest), witness)

    frame = _Frame(htlc.tx, TxOut(amount, p2wsh(htlc.script)), sign)
    return _fund(frame, coins, change_script, feerate, most)


def bump_commitment(
    commitment: Anchored,
    key: FundingKey,
    coins: Sequence[Coin],
    change_script: bytes,
    feerate: FeeratePerKw,
    most: Satoshi,
) -> Bumped:
    """A child of our commitment: both together pay `feerate`. Raises `Refused` 301.

    `most` is for the child's fee alone.
    """
    script = anchor_script(commitment.funding_pubkey)
    anchor = commitment.tx.outputs[commitment.anchor_index]
    spent = TxIn(commitment.tx.outpoint(commitment.anchor_index), sequence=SEQUENCE_RBF)

    def sign(tx: Transaction) -> InputToSign:
        digest = segwit_v0(tx, 0, script, anchor.amount)
        return InputToSign(0, SignDigest(key, digest), (Slot.DER_ALL, script))

    frame = _Frame(
        Transaction(_VERSION, (spent,), ()), anchor, sign, commitment.weight, commitment.fee
    )
    return _fund(frame, coins, change_script, feerate, most)


def _fund(
    frame: _Frame,
    coins: Sequence[Coin],
    change_script: bytes,
    feerate: FeeratePerKw,
    most: Satoshi,
) -> Bumped:
    least = dust_limit(change_script)
    confirmed = [coin for coin in coins if coin.height is not None]
    surplus = frame.prevout.amount - sum_sat([o.amount for o in frame.tx.outputs])
    for chosen in _sets(confirmed):
        weight = _signed(_with(frame, chosen, TxOut(least, change_script))).weight
        fee = min(frame.fee(feerate, weight), most)
        if fee < frame.fee(FEERATE_FLOOR, weight):
            break
        change = surplus + sum_sat([coin.amount for coin in chosen]) - fee
        if change >= least:
            unsigned = _with(frame, chosen, TxOut(change, change_script))
            return Bumped(unsigned, fee, tuple(coin.outpoint for coin in chosen))
    have = sum_sat([coin.amount for coin in confirmed])
    raise Refused(
        f"a transaction that closes a channel needs a fee, and {have} of confirmed coins on chain"
        f" cannot pay it (at {feerate}, at most {most}). Nothing is lost yet; it is tried again"
        " with every block. Deposit to this wallet",
        CANNOT_AFFORD,
    )


def _sets(coins: Sequence[Coin]) -> Iterator[tuple[Coin, ...]]:
    """What to try: each coin alone, the smallest first; then ever more of the largest."""
    ordered = sorted(coins, key=lambda coin: (coin.amount, coin.outpoint))
    yield from ((coin,) for coin in ordered)
    largest = ordered[::-1]
    yield from (tuple(largest[:count]) for count in range(2, len(largest) + 1))


def _with(frame: _Frame, chosen: Sequence[Coin], change: TxOut) -> UnsignedTx:
    inputs = tuple(TxIn(coin.outpoint, sequence=SEQUENCE_RBF) for coin in chosen)
    base = frame.tx
    tx = Transaction(base.version, (*base.inputs, *inputs), (*base.outputs, change), base.locktime)
    prevouts = [frame.prevout, *(coin.output for coin in chosen)]
    wanted = [to_sign(tx, at, coin, prevouts) for at, coin in enumerate(chosen, start=1)]
    return UnsignedTx(tx, (frame.sign(tx), *wanted))


def _signed(unsigned: UnsignedTx) -> Transaction:
    tx = unsigned.tx
    for wanted in unsigned.inputs:
        items = [_SIGNATURES[i] if isinstance(i, Slot) else i for i in wanted.witness]
        tx = tx.with_witness(wanted.index, tuple(items))
    return tx
