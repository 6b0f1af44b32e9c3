"""What is stored rebuilds every earlier commitment of the peer, byte for byte, and punishes it.

The base of penalties: `their_commitments`, the ranges of the HTLC rows, and the revealed secrets.
Hypothesis tells stories of a channel; each side's rows go to a database, a wallet starts from it,
and the peer broadcasts each commitment that it has ever revoked.  `LEYDEN_LONG=1` tells many more.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.archive import Archive
from tests.support.bolt3 import STATIC_REMOTEKEY
from tests.support.channel_kernel import PREIMAGES, sign
from tests.support.faucet import Spendable, signed
from tests.support.kernel_engine import VERIFIED
from tests.support.pair import (
    CLOSE_SCRIPT,
    FEERATE,
    START_HEIGHT,
    Pair,
    Side,
    offer,
    policy,
    preimage_of,
    ready_pair,
)
from tests.support.policy_engine import verify_policy
from tests.support.regtest_node import TestClock, coin, funded
from wallet.base.bitcoin.chains import REGTEST
from wallet.base.bitcoin.script import p2wsh
from wallet.base.bitcoin.sighash import SigHash, segwit_v0
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.channel_tx import format as formats
from wallet.base.channel_tx.commitment import HtlcTransaction
from wallet.base.channel_tx.format import ANCHORS, CommitmentFormat
from wallet.base.channel_tx.scripts import anchor_script
from wallet.base.errors import Refused
from wallet.base.values.amounts import FEERATE_FLOOR, FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import BlockHeight
from wallet.base.values.ids import BlockHash, OutPoint, Signature
from wallet.machines.chain_events import BlockConnected
from wallet.machines.channel import actions, events, opening
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.ending import Claim, ClaimKind, SpendKind
from wallet.machines.channel.htlc import CommitmentRange
from wallet.machines.channel.identify import rebuilt
from wallet.machines.channel.state import Channel
from wallet.machines.channel.step import step
from wallet.machines.channel.unilateral import broadcast_commitment
from wallet.machines.signing import HtlcKey, SignDigest
from wallet.machines.step import Context
from wallet.node import persist
from wallet.node.build import make_board
from wallet.node.config import Config
from wallet.node.events import Recalled
from wallet.node.evidence import gathered
from wallet.node.memory import Memory
from wallet.services.regtest.acceptance import RETURNED, check
from wallet.services.regtest.chain import Chain
from wallet.services.regtest.index import Coin
from wallet.services.regtest.mempool import Mempool
from wallet.services.regtest.node import Regtest
from wallet.services.store.sqlite import SqliteStore

LONG = "LEYDEN_LONG" in os.environ
TIP = 130
"""Of the embedded chain: every HTLC of a story has expired, so every cheat can go to its end."""
NAMES = st.sampled_from(["alice", "bob"])
AMOUNTS = st.one_of(
    st.sampled_from([1, 353_999, 354_000, 545_999, 546_000, 1_100_000]),
    st.integers(2_000_000, 60_000_000),
)
"""Around both dust limits, around what an HTLC transaction of the older format costs, and more."""
MOVES = st.one_of(
    st.tuples(st.just("offer"), NAMES, AMOUNTS, st.integers(1, 6)),
    st.tuples(st.just("answer"), NAMES, st.integers(0, 9), st.sampled_from(["pay", "fail"])),
    st.tuples(st.just("feerate"), st.sampled_from([253, 700, 1_500, 3_000])),
    st.tuples(st.just("say"), NAMES, st.integers(1, 4)),
    st.tuples(st.just("converse")),
    st.tuples(st.just("cut")),
)
STORIES = st.lists(MOVES, min_size=15, max_size=40)
BEGINNING = (
    ("offer", "alice", 50_000_000, 2),
    ("offer", "bob", 40_000_000, 4),
    ("converse",),
    ("offer", "alice", 30_000_000, 2),
    ("converse",),
)
"""Every story has earlier commitments with HTLCs both ways."""
MOST_WEIGHT = 650
"""More than a penalty for one output weighs."""


def play(pair: Pair, story: Sequence[tuple[object, ...]]) -> None:
    """What is refused, or has nothing to answer, is no part of the story."""
    for number, move in enumerate(story):
        try:
            match move:
                case ("offer", str(name), int(amount), int(which)):
                    # Few preimages and expiries: twins are told apart by nothing but their place.
                    expiry = START_HEIGHT + 2 + which % 3
                    side(pair, name).step(offer(which // 2, MilliSatoshi(amount), expiry))
                case ("answer", str(name), int(which), how):
                    answer(side(pair, name), which, pays=how == "pay")
                case ("feerate", int(feerate)):
                    pair.alice.step(events.ChangeFeerate(FeeratePerKw(feerate)))
                case ("say", str(name), int(count)):
                    for _ in range(count):
                        pair.deliver(side(pair, name))
                case ("converse",):
                    pair.settle()
                case _:
                    pair.cut()
                    pair.reconnect()
        except Refused:
            continue
        if number % 5 == 4:
            pair.settle()


def side(pair: Pair, name: str) -> Side:
    return pair.alice if name == "alice" else pair.bob


def answer(side: Side, which: int, *, pays: bool) -> None:
    waiting = [h for h in side.state.htlcs.values() if not h.key.offered_by_us]
    if waiting:
        htlc = waiting[which % len(waiting)]
        paid = events.FulfillHtlc(htlc.key.id, PREIMAGES[htlc.payment_hash])
        side.step(paid if pays else events.FailHtlc(htlc.key.id, b"no"))


class Cheat(Archive):
    """A side that keeps, beside its rows, every state in which it had another commitment."""

    def __init__(self, side: Side) -> None:
        super().__init__(side)
        self.past = {side.state.our_number: side.state}

    def keep(self, channel: Channel) -> Channel:
        self.past.setdefault(channel.our_number, channel)
        return super().keep(channel)

    def commitment(self, number: int) -> Transaction:
        """As it was signed by both, then."""
        (said,) = broadcast_commitment(self.past[number])
        assert isinstance(said, actions.Broadcast)
        return sign(self.side.signer, said.transaction)

    def second_stage(self, number: int, *, together: bool) -> list[Transaction]:
        """HTLC transactions for all of it: the cheat knows all preimages, and all have expired.

        `together`: as few as the format allows, which are one for each nLockTime.
        """
        old = self.past[number]
        built = our_commitment(old, old.funding).commitment
        signed_by_them = list(zip(built.htlcs, old.funding.htlc_signatures, strict=True))
        if not together or old.terms.format.htlc_sighash is not SigHash.SINGLE_ANYONECANPAY:
            return [self._signed(old, [each]) for each in signed_by_them]
        times = sorted({htlc.tx.locktime for htlc in built.htlcs})
        return [
            self._signed(old, [each for each in signed_by_them if each[0].tx.locktime == locktime])
            for locktime in times
        ]

    def _signed(self, old: Channel, htlcs: list[tuple[HtlcTransaction, Signature]]) -> Transaction:
        first = htlcs[0][0].tx
        inputs = tuple(htlc.tx.inputs[0] for htlc, _ in htlcs)
        outputs = tuple(htlc.tx.outputs[0] for htlc, _ in htlcs)
        made = tx = replace(first, inputs=inputs, outputs=outputs)
        key = HtlcKey(old.terms.keys_id, old.our_points[0])
        for place, (htlc, theirs) in enumerate(htlcs):
            digest = segwit_v0(tx, place, htlc.script, htlc.htlc.amount.floor_to_sat())
            (ours,) = self.side.signer.answer([SignDigest(key, digest)])
            assert isinstance(ours, bytes)
            known = None if htlc.htlc.offered else PREIMAGES[htlc.htlc.payment_hash]
            made = made.with_witness(place, htlc.witness(theirs, Signature(ours), known))
        return made


class Court(Mempool):
    """The embedded chain's mempool, on top of blocks that only this court has."""

    def __init__(self, chain: Chain, now: int, coin: Spendable) -> None:
        super().__init__(chain)
        self.now = now
        self.mined = {coin.outpoint: Coin(coin.output, TIP, coinbase=False)}

    def created(self, outpoint: OutPoint) -> Coin | None:
        """An output of those blocks, spent or not: a cheat is undone when the next one comes."""
        return self.mined.get(outpoint)

    def mine(self, tx: Transaction) -> None:
        """A block has it, if it is valid: a cheat's miner asks for no fee."""
        check(self, tx, self.now, RETURNED)
        for index, output in enumerate(tx.outputs):
            self.mined[tx.outpoint(index)] = Coin(output, TIP, coinbase=False)

    def judge(self, tx: Transaction) -> None:
        """Relayed and valid: mempool rules, Core's engine, a second one with relay policy."""
        check(self, tx, self.now)
        VERIFIED["penalty"] += 1
        verify_policy(tx, [self.mined[txin.outpoint].output for txin in tx.inputs])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Regtest]:
    clock = TestClock(float(int(time.time())))
    made = funded(tmp_path_factory.mktemp("court") / "chain", clock, TIP)
    yield made
    made.close()


