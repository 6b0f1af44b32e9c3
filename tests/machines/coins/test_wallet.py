"""Addresses, balances, reservations, and what we send."""

from dataclasses import replace

import pytest

from tests.support.coins import (
    ELSEWHERE,
    coinbase,
    derived,
    fresh,
    out,
    payment,
    pubkey,
    script_of,
    signed,
)
from tests.support.kernel_engine import verify
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import InvariantBroken, Refused
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import OutPoint
from wallet.machines.coins import (
    GAP,
    Balance,
    Coin,
    CoinStatus,
    Selection,
    Wallet,
    balance,
    build,
    change_script,
    connect_block,
    difference,
    disconnect_block,
    forget,
    known_coins,
    new_address,
    release,
    reserve,
    restored,
    select,
    spendable,
    spent,
    status,
    unconfirmed,
    wanted,
    with_address,
)
from wallet.machines.signing import WalletKey

FLOOR = FeeratePerKw(253)
ALICE, BOB = b"alice", b"bob"


def funded(*amounts: int, height: int = 10) -> Wallet:
    """A wallet with one confirmed coin for each amount."""
    outputs = [out(sat, script_of(86, 0, i)) for i, sat in enumerate(amounts)]
    wallet, _ = connect_block(fresh(), height, [payment(*outputs)])
    return derived(wallet)


def plan(wallet: Wallet, amount: int, height: int = 10) -> Selection:
    return select(spendable(wallet, height), [out(amount)], FLOOR, change_script(wallet))


def send(wallet: Wallet, amount: int, height: int = 10) -> tuple[Wallet, Transaction]:
    """Pay somebody, up to the broadcast."""
    chosen = plan(wallet, amount, height)
    tx = signed(build(chosen, chosen.outputs, height).unsigned)
    return derived(spent(reserve(wallet, chosen, ALICE), tx)), tx


def amounts(wallet: Wallet, height: int = 10) -> list[int]:
    return sorted(coin.amount.sat for coin in spendable(wallet, height))


def parts(confirmed: int = 0, unconfirmed: int = 0, immature: int = 0, held: int = 0) -> Balance:
    return Balance(Satoshi(confirmed), Satoshi(unconfirmed), Satoshi(immature), Satoshi(held))


# --- addresses


def test_wanted__both_kinds_and_both_branches() -> None:
    keys = wanted(Wallet())
    assert len(keys) == 4 * GAP
    assert keys[:2] == (WalletKey(84, 0, 0), WalletKey(84, 0, 1))
    assert {(key.purpose, key.change) for key in keys} == {(84, 0), (84, 1), (86, 0), (86, 1)}
    assert len(wanted(Wallet(), lookahead=100)) == 400
    assert wanted(fresh()) == ()
    assert script_of(86, 1, GAP - 1) in fresh().addresses


def test_with_address__in_order_and_once() -> None:
    first, second = wanted(Wallet())[:2]
    wallet = with_address(Wallet(), first, pubkey(first))
    assert with_address(wallet, first, pubkey(first)) is wallet
    with pytest.raises(InvariantBroken):
        with_address(Wallet(), second, pubkey(second))


def test_new_address__never_the_same_and_always_watched() -> None:
    wallet, seen = fresh(), set()
    for index in range(3 * GAP):
        wallet, address = new_address(wallet, 84 + 2 * (index % 2))
        assert address.script_pubkey in wallet.addresses
        seen.add(address.script_pubkey)
        wallet = derived(wallet)
    assert len(seen) == 3 * GAP
    assert wallet.branch(86, 0).derived == 3 * GAP // 2 + GAP


def test_new_address__not_derived_yet() -> None:
    with pytest.raises(Refused):
        new_address(Wallet())
    with pytest.raises(Refused) as caught:
        new_address(fresh(), 49)
    assert caught.value.code == -32602


def test_change_script__the_same_until_it_is_paid() -> None:
    wallet = funded(100_000)
    script = change_script(wallet)
    assert script == change_script(wallet) == script_of(86, 1, 0)
    after, _ = send(wallet, 30_000)
    assert change_script(after) == script_of(86, 1, 1)


# --- coins


def test_balance__parts_and_status() -> None:
    wallet = funded(100_000, 7_000, 500)
    assert balance(wallet, 10) == parts(confirmed=107_500)
    held = plan(wallet, 5_000)
    wallet = reserve(wallet, held, ALICE)
    assert balance(wallet, 10) == parts(100_500, held=7_000)
    wallet, tx = send(wallet, 60_000)
    change = next(o.amount.sat for o in tx.outputs if o.script_pubkey != ELSEWHERE)
    assert balance(wallet, 10) == parts(500, change, held=7_000)
    assert balance(wallet, 10).total == Satoshi(500 + change + 7_000)
    states = {coin.amount.sat: status(wallet, coin, 10) for coin in known_coins(wallet)}
    assert states == {
        100_000: CoinStatus.SPENT,
        7_000: CoinStatus.CONFIRMED,
        500: CoinStatus.CONFIRMED,
        change: CoinStatus.UNCONFIRMED,
    }


def test_coinbase__matures_after_a_hundred_blocks() -> None:
    mined = coinbase(out(5_000_000_000, script_of(84, 0, 3)), height=20)
    wallet, _ = connect_block(fresh(), 20, [mined])
    # The block at height 120 is the first that may spend it.
    assert amounts(wallet, 118) == []
    assert balance(wallet, 118) == parts(immature=5_000_000_000)
    assert amounts(wallet, 119) == [5_000_000_000]
    assert balance(wallet, 119) == parts(confirmed=5_000_000_000)


