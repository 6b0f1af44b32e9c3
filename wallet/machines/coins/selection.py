"""Which coins pay: a set without change if there is one, else few coins and change.

Rule 1: the fee is never below the feerate for the weight of the signed transaction.
Rule 2: no output is dust; change that would be dust goes to the miner.
Rule 3: what is left, change included, is never below `keep`.

Inside the search, amounts are thousandths of a satoshi as plain ints (`_milli`): an input's worth
is its amount less its own fee, and a sum of rounded fees is not the fee of the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from wallet.base.bitcoin.script import dust_limit
from wallet.base.bitcoin.transaction import WITNESS_SCALE, TxOut, encode_varint
from wallet.base.errors import Refused, ensure
from wallet.base.values.amounts import ZERO_SAT, FeeratePerKw, Satoshi, sum_sat
from wallet.machines.coins.wallet import P2TR, P2WPKH, Balance, Coin

EMERGENCY_RESERVE: Final = Satoshi(25_000)
"""What stays on chain for each anchor channel that is open or opening, for its forced close.

At `RESERVE_FEERATE` it pays for our commitment and its child, and for taking six HTLCs.
"""
RESERVE_FEERATE: Final = FeeratePerKw(2_500)
"""10 sat/vB."""
CANNOT_AFFORD: Final = 301
EMERGENCY: Final = 313
"""Core Lightning's error codes."""

_MILLI: Final = 1000
_INPUT_SIZE: Final = 32 + 4 + 1 + 4
# Count, length and DER of a low-S signature with its sighash byte, length and key.
_P2WPKH_WITNESS: Final = 1 + 1 + 72 + 1 + 33
# Count, length and BIP 340 signature; the default sighash has no byte.
_P2TR_WITNESS: Final = 1 + 1 + 64
_SEGWIT_MARKER: Final = 2
_MAX_WEIGHT: Final = 400_000
"""Policy: nobody relays a heavier transaction."""
_MAX_TRIES: Final = 20_000
"""Of branch and bound: some ten milliseconds; after them the best set found so far counts."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A plan: inputs = outputs + change + fee. `outputs` are the wanted ones, as they were asked.

    An output may still get another script of the same length (a funding output gets its own once
    the peer's key is known); weight and fee stay.
    """

    inputs: tuple[Coin, ...]
    outputs: tuple[TxOut, ...]
    change: TxOut | None
    fee: Satoshi


def reserve_for(channels: int) -> Satoshi:
    """What must stay on chain for that many channels."""
    return Satoshi(EMERGENCY_RESERVE.sat * channels)


def input_weight(purpose: int) -> int:
    """Weight of one signed input, never less than the real one: P2WPKH 272, P2TR 230."""
    ensure(purpose in (P2WPKH, P2TR), f"no inputs of purpose {purpose}")
    witness = _P2WPKH_WITNESS if purpose == P2WPKH else _P2TR_WITNESS
    return _INPUT_SIZE * WITNESS_SCALE + witness


def select(
    coins: Sequence[Coin],
    outputs: Sequence[TxOut],
    feerate: FeeratePerKw,
    change_script: bytes,
    keep: Satoshi = ZERO_SAT,
    *,
    balance: Balance | None = None,
) -> Selection:
    """Choose among spendable `coins` what pays for `outputs`; confirmed coins are tried first.

    Raises `Refused`: 301 when it is too little, 313 when only `keep` stands against it, -32602
    for dust.  With the wallet's `balance` the sentence also says where other money is.
    """
    search = _Search(coins, tuple(outputs), feerate, change_script)
    _refuse_dust(search.outputs)
    wanted = sum_sat(search.outputs_amounts)
    confirmed = [coin for coin in search.coins if coin.height is not None]
    for pool in (confirmed, search.coins):
        for chosen in search.candidates(pool, wanted):
            plan = search.plan(chosen, wanted)
            if plan is not None and search.left_by(plan) >= keep:
                return plan
    raise _refusal(search, wanted, keep, balance)


