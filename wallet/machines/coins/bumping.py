"""Transactions of a channel that cannot pay their own fee: the wallet's coins pay it.

An HTLC transaction with `option_anchors` has no fee; the peer's signature binds one input and one
output of it, so coins and change go behind them.  A commitment's fee was fixed when it was signed;
a child that spends our anchor pays for both.

Rule 1: the fee is never above `most`, what is at risk; what a channel loses to miners is lost too.
Rule 2: as few coins as will do, and of single ones the smallest: other HTLCs need coins in the
same block, and an unconfirmed coin brings its own unconfirmed parents along.
Rule 3: always change, never dust. What cannot be paid as asked may be paid in part: `afforded`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from wallet.base.bitcoin.script import dust_limit, p2wsh
from wallet.base.bitcoin.sighash import SigHash, script_signature, segwit_v0
from wallet.base.bitcoin.transaction import SEQUENCE_RBF, WITNESS_SCALE, Transaction, TxIn, TxOut
from wallet.base.channel_tx.claims import LONGEST_SIGNATURE, Anchored
from wallet.base.channel_tx.commitment import HtlcTransaction
from wallet.base.channel_tx.scripts import anchor_script
from wallet.base.errors import Refused, ensure
from wallet.base.values.amounts import FEERATE_FLOOR, ZERO_SAT, FeeratePerKw, Satoshi, sum_sat
from wallet.base.values.ids import OutPoint, Preimage, Signature
from wallet.machines.coins.building import to_sign
from wallet.machines.coins.selection import CANNOT_AFFORD, input_weight
from wallet.machines.coins.wallet import P2TR, Coin
from wallet.machines.signing import (
    FundingKey,
    HtlcKey,
    InputToSign,
    KeyRef,
    SignDigest,
    Slot,
    UnsignedTx,
)

_VERSION: Final = 2
_MAX_WEIGHT: Final = 40_000
"""Core takes one child of up to 10,000 vbytes beyond its limits, however many the peer has hung on
its own anchor (the CPFP carve-out). It also keeps the count of inputs in one byte."""

_PIECE_FEES: Final = 4
"""What a piece of change is worth at least, in fees of the transaction that makes it."""


@dataclass(frozen=True, slots=True)
class Bumped:
    """A transaction that waits for our signatures, its own fee, and the wallet's coins in it."""

    unsigned: UnsignedTx
    fee: Satoshi
    spent: tuple[OutPoint, ...]


@dataclass(frozen=True, slots=True)
class _Poor:
    """A transaction before coins and change: input 0 is a P2WSH output of a commitment.

    `witness` is that of input 0, which `key` signs; `name` and `at_risk` are for sentences.
    `parent_weight` and `parent_fee` are of a parent that it pays for, zero for none.
    """

    tx: Transaction
    amount: Satoshi
    script: bytes
    key: KeyRef
    witness: tuple[bytes | Slot, ...]
    name: str
    at_risk: str
    parent_weight: int = 0
    parent_fee: Satoshi = ZERO_SAT

    def weight(self, change_script: bytes) -> int:
        """Signed, with change and without coins."""
        outputs = (*self.tx.outputs, TxOut(ZERO_SAT, change_script))
        stack = (LONGEST_SIGNATURE if isinstance(i, Slot) else i for i in self.witness)
        return replace(self.tx, outputs=outputs).with_witness(0, tuple(stack)).weight

    def fee(self, feerate: FeeratePerKw, weight: int) -> Satoshi:
        """What it must pay, at a weight of its own, for itself and its parent."""
        return feerate.fee_ceil(weight + self.parent_weight) - self.parent_fee

    def serves(self, fee: Satoshi, weight: int) -> bool:
        """Whether `fee` is relayed, and makes a miner want the parent more than without it."""
        least = max(self.fee(FEERATE_FLOOR, weight), FEERATE_FLOOR.fee_ceil(weight))
        return fee >= least and fee.sat * self.parent_weight >= self.parent_fee.sat * weight