@pytest.fixture(params=[ANCHORS, STATIC_REMOTEKEY], ids=lambda kind: str(kind.name))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CommitmentFormat:
    """Both formats of BOLT 3. We open the first only; machines and rows must not ask which."""
    rules: CommitmentFormat = request.param
    monkeypatch.setitem(formats._BY_NAME, rules.name, rules)
    monkeypatch.setattr(opening, "ANCHORS", rules)
    return rules


@settings(
    max_examples=400 if LONG else 12,
    derandomize=not LONG,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    story=STORIES,
    estimate=st.sampled_from([FEERATE_FLOOR, FEERATE, FeeratePerKw(4_000)]),
    together=st.booleans(),
)
def test_rebuilds_every_earlier_commitment_of_the_peer_from_the_database_after_a_restart(
    kind: CommitmentFormat,
    node: Regtest,
    story: Sequence[tuple[object, ...]],
    estimate: FeeratePerKw,
    together: bool,
) -> None:
    """Its txid is the one that was signed, and each penalty is valid and relayed."""
    faucet = coin(node, 1)
    limited = [replace(policy(), dust_limit=Satoshi(limit)) for limit in (354, 546)]
    pair = ready_pair(MilliSatoshi(400_000_000), *limited, coin=faucet.outpoint)
    for each in (pair.alice, pair.bob):
        each.judging = False
        assert each.state.terms.format == kind
    cheats = [Cheat(pair.alice), Cheat(pair.bob)]
    play(pair, (*BEGINNING, *story))
    court = Court(node.chain, node.now(), faucet)
    court.mine(signed(pair.funding_tx, [faucet]))
    for cheat, honest in zip(cheats, reversed(cheats), strict=True):
        asyncio.run(_restarts_and_punishes(honest, cheat, court, estimate, together=together))


