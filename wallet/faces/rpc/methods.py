"""Core Lightning's methods over our core: read parameters, ask the api, give the answer its shape.

`METHODS` at the end is the table that the daemon serves.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from wallet import __version__
from wallet.base.bitcoin.address import decode_address, encode_address
from wallet.base.channel_tx.format import ANCHORS
from wallet.base.errors import DecodeError, Refused
from wallet.base.invoices.bolt11 import Invoice as Bolt11
from wallet.base.invoices.bolt11 import decode_invoice
from wallet.base.invoices.uri import parse_request
from wallet.base.values.amounts import (
    FEERATE_FLOOR,
    ZERO_MSAT,
    FeeratePerKw,
    MilliSatoshi,
    Satoshi,
)
from wallet.base.values.blocks import CltvDelta
from wallet.base.values.features import OUR_INIT, OUR_INVOICE
from wallet.base.values.ids import ChannelId
from wallet.faces.rpc import shapes
from wallet.faces.rpc.errors import Code
from wallet.faces.rpc.params import AnyParam, Args
from wallet.faces.rpc.parsers import FeerateTarget
from wallet.faces.rpc.signatures import (
    ChannelSelector,
    Close,
    Connect,
    Decode,
    Feerates,
    FundChannel,
    Invoice,
    ListFunds,
    ListInvoices,
    ListPays,
    ListPeerChannels,
    ListPeers,
    NewAddr,
    Pay,
    Unlock,
    WaitInvoice,
)
from wallet.faces.rpc.table import Answer, Method
from wallet.machines.channel.limits import receivable
from wallet.machines.channel.state import LIVING, Channel, Link, Phase
from wallet.machines.coins.wallet import P2TR, P2WPKH, CoinStatus, known_coins, status
from wallet.machines.payments.incoming import MIN_FINAL_CLTV, WEEK, InvoiceRequest
from wallet.machines.payments.outgoing import PayRequest
from wallet.machines.payments.records import InvoiceStatus, PaymentStatus
from wallet.node.api import Api
from wallet.node.memory import Memory

DEFAULT_RETRY_SECONDS: Final = 60
DEFAULT_UNILATERAL_SECONDS: Final = 172_800
"""Core Lightning's: two days of trying before a close is forced."""
MAX_FEE_PERCENT: Final = 1.0
EXEMPT_FEE: Final = MilliSatoshi(5_000)

T = TypeVar("T")


# --- the node -----------------------------------------------------------------------------------


async def getinfo(api: Api, _args: Args) -> Answer:
    """Who we are and how we are."""
    common: Answer = {
        "version": f"v{__version__}",
        "network": api.chain.name,
        "lightning-dir": str(api.place.path),
    }
    if api.locked:
        return {"locked": True, **common}
    memory = await api.memory()
    channels = list(memory.channels.values())
    node_id = api.node_id.hex()
    place = shapes.host_port(api.listening)
    answer: Answer = {
        "id": node_id,
        "alias": api.config.alias or f"leyden-{node_id[:8]}",
        "color": node_id[:6],
        "num_peers": len(memory.peers),
        "num_pending_channels": _count(channels, {Phase.AWAITING_CONFIRMATION}),
        "num_active_channels": _count(channels, {Phase.READY}),
        "num_inactive_channels": len(
            [c for c in channels if c.phase not in (*LIVING, Phase.CLOSED)]
        ),
        "address": [place],
        "binding": [place],
        **common,
        "blockheight": memory.height.height,
        "fees_collected_msat": 0,
        "our_features": {
            "init": OUR_INIT.to_bytes().hex(),
            "node": OUR_INIT.to_bytes().hex(),
            "channel": "",
            "invoice": OUR_INVOICE.to_bytes().hex(),
        },
    }
    status_now = api.chain_status
    if status_now is None or status_now.problem:
        problem = status_now.problem if status_now else "no answer yet"
        answer["warning_bitcoind_sync"] = f"The chain backend does not answer: {problem}"
    elif not status_now.synced:
        answer["warning_lightningd_sync"] = "Still reading blocks from the chain backend."
    return answer


def _count(channels: Iterable[Channel], phases: set[Phase]) -> int:
    return len([c for c in channels if c.phase in phases])


