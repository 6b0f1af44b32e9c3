"""What each further method takes: messages, the chain, waiting, history (see signatures.py)."""

from typing import Final

from wallet.faces.rpc.history_filter import cursor, history_filter
from wallet.faces.rpc.params import AnyParam, Param
from wallet.faces.rpc.parsers import (
    array_of,
    boolean,
    feerate,
    label,
    node_id,
    one_of,
    outpoint,
    sat_or_all,
    string,
    u16,
    u32,
    u64,
)


class Disconnect:
    ID: Final = Param("id", node_id, required=True)
    FORCE: Final = Param("force", boolean)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, FORCE)


class Ping:
    ID: Final = Param("id", node_id, required=True)
    LEN: Final = Param("len", u16)
    PONGBYTES: Final = Param("pongbytes", u16)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, LEN, PONGBYTES)


class SignMessage:
    MESSAGE: Final = Param("message", string, required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (MESSAGE,)


class CheckMessage:
    MESSAGE: Final = Param("message", string, required=True)
    ZBASE: Final = Param("zbase", string, required=True)
    PUBKEY: Final = Param("pubkey", node_id)
    PARAMS: Final[tuple[AnyParam, ...]] = (MESSAGE, ZBASE, PUBKEY)


class ListConfigs:
    CONFIG: Final = Param("config", string)
    PARAMS: Final[tuple[AnyParam, ...]] = (CONFIG,)


class DelInvoice:
    LABEL: Final = Param("label", label, required=True)
    STATUS: Final = Param("status", one_of("paid", "expired", "unpaid"), required=True)
    DESCONLY: Final = Param("desconly", boolean)
    PARAMS: Final[tuple[AnyParam, ...]] = (LABEL, STATUS, DESCONLY)


class WaitAnyInvoice:
    LASTPAY_INDEX: Final = Param("lastpay_index", u64)
    TIMEOUT: Final = Param("timeout", u64)
    PARAMS: Final[tuple[AnyParam, ...]] = (LASTPAY_INDEX, TIMEOUT)


class Withdraw:
    DESTINATION: Final = Param("destination", string, required=True)
    SATOSHI: Final = Param("satoshi", sat_or_all, required=True)
    FEERATE: Final = Param("feerate", feerate)
    MINCONF: Final = Param("minconf", u16)
    UTXOS: Final = Param("utxos", array_of(outpoint))
    PARAMS: Final[tuple[AnyParam, ...]] = (DESTINATION, SATOSHI, FEERATE, MINCONF, UTXOS)


class ListClosedChannels:
    ID: Final = Param("id", node_id)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID,)


class Wait:
    SUBSYSTEM: Final = Param(
        "subsystem",
        one_of(
            "invoices", "forwards", "sendpays", "htlcs", "chainmoves", "channelmoves",
            "networkevents",
        ),
        required=True,
    )  # fmt: skip
    INDEXNAME: Final = Param("indexname", one_of("created", "updated", "deleted"), required=True)
    NEXTVALUE: Final = Param("nextvalue", u64, required=True)
    PARAMS: Final[tuple[AnyParam, ...]] = (SUBSYSTEM, INDEXNAME, NEXTVALUE)


class Events:
    """Ours: from which number on, and for how many seconds to wait for something to tell."""

    SINCE: Final = Param("since", u64)
    TIMEOUT: Final = Param("timeout", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (SINCE, TIMEOUT)


class Flow:
    """Ours: from which number on, for how many seconds to wait, and how many at once."""

    SINCE: Final = Param("since", u64)
    TIMEOUT: Final = Param("timeout", u32)
    LIMIT: Final = Param("limit", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (SINCE, TIMEOUT, LIMIT)


class TrustPeer:
    """Ours: a peer, and whether its unconfirmed channels are taken."""

    ID: Final = Param("id", node_id, required=True)
    TRUSTED: Final = Param("trusted", boolean)
    PARAMS: Final[tuple[AnyParam, ...]] = (ID, TRUSTED)


class History:
    """Ours: what to show (history_filter.py), from where on, and how much at once."""

    FILTER: Final = Param("filter", history_filter)
    START: Final = Param("start", cursor)
    LIMIT: Final = Param("limit", u32)
    PARAMS: Final[tuple[AnyParam, ...]] = (FILTER, START, LIMIT)
