"""What the methods of money out and through take (see signatures.py), and how routes are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wallet.base.invoices.tagged import HintHop
from wallet.base.values.amounts import MilliSatoshi
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.ids import NodeId, ShortChannelId
from wallet.faces.rpc.params import AnyParam, Param, Parser, T, Unfit
from wallet.faces.rpc.parsers import (
    array_of,
    boolean,
    fraction,
    hex_bytes,
    msat,
    node_id,
    one_of,
    payment_hash,
    short_channel_id,
    string,
    u16,
    u32,
    u64,
)
from wallet.faces.rpc.signatures import ChannelSelector, channel_selector

FIRST_CUSTOM_TLV: Final = 65_536
"""BOLT 1: types from here on are free for custom records; those below are the BOLTs' own."""
KEYSEND_PREIMAGE: Final = 5_482_373_484
_DIRECTED: Final = re.compile(r"([0-9]+x[0-9]+x[0-9]+)/([01])", re.ASCII)
_TYPE: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class GivenHop:
    """One channel of a route that the caller chose; `delay` is in blocks above the chain's tip."""

    node_id: NodeId
    scid: ShortChannelId
    amount: MilliSatoshi
    delay: int


def u63(value: object) -> int:
    """A number that fits the database; Core Lightning's own groups and parts do."""
    number = u64(value)
    if number >= 1 << 63:
        raise Unfit("should be an unsigned 63 bit integer")
    return number


def excluded(value: object) -> str:
    """`103x1x0/1` or a node id, as a search reads it."""
    text = value if isinstance(value, str) else ""
    if found := _DIRECTED.fullmatch(text):
        return f"{short_channel_id(found[1])}/{found[2]}"
    try:
        return node_id(text).hex()
    except Unfit:
        raise Unfit("should be short_channel_id/direction or node_id") from None


def route_hop(value: object) -> GivenHop:
    """An item of `getroute`'s route, or of one of `getroutes`' paths; other members are ignored."""
    item = value if isinstance(value, dict) else {}
    scid = _named(item, "short_channel_id_dir", "channel")
    if isinstance(scid, str):
        scid = scid.partition("/")[0]
    hop = GivenHop(
        node_id(_named(item, "node_id_out", "id")),
        short_channel_id(scid),
        msat(_named(item, "amount_out_msat", "amount_msat")),
        u32(_named(item, "cltv_out", "delay")),
    )
    if hop.delay >= 1 << 31:
        raise Unfit("delay: should be a number of blocks")
    return hop


def _named(item: Mapping[str, object], *names: str) -> object:
    for name in names:
        if name in item:
            return item[name]
    raise Unfit(f"each hop should have {' or '.join(names)}")


def hint_hop(value: object) -> HintHop:
    """One entry of `keysend`'s route hints."""
    item = value if isinstance(value, dict) else {}
    return HintHop(
        node_id(_named(item, "id")),
        short_channel_id(_named(item, "scid")),
        msat(_named(item, "feebase")),
        u32(_named(item, "feeprop")),
        CltvDelta(u16(_named(item, "expirydelta"))),
    )


def extra_tlvs(value: object) -> tuple[tuple[int, bytes], ...]:
    """`{"133773310": "68656c6c6f"}`: records for the payee, ascending."""
    if not isinstance(value, dict):
        raise Unfit("should be an object of hexadecimal strings")
    found: dict[int, bytes] = {}
    for name, data in value.items():
        kind = int(name) if _TYPE.fullmatch(str(name)) else 0
        if not FIRST_CUSTOM_TLV <= kind < 1 << 64 or kind == KEYSEND_PREIMAGE:
            raise Unfit(f"types should be numbers from {FIRST_CUSTOM_TLV} on, but keysend's own")
        found[kind] = hex_bytes(data)
    return tuple(sorted(found.items()))


def channels_selector(value: object) -> ChannelSelector | None:
    """A channel, all channels with a peer, or (None) `all`."""
    return None if value == "all" else channel_selector(value)


def _secret(value: object) -> bytes:
    data = hex_bytes(value)
    if len(data) != 32:
        raise Unfit("should be a 32 byte hex value")
    return data