async def unlock(api: Api, args: Args) -> Answer:
    """Ours: open the seed file and start."""
    await api.unlock(args[Unlock.PASSWORD])
    return {"unlocked": True, "id": api.node_id.hex()}


async def feerates(api: Api, args: Args) -> Answer:
    """What transactions would pay now."""
    memory = await api.memory()
    rate = memory.feerate
    scale = 4 if args[Feerates.STYLE] == "perkb" else 1
    now = rate.per_kw * scale
    floor = FEERATE_FLOOR.per_kw * scale
    names = (
        "opening",
        "mutual_close",
        "unilateral_close",
        "unilateral_anchor_close",
        "penalty",
        "splice",
    )
    spread: Answer = dict.fromkeys(names, now)
    spread |= {"min_acceptable": floor, "max_acceptable": now * 10, "floor": floor}
    spread["estimates"] = [
        {"blockcount": blocks, "feerate": now, "smoothed_feerate": now}
        for blocks in (2, 6, 12, 100)
    ]
    commitment = ANCHORS.commitment_weight
    costs = {
        "opening_channel_satoshis": (702, rate),
        "mutual_close_satoshis": (673, rate),
        "unilateral_close_satoshis": (commitment, rate),
        "unilateral_close_nonanchor_satoshis": (598, rate),
        "htlc_timeout_satoshis": (ANCHORS.htlc_timeout_weight, rate),
        "htlc_success_satoshis": (ANCHORS.htlc_success_weight, rate),
    }
    return {args[Feerates.STYLE]: spread, "onchain_fee_estimates": shapes.fee_estimates(costs)}


# --- on chain -----------------------------------------------------------------------------------


async def newaddr(api: Api, args: Args) -> Answer:
    """A fresh address of each kind that was asked for; both when none was named."""
    wanted = args.get_or(NewAddr.ADDRESSTYPE, "all")
    kinds = {"bech32": P2WPKH, "p2tr": P2TR}
    return {
        kind: encode_address(await api.new_address(purpose), api.chain)
        for kind, purpose in kinds.items()
        if wanted in (kind, "all")
    }


async def listfunds(api: Api, args: Args) -> Answer:
    """Our coins on chain and our share of channels."""
    memory = await api.memory()
    height = memory.height.height
    outputs = []
    for coin in known_coins(memory.wallet):
        word = status(memory.wallet, coin, height)
        if word is not CoinStatus.SPENT or args.get(ListFunds.SPENT):
            outputs.append(shapes.output(coin, word, api.chain))
    channels = [
        shapes.channel_funds(c) for c in memory.channels.values() if c.phase is not Phase.CLOSED
    ]
    return {"outputs": outputs, "channels": channels}


# --- peers and channels -------------------------------------------------------------------------


async def connect(api: Api, args: Args) -> Answer:
    """A link to a peer."""
    who = args[Connect.ID]
    host = who.host if who.host is not None else args.get(Connect.HOST)
    port = who.port if who.port is not None else args.get_or(Connect.PORT, 9735)
    peer = await api.connect(who.node_id, host, port if host is not None else None)
    return {
        "id": peer.node_id.hex(),
        "features": peer.features.to_bytes().hex(),
        "direction": "out" if peer.outbound else "in",
        "address": shapes.host_port(peer.address),
    }


async def listpeers(api: Api, args: Args) -> Answer:
    """Peers that are connected or that we share a channel with."""
    memory = await api.memory()
    wanted = args.get(ListPeers.ID)
    living = [c.terms.peer for c in memory.channels.values() if c.phase is not Phase.CLOSED]
    peers = [
        shapes.peer(known, memory.peers.get(node_id), living.count(node_id))
        for node_id, known in memory.known_peers.items()
        if (node_id in memory.peers or node_id in living) and wanted in (None, node_id)
    ]
    return {"peers": peers}


