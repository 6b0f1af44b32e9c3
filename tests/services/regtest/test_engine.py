"""The kernel behind our interface: every shape of a refusal, and what it verifies."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faucet import ELSEWHERE, SCRIPT, Spendable, coinbase_of, spend
from wallet.base.bitcoin.block import Block, merkle_root
from wallet.base.bitcoin.transaction import SEQUENCE_FINAL, Transaction, TxOut
from wallet.base.errors import DecodeError, InvariantBroken
from wallet.base.values.amounts import Satoshi
from wallet.base.values.ids import BlockHash
from wallet.services.regtest.engine import DUPLICATE, KernelEngine
from wallet.services.regtest.miner import coinbase, mine, subsidy

GENESIS_TIME = 1296688602


class Workshop:
    """An engine and a miner without log, mempool or mercy."""

    def __init__(self, scratch: Path) -> None:
        self.engine = KernelEngine(scratch)
        self.nonce = 0
        self.blocks: dict[BlockHash, Block] = {}

    def build(
        self,
        *transactions: Transaction,
        on: BlockHash | None = None,
        height: int | None = None,
        amount: int | None = None,
        time: int | None = None,
    ) -> Block:
        """A block on the tip (or on another block), however wrong it may be."""
        self.nonce += 1
        at = self.engine.height + 1 if height is None else height
        first = coinbase(
            at,
            SCRIPT,
            subsidy(at) if amount is None else Satoshi(amount),
            [tx.wtxid for tx in transactions],
            self.nonce,
        )
        parent = self.engine.hash_at(self.engine.height) if on is None else on
        # Twenty seconds a block keeps clear of the median whatever the branch.
        moment = GENESIS_TIME + 20 * at if time is None else time
        return mine(parent, moment, first, transactions)

    def add(self, *transactions: Transaction, count: int = 1) -> Block:
        """Mine `count` valid blocks; the last of them."""
        block = self.build(*transactions)
        assert self.engine.submit(block.encode()) is None
        for _ in range(count - 1):
            block = self.build()
            assert self.engine.submit(block.encode()) is None
        return block

    def submit(self, block: Block) -> str | None:
        return self.engine.submit(block.encode())


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.engine.close()


@pytest.fixture
def money(workshop: Workshop) -> Spendable:
    """A mature coin of the faucet."""
    block = workshop.add()
    workshop.add(count=100)
    return coinbase_of(block)


def remined(block: Block, **changes: object) -> Block:
    """The block with a changed header and fresh proof of work."""
    header = replace(block.header, **changes)  # type: ignore[arg-type]
    while not header.has_work:
        header = replace(header, nonce=header.nonce + 1)
    return Block(header, block.transactions)


def bad_signature(tx: Transaction) -> Transaction:
    signature, key = tx.inputs[0].witness
    spoiled = signature[:20] + bytes((signature[20] ^ 1,)) + signature[21:]
    return tx.with_witness(0, (spoiled, key))


def test_submit__grows_the_chain(workshop: Workshop) -> None:
    block = workshop.add(count=3)
    assert workshop.engine.height == 3
    assert workshop.engine.hash_at(3) == block.hash
    assert workshop.engine.block(block.hash) == block.encode()
    assert workshop.submit(block) == DUPLICATE


# Refused without any exception of the kernel: the trap that `block_checked` is for.
CONSENSUS_REJECTIONS: dict[str, tuple[Callable[[Workshop, Spendable], Block], str]] = {
    "a wrong signature": (
        lambda w, m: w.build(bad_signature(spend([m], 1_000))),
        "block-script-verify-flag-failed",
    ),
    "more out than in": (lambda w, m: w.build(spend([m], -1_000)), "bad-txns-in-belowout"),
    "an immature coinbase": (
        lambda w, _: w.build(spend([coinbase_of(w.add())], 1_000)),
        "bad-txns-premature-spend-of-coinbase",
    ),
    "a coin spent twice": (
        lambda w, m: w.build(spend([m], 1_000), spend([m], 2_000)),
        "bad-txns-inputs-missingorspent",
    ),
    "a relative lock not yet open (BIP 68)": (
        lambda w, m: w.build(spend([m], 1_000, sequence=200)),
        "bad-txns-nonfinal, contains a non-BIP68-final transaction",
    ),
    "a coinbase that pays itself more": (
        lambda w, _: w.build(amount=subsidy(1).sat + 1),
        "bad-cb-amount",
    ),
}
# Refused by exception, before the block is connected.
CONTEXT_REJECTIONS: dict[str, tuple[Callable[[Workshop, Spendable], Block], str]] = {
    "a locktime not yet reached": (
        lambda w, m: w.build(spend([m], 1_000, locktime=w.engine.height + 1)),
        "bad-txns-nonfinal, non-final transaction",
    ),
    "the wrong height in the coinbase (BIP 34)": (
        lambda w, _: w.build(height=99),
        "bad-cb-height",
    ),
    "another merkle root": (
        lambda w, _: remined(w.build(), merkle_root=bytes(32)),
        "bad-txnmrklroot",
    ),
    "a witness without commitment": (
        lambda w, m: without_commitment(w.build(spend([m], 1_000))),
        "unexpected-witness",
    ),
    "a time two hours ahead": (
        lambda w, _: w.build(time=0xFFFF_0000),
        "time-too-new",
    ),
    "a time before the median": (lambda w, _: w.build(time=GENESIS_TIME), "time-too-old"),
    "an unknown parent": (
        lambda w, _: w.build(on=BlockHash(bytes(31) + b"\x01")),
        "prev-blk-not-found",
    ),
}


def without_commitment(block: Block) -> Block:
    """The block with a coinbase that says nothing about witnesses."""
    first = block.transactions[0]
    bare = replace(first, outputs=first.outputs[:1], inputs=(replace(first.inputs[0], witness=()),))
    rest = block.transactions[1:]
    root = merkle_root([bare.txid, *(tx.txid for tx in rest)])
    return remined(Block(block.header, (bare, *rest)), merkle_root=root)


@pytest.mark.parametrize("case", [*CONSENSUS_REJECTIONS, *CONTEXT_REJECTIONS])
def test_submit__refused_with_cores_reason(workshop: Workshop, money: Spendable, case: str) -> None:
    build, reason = {**CONSENSUS_REJECTIONS, **CONTEXT_REJECTIONS}[case]
    tip = workshop.engine.hash_at(workshop.engine.height)
    block = build(workshop, money)
    before = workshop.engine.height
    refused = workshop.submit(block)
    assert refused is not None
    assert refused.startswith(reason)
    assert workshop.engine.height == before
    if "immature" not in case:
        assert workshop.engine.hash_at(before) == tip


def test_submit__no_proof_of_work(workshop: Workshop) -> None:
    block = workshop.build()
    header = block.header
    while header.has_work:
        header = replace(header, nonce=header.nonce + 1)
    refused = workshop.submit(Block(header, block.transactions))
    assert refused is not None
    assert refused.startswith("high-hash")


def test_submit__the_same_invalid_block_again(workshop: Workshop, money: Spendable) -> None:
    block = workshop.build(bad_signature(spend([money], 1_000)))
    assert workshop.submit(block) is not None
    assert (workshop.submit(block) or "").startswith("duplicate-invalid")
    child = workshop.build(on=block.hash, height=workshop.engine.height + 2)
    assert (workshop.submit(child) or "").startswith("bad-prevblk")


def test_submit__garbage(workshop: Workshop) -> None:
    for garbage in (b"", b"\x00" * 80, bytes(range(200))):
        with pytest.raises(DecodeError, match="Block decode failed"):
            workshop.engine.submit(garbage)
    assert workshop.engine.height == 0


def test_submit__a_side_branch_gets_no_verdict_until_it_is_longer(workshop: Workshop) -> None:
    fork = workshop.add(count=5).hash
    tip = workshop.add()
    rival = workshop.build(on=fork, height=6)
    assert workshop.submit(rival) is None
    assert workshop.engine.hash_at(6) == tip.hash  # First seen wins.
    longer = workshop.build(on=rival.hash, height=7)
    assert workshop.submit(longer) is None
    assert workshop.engine.hash_at(6) == rival.hash
    assert workshop.engine.height == 7


def test_submit__a_longer_branch_with_an_invalid_block_changes_nothing(
    workshop: Workshop, money: Spendable
) -> None:
    fork, height = workshop.engine.hash_at(workshop.engine.height), workshop.engine.height
    tip = workshop.add(count=2)
    good = workshop.build(on=fork, height=height + 1)
    assert workshop.submit(good) is None
    bad = workshop.build(bad_signature(spend([money], 500)), on=good.hash, height=height + 2)
    assert workshop.submit(bad) is None  # Not connected, hence not judged.
    last = workshop.build(on=bad.hash, height=height + 3)
    assert (workshop.submit(last) or "").startswith("block-script-verify-flag-failed")
    assert workshop.engine.height == height + 2
    assert workshop.engine.hash_at(height + 2) == tip.hash


def test_verify(workshop: Workshop, money: Spendable) -> None:
    tx = spend([money], 1_000)
    assert workshop.engine.verify(tx, [money.output]) is None
    assert workshop.engine.verify(bad_signature(tx), [money.output]) == 0
    assert workshop.engine.verify(tx, [replace(money.output, amount=Satoshi(1))]) == 0
    assert workshop.engine.verify(tx, [TxOut(money.amount, ELSEWHERE)]) == 0


def test_verify__another_number_of_outputs_is_stopped_before_it_aborts_the_process(
    workshop: Workshop, money: Spendable
) -> None:
    with pytest.raises(InvariantBroken):
        workshop.engine.verify(spend([money], 1_000), [])


def test_verify__knows_scripts_only(workshop: Workshop, money: Spendable) -> None:
    """Amounts and locks are the mempool's business: the kernel's script check passes these."""
    too_much = spend([money], -1_000)
    far_away = spend([money], 1_000, locktime=1_000_000)
    assert workshop.engine.verify(too_much, [money.output]) is None
    assert workshop.engine.verify(far_away, [money.output]) is None


def test_locktime_edge(workshop: Workshop, money: Spendable) -> None:
    """A transaction with a locktime equal to the tip's height may stand in the next block."""
    height = workshop.engine.height
    assert workshop.submit(workshop.build(spend([money], 1_000, locktime=height + 1))) is not None
    assert workshop.submit(workshop.build(spend([money], 1_000, locktime=height))) is None


def test_locktime__ignored_when_every_input_is_final(workshop: Workshop, money: Spendable) -> None:
    tx = spend([money], 1_000, locktime=1_000_000, sequence=SEQUENCE_FINAL)
    assert workshop.submit(workshop.build(tx)) is None


def test_two_engines__do_not_disturb_each_other(tmp_path: Path) -> None:
    one, other = Workshop(tmp_path), Workshop(tmp_path)
    tip = one.add(count=30)
    other.add(count=20)
    other.engine.close()
    assert one.engine.block(tip.hash) == tip.encode()
    assert one.engine.height == 30
    one.engine.close()
    assert list(tmp_path.iterdir()) == []
