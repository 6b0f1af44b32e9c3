"""The verbs by name: where each one lives and what it does, in a line. Imports nothing."""

from typing import Final

VERBS: Final[dict[str, str]] = {
    "balance": "what can be sent, what can be received, what lies on chain",
    "send": "pays an invoice, a node or an address: send WHAT [AMOUNT]",
    "receive": "makes an invoice: receive [AMOUNT]",
    "history": "all that moved money, newest first",
    "show": "one payment with its attempts, or whatever else has this ID",
    "wait": "waits for a payment or an invoice: wait ID",
    "decode": "explains an invoice and pays nothing",
    "route": "the way a payment would take: route ID AMOUNT",
    "channels": "channels and how their money is split: channels [PEER]",
    "open": "opens a channel: open PEER AMOUNT",
    "close": "ends a channel, its money comes back: close ID [--force]",
    "court": "what the chain would rule if a channel ended now: court [ID]",
    "fees": "what forwarding through a channel costs: fees [ID]",
    "peers": "who is connected",
    "connect": "links to a peer: connect ID@HOST:PORT",
    "disconnect": "ends the link to a peer: disconnect ID",
    "address": "a fresh address of the wallet on chain",
    "mine": "mines on the built-in chain, for coins to try with: mine [BLOCKS]",
    "withdraw": "sends coins on chain away: withdraw ADDRESS SATOSHI",
    "status": "the node, its chain and its channels",
    "events": "what happens, line by line, as JSON",
    "doctor": "looks for what is wrong here",
    "keys": "the keys of the terminal app",
    "spec": "every command, flag and code, as JSON",
    "completion": "completion for a shell: completion bash|zsh|fish",
}
"""Each verb lives in the file of its name."""

METHODS_TOO: Final = frozenset(
    {"close", "connect", "court", "decode", "disconnect", "events", "history", "wait", "withdraw"}
)
"""Verbs that bear a method's name: given the method's parameters they are the method."""

ALIASES: Final[dict[str, str]] = {
    "walletbalance": "balance",
    "channelbalance": "balance",
    "payinvoice": "send",
    "sendpayment": "send",
    "sendcoins": "send",
    "addinvoice": "receive",
    "newaddress": "address",
    "listpayments": "history",
    "trackpayment": "show",
    "lookupinvoice": "show",
    "decodepayreq": "decode",
    "queryroutes": "route",
    "pendingchannels": "channels",
    "openchannel": "open",
    "closechannel": "close",
    "updatechanpolicy": "fees",
    "describegraph": "listchannels",
    "listunspent": "listfunds",
    "fwdinghistory": "listforwards",
    "verifymessage": "checkmessage",
    "subscribetransactions": "events",
    "create": "init",
}
"""What lncli calls things, and what they are called here."""
