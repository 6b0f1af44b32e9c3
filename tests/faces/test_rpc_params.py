"""Parameters: declared as Core Lightning declares them, refused in its sentences."""

from typing import Any

import pytest

from wallet.base.crypto.curve import point_of
from wallet.base.errors import Refused
from wallet.base.values.amounts import FeeratePerKw, MilliSatoshi, Satoshi
from wallet.base.values.ids import NodeId, OutPoint, ShortChannelId, Txid
from wallet.faces.rpc import parsers, sending_signatures, signatures
from wallet.faces.rpc.params import AnyParam, Param, Unfit, read_params, usage
from wallet.faces.rpc.parsers import FeerateTarget, PeerAddress, Special
from wallet.faces.rpc.signatures import ChannelSelector

NODE = NodeId(point_of((7).to_bytes(32, "big")))
HEX_NODE = NODE.hex()

# Core Lightning v26.06, `help`, without its developers' parameters.
USAGE: dict[str, tuple[tuple[AnyParam, ...], str]] = {
    "newaddr": (signatures.NewAddr.PARAMS, "[addresstype]"),
    "listfunds": (signatures.ListFunds.PARAMS, "[spent]"),
    "connect": (signatures.Connect.PARAMS, "id [host] [port]"),
    "listpeers": (signatures.ListPeers.PARAMS, "[id] [level]"),
    "fundchannel": (
        signatures.FundChannel.PARAMS,
        "id amount [feerate] [announce] [minconf] [utxos] [push_msat] [close_to] [request_amt]"
        " [compact_lease] [mindepth] [reserve] [channel_type]",
    ),
    "listpeerchannels": (
        signatures.ListPeerChannels.PARAMS,
        "[id] [short_channel_id] [channel_id]",
    ),
    "invoice": (
        signatures.Invoice.PARAMS,
        "amount_msat label description [expiry] [fallbacks] [preimage] [exposeprivatechannels]"
        " [cltv] [deschashonly]",
    ),
    "listinvoices": (
        signatures.ListInvoices.PARAMS,
        "[label] [invstring] [payment_hash] [offer_id] [index] [start] [limit]",
    ),
    "waitinvoice": (signatures.WaitInvoice.PARAMS, "label"),
    "decode": (signatures.Decode.PARAMS, "string"),
    "pay": (
        sending_signatures.Pay.PARAMS,
        "invstring [amount_msat] [label] [riskfactor] [maxfeepercent] [retry_for] [maxdelay]"
        " [exemptfee] [localinvreqid] [exclude] [maxfee] [description] [partial_msat]",
    ),
    "listpays": (
        sending_signatures.ListPays.PARAMS,
        "[bolt11] [payment_hash] [status] [index] [start] [limit]",
    ),
    "xpay": (
        sending_signatures.XPay.PARAMS,
        "invstring [amount_msat] [maxfee] [layers] [retry_for] [partial_msat] [maxdelay]"
        " [payer_note] [label] [localinvreqid]",
    ),
    "keysend": (
        sending_signatures.KeySend.PARAMS,
        "destination amount_msat [label] [maxfeepercent] [retry_for] [maxdelay] [exemptfee]"
        " [routehints] [extratlvs] [maxfee]",
    ),
    "xkeysend": (
        sending_signatures.XKeySend.PARAMS,
        "destination amount_msat [label] [maxfee] [layers] [retry_for] [maxdelay] [extratlvs]",
    ),
    "sendpay": (
        sending_signatures.SendPay.PARAMS,
        "route payment_hash [label] [amount_msat] [bolt11] [payment_secret] [partid]"
        " [localinvreqid] [groupid] [payment_metadata] [description]",
    ),
    "waitsendpay": (
        sending_signatures.WaitSendPay.PARAMS,
        "payment_hash [timeout] [partid] [groupid]",
    ),
    "listsendpays": (
        sending_signatures.ListSendPays.PARAMS,
        "[bolt11] [payment_hash] [status] [index] [start] [limit]",
    ),
    "listforwards": (
        sending_signatures.ListForwards.PARAMS,
        "[status] [in_channel] [out_channel] [index] [start] [limit]",
    ),
    "listhtlcs": (sending_signatures.ListHtlcs.PARAMS, "[id] [index] [start] [limit]"),
    "setchannel": (
        sending_signatures.SetChannel.PARAMS,
        "id [feebase] [feeppm] [htlcmin] [htlcmax] [enforcedelay] [ignorefeelimits]",
    ),
    "close": (
        signatures.Close.PARAMS,
        "id [unilateraltimeout] [destination] [fee_negotiation_step] [wrong_funding]"
        " [force_lease_closed] [feerange]",
    ),
    "feerates": (signatures.Feerates.PARAMS, "style"),
}


