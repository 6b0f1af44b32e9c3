"""What a peer may not say in a channel: each rule, its sentence, and what it costs the peer.

The opening's rules are in `test_opening.py`, those of `channel_reestablish` in
`test_reestablish.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.support.pair import (
    AMOUNT,
    CLOSE_SCRIPT,
    Pair,
    Side,
    offer,
    policy,
    preimage_of,
    ready_pair,
)
from wallet.base.bitcoin.script import p2wpkh
from wallet.base.crypto.curve import ORDER, point_of
from wallet.base.crypto.hashes import sha256
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.blocks import CltvExpiry
from wallet.base.values.ids import (
    ALL_CHANNELS,
    ChannelId,
    PaymentHash,
    Secret,
    Signature,
)
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
    UpdateFailMalformedHtlc,
    UpdateFee,
    UpdateFulfillHtlc,
)
from wallet.base.wire.message import Message, decode, encode
from wallet.base.wire.setup import Error, error_for
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions, events
from wallet.machines.channel.htlc import Fulfilled, HtlcKey
from wallet.machines.channel.htlc_stages import Stage
from wallet.machines.channel.resume import resume
from wallet.machines.channel.state import Channel, Link, Phase

RESERVE = MilliSatoshi(10_000_000)
BOB_HAS = MilliSatoshi(400_000_000)
ALICE_HAS = MilliSatoshi(600_000_000)


def hear(side: Side, message: Message) -> list[actions.Action]:
    """A message of the peer, through the wire's bytes."""
    return side.receive(encode(message))


def adding(channel: Channel, **changes: object) -> UpdateAddHtlc:
    """The `update_add_htlc` that the peer of `channel` may say next."""
    message = UpdateAddHtlc(
        channel.id,
        channel.their_next_htlc_id,
        AMOUNT,
        PaymentHash(sha256(b"payment")),
        CltvExpiry(500),
        bytes(1366),
    )
    return replace(message, **changes)  # type: ignore[arg-type]


def committed(pair: Pair) -> Pair:
    """Alice has offered HTLC 0, which both have committed to."""
    pair.alice.step(offer(1))
    pair.settle()
    return pair


def sent(side: Side, kind: type[Message]) -> Message:
    """The last message of that kind on the wire."""
    found = [m for m in map(decode, side.sent) if isinstance(m, kind)]
    return found[-1]


def until_commitment(pair: Pair) -> CommitmentSigned:
    """Alice's genuine commitment_signed with one HTLC, which Bob expects now."""
    pair.alice.step(offer(1))
    pair.deliver(pair.alice)
    message = sent(pair.alice, CommitmentSigned)
    assert isinstance(message, CommitmentSigned)
    return message


def until_revocation(pair: Pair) -> RevokeAndAck:
    """Bob's genuine revoke_and_ack, which Alice expects now."""
    until_commitment(pair)
    pair.deliver(pair.alice)
    message = sent(pair.bob, RevokeAndAck)
    assert isinstance(message, RevokeAndAck)
    return message


def high_s(signature: Signature) -> Signature:
    """The other signature of the same digest: valid by mathematics, not by LOW-S."""
    s = ORDER - int.from_bytes(signature[32:], "big")
    return Signature(signature[:32] + s.to_bytes(32, "big"))


@dataclass(frozen=True)
class Fault:
    """Who is told what, and the sentence that both sides will read."""

    victim: str
    said: Callable[[Pair], Message]
    sentence: str
    begin: Callable[[], Pair] = ready_pair


def _small() -> Pair:
    """Alice takes two HTLCs at once, 5,000 sat in all, none below 2 sat."""
    terms = replace(
        policy(),
        max_accepted_htlcs=2,
        htlc_minimum=MilliSatoshi(2_000),
        max_in_flight=MilliSatoshi(5_000_000),
    )
    return ready_pair(alices=terms)


def _third(pair: Pair) -> Message:
    for _ in range(2):
        hear(pair.alice, adding(pair.alice.state, amount_msat=MilliSatoshi(2_000)))
    return adding(pair.alice.state, amount_msat=MilliSatoshi(2_000))


def _over_in_flight(pair: Pair) -> Message:
    hear(pair.alice, adding(pair.alice.state, amount_msat=MilliSatoshi(2_000_000)))
    return adding(pair.alice.state, amount_msat=MilliSatoshi(3_000_001))


