"""How much may be offered: our own limits, and that the peer never sees more than it accepts."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pair import Pair, Side, offer, open_pair, policy, preimage_of, ready_pair
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.machines.channel import events, opening_rules
from wallet.machines.channel.commitments import our_commitment, their_commitment
from wallet.machines.channel.limits import receivable, spendable
from wallet.machines.channel.state import Phase

MSAT = MilliSatoshi(1)
RESERVE = 10_000
ANCHORS = 660


def spiked(htlcs: int, feerate: int = 1_000) -> int:
    """The opener's buffer in satoshi: anchors, and the fee at twice the rate."""
    return ANCHORS + 2 * feerate * (1124 + 172 * htlcs) // 1000


def refuses(side: Side, event: events.Event, sentence: str, code: int = -1) -> None:
    """The wish is refused with that sentence and code, and nothing has changed."""
    before = side.state
    with pytest.raises(Refused, match=sentence) as caught:
        side.step(event)
    assert caught.value.code == code
    assert side.state == before
    assert not side.sent


# --- why not --------------------------------------------------------------------------------------


def test_offer__the_accepter_keeps_its_reserve() -> None:
    pair = ready_pair()
    most = MilliSatoshi((400_000 - RESERVE) * 1000)
    assert spendable(pair.bob.state) == most
    refuses(
        pair.bob,
        offer(1, most + MSAT),
        r"390,000,001 msat is more than this channel can send now"
        r" \(390,000,000 msat: the channel keeps its reserve\)",
        215,
    )
    pair.bob.step(offer(1, most))


def test_offer__the_opener_keeps_a_buffer_for_fees() -> None:
    pair = ready_pair()
    most = MilliSatoshi((600_000 - RESERVE - spiked(2)) * 1000)
    assert spendable(pair.alice.state) == most
    refuses(pair.alice, offer(1, most + MSAT), "its reserve and the fee of a close", 215)
    pair.alice.step(offer(1, most))
    assert pair.alice.state.htlcs


def test_offer__the_accepter_waits_for_an_opener_that_cannot_pay_for_it() -> None:
    """At the least push the opener has its reserve and the fee of the first commitment alone."""
    left = RESERVE + ANCHORS + 1_124
    pair = ready_pair(MilliSatoshi((1_000_000 - left) * 1000))
    assert spendable(pair.bob.state) == MilliSatoshi(0)
    refuses(pair.bob, offer(1), "the peer, who opened the channel, cannot pay", 215)
    assert spendable(pair.alice.state) == MilliSatoshi(0)
    refuses(pair.alice, offer(1), r"\(0 msat: the channel keeps its reserve and the fee", 215)


def test_offer__what_is_below_their_minimum() -> None:
    pair = ready_pair(bobs=replace(policy(), htlc_minimum=MilliSatoshi(5_000)))
    refuses(
        pair.alice,
        offer(1, MilliSatoshi(4_999)),
        r"4,999 msat is less than the peer accepts \(at least 5,000 msat\)",
        205,
    )
    pair.alice.step(offer(1, MilliSatoshi(5_000)))


def test_offer__nothing() -> None:
    pair = ready_pair(bobs=replace(policy(), htlc_minimum=MilliSatoshi(0)))
    refuses(pair.alice, offer(1, MilliSatoshi(0)), "less than the peer accepts", 205)


def test_offer__as_many_as_the_peer_accepts() -> None:
    pair = ready_pair(bobs=replace(policy(), max_accepted_htlcs=2))
    pair.alice.step(offer(1), offer(2))
    pair.alice.sent.clear()
    assert spendable(pair.alice.state) == MilliSatoshi(0)
    refuses(pair.alice, offer(3), "the peer accepts 2 at once", 215)


def test_offer__as_much_in_flight_as_the_peer_accepts() -> None:
    pair = ready_pair(bobs=replace(policy(), max_in_flight=MilliSatoshi(15_000_000)))
    pair.alice.step(offer(1))
    pair.alice.sent.clear()
    assert spendable(pair.alice.state) == MilliSatoshi(5_000_000)
    refuses(pair.alice, offer(2, MilliSatoshi(5_000_001)), "limits what is in flight", 215)
    pair.alice.step(offer(2, MilliSatoshi(5_000_000)))


def test_offer__an_expiry_in_seconds() -> None:
    refuses(ready_pair().alice, offer(1, expiry=500_000_000), "not a block height", -32602)
    ready_pair().alice.step(offer(1, expiry=499_999_999))


def test_offer__before_the_channel_is_ready() -> None:
    pair = open_pair()
    pair.alice.sent.clear()
    refuses(pair.alice, offer(1), "not open for payments", 205)


