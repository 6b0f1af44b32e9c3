"""The mempool's answers in Core's words; replacement, clusters, reorgs, the miner."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faucet import (
    ELSEWHERE,
    PUBLIC_KEY,
    SCRIPT,
    Spendable,
    output_of,
    signed,
    spend,
)
from tests.support.regtest_node import TestClock, block_at, coin, funded, refused, send
from wallet.base.bitcoin.script import P2A, Op, op_return, p2tr, p2wsh, push, script
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction, TxIn, TxOut
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import OutPoint, Txid
from wallet.services.regtest.mempool import fee_at, format_money
from wallet.services.regtest.node import Regtest
from wallet.services.regtest.policy import Rejected


@pytest.fixture
def node(chain_directory: Path, clock: TestClock) -> Iterator[Regtest]:
    made = funded(chain_directory, clock, 120)
    yield made
    made.close()


def paying(node: Regtest, *outputs: TxOut, height: int = 1, fee: int = 10_000) -> Transaction:
    return spend([coin(node, height)], fee, outputs=outputs)


def change_input(tx: Transaction, **changes: object) -> Transaction:
    return replace(tx, inputs=(replace(tx.inputs[0], **changes), *tx.inputs[1:]))  # type: ignore[arg-type]


# Context-free rules and standardness.


def test_accepted(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000)
    accepted = node.check(tx)
    assert (accepted.entry.fee, accepted.entry.vsize) == (1_000, tx.vsize)
    node.accept(accepted)
    assert node.mempool.entries[tx.txid].tx == tx
    assert node.mempool.coin(coin(node, 1).outpoint) is None
    assert node.mempool.coin(tx.outpoint(0)) is not None


def test_no_outputs(node: Regtest) -> None:
    assert refused(node, replace(spend([coin(node, 1)], 1), outputs=())) == "bad-txns-vout-empty"


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        ([1 << 63], "bad-txns-vout-negative"),
        ([2_100_000_000_000_001], "bad-txns-vout-toolarge"),
        ([2_100_000_000_000_000, 1], "bad-txns-txouttotal-toolarge"),
    ],
)
def test_amounts_out_of_range(node: Regtest, amounts: list[int], reason: str) -> None:
    outputs = tuple(TxOut(Satoshi(a), SCRIPT) for a in amounts)
    assert refused(node, replace(spend([coin(node, 1)], 1), outputs=outputs)) == reason


def test_the_same_input_twice(node: Regtest) -> None:
    tx = spend([coin(node, 1), coin(node, 1)], 1_000)
    assert refused(node, tx) == "bad-txns-inputs-duplicate"


def test_coinbase(node: Regtest) -> None:
    assert refused(node, block_at(node, 3).transactions[0]) == "coinbase"


def test_null_input(node: Regtest) -> None:
    tx = spend([coin(node, 1), coin(node, 2)], 1_000)
    null = change_input(tx, outpoint=OutPoint(Txid(bytes(32)), 0xFFFFFFFF))
    assert refused(node, null) == "bad-txns-prevout-null"


@pytest.mark.parametrize("version", [0, 4, 0xFFFFFFFF])
def test_version(node: Regtest, version: int) -> None:
    assert refused(node, spend([coin(node, 1)], 1_000, version=version)) == "version"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_version__standard(node: Regtest, version: int) -> None:
    node.check(spend([coin(node, 1)], 1_000, version=version))


def test_size__too_small(node: Regtest) -> None:
    """64 non-witness bytes look like an inner node of a merkle tree; 65 do not."""
    money = coin(node, 1)
    for extra, reason in ((3, "tx-size-small"), (4, None)):
        out = TxOut(Satoshi(0), bytes((Op.RETURN,)) + bytes((extra - 1,)) + bytes(extra - 1))
        tx = spend([money], 10_000, outputs=[out], parts=0)
        assert len(tx.encode(witness=False)) == 60 + 1 + extra
        if reason:
            assert refused(node, tx) == reason
        else:
            node.check(tx)


def test_size__too_large(node: Regtest) -> None:
    money = coin(node, 1)
    plain = spend([money], 1_000_000)
    # Each output to the faucet is 31 bytes; the count grows by two bytes above 252.
    parts = (400_000 - plain.weight - 8) // (31 * 4) + 1
    largest = spend([money], 1_000_000, parts=parts)
    assert 400_000 - 124 < largest.weight <= 400_000
    node.check(largest)
    assert refused(node, spend([money], 1_000_000, parts=parts + 1)) == "tx-size"


def test_script_sig(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 100_000)
    long = change_input(tx, script_sig=b"\x00" * 1651)
    assert refused(node, long) == "scriptsig-size"
    code = change_input(tx, script_sig=bytes((Op.DUP,)))
    assert refused(node, code) == "scriptsig-not-pushonly"
    cut = change_input(tx, script_sig=b"\x05\x00")
    assert refused(node, cut) == "scriptsig-not-pushonly"


def test_nonstandard_output(node: Regtest) -> None:
    nonstandard = TxOut(Satoshi(10_000), script(Op.DUP, Op.DUP))
    assert refused(node, paying(node, nonstandard)) == "scriptpubkey"


@pytest.mark.parametrize(
    ("script_pubkey", "least"),
    [
        (ELSEWHERE, 294),
        (p2wsh(b"\x51"), 330),
        (p2tr(PUBLIC_KEY[1:]), 330),
        (P2A, 240),
    ],
)
def test_dust(node: Regtest, script_pubkey: bytes, least: int) -> None:
    node.check(paying(node, TxOut(Satoshi(least), script_pubkey)))
    dust = TxOut(Satoshi(least - 1), script_pubkey)
    assert refused(node, paying(node, dust)) == "dust, tx with dust output must be 0-fee"
    assert refused(node, paying(node, dust, dust)) == "dust"


def test_data_carrier(node: Regtest) -> None:
    node.check(
        paying(node, TxOut(Satoshi(0), op_return(b"one")), TxOut(Satoshi(0), op_return(b"2")))
    )
    large = TxOut(Satoshi(0), op_return(bytes(90_000)))
    node.check(paying(node, large, fee=200_000))


# Locks.


def test_locktime__height_edge(node: Regtest) -> None:
    """Final with a locktime equal to the tip's height, not with the next."""
    node.check(spend([coin(node, 1)], 1_000, locktime=node.chain.height))
    later = spend([coin(node, 1)], 1_000, locktime=node.chain.height + 1)
    assert refused(node, later) == "non-final"
    node.check(
        spend([coin(node, 1)], 1_000, locktime=node.chain.height + 1, sequence=SEQUENCE_FINAL)
    )