async def fundchannel(api: Api, args: Args) -> Answer:
    """Open a channel from our coins."""
    _only(args, FundChannel.PARAMS, _FUNDCHANNEL_TAKES)
    amount = args[FundChannel.AMOUNT]
    opened = await api.open_channel(
        args[FundChannel.ID],
        amount if isinstance(amount, Satoshi) else None,
        args.get_or(FundChannel.PUSH_MSAT, ZERO_MSAT),
        _feerate(args.get(FundChannel.FEERATE)),
        # Announcing comes with gossip; until then an announced channel would help nobody.
        announce=args.get_or(FundChannel.ANNOUNCE, False),
    )
    terms = opened.channel.terms
    return {
        "tx": opened.tx.encode().hex(),
        "txid": str(opened.tx.txid),
        "outnum": opened.channel.funding.outpoint.index,
        "channel_id": opened.channel.id.hex(),
        "channel_type": shapes.channel_type(terms.channel_type),
    }


_FUNDCHANNEL_TAKES: Final = (
    FundChannel.ID,
    FundChannel.AMOUNT,
    FundChannel.FEERATE,
    FundChannel.ANNOUNCE,
    FundChannel.PUSH_MSAT,
)


async def listpeerchannels(api: Api, args: Args) -> Answer:
    """Every channel that is not settled and forgotten."""
    memory = await api.memory()
    peer, scid = args.get(ListPeerChannels.ID), args.get(ListPeerChannels.SHORT_CHANNEL_ID)
    channel_id = args.get(ListPeerChannels.CHANNEL_ID)
    chosen = [
        c
        for c in memory.channels.values()
        if c.phase is not Phase.CLOSED
        and peer in (None, c.terms.peer)
        and channel_id in (None, c.id)
        and (scid is None or scid in {s.scid for s in c.scids})
    ]
    return {"channels": [shapes.peer_channel(c, api.chain, api.node_id) for c in chosen]}


async def close(api: Api, args: Args) -> Answer:
    """Close a channel cooperatively, or by our commitment when the peer does not answer."""
    _only(
        args, Close.PARAMS, (Close.ID, Close.UNILATERALTIMEOUT, Close.DESTINATION, Close.FEERANGE)
    )
    channel_id = _selected(await api.memory(), args[Close.ID])
    destination = args.get(Close.DESTINATION)
    script = None
    if destination is not None:
        try:
            script = decode_address(destination, api.chain)
        except DecodeError as error:
            raise Refused(f"destination: {error}", Code.INVALID_PARAMS) from None
    seconds = args.get_or(Close.UNILATERALTIMEOUT, DEFAULT_UNILATERAL_SECONDS)
    rates = args.get(Close.FEERANGE)
    feerate = _feerate(rates[-1]) if rates else None
    # Core Lightning: 0 means to wait for the peer however long it takes; 1 is "at once" there.
    after = None if seconds == 0 else 0.0 if seconds == 1 else float(seconds)
    closed = await api.close_channel(channel_id, script, feerate, after)
    return {
        "txs": [closed.tx.encode().hex()],
        "txids": [str(closed.tx.txid)],
        "type": closed.kind,
    }


def _selected(memory: Memory, selector: ChannelSelector) -> ChannelId:
    found = [
        c.id
        for c in memory.channels.values()
        if c.phase is not Phase.CLOSED
        and (
            c.id == selector.channel_id
            or c.terms.peer == selector.node_id
            or selector.short_channel_id in {s.scid for s in c.scids}
        )
    ]
    if not found:
        raise Refused("there is no such channel", Code.INVALID_PARAMS)
    if len(found) > 1:
        raise Refused(
            "there are several channels with this peer: name one by its channel_id",
            Code.INVALID_PARAMS,
        )
    return found[0]


# --- payments -----------------------------------------------------------------------------------


async def invoice(api: Api, args: Args) -> Answer:
    """Make an invoice."""
    _only(args, Invoice.PARAMS, [p for p in Invoice.PARAMS if p is not Invoice.FALLBACKS])
    amount = args[Invoice.AMOUNT_MSAT]
    request = InvoiceRequest(
        label=args[Invoice.LABEL],
        amount=amount if isinstance(amount, MilliSatoshi) else None,
        description=args[Invoice.DESCRIPTION],
        expiry_seconds=args.get_or(Invoice.EXPIRY, WEEK),
        min_final_cltv=CltvDelta(args.get_or(Invoice.CLTV, MIN_FINAL_CLTV.blocks)),
        only_hash_of_description=args.get_or(Invoice.DESCHASHONLY, False),
    )
    record = await api.create_invoice(request, args.get(Invoice.PREIMAGE))
    answer: Answer = {
        "payment_hash": record.payment_hash.hex(),
        "expires_at": record.expires_at,
        "bolt11": record.bolt11,
        "payment_secret": record.payment_secret.hex(),
        "created_index": record.created_index,
    }
    return {**answer, **_warnings(await api.memory(), record.amount)}


