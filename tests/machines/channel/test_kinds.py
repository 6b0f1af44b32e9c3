"""Kinds of channels: zero-conf, hidden behind an alias, large, bound to a script for the close."""

from typing import Any

import pytest

from tests.support.pair import (
    CLOSE_SCRIPT,
    NO_PUSH,
    START_HEIGHT,
    Pair,
    Side,
    link_up,
    offer,
    open_pair,
    policy,
    preimage_of,
    ready_pair,
    replace,
)
from wallet.base.bitcoin.script import p2tr, p2wsh
from wallet.base.errors import PeerFault, Refused
from wallet.base.values.amounts import MilliSatoshi, Satoshi
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.values.ids import ShortChannelId
from wallet.base.wire.channel import ChannelReady, Shutdown
from wallet.base.wire.message import decode, encode
from wallet.machines.channel import actions, events
from wallet.machines.channel.announce import ANNOUNCE_DEPTH, is_announced
from wallet.machines.channel.names import forwardable_names
from wallet.machines.channel.opening_rules import ANCHOR_TYPE
from wallet.machines.channel.state import Channel, Phase, ScidKind
from wallet.node.persist import durable

ALIAS, ZEROCONF = Feature.OPTION_SCID_ALIAS.value, Feature.OPTION_ZEROCONF.value
TRUSTING = replace(policy(), takes_zeroconf=True)
BOUND = p2wsh(b"\x51")
PUSH = MilliSatoshi(300_000_000)
MINED = START_HEIGHT + 1
REAL = ShortChannelId(MINED, 1, 0)


def without(feature: Feature) -> Features:
    return Features(OUR_INIT.bits - {feature, feature + 1})


def tip(pair: Pair, height: int) -> None:
    for side in (pair.alice, pair.bob):
        side.height = height
        side.step(events.NewTip(b""))


def pay(payer: Side, payee: Side, pair: Pair, number: int) -> None:
    """One payment, from the offer to the last revocation."""
    payer.step(offer(number))
    pair.settle()
    (key,) = [k for k in payee.state.htlcs if not k.offered_by_us]
    payee.step(events.FulfillHtlc(key.id, preimage_of(number)))
    pair.settle()
    assert not payer.state.htlcs


# --- zero-conf ------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(ZEROCONF,), (ALIAS, ZEROCONF)])
def test_zeroconf__payments_flow_before_the_funding_is_mined(more: tuple[int, ...]) -> None:
    pair = open_pair(PUSH, bobs=TRUSTING, channel_type=ANCHOR_TYPE + more)
    for side in (pair.alice, pair.bob):
        side.step()
        said = [decode(data) for data in side.sent]
        assert any(isinstance(m, ChannelReady) and m.short_channel_id for m in said)
    pair.settle()
    for side in (pair.alice, pair.bob):
        assert side.state.phase is Phase.READY
        assert side.state.funding.confirmed is None
        assert side.state.scid(ScidKind.REAL) is None
        assert side.state.scid(ScidKind.THEIRS) is not None
    pay(pair.alice, pair.bob, pair, 1)
    pay(pair.bob, pair.alice, pair, 2)


def test_zeroconf__gets_its_real_name_and_is_announced_once_deep() -> None:
    pair = open_pair(PUSH, bobs=TRUSTING, channel_type=(*ANCHOR_TYPE, ZEROCONF), announce=True)
    tip(pair, START_HEIGHT)
    pair.settle()
    assert forwardable_names(pair.alice.state) == (ShortChannelId(1, 2, 3),)
    tip(pair, START_HEIGHT + ANNOUNCE_DEPTH + 3)
    assert not pair.alice.sent
    pair.mine(START_HEIGHT + ANNOUNCE_DEPTH + 4)
    pair.settle()
    assert pair.alice.state.scid(ScidKind.REAL) is not None
    assert not is_announced(pair.alice.state)
    tip(pair, START_HEIGHT + 2 * ANNOUNCE_DEPTH + 3)
    pair.settle()
    assert is_announced(pair.alice.state)
    assert is_announced(pair.bob.state)
    pay(pair.alice, pair.bob, pair, 1)


def test_zeroconf__survives_a_cut_before_it_is_mined() -> None:
    pair = open_pair(PUSH, bobs=TRUSTING, channel_type=(*ANCHOR_TYPE, ZEROCONF))
    pair.alice.step()
    link_up(pair)
    link_up(pair)
    for side in (pair.alice, pair.bob):
        stored: Channel = from_json(Channel, to_json(durable(side.state)))
        assert stored == durable(side.state)
        assert side.state.phase is Phase.READY
    pay(pair.bob, pair.alice, pair, 1)


def test_zeroconf__from_a_stranger_is_refused_with_a_sentence() -> None:
    with pytest.raises(PeerFault, match="not been told to trust you"):
        open_pair(channel_type=(*ANCHOR_TYPE, ZEROCONF))


