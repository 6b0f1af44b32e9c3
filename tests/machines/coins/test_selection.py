"""Selection: what holds of every plan, what is refused and how, and the kernel's verdict."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.coins import coin, out, script_of, signed
from tests.support.kernel_engine import verify
from wallet.base.bitcoin.script import dust_limit
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.amounts import FeeratePerKw, Satoshi, sum_sat
from wallet.machines.coins import (
    EMERGENCY_RESERVE,
    Balance,
    Coin,
    Selection,
    build,
    input_weight,
    select,
    select_all,
)

CHANGE = script_of(86, 1, 0)
FLOOR = FeeratePerKw(253)
FUNDING = bytes.fromhex("0020") + bytes(32)


def total(coins: tuple[Coin, ...] | list[Coin]) -> Satoshi:
    return sum_sat([c.amount for c in coins])


def holds(plan: Selection, coins: list[Coin], feerate: FeeratePerKw, keep: Satoshi) -> None:
    """What is true of every plan, once it is signed."""
    change = [] if plan.change is None else [plan.change]
    outputs = [*plan.outputs, *change]
    assert total(plan.inputs) == sum_sat([o.amount for o in outputs]) + plan.fee
    assert all(o.amount >= dust_limit(o.script_pubkey) for o in outputs)
    assert len({c.outpoint for c in plan.inputs}) == len(plan.inputs)
    tx = signed(build(plan, plan.outputs, 100).unsigned)
    assert plan.fee >= feerate.fee_ceil(tx.weight)
    assert tx.weight <= 400_000
    # Never much more than it must be: short signatures, and change that was not worth making.
    slack = 3 * len(plan.inputs)
    most = feerate.fee_ceil(tx.weight + slack)
    if plan.change is None:
        making = feerate.fee_ceil(4 * len(out(0, CHANGE).encode()) + 8)
        most += making + max(dust_limit(CHANGE), feerate.fee_ceil(input_weight(86)))
    assert plan.fee <= most
    left = [c for c in coins if c not in plan.inputs]
    assert total(left) + sum_sat([o.amount for o in change]) >= keep


coins_lists = st.lists(
    st.tuples(st.integers(200, 2_000_000), st.sampled_from((84, 86)), st.sampled_from((1, None))),
    min_size=1,
    max_size=12,
).map(lambda rows: [coin(sat, p, number, h) for number, (sat, p, h) in enumerate(rows)])
feerates = st.integers(253, 20_000).map(FeeratePerKw)
keeps = st.sampled_from((Satoshi(0), EMERGENCY_RESERVE))


@settings(max_examples=200, deadline=None, database=None)
@given(coins_lists, st.floats(0, 1), feerates, keeps)
def test_select__properties(
    coins: list[Coin], part: float, feerate: FeeratePerKw, keep: Satoshi
) -> None:
    amount = int(330 + part * total(coins).sat)
    try:
        plan = select(coins, [out(amount, FUNDING)], feerate, CHANGE, keep)
    except Refused as refused:
        assert refused.code in (301, 313)
        assert refused.code == 301 or keep
        # Nothing that `select_all` could pay is refused.
        try:
            most = select_all(coins, FUNDING, feerate, CHANGE, keep).outputs[0].amount
        except Refused:
            return
        assert most < Satoshi(amount)
        return
    holds(plan, coins, feerate, keep)
    assert plan.outputs == (out(amount, FUNDING),)


@settings(max_examples=150, deadline=None, database=None)
@given(coins_lists, feerates, keeps)
def test_select_all__properties(coins: list[Coin], feerate: FeeratePerKw, keep: Satoshi) -> None:
    try:
        plan = select_all(coins, FUNDING, feerate, CHANGE, keep)
    except Refused as refused:
        assert refused.code in (301, 313)
        return
    holds(plan, coins, feerate, keep)
    assert (plan.change is None) is not bool(keep)
    assert plan.change is None or plan.change.amount == keep
    # What stays behind costs more than it is worth.
    assert all(
        c.amount <= feerate.fee_ceil(input_weight(c.key.purpose))
        for c in coins
        if c not in plan.inputs
    )
    # It is the most: exactly this amount can be sent, and without a reserve not one satoshi more.
    amount = plan.outputs[0].amount.sat
    assert select(coins, [out(amount, FUNDING)], feerate, CHANGE, keep).outputs == plan.outputs
    if not keep:
        with pytest.raises(Refused):
            select(coins, [out(amount + 1, FUNDING)], feerate, CHANGE)


@settings(max_examples=100, deadline=None, database=None)
@given(coins_lists, st.data(), feerates)
def test_select__finds_a_set_without_change(
    coins: list[Coin], data: st.DataObject, feerate: FeeratePerKw
) -> None:
    subset = data.draw(st.lists(st.sampled_from(coins), min_size=1, unique_by=lambda c: c.outpoint))
    assume(all(c.height is not None for c in coins))
    weight = 4 * (4 + 1 + 1 + 4 + len(out(0, FUNDING).encode())) + 2
    fee = feerate.fee_ceil(weight + sum(input_weight(c.key.purpose) for c in subset))
    amount = (total(subset) - fee).sat
    assume(amount >= 330)
    assume(all(c.amount > feerate.fee_ceil(input_weight(c.key.purpose)) for c in subset))
    plan = select(coins, [out(amount, FUNDING)], feerate, CHANGE)
    assert plan.change is None


def test_select__one_coin_the_smallest_that_does() -> None:
    coins = [coin(sat, 86, i) for i, sat in enumerate((900_000, 300_000, 100_000, 90_000))]
    plan = select(coins, [out(150_000)], FLOOR, CHANGE)
    assert plan.inputs == (coins[1],)
    assert plan.change is not None


def test_select__accumulates_the_largest() -> None:
    coins = [coin(sat, 84, i) for i, sat in enumerate((10_000, 50_000, 40_000, 20_000))]
    plan = select(coins, [out(75_000)], FLOOR, CHANGE)
    assert set(plan.inputs) == {coins[1], coins[2]}


def test_select__confirmed_coins_before_our_own_change() -> None:
    waiting, mined = coin(100_000, number=1, height=None), coin(200_000, number=2)
    assert select([waiting, mined], [out(90_000)], FLOOR, CHANGE).inputs == (mined,)
    both = select([waiting, mined], [out(250_000)], FLOOR, CHANGE).inputs
    assert set(both) == {waiting, mined}


def test_select__the_same_answer_for_any_order() -> None:
    coins = [coin(50_000, 84 + 2 * (i % 2), i) for i in range(8)]
    plans = {
        select(order, [out(120_000)], FLOOR, CHANGE).inputs
        for order in (coins, coins[::-1], coins[3:] + coins[:3])
    }
    assert len(plans) == 1


def test_select__change_that_would_be_dust_goes_to_the_miner() -> None:
    one = coin(100_000)
    fee = select_all([one], FUNDING, FLOOR, CHANGE).fee.sat
    plan = select([one], [out(100_000 - fee - 300, FUNDING)], FLOOR, CHANGE)
    assert plan.change is None
    assert plan.fee == Satoshi(fee + 300)
    with_change = select([one], [out(100_000 - fee - 600, FUNDING)], FLOOR, CHANGE)
    assert with_change.change is not None
    assert with_change.change.amount >= dust_limit(CHANGE)


def test_select__hundreds_of_coins() -> None:
    coins = [coin(1_000 + i, 84, i) for i in range(2_000)]
    plan = select_all(coins, FUNDING, FLOOR, CHANGE)
    assert 1_400 < len(plan.inputs) < 2_000
    holds(plan, coins, FLOOR, Satoshi(0))
    some = select(coins, [out(900_000)], FLOOR, CHANGE)
    assert len(some.inputs) > 253
    holds(some, coins, FLOOR, Satoshi(0))


def refusal(
    coins: list[Coin], amount: int, keep: int = 0, balance: Balance | None = None
) -> Refused:
    with pytest.raises(Refused) as caught:
        select(coins, [out(amount)], FLOOR, CHANGE, Satoshi(keep), balance=balance)
    return caught.value


def test_select__too_little_money() -> None:
    refused = refusal([coin(50_000)], 60_000)
    assert refused.code == 301
    assert "50,000 sat can be spent" in refused.message
    assert "60,000 sat and a fee of" in refused.message
    assert "reserve" not in refused.message
    assert refusal([], 1_000).code == 301


def test_select__where_other_money_is() -> None:
    elsewhere = Balance(Satoshi(50_000), Satoshi(7_000), Satoshi(0), Satoshi(11_000))
    message = refusal([coin(50_000)], 60_000, balance=elsewhere).message
    assert "7,000 sat are unconfirmed" in message
    assert "11,000 sat are reserved" in message
    assert "mature" not in message


def test_select__the_emergency_reserve() -> None:
    coins = [coin(100_000)]
    refused = refusal(coins, 80_000, 25_000)
    assert refused.code == 313
    assert "25,000 sat must stay" in refused.message
    assert refusal(coins, 200_000, 25_000).code == 301
    kept = select(coins, [out(74_000)], FLOOR, CHANGE, EMERGENCY_RESERVE)
    assert kept.change is not None
    assert kept.change.amount >= EMERGENCY_RESERVE
    # A coin that stays unspent is a reserve too; one that is not worth spending is none.
    other = [*coins, coin(25_000, number=1)]
    assert select(other, [out(99_000)], FLOOR, CHANGE, EMERGENCY_RESERVE).inputs == (coins[0],)
    costly, other = FeeratePerKw(120_000), [coin(1_000_000), coin(25_000, number=1)]
    with pytest.raises(Refused) as caught:
        select(other, [out(910_000)], costly, CHANGE, EMERGENCY_RESERVE)
    assert caught.value.code == 313


def test_select_all__only_the_reserve_is_there() -> None:
    with pytest.raises(Refused) as caught:
        select_all([coin(25_100)], FUNDING, FLOOR, CHANGE, EMERGENCY_RESERVE)
    assert caught.value.code == 313
    with pytest.raises(Refused) as caught:
        select_all([], FUNDING, FLOOR, CHANGE)
    assert caught.value.code == 301


def test_select__dust_is_refused() -> None:
    with pytest.raises(Refused, match=r"329 sat is dust.*330 sat") as caught:
        select([coin(50_000)], [out(329, FUNDING)], FLOOR, CHANGE)
    assert caught.value.code == -32602
    select([coin(50_000)], [out(330, FUNDING)], FLOOR, CHANGE)


def test_build__both_kinds_signed_and_accepted_by_the_kernel() -> None:
    coins = [coin(20_000 + i, 84 + 2 * (i % 2), i) for i in range(7)]
    plan = select_all(coins, FUNDING, FLOOR, CHANGE, EMERGENCY_RESERVE)
    assert len(plan.inputs) == 7
    final = bytes.fromhex("0020") + b"\x07" * 32
    built = build(plan, [out(plan.outputs[0].amount.sat, final)], 321)
    tx = signed(built.unsigned)
    spent = {c.outpoint: c.output for c in coins}
    verify(tx, [spent[txin.outpoint] for txin in tx.inputs], "wallet")
    assert tx.version == 2
    assert tx.locktime == 321
    assert {txin.sequence for txin in tx.inputs} == {0xFFFFFFFD}
    assert [tx.outputs[i].script_pubkey for i in built.positions] == [final]
    assert built.change_position is not None
    assert tx.outputs[built.change_position] == plan.change
    assert plan.fee >= FLOOR.fee_ceil(tx.weight)


def test_build__bip_69_and_the_places_of_equal_outputs() -> None:
    coins = [coin(50_000, 86, i) for i in range(4)]
    wanted = [out(30_000), out(1_000), out(30_000), out(1_000, FUNDING)]
    built = build(select(coins, wanted, FLOOR, CHANGE), wanted, 1)
    tx = built.unsigned.tx
    assert [tx.outputs[i] for i in built.positions] == wanted
    assert len({*built.positions, built.change_position}) == 5
    assert list(tx.outputs) == sorted(tx.outputs, key=lambda o: (o.amount, o.script_pubkey))
    inputs = [(str(txin.outpoint.txid), txin.outpoint.index) for txin in tx.inputs]
    assert inputs == sorted(inputs)


def test_build__other_outputs_than_selected() -> None:
    plan = select([coin(50_000)], [out(10_000)], FLOOR, CHANGE)
    for other in (out(10_001), out(10_000, FUNDING)):
        with pytest.raises(InvariantBroken):
            build(plan, [other], 1)