def _fee(htlcs: int) -> MilliSatoshi:
    """Fee at 1,000 sat/kw and both anchors."""
    return MilliSatoshi((1124 + 172 * htlcs + 660) * 1000)


def _after_shutdown(pair: Pair) -> Message:
    hear(pair.alice, Shutdown(pair.alice.state.id, CLOSE_SCRIPT["bob"]))
    assert pair.alice.state.phase is Phase.NEGOTIATING
    return adding(pair.alice.state)


def _after_shutdown_with_htlcs(pair: Pair) -> Message:
    committed(pair)
    hear(pair.alice, Shutdown(pair.alice.state.id, CLOSE_SCRIPT["bob"]))
    assert pair.alice.state.phase is Phase.SHUTTING_DOWN
    return adding(pair.alice.state)


def _twice(pair: Pair) -> Message:
    committed(pair)
    hear(pair.alice, UpdateFailHtlc(pair.alice.state.id, 0, b"no"))
    return UpdateFulfillHtlc(pair.alice.state.id, 0, preimage_of(1))


def _too_early(pair: Pair) -> Message:
    pair.alice.step(offer(1))
    return UpdateFulfillHtlc(pair.alice.state.id, 0, preimage_of(1))


def _own_htlc(pair: Pair) -> Message:
    """Bob removes HTLC 0, which is his own."""
    pair.bob.step(offer(1))
    pair.settle()
    return UpdateFailHtlc(pair.alice.state.id, 0, b"no")


def _other_signature(pair: Pair) -> Message:
    message = until_commitment(pair)
    return replace(message, signature=pair.bob.state.funding.signature)


def _other_htlc_signature(pair: Pair) -> Message:
    message = until_commitment(pair)
    return replace(message, htlc_signatures=(message.signature,))


def _inconsistent_secret(pair: Pair) -> Message:
    """The secret fits the point that the peer gave, but not the tree of its earlier secrets."""
    committed(pair)
    message = until_revocation_of(pair, 2)
    alien = Secret(sha256(b"alien"))
    alice = pair.alice.state
    pair.alice.channel = replace(alice, their_points=(point_of(alien), alice.their_points[1]))
    return replace(message, per_commitment_secret=alien)


def until_revocation_of(pair: Pair, number: int) -> RevokeAndAck:
    """Alice offers HTLC `number`; Bob's genuine revoke_and_ack for it, which she expects now."""
    pair.alice.step(offer(number))
    pair.deliver(pair.alice)
    pair.deliver(pair.alice)
    message = sent(pair.bob, RevokeAndAck)
    assert isinstance(message, RevokeAndAck)
    return message