def test_zeroconf__not_offered_by_the_peer() -> None:
    lacking = without(Feature.OPTION_ZEROCONF)
    with pytest.raises(Refused, match="option_zeroconf, which was not negotiated"):
        open_pair(features=lacking, channel_type=(*ANCHOR_TYPE, ZEROCONF))


def test_zeroconf__a_funding_that_pays_less_fails_the_channel() -> None:
    """The opener lied: what was paid over the channel until now is lost, and no more will be."""
    pair = open_pair(PUSH, bobs=TRUSTING, channel_type=(*ANCHOR_TYPE, ZEROCONF))
    pair.alice.step()
    pair.settle()
    tx = pair.funding_tx
    poor = replace(tx, outputs=(replace(tx.outputs[0], amount=Satoshi(1_000)),))
    pair.bob.step(events.FundingConfirmed(MINED, 1, poor))
    assert pair.bob.state.phase is Phase.FAILED


def test_depth__a_person_may_wait_for_more_than_the_peer_asks() -> None:
    pair = open_pair(PUSH, minimum_depth=3)
    pair.mine(MINED)
    assert not pair.alice.state.ready_sent
    assert pair.bob.state.ready_sent
    tip(pair, MINED + 2)
    pair.settle()
    assert pair.alice.state.phase is Phase.READY


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "real"),
    [
        ({"announce": True}, True),
        ({}, True),
        ({"channel_type": (*ANCHOR_TYPE, ALIAS)}, False),
    ],
    ids=["public", "private", "alias in the type"],
)
def test_names__an_onion_may_use(wish: dict[str, Any], real: bool) -> None:
    pair = open_pair(PUSH, **wish)
    assert forwardable_names(pair.alice.state) == (ShortChannelId(1, 2, 3),)
    pair.mine(MINED)
    pair.settle()
    names = forwardable_names(pair.alice.state)
    assert names == ((ShortChannelId(1, 2, 3), REAL) if real else (ShortChannelId(1, 2, 3),))


def test_names__a_real_one_goes_with_its_block() -> None:
    pair = ready_pair(announce=True)
    assert REAL in forwardable_names(pair.alice.state)
    pair.alice.step(events.FundingUnconfirmed())
    assert REAL not in forwardable_names(pair.alice.state)


def test_hidden__is_never_announced() -> None:
    with pytest.raises(Refused, match="cannot be announced"):
        open_pair(channel_type=(*ANCHOR_TYPE, ALIAS), announce=True)


# --- large ----------------------------------------------------------------------------------------


def test_large__carries_more_than_2_to_the_32_msat() -> None:
    pair = ready_pair(NO_PUSH, amount=Satoshi(5_000_000_000))
    most = MilliSatoshi(4_900_000_000_000)
    pair.alice.step(offer(1, most))
    pair.settle()
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    assert pair.bob.state.funding.to_us == most


# --- bound to a script ----------------------------------------------------------------------------


def test_close_to__is_kept_and_paid() -> None:
    pair = ready_pair(close_to=BOUND)
    assert pair.bob.state.terms.theirs.upfront_shutdown_script == BOUND
    with pytest.raises(Refused, match="opened with a fixed address"):
        pair.alice.step(events.CloseMutually(CLOSE_SCRIPT["alice"], None))
    pair.bob.step(events.CloseMutually(None, None))
    pair.settle()
    closes = [tx for kind, tx in pair.bob.broadcasts if kind == "mutual close"]
    assert closes
    assert all(BOUND in {output.script_pubkey for output in tx.outputs} for tx in closes)


def test_close_to__another_script_ends_the_connection() -> None:
    """BOLT 2: MAY send a `warning`. MUST fail the connection."""
    pair = ready_pair(close_to=BOUND)
    before = pair.bob.state
    wishes = pair.bob.receive(encode(Shutdown(before.id, CLOSE_SCRIPT["alice"])))
    assert any(isinstance(wish, actions.Disconnect) for wish in wishes)
    assert pair.bob.state == before


def test_close_to__binds_nobody_unless_both_offered_it() -> None:
    pair = ready_pair(close_to=BOUND, features=without(Feature.OPTION_UPFRONT_SHUTDOWN_SCRIPT))
    assert pair.bob.state.terms.theirs.upfront_shutdown_script == b""
    assert pair.alice.state.terms.ours.upfront_shutdown_script == b""
    assert pair.alice.state.terms.close_to == BOUND
    pair.alice.step(events.CloseMutually(CLOSE_SCRIPT["alice"], None))
    pair.settle()
    assert pair.bob.state.phase is Phase.MUTUALLY_CLOSED


def test_close_to__of_a_form_that_the_peer_cannot_take() -> None:
    with pytest.raises(Refused, match="closes to a segwit address only"):
        open_pair(close_to=p2tr(bytes(32)), features=without(Feature.OPTION_SHUTDOWN_ANYSEGWIT))
