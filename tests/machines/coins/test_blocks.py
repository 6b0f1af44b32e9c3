"""Blocks come and go: restoring by a scan, reorganisations, rivals; undoing, by seeds."""

from dataclasses import replace
from random import Random

import pytest

from tests.support.coins import (
    ELSEWHERE,
    coinbase,
    derived,
    fresh,
    out,
    payment,
    script_of,
)
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.values.ids import OutPoint
from wallet.machines.coins import (
    GAP,
    Selection,
    Wallet,
    balance,
    change_script,
    connect_block,
    disconnect_block,
    leant_on,
    release,
    reserve,
    select,
    spendable,
    spent,
    unconfirmed,
    vouched,
    wanted,
)

ALICE = b"alice"
FLOOR = FeeratePerKw(253)


def connected(wallet: Wallet, height: int, *transactions: Transaction) -> Wallet:
    """As the node does it: the block again, as long as it makes the wallet want keys."""
    wallet, _ = connect_block(wallet, height, transactions)
    while wanted(wallet):
        wallet, _ = connect_block(derived(wallet), height, transactions)
    return wallet


def disconnected(wallet: Wallet, height: int) -> Wallet:
    return disconnect_block(wallet, height)[0]


def funds(seed: int = 0, sat: int = 100_000, key: int = 0) -> Transaction:
    """Somebody pays us."""
    return payment(out(sat, script_of(86, 0, key)), seed=seed)


def spend(tx: Transaction, *back: int, change: int = 0) -> Transaction:
    """We spend output 0 of `tx`; `back` returns to our change address."""
    outputs = [out(sat, script_of(86, 1, change)) for sat in back]
    return payment(out(10_000), *outputs, spending=[tx.outpoint(0)])


def money(wallet: Wallet, height: int = 50) -> tuple[int, int]:
    """Confirmed and unconfirmed satoshis."""
    parts = balance(wallet, height)
    return parts.confirmed.sat, parts.unconfirmed.sat


def test_connect__nothing_of_ours() -> None:
    wallet = connected(fresh(), 5, funds())
    after, changes = connect_block(wallet, 6, [payment(out(1_000), seed=1)])
    assert after is wallet
    assert not changes


def test_connect__says_what_changed() -> None:
    tx = funds()
    wallet, changes = connect_block(fresh(), 5, [tx])
    assert [coin.outpoint for coin in changes.coins] == [tx.outpoint(0)]
    assert [branch.next_index for branch in changes.branches] == [1]
    wallet, changes = connect_block(wallet, 6, [spend(tx)])
    assert [(coin.spent_by, coin.spent_height) for coin in changes.coins] == [(spend(tx).txid, 6)]
    _, changes = disconnect_block(disconnected(wallet, 6), 5)
    assert changes.gone == (tx.outpoint(0),)


def test_connect__twice_is_once() -> None:
    tx = funds()
    block = [coinbase(out(1_000, script_of(84, 0, 0)), height=5), tx, spend(tx, 80_000)]
    wallet = connected(fresh(), 5, *block)
    assert connect_block(wallet, 5, block)[0] == wallet
    assert money(wallet, 200) == (81_000, 0)


def test_restore__a_scan_with_the_gap_limit() -> None:
    keys = [(p, c, i) for p in (84, 86) for c in (0, 1) for i in range(0, 5 * GAP, GAP)]
    block = [payment(out(1_000, script_of(*key)), seed=i) for i, key in enumerate(keys)]
    # The last ones are found because the first ones are, in one and the same block.
    wallet = connected(fresh(), 7, *block[::-1])
    assert money(wallet) == (1_000 * len(keys), 0)
    assert {branch.next_index for branch in wallet.branches} == {4 * GAP + 1}


def test_restore__behind_the_gap() -> None:
    tx = funds(key=2 * GAP)
    assert money(connected(fresh(), 7, tx)) == (0, 0)
    wide = Wallet()
    assert len(wanted(wide, 3 * GAP)) == 4 * 3 * GAP
    far = derived(replace(wide, branches=tuple(
        replace(branch, next_index=2 * GAP) for branch in wide.branches)))  # fmt: skip
    assert money(connected(far, 7, tx)) == (100_000, 0)


def test_reorg__a_payment_is_forgotten_until_it_confirms_again() -> None:
    tx = funds()
    wallet = connected(fresh(), 5, tx)
    gone = disconnected(wallet, 5)
    assert gone.coins == {}
    # Its address was shown to the world all the same.
    assert gone.branches == wallet.branches
    assert connected(gone, 6, tx).coins[tx.outpoint(0)].height == 6


