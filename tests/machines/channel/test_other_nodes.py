"""What other people's nodes say that the BOLTs do not, and that must not cost a channel.

Each story names the node that was read; what it says is given byte for byte or message by message.
"""

import pytest

from tests.support.pair import Side, offer, ready_pair
from wallet.base.errors import Severity
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.ids import ALL_CHANNELS
from wallet.base.wire.message import Message, decode, encode
from wallet.base.wire.setup import Error
from wallet.base.wire.setup import Warning as PeerWarning
from wallet.machines.channel import actions
from wallet.machines.channel.state import Phase

PUSH = MilliSatoshi(300_000_000)


def said(side: Side) -> list[Message]:
    """What is on the wire from this side."""
    return [m for m in map(decode, side.sent) if isinstance(m, Message)]


def their_shutdown(side: Side) -> bytes | None:
    """Where the peer wants its money, as far as this side has heard it."""
    return side.state.their_shutdown


def dropped(wishes: list[actions.Action]) -> bool:
    """Whether the connection ends."""
    return any(isinstance(wish, actions.Disconnect) for wish in wishes)


# --- LND: `error` for what is only an interruption ------------------------------------------------


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        # htlcswitch/linkfailure.go: its link is gone until we connect again; its channel is not.
        (b"internal error", Severity.DISCONNECT),
        # Up to 0.17, for a `shutdown` while HTLCs are in flight; all goes on as before.
        (b"link failed to shutdown", Severity.WARN),
        (b"cannot co-op close channel w/ active htlcs", Severity.WARN),
    ],
)
def test_lnd_says_error_and_means_no_end(words: bytes, severity: Severity) -> None:
    pair = ready_pair()
    pair.alice.step(offer(1))
    pair.settle()
    alice = pair.alice
    for named in (alice.state.id, ALL_CHANNELS):
        alice.sent.clear()
        wishes = alice.receive(encode(Error(named, words)))
        assert alice.state.phase is Phase.READY
        assert not alice.broadcasts or alice.broadcasts[-1][0] == "funding"
        assert [type(m) for m in said(alice)] == [PeerWarning], "the peer learns what it did"
        assert dropped(wishes) is (severity is Severity.DISCONNECT)
    pair.cut()
    pair.reconnect()
    pair.settle()
    pair.bob.step(offer(2))
    pair.settle()
    assert {len(side.state.htlcs) for side in (pair.alice, pair.bob)} == {2}


@pytest.mark.parametrize(
    "words",
    [
        b"sync error",
        b"unable to resume channel, recovery required",
        b"invalid commitment",
        b"internal error.",
        b"remote error: internal error",
        b"",
    ],
)
def test_any_other_error_fails_the_channel(words: bytes) -> None:
    """The second is how LND asks us to close once it has lost its data."""
    pair = ready_pair()
    pair.alice.receive(encode(Error(pair.alice.state.id, words)))
    assert pair.alice.state.phase is Phase.FAILED
    assert pair.alice.broadcasts[-1][0] == "commitment"
