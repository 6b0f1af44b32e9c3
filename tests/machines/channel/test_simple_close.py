"""`option_simple_close` between two that follow BOLT 2: both offer, both sign, either pays more."""

import pytest

from tests.support import kernel_engine
from tests.support.courtroom import Courtroom
from tests.support.pair import (
    CLOSE_SCRIPT,
    FEERATE,
    LEGACY,
    Pair,
    Side,
    link_up,
    offer,
    open_pair,
    preimage_of,
    ready_pair,
)
from tests.support.policy_engine import verify_policy
from wallet.base.bitcoin.script import p2tr, p2wsh
from wallet.base.bitcoin.transaction import Transaction, TxOut
from wallet.base.channel_tx.closing import closing_weight
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.features import OUR_INIT
from wallet.base.wire.channel import ClosingComplete, ClosingSig, ClosingSigned, Shutdown
from wallet.base.wire.message import Message, decode
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.onchain import FORGET_DEPTH
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Phase
from wallet.node.persist import durable


def stored(channel: Channel) -> Channel:
    """Through its stored form, which promises the same closing transactions."""
    kept: Channel = from_json(Channel, to_json(durable(channel)))
    assert resume(kept).actions == resume(channel).actions
    return channel


def ready(push: int = 400_000_000) -> Pair:
    """Alice has 600,000 sat and Bob 400,000; every state goes through its stored form."""
    pair = ready_pair(MilliSatoshi(push))
    pair.alice.store = pair.bob.store = stored
    return pair


def closed(push: int = 400_000_000) -> Pair:
    """Both versions are signed by both."""
    pair = ready(push)
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    return pair


def at(rate: int) -> events.CloseMutually:
    """A person wants to pay so much, in sat per 1000 weight units."""
    return events.CloseMutually(None, (FeeratePerKw(rate), FeeratePerKw(rate)))


def fee_at(rate: int) -> int:
    """Of a close to two P2WPKH outputs."""
    return FeeratePerKw(rate).fee_ceil(closing_weight(*CLOSE_SCRIPT.values())).sat


def fee_of(tx: Transaction) -> int:
    return 1_000_000 - sum(output.amount.sat for output in tx.outputs)


def closes(side: Side) -> list[Transaction]:
    """What this side gave to the chain, each judged by consensus and by relay policy."""
    funding = side.state.funding
    spent = TxOut(funding.amount, funding_output(funding.our_pubkey, funding.their_pubkey))
    found = {tx.txid: tx for kind, tx in side.broadcasts if kind == "mutual close"}
    for tx in found.values():
        kernel_engine.verify(tx, [spent], kind="close")
        verify_policy(tx, [spent])
    return list(found.values())


def told(side: Side) -> list[actions.CloseSigned]:
    return [a for a in side.acts if isinstance(a, actions.CloseSigned)]


def said(side: Side) -> list[Message]:
    return [m for m in map(decode, side.sent) if isinstance(m, Message)]


def phases(pair: Pair) -> set[Phase]:
    return {pair.alice.state.phase, pair.bob.state.phase}


# --- the first two ------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_close__each_pays_for_its_own_transaction(who: str) -> None:
    pair = ready()
    (pair.alice if who == "alice" else pair.bob).step(events.CloseMutually(None, None))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    fee = fee_at(FEERATE.per_kw)
    for side in (pair.alice, pair.bob):
        paid = {
            tx.txid: tuple(
                o.amount.sat
                for name in ("alice", "bob")
                for o in tx.outputs
                if o.script_pubkey == CLOSE_SCRIPT[name]
            )
            for tx in closes(side)
        }
        assert sorted(paid.values()) == [(600_000 - fee, 400_000), (600_000, 400_000 - fee)]
        assert side.closes == set(paid)
        alices = {txid for txid, (_, to_bob) in paid.items() if to_bob == 400_000}
        assert {(t.txid, t.fee.sat, t.we_pay) for t in told(side)} == {
            (txid, fee, (txid in alices) is (side is pair.alice)) for txid in paid
        }


def test_close__before_the_funding_is_mined() -> None:
    pair = open_pair(MilliSatoshi(300_000_000))
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    assert len(closes(pair.alice)) == len(closes(pair.bob)) == 2