def _not_empty(item: Parser[T]) -> Parser[tuple[T, ...]]:
    read = array_of(item)

    def parse(value: object) -> tuple[T, ...]:
        found = read(value)
        if not found:
            raise Unfit("should not be empty: a payment to oneself moves no money")
        return found

    return parse


class Pay:
    # `bolt11` was the first one's only name before v26.06; wallets still use it.
    INVSTRING: Final = Param("invstring", string, required=True, also=("bolt11",))
    AMOUNT_MSAT: Final = Param("amount_msat", msat)
    LABEL: Final = Param("label", string)
    RISKFACTOR: Final = Param("riskfactor", fraction)
    MAXFEEPERCENT: Final = Param("maxfeepercent", fraction)
    RETRY_FOR: Final = Param("retry_for", u16)
    MAXDELAY: Final = Param("maxdelay", u16)
    EXEMPTFEE: Final = Param("exemptfee", msat)
    LOCALINVREQID: Final = Param("localinvreqid", payment_hash)
    EXCLUDE: Final = Param("exclude", array_of(excluded))
    MAXFEE: Final = Param("maxfee", msat)
    DESCRIPTION: Final = Param("description", string)
    PARTIAL_MSAT: Final = Param("partial_msat", msat)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        INVSTRING,
        AMOUNT_MSAT,
        LABEL,
        RISKFACTOR,
        MAXFEEPERCENT,
        RETRY_FOR,
        MAXDELAY,
        EXEMPTFEE,
        LOCALINVREQID,
        EXCLUDE,
        MAXFEE,
        DESCRIPTION,
        PARTIAL_MSAT,
    )


class ListPays:
    BOLT11: Final = Param("bolt11", string, also=("invstring",))
    PAYMENT_HASH: Final = Param("payment_hash", payment_hash)
    STATUS: Final = Param("status", one_of("pending", "complete", "failed"))
    INDEX: Final = Param("index", one_of("created", "updated"))
    START: Final = Param("start", u64)
    LIMIT: Final = Param("limit", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (BOLT11, PAYMENT_HASH, STATUS, INDEX, START, LIMIT)


class XPay:
    INVSTRING: Final = Param("invstring", string, required=True)
    AMOUNT_MSAT: Final = Param("amount_msat", msat)
    MAXFEE: Final = Param("maxfee", msat)
    LAYERS: Final = Param("layers", array_of(string))
    RETRY_FOR: Final = Param("retry_for", u32)
    PARTIAL_MSAT: Final = Param("partial_msat", msat)
    MAXDELAY: Final = Param("maxdelay", u32)
    PAYER_NOTE: Final = Param("payer_note", string)
    LABEL: Final = Param("label", string)
    LOCALINVREQID: Final = Param("localinvreqid", payment_hash)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        INVSTRING,
        AMOUNT_MSAT,
        MAXFEE,
        LAYERS,
        RETRY_FOR,
        PARTIAL_MSAT,
        MAXDELAY,
        PAYER_NOTE,
        LABEL,
        LOCALINVREQID,
    )


class KeySend:
    DESTINATION: Final = Param("destination", node_id, required=True)
    AMOUNT_MSAT: Final = Param("amount_msat", msat, required=True)
    LABEL: Final = Param("label", string)
    MAXFEEPERCENT: Final = Param("maxfeepercent", fraction)
    RETRY_FOR: Final = Param("retry_for", u32)
    MAXDELAY: Final = Param("maxdelay", u32)
    EXEMPTFEE: Final = Param("exemptfee", msat)
    ROUTEHINTS: Final = Param("routehints", array_of(array_of(hint_hop)))
    EXTRATLVS: Final = Param("extratlvs", extra_tlvs)
    MAXFEE: Final = Param("maxfee", msat)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        DESTINATION,
        AMOUNT_MSAT,
        LABEL,
        MAXFEEPERCENT,
        RETRY_FOR,
        MAXDELAY,
        EXEMPTFEE,
        ROUTEHINTS,
        EXTRATLVS,
        MAXFEE,
    )


