"""Opening a channel: each rule of BOLT 2 for `open_channel` and `accept_channel`, at its edge."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.pair import (
    CLOSE_SCRIPT,
    FEERATE,
    FUNDING,
    PUSH,
    Side,
    context,
    make_side,
    policy,
)
from wallet.base.bitcoin.chains import MAINNET
from wallet.base.bitcoin.transaction import Transaction, TxIn, TxOut
from wallet.base.errors import DecodeError, InvariantBroken, PeerFault, Refused, Severity
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.features import OUR_INIT, Feature, Features
from wallet.base.values.ids import ChannelId, OutPoint, ShortChannelId, Signature, Txid
from wallet.base.wire.channel import AcceptChannel, FundingCreated, FundingSigned, OpenChannel
from wallet.base.wire.message import decode, encode
from wallet.machines.channel import actions, opening, opening_rules
from wallet.machines.signing import UnsignedTx
from wallet.machines.step import Step

SUPPLY = Satoshi(21_000_000 * 100_000_000)
LARGE = Features.of(
    optional=(
        Feature.OPTION_STATIC_REMOTEKEY,
        Feature.OPTION_ANCHORS,
        Feature.OPTION_SUPPORT_LARGE_CHANNEL,
    )
)


def _request(**changes: Any) -> opening_rules.OpenRequest:
    bob = make_side("bob").signer.node_id
    return replace(
        opening_rules.OpenRequest(bob, FUNDING, PUSH, FEERATE, announce=False), **changes
    )


def _open(
    side: Side, features: Features = OUR_INIT, **changes: Any
) -> Step[opening.AwaitingAccept, actions.Action]:
    return opening.open_channel(
        _request(**changes),
        policy(),
        side.keys_id,
        7,
        side.keys(),
        CLOSE_SCRIPT[side.name],
        features,
        context(),
    )


def _accept(
    message: OpenChannel, features: Features = OUR_INIT
) -> Step[opening.AwaitingFundingCreated, actions.Action]:
    bob = make_side("bob")
    return opening.accept_channel(
        message,
        make_side("alice").signer.node_id,
        policy(),
        bob.keys_id,
        7,
        bob.keys(),
        CLOSE_SCRIPT["bob"],
        features,
    )


def _proposal(**changes: Any) -> OpenChannel:
    started = _open(make_side("alice"))
    return replace(started.state.sent, **changes)


def _accepted(**changes: Any) -> AcceptChannel:
    (send,) = _accept(_proposal()).actions
    assert isinstance(send, actions.Send)
    assert isinstance(send.message, AcceptChannel)
    return replace(send.message, **changes)


def without(*features: Feature) -> Features:
    """What a peer offers that lacks these."""
    return Features(OUR_INIT.bits - {f + 1 for f in features} - set(features))


def _type(*bits: Feature) -> bytes:
    return Features(frozenset(bit.value for bit in bits)).to_bytes()


PLAIN = (Feature.OPTION_STATIC_REMOTEKEY, Feature.OPTION_ANCHORS)
HIDDEN = _type(*PLAIN, Feature.OPTION_SCID_ALIAS)

# --- open_channel: "The receiving node MUST fail the channel if" ----------------------------------

# At 253 sat/kw a first commitment costs 284 sat, its anchors 660.
_COST = 284 + 660
_FLOOR = FeeratePerKw(253)

REFUSED_OPENS: dict[str, tuple[dict[str, Any], str]] = {
    "chain_hash": ({"chain_hash": MAINNET.chain_hash}, "unknown chain_hash"),
    "trap 10: push_msat above funding": (
        {"push_msat": FUNDING.to_msat() + MilliSatoshi(1)},
        "push_msat is more than funding_satoshis",
    ),
    "trap 10: push_msat of all ones": (
        {"push_msat": MilliSatoshi((1 << 64) - 1)},
        "push_msat is more than funding_satoshis",
    ),
    "trap 10: funding above the supply": (
        {"funding_satoshis": SUPPLY + Satoshi(1)},
        "more than all bitcoin",
    ),
    "trap 10: funding of all ones": (
        {"funding_satoshis": Satoshi((1 << 64) - 1)},
        "more than all bitcoin",
    ),
    "funding below our least": ({"funding_satoshis": Satoshi(19_999)}, "below our 20,000 sat"),
    "to_self_delay": ({"to_self_delay": 2017}, "to_self_delay 2017 is unreasonably large"),
    "max_accepted_htlcs": ({"max_accepted_htlcs": 484}, "max_accepted_htlcs 484"),
    "no HTLC at all": ({"max_accepted_htlcs": 0}, "max_accepted_htlcs 0"),
    "feerate too small": ({"feerate_per_kw": FeeratePerKw(252)}, "feerate_per_kw 252"),
    "feerate too large": ({"feerate_per_kw": FeeratePerKw(250_001)}, "feerate_per_kw 250001"),
    "dust limit 353": ({"dust_limit_satoshis": Satoshi(353)}, "dust_limit_satoshis 353"),
    "dust limit 547": ({"dust_limit_satoshis": Satoshi(547)}, "dust_limit_satoshis 547"),
    "reserve below their dust limit": (
        {"channel_reserve_satoshis": Satoshi(545), "dust_limit_satoshis": Satoshi(546)},
        "channel_reserve_satoshis is below a dust limit",
    ),
    "reserve below our dust limit": (
        {"channel_reserve_satoshis": Satoshi(353)},
        "channel_reserve_satoshis is below a dust limit",
    ),
    "reserve above a fifth": (
        {"channel_reserve_satoshis": Satoshi(200_001)},
        "more than a fifth",
    ),
    "htlc_minimum above a tenth": (
        {"htlc_minimum_msat": MilliSatoshi(100_001_000)},
        "more than a tenth",
    ),
    "fee of the first commitment": (
        {
            "push_msat": MilliSatoshi((FUNDING.sat - _COST) * 1000 + 1),
            "feerate_per_kw": _FLOOR,
        },
        "cannot pay the fee",
    ),
    "both at or below our reserve": (
        {
            "funding_satoshis": Satoshi(20_000),
            "channel_reserve_satoshis": Satoshi(1_000),
            # 1,124 weight units: 17,341 sat, and 660 for the anchors, leave the opener 999.
            "feerate_per_kw": FeeratePerKw(15_428),
            "push_msat": MilliSatoshi(1_000_000),
        },
        "at or below their reserve",
    ),
    "both at or below the opener's reserve": (
        {
            "funding_satoshis": Satoshi(20_000),
            "channel_reserve_satoshis": Satoshi(4_000),
            "feerate_per_kw": FeeratePerKw(12_000),
            "push_msat": MilliSatoshi(2_900_000),
        },
        "at or below their reserve",
    ),
    "no channel_type": ({"channel_type": None}, "without channel_type"),
    "channel_type of other bits": (
        {"channel_type": _type(Feature.OPTION_STATIC_REMOTEKEY)},
        "option_static_remotekey and option_anchors only",
    ),
    "channel_type with zeroconf": (
        {
            "channel_type": _type(
                Feature.OPTION_STATIC_REMOTEKEY, Feature.OPTION_ANCHORS, Feature.OPTION_ZEROCONF
            )
        },
        "option_zeroconf: this node has not been told to trust you",
    ),
    "channel_type with scid_alias to be announced": (
        {"channel_type": HIDDEN, "channel_flags": 1},
        "option_scid_alias: such a channel cannot be announced",
    ),
    "channel_type in too many bytes": (
        {"channel_type": b"\0" + _type(*PLAIN)},
        "option_static_remotekey and option_anchors only",
    ),
    "upfront script of no allowed form": (
        {"upfront_shutdown_script": b"\x6a\x01a"},
        "upfront_shutdown_script of no allowed form: 6a0161",
    ),
    "channel_type empty": ({"channel_type": b""}, "option_anchors only"),
}


@pytest.mark.parametrize("name", REFUSED_OPENS)
def test_open_channel_that_fails(name: str) -> None:
    changes, sentence = REFUSED_OPENS[name]
    with pytest.raises(PeerFault, match=sentence) as caught:
        _accept(_proposal(**changes))
    assert caught.value.severity is Severity.FAIL_CHANNEL


ACCEPTED_OPENS: dict[str, dict[str, Any]] = {
    "as we propose": {},
    "dust limit 354": {"dust_limit_satoshis": Satoshi(354)},
    "dust limit 546": {"dust_limit_satoshis": Satoshi(546)},
    "reserve at the dust limit": {
        "dust_limit_satoshis": Satoshi(546),
        "channel_reserve_satoshis": Satoshi(546),
    },
    "reserve of a fifth": {"channel_reserve_satoshis": Satoshi(200_000)},
    "to_self_delay 2016": {"to_self_delay": 2016},
    "483 HTLCs": {"max_accepted_htlcs": 483},
    "one HTLC": {"max_accepted_htlcs": 1},
    "the least fee rate": {"feerate_per_kw": _FLOOR},
    "the greatest fee rate": {"feerate_per_kw": FeeratePerKw(250_000)},
    "2^24 and more": {"funding_satoshis": Satoshi(1 << 40)},
    "channel_type with scid_alias": {"channel_type": HIDDEN},
    "undefined channel_flags": {"channel_flags": 0xFE},
    "upfront script": {"upfront_shutdown_script": CLOSE_SCRIPT["alice"]},
    "the least funding": {
        "funding_satoshis": Satoshi(20_000),
        "push_msat": MilliSatoshi(0),
        "channel_reserve_satoshis": Satoshi(1_000),
    },
    "one side a satoshi above the reserve": {
        "funding_satoshis": Satoshi(20_000),
        "push_msat": MilliSatoshi(1_000_000),
        "channel_reserve_satoshis": Satoshi(1_000),
        "feerate_per_kw": FeeratePerKw(15_427),
    },
    "all pushed but the fee": {
        "push_msat": MilliSatoshi((FUNDING.sat - _COST) * 1000),
        "feerate_per_kw": _FLOOR,
    },
}


@pytest.mark.parametrize("name", ACCEPTED_OPENS)
def test_open_channel_that_passes(name: str) -> None:
    message = _proposal(**ACCEPTED_OPENS[name])
    (send,) = _accept(message).actions
    assert isinstance(send, actions.Send)
    assert isinstance(send.message, AcceptChannel)
    assert send.message.channel_type == message.channel_type
    assert send.message.temporary_channel_id == message.temporary_channel_id


@pytest.mark.parametrize(
    ("missing", "changes", "sentence"),
    [
        (Feature.OPTION_ANCHORS, {}, "option_anchors, which was not negotiated"),
        (Feature.OPTION_SCID_ALIAS, {"channel_type": HIDDEN}, "option_scid_alias, which was not"),
        (
            Feature.OPTION_SUPPORT_LARGE_CHANNEL,
            {"funding_satoshis": Satoshi(1 << 24)},
            "needs option_support_large_channel",
        ),
    ],
)
def test_what_was_not_negotiated(missing: Feature, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PeerFault, match=sentence):
        _accept(_proposal(**changes), without(missing))


def test_one_below_2_to_the_24_needs_no_feature() -> None:
    message = _proposal(funding_satoshis=Satoshi((1 << 24) - 1))
    assert _accept(message, without(Feature.OPTION_SUPPORT_LARGE_CHANNEL)).actions


@pytest.mark.parametrize(
    "key",
    [
        "funding_pubkey",
        "revocation_basepoint",
        "payment_basepoint",
        "delayed_payment_basepoint",
        "htlc_basepoint",
        "first_per_commitment_point",
    ],
)
@pytest.mark.parametrize("point", [bytes(33), b"\x04" + bytes(32), b"\x02" + b"\xff" * 32])
def test_keys_that_are_no_points(key: str, point: bytes) -> None:
    """BOLT 2: MUST fail the channel if a key is not a valid pubkey in compressed format."""
    for message in (_proposal(), _accepted()):
        whole = encode(message)
        value = getattr(message, key)
        assert whole.count(value) == 1
        with pytest.raises(DecodeError):
            decode(whole.replace(value, point))


# --- accept_channel -------------------------------------------------------------------------------

REFUSED_ACCEPTS: dict[str, tuple[dict[str, Any], str]] = {
    "no channel_type": ({"channel_type": None}, "another channel_type"),
    "another channel_type": (
        {"channel_type": _type(Feature.OPTION_STATIC_REMOTEKEY)},
        "another channel_type",
    ),
    "minimum_depth": ({"minimum_depth": 145}, "minimum_depth 145"),
    "reserve below our dust limit": (
        {"channel_reserve_satoshis": Satoshi(353)},
        "below a dust limit",
    ),
    "dust limit 353": ({"dust_limit_satoshis": Satoshi(353)}, "dust_limit_satoshis 353"),
    "dust limit 547": ({"dust_limit_satoshis": Satoshi(547)}, "dust_limit_satoshis 547"),
    "to_self_delay": ({"to_self_delay": 2017}, "to_self_delay 2017"),
    "max_accepted_htlcs": ({"max_accepted_htlcs": 484}, "max_accepted_htlcs 484"),
    "reserve above a fifth": (
        {"channel_reserve_satoshis": Satoshi(200_001)},
        "more than a fifth",
    ),
    "htlc_minimum above a tenth": (
        {"htlc_minimum_msat": MilliSatoshi(100_001_000)},
        "more than a tenth",
    ),
}


@pytest.mark.parametrize("name", REFUSED_ACCEPTS)
def test_accept_channel_that_fails(name: str) -> None:
    changes, sentence = REFUSED_ACCEPTS[name]
    waiting = _open(make_side("alice")).state
    with pytest.raises(PeerFault, match=sentence) as caught:
        opening.receive_accept(waiting, _accepted(**changes))
    assert caught.value.severity is Severity.FAIL_CHANNEL


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"minimum_depth": 144},
        {"minimum_depth": 0},
        {"dust_limit_satoshis": Satoshi(546), "channel_reserve_satoshis": Satoshi(546)},
        {"to_self_delay": 2016, "max_accepted_htlcs": 483},
    ],
)
def test_accept_channel_that_passes(changes: dict[str, Any]) -> None:
    waiting = _open(make_side("alice")).state
    message = _accepted(**changes)
    assert opening.receive_accept(waiting, message).accepted == message


# --- funding_created and funding_signed -----------------------------------------------------------


def _coin(script: bytes, amount: Satoshi = FUNDING) -> Transaction:
    coin = TxIn(OutPoint(Txid(bytes([7]) * 32), 0))
    return Transaction(2, (coin,), (TxOut(amount, script),))


def test_our_wallet_may_not_fund_another_script_or_amount() -> None:
    waiting = opening.receive_accept(_open(make_side("alice")).state, _accepted())
    alias = ShortChannelId(1, 2, 3)
    for tx in (
        _coin(CLOSE_SCRIPT["alice"]),
        _coin(waiting.output_script, FUNDING - Satoshi(1)),
    ):
        with pytest.raises(InvariantBroken, match="does not pay to the channel"):
            opening.fund(waiting, UnsignedTx(tx, ()), 0, alias, context())


def test_a_wrong_signature_in_funding_created() -> None:
    waiting = _accept(_proposal()).state
    message = FundingCreated(
        waiting.temporary_id, Txid(bytes([7]) * 32), 0, Signature(bytes([1]) * 64)
    )
    with pytest.raises(PeerFault, match="bad signature on commitment") as caught:
        opening.receive_funding_created(waiting, message, ShortChannelId(1, 2, 3), context())
    assert caught.value.severity is Severity.FAIL_CHANNEL


def _until_signed() -> opening.AwaitingFundingSigned:
    waiting = opening.receive_accept(_open(make_side("alice")).state, _accepted())
    tx = UnsignedTx(_coin(waiting.output_script), ())
    return opening.fund(waiting, tx, 0, ShortChannelId(1, 2, 3), context()).state


def test_a_wrong_signature_in_funding_signed_broadcasts_nothing() -> None:
    waiting = _until_signed()
    message = FundingSigned(waiting.draft.id, Signature(bytes([1]) * 64))
    with pytest.raises(PeerFault, match="bad signature on commitment"):
        opening.receive_funding_signed(waiting, message)


def test_funding_signed_for_another_channel() -> None:
    message = FundingSigned(ChannelId(bytes(32)), Signature(bytes([1]) * 64))
    with pytest.raises(PeerFault, match="another channel_id"):
        opening.receive_funding_signed(_until_signed(), message)


# --- our own wishes -------------------------------------------------------------------------------

REFUSED_WISHES: dict[str, tuple[dict[str, Any], Features, str]] = {
    "too small": ({"amount": Satoshi(19_999)}, OUR_INIT, "too small"),
    "2^24 without large channels": (
        {"amount": Satoshi(1 << 24)},
        without(Feature.OPTION_SUPPORT_LARGE_CHANNEL),
        "takes no channel of",
    ),
    "trap 10: above the supply": ({"amount": SUPPLY + Satoshi(1)}, LARGE, "all bitcoin"),
    "trap 10: push above funding": (
        {"push": FUNDING.to_msat() + MilliSatoshi(1)},
        OUR_INIT,
        "push_msat is more",
    ),
    "no anchors": (
        {},
        Features.of(required=(Feature.OPTION_STATIC_REMOTEKEY,)),
        "does not offer option_anchors",
    ),
    # 1,124 sat of fee, 660 of anchors, 10,000 of reserve.
    "push leaves too little": (
        {"push": MilliSatoshi((1_000_000 - 11_784) * 1000 + 1)},
        OUR_INIT,
        "keep its reserve",
    ),
}


@pytest.mark.parametrize("name", REFUSED_WISHES)
def test_a_wish_that_is_refused(name: str) -> None:
    changes, features, sentence = REFUSED_WISHES[name]
    with pytest.raises(Refused, match=sentence):
        _open(make_side("alice"), features, **changes)


@pytest.mark.parametrize(
    ("changes", "features"),
    [
        ({"amount": Satoshi(1 << 24)}, LARGE),
        ({"push": MilliSatoshi((1_000_000 - 11_784) * 1000)}, OUR_INIT),
    ],
)
def test_a_wish_at_its_limit(changes: dict[str, Any], features: Features) -> None:
    (send,) = _open(make_side("alice"), features, **changes).actions
    assert isinstance(send, actions.Send)
    assert isinstance(send.message, OpenChannel)