def test_close__waits_for_htlcs() -> None:
    pair = ready()
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    assert phases(pair) == {Phase.SHUTTING_DOWN}
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    paid = {o.amount.sat for tx in closes(pair.alice) for o in tx.outputs}
    assert {590_000, 410_000} < paid


@pytest.mark.parametrize(
    ("push", "versions"),
    [
        # msat that Bob has, and how many of the outputs each transaction has.
        (0, [1]),
        (293_999, [1]),
        # Enough for an output, not for a fee of his own.
        (294_000, [2]),
        (463_999, [2]),
        # The relay floor and no more, so that the output is not dust.
        (465_000, [2, 2]),
        (1_500_000, [2, 2]),
    ],
)
def test_close__outputs_below_dust_are_left_out(push: int, versions: list[int]) -> None:
    pair = closed(push)
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    assert sorted(len(tx.outputs) for tx in closes(pair.alice)) == versions
    assert pair.alice.closes == pair.bob.closes


@pytest.mark.parametrize(
    "script",
    [
        p2wsh(b"\x51"),
        p2tr(bytes(32)),
        *(bytes((0x50 + version, 2)) + b"ab" for version in range(1, 17)),
        b"\x60\x28" + bytes(40),
    ],
)
def test_close__to_any_segwit_script(script: bytes) -> None:
    pair = ready()
    pair.bob.step(events.CloseMutually(script, None))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    for tx in closes(pair.alice):
        assert {o.script_pubkey for o in tx.outputs} == {script, CLOSE_SCRIPT["alice"]}


def test_close__no_word_of_the_legacy_kind_is_said() -> None:
    pair = ready()
    kinds: set[type] = set()
    pair.bob.step(events.CloseMutually(None, None))
    while pair.alice.sent or pair.bob.sent:
        kinds |= {type(m) for side in (pair.alice, pair.bob) for m in said(side)}
        pair.deliver(pair.alice)
        pair.deliver(pair.bob)
    assert kinds == {Shutdown, ClosingComplete, ClosingSig}


# --- one that pays more -------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_person_pays_more__either_side(who: str) -> None:
    pair = closed()
    side = pair.alice if who == "alice" else pair.bob
    before = pair.alice.closes
    side.step(at(3_000))
    pair.settle()
    new = pair.alice.closes - before
    assert len(new) == 1
    # The peer's stays, our older one is replaced; the one that pays most is the last.
    assert pair.alice.closes == pair.bob.closes
    assert len(pair.alice.closes & before) == 1
    for each in (pair.alice, pair.bob):
        [tx] = [tx for tx in closes(each) if tx.txid in new]
        assert fee_of(tx) == fee_at(3_000)
        kind, last = each.broadcasts[-1]
        assert (kind, last.txid) == ("mutual close", tx.txid)
        assert told(each)[-1] == actions.CloseSigned(tx.txid, Satoshi(fee_of(tx)), each is side)
        promised = [a for a in resume(each.state).actions if isinstance(a, actions.Broadcast)]
        assert {a.transaction.tx.txid for a in promised} == each.closes
        assert promised[-1].transaction.tx.txid == tx.txid


def test_a_person_pays_more__in_turn() -> None:
    """Each has to pay for more than the other's, which a mempool holds as well."""
    pair = closed()
    for side, rate in ((pair.alice, 2_000), (pair.bob, 3_000), (pair.alice, 4_000)):
        side.step(at(rate))
        pair.settle()
        assert fee_of(closes(side)[-1]) == fee_at(rate)
    assert len(pair.alice.closes) == 2
    with pytest.raises(Refused, match="fee rate of at least"):
        pair.bob.step(at(4_000))


def test_a_person_pays_more__from_the_least_that_replaces() -> None:
    """BIP 125: the fee of what it replaces, and for its own relay."""
    pair = closed()
    held = fee_at(FEERATE.per_kw)
    least = held + fee_at(253)
    with pytest.raises(Refused, match=f"which costs us {Satoshi(least)} of our 600,000") as refused:
        pair.alice.step(at(FEERATE.per_kw + 100))
    assert not pair.alice.sent
    rate = int(str(refused.value).split("at least ")[1].split()[0])
    with pytest.raises(Refused, match="at least"):
        pair.alice.step(at(rate - 1))
    pair.alice.step(at(rate))
    pair.settle()
    assert least <= fee_of(closes(pair.bob)[-1]) <= least + 1