def test_offer__while_the_peer_is_away() -> None:
    pair = ready_pair()
    pair.cut()
    refuses(pair.alice, offer(1), "not connected", 205)
    refuses(pair.alice, events.ChangeFeerate(FeeratePerKw(2_000)), "not ready")
    pair.alice.step(events.PeerConnected())
    pair.alice.sent.clear()
    refuses(pair.alice, offer(1), "not connected", 205)


def test_offer__while_the_channel_closes() -> None:
    pair = ready_pair()
    pair.bob.step(offer(1))
    pair.settle()
    pair.alice.step(events.CloseMutually(None, None))
    pair.alice.sent.clear()
    refuses(pair.alice, offer(2), "not open for payments", 205)
    refuses(pair.alice, events.ChangeFeerate(FeeratePerKw(2_000)), "not ready|closing")


def test_offer__before_our_shutdown_may_be_said() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.alice.step(offer(2), events.CloseMutually(None, None))
    assert not pair.alice.state.shutdown_sent
    pair.alice.sent.clear()
    refuses(pair.alice, offer(3), "not open for payments", 205)
    refuses(pair.alice, events.ChangeFeerate(FeeratePerKw(2_000)), "closing")


@pytest.mark.parametrize("wish", [offer(1), events.CloseMutually(None, None)])
def test_a_failed_channel_refuses(wish: events.Event) -> None:
    pair = ready_pair()
    pair.alice.step(events.CloseUnilaterally("test"))
    pair.alice.sent.clear()
    with pytest.raises(Refused):
        pair.alice.step(wish)


def test_feerate__of_the_accepter() -> None:
    refuses(
        ready_pair().bob, events.ChangeFeerate(FeeratePerKw(2_000)), "only the side that opened"
    )


def test_feerate__the_opener_keeps_its_reserve() -> None:
    pair = ready_pair(MilliSatoshi(978_500_000))
    # 21,500 sat, less reserve and anchors: 10,840 for 1,124 weight units.
    most = FeeratePerKw(9_645)
    refuses(pair.alice, events.ChangeFeerate(FeeratePerKw(9_646)), "cannot pay 9646 sat/kw")
    pair.alice.step(events.ChangeFeerate(most))
    pair.settle()
    assert {pair.alice.state.feerate, pair.bob.state.feerate} == {most}


def test_feerate__never_below_the_relay_floor() -> None:
    pair = ready_pair()
    pair.alice.step(events.ChangeFeerate(FeeratePerKw(1)))
    pair.settle()
    assert pair.bob.state.feerate == FeeratePerKw(253)


def test_fulfill__with_another_preimage() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    refuses(pair.bob, events.FulfillHtlc(0, preimage_of(2)), "does not belong to the HTLC")


@pytest.mark.parametrize(
    "answer", [events.FulfillHtlc(7, preimage_of(1)), events.FailHtlc(0, b"again")]
)
def test_an_answer_given_twice_or_to_nothing_changes_nothing(answer: events.Event) -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    before = pair.bob.state
    assert pair.bob.step(answer) == []
    assert pair.bob.state == before


# --- trap 11: dust at equality --------------------------------------------------------------------


@pytest.mark.parametrize("limits", [(354, 354), (354, 546), (546, 354)], ids=str)
@pytest.mark.parametrize("msat", [353_999, 354_000, 545_999, 546_000])
@pytest.mark.parametrize("payer", ["alice", "bob"])
def test_trap_11_dust_at_equality(limits: tuple[int, int], msat: int, payer: str) -> None:
    """At the dust limit of the owner an HTLC has an output; a millisatoshi below it has none."""
    alices, bobs = (replace(policy(), dust_limit=Satoshi(limit)) for limit in limits)
    pair = ready_pair(alices=alices, bobs=bobs)
    side = pair.alice if payer == "alice" else pair.bob
    side.step(offer(1, MilliSatoshi(msat)))
    pair.settle()
    for owner, limit in zip((pair.alice, pair.bob), limits, strict=True):
        ours = our_commitment(owner.state, owner.state.funding).commitment
        other = pair.other(owner).state
        assert their_commitment(other, other.funding).commitment.tx == ours.tx
        assert len(ours.htlcs) == int(msat >= limit * 1000)
        assert len(owner.state.funding.htlc_signatures) == len(ours.htlcs)
    pair.other(side).step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    agreed(pair)


@pytest.mark.parametrize("limit", [354, 546])
@pytest.mark.parametrize("left", [-1, 0])
def test_trap_11_a_balance_at_equality(limit: int, left: int) -> None:
    """The same for a balance: Bob's, in the commitments of both."""
    alices = replace(policy(), dust_limit=Satoshi(limit))
    pair = ready_pair(MilliSatoshi(limit * 1000 + left), alices=alices)
    commitment = our_commitment(pair.alice.state, pair.alice.state.funding).commitment
    assert (commitment.to_remote_index is None) is (left < 0)
    pair.alice.step(offer(1))
    pair.settle()
    agreed(pair)


