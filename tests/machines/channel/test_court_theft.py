"""What a thief would try on chain: many small HTLCs, fee spikes, the last block."""

from tests.machines.channel.test_court import EXPIRY, phase, sat
from tests.support.courtroom import Courtroom
from tests.support.pair import offer, ready_pair
from wallet.base.values.amounts import FeeratePerKw
from wallet.machines.channel import actions
from wallet.machines.channel.claims import GRACE
from wallet.machines.channel.state import Phase


def test_many_htlcs_that_are_small_each_are_worth_a_close_together() -> None:
    """Else a peer sits on 30 of 10,000 sat, which fail upstream, and then claims them all."""
    pair = ready_pair()
    for _ in range(30):
        pair.alice.step(offer(1, sat(10_000), EXPIRY))
    pair.settle()
    court = Courtroom(pair)
    for party in court.parties:
        party.side.feerate = FeeratePerKw(5_000)
    court.mine_to(EXPIRY + GRACE)
    assert phase(pair.alice) is Phase.FAILED
    assert not [a for a in pair.alice.acts if isinstance(a, actions.LossAccepted)]
