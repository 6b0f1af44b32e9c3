"""What each breach costs the peer: nothing, a warning, the connection, or the channel.

The sentences, and every way to fail a channel, are in `test_faults.py`; here is the whole range on
one page, so that a rule which becomes harsher or milder is seen.
"""

from collections.abc import Callable

import pytest

from tests.support.pair import CLOSE_SCRIPT, LEGACY, Pair, Side, offer, open_pair, ready_pair
from wallet.base.bitcoin.script import p2pkh, p2wpkh
from wallet.base.crypto.hashes import sha256
from wallet.base.errors import Severity
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.features import OUR_INIT, Features
from wallet.base.values.ids import PaymentHash, Secret, ShortChannelId, Signature
from wallet.base.wire.channel import (
    ChannelReady,
    ChannelReestablish,
    ClosingSigned,
    CommitmentSigned,
    FundingSigned,
    RevokeAndAck,
    Shutdown,
    UpdateAddHtlc,
    UpdateFailHtlc,
    UpdateFee,
)
from wallet.base.wire.gossip import AnnouncementSignatures
from wallet.base.wire.message import Message, encode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, events
from wallet.machines.channel.state import Channel, Phase

NO_SIGNATURE = Signature(bytes([1]) * 64)
PUSH = MilliSatoshi(300_000_000)


def public() -> Pair:
    return ready_pair(announce=True)


def waiting() -> Pair:
    return open_pair(PUSH)


def away() -> Pair:
    pair = ready_pair()
    pair.cut()
    pair.alice.step(events.PeerConnected())
    pair.alice.sent.clear()
    return pair


def bound() -> Pair:
    """Bob opened nothing: it is Alice who is bound, so Bob is the victim of her other script."""
    return ready_pair(close_to=p2wpkh(b"\2" * 33))


def closing_legacy() -> Pair:
    return closing(LEGACY)


def closing(features: Features = OUR_INIT) -> Pair:
    pair = ready_pair(features=features)
    pair.alice.step(events.CloseMutually(None, None))
    pair.deliver(pair.alice)
    pair.deliver(pair.bob)
    return pair


def adding(channel: Channel, amount: int = 1_000_000) -> UpdateAddHtlc:
    return UpdateAddHtlc(
        channel.id,
        channel.their_next_htlc_id,
        MilliSatoshi(amount),
        PaymentHash(sha256(b"payment")),
        CltvExpiry(500),
        bytes(1366),
    )


def reestablish(channel: Channel, commitment: int, revocation: int) -> ChannelReestablish:
    return ChannelReestablish(
        channel.id, commitment, revocation, Secret(bytes(32)), channel.their_points[0]
    )


def halves(channel: Channel, scid: ShortChannelId) -> AnnouncementSignatures:
    return AnnouncementSignatures(channel.id, scid, NO_SIGNATURE, NO_SIGNATURE)


def uncommitted(pair: Pair) -> Message:
    pair.alice.receive(encode(adding(pair.alice.state)))
    return Shutdown(pair.alice.state.id, CLOSE_SCRIPT["bob"])


def other_funding(pair: Pair) -> Message:
    txid = type(pair.alice.state.funding.outpoint.txid)(bytes(32))
    return CommitmentSigned(pair.alice.state.id, NO_SIGNATURE, (), funding_txid=txid)


IGNORE, WARN = Severity.IGNORE, Severity.WARN
DISCONNECT, FAIL_CHANNEL = Severity.DISCONNECT, Severity.FAIL_CHANNEL