def test_locktime__time_edge(node: Regtest) -> None:
    median = node.chain.median_time_past
    node.check(spend([coin(node, 1)], 1_000, locktime=median - 1))
    assert refused(node, spend([coin(node, 1)], 1_000, locktime=median)) == "non-final"


def test_sequence_lock__blocks(node: Regtest) -> None:
    """BIP 68: a lock of n opens in the n-th block after the coin's own."""
    tx = spend([coin(node, 1)], 1_000, parts=2)
    send(node, tx)
    node.generate(1, SCRIPT)
    money = output_of(tx, 0)
    for lock, opens in ((1, True), (2, False)):
        child = spend([money], 1_000, sequence=lock)
        if opens:
            node.check(child)
        else:
            assert refused(node, child) == "non-BIP68-final"
    node.generate(1, SCRIPT)
    node.check(spend([money], 1_000, sequence=2))
    node.check(spend([money], 1_000, sequence=9, version=1))  # Version 1 has no relative locks.


def test_sequence_lock__an_unconfirmed_coin_counts_as_in_the_next_block(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000)
    send(node, tx)
    assert refused(node, spend([output_of(tx, 0)], 500, sequence=1)) == "non-BIP68-final"
    node.check(spend([output_of(tx, 0)], 500, sequence=0))