class XKeySend:
    DESTINATION: Final = Param("destination", node_id, required=True)
    AMOUNT_MSAT: Final = Param("amount_msat", msat, required=True)
    LABEL: Final = Param("label", string)
    MAXFEE: Final = Param("maxfee", msat)
    LAYERS: Final = Param("layers", array_of(string))
    RETRY_FOR: Final = Param("retry_for", u32)
    MAXDELAY: Final = Param("maxdelay", u32)
    EXTRATLVS: Final = Param("extratlvs", extra_tlvs)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        DESTINATION,
        AMOUNT_MSAT,
        LABEL,
        MAXFEE,
        LAYERS,
        RETRY_FOR,
        MAXDELAY,
        EXTRATLVS,
    )


class SendPay:
    ROUTE: Final = Param("route", _not_empty(route_hop), required=True)
    PAYMENT_HASH: Final = Param("payment_hash", payment_hash, required=True)
    LABEL: Final = Param("label", string)
    AMOUNT_MSAT: Final = Param("amount_msat", msat)
    BOLT11: Final = Param("bolt11", string)
    PAYMENT_SECRET: Final = Param("payment_secret", _secret)
    PARTID: Final = Param("partid", u63)
    LOCALINVREQID: Final = Param("localinvreqid", payment_hash)
    GROUPID: Final = Param("groupid", u63)
    PAYMENT_METADATA: Final = Param("payment_metadata", hex_bytes)
    DESCRIPTION: Final = Param("description", string)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        ROUTE,
        PAYMENT_HASH,
        LABEL,
        AMOUNT_MSAT,
        BOLT11,
        PAYMENT_SECRET,
        PARTID,
        LOCALINVREQID,
        GROUPID,
        PAYMENT_METADATA,
        DESCRIPTION,
    )


class WaitSendPay:
    PAYMENT_HASH: Final = Param("payment_hash", payment_hash, required=True)
    TIMEOUT: Final = Param("timeout", u32)
    PARTID: Final = Param("partid", u63)
    GROUPID: Final = Param("groupid", u63)
    PARAMS: Final[tuple[AnyParam, ...]] = (PAYMENT_HASH, TIMEOUT, PARTID, GROUPID)


_INDEX: Final = Param("index", one_of("created", "updated"))
_START: Final = Param("start", u63)
_LIMIT: Final = Param("limit", u32)


class ListSendPays:
    BOLT11: Final = Param("bolt11", string)
    PAYMENT_HASH: Final = Param("payment_hash", payment_hash)
    STATUS: Final = Param("status", one_of("pending", "complete", "failed"))
    INDEX, START, LIMIT = _INDEX, _START, _LIMIT
    PARAMS: Final[tuple[AnyParam, ...]] = (BOLT11, PAYMENT_HASH, STATUS, INDEX, START, LIMIT)


class ListForwards:
    STATUS: Final = Param("status", one_of("offered", "settled", "local_failed", "failed"))
    IN_CHANNEL: Final = Param("in_channel", short_channel_id)
    OUT_CHANNEL: Final = Param("out_channel", short_channel_id)
    INDEX, START, LIMIT = _INDEX, _START, _LIMIT
    PARAMS: Final[tuple[AnyParam, ...]] = (STATUS, IN_CHANNEL, OUT_CHANNEL, INDEX, START, LIMIT)


class ListHtlcs:
    ID: Final = Param("id", channel_selector)
    INDEX, START, LIMIT = _INDEX, _START, _LIMIT
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, INDEX, START, LIMIT)


class SetChannel:
    ID: Final = Param("id", channels_selector, required=True)
    FEEBASE: Final = Param("feebase", msat)
    FEEPPM: Final = Param("feeppm", u32)
    HTLCMIN: Final = Param("htlcmin", msat)
    HTLCMAX: Final = Param("htlcmax", msat)
    ENFORCEDELAY: Final = Param("enforcedelay", u32)
    IGNOREFEELIMITS: Final = Param("ignorefeelimits", boolean)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        ID,
        FEEBASE,
        FEEPPM,
        HTLCMIN,
        HTLCMAX,
        ENFORCEDELAY,
        IGNOREFEELIMITS,
    )