def test_reorg__our_own_transaction_waits_again() -> None:
    parent = funds()
    wallet = connected(fresh(), 5, parent)
    tx = spend(parent, 80_000)
    sent = spent(wallet, tx)
    assert money(sent) == (0, 80_000)
    confirmed = connected(sent, 6, tx)
    assert money(confirmed) == (80_000, 0)
    assert unconfirmed(confirmed) == ()
    again = disconnected(confirmed, 6)
    assert money(again) == (0, 80_000)
    assert unconfirmed(again) == (tx,)
    assert len(spendable(again, 5)) == 1


def test_reorg__a_spend_that_we_did_not_send() -> None:
    parent = funds()
    wallet = connected(fresh(), 5, parent)
    confirmed = connected(wallet, 6, spend(parent, 80_000))
    assert money(confirmed) == (80_000, 0)
    assert money(disconnected(confirmed, 6)) == (100_000, 0)


def test_reorg__what_we_lean_on_stays() -> None:
    parent = funds()
    wallet = connected(fresh(), 5, parent)
    chosen = select(spendable(wallet, 5), [out(50_000)], FLOOR, change_script(wallet))
    held = disconnected(reserve(wallet, chosen, ALICE), 5)
    assert held.coins[parent.outpoint(0)].reserved_by == ALICE
    assert connected(held, 6, parent).coins[parent.outpoint(0)].reserved_by == ALICE
    assert release(held, ALICE).coins == {}
    # Change of a payment that rests on it is not to be trusted meanwhile.
    sent = disconnected(spent(wallet, spend(parent, 80_000)), 5)
    assert money(sent) == (0, 80_000)
    assert spendable(sent, 5) == ()
    assert len(spendable(connected(sent, 5, parent), 5)) == 1


def test_reorg__an_orphaned_coinbase_never_comes_back() -> None:
    wallet = connected(fresh(), 5, coinbase(out(1_000, script_of(84, 0, 0)), height=5))
    (coin,) = wallet.coins.values()
    held = replace(wallet, coins={coin.outpoint: replace(coin, reserved_by=ALICE)})
    assert disconnected(held, 5).coins == {}


def test_rival__makes_ours_void_and_frees_its_other_inputs() -> None:
    one, two = funds(1, 100_000, 0), funds(2, 50_000, 1)
    wallet = connected(fresh(), 5, one, two)
    both = [one.outpoint(0), two.outpoint(0)]
    ours = payment(out(20_000), out(120_000, change_script(wallet)), spending=both)
    child = payment(out(1_000), out(110_000, script_of(86, 1, 1)), spending=[ours.outpoint(1)])
    waiting = derived(spent(spent(wallet, ours), child))
    assert money(waiting) == (0, 110_000)
    lost = connected(waiting, 6, spend(one))
    assert money(lost) == (50_000, 0)
    assert unconfirmed(lost) == ()
    assert [coin.amount for coin in spendable(lost, 6)] == [Satoshi(50_000)]
    back = disconnected(lost, 6)
    assert back == waiting
    assert unconfirmed(back) == (ours, child)
    # A hundred blocks later nobody waits for it.
    buried = connected(lost, 106)
    assert buried.sent == {}
    assert money(buried, 106) == (50_000, 0)
    assert all(coin.height is not None for coin in buried.coins.values())


def test_rival__of_a_transaction_whose_inputs_are_not_ours() -> None:
    sweep = funds()
    wallet = derived(spent(fresh(), sweep))
    rival = payment(out(1_000), spending=[sweep.inputs[0].outpoint])
    lost = connected(wallet, 6, rival)
    assert money(lost) == (0, 0)
    assert disconnected(lost, 6) == wallet


def test_rival__of_a_payment_that_left_its_block_and_that_ours_leans_on() -> None:
    paid = funds()
    wallet = connected(fresh(), 5, paid)
    waiting = derived(spent(wallet, spend(paid, 90_000)))
    left = disconnected(waiting, 5)
    assert leant_on(left) == {paid.txid}
    (coin,) = wallet.coins.values()
    planned = replace(wallet, coins={coin.outpoint: replace(coin, reserved_by=ALICE)})
    assert leant_on(disconnected(planned, 5)) == {paid.txid}
    assert leant_on(disconnected(wallet, 5)) == set()
    kept = vouched(left, paid)
    assert unconfirmed(kept)[0] == paid
    assert money(kept) == (0, 90_000)
    rival = payment(out(1_000), spending=[paid.inputs[0].outpoint])
    lost = connected(kept, 5, rival)
    assert money(lost) == (0, 0)
    assert unconfirmed(lost) == ()
    assert disconnected(lost, 5) == kept
    assert money(connected(kept, 5, paid)) == (0, 90_000)


