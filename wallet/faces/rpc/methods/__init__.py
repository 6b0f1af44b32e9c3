"""Core Lightning's methods over our core: read parameters, ask the api, give the answer its shape.

cli/daemon enters, for `METHODS`, the table that the daemon serves.
Never here: a decision that the core could take; JSON beside shapes.py, next door.
Read first: invoices.py, reading.py.
"""

from typing import Final

from wallet.faces.rpc.methods.chain import listclosedchannels, listtransactions, withdraw
from wallet.faces.rpc.methods.channels import (
    close,
    connect,
    fundchannel,
    listpeerchannels,
    listpeers,
    trustpeer,
)
from wallet.faces.rpc.methods.coins import listfunds, newaddr
from wallet.faces.rpc.methods.commitments import commitments
from wallet.faces.rpc.methods.court import court
from wallet.faces.rpc.methods.forwards import FORWARDING
from wallet.faces.rpc.methods.graph import MAP
from wallet.faces.rpc.methods.history import history
from wallet.faces.rpc.methods.invoices import (
    decode,
    delinvoice,
    invoice,
    listinvoices,
    waitanyinvoice,
    waitinvoice,
)
from wallet.faces.rpc.methods.messages import (
    checkmessage,
    disconnect,
    listconfigs,
    ping,
    signmessage,
)
from wallet.faces.rpc.methods.node import feerates, getinfo, metrics, unlock
from wallet.faces.rpc.methods.sending import SENDING
from wallet.faces.rpc.methods.waiting import events, flow, wait
from wallet.faces.rpc.more_signatures import (
    CheckMessage,
    DelInvoice,
    Disconnect,
    Events,
    Flow,
    History,
    ListClosedChannels,
    ListConfigs,
    Ping,
    SignMessage,
    TrustPeer,
    Wait,
    WaitAnyInvoice,
    Withdraw,
)
from wallet.faces.rpc.notices import Notifications, notifications
from wallet.faces.rpc.signatures import (
    Close,
    Connect,
    Decode,
    Feerates,
    FundChannel,
    Invoice,
    ListFunds,
    ListInvoices,
    ListPeerChannels,
    ListPeers,
    NewAddr,
    Unlock,
    WaitInvoice,
)
from wallet.faces.rpc.table import Method
from wallet.node.api import Api

METHODS: Final[tuple[Method[Api], ...]] = (
    Method("getinfo", (), getinfo, "who and how this node is", allowed_when_locked=True),
    Method(
        "unlock",
        Unlock.PARAMS,
        unlock,
        "opens the wallet with its password",
        allowed_when_locked=True,
    ),
    Method("metrics", (), metrics, "counts what this run has done"),
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
    Method("delinvoice", DelInvoice.PARAMS, delinvoice, "forgets an invoice"),
    Method(
        "waitanyinvoice",
        WaitAnyInvoice.PARAMS,
        waitanyinvoice,
        "waits until some invoice is paid",
        waits=True,
    ),
    Method("decode", Decode.PARAMS, decode, "explains an invoice"),
    *SENDING,
    *FORWARDING,
    *MAP,
    Method("disconnect", Disconnect.PARAMS, disconnect, "ends a link"),
    Method("ping", Ping.PARAMS, ping, "asks whether a peer is there", waits=True),
    Method("signmessage", SignMessage.PARAMS, signmessage, "signs text with the node's key"),
    Method("checkmessage", CheckMessage.PARAMS, checkmessage, "says who signed a text"),
    Method("trustpeer", TrustPeer.PARAMS, trustpeer, "takes a peer's unconfirmed channels"),
    Method("listconfigs", ListConfigs.PARAMS, listconfigs, "shows how this node is set up"),
    Method("withdraw", Withdraw.PARAMS, withdraw, "sends coins to an address"),
    Method("listtransactions", (), listtransactions, "lists transactions of the wallet"),
    Method(
        "listclosedchannels",
        ListClosedChannels.PARAMS,
        listclosedchannels,
        "lists settled channels",
    ),
    Method("court", (ListPeerChannels.CHANNEL_ID,), court, "says what the chain would rule"),
    Method(
        "commitments",
        (ListPeerChannels.CHANNEL_ID,),
        commitments,
        "builds both commitments of each channel",
    ),
    Method("history", History.PARAMS, history, "lists all that moved money, newest first"),
    Method("wait", Wait.PARAMS, wait, "waits until an index reaches a value", waits=True),
    Method("events", Events.PARAMS, events, "tells what happened, by number", waits=True),
    Method("flow", Flow.PARAMS, flow, "tells each HTLC message sent, by number", waits=True),
    Method(
        "notifications",
        Notifications.PARAMS,
        notifications,
        "switches messages about long commands",
        allowed_when_locked=True,
    ),
)
"""What the daemon serves, beside `help`, `check` and `stop`."""