def agreed(pair: Pair) -> None:
    """Both live, and each signs what the other holds."""
    for side in (pair.alice, pair.bob):
        other = pair.other(side).state
        assert side.state.phase is Phase.READY, side.state.error
        mine = our_commitment(side.state, side.state.funding).commitment.tx
        assert their_commitment(other, other.funding).commitment.tx == mine


# --- what one may send, the other accepts ---------------------------------------------------------


def _policies() -> st.SearchStrategy[opening_rules.Policy]:
    return st.builds(
        lambda dust, count, flying, least: replace(
            policy(),
            dust_limit=Satoshi(dust),
            max_accepted_htlcs=count,
            max_in_flight=MilliSatoshi(flying),
            htlc_minimum=MilliSatoshi(least),
        ),
        st.sampled_from([354, 400, 546]),
        st.sampled_from([1, 2, 5, 483]),
        st.sampled_from([3_000_000, 250_000_000, (1 << 64) - 1]),
        st.sampled_from([0, 1, 1_000, 354_000]),
    )


# What the opener keeps is around its reserve and fee, in the middle, or all.
_PUSHES = st.one_of(
    st.integers(0, 988_216_000),
    st.integers(970_000_000, 988_216_000),
    st.sampled_from([0, 1_000, 354_000, 10_000_000, 10_000_001, 988_216_000]),
)
_AROUND = (353_999, 354_000, 354_001, 399_999, 400_000, 545_999, 546_000, 546_001)
_AMOUNTS = st.one_of(
    st.sampled_from(_AROUND), st.integers(1, 5_000_000), st.integers(1, 400_000_000)
)
_OFFERS = st.lists(st.tuples(st.booleans(), _AMOUNTS), max_size=6)


def _try_offer(side: Side, number: int, amount: MilliSatoshi) -> bool:
    most = spendable(side.state)
    allowed = MilliSatoshi(0) < amount <= most and amount >= side.state.terms.theirs.htlc_minimum
    try:
        side.step(offer(number, amount))
    except Refused:
        assert not allowed, f"{amount} was refused though {most} may be sent"
        return False
    assert allowed, f"{amount} was taken though only {most} may be sent"
    return True


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(_policies(), _policies(), _PUSHES, _OFFERS, st.booleans(), st.integers(253, 6_000))
def test_spendable_is_what_offer_takes_and_the_peer_accepts(
    alices: opening_rules.Policy,
    bobs: opening_rules.Policy,
    push: int,
    before: list[tuple[bool, int]],
    by_alice: bool,
    feerate: int,
) -> None:
    pair = ready_pair(MilliSatoshi(push), alices, bobs)
    for side in (pair.alice, pair.bob):
        side.judging = False
    _try_feerate(pair.alice, feerate)
    pair.settle()
    for number, (alice_pays, amount) in enumerate(before):
        if _try_offer(pair.alice if alice_pays else pair.bob, number, MilliSatoshi(amount)):
            pair.settle()
    side = pair.alice if by_alice else pair.bob
    most = spendable(side.state)
    assert most <= receivable(pair.other(side).state)
    assert not _try_offer(side, 100, most + MSAT)
    if most:
        assert _try_offer(side, 101, most)
        pair.settle()
    agreed(pair)
    # Nobody is stuck: everything can be given back, and then a payment goes through.
    for payee in (pair.alice, pair.bob):
        for key in list(payee.state.htlcs):
            if not key.offered_by_us:
                payee.step(events.FailHtlc(key.id, b"no"))
    pair.settle()
    agreed(pair)
    assert not pair.alice.state.htlcs
    assert pair.bob.state.funding.to_us == MilliSatoshi(push)


def _try_feerate(side: Side, feerate: int) -> None:
    try:
        side.step(events.ChangeFeerate(FeeratePerKw(feerate)))
    except Refused:
        assert FeeratePerKw(feerate) > side.state.feerate


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    _policies(),
    _policies(),
    _PUSHES,
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=25),
)
def test_both_send_all_they_may_at_once(
    alices: opening_rules.Policy, bobs: opening_rules.Policy, push: int, deck: list[tuple[int, int]]
) -> None:
    """Whatever is on the wire: what the sender's limits let through, the receiver accepts."""
    pair = ready_pair(MilliSatoshi(push), alices, bobs)
    for side in (pair.alice, pair.bob):
        side.judging = False
    for number, (what, share) in enumerate(deck):
        side = pair.alice if what % 2 else pair.bob
        if what < 2:
            most = spendable(side.state).msat
            _try_offer(side, number, MilliSatoshi(most >> share))
        else:
            pair.deliver(side)
        assert side.state.phase is Phase.READY, side.state.error
    pair.settle()
    agreed(pair)