def bump_htlc(  # noqa: PLR0913 - what the peer signed, what we add, and how much of it
    htlc: HtlcTransaction,
    their_signature: Signature,
    key: HtlcKey,
    preimage: Preimage | None,
    coins: Sequence[Coin],
    change_script: bytes,
    feerate: FeeratePerKw,
    most: Satoshi,
    *,
    pieces: int = 1,
) -> Bumped:
    """BOLT 3 HTLC-success (with `preimage`) or HTLC-timeout of our commitment, paying `feerate`.

    Less where `most` allows no more.  The change comes in up to so many `pieces`: other HTLCs may
    wait for a coin each.  Only for a format whose countersigner signs SINGLE|ANYONECANPAY.  Our own
    signature covers everything (BOLT 5: or anyone could add to it).
    Raises `Refused`: 301 when the coins are too little, -1 when `most` is.
    """
    ensure(htlc.htlc.offered == (preimage is None), "HTLC-success, and only it, has a preimage")
    ensure(
        htlc.sighash == SigHash.SINGLE_ANYONECANPAY,
        "the peer's signature would not hold for a transaction with coins in it",
    )
    kind = "HTLC-timeout" if htlc.htlc.offered else "HTLC-success"
    amount = htlc.htlc.amount.floor_to_sat()
    theirs = script_signature(their_signature, htlc.sighash)
    poor = _Poor(
        tx=htlc.tx,
        amount=amount,
        script=htlc.script,
        key=key,
        witness=(b"", theirs, Slot.DER_ALL, preimage or b"", htlc.script),
        name=f"The {kind} transaction",
        at_risk=f"{amount} wait in output {htlc.output_index} of our commitment "
        f"{htlc.tx.inputs[0].outpoint.txid}, where the peer may take them in the end",
    )
    return _paid(poor, coins, change_script, feerate, most, pieces)


def bump_commitment(
    commitment: Anchored,
    key: FundingKey,
    coins: Sequence[Coin],
    change_script: bytes,
    feerate: FeeratePerKw,
    most: Satoshi,
) -> Bumped:
    """A child of `commitment`, spending our anchor, so that both together pay `feerate`.

    Less where `most`, the most that the child may pay, allows no more.  Works for either side's
    commitment, by the anchor that is ours.
    Raises `Refused`: 301 when the coins are too little, -1 when `most` is or no child is needed.
    """
    script = anchor_script(commitment.funding_pubkey)
    anchor = commitment.tx.outputs[commitment.anchor_index]
    ensure(
        anchor.script_pubkey == p2wsh(script), "this output of a commitment is no anchor of ours"
    )
    if max(feerate, FEERATE_FLOOR).fee(commitment.weight) <= commitment.fee:
        raise Refused(
            f"The commitment {commitment.tx.txid} pays {commitment.fee}, no less than {feerate}; "
            "a child would add nothing. Wait for a block, or ask for a higher feerate"
        )
    poor = _Poor(
        tx=Transaction(
            _VERSION,
            (TxIn(commitment.tx.outpoint(commitment.anchor_index), sequence=SEQUENCE_RBF),),
            (),
        ),
        amount=anchor.amount,
        script=script,
        key=key,
        witness=(Slot.DER_ALL, script),
        name=f"The child that pays for the commitment {commitment.tx.txid}",
        at_risk="the channel's money stays in its funding output until a commitment is mined",
        parent_weight=commitment.weight,
        parent_fee=commitment.fee,
    )
    return _paid(poor, coins, change_script, feerate, most)