def _warnings(memory: Memory, amount: MilliSatoshi | None) -> Answer:
    ready = [c for c in memory.channels.values() if c.phase is Phase.READY]
    room = [receivable(c) for c in ready if c.link is Link.LIVE]
    wanted = amount or MilliSatoshi(1)
    if ready and not room:
        return {"warning_offline": "No peer of a channel is connected: nobody can pay this now."}
    if max(room, default=ZERO_MSAT) < wanted:
        most = max(room, default=ZERO_MSAT)
        return {"warning_capacity": f"Your channels can receive {most} now, which is too little."}
    return {}


async def listinvoices(api: Api, args: Args) -> Answer:
    """Our invoices, all or those that fit."""
    memory = await api.memory()
    label, text = args.get(ListInvoices.LABEL), args.get(ListInvoices.INVSTRING)
    payment_hash = args.get(ListInvoices.PAYMENT_HASH)
    chosen = [
        i
        for i in memory.invoices.values()
        if label in (None, i.label)
        and text in (None, i.bolt11)
        and payment_hash in (None, i.payment_hash)
        and args.get(ListInvoices.OFFER_ID) is None
    ]
    by_update = args.get(ListInvoices.INDEX) == "updated"
    page = _page(
        [((i.updated_index or 0) if by_update else i.created_index, i) for i in chosen],
        args.get(ListInvoices.START),
        args.get(ListInvoices.LIMIT),
    )
    now = api.now()
    return {"invoices": [shapes.invoice(i, now) for i in page]}


async def waitinvoice(api: Api, args: Args) -> Answer:
    """Until an invoice is paid; 903 when it expires first."""
    record = await api.wait_invoice(args[WaitInvoice.LABEL])
    shown = shapes.invoice(record, api.now())
    if record.as_of(api.now()).status is not InvoiceStatus.PAID:
        raise Refused("the invoice expired before it was paid", Code.INVOICE_EXPIRED_DURING_WAIT)
    return shown


async def decode(_api: Api, args: Args) -> Answer:
    """What an invoice says, of whatever network."""
    text = _bare(args[Decode.STRING])
    try:
        found = decode_invoice(text)
    except DecodeError as error:
        raise Refused(f"Unparsable string: {error}", Code.INVALID_PARAMS) from None
    return shapes.decoded(found)


async def pay(api: Api, args: Args) -> Answer:
    """Pay an invoice and wait for the outcome."""
    _only(
        args, Pay.PARAMS, [p for p in Pay.PARAMS if p not in (Pay.LOCALINVREQID, Pay.PARTIAL_MSAT)]
    )
    text = _bare(args[Pay.INVSTRING])
    invoice_ = _payable(text, api)
    amount = args.get(Pay.AMOUNT_MSAT)
    request = PayRequest(
        invoice=invoice_,
        bolt11=text,
        max_fee=_max_fee(args, invoice_.amount or amount or ZERO_MSAT),
        amount=amount,
        label=args.get(Pay.LABEL),
        description=args.get(Pay.DESCRIPTION),
    )
    seconds = args.get_or(Pay.RETRY_FOR, DEFAULT_RETRY_SECONDS)
    try:
        done = (await api.pay(request, seconds)).payment
    except TimeoutError:
        raise Refused(
            f"still on its way after {seconds} seconds. It may yet arrive: do not pay again, look"
            f" with `leyden listpays` for {invoice_.payment_hash.hex()}",
            Code.PAY_IN_PROGRESS,
        ) from None
    if done.status is not PaymentStatus.COMPLETE:
        code = done.failure_code or Code.PAY_STOPPED_RETRYING
        raise Refused(done.failure or "the payment failed", code)
    return shapes.paid(done)


def _payable(text: str, api: Api) -> Bolt11:
    try:
        return decode_invoice(text, api.chain)
    except DecodeError as error:
        raise Refused(f"Invalid bolt11 invoice: {error}", Code.INVALID_PARAMS) from None