@pytest.mark.parametrize("event", [events.CloseMutually(None, None), at(500), at(1_000)])
def test_a_person_pays_more__never_less(event: events.CloseMutually) -> None:
    pair = closed()
    before = pair.alice.state
    with pytest.raises(Refused, match="closed already and waits for its block"):
        pair.alice.step(event)
    assert pair.alice.state == before


def test_a_person_pays_more__than_there_is() -> None:
    """Our own output is never spent on fees."""
    pair = closed(1_500_000)
    pair.bob.step(at(5_000))
    pair.settle()
    tx = closes(pair.alice)[-1]
    assert {o.script_pubkey: o.amount.sat for o in tx.outputs}[CLOSE_SCRIPT["bob"]] == 294
    assert fee_of(tx) == 1_500 - 294
    with pytest.raises(Refused, match="of our 1,500 sat"):
        pair.bob.step(at(9_000))


def test_a_person_pays_more__while_the_first_is_not_answered() -> None:
    """BOLT 2: MUST wait until it has received `closing_sig` first."""
    pair = ready()
    pair.alice.step(events.CloseMutually(None, None))
    pair.deliver(pair.alice)
    pair.deliver(pair.bob)
    assert [type(m) for m in said(pair.alice)] == [ClosingComplete]
    pair.alice.step(at(3_000))
    assert [type(m) for m in said(pair.alice)] == [ClosingComplete]
    pair.settle()
    assert fee_of(closes(pair.bob)[-1]) == fee_at(3_000)


def test_a_person_pays_more__once_the_peer_is_back() -> None:
    pair = closed()
    pair.cut()
    pair.alice.step(at(3_000))
    assert not pair.alice.sent
    pair.reconnect()
    pair.settle()
    assert fee_of(closes(pair.bob)[-1]) == fee_at(3_000)
    assert pair.alice.closes == pair.bob.closes


def test_legacy__the_agreed_fee_stands() -> None:
    pair = ready_pair(features=LEGACY)
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    with pytest.raises(Refused, match="does not offer option_simple_close"):
        pair.alice.step(at(3_000))


def blocks(pair: Pair, rate: int) -> None:
    """A block later the estimate is another."""
    for side in (pair.alice, pair.bob):
        side.height += 1
        side.feerate = FeeratePerKw(rate)
        side.step(events.NewTip(CLOSE_SCRIPT[side.name]))
    pair.settle()


def test_the_estimate_rises__one_of_both_pays_more() -> None:
    pair = closed()
    blocks(pair, 1_100)  # Less than a replacement has to pay.
    assert {fee_of(tx) for tx in closes(pair.alice)} == {fee_at(1_000)}
    blocks(pair, 2_000)
    fees = {fee_of(tx) for tx in closes(pair.bob)}
    assert fees == {fee_at(1_000), fee_at(2_000)}
    blocks(pair, 1_000)
    assert {fee_of(tx) for tx in closes(pair.bob)} == fees


def test_the_estimate_rises__not_twice_in_one_block() -> None:
    pair = closed()
    for rate in (2_000, 3_000, 4_000):
        pair.alice.feerate = FeeratePerKw(rate)
        pair.alice.step()
        pair.settle()
    assert {fee_of(tx) for tx in closes(pair.alice)} == {fee_at(1_000)}


def test_the_estimate_rises__within_the_range_that_a_person_gave() -> None:
    pair = ready()
    pair.alice.step(events.CloseMutually(None, (FeeratePerKw(500), FeeratePerKw(1_500))))
    pair.settle()
    blocks(pair, 5_000)
    ours = pair.alice.state.simple_close.ours
    assert ours is not None
    assert ours.fee.sat == fee_at(1_500)


# --- another connection -------------------------------------------------------------------------


def lose_the_answer(pair: Pair) -> None:
    """Bob has signed Alice's offer of a higher fee, and she has not heard it."""
    pair.alice.step(at(3_000))
    pair.deliver(pair.alice)
    assert [type(m) for m in said(pair.bob)] == [ClosingSig]