@pytest.mark.parametrize("name", USAGE)
def test_signature__names_order_and_required(name: str) -> None:
    params, line = USAGE[name]
    assert usage(name, params) == f"{name} {line}"
    required = [p.required for p in params]
    assert required == sorted(required, reverse=True)


SENTENCES = [
    ({}, "missing required parameter: amount_msat"),
    ([1000, "x"], "missing required parameter: description"),
    ([None, "x", "y"], "missing required parameter: amount_msat"),
    (
        {"foo": 1},
        "unknown parameter: foo, this may be caused by a failure to autodetect key=value-style"
        " parameters. Please try using the -k flag and explicit key=value pairs of parameters.",
    ),
    ([1] * 10, "too many parameters: got 10, expected 9"),
    ("text", "Expected array or object for params"),
    (
        ["x", "l", "d"],
        "amount_msat: should be positive msat or 'any': invalid token '\"x\"'",
    ),
    (
        {"amount_msat": 1, "label": True, "description": "d"},
        "label: should be a string or number: invalid token 'true'",
    ),
    (
        {"amount_msat": 1, "label": 1, "description": "d", "preimage": "00"},
        "preimage: should be a 32 byte hex value: invalid token '\"00\"'",
    ),
    (
        {"amount_msat": 1, "label": 1, "description": "d", "cltv": -1},
        "cltv: should be an unsigned 32 bit integer: invalid token '-1'",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), SENTENCES)