FAULTS: dict[str, Fault] = {
    # update_add_htlc
    "an id that skips one": Fault(
        "alice", lambda p: adding(p.alice.state, id=1), "HTLC id 1, expected 0"
    ),
    "an id said before": Fault(
        "bob", lambda p: adding(committed(p).bob.state, id=0), "HTLC id 0, expected 1"
    ),
    "an amount of 0": Fault(
        "alice",
        lambda p: adding(p.alice.state, amount_msat=MilliSatoshi(0)),
        "HTLC of 0 msat is below our htlc_minimum_msat",
    ),
    "an amount below our minimum": Fault(
        "alice",
        lambda p: adding(p.alice.state, amount_msat=MilliSatoshi(1_999)),
        "HTLC of 1,999 msat is below our htlc_minimum_msat",
        _small,
    ),
    "an expiry in seconds": Fault(
        "alice",
        lambda p: adding(p.alice.state, cltv_expiry=CltvExpiry(500_000_000)),
        "cltv_expiry 500000000 is not a block height",
    ),
    "more HTLCs than we take": Fault(
        "alice", _third, "more HTLCs than our max_accepted_htlcs 2", _small
    ),
    "more in flight than we take": Fault(
        "alice", _over_in_flight, "more in flight than our max_htlc_value_in_flight_msat", _small
    ),
    "below its reserve, as accepter": Fault(
        "alice",
        lambda p: adding(p.alice.state, amount_msat=BOB_HAS - RESERVE + MilliSatoshi(1)),
        "HTLC of 390,000,001 msat leaves the sender below its reserve and fee",
    ),
    "below its reserve and fee, as opener": Fault(
        "bob",
        lambda p: adding(p.bob.state, amount_msat=ALICE_HAS - RESERVE - _fee(1) + MilliSatoshi(1)),
        "HTLC of 588,044,001 msat leaves the sender below its reserve and fee",
    ),
    "more than there is in the world": Fault(
        "alice",
        lambda p: adding(p.alice.state, amount_msat=MilliSatoshi((1 << 64) - 1)),
        "HTLC of 18,446,744,073,709,551,615 msat leaves the sender below its reserve and fee",
    ),
    "an addition after shutdown": Fault("alice", _after_shutdown, "update_add_htlc after shutdown"),
    "an addition after shutdown, HTLCs left": Fault(
        "alice", _after_shutdown_with_htlcs, "update_add_htlc after shutdown"
    ),
    # removals
    "a removal of nothing": Fault(
        "alice",
        lambda p: UpdateFailHtlc(p.alice.state.id, 0, b""),
        "update_fail_htlc for HTLC 0, which is not there to be removed",
    ),
    "a removal of its own HTLC": Fault(
        "alice", _own_htlc, "update_fail_htlc for HTLC 0, which is not there to be removed"
    ),
    "a second removal": Fault(
        "alice", _twice, "update_fulfill_htlc for HTLC 0, which is not there to be removed"
    ),
    "a removal before it is committed": Fault(
        "alice", _too_early, "update_fulfill_htlc for HTLC 0, which is not there to be removed"
    ),
    "a wrong preimage": Fault(
        "alice",
        lambda p: UpdateFulfillHtlc(committed(p).alice.state.id, 0, preimage_of(2)),
        "wrong preimage for HTLC 0",
    ),
    "malformed without BADONION": Fault(
        "alice",
        lambda p: UpdateFailMalformedHtlc(committed(p).alice.state.id, 0, bytes(32), 0x4005),
        "failure_code 0x4005 without the BADONION bit",
    ),
    # update_fee
    "update_fee from the accepter": Fault(
        "alice",
        lambda p: UpdateFee(p.alice.state.id, FeeratePerKw(1_000)),
        "update_fee from the side that does not pay the fee",
    ),
    "a fee rate too low": Fault(
        "bob",
        lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(252)),
        "update_fee to 252 sat/kw is out of reason",
    ),
    "a fee rate too high": Fault(
        "bob",
        lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(250_001)),
        "update_fee to 250001 sat/kw is out of reason",
    ),
    "a fee rate that the opener cannot pay": Fault(
        # 21,500 sat less 660: at 18,542 sat/kw a fee of 20,841.
        "bob",
        lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(18_542)),
        "the opener cannot afford update_fee to 18542 sat/kw",
        lambda: ready_pair(MilliSatoshi(978_500_000)),
    ),
    # commitment_signed
    "a wrong signature": Fault("bob", _other_signature, "bad signature on commitment"),
    "a signature with high S": Fault(
        "bob",
        lambda p: replace(m := until_commitment(p), signature=high_s(m.signature)),
        "bad signature on commitment",
    ),
    "a wrong HTLC signature": Fault("bob", _other_htlc_signature, "bad htlc_signature for HTLC 0"),
    "an HTLC signature with high S": Fault(
        "bob",
        lambda p: replace(
            m := until_commitment(p), htlc_signatures=(high_s(m.htlc_signatures[0]),)
        ),
        "bad htlc_signature for HTLC 0",
    ),
    "too few HTLC signatures": Fault(
        "bob",
        lambda p: replace(until_commitment(p), htlc_signatures=()),
        "num_htlcs is 0, our commitment has 1 HTLC outputs",
    ),
    "too many HTLC signatures": Fault(
        "bob",
        lambda p: replace(m := until_commitment(p), htlc_signatures=m.htlc_signatures * 2),
        "num_htlcs is 2, our commitment has 1 HTLC outputs",
    ),
    # revoke_and_ack
    "a revocation of nothing": Fault(
        "alice",
        lambda p: RevokeAndAck(
            p.alice.state.id, Secret(sha256(b"x")), p.alice.state.their_points[1]
        ),
        "revoke_and_ack without a commitment to revoke",
    ),
    "a wrong secret": Fault(
        "alice",
        lambda p: replace(until_revocation(p), per_commitment_secret=Secret(sha256(b"x"))),
        "per_commitment_secret is not of their last point",
    ),
    "a secret that is no key": Fault(
        "alice",
        lambda p: replace(until_revocation(p), per_commitment_secret=Secret(bytes(32))),
        "per_commitment_secret is not of their last point",
    ),
    "a secret of another tree": Fault("alice", _inconsistent_secret, "per_commitment_secret: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_fails_the_channel(name: str) -> None:
    fault = FAULTS[name]
    pair = fault.begin()
    message = fault.said(pair)
    victim = pair.alice if fault.victim == "alice" else pair.bob
    before = victim.state
    victim.sent.clear()
    wishes = hear(victim, message)
    after = victim.state

    assert after.phase is Phase.FAILED
    assert after.error is not None
    assert fault.sentence in after.error
    assert after.changes[-1].message == after.error
    # Nothing of the message has come into the state: what is broadcast is what was signed.
    assert (after.our_number, after.their_number) == (before.our_number, before.their_number)
    assert after.funding == before.funding
    assert after.their_secrets == before.their_secrets
    assert [type(a) for a in wishes if not isinstance(a, actions.HtlcGone)] == [
        actions.Send,
        actions.Broadcast,
        actions.PhaseChanged,
    ]
    assert [decode(d) for d in victim.sent] == [error_for(after.id, after.error)]
    assert victim.broadcasts[-1][0] == "commitment"

    victim.step(events.PeerDisconnected())
    victim.sent.clear()
    victim.step(events.PeerConnected())
    hello, error = [decode(d) for d in victim.sent]
    assert isinstance(hello, ChannelReestablish), "a peer with an old copy must hear it first"
    assert error == error_for(after.id, after.error)


def test_an_htlc_that_nobody_signed_goes_back_at_once() -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.alice.step(offer(2))
    wishes = hear(pair.alice, Error(pair.alice.state.id, b"no"))
    gone = [a.htlc.key.id for a in wishes if isinstance(a, actions.HtlcGone)]
    assert gone == [1], "HTLC 0 is in a commitment that the peer may broadcast"
    assert set(pair.alice.state.htlcs) == {HtlcKey(True, 0)}


# --- at the limit nothing is wrong ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("victim", "message", "begin"),
    [
        ("alice", lambda p: adding(p.alice.state, amount_msat=BOB_HAS - RESERVE), ready_pair),
        (
            "bob",
            lambda p: adding(p.bob.state, amount_msat=ALICE_HAS - RESERVE - _fee(1)),
            ready_pair,
        ),
        ("alice", lambda p: adding(p.alice.state, amount_msat=MilliSatoshi(2_000)), _small),
        ("alice", lambda p: adding(p.alice.state, amount_msat=MilliSatoshi(5_000_000)), _small),
        ("alice", lambda p: adding(p.alice.state, cltv_expiry=CltvExpiry(499_999_999)), ready_pair),
        ("bob", lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(253)), ready_pair),
        ("bob", lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(250_000)), ready_pair),
        (
            "bob",
            lambda p: UpdateFee(p.bob.state.id, FeeratePerKw(18_541)),
            lambda: ready_pair(MilliSatoshi(978_500_000)),
        ),
    ],
    ids=[
        "reserve of the accepter",
        "reserve and fee of the opener",
        "htlc_minimum_msat",
        "in flight",
        "the last height",
        "the least fee rate",
        "the greatest fee rate",
        "the last fee rate that the opener can pay",
    ],
)
def test_no_fault(
    victim: str, message: Callable[[Pair], Message], begin: Callable[[], Pair]
) -> None:
    pair = begin()
    side = pair.alice if victim == "alice" else pair.bob
    assert hear(side, message(pair)) == []
    assert side.state.phase is Phase.READY