def test_a_lost_answer__the_same_is_offered_again() -> None:
    """Bob may broadcast it: Alice must come to know it, and offer no less."""
    pair = closed()
    lose_the_answer(pair)
    pair.cut()
    pair.alice.feerate = FeeratePerKw(500)
    pair.reconnect()
    pair.settle()
    assert pair.alice.closes == pair.bob.closes
    assert fee_of(closes(pair.alice)[-1]) == fee_at(3_000)


def test_reconnect__nothing_new_is_signed() -> None:
    pair = closed()
    before = pair.alice.closes
    count = len(told(pair.alice))
    link_up(pair)
    link_up(pair)
    assert pair.alice.closes == pair.bob.closes == before
    assert len(told(pair.alice)) == count


def test_reconnect__the_peer_does_not_offer_it_any_more() -> None:
    """Both versions stay good; the legacy close is a third."""
    pair = closed()
    before = pair.alice.closes
    pair.cut()
    for side in (pair.alice, pair.bob):
        side.step(events.PeerConnected(LEGACY.to_bytes()))
    pair.settle()
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    assert pair.alice.state.signed_close is not None
    assert before < pair.alice.closes == pair.bob.closes


def test_reconnect__the_peer_offers_it_now() -> None:
    pair = ready_pair(features=LEGACY)
    pair.cut()
    for side in (pair.alice, pair.bob):
        side.step(events.PeerConnected(OUR_INIT.to_bytes()))
    pair.alice.step(events.CloseMutually(None, None))
    kinds: set[type] = set()
    while pair.alice.sent or pair.bob.sent:
        kinds |= {type(m) for side in (pair.alice, pair.bob) for m in said(side)}
        pair.deliver(pair.alice)
        pair.deliver(pair.bob)
    assert ClosingComplete in kinds
    assert ClosingSigned not in kinds
    assert len(pair.alice.closes) == 2


# --- the chain ----------------------------------------------------------------------------------


def every_version() -> tuple[Pair, list[Transaction]]:
    """Four were signed; each side remembers two."""
    pair = closed()
    pair.alice.step(at(2_000))
    pair.settle()
    pair.bob.step(at(3_000))
    pair.settle()
    found = closes(pair.alice)
    assert len(found) == 4
    return pair, found


@pytest.mark.parametrize("which", range(4))
def test_whichever_a_block_holds_it_is_a_mutual_close(which: int) -> None:
    pair, versions = every_version()
    court = Courtroom(pair)
    court.silent = {"alice", "bob"}
    court.extra = [versions[which]]
    court.mine()
    for side in (pair.alice, pair.bob):
        end = side.state.onchain
        assert end is not None
        assert (end.kind, end.txid, end.claims) == (SpendKind.MUTUAL, versions[which].txid, ())
    court.mine(FORGET_DEPTH)
    assert phases(pair) == {Phase.CLOSED}


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 1), (2, 2)])
def test_reorg__another_version_takes_its_place(first: int, second: int) -> None:
    pair, versions = every_version()
    court = Courtroom(pair)
    court.silent = {"alice", "bob"}
    court.extra = [versions[first]]
    court.mine(3)
    kept = pair.alice.closes
    for side in (pair.alice, pair.bob):
        side.broadcasts.clear()
    court.reorg(3)
    assert phases(pair) == {Phase.MUTUALLY_CLOSED}
    court.extra = [versions[second]]
    court.mine()
    for side in (pair.alice, pair.bob):
        # While it was in no block all that is remembered was offered again, and nothing else.
        assert {(kind, tx.txid) for kind, tx in side.broadcasts} == {
            ("mutual close", txid) for txid in kept
        }
        end = side.state.onchain
        assert end is not None
        assert (end.kind, end.txid) == (SpendKind.MUTUAL, versions[second].txid)
    court.mine(FORGET_DEPTH)
    assert phases(pair) == {Phase.CLOSED}


def test_force__after_a_close_that_no_miner_takes() -> None:
    pair = closed()
    pair.alice.step(events.CloseUnilaterally("--force"))
    assert pair.alice.state.phase is Phase.FAILED
    assert [k for k, _ in pair.alice.broadcasts][-1] == "commitment"
    promised = {
        a.kind for a in resume(pair.alice.state).actions if isinstance(a, actions.Broadcast)
    }
    assert "mutual close" not in promised
