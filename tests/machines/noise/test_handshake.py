"""Both ends of the handshake against each other."""

from functools import partial

import pytest

from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.errors import InvariantBroken, PeerFault
from wallet.base.values.ids import NodeId, Point, Secret
from wallet.machines.noise import (
    ACT_ONE_SIZE,
    ACT_THREE_SIZE,
    ACT_TWO_SIZE,
    Initiator,
    Responder,
    Session,
)

ALICE, BOB, CAROL = (Secret(bytes([n]) * 32) for n in (1, 2, 3))
EPHEMERALS = Secret(b"\x04" * 32), Secret(b"\x05" * 32)


def _id(secret: Secret) -> NodeId:
    return NodeId(point_of(secret))


def _static(secret: Secret, point: Point) -> bytes:
    return ecdh(point, secret)


def _initiator(caller: Secret, called: Secret) -> Initiator:
    return Initiator(_id(caller), partial(_static, caller), EPHEMERALS[0], _id(called))


def _responder(called: Secret) -> Responder:
    return Responder(_id(called), partial(_static, called), EPHEMERALS[1])


def _shake() -> tuple[Session, Session]:
    alice, bob = _initiator(ALICE, BOB), _responder(BOB)
    one = alice.act_one()
    two = bob.act_one(one)
    three, alices = alice.act_two(two)
    assert (len(one), len(two), len(three)) == (ACT_ONE_SIZE, ACT_TWO_SIZE, ACT_THREE_SIZE)
    return alices, bob.act_three(three)


def test_each_knows_the_other() -> None:
    alices, bobs = _shake()
    assert (alices.their_id, bobs.their_id) == (_id(BOB), _id(ALICE))


def test_both_directions() -> None:
    alices, bobs = _shake()
    assert bobs.receive.feed(alices.send.encrypt(b"to bob")) == [b"to bob"]
    assert alices.receive.feed(bobs.send.encrypt(b"to alice")) == [b"to alice"]


def test_act_one__meant_for_another_node() -> None:
    with pytest.raises(PeerFault, match="does not know our node id"):
        _responder(CAROL).act_one(_initiator(ALICE, BOB).act_one())


def test_act_three__without_the_node_key() -> None:
    """Carol claims Alice's id, but multiplies by her own secret."""
    carol = Initiator(_id(ALICE), partial(_static, CAROL), EPHEMERALS[0], _id(BOB))
    bob = _responder(BOB)
    three, _session = carol.act_two(bob.act_one(carol.act_one()))
    with pytest.raises(PeerFault, match="does not hold its node key"):
        bob.act_three(three)


def test_act_one__twice() -> None:
    alice = _initiator(ALICE, BOB)
    alice.act_one()
    with pytest.raises(InvariantBroken):
        alice.act_one()