def test_sequence_lock__time(node: Regtest, clock: TestClock) -> None:
    tx = spend([coin(node, 1)], 1_000)
    send(node, tx)
    node.generate(1, SCRIPT)
    locked = spend([output_of(tx, 0)], 1_000, sequence=1 << 22 | 1)
    assert refused(node, locked) == "non-BIP68-final"
    clock.time += 1_000
    node.generate(11, SCRIPT)
    node.check(locked)
    node.generate_block(SCRIPT, [locked])


# Coins.


def test_missing_inputs(node: Regtest) -> None:
    unknown = Spendable(OutPoint(Txid(bytes(31) + b"\x01"), 0), Satoshi(50_000))
    with pytest.raises(Rejected) as rejected:
        node.check(spend([unknown], 1_000))
    assert rejected.value.missing
    assert rejected.value.reason == "bad-txns-inputs-missingorspent"
    absent = replace(coin(node, 1), outpoint=OutPoint(coin(node, 1).outpoint.txid, 9))
    assert refused(node, spend([absent], 1_000)) == "bad-txns-inputs-missingorspent"


def test_already_known(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000)
    send(node, tx)
    assert refused(node, tx) == "txn-already-in-mempool"
    other = tx.with_witness(0, (*tx.inputs[0].witness[:1], b"\x02" * 33))
    assert refused(node, other) == "txn-same-nonwitness-data-in-mempool"
    node.generate(1, SCRIPT)
    assert refused(node, tx) == "txn-already-known"


def test_coinbase_maturity_edge(node: Regtest) -> None:
    """A coinbase of block h can be spent in block h + 100."""
    height = node.chain.height
    node.check(spend([coin(node, height - 99)], 1_000))
    assert refused(node, spend([coin(node, height - 98)], 1_000)) == (
        "bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth 99"
    )
    node.generate_block(SCRIPT, [spend([coin(node, height - 99)], 1_000)])


def test_more_out_than_in(node: Regtest) -> None:
    assert refused(node, spend([coin(node, 1)], -100_000_000)) == (
        "bad-txns-in-belowout, value in (50.00) < value out (51.00)"
    )


def test_nonstandard_inputs_and_witnesses(node: Regtest) -> None:
    """Mined by `generate_block`, these outputs exist; Core would not relay their spends."""
    strange = script(Op.OP_1)
    drop = script(Op.DROP, Op.OP_1)
    future = bytes((Op.OP_16, 2, 1, 2))
    outputs = [TxOut(Satoshi(50_000), s) for s in (strange, p2wsh(drop), future, P2A)]
    parent = paying(node, *outputs)
    node.generate_block(SCRIPT, [parent])

    def spending(index: int, *witness: bytes) -> Transaction:
        inputs = (TxIn(parent.outpoint(index), witness=witness),)
        return Transaction(2, inputs, (TxOut(Satoshi(40_000), SCRIPT),))

    assert refused(node, spending(0)) == "bad-txns-nonstandard-inputs"
    assert refused(node, spending(2)) == "bad-txns-nonstandard-inputs"
    assert refused(node, spending(1, bytes(81), drop)) == "bad-witness-nonstandard"
    assert refused(node, spending(3, b"\x01")) == "bad-witness-nonstandard"
    node.check(spending(1, bytes(80), drop))
    node.check(spending(3))


def test_script_failure__in_the_interpreters_words(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000)
    signature, key = tx.inputs[0].witness
    other_key = tx.with_witness(0, (signature, b"\x02" + key[1:-1] + b"\x00"))
    assert refused(node, other_key) == (
        "mempool-script-verify-flag-failed (Script failed an OP_EQUALVERIFY operation), "
        f"input 0 of {tx.txid}"
    )
    altered = replace(tx, locktime=1)
    assert "finished with a false/empty top stack element" in refused(node, altered)
    node.generate(1, SCRIPT)
    assert node.chain.height == 121


def test_script_failure__with_unconfirmed_parents(node: Regtest) -> None:
    parent = spend([coin(node, 1)], 1_000)
    middle = spend([output_of(parent, 0)], 1_000)
    send(node, parent, middle)
    child = replace(spend([output_of(middle, 0)], 1_000), locktime=1)
    assert "finished with a false/empty top stack element" in refused(node, child)


# Fees and replacement.