def _max_fee(args: Args, amount: MilliSatoshi) -> MilliSatoshi:
    most = args.get(Pay.MAXFEE)
    if most is not None:
        if args.get(Pay.MAXFEEPERCENT) is not None or args.get(Pay.EXEMPTFEE) is not None:
            raise Refused(
                "maxfee cannot be given with maxfeepercent or exemptfee", Code.INVALID_PARAMS
            )
        return most
    percent = args.get_or(Pay.MAXFEEPERCENT, MAX_FEE_PERCENT)
    share = MilliSatoshi(int(amount.msat * percent / 100))
    return max(share, args.get_or(Pay.EXEMPTFEE, EXEMPT_FEE))


async def listpays(api: Api, args: Args) -> Answer:
    """Our payments, all or those that fit."""
    memory = await api.memory()
    text, payment_hash = args.get(ListPays.BOLT11), args.get(ListPays.PAYMENT_HASH)
    wanted = args.get(ListPays.STATUS)
    chosen = [
        p
        for p in memory.payments.values()
        if (text is None or p.bolt11 == _bare(text))
        and payment_hash in (None, p.payment_hash)
        and wanted in (None, p.status.value)
    ]
    by_update = args.get(ListPays.INDEX) == "updated"
    page = _page(
        [((p.updated_index or 0) if by_update else p.created_index, p) for p in chosen],
        args.get(ListPays.START),
        args.get(ListPays.LIMIT),
    )
    return {"pays": [shapes.payment(p) for p in page]}


# --- shared -------------------------------------------------------------------------------------


def _page(items: list[tuple[int, T]], start: int | None, limit: int | None) -> list[T]:
    ordered = sorted(items, key=lambda item: item[0])
    kept = [item for index, item in ordered if start is None or index >= start]
    return kept if limit is None else kept[:limit]


def _bare(text: str) -> str:
    """An invoice without the scheme that wallets and QR codes put before it, in lower case."""
    try:
        return parse_request(text).invoice or text
    except DecodeError:
        return text


def _feerate(given: FeeratePerKw | FeerateTarget | None) -> FeeratePerKw | None:
    """An explicit fee rate; words mean the present estimate."""
    return given if isinstance(given, FeeratePerKw) else None


def _only(args: Args, declared: Sequence[AnyParam], taken: Sequence[AnyParam]) -> None:
    """Refuse parameters that mean something we do not do: ignoring one could cost money."""
    for param in declared:
        if args.get(param) is not None and all(param is not t for t in taken):
            raise Refused(f"{param.name} is not supported here yet", Code.INVALID_PARAMS)


METHODS: Final[tuple[Method[Api], ...]] = (
    Method("getinfo", (), getinfo, "who and how this node is", allowed_when_locked=True),
    Method(
        "unlock",
        Unlock.PARAMS,
        unlock,
        "opens the wallet with its password",
        allowed_when_locked=True,
    ),
    Method("feerates", Feerates.PARAMS, feerates, "what transactions would pay now"),
    Method("newaddr", NewAddr.PARAMS, newaddr, "makes a fresh on-chain address"),
    Method("listfunds", ListFunds.PARAMS, listfunds, "lists coins and channel balances"),
    Method("connect", Connect.PARAMS, connect, "connects to a peer"),
    Method("listpeers", ListPeers.PARAMS, listpeers, "lists peers"),
    Method("fundchannel", FundChannel.PARAMS, fundchannel, "opens a channel"),
    Method("listpeerchannels", ListPeerChannels.PARAMS, listpeerchannels, "lists channels"),
    Method("close", Close.PARAMS, close, "closes a channel"),
    Method("invoice", Invoice.PARAMS, invoice, "makes an invoice"),
    Method("listinvoices", ListInvoices.PARAMS, listinvoices, "lists invoices"),
    Method(
        "waitinvoice", WaitInvoice.PARAMS, waitinvoice, "waits until an invoice is paid", waits=True
    ),
    Method("decode", Decode.PARAMS, decode, "explains an invoice"),
    Method("pay", Pay.PARAMS, pay, "pays an invoice"),
    Method("listpays", ListPays.PARAMS, listpays, "lists payments"),
)
"""What the daemon serves, beside `help`, `check` and `stop`."""