BREACHES: dict[str, tuple[Severity, Callable[[], Pair], str, Callable[[Pair], Message]]] = {
    "a commitment for a funding that is not ours": (IGNORE, ready_pair, "alice", other_funding),
    "a message of another time": (
        WARN,
        ready_pair,
        "alice",
        lambda p: FundingSigned(p.alice.state.id, NO_SIGNATURE),
    ),
    "shutdown to a script that is not segwit": (
        WARN,
        ready_pair,
        "alice",
        lambda p: Shutdown(p.alice.state.id, p2pkh(bytes(20))),
    ),
    "closing_signed before shutdown": (
        WARN,
        ready_pair,
        "alice",
        lambda p: ClosingSigned(p.alice.state.id, Satoshi(500), NO_SIGNATURE),
    ),
    "channel_reestablish in the middle of a connection": (
        WARN,
        ready_pair,
        "alice",
        lambda p: reestablish(p.alice.state, 1, 0),
    ),
    "halves of an announcement of a private channel": (
        WARN,
        ready_pair,
        "alice",
        lambda p: halves(p.alice.state, ShortChannelId(111, 1, 0)),
    ),
    "halves with a wrong signature": (
        DISCONNECT,
        public,
        "alice",
        lambda p: halves(p.alice.state, ShortChannelId(111, 1, 0)),
    ),
    "a message before channel_reestablish": (
        DISCONNECT,
        away,
        "alice",
        lambda p: adding(p.alice.state),
    ),
    "a payment before channel_ready": (
        DISCONNECT,
        waiting,
        "bob",
        lambda p: adding(p.bob.state),
    ),
    "a fee rate before channel_ready": (
        DISCONNECT,
        waiting,
        "bob",
        lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(2_000)),
    ),
    "a commitment before channel_ready": (
        DISCONNECT,
        waiting,
        "bob",
        lambda p: CommitmentSigned(p.bob.state.id, p.bob.state.funding.signature, ()),
    ),
    "a revocation before channel_ready": (
        DISCONNECT,
        waiting,
        "alice",
        lambda p: RevokeAndAck(
            p.alice.state.id, Secret(sha256(b"x")), p.alice.state.their_points[1]
        ),
    ),
    "channel_ready before channel_reestablish": (
        DISCONNECT,
        away,
        "alice",
        lambda p: ChannelReady(p.alice.state.id, p.alice.state.their_points[1]),
    ),
    "shutdown with updates that are not committed": (
        DISCONNECT,
        ready_pair,
        "alice",
        uncommitted,
    ),
    "shutdown to another script than at the open": (
        DISCONNECT,
        bound,
        "bob",
        lambda p: Shutdown(p.bob.state.id, CLOSE_SCRIPT["alice"]),
    ),
    "shutdown to another script than before": (
        DISCONNECT,
        closing,
        "alice",
        lambda p: Shutdown(p.alice.state.id, p2wpkh(b"\3" * 33)),
    ),
    "more than the sender has": (
        FAIL_CHANNEL,
        ready_pair,
        "alice",
        lambda p: adding(p.alice.state, 390_000_001),
    ),
    "an answer to nothing": (
        FAIL_CHANNEL,
        ready_pair,
        "alice",
        lambda p: UpdateFailHtlc(p.alice.state.id, 0, b""),
    ),
    "a fee rate of the wrong side": (
        FAIL_CHANNEL,
        ready_pair,
        "alice",
        lambda p: UpdateFee(p.alice.state.id, FeeratePerKw(1_000)),
    ),
    "a wrong signature on a commitment": (
        FAIL_CHANNEL,
        ready_pair,
        "alice",
        lambda p: CommitmentSigned(p.alice.state.id, NO_SIGNATURE, ()),
    ),
    "a revocation of nothing": (
        FAIL_CHANNEL,
        ready_pair,
        "alice",
        lambda p: RevokeAndAck(
            p.alice.state.id, Secret(sha256(b"x")), p.alice.state.their_points[1]
        ),
    ),
    "a wrong signature on a close": (
        FAIL_CHANNEL,
        closing_legacy,
        "alice",
        lambda p: ClosingSigned(p.alice.state.id, Satoshi(500), NO_SIGNATURE),
    ),
    "a commitment number of 0": (
        FAIL_CHANNEL,
        away,
        "alice",
        lambda p: reestablish(p.alice.state, 0, 0),
    ),
    "a revocation number from nowhere": (
        FAIL_CHANNEL,
        away,
        "alice",
        lambda p: reestablish(p.alice.state, 1, 7),
    ),
}


def cost(side: Side, wishes: list[actions.Action]) -> Severity:
    """What the peer sees of our answer."""
    said = [w.message for w in wishes if isinstance(w, actions.Send)]
    if side.state.phase is Phase.FAILED:
        assert any(isinstance(message, Error) for message in said)
        return FAIL_CHANNEL
    warned = any(isinstance(message, PeerWarning) for message in said)
    if any(isinstance(wish, actions.Disconnect) for wish in wishes):
        assert warned, "a peer learns why the connection ends"
        return DISCONNECT
    return WARN if warned else IGNORE


@pytest.mark.parametrize("name", BREACHES)
def test_what_a_breach_costs(name: str) -> None:
    severity, begin, victim, said = BREACHES[name]
    pair = begin()
    side = pair.alice if victim == "alice" else pair.bob
    message = said(pair)
    before = side.state
    assert cost(side, side.receive(encode(message))) is severity
    if severity is not FAIL_CHANNEL:
        assert side.state == before, "nothing of it has come into the state"


@pytest.mark.parametrize("severity", Severity)
def test_each_severity_is_in_the_table(severity: Severity) -> None:
    assert [name for name, row in BREACHES.items() if row[0] is severity]


def test_after_a_warning_the_channel_goes_on() -> None:
    pair = ready_pair()
    pair.alice.receive(encode(FundingSigned(pair.alice.state.id, NO_SIGNATURE)))
    pair.settle()
    pair.alice.step(offer(1))
    pair.settle()
    assert len(pair.bob.state.htlcs) == 1
    assert pair.bob.state.phase is Phase.READY