async def _restarts_and_punishes(
    honest: Archive, cheat: Cheat, court: Court, estimate: FeeratePerKw, *, together: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        async with _opened(home / "wallet.sqlite3") as store:
            for batch in honest.batches:
                await store.commit(batch)
        async with _opened(home / "wallet.sqlite3") as store:
            config = Config(home, REGTEST, "http://127.0.0.1:1", home, "127.0.0.1:0", "honest")
            memory, _ = await persist.load(store, make_board(config, honest.side.signer))
            (channel,) = memory.channels.values()
            ctx = Context(BlockHeight(TIP), estimate, 0, bytes(32))
            revoked = channel.their_number - int(channel.awaiting_revocation)
            assert revoked >= 3
            for number in range(revoked):
                tx = cheat.commitment(number)
                recalled = await _recalled(store, memory, tx)
                ended = step(channel, events.FundingSpent(tx, TIP, recalled.content), ctx).state
                assert ended.onchain is not None
                assert ended.onchain.commitment_number == number
                assert ended.onchain.kind is SpendKind.REVOKED
                again = rebuilt(ended, ended.onchain)
                assert again is not None
                assert again.commitment.tx.txid == recalled.txid == tx.txid
                court.mine(tx)
                _punish(
                    ended,
                    honest.side,
                    tx,
                    cheat.second_stage(number, together=together),
                    court,
                    ctx,
                )


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[SqliteStore]:
    """The database for the life of a process."""
    store = SqliteStore(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def _recalled(store: SqliteStore, memory: Memory, tx: Transaction) -> Recalled:
    """What the kernel reads from disk when a block brings the cheat."""
    tip = memory.tip
    block = BlockConnected(BlockHeight(TIP), BlockHash(bytes(32)), tip.hash, (tx,))
    found, _ = await gathered(store, memory, [block])
    assert isinstance(found, Recalled)
    return found


def _punish(
    ended: Channel,
    honest: Side,
    tx: Transaction,
    second: list[Transaction],
    court: Court,
    ctx: Context,
) -> None:
    """All that the cheat put on the chain is taken, at the first stage or at the second."""
    end = ended.onchain
    assert end is not None
    claimed = {claim.outpoint for claim in end.claims}
    anchors = {
        p2wsh(anchor_script(k)) for k in (ended.funding.our_pubkey, ended.funding.their_pubkey)
    }
    left = {tx.outpoint(i) for i, o in enumerate(tx.outputs) if o.script_pubkey not in anchors}
    assert claimed == left, "an output that nobody takes"
    _take(ended, honest, court, ctx)
    after = ended
    for made in second:
        court.mine(made)
        for txin in made.inputs:
            spent = txin.outpoint
            after = step(after, events.ClaimSpent(spent.txid, spent.index, made, TIP), ctx).state
    taken = _take(after, honest, court, ctx)
    delayed = [c for c in taken if c.kind is ClaimKind.PENALTY and c.htlc is not None]
    assert {c.outpoint for c in delayed} == {
        made.outpoint(i) for made in second for i in range(len(made.outputs))
    }


def _take(channel: Channel, honest: Side, court: Court, ctx: Context) -> list[Claim]:
    """The claims that are open; each that is worth it has a transaction that all judges take."""
    after = step(channel, events.NewTip(CLOSE_SCRIPT[honest.name]), ctx)
    said: dict[OutPoint, Transaction] = {}
    for wish in after.actions:
        if isinstance(wish, actions.Broadcast):
            tx = sign(honest.signer, wish.transaction)
            said[tx.inputs[0].outpoint] = tx
    assert after.state.onchain is not None
    found = [c for c in after.state.onchain.claims if c.resolved_by is None]
    for claim in found:
        if claim.outpoint in said:
            court.judge(said[claim.outpoint])
        else:
            assert claim.amount.sat < max(294 + ctx.feerate.fee_ceil(MOST_WEIGHT).sat, 700)
    return found


def test_a_gone_htlc_knows_the_commitments_that_held_it() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    (gone,) = (a.htlc for a in pair.alice.acts if isinstance(a, actions.HtlcGone))
    assert gone.in_theirs == CommitmentRange(1, 1)
    assert gone.in_ours == CommitmentRange(1, 1)
