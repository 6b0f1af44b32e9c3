"""The two limits that only many HTLCs reach: dust that would burn, and 483 each way at once."""

from dataclasses import replace

import pytest

from tests.support.channel_kernel import judge
from tests.support.pair import Pair, Side, offer, policy, preimage_of, ready_pair
from wallet.base.bitcoin.transaction import Transaction
from wallet.base.errors import Refused
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.machines.channel import actions, events
from wallet.machines.channel.commitments import our_commitment
from wallet.machines.channel.htlc import HtlcKey
from wallet.machines.channel.limits import MAX_DUST_EXPOSURE, is_too_much_dust
from wallet.machines.channel.state import Phase

MOST = 483
STANDARD_WEIGHT = 400_000
"""Bitcoin Core relays no transaction that weighs more."""
DUST = MilliSatoshi(353_999)
"""A millisatoshi less than what has an output."""
UNTIL_FULL = MAX_DUST_EXPOSURE.msat // DUST.msat


def commitment(side: Side) -> Transaction:
    return our_commitment(side.state, side.state.funding).commitment.tx


def refused(side: Side, event: events.Event, words: str) -> None:
    before = side.state
    with pytest.raises(Refused, match=words) as caught:
        side.step(event)
    assert caught.value.code == 215
    assert side.state == before


# --- 483 ------------------------------------------------------------------------------------------


def full_pair() -> Pair:
    """Each side has as many HTLCs under way as the other takes."""
    amount, push = Satoshi(10_000_000), MilliSatoshi(5_000_000_000)
    pair = ready_pair(push, amount=amount)
    for side in (pair.alice, pair.bob):
        side.judging = False
    for side, first in ((pair.alice, 0), (pair.bob, 10_000)):
        side.step(*(offer(first + n, MilliSatoshi(1_000_000)) for n in range(MOST)))
        pair.settle()
    return pair


def test_483_each_way__are_signed_valid_and_light_enough_to_relay() -> None:
    pair = full_pair()
    for side in (pair.alice, pair.bob):
        assert side.state.phase is Phase.READY, side.state.error
        assert len(side.state.htlcs) == 2 * MOST
        assert len(side.state.funding.htlc_signatures) == 2 * MOST
        assert commitment(side).weight < STANDARD_WEIGHT
        judge(side.state, side.signer)
        refused(side, offer(1), "the peer accepts 483 at once")
    pair.bob.step(*(events.FulfillHtlc(n, preimage_of(n)) for n in range(MOST)))
    pair.alice.step(*(events.FailHtlc(n, b"no") for n in range(MOST)))
    pair.settle()
    for side in (pair.alice, pair.bob):
        assert not side.state.htlcs
    assert pair.bob.state.funding.to_us == MilliSatoshi(5_483_000_000)


# --- dust -----------------------------------------------------------------------------------------


def dusty_pair(payer: str) -> tuple[Pair, Side, Side]:
    """As much of the payer's money as allowed is in HTLCs without an output."""
    pair = ready_pair()
    side, other = (pair.alice, pair.bob) if payer == "alice" else (pair.bob, pair.alice)
    for each in (side, other):
        each.judging = False
    side.step(*(offer(n, DUST) for n in range(UNTIL_FULL)))
    pair.settle()
    return pair, side, other


@pytest.mark.parametrize("payer", ["alice", "bob"])
def test_dust__we_offer_up_to_the_limit_and_no_more(payer: str) -> None:
    pair, side, other = dusty_pair(payer)
    assert len(commitment(side).outputs) == 4, "two balances and two anchors"
    left = MilliSatoshi(MAX_DUST_EXPOSURE.msat - UNTIL_FULL * DUST.msat)
    refused(side, offer(900, left + MilliSatoshi(1)), "too small for the chain")
    side.step(offer(901, left), offer(902, MilliSatoshi(354_000)))
    pair.settle()
    # What the other side owes counts as well: it burns in the same commitment.
    refused(other, offer(903, MilliSatoshi(1)), "too small for the chain")
    other.step(offer(904))
    pair.settle()
    for each in (pair.alice, pair.bob):
        assert each.state.phase is Phase.READY, each.state.error


def test_dust__room_comes_back_with_the_answers() -> None:
    pair, side, other = dusty_pair("alice")
    other.step(events.FailHtlc(0, b"no"))
    pair.settle()
    side.step(offer(900, DUST))
    pair.settle()
    assert HtlcKey(True, UNTIL_FULL) in side.state.htlcs


def test_dust__of_a_peer_that_minds_no_limit_is_marked_once_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """BOLT 2: SHOULD fail this HTLC once it's committed, SHOULD NOT reveal a preimage."""
    from wallet.machines.channel import updates

    pair, side, other = dusty_pair("alice")
    monkeypatch.setattr(updates, "is_too_much_dust", lambda channel, htlc: False)
    side.step(offer(900, DUST), offer(901))
    pair.settle()
    marked = {
        act.htlc.key.id: is_too_much_dust(other.state, act.htlc)
        for act in other.acts
        if isinstance(act, actions.HtlcCommitted)
    }
    assert marked == {n: n == UNTIL_FULL for n in range(UNTIL_FULL + 2)}
    assert other.state.phase is Phase.READY


@pytest.mark.parametrize("limits", [(354, 546), (546, 354)], ids=str)
def test_dust__counts_in_whichever_commitment_has_no_output(limits: tuple[int, int]) -> None:
    alices, bobs = (replace(policy(), dust_limit=Satoshi(limit)) for limit in limits)
    pair = ready_pair(alices=alices, bobs=bobs)
    for side in (pair.alice, pair.bob):
        side.judging = False
    between = MilliSatoshi(500_000)
    room = MAX_DUST_EXPOSURE.msat // between.msat
    pair.alice.step(*(offer(n, between) for n in range(room)))
    refused(pair.alice, offer(900, between), "too small for the chain")
    pair.alice.step(offer(901, MilliSatoshi(546_000)))