def select_all(
    coins: Sequence[Coin],
    script_pubkey: bytes,
    feerate: FeeratePerKw,
    change_script: bytes,
    keep: Satoshi = ZERO_SAT,
    *,
    balance: Balance | None = None,
) -> Selection:
    """Send to one script everything that is worth its own fee, but `keep`, which comes back.

    The amount is `outputs[0].amount`.  Raises `Refused` as `select` does.
    """
    search = _Search(coins, (TxOut(Satoshi(0), script_pubkey),), feerate, change_script)
    change = TxOut(max(keep, dust_limit(change_script)), change_script) if keep > ZERO_SAT else None
    inputs = search.coins
    fee = search.fee(inputs, with_change=change is not None)
    left = sum_sat([c.amount for c in inputs]) - fee - (change.amount if change else ZERO_SAT)
    least = dust_limit(script_pubkey)
    if not inputs or left < least:
        raise _refusal(search, max(least, Satoshi(1)), keep, balance)
    return Selection(tuple(inputs), (TxOut(left, script_pubkey),), change, fee)


def select_these(
    coins: Sequence[Coin],
    outputs: Sequence[TxOut],
    feerate: FeeratePerKw,
    change_script: bytes,
    keep: Satoshi = ZERO_SAT,
    *,
    balance: Balance | None = None,
) -> Selection:
    """Spend every one of `coins` for `outputs`. Raises `Refused` as `select` does."""
    search = _Search(coins, tuple(outputs), feerate, change_script)
    _refuse_dust(search.outputs)
    wanted = sum_sat(search.outputs_amounts)
    plan = search.plan(coins, wanted)
    if plan is None or search.left_by(plan) < keep:
        raise _refusal(search, wanted, keep, balance)
    return plan


class _Search:
    """The arithmetic of one selection: what an input is worth, what a set of inputs costs."""

    def __init__(
        self,
        coins: Sequence[Coin],
        outputs: tuple[TxOut, ...],
        feerate: FeeratePerKw,
        change_script: bytes,
    ) -> None:
        self.outputs = outputs
        self.outputs_amounts = tuple(output.amount for output in outputs)
        self.change_script = change_script
        self._feerate = feerate
        self.available = sum_sat([coin.amount for coin in coins])
        # The most valuable first; equal ones in a fixed order, so that the same question has the
        # same answer.
        worthy = sorted(
            (coin for coin in coins if self.worth_milli(coin) > 0),
            key=lambda coin: (-self.worth_milli(coin), coin.outpoint),
        )
        room = _MAX_WEIGHT - self._base_weight(len(worthy), with_change=True)
        weights = accumulate(input_weight(coin.key.purpose) for coin in worthy)
        self.coins = [c for c, weight in zip(worthy, weights, strict=True) if weight <= room]

    def worth_milli(self, coin: Coin) -> int:
        """An input's amount less its own fee."""
        fee_milli = self._feerate.per_kw * input_weight(coin.key.purpose)
        return coin.amount.sat * _MILLI - fee_milli

    def fee(self, inputs: Sequence[Coin], *, with_change: bool) -> Satoshi:
        """The exact fee of the transaction that spends `inputs`."""
        weight = sum(input_weight(coin.key.purpose) for coin in inputs)
        base = self._base_weight(len(inputs), with_change=with_change)
        return self._feerate.fee_ceil(base + weight)

    def plan(self, inputs: Sequence[Coin], wanted: Satoshi) -> Selection | None:
        """The selection of these inputs, with change if it is not dust; None: they do not pay."""
        total = sum_sat([coin.amount for coin in inputs])
        change = total - wanted - self.fee(inputs, with_change=True)
        if change >= dust_limit(self.change_script) and change > self._spending_change():
            fee = self.fee(inputs, with_change=True)
            output = TxOut(change, self.change_script)
            return Selection(tuple(inputs), self.outputs, output, fee)
        fee = total - wanted
        if not inputs or fee < self.fee(inputs, with_change=False):
            return None
        return Selection(tuple(inputs), self.outputs, None, fee)

    def left_by(self, plan: Selection) -> Satoshi:
        """What the wallet can still spend after a plan: change, and the coins worth spending."""
        chosen = {coin.outpoint for coin in plan.inputs}
        others = [coin.amount for coin in self.coins if coin.outpoint not in chosen]
        return sum_sat([*others, plan.change.amount if plan.change else ZERO_SAT])

    def candidates(self, pool: Sequence[Coin], wanted: Satoshi) -> "list[list[Coin]]":
        """Sets of coins to try, the best first. `pool` is sorted, the most valuable first."""
        worths = [self.worth_milli(coin) for coin in pool]
        # Over-estimates the count of inputs by a byte or two at most.
        bare = wanted.sat * _MILLI + self._fee_milli(len(pool), with_change=False)
        with_change = (
            wanted.sat * _MILLI
            + self._fee_milli(len(pool), with_change=True)
            + max(dust_limit(self.change_script).sat, self._spending_change().sat + 1) * _MILLI
        )
        sets: list[list[Coin]] = []
        exact = _branch_and_bound(worths, bare, with_change - 1)
        if exact is not None:
            sets.append([pool[index] for index in exact])
        for target in (with_change, bare):
            # A single coin, the smallest that does; else the fewest.
            single = [coin for coin, worth in zip(pool, worths, strict=True) if worth >= target]
            if single:
                sets.append([single[-1]])
            for count, total in enumerate(accumulate(worths), start=1):
                if total >= target:
                    sets.append(list(pool[:count]))
                    break
        return sets

    def _fee_milli(self, inputs: int, *, with_change: bool) -> int:
        # Not rounded: whole satoshis cover a fee if and only if they cover it rounded up.
        return self._feerate.per_kw * self._base_weight(inputs, with_change=with_change)

    def _spending_change(self) -> Satoshi:
        """What change costs when it is spent one day, at today's feerate."""
        return self._feerate.fee_ceil(input_weight(P2TR))

    def _base_weight(self, inputs: int, *, with_change: bool) -> int:
        """Weight of everything but the inputs themselves."""
        outputs = [*self.outputs]
        if with_change:
            outputs.append(TxOut(Satoshi(0), self.change_script))
        size = 4 + len(encode_varint(inputs)) + len(encode_varint(len(outputs))) + 4
        size += sum(len(output.encode()) for output in outputs)
        return size * WITNESS_SCALE + _SEGWIT_MARKER