# --- faults that cost less ------------------------------------------------------------------------


def test_shutdown_with_updates_that_are_not_committed_ends_the_connection() -> None:
    pair = ready_pair()
    hear(pair.alice, adding(pair.alice.state))
    before = pair.alice.state
    wishes = hear(pair.alice, Shutdown(before.id, CLOSE_SCRIPT["bob"]))
    reason = "shutdown with updates that are not committed"
    assert wishes == [
        actions.Send(PeerWarning(before.id, reason.encode())),
        actions.Disconnect(reason),
    ]
    assert pair.alice.state == before


@pytest.mark.parametrize(
    "script", [b"", b"\x51", b"\x6a" + bytes(40), bytes(40_000)], ids=lambda s: str(len(s))
)
def test_shutdown_to_a_script_of_no_allowed_form_is_warned_of(script: bytes) -> None:
    pair = ready_pair()
    before = pair.alice.state
    hear(pair.alice, Shutdown(before.id, script))
    (warning,) = map(decode, pair.alice.sent)
    assert isinstance(warning, PeerWarning)
    assert warning.data.startswith(b"shutdown to a script of no allowed form")
    assert pair.alice.state == before


def test_a_message_of_another_time_is_warned_of() -> None:
    pair = ready_pair()
    before = pair.alice.state
    (send,) = hear(pair.alice, FundingSigned(before.id, Signature(bytes([1]) * 64)))
    assert send == actions.Send(
        PeerWarning(before.id, b"funding_signed is not expected on a channel")
    )
    assert pair.alice.state == before