# --- undoing, by seeds


class History:
    """A chain that breaks no rule, and a wallet that watches it, sends and reserves; from a seed.

    Everybody spends anybody's outputs here: ours are spent by transactions that we did not send,
    and those that we send meet rivals.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.wallet = fresh()
        self._made: list[Transaction] = []
        self._waiting: list[Transaction] = []
        self._mined: set[Transaction] = set()
        self._spent: set[OutPoint] = set()

    def send(self) -> None:
        """We broadcast something that could be mined, as far as we know."""
        tx = self._transaction()
        inputs = {txin.outpoint for txin in tx.inputs}
        ours = {
            t.outpoint(index)
            for t in self._made
            for index, output in enumerate(t.outputs)
            if output.script_pubkey != ELSEWHERE
        }
        after = derived(spent(self.wallet, tx))
        # It spends no output of ours that is unknown, nor one of what it replaces.
        if inputs & ours <= after.coins.keys():
            self._waiting.append(tx)
            self.wallet = after

    def reserve(self, height: int) -> None:
        """Somebody plans to spend one of our coins."""
        free = spendable(self.wallet, height)
        if free:
            chosen = self.random.choice(free)
            plan = Selection((chosen,), (), None, Satoshi(0))
            self.wallet = reserve(self.wallet, plan, ALICE)

    def block(self) -> list[Transaction]:
        """Transactions that may be mined now: some that wait, some that nobody has heard of."""
        block: list[Transaction] = []
        for tx in [
            *self._waiting,
            *(self._transaction() for _ in range(self.random.randint(0, 4))),
        ]:
            inputs = {txin.outpoint for txin in tx.inputs}
            parents = {t for t in self._made if any(o.txid == t.txid for o in inputs)}
            if self.random.random() < 0.5 and not inputs & self._spent and parents <= self._mined:
                self._spent |= inputs
                self._mined.add(tx)
                block.append(tx)
        return block

    def _transaction(self) -> Transaction:
        outpoints = [t.outpoint(i) for t in self._made for i in range(len(t.outputs))]
        count = self.random.choice((0, 1, 1, 2))
        tx = payment(
            *(
                out(1_000 + len(self._made), self._script())
                for _ in range(self.random.randint(1, 3))
            ),
            seed=len(self._made),
            spending=self.random.sample(outpoints, min(count, len(outpoints))),
        )
        self._made.append(tx)
        return tx

    def _script(self) -> bytes:
        if self.random.random() < 0.3:
            return ELSEWHERE
        return script_of(self.random.choice((84, 86)), self.random.randint(0, 1), 3)


def confirmed_coins(wallet: Wallet) -> set[tuple[OutPoint, int, int | None]]:
    """What the chain alone says of the wallet's coins."""
    return {
        (coin.outpoint, coin.height, coin.spent_height)
        for coin in wallet.coins.values()
        if coin.height is not None
    }


@pytest.mark.parametrize("seeds", [range(n, n + 200) for n in range(0, 800, 200)], ids=str)
def test_disconnect__undoes_connect(seeds: range) -> None:
    for seed in seeds:
        history, scanned = History(seed), fresh()
        for height in range(1, 6):
            block = history.block()
            history.wallet = connected(history.wallet, height, *block)
            scanned = connected(scanned, height, *block)
            for _ in range(history.random.randint(0, 2)):
                history.send()
            history.reserve(height)
        states = [history.wallet]
        blocks = [history.block() for _ in range(4)]
        for height, block in enumerate(blocks, start=6):
            states.append(connected(states[-1], height, *block))
            scanned = connected(scanned, height, *block)
            assert connect_block(states[-1], height, block)[0] == states[-1], seed
            assert confirmed_coins(states[-1]) == confirmed_coins(scanned), seed
        wallet = states.pop()
        for height in range(9, 5, -1):
            wallet = disconnected(wallet, height)
            before = states.pop()
            # Only used addresses are left of it.
            assert wallet.coins == before.coins, seed
            assert wallet.sent == before.sent, seed
            assert balance(wallet, height - 1) == balance(before, height - 1), seed