def _branch_and_bound(worths: Sequence[int], low: int, high: int) -> list[int] | None:
    """Indices of values (descending, positive) that add up to `low`..`high`, as low as possible.

    Depth first, the largest first; a branch ends when it is too much, or when all that remains
    would be too little.
    """
    remaining = [*accumulate(reversed(worths), initial=0)][::-1]
    best: list[int] | None = None
    chosen: list[int] = []
    total, index = 0, 0
    for _ in range(_MAX_TRIES):
        if low <= total <= high:
            best, high = list(chosen), total - 1
        if low <= total or total + remaining[index] < low:
            if not chosen or high < low:
                break
            # Back: leave out the last one taken, and go on behind it and its equals, which would
            # lead to the same sums.
            left_out = chosen.pop()
            total -= worths[left_out]
            index = left_out + 1
            while index < len(worths) and worths[index] == worths[left_out]:
                index += 1
        else:
            chosen.append(index)
            total += worths[index]
            index += 1
    return best


def _refuse_dust(outputs: Sequence[TxOut]) -> None:
    ensure(bool(outputs), "a transaction pays something to somebody")
    for output in outputs:
        least = dust_limit(output.script_pubkey)
        if output.amount < least:
            raise Refused(
                f"{output.amount} is dust: the network relays no output below {least} to such an "
                "address. Send more",
                -32602,
            )


def _refusal(search: _Search, wanted: Satoshi, keep: Satoshi, balance: Balance | None) -> Refused:
    """Where the money is, why that is not enough, and what to do."""
    inputs = search.coins
    fee = search.fee(inputs, with_change=False)
    affordable = sum_sat([coin.amount for coin in inputs]) >= wanted + fee
    spare = [f"{search.available} can be spent on chain"]
    if balance is not None:
        spare += [
            f"{amount} {word}"
            for amount, word in (
                (balance.unconfirmed, "are unconfirmed"),
                (balance.immature, "are mined but not mature"),
                (balance.reserved, "are reserved for other transactions"),
            )
            if amount
        ]
    needed = f"{wanted} and a fee of up to {fee} are needed"
    if affordable and keep > ZERO_SAT:
        return Refused(
            f"{'; '.join(spare)}; {needed}, and {keep} must stay as the emergency reserve, which "
            "pays for closing a channel by force. Spend less, or deposit more",
            EMERGENCY,
        )
    reserve = f", and {keep} must stay as the emergency reserve" if keep > ZERO_SAT else ""
    return Refused(
        f"{'; '.join(spare)}; {needed}{reserve}. Deposit more, or wait for a confirmation, a lower "
        "feerate or a cheaper plan",
        CANNOT_AFFORD,
    )