def test_closing_signed_before_its_time_is_warned_of() -> None:
    pair = ready_pair()
    before = pair.alice.state
    early = ClosingSigned(before.id, Satoshi(500), before.funding.signature)
    (send,) = hear(pair.alice, early)
    assert isinstance(send, actions.Send)
    assert isinstance(send.message, PeerWarning)
    assert pair.alice.state == before


def test_a_commitment_for_another_funding_is_ignored() -> None:
    """BOLT 2: no pending splice: MUST ignore it."""
    pair = ready_pair()
    genuine = until_commitment(pair)
    before = pair.bob.state
    other = replace(genuine, funding_txid=type(before.funding.outpoint.txid)(bytes(32)))
    assert hear(pair.bob, other) == []
    assert pair.bob.state == before


def test_a_second_shutdown_with_another_script_is_not_followed() -> None:
    """The close that is signed pays to the first one."""
    pair = ready_pair()
    pair.alice.step(events.CloseMutually(None, None))
    pair.settle()
    assert pair.alice.state.phase is Phase.MUTUALLY_CLOSED
    before = pair.alice.state
    hear(pair.alice, Shutdown(before.id, p2wpkh(before.our_points[0])))
    assert pair.alice.state == before
    wishes = pair.alice.step(events.NewTip(CLOSE_SCRIPT["alice"]))
    assert "mutual close" in [a.kind for a in wishes if isinstance(a, actions.Broadcast)]


# --- error and warning ----------------------------------------------------------------------------


@pytest.mark.parametrize("named", [None, ALL_CHANNELS], ids=["this channel", "all channels"])
@pytest.mark.parametrize("data", [b"", b"go away", bytes(range(256)), "…é".encode() * 10_000])
def test_an_error_of_the_peer_fails_the_channel(named: ChannelId | None, data: bytes) -> None:
    pair = ready_pair()
    channel_id = pair.alice.state.id
    wishes = hear(pair.alice, Error(named or channel_id, data))
    after = pair.alice.state
    assert after.phase is Phase.FAILED
    assert after.error is not None
    assert after.error.startswith("the peer failed the channel: ")
    assert all(c.isprintable() for c in after.error)
    assert [a.kind for a in wishes if isinstance(a, actions.Broadcast)] == ["commitment"]
    assert hear(pair.alice, Error(named or channel_id, data)) == [], "once is enough"
    assert pair.alice.state == after


def test_a_warning_changes_nothing() -> None:
    pair = ready_pair()
    before = pair.alice.state
    assert hear(pair.alice, PeerWarning(before.id, b"careful")) == []
    assert pair.alice.state == before


# --- a channel that has failed hears nothing more -------------------------------------------------


def _anything(channel: Channel) -> list[Message]:
    cid, point = channel.id, channel.their_points[1]
    signature = channel.funding.signature
    return [
        adding(channel),
        UpdateFulfillHtlc(cid, 0, preimage_of(1)),
        UpdateFailHtlc(cid, 0, b"no"),
        UpdateFailMalformedHtlc(cid, 0, bytes(32), 0xC005),
        UpdateFee(cid, FeeratePerKw(2_000)),
        CommitmentSigned(cid, signature, ()),
        RevokeAndAck(cid, Secret(sha256(b"x")), point),
        ChannelReady(cid, point),
        Shutdown(cid, CLOSE_SCRIPT["bob"]),
        ClosingSigned(cid, Satoshi(500), signature),
        ChannelReestablish(cid, 1, 0, Secret(bytes(32)), point),
        Error(cid, b"again"),
        PeerWarning(cid, b"again"),
    ]


