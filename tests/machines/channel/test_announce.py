"""Telling the network: when `announcement_signatures` go out, what is kept, what is refused."""

from dataclasses import replace

import pytest

from tests.support.pair import Pair, Side, open_pair
from wallet.base.crypto.curve import verify
from wallet.base.crypto.hashes import sha256d
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.encode import from_json, to_json
from wallet.base.values.ids import ShortChannelId, Signature
from wallet.base.wire.gossip import AnnouncementSignatures, ChannelAnnouncement, signed_bytes
from wallet.base.wire.message import decode, encode
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, announce, events
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Phase, RelayPolicy, ScidKind
from wallet.node.persist import durable

MINED = 111
DEEP = MINED + announce.ANNOUNCE_DEPTH - 1
PUSH = MilliSatoshi(300_000_000)


def tip(side: Side, height: int) -> None:
    side.height = height
    side.step(events.NewTip(b""))


def public_pair() -> Pair:
    """Ready, and one block short of being deep enough."""
    pair = open_pair(PUSH, announce=True)
    pair.mine(MINED)
    pair.settle()
    for side in (pair.alice, pair.bob):
        tip(side, DEEP - 1)
    return pair


def announced_pair() -> Pair:
    pair = public_pair()
    for side in (pair.alice, pair.bob):
        tip(side, DEEP)
    pair.settle()
    return pair


def said(side: Side) -> list[AnnouncementSignatures]:
    """What waits on the wire."""
    found = [decode(data) for data in side.sent]
    return [m for m in found if isinstance(m, AnnouncementSignatures)]


def times_announced(side: Side) -> int:
    return sum(isinstance(act, actions.Announced) for act in side.acts)


def whole(side: Side) -> ChannelAnnouncement:
    """The announcement as this side would give it to the network."""
    channel = side.state
    real = channel.scid(ScidKind.REAL)
    assert real is not None
    answers = side.signer.answer(announce.our_requests(channel, real))
    node, bitcoin = (Signature(a) for a in answers if isinstance(a, bytes))
    return announce.assemble(channel, node, bitcoin)


def test_both_say_it_at_six_confirmations_and_not_before() -> None:
    pair = public_pair()
    for side in (pair.alice, pair.bob):
        assert not said(side)
        tip(side, DEEP)
        assert len(said(side)) == 1
        assert not announce.is_announced(side.state)
    pair.settle()
    for side in (pair.alice, pair.bob):
        assert announce.is_announced(side.state)
        assert times_announced(side) == 1


def test_both_build_the_same_announcement_with_four_good_signatures() -> None:
    pair = announced_pair()
    ours, theirs = whole(pair.alice), whole(pair.bob)
    assert ours == theirs
    assert ours.node_id_1 < ours.node_id_2
    digest = sha256d(signed_bytes(ours))
    for key, signature in (
        (ours.node_id_1, ours.node_signature_1),
        (ours.node_id_2, ours.node_signature_2),
        (ours.bitcoin_key_1, ours.bitcoin_signature_1),
        (ours.bitcoin_key_2, ours.bitcoin_signature_2),
    ):
        assert verify(key, digest, signature)
    alice = pair.alice
    we_are_first = ours.node_id_1 == alice.signer.node_id
    key = ours.bitcoin_key_1 if we_are_first else ours.bitcoin_key_2
    assert key == alice.state.funding.our_pubkey


def test_a_private_channel_says_nothing() -> None:
    pair = open_pair(PUSH)
    pair.mine(MINED)
    pair.settle()
    for side in (pair.alice, pair.bob):
        tip(side, DEEP + 10)
        assert not side.sent


def test_nothing_is_announced_once_a_close_has_begun() -> None:
    pair = public_pair()
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    for side in (pair.alice, pair.bob):
        tip(side, DEEP)
        assert not said(side)


def test_a_half_that_comes_before_our_own_depth_is_kept() -> None:
    """The peer sees a block before we do."""
    pair = public_pair()
    tip(pair.bob, DEEP)
    pair.deliver(pair.bob)
    kept = pair.alice.state.announcement
    assert kept.theirs is not None
    assert kept.sent is None
    assert not announce.is_announced(pair.alice.state)
    stored: Channel = from_json(Channel, to_json(durable(pair.alice.state)))
    assert stored.announcement == kept
    tip(pair.alice, DEEP)
    assert len(said(pair.alice)) == 1
    assert announce.is_announced(pair.alice.state)


def test_a_half_that_comes_before_channel_ready_is_kept() -> None:
    pair = open_pair(PUSH, announce=True)
    pair.mine(MINED)
    other = announced_pair()
    message = AnnouncementSignatures(
        pair.alice.state.id,
        ShortChannelId(MINED, 1, 0),
        *_signatures(other.alice.state),
    )
    pair.alice.step(events.MessageReceived(message))
    assert pair.alice.state.phase is Phase.AWAITING_CONFIRMATION
    assert pair.alice.state.announcement.theirs is not None


