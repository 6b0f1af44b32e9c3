"""A channel with HTLCs in it that goes to court: how it begins, how it must end."""

from tests.support.courtroom import Courtroom
from tests.support.pair import Pair, Side, offer, preimage_of, ready_pair
from wallet.base.values.amounts import MilliSatoshi
from wallet.machines.channel import actions, events
from wallet.machines.channel.ending import SpendKind
from wallet.machines.channel.onchain import FORGET_DEPTH
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


def phase(side: Side) -> Phase:
    """How far the channel has come."""
    return side.state.phase


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


def cheated(cheat: str) -> tuple[Courtroom, Side, Side]:
    """The HTLCs are long settled when one side broadcasts the commitment that held them."""
    pair = pending()
    side, honest = (pair.alice, pair.bob) if cheat == "alice" else (pair.bob, pair.alice)
    old = side.state
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)), events.FailHtlc(1, b"no"))
    pair.alice.step(events.FulfillHtlc(0, preimage_of(3)), events.FailHtlc(1, b"no"))
    pair.settle()
    pair.alice.step(offer(7, sat(1_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    pair.cut()
    side.judging = False
    court.swap_for(side, old)
    # The cheat has come to know both preimages, of course.
    side.step(events.FulfillHtlc(0, preimage_of(3 if cheat == "alice" else 1)))
    side.step(events.CloseUnilaterally("I was richer then"))
    court.mine()
    assert honest.state.onchain is not None
    assert honest.state.onchain.kind is SpendKind.REVOKED
    return court, side, honest
