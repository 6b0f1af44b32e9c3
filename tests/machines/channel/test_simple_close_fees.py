"""`option_simple_close`: either side may pay more for its version, and never less (RBF)."""

import pytest

from tests.support.closes import at, closed, closes, fee_at, fee_of, ready, said, told
from tests.support.pair import (
    CLOSE_SCRIPT,
    FEERATE,
    LEGACY,
    Pair,
    ready_pair,
)
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, Satoshi
from wallet.base.wire.channel import ClosingComplete
from wallet.machines.channel import actions, events
from wallet.machines.channel.close_simple import REPLACE_AFTER
from wallet.machines.channel.resume import resume

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


# --- by the estimate ----------------------------------------------------------------------------


def blocks(pair: Pair, rate: int, count: int = REPLACE_AFTER) -> None:
    """So many blocks later the estimate is another."""
    for side in (pair.alice, pair.bob):
        side.height += count
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


def test_the_estimate_rises__not_twice_within_a_few_blocks() -> None:
    """eclair signs none that comes within 3 blocks of the last (`attempt-delta-blocks`): it warns,
    and we would wait for its signature until the connection is given up.
    """
    pair = closed()
    for count, rate in ((0, 2_000), (1, 3_000), (1, 4_000), (1, 5_000)):
        blocks(pair, rate, count)
    assert {fee_of(tx) for tx in closes(pair.alice)} == {fee_at(1_000)}
    assert pair.alice.state.negotiation.proposal is None
    blocks(pair, 6_000, 1)
    assert {fee_of(tx) for tx in closes(pair.alice)} == {fee_at(1_000), fee_at(6_000)}


def test_the_estimate_rises__within_the_range_that_a_person_gave() -> None:
    pair = ready()
    pair.alice.step(events.CloseMutually(None, (FeeratePerKw(500), FeeratePerKw(1_500))))
    pair.settle()
    blocks(pair, 5_000)
    ours = pair.alice.state.simple_close.ours
    assert ours is not None
    assert ours.fee.sat == fee_at(1_500)