def _signatures(channel: Channel) -> tuple[Signature, Signature]:
    proof = channel.announcement.theirs
    assert proof is not None
    return proof.node_signature, proof.bitcoin_signature


@pytest.mark.parametrize("loser", ["alice", "bob"])
def test_a_half_that_was_lost_is_said_again_after_a_reconnect(loser: str) -> None:
    pair = public_pair()
    side = pair.alice if loser == "alice" else pair.bob
    for each in (pair.alice, pair.bob):
        tip(each, DEEP)
    other = pair.other(side)
    pair.deliver(side)
    other.sent.clear()
    pair.cut()
    assert announce.is_announced(other.state)
    assert not announce.is_announced(side.state)
    pair.reconnect()
    pair.settle()
    assert announce.is_announced(side.state)


def test_who_has_both_halves_answers_once_and_the_wire_falls_silent() -> None:
    pair = announced_pair()
    pair.cut()
    pair.reconnect()
    pair.settle()
    theirs = AnnouncementSignatures(
        pair.alice.state.id, ShortChannelId(MINED, 1, 0), *_signatures(pair.alice.state)
    )
    assert pair.alice.state.announcement.said is False
    pair.alice.receive(encode(theirs))
    assert len(said(pair.alice)) == 1
    pair.alice.sent.clear()
    for _ in range(3):
        pair.alice.receive(encode(theirs))
    assert not pair.alice.sent


@pytest.mark.parametrize("which", ["node_signature", "bitcoin_signature"])
def test_a_wrong_signature_closes_the_connection(which: str) -> None:
    pair = public_pair()
    tip(pair.bob, DEEP)
    (message,) = said(pair.bob)
    before = pair.alice.state
    wrong = message.bitcoin_signature if which == "node_signature" else message.node_signature
    if which == "node_signature":
        message = replace(message, node_signature=wrong)
    else:
        message = replace(message, bitcoin_signature=wrong)
    wishes = pair.alice.receive(encode(message))
    (closing,) = [w for w in wishes if isinstance(w, actions.Disconnect)]
    assert which in closing.reason
    assert pair.alice.state == before


def test_another_name_is_warned_about_once_we_are_deep() -> None:
    pair = announced_pair()
    kept = pair.alice.state.announcement
    message = AnnouncementSignatures(
        pair.alice.state.id, ShortChannelId(MINED, 2, 0), *_signatures(pair.alice.state)
    )
    (warning,) = pair.alice.receive(encode(message))
    assert isinstance(warning, actions.Send)
    assert isinstance(warning.message, PeerWarning)
    assert pair.alice.state.announcement == kept


def test_halves_for_a_private_channel_are_warned_about() -> None:
    pair = open_pair(PUSH)
    pair.mine(MINED)
    pair.settle()
    message = AnnouncementSignatures(
        pair.alice.state.id, ShortChannelId(MINED, 1, 0), *_signatures(announced_pair().alice.state)
    )
    (warning,) = pair.alice.receive(encode(message))
    assert isinstance(warning, actions.Send)
    assert isinstance(warning.message, PeerWarning)


def test_after_a_reorganisation_both_sign_for_the_new_place() -> None:
    pair = announced_pair()
    moved = MINED + 20
    for side in (pair.alice, pair.bob):
        side.step(events.FundingUnconfirmed())
        assert not announce.is_announced(side.state)
    pair.mine(moved)
    pair.settle()
    assert not announce.is_announced(pair.alice.state)
    for side in (pair.alice, pair.bob):
        tip(side, moved + announce.ANNOUNCE_DEPTH - 1)
    pair.settle()
    for side in (pair.alice, pair.bob):
        assert announce.is_announced(side.state)
        assert whole(side).short_channel_id == ShortChannelId(moved, 1, 0)


def test_a_start_announces_again() -> None:
    pair = announced_pair()
    stored: Channel = from_json(Channel, to_json(durable(pair.alice.state)))
    assert actions.Announced() in resume(stored).actions
    silent = public_pair()
    assert actions.Announced() not in resume(silent.alice.state).actions


def test_a_channel_of_an_older_version_loads_and_stays_private() -> None:
    pair = announced_pair()
    old = to_json(durable(pair.alice.state))
    for name in ("announcement", "relay"):
        old = _without(old, name)
    loaded: Channel = from_json(Channel, old.replace(_our_id(pair.alice), ""))
    assert loaded.relay == RelayPolicy()
    assert not announce.is_public(loaded)


def _without(text: str, name: str) -> str:
    import json

    whole = json.loads(text)
    del whole[name]
    return json.dumps(whole)


def _our_id(side: Side) -> str:
    return f', "our_id": "{side.signer.node_id.hex()}"'


def test_other_terms_for_relaying_are_kept() -> None:
    pair = announced_pair()
    relay = RelayPolicy(MilliSatoshi(1_000), 100, CltvDelta(40), MilliSatoshi(5))
    pair.alice.step(events.ChangeRelay(relay))
    stored: Channel = from_json(Channel, to_json(durable(pair.alice.state)))
    assert stored.relay == relay