def test_spendable__by_confirmations() -> None:
    wallet, tx = send(funded(100_000, 50_000), 20_000)
    assert len(spendable(wallet, 10)) == 2
    assert amounts(wallet) == sorted(
        [100_000, *(o.amount.sat for o in tx.outputs if o.script_pubkey != ELSEWHERE)]
    )
    assert [c.amount.sat for c in spendable(wallet, 10, min_confirmations=1)] == [100_000]
    assert [c.amount.sat for c in spendable(wallet, 14, min_confirmations=5)] == [100_000]
    assert spendable(wallet, 13, min_confirmations=5) == ()


def test_reserve__nobody_else_spends_it() -> None:
    wallet = funded(100_000)
    chosen = plan(wallet, 50_000)
    held = reserve(wallet, chosen, ALICE)
    assert spendable(held, 10) == ()
    assert reserve(held, chosen, ALICE) == held
    with pytest.raises(InvariantBroken):
        reserve(held, chosen, BOB)
    assert release(held, BOB) == held
    assert release(held, ALICE) == wallet
    stranger = replace(chosen, inputs=(replace(chosen.inputs[0], outpoint=OutPoint(
        chosen.inputs[0].outpoint.txid, 9)),))  # fmt: skip
    with pytest.raises(InvariantBroken):
        reserve(wallet, stranger, ALICE)


# --- what we send


def test_spent__our_change_can_be_spent_at_once() -> None:
    wallet, first = send(funded(100_000), 30_000)
    wallet, second = send(wallet, 20_000)
    assert second.inputs[0].outpoint.txid == first.txid
    prevout = first.outputs[second.inputs[0].outpoint.index]
    verify(second, [prevout], "wallet")
    assert unconfirmed(wallet) == (first, second)
    assert spent(wallet, first) is wallet


def test_spent__unconfirmed_money_of_others_waits() -> None:
    # A sweep of a channel pays us, and it spends what is not a coin of ours.
    sweep = payment(out(40_000, script_of(86, 0, 0)))
    wallet = spent(fresh(), sweep)
    assert balance(wallet, 10) == parts(unconfirmed=40_000)
    assert spendable(wallet, 10) == ()
    after, _ = connect_block(wallet, 11, [sweep])
    assert amounts(after) == [40_000]


def test_spent__a_replacement() -> None:
    wallet = funded(100_000)
    one, first = send(wallet, 30_000)
    two, child = send(one, 10_000)
    other = payment(out(60_000, change_script(wallet)), spending=[first.inputs[0].outpoint])
    after = spent(two, other)
    assert unconfirmed(after) == (other,)
    assert amounts(after) == [60_000]
    # The first one confirms all the same: then it counts, and the replacement is void.
    late, _ = connect_block(after, 11, [first, child])
    assert unconfirmed(late) == ()
    assert amounts(late, 11) == amounts(connect_block(two, 11, [first, child])[0], 11)


def test_spent__what_the_chain_has_decided() -> None:
    before = funded(100_000)
    wallet, tx = send(before, 30_000)
    confirmed, _ = connect_block(wallet, 11, [tx])
    buried, _ = connect_block(confirmed, 111, [])
    assert buried.sent == {}
    # `resume` broadcasts again what confirmed long ago, or what has lost.
    assert spent(buried, tx) is buried
    rival = payment(out(1_000), spending=[tx.inputs[0].outpoint])
    assert spent(buried, rival) is buried
    foreign = payment(out(1_000), seed=9)
    assert spent(buried, foreign) is buried


def test_forget__as_if_it_had_never_been_sent() -> None:
    before = funded(100_000)
    one, tx = send(before, 30_000)
    two, _ = send(one, 20_000)
    after = forget(two, tx.txid)
    assert after.coins == before.coins
    assert after.sent == {}
    assert forget(after, tx.txid) is after
    confirmed, _ = connect_block(one, 11, [tx])
    assert forget(confirmed, tx.txid) is confirmed


# --- storage


def test_difference__rebuilds_the_wallet_from_rows() -> None:
    steps = [fresh()]
    wallet = funded(100_000, 50_000)
    steps.append(wallet)
    wallet = reserve(wallet, plan(wallet, 20_000), BOB)
    steps.append(wallet)
    wallet, tx = send(wallet, 30_000)
    steps.append(wallet)
    steps.append(connect_block(wallet, 11, [tx])[0])
    steps.append(disconnect_block(steps[-1], 11)[0])
    steps.append(forget(steps[-1], tx.txid))
    steps.append(disconnect_block(release(steps[-1], BOB), 10)[0])
    stored = Wallet()
    for before, after in zip([Wallet(), *steps], steps, strict=False):
        changes = difference(before, after)
        coins = {**stored.coins, **{c.outpoint: c for c in changes.coins}}
        sent = {**stored.sent, **{s.tx.txid: s for s in changes.sent}}
        branches = {(b.purpose, b.change): b for b in (*stored.branches, *changes.branches)}
        stored = restored(
            (c for o, c in coins.items() if o not in changes.gone),
            (s for t, s in sent.items() if t not in changes.unsent),
            branches.values(),
        )
        assert derived(stored) == after
        assert not difference(after, after)
        assert not difference(after, replace(after))
    assert stored.coins == {}


def test_wallet__as_json() -> None:
    wallet, _ = send(funded(100_000, 50_000), 30_000)
    assert from_json(Wallet, to_json(wallet)) == wallet
    coin = spendable(wallet, 10)[0]
    assert from_json(Coin, to_json(coin)) == coin
