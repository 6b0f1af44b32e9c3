"""BOLT 1's own duties: pongs, and words of strangers on our screen."""

import pytest

from wallet.base.errors import PeerFault
from wallet.base.values.features import OUR_INIT, Features
from wallet.base.values.ids import ALL_CHANNELS, ChainHash, ChannelId
from wallet.base.wire.setup import (
    Error,
    Init,
    Ping,
    Pong,
    check_networks,
    concerns_all_channels,
    error_for,
    features_of,
    our_init,
    pong_for,
    reason_of,
    warning_for,
)
from wallet.base.wire.setup import Warning as PeerWarning

CHANNEL = ChannelId(b"\x01" * 32)
CHAIN = ChainHash(b"\x06" * 32)


@pytest.mark.parametrize("wanted", [0, 1, 65_531])
def test_pong__as_long_as_asked(wanted: int) -> None:
    assert pong_for(Ping(wanted, b"whatever")) == Pong(bytes(wanted))


@pytest.mark.parametrize("wanted", [65_532, 65_533, 65_535])
def test_pong__trap_7_no_reply_pings(wanted: int) -> None:
    assert pong_for(Ping(wanted, b"")) is None


def test_reason__terminal_codes_are_shown_not_obeyed() -> None:
    received = Error(CHANNEL, b"\x1b[2Jall \xe2\x80\xaegood\n\\x41")
    assert reason_of(received) == r"\x1b[2Jall \xe2\x80\xaegood\x0a\\x41"
    assert reason_of(PeerWarning(CHANNEL, b"plain words.")) == "plain words."
    assert reason_of(Error(CHANNEL, b"")) == "(no reason given)"


def test_reason__long() -> None:
    assert reason_of(Error(CHANNEL, b"a" * 3000)).endswith("a… (2000 bytes more)")


def test_our_reasons_are_printable_ascii() -> None:
    assert error_for(CHANNEL, "fee zu hoch: 5 € \x1b").data == b"fee zu hoch: 5 ? ?"
    assert warning_for(CHANNEL, "x" * 2000).data == b"x" * 1000


def test_all_channels() -> None:
    assert concerns_all_channels(error_for(ALL_CHANNELS, ""))
    assert not concerns_all_channels(error_for(CHANNEL, ""))


def test_features_of__both_fields_count() -> None:
    assert features_of(Init(b"\x02", b"\x01\x00")) == Features(frozenset({1, 8}))


def test_our_init() -> None:
    init = our_init(OUR_INIT, (CHAIN,))
    assert (init.globalfeatures, init.networks) == (b"", (CHAIN,))
    assert features_of(init) == OUR_INIT


def test_networks() -> None:
    check_networks(Init(b"", b""), CHAIN)
    check_networks(Init(b"", b"", (ChainHash(bytes(32)), CHAIN)), CHAIN)
    with pytest.raises(PeerFault, match="other chains"):
        check_networks(Init(b"", b"", (ChainHash(bytes(32)),)), CHAIN)
