"""Every way a channel can end with HTLCs in it, and what each side has in the end (BOLT 5).

Alice has opened with 1,000,000 sat and given Bob 400,000.  Four HTLCs are pending: Alice's of
50,000 that Bob can claim and of 60,000 that he cannot, Bob's of 70,000 that Alice can claim and of
80,000 that she cannot; and one of 300 sat each way, which no commitment shows.
"""

import pytest

from tests.support.courtroom import Courtroom
from tests.support.pair import Pair, Side, offer, preimage_of, ready_pair
from wallet.base.values.amounts import MilliSatoshi
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.htlc import HtlcKey
from wallet.machines.channel.onchain import FORGET_DEPTH, RESOLVED_DEPTH
from wallet.machines.channel.state import Phase

EXPIRY = 200
DELAY = 6
START = 6 * 100_000
"""Satoshi of coins that each wallet begins with."""


def sat(amount: int) -> MilliSatoshi:
    return MilliSatoshi(amount * 1000)


def pending() -> Pair:
    """HTLCs as above, all irrevocable; two are claimable, by preimages that are not said yet."""
    pair = ready_pair()
    pair.alice.step(
        offer(1, sat(50_000), EXPIRY), offer(2, sat(60_000), EXPIRY), offer(5, sat(300), EXPIRY)
    )
    pair.settle()
    pair.bob.step(
        offer(3, sat(70_000), EXPIRY), offer(4, sat(80_000), EXPIRY), offer(6, sat(300), EXPIRY)
    )
    pair.settle()
    return pair


def know_preimages(pair: Pair) -> None:
    """Both learn theirs, too late to say it to the other."""
    pair.cut()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.alice.step(events.FulfillHtlc(0, preimage_of(3)))


def lapsed(side: Side) -> set[int]:
    """Ids of its HTLCs that may fail upstream."""
    return {a.htlc.key.id for a in side.acts if isinstance(a, actions.HtlcLapsed)}


def paid(side: Side) -> set[int]:
    """Ids of its HTLCs whose preimage it has learnt."""
    return {a.htlc.key.id for a in side.acts if isinstance(a, actions.HtlcFulfilled)}


def finish(court: Courtroom) -> None:
    """Until both have forgotten the channel."""
    court.mine_to(EXPIRY + DELAY + 4)
    court.mine(FORGET_DEPTH)
    for party in court.parties:
        assert party.side.state.phase is Phase.CLOSED
        assert not party.side.state.htlcs


def reckon(court: Courtroom, alice: int, bob: int) -> None:
    """Each has what it should, less fees that the chain has seen; nothing is left lying about."""
    got = {p.side.name: court.holds(p) - START for p in court.parties}
    anchors = sum(o.amount.sat for o, h in court.unspent.values() if o.amount.sat == 330 and h > 1)
    assert got["alice"] + got["bob"] + court.fees() + anchors == 1_000_000
    assert alice - 8_000 < got["alice"] <= alice
    assert bob - 8_000 < got["bob"] <= bob


@pytest.mark.parametrize("closer", ["alice", "bob"])
def test_close_by_force__each_htlc_goes_to_whom_it_belongs(closer: str) -> None:
    pair = pending()
    know_preimages(pair)
    court = Courtroom(pair)
    side, other = (pair.alice, pair.bob) if closer == "alice" else (pair.bob, pair.alice)
    side.step(events.CloseUnilaterally("test"))
    court.mine()
    assert (side.state.onchain.kind, other.state.onchain.kind) == (SpendKind.OURS, SpendKind.THEIRS)  # type: ignore[union-attr]
    court.mine(2)
    # Preimages seen on chain settle the incoming side at once.
    assert paid(pair.alice) == paid(pair.bob) == {0}
    court.mine_to(EXPIRY + RESOLVED_DEPTH - 1)
    assert lapsed(pair.alice) == lapsed(pair.bob) == {2}, "dust goes with the commitment"
    court.mine(2)
    assert lapsed(pair.alice) == lapsed(pair.bob) == {1, 2}
    finish(court)
    # Dust goes to the miner, whoever offered it.
    reckon(court, 600_000 - 50_000 + 70_000, 400_000 + 50_000 - 70_000)