def test_read__refuses_in_core_lightnings_words(given: object, sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        read_params(signatures.Invoice.PARAMS, given)
    assert (caught.value.code, caught.value.message) == (-32602, sentence)


def test_read__a_long_bad_value_is_cut() -> None:
    with pytest.raises(Refused) as caught:
        read_params(signatures.FundChannel.PARAMS, ["f" * 100_000, 1])
    assert len(caught.value.message) < 300


def test_read__types_come_back() -> None:
    args = read_params(signatures.Invoice.PARAMS, ["1000msat", 7, "tea", None, None, None, "true"])
    assert args[signatures.Invoice.AMOUNT_MSAT] == MilliSatoshi(1000)
    assert args[signatures.Invoice.LABEL] == "7"
    assert args.get(signatures.Invoice.EXPIRY) is None
    assert args.get_or(signatures.Invoice.EXPIRY, 3600) == 3600
    assert args[signatures.Invoice.EXPOSEPRIVATECHANNELS] is True
    args = read_params(sending_signatures.Pay.PARAMS, {"bolt11": "lnbcrt1", "amount_msat": None})
    assert args[sending_signatures.Pay.INVSTRING] == "lnbcrt1"


def test_read__both_names_of_one_parameter() -> None:
    with pytest.raises(Refused, match="duplicate json names: invstring"):
        read_params(sending_signatures.Pay.PARAMS, {"bolt11": "a", "invstring": "b"})


GOOD: list[tuple[Any, object, object]] = [
    (parsers.msat, 1000, MilliSatoshi(1000)),
    (parsers.msat, "1000", MilliSatoshi(1000)),
    (parsers.msat, "1000msat", MilliSatoshi(1000)),
    (parsers.msat, "5sat", MilliSatoshi(5000)),
    (parsers.msat, "1.5sat", MilliSatoshi(1500)),
    (parsers.msat, "0.5btc", MilliSatoshi(50_000_000_000)),
    (parsers.msat, "0.00000000001btc", MilliSatoshi(1)),
    (parsers.msat, 0, MilliSatoshi(0)),
    (parsers.msat, "21000000btc", MilliSatoshi(parsers.MAX_MONEY_MSAT)),
    (parsers.msat_or_any, "any", Special.ANY),
    (parsers.sat, 5, Satoshi(5)),
    (parsers.sat, "5000msat", Satoshi(5)),
    (parsers.sat_or_all, "all", Special.ALL),
    (parsers.sat_or_all, "0.1btc", Satoshi(10_000_000)),
    (parsers.feerate, "253perkw", FeeratePerKw(253)),
    (parsers.feerate, "1000perkb", FeeratePerKw(253)),
    (parsers.feerate, 2001, FeeratePerKw(501)),
    (parsers.feerate, "normal", FeerateTarget(12, "normal")),
    (parsers.feerate, "urgent", FeerateTarget(6, "urgent")),
    (parsers.feerate, "slow", FeerateTarget(100, "slow")),
    (parsers.feerate, "3blocks", FeerateTarget(3, "3blocks")),
    (parsers.node_id, HEX_NODE, NODE),
    (parsers.peer_address, HEX_NODE, PeerAddress(NODE, None, None)),
    (parsers.peer_address, f"{HEX_NODE}@h.example", PeerAddress(NODE, "h.example", None)),
    (parsers.peer_address, f"{HEX_NODE}@127.0.0.1:9735", PeerAddress(NODE, "127.0.0.1", 9735)),
    (parsers.peer_address, f"{HEX_NODE}@[::1]:1", PeerAddress(NODE, "::1", 1)),
    (parsers.short_channel_id, "103x1x0", ShortChannelId(103, 1, 0)),
    (parsers.channel_id, "0A" * 32, b"\x0a" * 32),
    (parsers.payment_hash, int("1" * 64), bytes.fromhex("1" * 64)),
    (parsers.outpoint, "ab" * 32 + ":1", OutPoint(Txid(b"\xab" * 32), 1)),
    (parsers.boolean, True, True),
    (parsers.boolean, "false", False),
    (parsers.string, "naïve", "naïve"),
    (parsers.string, 12, "12"),
    (parsers.u64, (1 << 64) - 1, (1 << 64) - 1),
    (parsers.u16, "65535", 65535),
    (parsers.fraction, "0.5", 0.5),
    (parsers.hex_bytes, "", b""),
    (parsers.array_of(parsers.u32), [1, "2"], (1, 2)),
    (signatures.channel_selector, HEX_NODE, ChannelSelector(node_id=NODE)),
    (signatures.channel_selector, "1x2x3", ChannelSelector(None, None, ShortChannelId(1, 2, 3))),
]


@pytest.mark.parametrize(("parse", "value", "expected"), GOOD)
def test_parser__takes(parse: Any, value: object, expected: object) -> None:
    assert parse(value) == expected


NO_MSAT: list[object] = [
    *("", "-1", "1.5", "1.5msat", "1.0001sat", "0.000000000001btc", "1 msat", "1e3"),
    *("1msatoshi", "٣", "21000000.1btc", 1.0, True, -1, [], {}, "9" * 30),
]
BAD: list[tuple[Any, object, str]] = [
    *((parsers.msat, value, "should be a millisatoshi amount") for value in NO_MSAT),
    (parsers.msat_or_any, 0, "should be positive msat or 'any'"),
    (parsers.sat, "1500msat", "should be a satoshi amount"),
    (parsers.sat_or_all, "any", "should be a satoshi amount"),
    *[
        (parsers.feerate, value, "should be an integer with optional perkw/perkb")
        for value in ("fast", "-1", "0blocks", "1.5perkw", True, None, "99999999999")
    ],
    (parsers.node_id, "02" + "ff" * 32, "should be a node id"),
    (parsers.node_id, HEX_NODE[:-2], "should be a node id"),
    (parsers.peer_address, f"{HEX_NODE}@", "should be of form id"),
    (parsers.peer_address, f"{HEX_NODE}@host:65536", "should be of form id"),
    (parsers.short_channel_id, "1x2", "should be a short_channel_id of form NxNxN"),
    (parsers.channel_id, "00", "should be a channel id"),
    (parsers.outpoint, "ab:1", "should be a txid:outnum"),
    (parsers.boolean, 1, "should be 'true' or 'false'"),
    (parsers.string, [], "should be a string"),
    (parsers.string, "\ud800", "should be a string"),
    (parsers.label, 1.5, "should be a string or number"),
    (parsers.u16, 65536, "should be an unsigned 16 bit integer"),
    (parsers.u32, 1.0, "should be an unsigned 32 bit integer"),
    (parsers.u64, 1 << 64, "should be an unsigned 64 bit integer"),
    (parsers.fraction, "nan", "should be a non-negative floating-point number"),
    (parsers.fraction, True, "should be a non-negative floating-point number"),
    (parsers.fraction, -0.5, "should be a non-negative floating-point number"),
    (parsers.hex_bytes, "abc", "should be a hex value"),
    (parsers.array, {}, "should be an array"),
    (parsers.one_of("a", "b", "c"), "d", "should be 'a', 'b' or 'c'"),
    (signatures.channel_selector, "1x2", "should be a channel ID"),
    (signatures.channel_selector, 7, "should be a channel ID"),
]


@pytest.mark.parametrize(("parse", "value", "should_be"), BAD)
def test_parser__refuses(parse: Any, value: object, should_be: str) -> None:
    with pytest.raises(Unfit) as caught:
        parse(value)
    assert caught.value.should_be.startswith(should_be)


def test_usage__brackets_what_is_optional() -> None:
    params = (Param("a", parsers.string, required=True), Param("b", parsers.string))
    assert usage("m", params) == "m a [b]"
    assert usage("m", ()) == "m "
