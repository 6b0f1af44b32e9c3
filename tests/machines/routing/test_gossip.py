"""BOLT 7: which messages are worth a check, what is checked, and what a book makes of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gossip import (
    ANN,
    BEN,
    CAT,
    NOW,
    announcement,
    book,
    found,
    node,
    outpoint_of,
    scid,
    update,
    view,
)
from wallet.base.bitcoin.chains import SIGNET
from wallet.base.channel_tx.scripts import funding_output
from wallet.base.crypto.curve import verify
from wallet.base.errors import DecodeError, PeerFault
from wallet.base.wire.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wallet.base.wire.message import decode, encode
from wallet.machines.routing.gossip import (
    DONT_FORWARD,
    FAR_FUTURE,
    TWO_WEEKS,
    AtHeight,
    Candidate,
    Checked,
    NotYet,
    Verdict,
    accept,
    is_to_blame,
    look,
)
from wallet.machines.routing.gossip_book import Gossip

AT = scid(110)
DIRECTION = 0 if ANN.id < BEN.id else 1


def _proved(candidate: object) -> bool:
    assert isinstance(candidate, Candidate)
    return all(verify(s.key, s.digest, s.signature) for s in candidate.signatures)


def test_announcement__four_signatures_and_the_funding_output() -> None:
    asked = look(book(), CAT.id, announcement(ANN, BEN, AT), view())
    assert isinstance(asked, Candidate)
    assert len({s.key for s in asked.signatures}) == 4
    assert _proved(asked)
    assert asked.funding is not None
    assert asked.funding.scid == AT
    assert asked.funding.script_pubkey == funding_output(ANN.funding_key, BEN.funding_key)


FINE = announcement(ANN, BEN, AT)


@pytest.mark.parametrize(
    "forged",
    [
        replace(FINE, features=b"\x02"),
        replace(FINE, short_channel_id=scid(111)),
        replace(FINE, bitcoin_key_2=CAT.funding_key),
        replace(FINE, bitcoin_key_1=FINE.bitcoin_key_2, bitcoin_key_2=FINE.bitcoin_key_1),
        replace(FINE, node_signature_2=FINE.node_signature_1),
        replace(FINE, bitcoin_signature_1=FINE.node_signature_1),
    ],
)
def test_announcement__each_word_of_it_is_signed(forged: ChannelAnnouncement) -> None:
    assert not _proved(look(book(), CAT.id, forged, view()))


def test_announcement__not_worth_a_check() -> None:
    fine = announcement(ANN, BEN, AT)
    swapped = replace(fine, node_id_1=fine.node_id_2, node_id_2=fine.node_id_1)
    twice = replace(fine, node_id_2=fine.node_id_1)
    elsewhere = replace(fine, chain_hash=SIGNET.chain_hash)
    for message in (swapped, twice, elsewhere):
        assert look(book(), CAT.id, message, view()) is None
    assert look(book((ANN, BEN, AT)), CAT.id, fine, view()) is None
    assert look(book(), CAT.id, fine, replace(view(), our_id=ANN.id)) is None


def test_announcement__waits_for_its_sixth_confirmation_but_not_for_ever() -> None:
    fine = announcement(ANN, BEN, AT)
    assert isinstance(look(book(), CAT.id, fine, view(height=115)), Candidate)
    assert look(book(), CAT.id, fine, view(height=114)) == AtHeight(115)
    assert look(book(), CAT.id, fine, view(height=103)) == AtHeight(115)
    assert look(book(), CAT.id, fine, view(height=102)) is None


def test_announcement__unknown_required_feature_is_kept_but_never_routed() -> None:
    gossip = book()
    message = announcement(ANN, BEN, AT, features=b"\x01" + bytes(25))
    assert accept(gossip, Checked(CAT.id, message, Verdict.VALID, found(AT)), view())
    assert accept(gossip, Checked(CAT.id, update(ANN, BEN, AT), Verdict.VALID), view())
    channel = gossip.graph.channel(AT)
    assert channel is not None
    assert channel.policies == (None, None)
    assert gossip.update_time(AT.to_int(), DIRECTION) == NOW


def test_announcement__one_output_cannot_fund_two_channels() -> None:
    gossip = book((ANN, BEN, AT))
    other = announcement(ANN, CAT, scid(111))
    assert not accept(gossip, Checked(CAT.id, other, Verdict.VALID, found(AT)), view())
    assert len(gossip.graph) == 1


def test_update__by_the_owner_of_its_direction() -> None:
    for owner, other in ((ANN, BEN), (BEN, ANN)):
        asked = look(book((ANN, BEN, AT)), CAT.id, update(owner, other, AT, NOW + 1), view())
        assert isinstance(asked, Candidate)
        assert [s.key for s in asked.signatures] == [owner.id]
        assert _proved(asked)


def test_update__newer_only() -> None:
    gossip = book((ANN, BEN, AT))
    for timestamp, worth in ((NOW - 1, False), (NOW, False), (NOW + 1, True)):
        asked = look(gossip, CAT.id, update(ANN, BEN, AT, timestamp, fee_base=5), view())
        assert isinstance(asked, Candidate) is worth


def test_update__neither_from_the_far_future_nor_long_ago() -> None:
    gossip = book((ANN, BEN, AT))
    late = update(ANN, BEN, AT, NOW + FAR_FUTURE + 1)
    assert look(gossip, CAT.id, late, view()) is None
    assert isinstance(look(gossip, CAT.id, late, view(now=NOW + 1)), Candidate)
    old = update(ANN, BEN, AT, NOW + 1)
    assert look(gossip, CAT.id, old, view(now=NOW + TWO_WEEKS + 2)) is None


def test_update__not_for_us() -> None:
    gossip = book((ANN, BEN, AT))
    newer = update(ANN, BEN, AT, NOW + 1)
    assert look(gossip, CAT.id, newer, replace(view(), our_id=ANN.id)) is None
    assert look(gossip, CAT.id, replace(newer, chain_hash=SIGNET.chain_hash), view()) is None
    private = update(ANN, BEN, AT, NOW + 1, message_flags=1 | DONT_FORWARD)
    assert look(gossip, CAT.id, private, view()) is None
    assert look(gossip, CAT.id, update(ANN, BEN, scid(111)), view()) is NotYet.CHANNEL_FIRST


def test_update__of_a_spent_channel_may_only_disable_it() -> None:
    gossip = book((ANN, BEN, AT))
    gossip.spent[AT.to_int()] = 150
    assert look(gossip, CAT.id, update(ANN, BEN, AT, NOW + 1), view()) is None
    disabling = update(ANN, BEN, AT, NOW + 1, disabled=True)
    assert isinstance(look(gossip, CAT.id, disabling, view()), Candidate)


def test_update__becomes_the_terms_of_one_direction() -> None:
    gossip = book((ANN, BEN, AT))
    change = update(ANN, BEN, AT, NOW + 5, disabled=True, fee_base=77)
    assert accept(gossip, Checked(CAT.id, change, Verdict.VALID), view())
    channel = gossip.graph.channel(AT)
    assert channel is not None
    ours, theirs = channel.policies[DIRECTION], channel.policies[1 - DIRECTION]
    assert ours is not None
    assert theirs is not None
    assert (ours.fee_base_msat, ours.timestamp, ours.disabled) == (77, NOW + 5, True)
    assert (theirs.fee_base_msat, theirs.timestamp, theirs.disabled) == (1_000, NOW, False)
    assert not accept(gossip, Checked(CAT.id, change, Verdict.VALID), view())


def test_node__only_with_a_channel_and_only_newer() -> None:
    gossip = book((ANN, BEN, AT))
    assert look(gossip, ANN.id, node(CAT), view()) is NotYet.CHANNEL_FIRST
    assert look(gossip, CAT.id, node(ANN, NOW), view()) is None
    asked = look(gossip, CAT.id, node(ANN, NOW + 1), view())
    assert _proved(asked)
    assert look(gossip, CAT.id, node(ANN, NOW + FAR_FUTURE + 1), view()) is None
    assert look(gossip, CAT.id, node(ANN, NOW + 1), replace(view(), our_id=ANN.id)) is None


IPV4 = b"\x01\x7f\x00\x00\x01\x26\x07"
NAME = b"\x05\x01a\x26\x07"


@pytest.mark.parametrize("addresses", [b"", IPV4, NAME, IPV4 + NAME, b"\x00", IPV4 + b"\x77\x01"])
def test_node__addresses_that_can_be_read(addresses: bytes) -> None:
    gossip = book((ANN, BEN, AT))
    assert isinstance(look(gossip, CAT.id, node(ANN, NOW + 1, addresses), view()), Candidate)


@pytest.mark.parametrize("addresses", [IPV4[:-1], NAME[:-1], b"\x05", IPV4 + b"\x02\x00"])
def test_node__an_address_that_is_cut_short(addresses: bytes) -> None:
    with pytest.raises(PeerFault, match="cut short"):
        look(book((ANN, BEN, AT)), CAT.id, node(ANN, NOW + 1, addresses), view())


def _usable(gossip: Gossip, direction: int) -> bool:
    channel = gossip.graph.channel(AT)
    assert channel is not None
    policy = channel.policies[direction]
    assert policy is not None
    return not policy.disabled


@pytest.mark.parametrize("required", [b"\x01" + bytes(25), b"\x05" + bytes(24) + b"\xff"])
def test_node__that_requires_what_nobody_knows_is_not_a_way(required: bytes) -> None:
    # BOLT 7: if `features` field contains _unknown even bits_: MUST NOT route a payment _through_
    # the node.
    gossip = book((ANN, BEN, AT))
    gossip.add_node(ANN.signs(replace(node(ANN, NOW + 1), features=required)))
    assert not _usable(gossip, DIRECTION)
    assert _usable(gossip, 1 - DIRECTION)
    gossip.add_update(update(ANN, BEN, AT, NOW + 2))
    assert not _usable(gossip, DIRECTION)
    assert gossip.update(AT.to_int(), DIRECTION) == update(ANN, BEN, AT, NOW + 2)
    # What is only offered, or known although we lack it, is no obstacle.
    fine = b"\x02" + bytes(25 - len(bytes(8))) + (1 << 28 | 1 << 24).to_bytes(8, "big")
    gossip.add_node(ANN.signs(replace(node(ANN, NOW + 3), features=fine)))
    assert _usable(gossip, DIRECTION)


def test_node__that_requires_the_unknown_is_forgotten_with_its_last_channel() -> None:
    gossip = book((ANN, BEN, AT))
    gossip.add_node(ANN.signs(replace(node(ANN, NOW + 1), features=b"\x01" + bytes(25))))
    gossip.remove_channel(AT.to_int())
    gossip.add_channel(announcement(ANN, BEN, AT), found(AT))
    gossip.add_update(update(ANN, BEN, AT))
    assert _usable(gossip, DIRECTION)


def test_node__two_hostnames_are_not_passed_on() -> None:
    gossip = book((ANN, BEN, AT))
    assert look(gossip, CAT.id, node(ANN, NOW + 1, NAME + NAME), view()) is None


def test_remove__the_nodes_go_with_their_last_channel() -> None:
    gossip = book((ANN, BEN, AT), (BEN, CAT, scid(111)))
    assert gossip.remove_channel(AT.to_int()) == (ANN.id,)
    assert set(gossip.nodes) == {BEN.id, CAT.id}
    assert gossip.channel_on(outpoint_of(AT)) is None
    assert gossip.update_time(AT.to_int(), 0) == 0
    assert gossip.remove_channel(AT.to_int()) == ()


def test_blame__not_for_an_update_of_a_channel_that_went_away() -> None:
    gossip = book((ANN, BEN, AT))
    message = update(ANN, BEN, AT)
    assert is_to_blame(gossip, message)
    gossip.remove_channel(AT.to_int())
    assert not is_to_blame(gossip, message)
    assert is_to_blame(gossip, announcement(ANN, BEN, AT))


SAMPLES = [encode(m) for m in (announcement(ANN, BEN, AT), update(ANN, BEN, AT), node(ANN))]


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(2, 500), st.integers(0, 255)), max_size=8),
    st.integers(0, 40),
    st.binary(max_size=40),
)
def test_any_bytes__are_looked_at_without_a_surprise(
    sample: bytes, changes: list[tuple[int, int]], cut: int, tail: bytes
) -> None:
    data = bytearray(sample)
    for at, value in changes:
        if at < len(data):
            data[at] = value
    try:
        message = decode(bytes(data[: len(data) - cut]) + tail)
    except DecodeError:
        return
    assert isinstance(message, ChannelAnnouncement | ChannelUpdate | NodeAnnouncement)
    gossip = book((ANN, BEN, scid(100)))
    try:
        asked = look(gossip, CAT.id, message, view())
    except PeerFault as fault:
        assert "cut short" in fault.reason
        return
    # What was changed on its way keeps no valid set of signatures.
    if isinstance(asked, Candidate) and _proved(asked):
        assert encode(message) == sample


@pytest.mark.parametrize("features", [b"", b"\x02", b"\x01" + bytes(25)])
def test_restore__a_book_from_disk_is_the_book_that_was_written(features: bytes) -> None:
    gossip = book()
    gossip.add_channel(announcement(ANN, BEN, AT, features), found(AT))
    gossip.add_update(update(ANN, BEN, AT, NOW + 3, disabled=True))
    gossip.add_update(update(BEN, ANN, AT))
    again = book()
    for number, channel in gossip.channels.items():
        again.restore_channel(number, channel, 77)
    for raw in gossip.updates.values():
        again.restore_update(raw)
    assert again.graph.channel(AT) == gossip.graph.channel(AT)
    assert list(again.everything()) == list(gossip.everything())
    assert again.spent == {AT.to_int(): 77}
    assert again.channel_on(outpoint_of(AT)) == AT.to_int()


def test_restore__a_damaged_row_is_no_crash() -> None:
    gossip = book((ANN, BEN, AT))
    [channel] = gossip.channels.values()
    for size in (0, 257, 300, 400):
        with pytest.raises(DecodeError, match="cannot be read"):
            book().restore_channel(1, channel._replace(raw=channel.raw[:size]), None)
    with pytest.raises(DecodeError, match="cannot be read"):
        book().restore_update(next(iter(gossip.updates.values()))[:-1])