def test_min_relay_fee(node: Regtest) -> None:
    """0.1 sat/vB, rounded up."""
    size = spend([coin(node, 1)], 0).vsize
    least = -(-size // 10)
    assert refused(node, spend([coin(node, 1)], least - 1)) == (
        f"min relay fee not met, {least - 1} < {least}"
    )
    node.check(spend([coin(node, 1)], least))


def test_min_fee_knobs(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 500)
    node.mempool.min_fee = 5_000
    assert refused(node, tx) == f"mempool min fee not met, 500 < {fee_at(5_000, tx.vsize)}"
    node.mempool.min_fee = 0
    node.mempool.min_relay_fee = 5_000
    assert refused(node, tx) == f"min relay fee not met, 500 < {fee_at(5_000, tx.vsize)}"
    node.mempool.min_relay_fee = 0
    node.check(spend([coin(node, 1)], 0))
    send(node, tx)
    node.mempool.min_block_fee = 5_000
    node.generate(1, SCRIPT)
    assert tx.txid in node.mempool.entries
    node.mempool.min_block_fee = 1
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


def test_replacement(node: Regtest) -> None:
    """Full RBF: whatever the sequence says."""
    money = coin(node, 1)
    first = spend([money], 1_000, sequence=SEQUENCE_FINAL)
    child = spend([output_of(first, 0)], 1_000)
    send(node, first, child)
    step = fee_at(100, first.vsize)
    low = spend([money], 1_999)
    assert refused(node, low) == (
        f"insufficient fee, rejecting replacement {low.txid}, less fees than conflicting txs; "
        "0.00001999 < 0.00002"
    )
    short = spend([money], 2_000 + step - 1)
    assert refused(node, short) == (
        f"insufficient fee, rejecting replacement {short.txid}, not enough additional fees to "
        f"relay; {format_money(step - 1)} < {format_money(step)}"
    )
    enough = spend([money], 2_000 + step)
    send(node, enough)
    assert list(node.mempool.entries) == [enough.txid]
    assert node.mempool.spender(money.outpoint) == enough.txid


def test_replacement__must_not_leave_the_miner_with_less_anywhere(node: Regtest) -> None:
    """More money in all, but at a lower rate."""
    money = coin(node, 1)
    send(node, spend([money], 10_000))
    large = spend([money], 20_000, parts=200)
    assert refused(node, large) == (
        "replacement-failed, insufficient feerate: does not improve feerate diagram"
    )


def test_replacement__cannot_spend_what_it_replaces(node: Regtest) -> None:
    first = spend([coin(node, 1)], 1_000, parts=2)
    send(node, first)
    both = spend([coin(node, 1), output_of(first, 0)], 50_000)
    assert refused(node, both) == (
        f"bad-txns-spends-conflicting-tx, {both.txid} spends conflicting transaction {first.txid}"
    )


def test_format_money() -> None:
    assert [format_money(n) for n in (0, 1, 100_000_000, 123_456_780)] == [
        "0.00",
        "0.00000001",
        "1.00",
        "1.2345678",
    ]


# Clusters.


def chain_of(node: Regtest, count: int, height: int = 1) -> list[Transaction]:
    txs = [spend([coin(node, height)], 1_000)]
    while len(txs) < count:
        txs.append(spend([output_of(txs[-1], 0)], 1_000))
    return txs


def test_cluster__sixty_four_transactions(node: Regtest) -> None:
    txs = chain_of(node, 65)
    send(node, *txs[:64])
    assert refused(node, txs[64]) == "too-large-cluster"
    node.generate(1, SCRIPT)
    assert not node.mempool.entries
    send(node, txs[64])


def test_cluster__joining_two(node: Regtest) -> None:
    one, other = chain_of(node, 40, 1), chain_of(node, 24, 2)
    send(node, *one, *other)
    joined = spend([output_of(one[-1], 0), output_of(other[-1], 0)], 5_000)
    assert refused(node, joined) == "too-large-cluster"


def test_cluster__weight(node: Regtest) -> None:
    parent = spend([coin(node, 1)], 300_000, parts=1_600)
    large = spend([output_of(parent, 0), coin(node, 2)], 300_000, parts=1_600)
    send(node, parent, large)
    assert sum(e.weight for e in node.mempool.entries.values()) > 395_000
    third = spend([output_of(large, 0), coin(node, 3)], 100_000, parts=80)
    assert refused(node, third) == "too-large-cluster"


def test_cluster__a_replacement_frees_its_room(node: Regtest) -> None:
    txs = chain_of(node, 64)
    send(node, *txs)
    better = spend([output_of(txs[61], 0)], 50_000)
    send(node, better)
    assert len(node.mempool.entries) == 63


# Blocks and reorgs.


def test_block__drops_what_it_confirms_and_what_conflicts(node: Regtest) -> None:
    mine, rival = spend([coin(node, 1)], 1_000), spend([coin(node, 1)], 2_000)
    child = spend([output_of(rival, 0)], 1_000)
    send(node, rival, child)
    node.generate_block(SCRIPT, [mine])
    assert not node.mempool.entries
    assert node.mempool.coin(mine.outpoint(0)) is not None


def test_reorg__transactions_come_back_parents_first(node: Regtest) -> None:
    """Of several blocks, the oldest first; the other order would drop the children."""
    txs = chain_of(node, 6)
    for at in (0, 2, 4):
        send(node, *txs[at : at + 2])
        node.generate(1, SCRIPT)
    waiting = spend([output_of(txs[5], 0)], 1_000)
    send(node, waiting)
    node.reorg(3, ELSEWHERE)
    assert list(node.mempool.entries) == [tx.txid for tx in [*txs, waiting]]
    node.generate(1, SCRIPT)
    assert not node.mempool.entries


def test_reorg__what_lost_its_ground_is_dropped(node: Regtest) -> None:
    height = node.chain.height
    node.generate(1, SCRIPT)
    locked = spend([coin(node, 1)], 1_000, locktime=height + 1)
    young = spend([coin(node, height - 98)], 1_000)
    send(node, locked, young)
    node.invalidate(node.chain.tip)
    assert node.chain.height == height
    assert not node.mempool.entries


def test_reorg__free_transactions_of_a_block_are_taken_back(node: Regtest) -> None:
    free = spend([coin(node, 1)], 0)
    node.generate_block(SCRIPT, [free])
    node.reorg(1, ELSEWHERE)
    assert list(node.mempool.entries) == [free.txid]


def test_template__children_pay_for_parents(node: Regtest) -> None:
    poor = spend([coin(node, 1)], 20)
    rich_child = spend([output_of(poor, 0)], 50_000)
    middle = spend([coin(node, 2)], 5_000)
    send(node, middle, poor, rich_child)
    order = [e.tx.txid for e in node.mempool.template()]
    assert order == [poor.txid, rich_child.txid, middle.txid]
    node.mempool.min_block_fee = 60_000
    assert [e.tx.txid for e in node.mempool.template()] == order[:2]


def test_template__fits_into_a_block(node: Regtest) -> None:
    large = [spend([coin(node, h)], 1_000_000 + h, parts=3_100) for h in range(1, 12)]
    send(node, *large)
    assert sum(tx.weight for tx in large) > 4_000_000
    node.generate(1, SCRIPT)
    block = block_at(node, node.chain.height)
    assert block.weight <= 4_000_000
    assert len(node.mempool.entries) == 1


def test_generate_block__exactly_these(node: Regtest) -> None:
    pooled, own = spend([coin(node, 1)], 1_000), spend([coin(node, 2)], 1_000)
    child = spend([output_of(own, 0)], 500)
    send(node, pooled)
    block = node.generate_block(SCRIPT, [own, child])
    assert block.transactions[1:] == (own, child)
    assert block.transactions[0].outputs[0].amount.sat == 50_0000_0000 + 1_500
    assert list(node.mempool.entries) == [pooled.txid]


def test_signed__is_what_spend_returns(node: Regtest) -> None:
    tx = spend([coin(node, 1)], 1_000)
    bare = tx.with_witness(0, ())
    assert signed(bare, [coin(node, 1)]) == tx
    assert push(b"") == b"\x00"