def afforded(
    bump: Callable[[FeeratePerKw], Bumped], feerate: FeeratePerKw
) -> tuple[Bumped, FeeratePerKw]:
    """What `bump` makes at the highest of `feerate`, half of it, a quarter… that the coins pay.

    For a first version only: one that is too cheap may still confirm before its deadline, while a
    replacement that pays less is not one.  Raises what `bump` says of `feerate` when none will do.
    """
    asked: Refused | None = None
    while True:
        try:
            return bump(feerate), feerate
        except Refused as refused:
            asked = asked or refused
            if refused.code != CANNOT_AFFORD or feerate <= FEERATE_FLOOR:
                raise asked from None
        feerate = max(FEERATE_FLOOR, FeeratePerKw(feerate.per_kw // 2))


def outbids(tx: Transaction, before: Transaction, coins: Mapping[OutPoint, Coin]) -> bool:
    """Whether a mempool takes `tx` in place of `before`, which spends the same output first.

    BIP 125 rule 4: it pays its own relay on top.  A fee that `most` has cut to what the one before
    it pays already is none.  `coins` are the wallet's, spent ones included.
    """

    def cost(one: Transaction) -> int:
        ours = sum(coins[i.outpoint].amount.sat for i in one.inputs if i.outpoint in coins)
        return ours - sum(output.amount.sat for output in one.outputs)

    return cost(tx) >= cost(before) + FEERATE_FLOOR.fee_ceil(tx.weight).sat


def _paid(
    poor: _Poor,
    coins: Sequence[Coin],
    change_script: bytes,
    feerate: FeeratePerKw,
    most: Satoshi,
    pieces: int = 1,
) -> Bumped:
    feerate = max(feerate, FEERATE_FLOOR)
    bare = poor.weight(change_script)
    fixed = poor.amount - sum_sat([output.amount for output in poor.tx.outputs])
    for chosen in _sets(coins, _within(poor, bare, feerate, most), _MAX_WEIGHT - bare):
        weight = bare + _inputs_weight(chosen)
        fee = min(poor.fee(feerate, weight), most)
        change = fixed + sum_sat([coin.amount for coin in chosen]) - fee
        if change >= dust_limit(change_script) and poor.serves(fee, weight):
            more = _pieces(change, change_script, fee, feerate, most, pieces)
            kept = change + fee - more.fee
            parts = [Satoshi(kept.sat // more.count)] * (more.count - 1)
            amounts = (*parts, kept - sum_sat(parts))
            unsigned = _unsigned(poor, chosen, [TxOut(part, change_script) for part in amounts])
            return Bumped(unsigned, more.fee, tuple(coin.outpoint for coin in chosen))
    raise _refusal(poor, coins, bare, dust_limit(change_script) - fixed, feerate, most)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """In how many outputs the change comes, and the whole fee then."""

    count: int
    fee: Satoshi


def _pieces(
    change: Satoshi,
    script: bytes,
    fee: Satoshi,
    feerate: FeeratePerKw,
    most: Satoshi,
    wanted: int,
) -> _Pieces:
    """As many as are wanted, if each pays for a transaction such as this and its replacements."""
    weight = len(TxOut(ZERO_SAT, script).encode()) * WITNESS_SCALE
    for count in range(wanted, 1, -1):
        whole = fee + feerate.fee_ceil(weight * (count - 1))
        left = change.sat + fee.sat - whole.sat
        if whole <= most and left >= count * _PIECE_FEES * fee.sat:
            return _Pieces(count, whole)
    return _Pieces(1, fee)


def _within(poor: _Poor, bare: int, feerate: FeeratePerKw, most: Satoshi) -> FeeratePerKw:
    """`feerate`, or less when `most` allows no more at the least weight: what inputs cost."""
    whole = bare + input_weight(P2TR) + poor.parent_weight
    return min(feerate, FeeratePerKw((most + poor.parent_fee).sat * 1000 // whole))


def _sets(coins: Sequence[Coin], feerate: FeeratePerKw, room: int) -> Iterator[Sequence[Coin]]:
    """What to try, the best first: confirmed coins, then all; one coin, then ever more.

    Of single coins the smallest is first, of several the most valuable: they are the fewest.
    """

    def worth_milli(coin: Coin) -> int:
        return coin.amount.sat * 1000 - feerate.per_kw * input_weight(coin.key.purpose)

    worthy = sorted(
        (coin for coin in coins if worth_milli(coin) > 0),
        # Equal ones in a fixed order: the same question has the same answer.
        key=lambda coin: (-worth_milli(coin), coin.outpoint),
    )
    for pool in ([coin for coin in worthy if coin.height is not None], worthy):
        yield from ([coin] for coin in reversed(pool))
        weights = accumulate(input_weight(coin.key.purpose) for coin in pool)
        fitting = sum(weight <= room for weight in weights)
        yield from (pool[:count] for count in range(2, fitting + 1))


def _inputs_weight(coins: Sequence[Coin]) -> int:
    return sum(input_weight(coin.key.purpose) for coin in coins)


def _unsigned(poor: _Poor, coins: Sequence[Coin], change: Sequence[TxOut]) -> UnsignedTx:
    """Input 0 and its output stay where the peer signed them; coins and change follow."""
    added = tuple(TxIn(coin.outpoint, sequence=SEQUENCE_RBF) for coin in coins)
    tx = replace(poor.tx, inputs=(*poor.tx.inputs, *added), outputs=(*poor.tx.outputs, *change))
    # Taproot signs every spent output, the commitment's too.
    prevouts = [TxOut(poor.amount, p2wsh(poor.script)), *(coin.output for coin in coins)]
    digest = segwit_v0(tx, 0, poor.script, poor.amount)
    first = InputToSign(0, SignDigest(poor.key, digest), poor.witness)
    others = (to_sign(tx, index, coin, prevouts) for index, coin in enumerate(coins, start=1))
    return UnsignedTx(tx, (first, *others))


def _refusal(
    poor: _Poor,
    coins: Sequence[Coin],
    bare: int,
    beside_fee: Satoshi,
    feerate: FeeratePerKw,
    most: Satoshi,
) -> Refused:
    """Where the money is, why it cannot be moved, what to do; measured by one coin."""
    weight = bare + min(
        (input_weight(coin.key.purpose) for coin in coins), default=input_weight(P2TR)
    )
    fee = min(poor.fee(feerate, weight), most)
    if not poor.serves(fee, weight):
        return Refused(
            f"{poor.name} is not worth its fee: {most} is the most that may be spent on it, and a "
            f"miner wants more at any feerate that helps; {poor.at_risk}. Wait for lower feerates"
        )
    available = sum_sat([coin.amount for coin in coins])
    return Refused(
        f"{poor.name} lacks its fee: {len(coins)} coins with {available} can be spent on chain, "
        f"and a coin of about {fee + beside_fee} is needed ({fee} of fee; the rest comes back); "
        f"{poor.at_risk}. Deposit on chain now, or wait for a confirmation or a lower feerate",
        CANNOT_AFFORD,
    )