@pytest.mark.parametrize("at", range(13))
@pytest.mark.parametrize("link", [Link.LIVE, Link.OFFLINE])
@pytest.mark.parametrize("ending", ["failed", "on chain"])
def test_an_ended_channel_hears_nothing(ending: str, link: Link, at: int) -> None:
    """BOLT 2: ignore any other packets for that channel. Least of all may it come to life again."""
    pair = committed(ready_pair())
    pair.alice.step(events.CloseUnilaterally("test"))
    if ending == "on chain":
        ((_, tx),) = [b for b in pair.alice.broadcasts if b[0] == "commitment"]
        pair.alice.step(events.FundingSpent(tx, 115))
    pair.alice.channel = replace(pair.alice.state, link=link)
    before = pair.alice.state
    assert before.phase is (Phase.FAILED if ending == "failed" else Phase.SPENT)
    assert len(_anything(before)) == 13
    assert hear(pair.alice, _anything(before)[at]) == []
    assert pair.alice.state == before


@pytest.mark.parametrize("ending", ["error", "on chain"])
def test_a_close_that_waited_does_not_wake_an_ended_channel(ending: str) -> None:
    """`shutdown` waits for updates; the channel ends; with them gone it must not be said."""
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.alice.step(offer(2), events.CloseMutually(None, None))
    assert pair.alice.state.our_shutdown is not None
    assert not pair.alice.state.shutdown_sent
    if ending == "error":
        hear(pair.alice, Error(pair.alice.state.id, b"no"))
        assert pair.alice.state.phase is Phase.FAILED
    else:
        pair.bob.step(events.CloseUnilaterally("test"))
        ((_, tx),) = [b for b in pair.bob.broadcasts if b[0] == "commitment"]
        pair.alice.step(events.FundingSpent(tx, 115))
        assert pair.alice.state.phase is Phase.SPENT
    assert not pair.alice.state.shutdown_sent


def test_a_failed_channel_signs_no_commitment_and_keeps_the_preimage() -> None:
    pair = committed(ready_pair())
    hear(pair.bob, Error(pair.bob.state.id, b"no"))
    before = pair.bob.state
    pair.bob.sent.clear()
    assert pair.bob.step(events.FulfillHtlc(0, preimage_of(1))) == []
    after = pair.bob.state
    assert after.their_number == before.their_number
    assert after.htlcs[HtlcKey(False, 0)].removal == Fulfilled(preimage_of(1))
    assert not pair.bob.sent


def test_a_channel_that_fails_in_mid_dance_says_nothing_more_but_the_error() -> None:
    """News that waited for a revocation are not signed for a peer that broke a rule."""
    pair = committed(ready_pair())
    pair.bob.step(events.FailHtlc(0, b"no"))
    pair.deliver(pair.bob)
    pair.deliver(pair.bob)
    assert pair.alice.state.htlcs[HtlcKey(True, 0)].stage is Stage.SENT_REMOVE_ACK_COMMIT
    pair.alice.step(offer(2))
    before = pair.alice.state
    pair.alice.sent.clear()
    hear(pair.alice, UpdateFee(before.id, FeeratePerKw(1_000)))
    assert [type(decode(d)) for d in pair.alice.sent] == [Error]
    assert pair.alice.state.their_number == before.their_number
    assert resume(pair.alice.state).state.phase is Phase.FAILED


# --- a proof that we fell behind ------------------------------------------------------------------


def test_a_genuine_proof_counts_before_a_next_commitment_number_of_zero() -> None:
    """A peer that holds the secret of our commitment must not get us to broadcast it."""
    pair = committed(ready_pair())
    old = pair.alice.state
    pair.bob.step(events.FulfillHtlc(0, preimage_of(1)))
    pair.settle()
    pair.cut()
    pair.alice.channel = resume(old).state
    pair.alice.broadcasts.clear()
    pair.reconnect()
    hello = sent(pair.bob, ChannelReestablish)
    assert isinstance(hello, ChannelReestablish)
    hear(pair.alice, replace(hello, next_commitment_number=0))
    assert pair.alice.state.fell_behind
    pair.alice.step(events.NewTip(CLOSE_SCRIPT["alice"]))
    assert pair.alice.broadcasts == []
