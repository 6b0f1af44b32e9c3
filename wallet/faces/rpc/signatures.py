"""What each method takes: names, order and which are required, as in Core Lightning v26.06.

One class per method, never instantiated: a namespace of `Param`s, and `PARAMS` in the order of
positional calls.  Handlers look their arguments up with these (`args[Invoice.LABEL]`), so a name is
written once.  Parameters that Core Lightning takes only in developer mode are absent.
"""

from dataclasses import dataclass
from typing import Final

from wallet.base.errors import DecodeError
from wallet.base.values.ids import ChannelId, NodeId, ShortChannelId
from wallet.faces.rpc.params import AnyParam, Param, Unfit
from wallet.faces.rpc.parsers import (
    array_of,
    boolean,
    channel_id,
    feerate,
    hex_bytes,
    label,
    msat,
    msat_or_any,
    node_id,
    one_of,
    outpoint,
    payment_hash,
    peer_address,
    preimage,
    sat,
    sat_or_all,
    short_channel_id,
    string,
    u16,
    u32,
    u64,
)


@dataclass(frozen=True, slots=True)
class ChannelSelector:
    """What `close` may name: exactly one of a peer, a channel id or a short channel id."""

    node_id: NodeId | None = None
    channel_id: ChannelId | None = None
    short_channel_id: ShortChannelId | None = None


def channel_selector(value: object) -> ChannelSelector:
    """A peer's id, a channel id (32 bytes in hexadecimal) or `700000x12x1`."""
    text = value if isinstance(value, str) else ""
    try:
        if "x" in text:
            return ChannelSelector(short_channel_id=ShortChannelId.parse(text))
        if len(text) == 66:
            return ChannelSelector(node_id=node_id(text))
        return ChannelSelector(channel_id=channel_id(text))
    except (DecodeError, Unfit):
        raise Unfit("should be a channel ID, a short channel ID or a peer's id") from None


def _hint_channels(value: object) -> bool | tuple[ShortChannelId, ...]:
    """Whether private channels become route hints, or which channels do."""
    if isinstance(value, list):
        return tuple(short_channel_id(item) for item in value)
    if isinstance(value, str) and "x" in value:
        return (short_channel_id(value),)
    return boolean(value)


class NewAddr:
    ADDRESSTYPE: Final = Param("addresstype", one_of("p2tr", "bech32", "all"))
    PARAMS: Final[tuple[AnyParam, ...]] = (ADDRESSTYPE,)


class ListFunds:
    SPENT: Final = Param("spent", boolean)
    PARAMS: Final[tuple[AnyParam, ...]] = (SPENT,)


class Connect:
    ID: Final = Param("id", peer_address, required=True)
    HOST: Final = Param("host", string)
    PORT: Final = Param("port", u16)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, HOST, PORT)


class ListPeers:
    ID: Final = Param("id", node_id)
    LEVEL: Final = Param("level", string)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, LEVEL)


class FundChannel:
    ID: Final = Param("id", node_id, required=True)
    AMOUNT: Final = Param("amount", sat_or_all, required=True)
    FEERATE: Final = Param("feerate", feerate)
    ANNOUNCE: Final = Param("announce", boolean)
    MINCONF: Final = Param("minconf", u32)
    UTXOS: Final = Param("utxos", array_of(outpoint))
    PUSH_MSAT: Final = Param("push_msat", msat)
    CLOSE_TO: Final = Param("close_to", string)
    REQUEST_AMT: Final = Param("request_amt", sat)
    COMPACT_LEASE: Final = Param("compact_lease", string)
    MINDEPTH: Final = Param("mindepth", u32)
    RESERVE: Final = Param("reserve", sat)
    CHANNEL_TYPE: Final = Param("channel_type", array_of(u32))
    PARAMS: Final[tuple[AnyParam, ...]] = (
        ID,
        AMOUNT,
        FEERATE,
        ANNOUNCE,
        MINCONF,
        UTXOS,
        PUSH_MSAT,
        CLOSE_TO,
        REQUEST_AMT,
        COMPACT_LEASE,
        MINDEPTH,
        RESERVE,
        CHANNEL_TYPE,
    )


class ListPeerChannels:
    ID: Final = Param("id", node_id)
    SHORT_CHANNEL_ID: Final = Param("short_channel_id", short_channel_id)
    CHANNEL_ID: Final = Param("channel_id", channel_id)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, SHORT_CHANNEL_ID, CHANNEL_ID)


class Invoice:
    AMOUNT_MSAT: Final = Param("amount_msat", msat_or_any, required=True)
    LABEL: Final = Param("label", label, required=True)
    DESCRIPTION: Final = Param("description", string, required=True)
    EXPIRY: Final = Param("expiry", u64)
    FALLBACKS: Final = Param("fallbacks", array_of(string))
    PREIMAGE: Final = Param("preimage", preimage)
    EXPOSEPRIVATECHANNELS: Final = Param("exposeprivatechannels", _hint_channels)
    CLTV: Final = Param("cltv", u32)
    DESCHASHONLY: Final = Param("deschashonly", boolean)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        AMOUNT_MSAT,
        LABEL,
        DESCRIPTION,
        EXPIRY,
        FALLBACKS,
        PREIMAGE,
        EXPOSEPRIVATECHANNELS,
        CLTV,
        DESCHASHONLY,
    )


class ListInvoices:
    LABEL: Final = Param("label", label)
    INVSTRING: Final = Param("invstring", string)
    PAYMENT_HASH: Final = Param("payment_hash", payment_hash)
    OFFER_ID: Final = Param("offer_id", hex_bytes)
    INDEX: Final = Param("index", one_of("created", "updated"))
    START: Final = Param("start", u64)
    LIMIT: Final = Param("limit", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (
        LABEL,
        INVSTRING,
        PAYMENT_HASH,
        OFFER_ID,
        INDEX,
        START,
        LIMIT,
    )


class WaitInvoice:
    LABEL: Final = Param("label", label, required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (LABEL,)


class Decode:
    STRING: Final = Param("string", string, required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (STRING,)


class Close:
    ID: Final = Param("id", channel_selector, required=True)
    UNILATERALTIMEOUT: Final = Param("unilateraltimeout", u32)
    DESTINATION: Final = Param("destination", string)
    FEE_NEGOTIATION_STEP: Final = Param("fee_negotiation_step", string)
    WRONG_FUNDING: Final = Param("wrong_funding", outpoint)
    FORCE_LEASE_CLOSED: Final = Param("force_lease_closed", boolean)
    FEERANGE: Final = Param("feerange", array_of(feerate))
    PARAMS: Final[tuple[AnyParam, ...]] = (
        ID,
        UNILATERALTIMEOUT,
        DESTINATION,
        FEE_NEGOTIATION_STEP,
        WRONG_FUNDING,
        FORCE_LEASE_CLOSED,
        FEERANGE,
    )


class Feerates:
    STYLE: Final = Param("style", one_of("perkw", "perkb"), required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (STYLE,)


class Unlock:
    """Ours: the password of the seed file."""

    PASSWORD: Final = Param("password", string, required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (PASSWORD,)
