"""BOLT 8, appendix A: both sides of the handshake, every failure, and two key rotations."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from wallet.base.crypto.curve import ecdh, point_of
from wallet.base.errors import PeerFault, Severity
from wallet.base.values.ids import NodeId, Secret
from wallet.machines.noise import Decryptor, Encryptor, Initiator, Responder, Session

# `Any`: tables of published figures.
DATA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "bolt8.json").read_text()
)
MESSAGES: Final[dict[str, Any]] = DATA["messages"]

INITIATOR: Final = Secret(b"\x11" * 32)
INITIATOR_EPHEMERAL: Final = Secret(b"\x12" * 32)
RESPONDER: Final = Secret(b"\x21" * 32)
RESPONDER_EPHEMERAL: Final = Secret(b"\x22" * 32)
INITIATOR_ID: Final = NodeId(point_of(INITIATOR))
RESPONDER_ID: Final = NodeId(point_of(RESPONDER))

# The vectors' words for a failure, and ours.
REASONS: Final = {
    "ACT1_READ_FAILED": "act one has 50 bytes, not 49",
    "ACT1_BAD_VERSION": "act one has the unknown version 1",
    "ACT1_BAD_PUBKEY": "the public key in act one is not a point",
    "ACT1_BAD_TAG": "the caller does not know our node id",
    "ACT2_READ_FAILED": "act two has 50 bytes, not 49",
    "ACT2_BAD_VERSION 1": "act two has the unknown version 1",
    "ACT2_BAD_PUBKEY": "the public key in act two is not a point",
    "ACT2_BAD_TAG": "act two is not authentic",
    "ACT3_READ_FAILED": "act three has 66 bytes, not 65",
    "ACT3_BAD_VERSION 1": "act three has the unknown version 1",
    "ACT3_BAD_CIPHERTEXT": "the caller's id was altered",
    "ACT3_BAD_PUBKEY": "the public key in act three is not a point",
    "ACT3_BAD_TAG": "the caller does not hold its node key",
}


def _keys(session: Session, *, we_are_initiator: bool) -> str:
    """`sk,rk` or `rk,sk` in the vectors' order, after comparing what the session encrypts."""
    ck, sk, rk = (bytes.fromhex(MESSAGES[name]) for name in ("ck", "sk", "rk"))
    ours, theirs = (sk, rk) if we_are_initiator else (rk, sk)
    assert session.send.encrypt(b"one") == Encryptor(ours, ck).encrypt(b"one")
    assert session.receive.feed(Encryptor(theirs, ck).encrypt(b"two")) == [b"two"]
    names = "sk,rk" if we_are_initiator else "rk,sk"
    return f"{names}=0x{sk.hex()},0x{rk.hex()}"


def _play_initiator(inputs: list[bytes]) -> list[str]:
    side = Initiator(INITIATOR_ID, partial(_ecdh, INITIATOR), INITIATOR_EPHEMERAL, RESPONDER_ID)
    outputs = [side.act_one().hex()]
    try:
        act_three, session = side.act_two(inputs[0])
    except PeerFault as fault:
        return [*outputs, _error(fault)]
    assert session.their_id == RESPONDER_ID
    return [*outputs, act_three.hex(), _keys(session, we_are_initiator=True)]


def _play_responder(inputs: list[bytes]) -> list[str]:
    side = Responder(RESPONDER_ID, partial(_ecdh, RESPONDER), RESPONDER_EPHEMERAL)
    outputs = []
    try:
        outputs.append(side.act_one(inputs[0]).hex())
        session = side.act_three(inputs[1])
    except PeerFault as fault:
        return [*outputs, _error(fault)]
    assert session.their_id == INITIATOR_ID
    return [*outputs, _keys(session, we_are_initiator=False)]


def _ecdh(secret: bytes, point: bytes) -> bytes:
    return ecdh(point, secret)


def _error(fault: PeerFault) -> str:
    assert fault.severity is Severity.DISCONNECT
    reason = fault.reason.removeprefix("BOLT 8 handshake: ")
    return next(f"ERROR ({word})" for word, ours in REASONS.items() if ours == reason)


@pytest.mark.parametrize("vector", DATA["handshakes"], ids=lambda v: v["name"])
def test_handshake(vector: dict[str, Any]) -> None:
    inputs = [bytes.fromhex(value) for kind, value in vector["steps"] if kind == "input"]
    outputs = [value for kind, value in vector["steps"] if kind == "output"]
    play = _play_initiator if "initiator" in vector["name"] else _play_responder
    assert play(inputs) == outputs


def test_all_handshake_vectors_are_here() -> None:
    words = {v["steps"][-1][1] for v in DATA["handshakes"] if "ERROR" in v["steps"][-1][1]}
    print(f"BOLT 8 appendix A handshakes {len(DATA['handshakes'])}/15, failures {len(words)}/13")
    assert len(DATA["handshakes"]) == 15
    assert words == {f"ERROR ({word})" for word in REASONS}


def test_message_encryption() -> None:
    ck, sk = bytes.fromhex(MESSAGES["ck"]), bytes.fromhex(MESSAGES["sk"])
    send, receive = Encryptor(sk, ck), Decryptor(sk, ck)
    published = {int(n): frame for n, frame in MESSAGES["outputs"].items()}
    good = 0
    for n in range(1002):
        frame = send.encrypt(b"hello")
        good += published.get(n) == frame.hex()
        assert receive.feed(frame) == [b"hello"]
    print(f"BOLT 8 appendix A messages {good}/{len(published)}")
    assert good == len(published) == 6
