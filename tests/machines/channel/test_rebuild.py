"""What is stored rebuilds every earlier commitment of the peer, byte for byte.

The base of penalties: their_commitments, the ranges of the HTLC rows, and the revealed secrets.
"""

import random

import pytest

from tests.support.pair import Pair, Side, offer, preimage_of, ready_pair
from wallet.base.crypto.curve import point_of
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi
from wallet.base.values.ids import Txid
from wallet.machines.channel import actions, events
from wallet.machines.channel.commitments import build, their_commitment
from wallet.machines.channel.dance import LAST_INDEX
from wallet.machines.channel.htlc import CommitmentRange, Htlc, HtlcKey, Split


class Witness:
    """Remembers the txid of each commitment that a side signed for the other."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.txids: dict[int, Txid] = {}
        side.store = self.look

    def look(self, channel):  # type: ignore[no-untyped-def]
        number = channel.their_number
        built = their_commitment(channel, channel.funding)
        self.txids.setdefault(number, built.commitment.tx.txid)
        assert self.txids[number] == built.commitment.tx.txid
        return channel


def _rows(side: Side) -> dict[HtlcKey, Htlc]:
    rows = dict(side.state.htlcs)
    rows |= {a.htlc.key: a.htlc for a in side.acts if isinstance(a, actions.HtlcGone)}
    return rows


def _held(held: CommitmentRange, number: int) -> bool:
    return (
        held.first is not None
        and held.first <= number
        and (held.last is None or number <= held.last)
    )


def rebuilt(side: Side, number: int) -> Txid:
    """The peer's revoked commitment `number`, from rows and secrets alone."""
    channel = side.state
    (record,) = (r for r in side.records if r.number == number)
    secret = channel.their_secrets.get(LAST_INDEX - number)
    assert secret is not None, "not revoked"
    htlcs = tuple(h for h in _rows(side).values() if _held(h.in_theirs, number))
    content = Split(record.to_us, record.to_them, record.feerate, htlcs)
    point = point_of(secret)
    built = build(channel.terms, channel.funding, content, number, point, ours=False)
    return built.commitment.tx.txid


def _wander(pair: Pair, dice: random.Random, count: int) -> None:
    for number in range(count):
        side = dice.choice((pair.alice, pair.bob))
        match dice.randrange(5):
            case 0 | 1:
                amount = MilliSatoshi(dice.choice((1, 353_999, 354_000, 2_000_000, 30_000_123)))
                try:
                    side.step(offer(number, amount, expiry=400 + dice.randrange(99)))
                except Refused:
                    continue
            case 2 | 3:
                _answer_some(side, dice)
            case _:
                try:
                    rate = FeeratePerKw(dice.randrange(300, 3_000))
                    pair.alice.step(events.ChangeFeerate(rate))
                except Refused:
                    continue
        for _ in range(dice.randrange(4)):
            pair.deliver(dice.choice((pair.alice, pair.bob)))
        if dice.random() < 0.1:
            pair.cut()
            pair.reconnect()
    pair.settle()


def _answer_some(side: Side, dice: random.Random) -> None:
    from tests.support.channel_kernel import PREIMAGES

    for key, htlc in list(side.state.htlcs.items()):
        if key.offered_by_us or dice.random() < 0.5:
            continue
        if dice.random() < 0.6:
            side.step(events.FulfillHtlc(key.id, PREIMAGES[htlc.payment_hash]))
        else:
            side.step(events.FailHtlc(key.id, b"no"))


@pytest.mark.parametrize("seed", range(6))
def test_every_revoked_commitment_is_rebuilt(seed: int) -> None:
    pair = ready_pair()
    witnesses = [Witness(pair.alice), Witness(pair.bob)]
    _wander(pair, random.Random(seed), 250)
    for witness in witnesses:
        channel = witness.side.state
        revoked = channel.their_number - int(channel.awaiting_revocation)
        assert revoked > 10
        for number in range(1, revoked):
            assert rebuilt(witness.side, number) == witness.txids[number]


def test_a_gone_htlc_knows_the_commitments_that_held_it() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    (gone,) = (a.htlc for a in pair.alice.acts if isinstance(a, actions.HtlcGone))
    assert gone.in_theirs == CommitmentRange(1, 1)
    assert gone.in_ours == CommitmentRange(1, 1)
